//! The program: configuration in, a serving shim out. All wiring, and nothing but wiring, stands here.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use kine_shim::{
    auth::token::Tokens,
    bench,
    config::{Config, ConfigError},
    grpc::{self, GrpcOptions, Quota},
    http::{Bound, Front, Ready, Shows, Site, raise_open_files},
    log::{self, Endpoint, Log, LogFault, timed::TimedLog},
    logs::{self, LogLevel},
    members::Members,
    metrics::Metrics,
    model::Position,
    peer::Door,
    settings::ShimConfig,
    shim::Shim,
    tls::{self, Tls},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A PostgreSQL that does not answer at the start is asked again this long: it may start just now too.
const DATABASE_WITHIN: Duration = Duration::from_secs(60);
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    bench::stay_small();
    if let Some(done) = kine_shim::migrate::run_from_args(std::env::args_os()) {
        return done;
    }
    // What is not UTF-8 cannot be meant for us.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = match Config::from_sources(std::env::args_os(), environment) {
        Ok(config) => config,
        // clap prints --help to stdout and its errors to stderr, each with the right exit code.
        Err(ConfigError::Usage(usage)) => usage.exit(),
        Err(error) => {
            eprintln!("kine-shim: {error}");
            return ExitCode::from(2);
        }
    };
    let log_level = match logs::start(&config) {
        Ok(log_level) => log_level,
        Err(error) => {
            eprintln!("kine-shim: {error:#}");
            return ExitCode::from(2);
        }
    };
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(bench::threads()).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "no runtime");
                return ExitCode::FAILURE;
            }
        };
    match runtime.block_on(run(config, log_level)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config, log_level: LogLevel) -> Result<()> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "kine-shim starts: {config}");
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    raise_open_files();
    let stop = CancellationToken::new();
    let _signals = AbortOnDropHandle::new(tokio::spawn(cancel_on_signal(stop.clone())?));

    let tokens = Tokens::parse(&config.auth_token, config.auth_token_ttl);
    let tokens = tokens.map_err(|reason| anyhow::anyhow!("--auth-token: {reason}"))?;
    if let Some(files) = &config.tls {
        tls::make_self_signed(files, served_names(&config))?;
    }
    let tls = config.tls.clone().map(Tls::load).transpose()?;
    let metrics = Arc::new(Metrics::new());
    let site = Site::new(config.http.clone(), metrics.clone(), log_level, config.to_string(), config.max_request_bytes);
    let site = Arc::new(site);
    let serving = TaskTracker::new();
    // Whatever happens from here on, the listeners stop.
    let _stop = stop.clone().drop_guard();
    let urls = listen(&config, &site, &serving, tls.as_ref(), &stop).await?;
    let _fresh = tls.map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.keep_fresh())));

    let log = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        log = open(&config) => log?,
    };
    let log = Arc::new(TimedLog::new(log, metrics.clone()));
    let cluster_id = cluster_id(&*log).await?;
    let shim_config = ShimConfig {
        progress_interval: config.progress_interval,
        loaded_rows: site.loaded_rows.clone(),
        ..Default::default()
    };
    let shim = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        shim = Shim::start(log, shim_config) => shim.context("cannot load the log")?,
    };
    let options = GrpcOptions { tokens: Arc::new(tokens), ..grpc_options(&config, urls, cluster_id) };
    metrics.name_server(options.member_id);
    let door = door(&config, &options, shim.writer()).await;
    let options = GrpcOptions { peer: door.as_ref().map(|door| door.peer().clone()), ..options };
    // Before the first list of members: whoever reads of this shim there finds it open.
    let _peers = door.map(|door| {
        AbortOnDropHandle::new(tokio::spawn(door.run(shim.clone(), options.members.clone(), options.own_member())))
    });
    serve(&config, shim, options, &site, &stop).await;
    serving.close();
    serving.wait().await;
    tracing::info!("stopped");
    Ok(())
}

/// Where the others hand over writes. They take turns where it cannot be opened.
async fn door(config: &Config, options: &GrpcOptions, writer: uuid::Uuid) -> Option<Door> {
    let address = config.peer_address.as_ref()?;
    let host = options.advertise_client_urls.first().and_then(|url| {
        let authority = url.split_once("://")?.1.split('/').next()?;
        authority.rsplit_once(':').map(|(host, _)| host)
    });
    let opened = Door::open(address, host, writer).await;
    opened.inspect_err(|error| tracing::warn!(address, %error, "other shims cannot hand over writes")).ok()
}

