# Sourced by deploy/up and tests/run: installs what is missing as root; as a plain user prints the one command to run, and stops.
# shellcheck shell=bash

missing=()

# need PACKAGE TEST-COMMAND...: the package is missing when the command fails.
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

need_build_tools() {
    need build-essential command -v cc
    need protobuf-compiler command -v protoc
    need libprotobuf-dev test -e /usr/include/google/protobuf/any.proto
    need openssl command -v openssl
    need curl command -v curl
    need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
}

# The server's programs for a throw-away database, and what runs them as somebody other than root.
need_postgres() {
    need postgresql bash -c 'command -v initdb || ls /usr/lib/postgresql/*/bin/initdb'
    need util-linux command -v setpriv
}

# need_done PROGRAM: installs what is missing, or says how.
need_done() {
    if [ ${#missing[@]} -gt 0 ]; then
        if [ "$(id -u)" != 0 ]; then
            echo "Missing: ${missing[*]}. Run this, then start $1 again:" >&2
            # A bare Debian has no sudo; without `-`, su keeps a PATH in which dpkg finds nothing.
            local as_root="su - -c"
            ! command -v sudo >/dev/null 2>&1 || as_root="sudo sh -c"
            echo "    $as_root 'apt-get update && apt-get install -y ${missing[*]}'" >&2
            exit 1
        fi
        echo "==> installing ${missing[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    fi
    if ! command -v cargo >/dev/null 2>&1 && [ -r "$HOME/.cargo/env" ]; then
        # shellcheck disable=SC1091
        . "$HOME/.cargo/env"
    fi
    command -v cargo >/dev/null 2>&1 || {
        echo "A Rust toolchain is needed (rustup, https://rustup.rs); rust-toolchain.toml names the version." >&2
        exit 1
    }
}
