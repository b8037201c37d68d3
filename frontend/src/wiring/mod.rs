//! Puts a server together, starts it, and stops it in order. The only place that reads the clock, spawns services and
//! listens for signals.

mod access;
mod aggregation;
mod bootstrap;
mod definitions;
mod error;
mod process;
mod readiness;

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admission::Admission,
    api::{Api, ApiHandle},
    client::{Address, Backoff},
    cluster::{Aggregation, Cluster, Conversions, Settings, SystemClock},
    config::{self, AuditMode, Config, ReconcilerType, RequestHeader},
    request::status::ApiError,
    server::{
        audit::{self, Audit, AuditMetrics, Backend, Batching, LogFile, Mode, Policy, Rotation, Sink, Truncation},
        metrics::Metrics,
        net::Listener,
        pipeline::{Limits, Resources, Server},
    },
    store::{Store, StoreConfig},
    verbs::{Backends, Context},
};

pub use error::StartError;
pub use process::{stay_small, threads};

use aggregation::AggregationKeeper;
use bootstrap::{EndpointsKeeper, FlowSchemas, LocalServices, SelfClient, ServerLeases};
use definitions::DefinitionsKeeper;
use readiness::{Readiness, Step};

/// Audit events that are gathered are sent within this when the server stops.
const LAST_EVENTS_WITHIN: Duration = Duration::from_secs(10);

