//! The command line as clap sees it: etcd's names, and kine's where etcd has none or they do not collide. Values are
//! checked in the parent module; nothing outside it sees these types.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// The etcd v3 API on PostgreSQL or an embedded SQLite file.
#[derive(Parser, Debug)]
#[command(
    name = "kine-shim",
    version,
    args_override_self = true,
    after_help = "Without flags: an embedded store under ./data, served on http://127.0.0.1:2379.\n\
        Moving in and out: kine-shim import --help, kine-shim export --help.\n\
        Every flag is also read from the environment (KINE_SHIM_MAX_TXN_OPS, else ETCD_MAX_TXN_OPS), then from --config-file.\n\
        Flags of etcd and kine that mean nothing here are accepted with a warning."
)]
pub(super) struct Flags {
    /// Where the data lives: postgres://…, sqlite://FILE or memory: [default: a SQLite file in --data-dir]
    #[arg(help_heading = "Store", long, value_name = "URL")]
    pub(super) endpoint: Option<String>,
    /// YAML with the same names as the flags, as etcd's file; what flags or the environment say goes before it
    #[arg(help_heading = "Store", long, value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// Folder of the embedded store [default: data; of a program called etcd: NAME.etcd]
    #[arg(help_heading = "Store", long)]
    pub(super) data_dir: Option<PathBuf>,
    /// The embedded store does not wait for the disk: a crash of the machine may damage it
    #[arg(help_heading = "Store", long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    pub(super) unsafe_no_fsync: bool,
    /// A human-readable name of this server
    #[arg(help_heading = "Store", long, default_value = "default")]
    pub(super) name: String,

    /// URLs to listen on, comma separated: http://, https:// or unix:// [default: http://127.0.0.1:2379]
    #[arg(help_heading = "Listening", long, value_delimiter = ',', value_name = "URLS")]
    pub(super) listen_client_urls: Vec<String>,
    /// kine's spelling of one listening address: HOST:PORT, tcp:// or unix://
    #[arg(help_heading = "Listening", long, value_name = "ADDRESS", conflicts_with = "listen_client_urls")]
    pub(super) listen_address: Option<String>,
    /// URLs that clients are told to use, comma separated [default: --listen-client-urls]
    #[arg(help_heading = "Listening", long, value_delimiter = ',', value_name = "URLS")]
    pub(super) advertise_client_urls: Vec<String>,
    /// HOST:PORT where the other shims of the same database hand over writes, or none: they then take turns
    /// [default: any free port of the first client URL's host]
    #[arg(help_heading = "Listening", long, value_name = "ADDRESS")]
    pub(super) peer_address: Option<String>,
    /// URLs that answer only /metrics and health, comma separated
    #[arg(help_heading = "Profiling and monitoring", long, value_delimiter = ',', value_name = "URLS")]
    pub(super) listen_metrics_urls: Vec<String>,
    /// URLs that answer HTTP without gRPC (pages and the JSON gateway), comma separated; --listen-client-urls then
    /// answer gRPC alone
    #[arg(help_heading = "Listening", long, value_delimiter = ',', value_name = "URLS")]
    pub(super) listen_client_http_urls: Vec<String>,
    /// Serve the JSON gateway under /v3/
    #[arg(help_heading = "Listening", long, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    pub(super) enable_grpc_gateway: bool,
    /// Origins whose scripts browsers let read answers, comma separated; * is all
    #[arg(help_heading = "Listening", long, value_delimiter = ',', default_value = "*", value_name = "ORIGINS")]
    pub(super) cors: Vec<String>,
    /// Host names that HTTP requests without TLS may ask for, comma separated; * is all
    #[arg(help_heading = "Listening", long, value_delimiter = ',', default_value = "*", value_name = "HOSTS")]
    pub(super) host_whitelist: Vec<String>,
    /// Streams that one HTTP/2 connection may have open at once
    #[arg(help_heading = "Listening", long, default_value_t = u32::MAX)]
    pub(super) max_concurrent_streams: u32,
    /// A connection that is silent so long is asked whether it lives; 0 never asks
    #[arg(help_heading = "Listening", long, default_value = "30s", value_name = "DURATION")]
    pub(super) grpc_keepalive_interval: String,
    /// How long it may take to say so before it is closed
    #[arg(help_heading = "Listening", long, default_value = "20s", value_name = "DURATION")]
    pub(super) grpc_keepalive_timeout: String,
    /// Let another process listen on the same ports (SO_REUSEPORT)
    #[arg(help_heading = "Listening", long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    pub(super) socket_reuse_port: bool,
    /// Listen on a port whose last connections are not quite gone (SO_REUSEADDR); always so here
    #[arg(help_heading = "Listening", long, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    pub(super) socket_reuse_address: bool,

    /// Certificate of this server
    #[arg(help_heading = "Security", long, alias = "server-cert-file", value_name = "FILE")]
    pub(super) cert_file: Option<PathBuf>,
    /// Key of --cert-file
    #[arg(help_heading = "Security", long, alias = "server-key-file", value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Authority of the clients' certificates; clients must then have one
    #[arg(help_heading = "Security", long, value_name = "FILE")]
    pub(super) trusted_ca_file: Option<PathBuf>,
    /// Refuse clients without a certificate of --trusted-ca-file
    #[arg(help_heading = "Security", long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    pub(super) client_cert_auth: bool,
    /// Kind of the clients' tokens: simple, or jwt,sign-method=RS256,pub-key=FILE,priv-key=FILE,ttl=10m
    #[arg(help_heading = "Security", long, default_value = "simple", value_name = "TOKEN")]
    pub(super) auth_token: String,
    /// Seconds that a simple token lives without being used
    #[arg(help_heading = "Security", long, default_value_t = 300, value_name = "SECONDS")]
    pub(super) auth_token_ttl: u32,
    /// Cost of hashing passwords, from 4 to 31; anything else means 10
    #[arg(help_heading = "Security", long, default_value_t = 10, value_name = "COST")]
    pub(super) bcrypt_cost: u32,

