//! The one validated configuration. In goes the command line, out comes a [`Config`] whose parts fit together, or an
//! error that names the flag. Nothing is opened here but for a look at which files are named.

pub(crate) mod duration;
mod error;
mod flags;
mod listener;
mod program;
mod sources;

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, CommandFactory, FromArgMatches};
use rustls::pki_types::ServerName;

pub use self::{
    error::ConfigError,
    listener::{Address, Listener},
};
use self::{
    error::wrong,
    flags::Flags,
    program::{Program, refuse_etcds},
};
use crate::{
    auth::password,
    log::{Endpoint, Fsync, Options, ReadIndexMode},
};

/// The embedded store in a data directory.
pub const STATE_FILE: &str = "state.db";
const DEFAULT_LISTEN: &str = "http://127.0.0.1:2379";
const REQUEST_BYTES_MIN: usize = 1024;
/// A request becomes one batch, and a batch one message to the database.
const REQUEST_BYTES_MAX: usize = 256 << 20;
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(20);
/// Far above etcd's 128; a transaction is evaluated in one go.
const TXN_OPS_MAX: usize = 1 << 16;

#[derive(Clone, Debug)]
pub struct Config {
    pub name: String,
    pub endpoint: Endpoint,
    pub log: Options,
    pub listeners: Vec<Listener>,
    /// HTTP alone; the client listeners then serve gRPC alone.
    pub http_listeners: Vec<Listener>,
    pub metrics_listeners: Vec<Listener>,
    pub advertise_client_urls: Vec<String>,
    /// Where other shims hand over writes; `None`: nowhere.
    pub peer_address: Option<String>,
    pub tls: Option<TlsFiles>,
    /// `--auth-token` as given; what it names is read when the services start.
    pub auth_token: String,
    pub auth_token_ttl: Duration,
    pub bcrypt_cost: u32,
    pub max_request_bytes: usize,
    pub max_txn_ops: usize,
    pub quota_backend_bytes: i64,
    pub progress_interval: Duration,
    pub compaction: Compaction,
    pub http: HttpOptions,
    pub log_level: &'static str,
    pub log_format: LogFormat,
    pub log_outputs: Vec<String>,
    /// What the operator should know, to be logged once there is a log.
    pub warnings: Vec<String>,
}

/// What connections may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    pub gateway: bool,
    pub cors: Vec<String>,
    pub host_whitelist: Vec<String>,
    pub max_concurrent_streams: u32,
    /// `None`: a silent connection is never asked.
    pub keepalive_interval: Option<Duration>,
    pub keepalive_within: Duration,
    pub reuse_port: bool,
    pub pprof: bool,
    pub extensive_metrics: bool,
    /// `None`: no RPC is slow.
    pub slow_rpc: Option<Duration>,
}

/// As etcd has it, an authority alone already means that clients must have a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub trusted_ca: Option<PathBuf>,
    /// A certificate names its client to the auth store.
    pub client_cert_auth: bool,
    pub client_crl: Option<PathBuf>,
    /// Of the certificates of `trusted_ca`, only those for one of these hosts; empty: all.
    pub client_hostnames: Vec<ServerName<'static>>,
    /// Standard names; empty: all safe ones.
    pub cipher_suites: Vec<String>,
    pub versions: TlsVersions,
    /// The certificate is to be made, if it is not there yet, and is good for so long.
    pub self_signed_years: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersions {
    From12,
    Only12,
    Only13,
}

/// History that compaction by itself leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compaction {
    Never,
    Keep(Duration),
    KeepRevisions(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Console,
    Json,
}

impl Config {
    /// The first argument is the program's name; the environment's variables may be any.
    pub fn from_sources(
        args: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        // As with Go's flags, the last of a repeated one counts, lists as well.
        let last_list = |arg: Arg| match arg.get_action() {
            ArgAction::Append => arg.action(ArgAction::Set),
            _ => arg,
        };
        let args: Vec<OsString> = args.into_iter().collect();
        let program = Program::called(args.first().map(OsString::as_os_str));
        let command = program.names(Flags::command().mut_args(last_list));
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let line = sources::command_line(&command, args, environment.clone())?;
        let mut flags = Flags::from_arg_matches(&command.try_get_matches_from(line.args)?)?;
        flags.data_dir.get_or_insert_with(|| program.data_dir(&flags.name));
        let mut config = Self::from_flags(flags)?;
        config.warnings.extend(line.warnings);
        config.log.learn_password(&environment);
        Ok(config)
    }

