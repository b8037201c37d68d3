//! Loading: the whole log, as it is at one moment, becomes a state, with progress. Meanwhile the log is told that
//! somebody reads.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    log::{Log, LogFault, Reader},
    model::{BatchId, Position, RowId},
    state::{Loading, State},
};

/// So many changes are sorted before anybody notices.
const INLINE_MAX: usize = 10_000;
/// How often the load tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How often a shim says what it has applied: a few times before it counts as gone.
pub(crate) const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What the log holds.
pub(super) struct Loaded {
    pub(super) state: State,
    /// Those of the wanted ids that are in the log.
    pub(super) found: Vec<BatchId>,
    pub(super) trimmed: Position,
    /// When the last batch was written, in milliseconds since 1970.
    pub(super) last_at_ms: i64,
    /// Of each compaction, in log order.
    pub(super) garbage: Vec<Vec<RowId>>,
    /// It is our own state with what follows it.
    pub(super) is_followed: bool,
    /// We were there before the other database took over.
    pub(super) is_remembered: bool,
}

/// Streams the log, as it is at one moment, into a state. Meanwhile it is told that somebody reads: what came up to now
/// is not trimmed away before it is read. Dropping the future leaves nothing behind.
pub(super) async fn load(log: &dyn Log, reading: &Reading<'_>) -> Result<Loaded, LogFault> {
    log.report(&reading.reader).await?;
    let keep_reporting = async {
        loop {
            tokio::time::sleep(REPORT_EVERY).await;
            if let Err(fault) = log.report(&reading.reader).await {
                tracing::debug!(%fault, "cannot tell that the log is being loaded");
            }
        }
    };
    tokio::select! {
        biased;
        loaded = load_snapshot(log, reading) => loaded,
        () = keep_reporting => Err(given_up()),
    }
}

fn given_up() -> LogFault {
    LogFault::NotApplied("the load was given up".into())
}

/// What a load is to find out, and for whom.
pub(super) struct Reading<'a> {
    /// With the head of the log just before.
    pub(super) reader: Reader,
    /// Ids to look for.
    pub(super) wanted: &'a [BatchId],
    pub(super) progress: &'a AtomicU64,
    pub(super) page_bytes: usize,
}

async fn load_snapshot(log: &dyn Log, reading: &Reading<'_>) -> Result<Loaded, LogFault> {
    let mut snapshot = log.snapshot().await?;
    let mut loading = Loading::default();
    let (mut found, mut garbage) = (Vec::new(), Vec::new());
    let (mut last_at_ms, mut rows) = (0, 0_usize);
    let mut next_report = Instant::now() + PROGRESS_EVERY;
    reading.progress.store(0, Ordering::Relaxed);
    loop {
        let batches = snapshot.next(reading.page_bytes).await?;
        if batches.is_empty() {
            break;
        }
        for batch in &batches {
            rows += batch.entries.len();
            last_at_ms = batch.at_ms;
            if reading.wanted.contains(&batch.id) {
                found.push(batch.id);
            }
            let applied = loading.load(batch).map_err(|corrupt| LogFault::Unusable(corrupt.to_string()))?;
            if !applied.garbage.is_empty() {
                garbage.push(applied.garbage);
            }
        }
        reading.progress.store(rows as u64, Ordering::Relaxed);
        if Instant::now() >= next_report {
            next_report = Instant::now() + PROGRESS_EVERY;
            tracing::info!(rows, revision = loading.revision(), "loading the log");
        }
        // A large log must not keep other tasks of this thread from running.
        tokio::task::yield_now().await;
    }
    // A large log must not keep other tasks of this thread from running.
    let state = match loading.unsorted() {
        ..INLINE_MAX => loading.finish(),
        _ => tokio::task::spawn_blocking(|| loading.finish()).await.map_err(|_| given_up())?,
    };
    if state.is_half_imported() {
        return Err(LogFault::Unusable("an import into this store was begun and has not ended".into()));
    }
    tracing::info!(rows, keys = state.len(), revision = state.revision(), "loaded the log");
    Ok(Loaded {
        state,
        found,
        trimmed: snapshot.trimmed(),
        last_at_ms,
        garbage,
        is_followed: false,
        is_remembered: false,
    })
}