    /// List of revoked client certificates
    #[arg(help_heading = "Security", long, value_name = "FILE")]
    pub(super) client_crl_file: Option<PathBuf>,
    /// Host names and addresses, comma separated: a client's certificate must name one of them [default: any]
    #[arg(help_heading = "Security", long, value_delimiter = ',', value_name = "NAMES")]
    pub(super) client_cert_allowed_hostname: Vec<String>,
    /// Without --cert-file: make a certificate and sign it ourselves
    #[arg(help_heading = "Security", long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    pub(super) auto_tls: bool,
    /// Years that such a certificate is good for
    #[arg(help_heading = "Security", long, default_value_t = 1, value_name = "YEARS")]
    pub(super) self_signed_cert_validity: u32,
    /// Suites of TLS 1.2 and 1.3 to offer, by their standard names, comma separated [default: all safe ones]
    #[arg(help_heading = "Security", long, value_delimiter = ',', value_name = "SUITES")]
    pub(super) cipher_suites: Vec<String>,
    /// Lowest TLS version
    #[arg(help_heading = "Security", long, default_value = "TLS1.2", value_parser = ["TLS1.2", "TLS1.3"])]
    pub(super) tls_min_version: String,
    /// Highest TLS version [default: TLS1.3]
    #[arg(help_heading = "Security", long, default_value = "", hide_default_value = true, value_parser = ["", "TLS1.2", "TLS1.3"])]
    pub(super) tls_max_version: String,

    /// Authority of the database's certificate
    #[arg(help_heading = "Database", long, alias = "datastore-cafile", value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Client certificate shown to the database
    #[arg(help_heading = "Database", long, value_name = "FILE")]
    pub(super) datastore_certfile: Option<PathBuf>,
    /// Key of --datastore-certfile
    #[arg(help_heading = "Database", long, value_name = "FILE")]
    pub(super) datastore_keyfile: Option<PathBuf>,
    /// What linearizable reads ride on: read (the HA tool fences a deposed primary) or commit (synchronous replication
    /// does)
    #[arg(help_heading = "Database", long, alias = "fence", default_value = "read", value_parser = ["read", "commit"])]
    pub(super) read_index: String,

    /// Largest request in bytes
    #[arg(help_heading = "Limits and history", long, default_value_t = 3 << 19)]
    pub(super) max_request_bytes: usize,
    /// Most operations of one transaction
    #[arg(help_heading = "Limits and history", long, default_value_t = 128)]
    pub(super) max_txn_ops: usize,
    /// Size of the store at which writes are refused and the alarm NOSPACE is raised; 0 sets no limit
    #[arg(help_heading = "Limits and history", long, default_value_t = 0)]
    pub(super) quota_backend_bytes: i64,
    /// How often watches that asked for progress hear of it
    #[arg(
        help_heading = "Limits and history",
        long,
        alias = "experimental-watch-progress-notify-interval",
        default_value = "10m",
        value_name = "DURATION"
    )]
    pub(super) watch_progress_notify_interval: String,
    /// What --auto-compaction-retention counts: periodic (time) or revision
    #[arg(help_heading = "Limits and history", long, default_value = "periodic", value_parser = ["periodic", "revision"])]
    pub(super) auto_compaction_mode: String,
    /// History to keep: hours or a duration, or revisions; 0 compacts nothing
    #[arg(help_heading = "Limits and history", long, default_value = "0", value_name = "HISTORY")]
    pub(super) auto_compaction_retention: String,

    /// Profiles of the running server under /debug/pprof/
    #[arg(help_heading = "Profiling and monitoring", long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    pub(super) enable_pprof: bool,
    /// basic, or extensive: histograms of RPCs too
    #[arg(help_heading = "Profiling and monitoring", long, default_value = "basic", value_parser = ["basic", "extensive"])]
    pub(super) metrics: String,
    /// An RPC that is not a stream and takes longer is warned of; 0 warns of none
    #[arg(
        help_heading = "Profiling and monitoring",
        long,
        alias = "experimental-warning-unary-request-duration",
        default_value = "300ms",
        value_name = "DURATION"
    )]
    pub(super) warning_unary_request_duration: String,

    /// debug, info, warn or error
    #[arg(help_heading = "Logging", long, default_value = "info", value_parser = ["trace", "debug", "info", "warn", "error", "dpanic", "panic", "fatal"])]
    pub(super) log_level: String,
    /// json or console
    #[arg(help_heading = "Logging", long, default_value = "console", value_parser = ["json", "console", "text"])]
    pub(super) log_format: String,
    /// default, stderr, stdout or files, comma separated
    #[arg(help_heading = "Logging", long, value_delimiter = ',', default_value = "default", value_name = "OUTPUTS")]
    pub(super) log_outputs: Vec<String>,
    /// kine's spelling of --log-level=debug
    #[arg(help_heading = "Logging", long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    pub(super) debug: bool,
}
