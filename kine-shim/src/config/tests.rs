use super::*;

fn config(args: &[&str]) -> Result<Config, ConfigError> {
    sourced(args, &[])
}

fn sourced(args: &[&str], environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_sources(["kine-shim"].iter().chain(args).map(OsString::from), environment)
}

#[test]
fn without_flags_everything_is_local() {
    let config = config(&[]).expect("defaults");
    assert_eq!(config.endpoint.to_string(), "sqlite://data/state.db");
    assert_eq!(config.listeners[0].to_string(), "http://127.0.0.1:2379");
    assert_eq!(config.advertise_client_urls, ["http://127.0.0.1:2379"]);
    assert!(config.warnings.is_empty());
}

#[test]
fn bad_flags_are_named() {
    let cases: &[(&[&str], &str)] = &[
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--endpoint=mysql://x"], "--endpoint: unsupported scheme"),
        (&["--endpoint=sqlite://"], "--endpoint: sqlite:// needs a file"),
        (&["--listen-client-urls=0.0.0.0:2379"], "--listen-client-urls: \"0.0.0.0:2379\" is not a URL"),
        (&["--listen-client-urls=http://127.0.0.1"], "--listen-client-urls: \"127.0.0.1\" is not HOST:PORT"),
        (&["--listen-client-urls=http://127.0.0.1:99999"], "bad port"),
        (&["--listen-client-urls=ftp://127.0.0.1:1"], "unknown scheme"),
        (&["--listen-client-urls=https://127.0.0.1:1"], "--cert-file: a https:// URL needs"),
        (&["--listen-metrics-urls=nonsense"], "--listen-metrics-urls"),
        (&["--advertise-client-urls=10.0.0.1:2379"], "--advertise-client-urls"),
        (&["--cert-file=/dev/null"], "--key-file: goes together"),
        (&["--key-file=/dev/null"], "--cert-file: goes together"),
        (&["--cert-file=/no/such/file", "--key-file=/dev/null"], "--cert-file: /no/such/file"),
        (&["--trusted-ca-file=/dev/null"], "--trusted-ca-file: needs"),
        (&["--client-cert-auth"], "--client-cert-auth: needs --trusted-ca-file"),
        (&["--client-cert-auth=maybe"], "--client-cert-auth"),
        (&["--max-request-bytes=12"], "--max-request-bytes: must be from"),
        (&["--max-request-bytes=many"], "--max-request-bytes"),
        (&["--max-txn-ops=0"], "--max-txn-ops: must be from"),
        (&["--watch-progress-notify-interval=5"], "--watch-progress-notify-interval: expected a duration"),
        (&["--watch-progress-notify-interval=0"], "--watch-progress-notify-interval: expected a duration"),
        (&["--auto-compaction-mode=never"], "--auto-compaction-mode"),
        (&["--auto-compaction-retention=often"], "--auto-compaction-retention: expected hours"),
        (&["--auto-compaction-mode=revision", "--auto-compaction-retention=1h"], "a number of revisions"),
        (&["--datastore-certfile=/dev/null"], "--datastore-certfile: goes together"),
        (&["--read-index=maybe"], "--read-index"),
        (&["--log-level=loud"], "--log-level"),
        (&["stray"], "stray"),
        (&["--grpc-keepalive-interval=often"], "--grpc-keepalive-interval: expected a duration"),
        (&["--max-concurrent-streams=0"], "--max-concurrent-streams"),
        (&["--metrics=all"], "--metrics"),
        (&["--tls-min-version=TLS1.0"], "--tls-min-version"),
        (&["--client-crl-file=/dev/null"], "--client-crl-file: needs"),
        (&["--client-cert-allowed-hostname=h"], "--client-cert-allowed-hostname: needs"),
        (&["--client-cert-allowed-hostname=a b", "--trusted-ca-file=/dev/null"], "--client-cert-allowed-hostname: "),
        (&["--config-file=/no/such/file"], "--config-file: /no/such/file"),
    ];
    for (args, part) in cases {
        let error = config(args).expect_err(&args.join(" ")).to_string();
        assert!(error.contains(part), "{args:?}: {error}");
    }
}