    fn from_flags(flags: Flags) -> Result<Self, ConfigError> {
        let tls = tls_files(&flags)?;
        let listeners = listeners(&flags, tls.is_some())?;
        let http_listeners = parsed("listen-client-http-urls", &flags.listen_client_http_urls)?;
        let metrics_listeners = parsed("listen-metrics-urls", &flags.listen_metrics_urls)?;
        if tls.is_none() && listeners.iter().chain(&http_listeners).chain(&metrics_listeners).any(|of| of.tls) {
            return Err(wrong("cert-file", "a https:// URL needs --cert-file and --key-file"));
        }
        if !(REQUEST_BYTES_MIN..=REQUEST_BYTES_MAX).contains(&flags.max_request_bytes) {
            let reason = format!("must be from {REQUEST_BYTES_MIN} to {REQUEST_BYTES_MAX}");
            return Err(wrong("max-request-bytes", reason));
        }
        if !(1..=TXN_OPS_MAX).contains(&flags.max_txn_ops) {
            return Err(wrong("max-txn-ops", format!("must be from 1 to {TXN_OPS_MAX}")));
        }
        let interval = "watch-progress-notify-interval";
        let progress_interval = duration::parse(&flags.watch_progress_notify_interval)
            .filter(|interval| !interval.is_zero())
            .ok_or_else(|| wrong(interval, "expected a duration such as 5s or 10m"))?;
        Ok(Self {
            endpoint: endpoint(&flags)?,
            log: log_options(&flags)?,
            advertise_client_urls: advertised(&flags, &listeners)?,
            peer_address: peer_address(&flags, &listeners),
            warnings: warnings(&flags, &listeners),
            http: http_options(&flags)?,
            listeners,
            http_listeners,
            metrics_listeners,
            tls,
            bcrypt_cost: bcrypt_cost(&flags),
            auth_token_ttl: Duration::from_secs(flags.auth_token_ttl.into()),
            auth_token: flags.auth_token.clone(),
            max_request_bytes: flags.max_request_bytes,
            max_txn_ops: flags.max_txn_ops,
            quota_backend_bytes: flags.quota_backend_bytes,
            progress_interval,
            compaction: compaction(&flags)?,
            log_level: log_level(&flags),
            log_outputs: flags.log_outputs.clone(),
            log_format: if flags.log_format == "json" { LogFormat::Json } else { LogFormat::Console },
            name: flags.name,
        })
    }
}

/// The effective configuration, for the log. The endpoint hides its password itself.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |listeners: &[Listener]| listeners.iter().map(Listener::to_string).collect::<Vec<_>>().join(",");
        write!(f, "--name={} --endpoint={}", self.name, self.endpoint)?;
        write!(f, " --listen-client-urls={}", list(&self.listeners))?;
        write!(f, " --advertise-client-urls={}", self.advertise_client_urls.join(","))?;
        write!(f, " --peer-address={}", self.peer_address.as_deref().unwrap_or("none"))?;
        write!(f, " --listen-client-http-urls={}", list(&self.http_listeners))?;
        write!(f, " --listen-metrics-urls={}", list(&self.metrics_listeners))?;
        write!(f, "{}", self.http)?;
        if let Some(tls) = &self.tls {
            write!(f, " --cert-file={} --key-file={}", tls.cert.display(), tls.key.display())?;
            write!(f, " --cipher-suites={} TLS versions {:?}", tls.cipher_suites.join(","), tls.versions)?;
            if let Some(list) = &tls.client_crl {
                write!(f, " --client-crl-file={}", list.display())?;
            }
            if let Some(ca) = &tls.trusted_ca {
                write!(f, " --trusted-ca-file={} --client-cert-auth={}", ca.display(), tls.client_cert_auth)?;
                let names: Vec<_> = tls.client_hostnames.iter().map(ServerName::to_str).collect();
                write!(f, " --client-cert-allowed-hostname={}", names.join(","))?;
            }
        }
        write!(f, " --auth-token={} --auth-token-ttl={}", self.auth_token, self.auth_token_ttl.as_secs())?;
        write!(f, " --bcrypt-cost={}", self.bcrypt_cost)?;
        let read_index = if self.log.read_index == ReadIndexMode::Commit { "commit" } else { "read" };
        write!(f, " --read-index={read_index} --max-request-bytes={}", self.max_request_bytes)?;
        write!(f, " --max-txn-ops={} --quota-backend-bytes={}", self.max_txn_ops, self.quota_backend_bytes)?;
        write!(f, " --watch-progress-notify-interval={:?}", self.progress_interval)?;
        match self.compaction {
            Compaction::Never => write!(f, " --auto-compaction-retention=0")?,
            Compaction::Keep(time) => {
                write!(f, " --auto-compaction-mode=periodic --auto-compaction-retention={time:?}")?;
            }
            Compaction::KeepRevisions(revisions) => {
                write!(f, " --auto-compaction-mode=revision --auto-compaction-retention={revisions}")?;
            }
        }
        write!(f, " --log-level={} --log-format={:?}", self.log_level, self.log_format)?;
        write!(f, " --log-outputs={}", self.log_outputs.join(","))
    }
}

