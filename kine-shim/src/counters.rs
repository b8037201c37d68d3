//! What happened so far, as numbers. Whoever does something counts it here; how they are shown is not known (see
//! `metrics`).

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// All only grow, but for the last contact.
#[derive(Debug, Default)]
pub struct Counters {
    pub batches_committed: AtomicU64,
    pub batches_refused: AtomicU64,
    pub batches_uncertain: AtomicU64,
    pub operations_committed: AtomicU64,
    pub operations_refused: AtomicU64,
    /// Answered "not applied" or "outcome unknown".
    pub operations_failed: AtomicU64,
    /// Dropped before they were sent, since nobody waited for them any more.
    pub operations_abandoned: AtomicU64,
    /// Handed to the shim that wrote last.
    pub operations_forwarded: AtomicU64,
    pub overloaded: AtomicU64,
    pub read_indexes: AtomicU64,
    pub reloads: AtomicU64,
    pub incarnations_declared: AtomicU64,
    pub leases_granted: AtomicU64,
    pub leases_expired: AtomicU64,
    pub leases_renewed: AtomicU64,
    pub compactions: AtomicU64,
    /// Seconds since 1970 at which one was applied last.
    pub compacted_at: AtomicU64,
    pub rows_trimmed: AtomicU64,
    /// Tries to delete compacted rows that failed; each is repeated.
    pub trims_failed: AtomicU64,
    /// Applied, whoever wrote them.
    pub puts: AtomicU64,
    /// Of keys and values.
    pub put_bytes: AtomicU64,
    pub deletes: AtomicU64,
    pub leases_revoked: AtomicU64,
    pub reads_failed: AtomicU64,
    /// Milliseconds after the start at which the database answered last.
    last_contact_ms: AtomicI64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// The database answered.
    pub(crate) fn note_contact(&self, started: Instant) {
        let since_start = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.last_contact_ms.store(since_start, Ordering::Relaxed);
    }

    pub(crate) fn since_contact(&self, started: Instant) -> Duration {
        let last = Duration::from_millis(u64::try_from(self.last_contact_ms.load(Ordering::Relaxed)).unwrap_or(0));
        started.elapsed().saturating_sub(last)
    }
}