/// Binds every listener and serves on it at once: who asks during the load is told of it. Returns the client URLs.
async fn listen(
    config: &Config,
    site: &Arc<Site>,
    serving: &TaskTracker,
    tls: Option<&Arc<Tls>>,
    stop: &CancellationToken,
) -> Result<Vec<String>> {
    let clients = if config.http_listeners.is_empty() { Shows::Everything } else { Shows::Grpc };
    let all = [
        (&config.listeners, clients),
        (&config.http_listeners, Shows::Http),
        (&config.metrics_listeners, Shows::Metrics),
    ];
    let mut bound = Vec::new();
    for (listeners, shows) in all {
        for listener in listeners {
            let socket = Bound::bind(listener.clone(), config.http.reuse_port).await;
            bound.push((socket.with_context(|| format!("cannot listen on {listener}"))?, shows));
        }
    }
    let urls = bound.iter().filter(|(_, shows)| *shows == clients).map(|(bound, _)| bound.url()).collect();
    for (bound, shows) in bound {
        tracing::info!(url = bound.url(), ?shows, "listening");
        serving.spawn(bound.serve(Front { site: site.clone(), shows }, tls.cloned(), stop.clone()));
    }
    Ok(urls)
}

/// From the loaded log to the signal to stop.
async fn serve(config: &Config, shim: Shim, options: GrpcOptions, site: &Site, stop: &CancellationToken) {
    let (quota, members, own) = (options.quota.clone(), options.members.clone(), options.own_member());
    let member_id = own.id;
    // Before the first request: what is full is known to be full, and the first list has all shims.
    quota.measure(&shim).await;
    members.beat(&shim, &own).await;
    let quota_backend_bytes = quota.shown();
    let grpc = grpc::services(shim.clone(), options);
    site.open(Ready { shim: shim.clone(), grpc, quota_backend_bytes, members: members.clone(), member_id });
    tracing::info!(revision = shim.snapshot().revision(), "serving");
    let compactor = kine_shim::compactor::run(shim.clone(), config.compaction);
    let _compactor = AbortOnDropHandle::new(tokio::spawn(compactor));
    let _quota = AbortOnDropHandle::new(tokio::spawn(quota.run(shim.clone())));
    let beats = AbortOnDropHandle::new(tokio::spawn(members.clone().run(shim.clone(), own.clone())));

    stop.cancelled().await;
    tracing::info!("stopping");
    drop(beats);
    members.part(&shim, &own).await;
    // The listeners stop by the same token; what is under way ends first, then the watches, then the connections.
    shim.stop().await;
}

/// What a certificate of our own should be good for: where we listen, and where clients are told to go.
fn served_names(config: &Config) -> Vec<String> {
    let listeners = config.listeners.iter().map(ToString::to_string);
    let urls = listeners.chain(config.advertise_client_urls.iter().cloned());
    let host = |url: String| {
        let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        host.trim_matches(['[', ']']).to_owned()
    };
    let mut names: Vec<String> = urls.map(host).filter(|name| !name.is_empty() && !name.contains('/')).collect();
    names.push("localhost".into());
    names.sort();
    names.dedup();
    names
}

/// The first signal stops in order; whoever is in a hurry sends SIGKILL.
fn cancel_on_signal(stop: CancellationToken) -> Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = bench::orphaned() => {}
        }
        stop.cancel();
    })
}

async fn open(config: &Config) -> Result<Arc<dyn Log>> {
    let started = tokio::time::Instant::now();
    loop {
        match log::open(&config.endpoint, &config.log).await {
            Ok(log) => return Ok(log),
            Err(fault)
                if matches!(fault, LogFault::Unusable(_)) || !matches!(config.endpoint, Endpoint::Postgres { .. }) =>
            {
                bail!("--endpoint {}: {fault}", config.endpoint)
            }
            Err(fault) if started.elapsed() > DATABASE_WITHIN => {
                bail!("--endpoint {}: {fault}, for {DATABASE_WITHIN:?}", config.endpoint)
            }
            Err(fault) => tracing::warn!(%fault, "the database cannot be used yet; trying again"),
        }
        tokio::time::sleep(DATABASE_PAUSE).await;
    }
}

/// The same for all shims of one store: made of the database's own name.
async fn cluster_id(log: &dyn Log) -> Result<u64> {
    let read_index = log.read_index(Position(0)).await.context("cannot read the log")?;
    Ok(hashed(read_index.identity.system.as_bytes()))
}

fn grpc_options(config: &Config, bound: Vec<String>, cluster_id: u64) -> GrpcOptions {
    // A port 0 is known only now.
    let unknown_port = config.advertise_client_urls.iter().any(|url| url.ends_with(":0"));
    let advertise_client_urls = if unknown_port { bound } else { config.advertise_client_urls.clone() };
    let member = format!("{} {}", config.name, advertise_client_urls.join(","));
    GrpcOptions {
        cluster_id,
        member_id: hashed(member.as_bytes()),
        name: config.name.clone(),
        advertise_client_urls,
        max_txn_ops: config.max_txn_ops,
        max_request_bytes: config.max_request_bytes,
        quota: Quota::new(config.quota_backend_bytes),
        members: Members::default(),
        bcrypt_cost: config.bcrypt_cost,
        ..GrpcOptions::default()
    }
}

/// FNV-1a: a name becomes an id that is the same everywhere and in every release. Never 0, which means "none" in etcd.
fn hashed(name: &[u8]) -> u64 {
    let hash = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash.max(1)
}