#[test]
fn etcds_and_kines_command_lines_are_taken() {
    let kubeadm = config(&[
        "--name=m1",
        "--data-dir=/var/lib/etcd",
        "--client-cert-auth=false",
        "--initial-cluster=m1=https://10.0.0.1:2380",
        "--listen-peer-urls",
        "https://10.0.0.1:2380",
        "--peer-client-cert-auth=true",
        "--snapshot-count=10000",
        "--watch-progress-notify-interval=5s",
        "--listen-client-urls=http://127.0.0.1:2379,http://10.0.0.1:2379",
        "--auto-compaction-retention=1",
    ])
    .expect("kubeadm's flags");
    assert_eq!(kubeadm.endpoint.to_string(), "sqlite:///var/lib/etcd/state.db");
    assert_eq!(kubeadm.listeners.len(), 2);
    assert_eq!(kubeadm.progress_interval, Duration::from_secs(5));
    assert_eq!(kubeadm.compaction, Compaction::Keep(Duration::from_secs(3600)));
    for part in ["--initial-cluster ", "--listen-peer-urls ", "--snapshot-count ", "http://10.0.0.1:2379 takes anybody"]
    {
        assert!(kubeadm.warnings.iter().any(|warning| warning.contains(part)), "{part}: {:?}", kubeadm.warnings);
    }

    let kine = config(&["-endpoint", "postgres://u:secret@h/d", "--listen-address=unix://kine.sock", "--debug"]);
    let kine = kine.expect("kine's flags");
    assert_eq!(kine.listeners[0].to_string(), "unix://kine.sock");
    assert_eq!(kine.log_level, "debug");
    let shown = format!("{kine} {kine:?}");
    assert!(shown.contains("postgres://u@h/d") && !shown.contains("secret"), "{shown}");
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("etcd.yaml");
    let text = "name: of-file\nmax-txn-ops: 7\nquota-backend-bytes: 9\nlisten-client-urls: http://127.0.0.1:7777\nlog-outputs: [stderr]\n\
                initial-cluster: a=b\ngrpc-keepalive-interval: 5000000000\nclient-transport-security:\n  client-cert-auth: false\n\
                peer-transport-security:\n  auto-tls: true\nsocket-options:\n  reuse-port: true\n";
    std::fs::write(&file, text).expect("written");
    let file = format!("--config-file={}", file.display());
    let environment = [
        ("ETCD_NAME", "of-etcd"),
        ("KINE_SHIM_NAME", "of-env"),
        ("ETCD_MAX_TXN_OPS", "8"),
        ("ETCD_SNAPSHOT_COUNT", "1"),
        ("ETCD_SURPRISE", "1"),
    ];
    let config = sourced(&[&file, "-max-txn-ops", "9"], &environment).expect("settings");
    assert_eq!((config.name.as_str(), config.max_txn_ops, config.quota_backend_bytes), ("of-env", 9, 9));
    assert_eq!((config.listeners[0].to_string().as_str(), config.http.reuse_port), ("http://127.0.0.1:7777", true));
    assert_eq!(config.http.keepalive_interval, Some(Duration::from_secs(5)));
    for part in [
        "ETCD_NAME does not count: --name is given elsewhere",
        "ETCD_MAX_TXN_OPS does not count",
        "max-txn-ops in --config-file does not count",
        "ETCD_SNAPSHOT_COUNT has no effect here",
        "ETCD_SURPRISE is not a setting",
        "initial-cluster in --config-file has no effect here",
        "peer-auto-tls in --config-file has no effect here",
    ] {
        assert!(config.warnings.iter().any(|warning| warning.contains(part)), "{part}: {:?}", config.warnings);
    }
    let named = config.to_string();
    assert!(named.contains("--name=of-env") && named.contains("--grpc-keepalive-interval=5s"), "{named}");

    for (text, reason) in
        [("surprise: 1\n", "unknown setting"), ("[1]", "not a mapping"), ("name: {a: 1}", "plain value"), ("a: [", "")]
    {
        let file = folder.path().join("bad.yaml");
        std::fs::write(&file, text).expect("written");
        let error = config_error(&[&format!("--config-file={}", file.display())]);
        assert!(error.starts_with("--config-file: ") && error.contains(reason), "{text}: {error}");
    }
}

fn config_error(args: &[&str]) -> String {
    config(args).expect_err("an error").to_string()
}

#[test]
fn every_flag_of_etcd_is_known() {
    let with_value =
        ["discovery", "wal-dir", "experimental-compaction-batch-limit", "v2-deprecation", "logger", "feature-gates"];
    let switches = ["pre-vote", "experimental-initial-corrupt-check", "strict-reconfig-check"];
    let args: Vec<String> = with_value
        .iter()
        .flat_map(|name| [format!("--{name}"), "v".into()])
        .chain(switches.iter().map(|name| format!("--{name}")))
        .collect();
    let config = config(&args.iter().map(String::as_str).collect::<Vec<_>>()).expect("accepted");
    assert_eq!(config.warnings.len(), with_value.len() + switches.len(), "{:?}", config.warnings);
}

#[test]
fn the_last_of_a_repeated_flag_counts() {
    let folder = tempfile::tempdir().expect("folder");
    let file = |number: usize| folder.path().join(format!("{number}.yaml")).display().to_string();
    for number in [1, 2] {
        std::fs::write(file(number), format!("bcrypt-cost: {}\n", 3 + number)).expect("written");
    }
    let args = [
        "--quota-backend-bytes=7",
        "--quota-backend-bytes",
        "8",
        "--listen-client-urls=http://127.0.0.1:1,http://127.0.0.1:2",
        "--listen-client-urls=http://127.0.0.1:3",
        "--enable-pprof",
        "--enable-pprof=false",
        &format!("--config-file={}", file(1)),
        &format!("--config-file={}", file(2)),
    ];
    let config = config(&args).expect("settings");
    let listeners: Vec<_> = config.listeners.iter().map(ToString::to_string).collect();
    assert_eq!((config.quota_backend_bytes, config.http.pprof, config.bcrypt_cost), (8, false, 5));
    assert_eq!(listeners, ["http://127.0.0.1:3"]);
}

