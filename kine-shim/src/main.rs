//! The program: configuration in, a serving shim out. All wiring, and nothing but wiring, stands here.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kine_shim::auth::token::Tokens;
use kine_shim::config::{Config, ConfigError, LogFormat};
use kine_shim::grpc::{self, GrpcOptions, Quota};
use kine_shim::http::{Bound, Front};
use kine_shim::log::timed::TimedLog;
use kine_shim::log::{self, Log, LogFault};
use kine_shim::members::Members;
use kine_shim::metrics::Metrics;
use kine_shim::model::Position;
use kine_shim::shim::{Shim, ShimConfig};
use kine_shim::tls::Tls;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A database that does not answer at the start is asked again this long: it may start just now too.
const DATABASE_WITHIN: Duration = Duration::from_secs(60);
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if let Some(done) = kine_shim::migrate::run_from_args(std::env::args_os()) {
        return done;
    }
    let config = match Config::from_args(std::env::args_os()) {
        Ok(config) => config,
        // clap prints --help to stdout and its errors to stderr, each with the right exit code.
        Err(ConfigError::Usage(usage)) => usage.exit(),
        Err(error) => {
            eprintln!("kine-shim: {error}");
            return ExitCode::from(2);
        }
    };
    start_log(&config);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_log(config: &Config) {
    let quiet = "h2=info,hyper=info,hyper_util=info,rustls=info,tokio_postgres=info,tower=info";
    let filter = EnvFilter::new(format!("{},{quiet}", config.log_level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match config.log_format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Console => builder.with_ansi(false).init(),
    }
}

async fn run(config: Config) -> Result<()> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "kine-shim starts: {config}");
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let stop = CancellationToken::new();
    let _signals = AbortOnDropHandle::new(tokio::spawn(cancel_on_signal(stop.clone())?));

    let tls = config.tls.clone().map(Tls::load).transpose()?;
    let tokens = Tokens::parse(&config.auth_token, config.auth_token_ttl);
    let tokens = tokens.map_err(|reason| anyhow::anyhow!("--auth-token: {reason}"))?;
    let (mut clients, mut pages) = (Vec::new(), Vec::new());
    for (listeners, bound) in [(&config.listeners, &mut clients), (&config.metrics_listeners, &mut pages)] {
        for listener in listeners {
            let socket = Bound::bind(listener.clone()).await;
            bound.push(socket.with_context(|| format!("cannot listen on {listener}"))?);
        }
    }

    let log = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        log = open(&config) => log?,
    };
    let metrics = Arc::new(Metrics::new());
    let log = Arc::new(TimedLog::new(log, metrics.clone()));
    let cluster_id = cluster_id(&*log).await?;
    let shim_config = ShimConfig { progress_interval: config.progress_interval, ..Default::default() };
    let shim = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        shim = Shim::start(log, shim_config) => shim.context("cannot load the log")?,
    };
    let listening = Listening { clients, pages, tls, tokens, stop };
    serve(config, shim, cluster_id, metrics, listening).await
}

/// What was made ready before the shim was.
struct Listening {
    clients: Vec<Bound>,
    pages: Vec<Bound>,
    tls: Option<Arc<Tls>>,
    tokens: Tokens,
    stop: CancellationToken,
}

async fn serve(
    config: Config,
    shim: Shim,
    cluster_id: u64,
    metrics: Arc<Metrics>,
    Listening { clients, pages, tls, tokens, stop }: Listening,
) -> Result<()> {
    let options = GrpcOptions { tokens: Arc::new(tokens), ..grpc_options(&config, &clients, cluster_id) };
    let (quota, members, own) = (options.quota.clone(), options.members.clone(), options.own_member());
    // Before the first request: what is full is known to be full, and the first list has all shims.
    quota.measure(&shim).await;
    members.beat(&shim, &own).await;
    let quota_backend_bytes = quota.shown();
    let routes = grpc::routes(shim.clone(), options).prepare();
    let front = Front { shim: shim.clone(), grpc: Some(routes), metrics, quota_backend_bytes };
    let serving = TaskTracker::new();
    for (bounds, front) in [(clients, front.clone()), (pages, Front { grpc: None, ..front })] {
        for bound in bounds {
            tracing::info!(url = bound.url(), revision = shim.snapshot().revision(), "serving");
            serving.spawn(bound.serve(front.clone(), tls.clone(), stop.clone()));
        }
    }
    let _fresh = tls.map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.keep_fresh())));
    let compactor = kine_shim::compactor::run(shim.clone(), config.compaction);
    let _compactor = AbortOnDropHandle::new(tokio::spawn(compactor));
    let _quota = AbortOnDropHandle::new(tokio::spawn(quota.run(shim.clone())));
    let beats = AbortOnDropHandle::new(tokio::spawn(members.run(shim.clone(), own.clone())));

    stop.cancelled().await;
    tracing::info!("stopping");
    drop(beats);
    Members::part(&shim, &own).await;
    // The listeners stop by the same token; what is under way ends first, then the watches, then the connections.
    shim.stop().await;
    serving.close();
    serving.wait().await;
    tracing::info!("stopped");
    Ok(())
}

/// The first signal stops in order; whoever is in a hurry sends SIGKILL.
fn cancel_on_signal(stop: CancellationToken) -> Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    })
}

async fn open(config: &Config) -> Result<Arc<dyn Log>> {
    let started = tokio::time::Instant::now();
    loop {
        match log::open(&config.endpoint, &config.log).await {
            Ok(log) => return Ok(log),
            Err(fault @ LogFault::Unusable(_)) => bail!("--endpoint {}: {fault}", config.endpoint),
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
    let fence = log.fence(Position(0)).await.context("cannot read the log")?;
    Ok(hashed(fence.identity.system.as_bytes()))
}

fn grpc_options(config: &Config, clients: &[Bound], cluster_id: u64) -> GrpcOptions {
    // A port 0 is known only now.
    let unknown_port = config.advertise_client_urls.iter().any(|url| url.ends_with(":0"));
    let advertise_client_urls =
        if unknown_port { clients.iter().map(Bound::url).collect() } else { config.advertise_client_urls.clone() };
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
