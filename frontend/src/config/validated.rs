//! The one validated configuration of a frontend. Every number has its unit in its type, every limit was checked.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;

use super::{
    FlagError, Given,
    audit::{self, Audit},
    authentication::{self, Authentication},
    authorization::{self, Authorization, AuthorizationMode},
    typed::{bad, duration, integer, invalid, ip, limit, path, text},
};

/// Everything the wiring needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: Listen,
    /// The address in the endpoints of the kubernetes Service.
    pub advertise_address: IpAddr,
    pub external_hostname: Option<String>,
    pub etcd: Etcd,
    pub authentication: Authentication,
    pub authorization: Authorization,
    pub kubelet: Kubelet,
    pub audit: Audit,
    pub service_cidrs: Vec<IpNet>,
    /// Containers may run with all rights.
    pub allow_privileged: bool,
    /// How Services are reached that this server calls.
    pub routing: Routing,
    /// What aggregated servers know this server by.
    pub proxy_identity: Option<ProxyIdentity>,
    pub admission: AdmissionFlags,
    pub endpoint_reconciler: ReconcilerType,
    pub request_timeout: Duration,
    /// Requests handled at a time, by kind; none: no limit.
    pub reads_max: Option<usize>,
    pub mutations_max: Option<usize>,
    /// Watches end by themselves at a random moment between this and twice this.
    pub min_watch_timeout: Duration,
    pub delete_collection_workers: usize,
    pub shutdown_delay: Duration,
    pub event_ttl: Duration,
    pub log_json: bool,
    pub verbosity: u8,
    /// Levels of single modules, by pattern.
    pub module_verbosity: Vec<(String, u8)>,
}

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    pub address: IpAddr,
    /// 0 lets the system choose.
    pub port: u16,
    pub tls_cert_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
    pub cert_dir: PathBuf,
    pub tls13_only: bool,
    pub http2: bool,
    pub http2_streams_max: u32,
}

/// Which admission plugins run, and with what.
#[derive(Clone, Debug)]
pub struct AdmissionFlags {
    /// The old way: these plugins and no others, which may be none at all.
    pub only: Option<Vec<String>>,
    /// Besides those that run by default.
    pub enabled: Vec<String>,
    pub disabled: Vec<String>,
    pub config_file: Option<PathBuf>,
    /// How long a pod that says nothing stays on a node that is not ready, or not reachable.
    pub not_ready_seconds: i64,
    pub unreachable_seconds: i64,
}

impl Default for AdmissionFlags {
    fn default() -> Self {
        AdmissionFlags {
            only: None,
            enabled: Vec::new(),
            disabled: Vec::new(),
            config_file: None,
            not_ready_seconds: DEFAULT_STAY_SECONDS,
            unreachable_seconds: DEFAULT_STAY_SECONDS,
        }
    }
}

const DEFAULT_STAY_SECONDS: i64 = 300;

/// The store behind.
#[derive(Clone, Debug)]
pub struct Etcd {
    pub servers: Vec<String>,
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub prefix: String,
    pub health_timeout: Duration,
    /// 0: never.
    pub compaction_interval: Duration,
}

/// Files of a certificate and its key. They may be replaced while the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyIdentity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

fn proxy_identity(given: &Given) -> Result<Option<ProxyIdentity>, FlagError> {
    match (path(given, "proxy-client-cert-file"), path(given, "proxy-client-key-file")) {
        (Some(certificate), Some(key)) => Ok(Some(ProxyIdentity { certificate, key })),
        (None, None) => Ok(None),
        _ => Err(invalid("--proxy-client-cert-file and --proxy-client-key-file are needed together")),
    }
}

/// How Services are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// By the address of the Service.
    #[default]
    ClusterIp,
    /// By one of its endpoints.
    Endpoints,
}

/// How kubelets are called.
#[derive(Clone, Debug)]
pub struct Kubelet {
    /// Who signed their certificates; none: any certificate will do.
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// The kinds of addresses of a node, those first that are tried first.
    pub preferred_address_types: Vec<String>,
}

impl Default for Kubelet {
    fn default() -> Self {
        let types = ["Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"];
        Kubelet {
            ca_file: None,
            cert_file: None,
            key_file: None,
            preferred_address_types: types.map(str::to_owned).to_vec(),
        }
    }
}

/// Who keeps the endpoints of the kubernetes Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcilerType {
    /// Every server holds a leased key; the endpoints are those of all live keys.
    Lease,
    None,
}

