"""A fixture: a control plane of one's own, from the two programs in KUBEBUILDER_ASSETS."""

import contextlib
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request

TOKEN = "of-this-test"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def control_plane():
    """Yields the URL of an API server, the file of its certificate, and the token of an administrator."""
    assets = pathlib.Path(os.environ["KUBEBUILDER_ASSETS"])
    with tempfile.TemporaryDirectory() as folder:
        store, server = (f"{scheme}://127.0.0.1:{free_port()}" for scheme in ("http", "https"))
        key, tokens = pathlib.Path(folder, "accounts.key"), pathlib.Path(folder, "tokens.csv")
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        tokens.write_text(f"{TOKEN},admin,admin,system:masters\n")
        commands = [
            ["etcd", f"--data-dir={folder}/data", "--unsafe-no-fsync=true"]
            + [f"--{which}-client-urls={store}" for which in ("listen", "advertise")],
            ["kube-apiserver", f"--etcd-servers={store}", f"--cert-dir={folder}", "--bind-address=127.0.0.1"]
            + [f"--secure-port={server.rsplit(':', 1)[1]}", f"--token-auth-file={tokens}", "--authorization-mode=RBAC"]
            + ["--disable-admission-plugins=ServiceAccount", f"--service-account-issuer={server}"]
            + [f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"]
            + ["--service-cluster-ip-range=10.0.0.0/24"],
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        programs = [subprocess.Popen([assets / name, *flags], **quiet) for name, *flags in commands]
        try:
            wait_until_ready(server)
            yield server, f"{folder}/apiserver.crt", TOKEN
        finally:
            for program in programs:
                program.terminate()
            for program in programs:
                program.wait(timeout=20)


def wait_until_ready(server, within=60):
    anybody = ssl._create_unverified_context()
    until = time.monotonic() + within
    while True:
        try:
            return urllib.request.urlopen(f"{server}/readyz", context=anybody, timeout=5).read()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
