//! The log of the program: where it goes, in which form, how much of it; the last may change while it runs. In goes the
//! configuration, out comes a handle on the level.

use std::{
    io,
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result};
use parking_lot::RwLock;
use tracing_subscriber::{
    EnvFilter,
    fmt::writer::{BoxMakeWriter, MakeWriterExt},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use crate::config::{Config, LogFormat};

/// What is only worth reading by who develops those libraries.
const QUIET: &str = "h2=info,hyper=info,hyper_util=info,rustls=info,tokio_postgres=info,tower=info";
/// As etcd and zap name them, and what they are here.
const LEVELS: [(&str, &str); 8] = [
    ("debug", "debug"),
    ("info", "info"),
    ("warn", "warn"),
    ("error", "error"),
    ("trace", "trace"),
    ("dpanic", "error"),
    ("panic", "error"),
    ("fatal", "error"),
];

/// What is logged, to be looked at and changed. Clones are one level.
#[derive(Clone)]
pub struct LogLevel(Arc<Inner>);

struct Inner {
    name: RwLock<&'static str>,
    change: Box<dyn Fn(EnvFilter) -> bool + Send + Sync>,
}

impl LogLevel {
    pub fn get(&self) -> &'static str {
        *self.0.name.read()
    }

    /// False for a name that is no level.
    pub fn set(&self, name: &str) -> bool {
        let Some((_, level)) = LEVELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else { return false };
        let is_changed = (self.0.change)(filter(level));
        if is_changed {
            *self.0.name.write() = level;
        }
        is_changed
    }
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("{level},{QUIET}"))
}

/// Once a process.
pub fn start(config: &Config) -> Result<LogLevel> {
    let writer = writer(&config.log_outputs)?;
    let (filter, handle) = reload::Layer::new(filter(config.log_level));
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(writer);
    let registry = tracing_subscriber::registry().with(filter);
    match config.log_format {
        LogFormat::Json => registry.with(lines.json()).init(),
        LogFormat::Console => registry.with(lines.with_ansi(false)).init(),
    }
    let change = Box::new(move |filter| handle.reload(filter).is_ok());
    Ok(LogLevel(Arc::new(Inner { name: RwLock::new(config.log_level), change })))
}

/// A file is opened once and only appended to.
fn writer(outputs: &[String]) -> Result<BoxMakeWriter> {
    let mut all: Option<BoxMakeWriter> = None;
    for output in outputs {
        let next = match output.as_str() {
            "default" | "stderr" => BoxMakeWriter::new(io::stderr),
            "stdout" => BoxMakeWriter::new(io::stdout),
            file => {
                let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
                BoxMakeWriter::new(Mutex::new(opened.with_context(|| format!("--log-outputs: {file}"))?))
            }
        };
        all = Some(match all {
            None => next,
            Some(before) => BoxMakeWriter::new(before.and(next)),
        });
    }
    Ok(all.unwrap_or_else(|| BoxMakeWriter::new(io::stderr)))
}
