//! The command line as clap sees it: etcd's names, and kine's where etcd has none or they do not collide. Values are checked in
//! the parent module; nothing outside it sees these types.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// The etcd v3 API on PostgreSQL or an embedded SQLite file.
#[derive(Parser, Debug)]
#[command(
    name = "kine-shim",
    version,
    after_help = "Without flags: an embedded store under ./data, served on http://127.0.0.1:2379.\n\
                  Moving in and out: kine-shim import --help, kine-shim export --help."
)]
pub(super) struct Flags {
    /// Where the data lives: postgres://…, sqlite://FILE or memory: [default: a SQLite file in --data-dir]
    #[arg(long, env = "KINE_SHIM_ENDPOINT", hide_env_values = true)]
    pub(super) endpoint: Option<String>,
    /// Folder of the embedded store
    #[arg(long, default_value = "data")]
    pub(super) data_dir: PathBuf,
    /// A human-readable name of this server
    #[arg(long, default_value = "default")]
    pub(super) name: String,

    /// URLs to listen on, comma separated: http://, https:// or unix:// [default: http://127.0.0.1:2379]
    #[arg(long, value_delimiter = ',', value_name = "URLS")]
    pub(super) listen_client_urls: Vec<String>,
    /// kine's spelling of one listening address: HOST:PORT, tcp:// or unix://
    #[arg(long, value_name = "ADDRESS", conflicts_with = "listen_client_urls")]
    pub(super) listen_address: Option<String>,
    /// URLs that clients are told to use, comma separated [default: --listen-client-urls]
    #[arg(long, value_delimiter = ',', value_name = "URLS")]
    pub(super) advertise_client_urls: Vec<String>,
    /// URLs that answer only /metrics and health, comma separated
    #[arg(long, value_delimiter = ',', value_name = "URLS")]
    pub(super) listen_metrics_urls: Vec<String>,
    /// Certificate of this server
    #[arg(long, alias = "server-cert-file", value_name = "FILE")]
    pub(super) cert_file: Option<PathBuf>,
    /// Key of --cert-file
    #[arg(long, alias = "server-key-file", value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Authority of the clients' certificates; clients must then have one
    #[arg(long, value_name = "FILE")]
    pub(super) trusted_ca_file: Option<PathBuf>,
    /// Refuse clients without a certificate of --trusted-ca-file
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    pub(super) client_cert_auth: bool,
    /// Kind of the clients' tokens: simple, or jwt,sign-method=RS256,pub-key=FILE,priv-key=FILE,ttl=10m
    #[arg(long, default_value = "simple", value_name = "TOKEN")]
    pub(super) auth_token: String,
    /// Seconds that a simple token lives without being used
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(super) auth_token_ttl: u32,
    /// Cost of hashing passwords, from 4 to 31; anything else means 10
    #[arg(long, default_value_t = 10, value_name = "COST")]
    pub(super) bcrypt_cost: u32,

    /// Authority of the database's certificate
    #[arg(long, alias = "datastore-cafile", value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Client certificate shown to the database
    #[arg(long, value_name = "FILE")]
    pub(super) datastore_certfile: Option<PathBuf>,
    /// Key of --datastore-certfile
    #[arg(long, value_name = "FILE")]
    pub(super) datastore_keyfile: Option<PathBuf>,
    /// What linearizable reads ride on: read (the HA tool fences a deposed primary) or commit (synchronous replication does)
    #[arg(long, default_value = "read", value_parser = ["read", "commit"])]
    pub(super) fence: String,

    /// Largest request in bytes
    #[arg(long, default_value_t = 3 << 19)]
    pub(super) max_request_bytes: usize,
    /// Most operations of one transaction
    #[arg(long, default_value_t = 128)]
    pub(super) max_txn_ops: usize,
    /// Size of the store at which writes are refused and the alarm NOSPACE is raised; 0 sets no limit
    #[arg(long, default_value_t = 0)]
    pub(super) quota_backend_bytes: i64,
    /// How often watches that asked for progress hear of it
    #[arg(long, alias = "experimental-watch-progress-notify-interval", default_value = "10m", value_name = "DURATION")]
    pub(super) watch_progress_notify_interval: String,
    /// What --auto-compaction-retention counts: periodic (time) or revision
    #[arg(long, default_value = "periodic", value_parser = ["periodic", "revision"])]
    pub(super) auto_compaction_mode: String,
    /// History to keep: hours or a duration, or revisions; 0 compacts nothing
    #[arg(long, default_value = "0", value_name = "HISTORY")]
    pub(super) auto_compaction_retention: String,

    /// debug, info, warn or error
    #[arg(long, default_value = "info", value_parser = ["trace", "debug", "info", "warn", "error", "dpanic", "panic", "fatal"])]
    pub(super) log_level: String,
    /// json or console
    #[arg(long, default_value = "console", value_parser = ["json", "console", "text"])]
    pub(super) log_format: String,
    /// kine's spelling of --log-level=debug
    #[arg(long)]
    pub(super) debug: bool,
}

/// Flags of etcd and kine that have no meaning here, and whether a value follows.
const WITHOUT_EFFECT: &[(&str, bool)] = &[
    ("auto-tls", false),
    ("compact-batch-size", true),
    ("compact-interval", true),
    ("compact-min-retain", true),
    ("compact-timeout", true),
    ("datastore-connection-max-lifetime", true),
    ("datastore-max-idle-connections", true),
    ("datastore-max-open-connections", true),
    ("election-timeout", true),
    ("enable-grpc-gateway", false),
    ("enable-pprof", false),
    ("experimental-initial-corrupt-check", false),
    ("feature-gates", true),
    ("heartbeat-interval", true),
    ("initial-advertise-peer-urls", true),
    ("initial-cluster", true),
    ("initial-cluster-state", true),
    ("initial-cluster-token", true),
    ("initial-election-tick-advance", false),
    ("listen-peer-urls", true),
    ("log-outputs", true),
    ("logger", true),
    ("max-concurrent-streams", true),
    ("max-snapshots", true),
    ("max-wals", true),
    ("metrics", true),
    ("peer-auto-tls", false),
    ("peer-cert-file", true),
    ("peer-client-cert-auth", false),
    ("peer-key-file", true),
    ("peer-trusted-ca-file", true),
    ("poll-batch-size", true),
    ("pre-vote", false),
    ("slow-sql-threshold", true),
    ("snapshot-count", true),
    ("strict-reconfig-check", false),
    ("wal-dir", true),
    ("watch-progress-notify", false),
];

/// Takes the flags without effect out, and gives single-dash flags, which Go's programs accept, their second dash. Returns the
/// names taken out.
pub(super) fn normalized(args: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, Vec<&'static str>) {
    let (mut kept, mut ignored) = (Vec::new(), Vec::new());
    let mut args = args.into_iter();
    kept.extend(args.next());
    while let Some(arg) = args.next() {
        let Some(text) = arg.to_str() else {
            kept.push(arg);
            continue;
        };
        let is_short = text.starts_with('-') && !text.starts_with("--") && text.len() > 2;
        let name = text.trim_start_matches('-').split('=').next().unwrap_or_default();
        match WITHOUT_EFFECT.iter().find(|(known, _)| text.starts_with('-') && *known == name) {
            Some((known, takes_value)) => {
                ignored.push(*known);
                if *takes_value && !text.contains('=') {
                    args.next();
                }
            }
            None if is_short => kept.push(format!("-{text}").into()),
            None => kept.push(arg),
        }
    }
    (kept, ignored)
}