#[test]
fn the_environment_is_read_as_etcd_and_kine_read_theirs() {
    let read = |environment: &[(&str, &str)]| sourced(&[], environment).map(|config| config.to_string());
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("ETCD_LISTEN_CLIENT_URLS", ""), ("ETCD_NAME", ""), ("ETCD_DATA_DIR", "")], "--name=default"),
        (&[("KINE_ENDPOINT", "postgres://u@h/d")], "--endpoint=postgres://u@h/d"),
        (&[("KINE_ENDPOINT", "sqlite://a"), ("KINE_SHIM_ENDPOINT", "sqlite://b")], "--endpoint=sqlite://b"),
        (&[("KINE_ENDPOINT", "sqlite://a"), ("ETCD_ENDPOINT", "sqlite://c")], "--endpoint=sqlite://c"),
        (&[("KINE_LISTEN_ADDRESS", "127.0.0.1:77")], "--listen-client-urls=http://127.0.0.1:77"),
        (&[("KINE_DATASTORE_MAX_OPEN_CONNECTIONS", "7"), ("KINE_DEBUG", "1")], "--log-level=debug"),
        (&[("ETCD_DEBUG", "1"), ("ETCD_ENABLE_PPROF", "T")], "--enable-pprof=true"),
    ];
    for (environment, part) in cases {
        let shown = read(environment).unwrap_or_else(|error| panic!("{environment:?}: {error}"));
        assert!(shown.contains(part), "{environment:?}: {shown}");
    }
    let error =
        read(&[("KINE_ENPOINT", "postgres://u:secret@h/d")]).expect_err("it would be an empty store").to_string();
    assert!(error.contains("KINE_ENPOINT") && !error.contains("secret"), "{error}");
    let shown = sourced(&[], &[("KINE_CERT_FILE", "/dev/null"), ("KINE_KEY_FILE", "/dev/null")]).expect("kine's");
    assert_eq!(shown.log.cert_file, Some("/dev/null".into()));
}

#[test]
fn a_certificate_that_may_be_kines_is_asked_about() {
    for flag in ["--listen-address=127.0.0.1:1", "--server-cert-file=/dev/null"] {
        let error = config(&[flag, "--cert-file=/dev/null", "--key-file=/dev/null"]).expect_err(flag).to_string();
        assert!(error.contains("--datastore-certfile") && error.contains("--server-cert-file"), "{error}");
    }
}

/// What etcd's own example has, set to the defaults, with what older ones had besides.
#[test]
fn a_file_of_etcds_defaults_starts() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("etcd.yaml");
    let text = "name: 'default'\ndata-dir:\nwal-dir:\nsnapshot-count: 10000\nheartbeat-interval: 100\nelection-timeout: 1000\n\
                quota-backend-bytes: 0\nlisten-peer-urls: http://localhost:2380\nlisten-client-urls: http://localhost:2379\n\
                max-snapshots: 5\nmax-wals: 5\ncors:\ninitial-advertise-peer-urls: http://localhost:2380\n\
                advertise-client-urls: http://localhost:2379\ndiscovery:\ndiscovery-fallback: 'proxy'\ndiscovery-proxy:\n\
                discovery-srv:\ninitial-cluster:\ninitial-cluster-token: 'etcd-cluster'\ninitial-cluster-state: 'new'\n\
                strict-reconfig-check: false\nenable-pprof: true\nproxy: 'off'\nproxy-failure-wait: 5000\n\
                proxy-refresh-interval: 30000\nproxy-dial-timeout: 1000\nproxy-write-timeout: 5000\nproxy-read-timeout: 0\n\
                client-transport-security:\n  cert-file:\n  key-file:\n  client-cert-auth: false\n  trusted-ca-file:\n  auto-tls: false\n\
                peer-transport-security:\n  cert-file:\n  key-file:\n  client-cert-auth: false\n  trusted-ca-file:\n  auto-tls: false\n\
                \u{20} allowed-cn:\n  allowed-hostname:\nself-signed-cert-validity: 1\nlog-level: debug\nlogger: zap\n\
                log-outputs: [stderr]\nforce-new-cluster: false\nauto-compaction-mode: periodic\nauto-compaction-retention: \"1\"\n\
                cipher-suites: [\n  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\n  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n]\n\
                tls-min-version: 'TLS1.2'\ntls-max-version: 'TLS1.3'\n";
    std::fs::write(&file, text).expect("written");
    let config = config(&[&format!("--config-file={}", file.display())]).expect("etcd's defaults");
    assert_eq!(config.log_level, "debug");
    assert_eq!(config.compaction, Compaction::Keep(Duration::from_secs(3600)));
}