/// The address by which this host reaches others: that of the interface with the default route. Nothing is sent.
fn host_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(198, 18, 0, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

impl Config {
    pub fn from_flags(given: &Given) -> Result<Config, FlagError> {
        refuse_insecure_ports(given)?;
        let listen = listen(given)?;
        let advertise_address = match given.last("advertise-address") {
            Some(text) => ip("advertise-address", text)?,
            None if listen.address.is_unspecified() || listen.address.is_loopback() => {
                host_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
            }
            None => listen.address,
        };
        let authorization = authorization::read(given)?;
        Ok(Config {
            advertise_address,
            external_hostname: text(given, "external-hostname"),
            etcd: etcd(given)?,
            authentication: authentication::read(given, anonymous_auth(given, &authorization))?,
            authorization,
            kubelet: kubelet(given)?,
            audit: audit::read(given)?,
            service_cidrs: service_cidrs(given)?,
            allow_privileged: given.is_true("allow-privileged"),
            routing: match given.is_true("enable-aggregator-routing") {
                true => Routing::Endpoints,
                false => Routing::ClusterIp,
            },
            proxy_identity: proxy_identity(given)?,
            admission: admission(given)?,
            endpoint_reconciler: reconciler(given)?,
            request_timeout: duration(given, "request-timeout", Duration::from_secs(60))?,
            reads_max: limit(given, "max-requests-inflight", 400)?,
            mutations_max: limit(given, "max-mutating-requests-inflight", 200)?,
            min_watch_timeout: Duration::from_secs(integer(given, "min-request-timeout", 1800)?),
            delete_collection_workers: usize::try_from(integer(given, "delete-collection-workers", 1)?).unwrap_or(1),
            shutdown_delay: duration(given, "shutdown-delay-duration", Duration::ZERO)?,
            event_ttl: duration(given, "event-ttl", Duration::from_secs(3600))?,
            log_json: log_json(given)?,
            verbosity: u8::try_from(integer(given, "v", 0)?).unwrap_or(u8::MAX),
            module_verbosity: module_verbosity(given)?,
            listen,
        })
    }
}

/// A port without TLS is not opened, and not silently left closed.
fn refuse_insecure_ports(given: &Given) -> Result<(), FlagError> {
    for flag in ["port", "insecure-port"] {
        if let Some(port) = given.last(flag).filter(|port| *port != "0") {
            return Err(invalid(format!(
                "--{flag}={port}: serving without TLS is gone; use --secure-port and --bind-address (--{flag}=0 is accepted)"
            )));
        }
    }
    Ok(())
}

/// Who may do everything must at least say who he is: AlwaysAllow turns anonymous requests off.
fn anonymous_auth(given: &Given, authorization: &Authorization) -> bool {
    let asked = given.last("anonymous-auth").is_none() || given.is_true("anonymous-auth");
    asked && !authorization.modes.contains(&AuthorizationMode::AlwaysAllow)
}

fn listen(given: &Given) -> Result<Listen, FlagError> {
    let (tls_cert_file, tls_key_file) = (path(given, "tls-cert-file"), path(given, "tls-private-key-file"));
    if tls_cert_file.is_some() != tls_key_file.is_some() {
        return Err(invalid("--tls-cert-file and --tls-private-key-file must be given together"));
    }
    let tls13_only = match given.last("tls-min-version") {
        None | Some("" | "VersionTLS12" | "VersionTLS11" | "VersionTLS10") => false,
        Some("VersionTLS13") => true,
        Some(other) => return Err(invalid(format!("--tls-min-version: unknown tls version {other:?}"))),
    };
    let port = integer(given, "secure-port", 6443)?;
    Ok(Listen {
        address: given.last("bind-address").map_or(Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)), |t| ip("bind-address", t))?,
        port: u16::try_from(port)
            .map_err(|_| invalid(format!("--secure-port {port} must be between 0 and 65535, inclusive")))?,
        tls_cert_file,
        tls_key_file,
        cert_dir: path(given, "cert-dir").unwrap_or_else(|| PathBuf::from("/var/run/kubernetes")),
        tls13_only,
        http2: !given.is_true("disable-http2-serving"),
        http2_streams_max: match integer(given, "http2-max-streams-per-connection", 0)? {
            0 => 100,
            n => u32::try_from(n).map_err(|_| invalid("--http2-max-streams-per-connection is too large"))?,
        },
    })
}