impl fmt::Display for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " --enable-grpc-gateway={} --enable-pprof={}", self.gateway, self.pprof)?;
        write!(f, " --metrics={}", if self.extensive_metrics { "extensive" } else { "basic" })?;
        write!(f, " --cors={} --host-whitelist={}", self.cors.join(","), self.host_whitelist.join(","))?;
        write!(f, " --max-concurrent-streams={}", self.max_concurrent_streams)?;
        write!(f, " --grpc-keepalive-interval={:?}", self.keepalive_interval.unwrap_or_default())?;
        write!(f, " --grpc-keepalive-timeout={:?}", self.keepalive_within)?;
        write!(f, " --socket-reuse-port={}", self.reuse_port)?;
        write!(f, " --warning-unary-request-duration={:?}", self.slow_rpc.unwrap_or_default())
    }
}

/// A store of one process has no other shims.
fn peer_address(flags: &Flags, listeners: &[Listener]) -> Option<String> {
    let is_shared = flags.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("postgres"));
    let host = listeners.iter().find_map(|listener| match &listener.address {
        Address::Tcp(address) => address.rsplit_once(':').map(|(host, _)| host),
        Address::Unix(_) => None,
    });
    let any_port = || format!("{}:0", host.unwrap_or("127.0.0.1"));
    let address = flags.peer_address.clone().filter(|address| !address.is_empty()).unwrap_or_else(any_port);
    Some(address).filter(|address| is_shared && address != "none")
}

fn http_options(flags: &Flags) -> Result<HttpOptions, ConfigError> {
    let time = |flag: &'static str, text: &str| {
        duration::parse(text).ok_or_else(|| wrong(flag, "expected a duration such as 5s or 10m"))
    };
    let keepalive_interval = time("grpc-keepalive-interval", &flags.grpc_keepalive_interval)?;
    let keepalive_within = time("grpc-keepalive-timeout", &flags.grpc_keepalive_timeout)?;
    let slow_rpc = time("warning-unary-request-duration", &flags.warning_unary_request_duration)?;
    if flags.max_concurrent_streams == 0 {
        return Err(wrong("max-concurrent-streams", "must not be 0"));
    }
    Ok(HttpOptions {
        gateway: flags.enable_grpc_gateway,
        cors: flags.cors.clone(),
        host_whitelist: flags.host_whitelist.clone(),
        max_concurrent_streams: flags.max_concurrent_streams,
        keepalive_interval: Some(keepalive_interval).filter(|time| !time.is_zero()),
        // 0 stands for "for ever", which no connection should be.
        keepalive_within: if keepalive_within.is_zero() { KEEPALIVE_WITHIN } else { keepalive_within },
        reuse_port: flags.socket_reuse_port,
        pprof: flags.enable_pprof,
        extensive_metrics: flags.metrics == "extensive",
        slow_rpc: Some(slow_rpc).filter(|time| !time.is_zero()),
    })
}

