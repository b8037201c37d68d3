//! Deletes the rows that compactions made useless, in the background, in small pieces, and strictly in log order: of
//! one compaction after the other, whoever appended it. A tombstone that went before an older put of its key would
//! bring the key back for the next loader. So every shim deletes what every compaction left, its own at once, those of
//! others later, in case they died; deleting what is gone costs little. What a crash leaves is found by whoever loads
//! the log next. Rows that a living shim has not read yet stay, for a while: it would have to load the whole log again,
//! and again.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::{peers::Peers, publication::Publication};
use crate::{
    counters::Counters,
    log::{Log, Reader},
    model::RowId,
};

/// After a fault; twice as long after each in a row.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// When the rows of another shim's compaction should be gone.
const AFTER_OTHERS: Duration = Duration::from_secs(120);

/// How long rows stay for the sake of a shim that lives and does not get on. It then has to load the log again.
const READERS_WITHIN: Duration = Duration::from_secs(600);
const LOOK_MIN: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_millis(500);

type Rows = Vec<RowId>;

/// Who is to delete the rows first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    Us,
    Another,
}

/// What trimming needs.
pub(crate) struct Trimming {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) published: Publication,
    pub(crate) reader: uuid::Uuid,
    pub(crate) peers: Peers,
    pub(crate) rows_at_once: usize,
}

/// Not bounded by number, since none may be dropped: together they are no more than the rows of the log.
#[derive(Clone)]
pub(crate) struct Trims {
    jobs: Arc<Mutex<VecDeque<(Instant, Rows)>>>,
    /// Grows when all that is known to be garbage no longer is.
    generation: Arc<AtomicU64>,
    /// Number of jobs added and done.
    progress: Arc<watch::Sender<(u64, u64)>>,
    /// Of all jobs, still to be deleted.
    rows: Arc<AtomicU64>,
}

impl Trims {
    pub(crate) fn new() -> Self {
        Self {
            jobs: Arc::default(),
            generation: Arc::default(),
            progress: Arc::new(watch::Sender::new((0, 0))),
            rows: Arc::default(),
        }
    }

    pub(crate) fn add(&self, rows: Rows, author: Author) {
        if rows.is_empty() {
            return;
        }
        let delay = match author {
            Author::Us => Duration::ZERO,
            Author::Another => AFTER_OTHERS,
        };
        self.rows.fetch_add(rows.len() as u64, Ordering::Relaxed);
        self.jobs.lock().push_back((Instant::now() + delay, rows));
        self.progress.send_modify(|(added, _)| *added += 1);
    }

    /// The database was replaced: a compaction that it lost makes no garbage. What is left is found by the next load.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        let dropped = std::mem::take(&mut *self.jobs.lock());
        dropped.iter().for_each(|(_, rows)| self.deleted(rows.len()));
        self.progress.send_modify(|(_, done)| *done += dropped.len() as u64);
    }

    /// Rows that are known to be useless and still there.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    fn deleted(&self, rows: usize) {
        self.rows.fetch_sub(rows as u64, Ordering::Relaxed);
    }

    /// Has everything added so far done at once, and waits for it.
    pub(crate) async fn drained(&self) {
        let mut progress = self.progress.subscribe();
        let now = Instant::now();
        self.jobs.lock().iter_mut().for_each(|(due, _)| *due = now);
        let target = progress.borrow().0;
        // Nothing was added, but whoever sleeps until the next job is due looks again.
        self.progress.send_modify(|_| {});
        // The sender lives as long as `self`.
        let _ = progress.wait_for(|(_, done)| *done >= target).await;
    }

    /// Works until the future is dropped.
    pub(crate) async fn run(self, trimming: Trimming) {
        let mut progress = self.progress.subscribe();
        loop {
            let (added, _) = *progress.borrow_and_update();
            let generation = self.generation.load(Ordering::SeqCst);
            let Some(due) = self.jobs.lock().iter().map(|(due, _)| *due).min() else {
                if progress.wait_for(|(now, _)| *now != added).await.is_err() {
                    return;
                }
                continue;
            };
            if due > Instant::now() {
                // Another job may come that is due earlier, and then so is everything before it.
                let _ = tokio::time::timeout_at(due, progress.changed()).await;
                continue;
            }
            let job = self.jobs.lock().pop_front();
            let Some((_, rows)) = job else { continue };
            self.wait_for_readers(&trimming, &rows, generation).await;
            self.delete(&trimming, &rows, generation).await;
            self.progress.send_modify(|(_, done)| *done += 1);
        }
    }

    /// Until every living shim has applied what the rows are of.
    async fn wait_for_readers(&self, trimming: &Trimming, rows: &Rows, generation: u64) {
        let Some(floor) = rows.iter().map(|(position, _)| *position).max() else { return };
        let (began, mut pause) = (Instant::now(), LOOK_MIN);
        while self.generation.load(Ordering::SeqCst) == generation && began.elapsed() < READERS_WITHIN {
            let applied = trimming.published.get().state.head().position;
            let reader = Reader { id: trimming.reader, applied, timeline: trimming.peers.timeline() };
            match trimming.log.report(&reader).await {
                Ok(others) if trimming.peers.heard(&others, applied) >= floor => return,
                Ok(_) => {}
                Err(fault) => tracing::debug!(%fault, "cannot look how far others have read"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_MAX);
        }
    }

    /// Tries until the rows are gone, or the database is. What fails is told and counted: space that is not given back
    /// fills a disk.
    async fn delete(&self, trimming: &Trimming, rows: &[RowId], generation: u64) {
        let Trimming { log, counters, .. } = trimming;
        let (mut left, mut wait) = (rows.len(), RETRY_MIN);
        for piece in rows.chunks(trimming.rows_at_once) {
            let Some(floor) = piece.iter().map(|(position, _)| *position).max() else { continue };
            while self.generation.load(Ordering::SeqCst) == generation
                && let Err(fault) = log.trim(floor, piece).await
            {
                Counters::add(&counters.trims_failed, 1);
                let waiting = self.rows();
                tracing::warn!(%fault, waiting, retry_after = ?wait, "compacted rows cannot be deleted yet");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
            if self.generation.load(Ordering::SeqCst) != generation {
                break;
            }
            wait = RETRY_MIN;
            left -= piece.len();
            self.deleted(piece.len());
            Counters::add(&counters.rows_trimmed, piece.len());
        }
        // What a replaced database made of them is found by the load that follows.
        self.deleted(left);
    }
}
