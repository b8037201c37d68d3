//! Flags about what is recorded of requests.

use std::{path::PathBuf, time::Duration};

use super::{FlagError, Given, typed};

/// The policy, and the file that events go to.
#[derive(Clone, Debug)]
pub struct Audit {
    pub policy_file: Option<PathBuf>,
    /// `-` is standard output.
    pub log_path: Option<PathBuf>,
    pub mode: AuditMode,
    /// Of mode batch.
    pub log_batch: AuditBatch,
    /// Zero: no limit.
    pub log_bytes_max: u64,
    pub backups_max: usize,
    pub age_max: Duration,
    pub compress: bool,
    pub log_truncate: Option<AuditTruncate>,
    pub webhook: Option<AuditWebhook>,
}

/// A service that events are sent to.
#[derive(Clone, Debug)]
pub struct AuditWebhook {
    /// A kubeconfig.
    pub config_file: PathBuf,
    pub mode: AuditMode,
    pub batch: AuditBatch,
    /// Before the first failed call is made again.
    pub first_pause: Duration,
    pub truncate: Option<AuditTruncate>,
}

/// How events are gathered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AuditBatch {
    /// Events that wait; more are lost.
    pub waiting_max: usize,
    pub batch_max: usize,
    pub wait_max: Duration,
    /// Batches a second, and at once where fewer were sent before.
    pub throttle: Option<(f64, u32)>,
}

/// What is done with large events: their objects are left out, and what is still too large is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditTruncate {
    pub event_bytes_max: usize,
    pub batch_bytes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    Batch,
    Blocking,
    BlockingStrict,
}

/// A buffer that is meant to be larger than this is this large.
const WAITING_MAX: usize = 1 << 20;
const IN_LISTS: AuditBatch =
    AuditBatch { waiting_max: 10_000, batch_max: 400, wait_max: Duration::from_secs(30), throttle: Some((10.0, 15)) };
const ONE_BY_ONE: AuditBatch =
    AuditBatch { waiting_max: 10_000, batch_max: 1, wait_max: Duration::ZERO, throttle: None };
const DAY_SECONDS: u64 = 24 * 3600;
/// What a size of 0 means, as the real server has it.
const DEFAULT_MEGABYTES: u64 = 100;

fn mode(given: &Given, sink: &str, default: AuditMode) -> Result<AuditMode, FlagError> {
    match given.last(&format!("audit-{sink}-mode")) {
        None | Some("") => Ok(default),
        Some("blocking") => Ok(AuditMode::Blocking),
        Some("batch") => Ok(AuditMode::Batch),
        Some("blocking-strict") => Ok(AuditMode::BlockingStrict),
        Some(other) => {
            let known = "batch,blocking,blocking-strict";
            Err(typed::invalid(format!("invalid audit {sink} mode {other}, allowed modes are {known:?}")))
        }
    }
}

/// A number that must be positive.
fn positive(given: &Given, flag: &str, default: usize, what: &str) -> Result<usize, FlagError> {
    let Some(text) = given.last(flag) else { return Ok(default) };
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(typed::invalid(format!("invalid audit {what} {text}, must be a positive number"))),
    }
}

fn truncate(given: &Given, sink: &str) -> Result<Option<AuditTruncate>, FlagError> {
    let flag = |rest: &str| format!("audit-{sink}-truncate-{rest}");
    let size = |rest: &str, default, what: &str| {
        positive(given, &flag(rest), default, &format!("truncate {sink} max {what} size"))
    };
    let event_bytes_max = size("max-event-size", 100 * 1024, "event")?;
    let batch_bytes_max = size("max-batch-size", 10 * 1024 * 1024, "batch")?;
    if batch_bytes_max < event_bytes_max {
        return Err(typed::invalid(format!(
            "invalid audit truncate {sink} max batch size {batch_bytes_max}, must be greater than max event size \
             ({event_bytes_max})"
        )));
    }
    Ok(given.is_true(&flag("enabled")).then_some(AuditTruncate { event_bytes_max, batch_bytes_max }))
}