fn endpoint(flags: &Flags) -> Result<Endpoint, ConfigError> {
    match flags.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) {
        Some(endpoint) => endpoint.parse().map_err(|error| wrong("endpoint", error)),
        None => {
            refuse_etcds(&data_dir(flags))?;
            Ok(Endpoint::Sqlite { file: data_dir(flags).join(STATE_FILE) })
        }
    }
}

fn data_dir(flags: &Flags) -> PathBuf {
    flags.data_dir.clone().unwrap_or_default()
}

fn log_options(flags: &Flags) -> Result<Options, ConfigError> {
    let (cert_file, key_file) = (flags.datastore_certfile.clone(), flags.datastore_keyfile.clone());
    if cert_file.is_some() != key_file.is_some() {
        return Err(wrong("datastore-certfile", "goes together with --datastore-keyfile"));
    }
    let files = [("ca-file", &flags.ca_file), ("datastore-certfile", &cert_file), ("datastore-keyfile", &key_file)];
    readable(&files)?;
    let read_index = if flags.read_index == "commit" { ReadIndexMode::Commit } else { ReadIndexMode::Read };
    let fsync = if flags.unsafe_no_fsync { Fsync::Never } else { Fsync::Always };
    Ok(Options { ca_file: flags.ca_file.clone(), cert_file, key_file, read_index, fsync, ..Options::default() })
}