fn etcd(given: &Given) -> Result<Etcd, FlagError> {
    let servers = given.all("etcd-servers").to_vec();
    if servers.is_empty() {
        return Err(invalid("--etcd-servers must be specified"));
    }
    match given.last("storage-backend") {
        None | Some("" | "etcd3") => {}
        Some(other) => {
            return Err(invalid(format!("--storage-backend invalid, allowed values: etcd3, got {other:?}")));
        }
    }
    match given.last("storage-media-type") {
        None | Some("" | "application/vnd.kubernetes.protobuf") => {}
        Some(other) => {
            return Err(invalid(format!(
                "--storage-media-type {other:?} invalid, allowed values: application/vnd.kubernetes.protobuf"
            )));
        }
    }
    let (cert_file, key_file) = (path(given, "etcd-certfile"), path(given, "etcd-keyfile"));
    if cert_file.is_some() != key_file.is_some() {
        return Err(invalid("--etcd-certfile and --etcd-keyfile must be given together"));
    }
    Ok(Etcd {
        servers,
        ca_file: path(given, "etcd-cafile"),
        cert_file,
        key_file,
        prefix: text(given, "etcd-prefix").unwrap_or_else(|| "/registry".to_owned()),
        health_timeout: duration(given, "etcd-healthcheck-timeout", Duration::from_secs(2))?,
        compaction_interval: duration(given, "etcd-compaction-interval", Duration::from_secs(300))?,
    })
}

fn kubelet(given: &Given) -> Result<Kubelet, FlagError> {
    let (cert_file, key_file) = (path(given, "kubelet-client-certificate"), path(given, "kubelet-client-key"));
    if cert_file.is_some() != key_file.is_some() {
        return Err(invalid("--kubelet-client-certificate and --kubelet-client-key must be given together"));
    }
    let preferred_address_types = match given.all("kubelet-preferred-address-types") {
        [] => Kubelet::default().preferred_address_types,
        types => types.to_vec(),
    };
    Ok(Kubelet { ca_file: path(given, "kubelet-certificate-authority"), cert_file, key_file, preferred_address_types })
}

fn admission(given: &Given) -> Result<AdmissionFlags, FlagError> {
    let stay = |flag: &str| match given.last(flag) {
        None => Ok(DEFAULT_STAY_SECONDS),
        Some(value) => value.parse().map_err(|_| bad(flag, value, "must be a number")),
    };
    Ok(AdmissionFlags {
        only: given.is_given("admission-control").then(|| given.all("admission-control").to_vec()),
        enabled: given.all("enable-admission-plugins").to_vec(),
        disabled: given.all("disable-admission-plugins").to_vec(),
        config_file: path(given, "admission-control-config-file"),
        not_ready_seconds: stay("default-not-ready-toleration-seconds")?,
        unreachable_seconds: stay("default-unreachable-toleration-seconds")?,
    })
}

fn service_cidrs(given: &Given) -> Result<Vec<IpNet>, FlagError> {
    let text = given.last("service-cluster-ip-range").unwrap_or("10.0.0.0/24");
    let text = if text.is_empty() { "10.0.0.0/24" } else { text };
    let ranges: Result<Vec<IpNet>, _> =
        text.split(',').map(|part| part.trim().parse().map(|net: IpNet| net.trunc())).collect();
    let ranges =
        ranges.map_err(|_| invalid(format!("--service-cluster-ip-range must contain valid cidrs, got {text:?}")))?;
    if ranges.len() > 2 || (ranges.len() == 2 && ranges[0].addr().is_ipv4() == ranges[1].addr().is_ipv4()) {
        return Err(invalid("--service-cluster-ip-range must be one cidr, or two of different IP families"));
    }
    if ranges.iter().any(|r| r.max_prefix_len() - r.prefix_len() < 2) {
        return Err(invalid("--service-cluster-ip-range must have at least 4 IP addresses"));
    }
    Ok(ranges)
}

fn reconciler(given: &Given) -> Result<ReconcilerType, FlagError> {
    match given.last("endpoint-reconciler-type") {
        None | Some("" | "lease") => Ok(ReconcilerType::Lease),
        Some("none") => Ok(ReconcilerType::None),
        Some(other) => Err(invalid(format!("--endpoint-reconciler-type {other:?} must be one of: [none, lease]"))),
    }
}

/// `pattern=N,...`: the levels of modules whose name the pattern matches.
fn module_verbosity(given: &Given) -> Result<Vec<(String, u8)>, FlagError> {
    let pairs = given.all("vmodule").iter().flat_map(|text| text.split(',')).filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (pattern, level) = pair.split_once('=')?;
        Some((pattern.trim().to_owned(), level.trim().parse().ok()?)).filter(|(pattern, _)| !pattern.is_empty())
    };
    let syntax =
        |pair| invalid(format!("--vmodule: syntax error in {pair:?}: expect comma-separated list of filename=N"));
    pairs.map(|pair| read(pair).ok_or_else(|| syntax(pair))).collect()
}

fn log_json(given: &Given) -> Result<bool, FlagError> {
    match given.last("logging-format") {
        None | Some("" | "text") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(invalid(format!("--logging-format: unsupported format {other:?}, use text or json"))),
    }
}
