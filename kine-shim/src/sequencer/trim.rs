//! Deletes the rows that a compaction made useless, in the background, in small pieces, in log order. What is lost here (a crash, a full
//! queue) is found again by whoever loads the log next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::log::Log;
use crate::model::Position;
use crate::shim::Counters;

/// Compactions whose rows may wait; more are left to the next load.
const JOBS_MAX: usize = 64;
const ROWS_AT_ONCE: usize = 1_000;
const RETRY_AFTER: Duration = Duration::from_secs(1);

type Rows = Vec<(Position, u32)>;

#[derive(Clone)]
pub(crate) struct Trims {
    jobs: Arc<Mutex<VecDeque<Rows>>>,
    /// Number of jobs added and done.
    progress: Arc<watch::Sender<(u64, u64)>>,
}

impl Trims {
    pub(crate) fn new() -> Self {
        Self { jobs: Arc::default(), progress: Arc::new(watch::Sender::new((0, 0))) }
    }

    pub(crate) fn add(&self, rows: Rows) {
        if rows.is_empty() {
            return;
        }
        let mut jobs = self.jobs.lock();
        if jobs.len() >= JOBS_MAX {
            tracing::warn!(
                rows = rows.len(),
                "too many compactions wait for their rows to be deleted; the next start deletes these"
            );
            return;
        }
        jobs.push_back(rows);
        drop(jobs);
        self.progress.send_modify(|(added, _)| *added += 1);
    }

    /// Waits until everything added so far is done.
    pub(crate) async fn settled(&self) {
        let mut progress = self.progress.subscribe();
        let target = progress.borrow().0;
        // The sender lives as long as `self`.
        let _ = progress.wait_for(|(_, done)| *done >= target).await;
    }

    /// Works until the future is dropped.
    pub(crate) async fn run(self, log: Arc<dyn Log>, counters: Arc<Counters>) {
        let mut progress = self.progress.subscribe();
        loop {
            let job = self.jobs.lock().pop_front();
            let Some(rows) = job else {
                if progress.wait_for(|(added, done)| added > done).await.is_err() {
                    return;
                }
                continue;
            };
            for piece in rows.chunks(ROWS_AT_ONCE) {
                let Some(floor) = piece.iter().map(|(position, _)| *position).max() else { continue };
                while let Err(fault) = log.trim(floor, piece).await {
                    tracing::debug!(%fault, "cannot delete compacted rows yet");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Counters::add(&counters.rows_trimmed, piece.len());
            }
            self.progress.send_modify(|(_, done)| *done += 1);
        }
    }
}