/// Runs a server until a signal ends it.
pub async fn run(config: Config, resources: Arc<dyn Resources>) -> Result<(), StartError> {
    process::raise_open_files();
    let authorities = access::Authorities::read(&config)?;
    let listener = Listener::bind(&config.listen, &certificate_names(&config)).await?;
    let address = listener.local_addr().map_err(StartError::Address)?;
    let (context, keepers) = context(&config, &authorities, address).await?;
    let readiness = Readiness::new();
    let audit_tasks = TaskTracker::new();
    let audit_metrics = AuditMetrics::default();
    let audit = audit(&config.audit, &context.cluster, &audit_tasks, &audit_metrics)?;
    let server = Arc::new(Server {
        context: Arc::clone(&context),
        resources: Arc::clone(&resources),
        audit,
        health: readiness.checks(&context.cluster.store),
        metrics: Metrics::default().with(|registry| {
            context.admission.register(registry);
            context.access.metrics.register(registry);
            audit_metrics.register(registry);
        }),
        request_timeout: config.request_timeout,
        limits: Limits::new(config.reads_max, config.mutations_max),
        advertised: advertised(&config, address),
        tasks: TaskTracker::new(),
    });
    let stop = CancellationToken::new();
    let (services, connections) = (TaskTracker::new(), TaskTracker::new());
    connections.spawn(listener.serve(server, stop.clone()));
    let keepers_stop = stop.clone();
    services.spawn(async move {
        keepers_stop.run_until_cancelled(keepers.run()).await;
    });
    tracing::info!(%address, "serving HTTPS; not ready yet");
    let start = readiness.clone();
    let startup = Startup {
        client: SelfClient::new(Arc::clone(&context), resources),
        context: Arc::clone(&context),
        config: config.clone(),
        address,
        readiness: start,
        services: services.clone(),
        authorities,
    };
    let start_stop = stop.clone();
    services.spawn(async move {
        start_stop.run_until_cancelled(startup.work()).await;
    });
    tokio::select! {
        signalled = until_signal() => signalled?,
        () = process::orphaned() => {}
    }
    tracing::info!("stopping");
    readiness.stopping();
    tokio::time::sleep(config.shutdown_delay).await;
    context.cluster.shutdown.cancel();
    stop.cancel();
    services.close();
    connections.close();
    tokio::join!(connections.wait(), farewells(&services, &context.cluster.store));
    audit_tasks.close();
    if tokio::time::timeout(LAST_EVENTS_WITHIN, audit_tasks.wait()).await.is_err() {
        tracing::error!("audit events that could not be sent are lost");
    }
    context.cluster.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// How often it is looked whether the store still answers those who take their leave of it, and for how long.
const STORE_LOOKED_AT_EVERY: Duration = Duration::from_millis(20);
const STORE_SILENT_MAX: Duration = Duration::from_millis(500);

/// Waits until the services have ended; they take what they wrote about this server out of the store. When the store
/// has gone too, nobody reads that: who still waits for it is left.
async fn farewells(services: &TaskTracker, store: &Store) {
    let gone = async {
        while let Ok(Ok(())) = tokio::time::timeout(STORE_SILENT_MAX, store.health()).await {
            tokio::time::sleep(STORE_LOOKED_AT_EVERY).await;
        }
    };
    tokio::select! {
        biased;
        () = services.wait() => {}
        () = gone => tracing::warn!("the store has gone too: what it holds about this server expires by itself"),
    }
}

/// The work between listening and being ready; every step is tried until it succeeds.
struct Startup {
    context: Arc<Context>,
    client: SelfClient,
    config: Config,
    address: SocketAddr,
    readiness: Readiness,
    services: TaskTracker,
    authorities: access::Authorities,
}

impl Startup {
    async fn work(self) {
        wait_for_store(&self.context.cluster).await;
        self.keep_definitions();
        self.keep_aggregation();
        self.readiness.reached(Step::Cache);
        let client = &self.client;
        self.made(Step::Namespaces, "the system namespaces", || bootstrap::namespaces(client)).await;
        // None of these needs another: together they wait for the store as long as the longest.
        tokio::join!(
            self.made(Step::PriorityClasses, "the system priority classes", || bootstrap::priority_classes(client)),
            self.made(Step::Roles, "the bootstrap roles", || bootstrap::roles::reconcile(client)),
            self.made(Step::Fairness, "the priority levels and flow schemas", || {
                bootstrap::fairness::reconcile(client)
            }),
            self.made(Step::LegacyTokens, "the record of legacy tokens", || {
                bootstrap::authentication::track_legacy_tokens(client)
            }),
            self.publish_address(),
        );
        self.keep_services();
        tracing::info!(address = %self.address, "ready");
    }

    /// Attempts until it is made: then the step is reached.
    async fn made<F>(&self, step: Step, what: &str, attempt: impl Fn() -> F)
    where
        F: Future<Output = Result<(), ApiError>>,
    {
        until_made(what, attempt).await;
        self.readiness.reached(step);
    }

    /// What goes on while the server runs.
    fn keep_services(&self) {
        let stop = self.context.cluster.shutdown.clone();
        let identity = bootstrap::Identity::new(self.client.clone(), &self.address.to_string());
        self.services.spawn(identity.run(stop.clone()));
        let headers = self.config.authentication.request_header.clone();
        self.services.spawn(keep_authorities(self.client.clone(), self.authorities.clone(), headers, stop.clone()));
        self.services.spawn(LocalServices::new(self.client.clone()).run(stop.clone()));
        self.services.spawn(FlowSchemas::new(self.client.clone()).run(stop));
        self.readiness.reached(Step::Services);
    }

    /// Custom resources are served before the server says that it is ready.
    fn keep_definitions(&self) {
        let mut keeper = DefinitionsKeeper::new(Arc::clone(&self.context.cluster));
        if let Err(error) = keeper.publish_now() {
            tracing::warn!(%error, "cannot read the custom resource definitions yet");
        }
        self.services.spawn(keeper.run());
    }

    /// What other servers serve goes to them before the server says that it is ready.
    fn keep_aggregation(&self) {
        let mut keeper = AggregationKeeper::new(self.client.clone(), self.config.proxy_identity.clone());
        if let Err(error) = keeper.publish_now() {
            tracing::warn!(cause = error.internal, "cannot read the APIServices yet");
        }
        self.services.spawn(keeper.run());
    }

    async fn publish_address(&self) {
        if self.config.endpoint_reconciler == ReconcilerType::Lease {
            self.keep_endpoints().await;
        }
        self.readiness.reached(Step::Address);
    }

    async fn keep_endpoints(&self) {
        let port = self.address.port();
        until_made("the kubernetes Service", || bootstrap::kubernetes_service(&self.client, port)).await;
        let leases = ServerLeases::new(&self.context.cluster, self.config.advertise_address);
        let mut keeper = EndpointsKeeper::new(Arc::clone(&self.context), self.client.clone(), leases, port);
        let mut pause = Pause::default();
        while let Err(error) = keeper.reconcile().await {
            pause.after("the endpoints of the kubernetes Service", &error).await;
            // An address that no Endpoints may hold, such as a loopback one: a server without endpoints serves all
            // else.
            if error.is_final() {
                break;
            }
        }
        self.services.spawn(keeper.run(self.context.cluster.shutdown.clone()));
    }
}

/// How often files of authorities are looked at, and what is published of them.
const AUTHORITIES_EVERY: Duration = Duration::from_secs(10);
/// What others removed is published again after so many looks.
const PUBLISH_EVERY: u32 = 6;

/// Reads files of authorities anew when they change, and keeps what is published of them.
async fn keep_authorities(
    client: SelfClient,
    authorities: access::Authorities,
    headers: Option<RequestHeader>,
    stop: CancellationToken,
) {
    let mut due = 0_u32;
    loop {
        if authorities.reload() || due == 0 {
            due = PUBLISH_EVERY;
            if let Err(error) = bootstrap::authentication::publish(&client, &authorities, headers.as_ref()).await {
                tracing::warn!(%error, "cannot publish the authorities that clients are trusted by");
                due = 1;
            }
        }
        due -= 1;
        if stop.run_until_cancelled(tokio::time::sleep(AUTHORITIES_EVERY)).await.is_none() {
            return;
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Between attempts at what a server makes when it starts.
struct Pause(Backoff);

impl Default for Pause {
    fn default() -> Self {
        Pause(Backoff::doubling(FIRST_PAUSE, LONGEST_PAUSE))
    }
}

impl Pause {
    async fn after(&mut self, what: &str, error: &(dyn std::error::Error + Send + Sync)) {
        tracing::warn!(%error, "cannot make {what} yet");
        tokio::time::sleep(self.0.pause()).await;
    }
}

/// Attempts until it is made.
async fn until_made<F>(what: &str, attempt: impl Fn() -> F)
where
    F: Future<Output = Result<(), ApiError>>,
{
    let mut pause = Pause::default();
    while let Err(error) = attempt().await {
        pause.after(what, &error).await;
    }
}

/// Resolves when the cache holds the store; says every few seconds what it waits for.
async fn wait_for_store(cluster: &Cluster) {
    let mut said = tokio::time::interval_at(tokio::time::Instant::now() + Duration::from_secs(2), LONGEST_PAUSE);
    let ready = async {
        while let Err(error) = cluster.store.ready().await {
            tracing::warn!(%error, "cannot read the store yet");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::pin!(ready);
    loop {
        tokio::select! {
            () = &mut ready => return,
            _ = said.tick() => match cluster.store.health().await {
                Ok(()) => tracing::info!("etcd answers; the cache is being filled"),
                Err(error) => tracing::warn!(%error, "waiting for etcd"),
            },
        }
    }
}

async fn context(
    config: &Config,
    authorities: &access::Authorities,
    address: SocketAddr,
) -> Result<(Arc<Context>, access::Keepers), StartError> {
    let mut store = StoreConfig::new(config.etcd.servers.clone());
    store.ca = config.etcd.ca_file.clone();
    store.cert = config.etcd.cert_file.clone();
    store.key = config.etcd.key_file.clone();
    store.prefix = config.etcd.prefix.clone();
    store.compact_every = Some(config.etcd.compaction_interval).filter(|every| !every.is_zero());
    let cluster = Arc::new(Cluster {
        api: ApiHandle::new(Api::builtin()),
        store: Store::connect(store).await?,
        clock: Arc::new(SystemClock),
        settings: Settings {
            min_watch_timeout: config.min_watch_timeout,
            delete_collection_workers: config.delete_collection_workers,
            event_ttl: config.event_ttl,
            service_cidrs: config.service_cidrs.clone(),
            allow_privileged: config.allow_privileged,
            routing: config.routing,
            own_address: Some(own_address(address)),
        },
        conversions: Conversions::default(),
        writes: Default::default(),
        aggregation: Aggregation::default(),
        shutdown: CancellationToken::new(),
    });
    let (access, keepers) = access::access(config, &cluster, authorities)?;
    let admission = Admission::new(&config.admission, Arc::clone(&access))?;
    let backends = Backends::new(&config.kubelet).map_err(StartError::Kubelet)?;
    Ok((Arc::new(Context { cluster, access, admission, backends }), keepers))
}

/// Where a server that listens on all addresses is reached on its own host.
fn own_address(address: SocketAddr) -> Address {
    let host = match (address.ip().is_unspecified(), address.is_ipv4()) {
        (true, true) => Ipv4Addr::LOCALHOST.to_string(),
        (true, false) => Ipv6Addr::LOCALHOST.to_string(),
        (false, _) => address.ip().to_string(),
    };
    Address { host, port: address.port() }
}

/// Sinks without a policy, or a policy without sinks, record nothing.
fn audit(
    settings: &config::Audit,
    cluster: &Cluster,
    tasks: &TaskTracker,
    metrics: &AuditMetrics,
) -> Result<Arc<Audit>, StartError> {
    let Some(policy) = &settings.policy_file else {
        if settings.log_path.is_some() || settings.webhook.is_some() {
            tracing::warn!("--audit-policy-file is not given: no audit events are recorded");
        }
        return Ok(Arc::new(Audit::off()));
    };
    let mut sinks = Vec::new();
    if let Some(path) = &settings.log_path {
        let rotation = Rotation {
            bytes_max: settings.log_bytes_max,
            backups_max: settings.backups_max,
            age_max: settings.age_max,
            compress: settings.compress,
        };
        let file = LogFile::open(path, rotation)
            .map_err(|source| StartError::AuditLog { path: path.display().to_string(), source })?;
        let bytes_max = settings.log_truncate.map(|truncate| truncate.batch_bytes_max);
        let batching = batching(&settings.log_batch, bytes_max);
        let mode = audit_mode(settings.mode, batching);
        sinks.push(Sink::new(Backend::Log(Mutex::new(file)), mode, truncation(settings.log_truncate), tasks, metrics));
    }
    if let Some(webhook) = &settings.webhook {
        let backend = audit::Webhook::new(&webhook.config_file, webhook.first_pause);
        let why = |why: String| StartError::Webhook { flag: "audit-webhook-config-file".to_owned(), why };
        let bytes_max = webhook.truncate.map(|truncate| truncate.batch_bytes_max);
        let batching = batching(&webhook.batch, bytes_max);
        let mode = audit_mode(webhook.mode, batching);
        let backend = Backend::Webhook(Box::new(backend.map_err(why)?));
        sinks.push(Sink::new(backend, mode, truncation(webhook.truncate), tasks, metrics));
    }
    Ok(Arc::new(Audit::new(Policy::read(policy)?, sinks, Arc::clone(&cluster.clock), metrics.clone())))
}

fn batching(batch: &config::AuditBatch, bytes_max: Option<usize>) -> Batching {
    Batching {
        waiting_max: batch.waiting_max,
        batch_max: batch.batch_max,
        batch_bytes_max: bytes_max.unwrap_or(usize::MAX),
        wait_max: batch.wait_max,
        throttle: batch.throttle,
    }
}

fn audit_mode(mode: AuditMode, batching: Batching) -> Mode {
    match mode {
        AuditMode::Batch => Mode::Batch(batching),
        AuditMode::Blocking => Mode::Blocking,
        AuditMode::BlockingStrict => Mode::BlockingStrict,
    }
}

fn truncation(settings: Option<config::AuditTruncate>) -> Option<Truncation> {
    settings.map(|settings| Truncation { event_bytes_max: settings.event_bytes_max })
}

/// What a self-signed certificate is made out to.
fn certificate_names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> =
        ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1"]
            .iter()
            .map(|n| (*n).to_owned())
            .collect();
    names.push(config.listen.address.to_string());
    names.push(config.advertise_address.to_string());
    names.extend(config.external_hostname.clone());
    names.extend(config.service_cidrs.iter().map(|range| config::first_address(range).to_string()));
    names.sort_unstable();
    names.dedup();
    names
}

fn advertised(config: &Config, address: SocketAddr) -> String {
    match &config.external_hostname {
        Some(host) => format!("{host}:{}", address.port()),
        None => SocketAddr::new(config.advertise_address, address.port()).to_string(),
    }
}

/// SIGTERM or SIGINT.
async fn until_signal() -> Result<(), StartError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
