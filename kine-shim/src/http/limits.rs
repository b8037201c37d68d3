//! How many connections clients may have at once: what the process may open, less what it needs itself, as in etcd. Whoever comes then
//! waits in the kernel's queue until another goes.

use tokio::sync::Semaphore;

/// For the database, files, listeners and health checks.
const RESERVED: usize = 150;
const CONNECTIONS_MIN: usize = 64;
/// Where the system tells no limit.
const CONNECTIONS_UNTOLD: usize = 1 << 16;
/// Of the listeners that show metrics and health, which stay reachable when the others are full.
pub(super) const METRICS_CONNECTIONS: usize = 64;

/// Files that this process may open, by the soft limit.
pub(crate) fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

pub(super) fn connections() -> usize {
    let files = open_files().unwrap_or(CONNECTIONS_UNTOLD + RESERVED);
    files.saturating_sub(RESERVED).clamp(CONNECTIONS_MIN, Semaphore::MAX_PERMITS)
}