fn readable(files: &[(&'static str, &Option<PathBuf>)]) -> Result<(), ConfigError> {
    for (flag, file) in files {
        if let Some(file) = file {
            std::fs::metadata(file).map_err(|error| wrong(flag, format!("{}: {error}", file.display())))?;
        }
    }
    Ok(())
}

fn tls_files(flags: &Flags) -> Result<Option<TlsFiles>, ConfigError> {
    if flags.client_cert_auth && flags.trusted_ca_file.is_none() {
        return Err(wrong("client-cert-auth", "needs --trusted-ca-file"));
    }
    let files = [
        ("cert-file", &flags.cert_file),
        ("key-file", &flags.key_file),
        ("trusted-ca-file", &flags.trusted_ca_file),
        ("client-crl-file", &flags.client_crl_file),
    ];
    readable(&files)?;
    if flags.client_crl_file.is_some() && flags.trusted_ca_file.is_none() {
        return Err(wrong("client-crl-file", "needs --trusted-ca-file"));
    }
    let client_hostnames = client_hostnames(flags)?;
    let made = data_dir(flags).join("tls");
    let (cert, key) = match (&flags.cert_file, &flags.key_file) {
        (Some(cert), Some(key)) => (cert.clone(), key.clone()),
        (None, None) if flags.auto_tls => (made.join("cert.pem"), made.join("key.pem")),
        (None, None) if flags.trusted_ca_file.is_some() => {
            return Err(wrong("trusted-ca-file", "needs --cert-file and --key-file"));
        }
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(wrong("key-file", "goes together with --cert-file")),
        (None, Some(_)) => return Err(wrong("cert-file", "goes together with --key-file")),
    };
    let versions = match (flags.tls_min_version.as_str(), flags.tls_max_version.as_str()) {
        ("TLS1.3", "TLS1.2") => return Err(wrong("tls-max-version", "is below --tls-min-version")),
        ("TLS1.3", _) => TlsVersions::Only13,
        (_, "TLS1.2") => TlsVersions::Only12,
        _ => TlsVersions::From12,
    };
    Ok(Some(TlsFiles {
        cert,
        key,
        trusted_ca: flags.trusted_ca_file.clone(),
        client_cert_auth: flags.client_cert_auth,
        client_crl: flags.client_crl_file.clone(),
        client_hostnames,
        cipher_suites: flags.cipher_suites.iter().map(|suite| suite.trim().to_owned()).collect(),
        versions,
        self_signed_years: flags.cert_file.is_none().then_some(flags.self_signed_cert_validity),
    }))
}

fn client_hostnames(flags: &Flags) -> Result<Vec<ServerName<'static>>, ConfigError> {
    let flag = "client-cert-allowed-hostname";
    let names = &flags.client_cert_allowed_hostname;
    if !names.is_empty() && flags.trusted_ca_file.is_none() {
        return Err(wrong(flag, "needs --trusted-ca-file"));
    }
    let parse = |name: &String| ServerName::try_from(name.trim().to_owned()).map_err(|error| wrong(flag, error));
    names.iter().map(parse).collect()
}

fn parsed(flag: &'static str, urls: &[String]) -> Result<Vec<Listener>, ConfigError> {
    urls.iter().map(|url| url.trim().parse().map_err(|error| wrong(flag, error))).collect()
}

fn listeners(flags: &Flags, tls: bool) -> Result<Vec<Listener>, ConfigError> {
    match &flags.listen_address {
        Some(address) => Ok(vec![Listener::from_kine(address, tls).map_err(|error| wrong("listen-address", error))?]),
        None if flags.listen_client_urls.is_empty() => parsed("listen-client-urls", &[DEFAULT_LISTEN.to_owned()]),
        None => parsed("listen-client-urls", &flags.listen_client_urls),
    }
}

fn advertised(flags: &Flags, listeners: &[Listener]) -> Result<Vec<String>, ConfigError> {
    let urls = &flags.advertise_client_urls;
    for url in urls {
        let known = ["http://", "https://", "unix://", "unixs://"].iter().any(|scheme| url.starts_with(scheme));
        let uri = url.parse::<http::Uri>().ok().filter(|uri| uri.authority().is_some() || url.starts_with("unix"));
        if !known || uri.is_none() {
            return Err(wrong("advertise-client-urls", format!("{url:?} is not a URL such as https://10.0.0.1:2379")));
        }
    }
    if urls.is_empty() { Ok(listeners.iter().map(Listener::to_string).collect()) } else { Ok(urls.clone()) }
}

fn compaction(flags: &Flags) -> Result<Compaction, ConfigError> {
    let (flag, text) = ("auto-compaction-retention", flags.auto_compaction_retention.trim());
    if flags.auto_compaction_mode == "revision" {
        return match text.parse::<i64>() {
            Ok(0) => Ok(Compaction::Never),
            Ok(revisions @ 1..) => Ok(Compaction::KeepRevisions(revisions)),
            _ => Err(wrong(flag, "expected a number of revisions")),
        };
    }
    let hours = text.parse::<u32>().ok().map(|hours| Duration::from_secs(u64::from(hours) * 3600));
    match hours.or_else(|| duration::parse(text)) {
        Some(Duration::ZERO) => Ok(Compaction::Never),
        Some(time) => Ok(Compaction::Keep(time)),
        None => Err(wrong(flag, "expected hours or a duration such as 30m")),
    }
}

fn bcrypt_cost(flags: &Flags) -> u32 {
    if password::COSTS.contains(&flags.bcrypt_cost) { flags.bcrypt_cost } else { password::COST_DEFAULT }
}

fn log_level(flags: &Flags) -> &'static str {
    match flags.log_level.as_str() {
        _ if flags.debug => "debug",
        "trace" => "trace",
        "debug" => "debug",
        "info" => "info",
        "warn" => "warn",
        _ => "error",
    }
}

fn warnings(flags: &Flags, listeners: &[Listener]) -> Vec<String> {
    let mut warnings = Vec::new();
    if flags.auto_tls && flags.cert_file.is_some() {
        warnings.push("--auto-tls has no effect beside --cert-file".into());
    }
    for listener in listeners.iter().filter(|listener| !listener.tls && !listener.is_local()) {
        warnings.push(format!("{listener} takes anybody's requests in clear text: use https:// and --trusted-ca-file"));
    }
    let anywhere = |url: &String| url.contains("//0.0.0.0:") || url.contains("//[::]:");
    if flags.advertise_client_urls.is_empty() && listeners.iter().any(|listener| anywhere(&listener.to_string())) {
        warnings.push("clients are told an address that only this machine can use: set --advertise-client-urls".into());
    }
    if bcrypt_cost(flags) != flags.bcrypt_cost {
        warnings.push(format!("--bcrypt-cost={} is out of range: {} is used", flags.bcrypt_cost, bcrypt_cost(flags)));
    }
    if flags.cert_file.is_some() && listeners.iter().all(|listener| !listener.tls) {
        warnings.push("--cert-file has no effect: no https:// URL is listened on".into());
    }
    warnings
}

#[cfg(test)]
mod tests;
