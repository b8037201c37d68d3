//! The program: command line, log, exit code.

use std::{process::ExitCode, sync::Arc};

use frontend::{
    access::Authorized,
    config::{self, Config, Given},
    request::{body::Body, status::ApiError},
    server::pipeline::{Resources, VERSION},
    verbs::Context,
    wiring,
};
use futures::future::BoxFuture;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::filter_fn,
    layer::{Filter, SubscriberExt},
    util::SubscriberInitExt,
};

/// Objects may nest deeply, and what walks them recurses: room for the depth that the codec allows, and more.
const STACK_BYTES: usize = 16 * 1024 * 1024;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The verbs of the API.
struct Verbs;

impl Resources for Verbs {
    fn serve<'a>(
        &'a self,
        ctx: &'a Arc<Context>,
        request: Authorized,
    ) -> BoxFuture<'a, Result<http::Response<Body>, ApiError>> {
        Box::pin(async move { frontend::verbs::dispatch(Arc::clone(ctx), request).await })
    }
}

fn main() -> ExitCode {
    wiring::stay_small();
    let parsed = config::parse(std::env::args().skip(1));
    let given = match parsed {
        Ok(given) => given,
        Err(error) => return refuse(&error),
    };
    if given.is_true("help") {
        print!("{}", config::help());
        return ExitCode::SUCCESS;
    }
    if given.is_true("version") {
        println!("Kubernetes {VERSION}");
        return ExitCode::SUCCESS;
    }
    let config = match Config::from_flags(&given) {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    start_log(&config);
    log_flags(&given);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().worker_threads(wiring::threads()).thread_stack_size(STACK_BYTES);
    let runtime = match runtime.build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    match runtime.block_on(wiring::run(config, Arc::new(Verbs))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("Error: {error}");
    ExitCode::FAILURE
}

/// `--v` and `--vmodule` set the levels, `RUST_LOG` overrides them.
fn start_log(config: &Config) {
    let levels = config::Levels::new(config.verbosity, &config.module_verbosity);
    let filter: Box<dyn Filter<Registry> + Send + Sync> = match EnvFilter::try_from_default_env() {
        Ok(filter) => Box::new(filter),
        Err(_) => Box::new(filter_fn(move |about| levels.shows(about.target(), about.level()))),
    };
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let log = if config.log_json { log.json().boxed() } else { log.boxed() };
    tracing_subscriber::registry().with(log.with_filter(filter)).init();
}

fn log_flags(given: &Given) {
    for (name, value) in given.effective() {
        tracing::info!("FLAG: --{name}={value:?}");
    }
    for (name, instead) in given.removed() {
        tracing::warn!("--{name} is gone and was ignored: {instead}");
    }
    for name in given.ignored() {
        tracing::warn!("--{name} is accepted and does not act yet");
    }
}
