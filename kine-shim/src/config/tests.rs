use super::*;

fn config(args: &[&str]) -> Result<Config, ConfigError> {
    Config::from_args(["kine-shim"].iter().chain(args).map(OsString::from))
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
        (&["--fence=maybe"], "--fence"),
        (&["--log-level=loud"], "--log-level"),
        (&["stray"], "stray"),
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
    assert!(shown.contains("postgres://u:xxxxx@h/d") && !shown.contains("secret"), "{shown}");
}
