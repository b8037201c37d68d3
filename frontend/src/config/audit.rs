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
    pub buffer_lines_max: usize,
    /// Zero: no limit.
    pub log_bytes_max: u64,
    pub backups_max: usize,
    pub age_max: Duration,
    pub compress: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    Batch,
    Blocking,
    BlockingStrict,
}

const DAY_SECONDS: u64 = 24 * 3600;
/// What a size of 0 means, as the real server has it.
const DEFAULT_MEGABYTES: u64 = 100;

pub(super) fn read(given: &Given) -> Result<Audit, FlagError> {
    let mode = match given.last("audit-log-mode") {
        None | Some("" | "blocking") => AuditMode::Blocking,
        Some("batch") => AuditMode::Batch,
        Some("blocking-strict") => AuditMode::BlockingStrict,
        Some(other) => {
            let known = "batch,blocking,blocking-strict";
            return Err(typed::invalid(format!(
                "--audit-log-mode: invalid audit mode {other}, allowed modes are {known:?}"
            )));
        }
    };
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
        buffer_lines_max: usize::try_from(typed::integer(given, "audit-log-batch-buffer-size", 10_000)?)
            .unwrap_or(usize::MAX >> 4),
        log_bytes_max: megabytes.saturating_mul(1024 * 1024),
        backups_max: usize::try_from(size("audit-log-maxbackup")?).unwrap_or(usize::MAX),
        age_max: Duration::from_secs(size("audit-log-maxage")?.saturating_mul(DAY_SECONDS)),
        compress: given.is_true("audit-log-compress"),
    })
}