/// How a sink gathers events in mode batch, where `default` is what nothing was said about.
fn batch(given: &Given, sink: &str, default: AuditBatch) -> Result<AuditBatch, FlagError> {
    let flag = |rest: &str| format!("audit-{sink}-batch-{rest}");
    let number =
        |rest: &str, default, what: &str| positive(given, &flag(rest), default, &format!("batch {sink} {what}"));
    let (rate, burst) = default.throttle.unwrap_or((0.0, 1));
    let is_throttled = match given.last(&flag("throttle-enable")) {
        None => default.throttle.is_some(),
        Some(_) => given.is_true(&flag("throttle-enable")),
    };
    let throttle = match is_throttled {
        false => None,
        true => {
            let said = given.last(&flag("throttle-qps"));
            let rate = said.map_or(Some(rate), |text| text.parse::<f64>().ok()).filter(|rate| *rate > 0.0);
            let rate = rate.ok_or_else(|| {
                let said = said.unwrap_or("0");
                typed::invalid(format!("invalid audit batch {sink} throttle QPS {said}, must be a positive number"))
            })?;
            let burst = number("throttle-burst", burst as usize, "throttle burst")?;
            Some((rate, u32::try_from(burst).unwrap_or(u32::MAX)))
        }
    };
    Ok(AuditBatch {
        waiting_max: number("buffer-size", default.waiting_max, "buffer size")?.min(WAITING_MAX),
        batch_max: number("max-size", default.batch_max, "max batch size")?,
        wait_max: typed::duration(given, &flag("max-wait"), default.wait_max)?,
        throttle,
    })
}

fn webhook(given: &Given) -> Result<Option<AuditWebhook>, FlagError> {
    const SINK: &str = "webhook";
    let Some(config_file) = typed::path(given, "audit-webhook-config-file") else { return Ok(None) };
    version(given, SINK)?;
    Ok(Some(AuditWebhook {
        config_file,
        mode: mode(given, SINK, AuditMode::Batch)?,
        batch: batch(given, SINK, IN_LISTS)?,
        first_pause: typed::duration(given, "audit-webhook-initial-backoff", Duration::from_secs(10))?,
        truncate: truncate(given, SINK)?,
    }))
}

fn version(given: &Given, sink: &str) -> Result<(), FlagError> {
    match given.last(&format!("audit-{sink}-version")) {
        None | Some("" | "audit.k8s.io/v1") => Ok(()),
        Some(_) => Err(typed::invalid("invalid group version, allowed versions are [\"audit.k8s.io/v1\"]")),
    }
}

pub(super) fn read(given: &Given) -> Result<Audit, FlagError> {
    version(given, "log")?;
    let mode = mode(given, "log", AuditMode::Blocking)?;
    if let Some(format) = given.last("audit-log-format").filter(|format| !["", "json"].contains(format)) {
        return Err(typed::invalid(format!("--audit-log-format: {format:?} is not written, only json")));
    }
    let size = |flag| typed::integer(given, flag, 0);
    let megabytes = match size("audit-log-maxsize")? {
        0 => DEFAULT_MEGABYTES,
        given => given,
    };
    Ok(Audit {
        policy_file: typed::path(given, "audit-policy-file"),
        log_path: typed::path(given, "audit-log-path"),
        mode,
        // Lines need no batches: each is written as soon as it can be.
        log_batch: batch(given, "log", ONE_BY_ONE)?,
        log_bytes_max: megabytes.saturating_mul(1024 * 1024),
        backups_max: usize::try_from(size("audit-log-maxbackup")?).unwrap_or(usize::MAX),
        age_max: Duration::from_secs(size("audit-log-maxage")?.saturating_mul(DAY_SECONDS)),
        compress: given.is_true("audit-log-compress"),
        log_truncate: truncate(given, "log")?,
        webhook: webhook(given)?,
    })
}
