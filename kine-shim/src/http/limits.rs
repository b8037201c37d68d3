//! How many connections clients may have at once: what the process may open, less what it needs itself, as in etcd.
//! Whoever comes then waits in the kernel's queue until another goes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;

/// For the database, files, listeners and health checks.
const RESERVED: usize = 150;
const CONNECTIONS_MIN: usize = 64;
/// Where there is no limit.
const CONNECTIONS_UNTOLD: usize = 1 << 16;
/// Of the listeners that show metrics and health, which stay reachable when the others are full.
pub(super) const METRICS_CONNECTIONS: usize = 64;

/// Lets this process open as many files as it may let itself, as Go does for etcd: shells and service managers give few
/// at first.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, files = limit.current, "the limit of open files stays");
    }
}

/// Files that this process may open; `None` is without limit.
pub(crate) fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

pub(super) fn connections() -> usize {
    let files = open_files().and_then(|files| usize::try_from(files).ok()).unwrap_or(CONNECTIONS_UNTOLD + RESERVED);
    files.saturating_sub(RESERVED).clamp(CONNECTIONS_MIN, Semaphore::MAX_PERMITS)
}
