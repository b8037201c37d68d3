//! How a sequencer comes to be: the log streamed once, with progress, and the name of the database compared with the recorded one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::FuturesOrdered;
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::catch_up::Loaded;
use super::gather::Gather;
use super::publication::Publication;
use super::snapshots::Snapshots;
use super::trim::{Author, Trims};
use super::{BACKOFF_MIN, PAGE_BYTES, Sequencer, Submission, identity_value, is_same_database};
use crate::auth::Caller;
use crate::leases::Leases;
use crate::log::{Log, LogFault};
use crate::model::{BatchId, Op, Position};
use crate::shim::{Counters, IDENTITY_RECORD, ShimConfig};
use crate::state::State;
use crate::watch::Hub;

/// How often the load tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What a sequencer is given by the shim it belongs to.
pub(crate) struct Surroundings {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) config: ShimConfig,
    pub(crate) counters: Arc<Counters>,
    pub(crate) mailbox: mpsc::Receiver<Submission>,
    pub(crate) trims: Trims,
    pub(crate) leases: Leases,
    pub(crate) started: Instant,
    pub(crate) stop: CancellationToken,
}

impl Sequencer {
    /// Loads the log. Dropping the future leaves nothing behind.
    pub(crate) async fn start(surroundings: Surroundings, mut rng: StdRng) -> Result<Self, LogFault> {
        let Surroundings { log, config, counters, mailbox, trims, leases, started, stop } = surroundings;
        let fence = log.fence(Position(0)).await?;
        let loaded = load(&*log, &[], &config.loaded_rows).await?;
        for rows in loaded.garbage {
            trims.add(rows, Author::Us);
        }
        let state = loaded.state;
        let mut sequencer = Self {
            log,
            writer: uuid::Builder::from_random_bytes(rng.random()).into_uuid(),
            rng,
            counters,
            started,
            stop,
            mailbox,
            backlog: VecDeque::new(),
            flights: VecDeque::new(),
            outcomes: FuturesOrdered::new(),
            committed: state.clone(),
            tip: state.clone(),
            look: None,
            next_look: Instant::now() + config.poll,
            backoff: BACKOFF_MIN,
            published: Publication::new(state.clone()),
            hints: Arc::default(),
            hub: Arc::new(Hub::new(state.clone())),
            snapshots: Arc::new(Mutex::new(Snapshots::default())),
            trims,
            compacted_by: Author::Us,
            leases,
            turn: Default::default(),
            gather: Gather::new(config.gather),
            trusted: bytes::Bytes::new(),
            config,
        };
        sequencer.note_contact();
        if !fence.in_recovery {
            if state.record(IDENTITY_RECORD).is_none() || is_same_database(&state, &fence) {
                sequencer.trust(&fence.identity);
            }
            if state.record(IDENTITY_RECORD).is_none() {
                sequencer.record_identity(identity_value(&fence.identity));
            } else if !is_same_database(&state, &fence) {
                sequencer.reload(&[]).await;
            }
        }
        Ok(sequencer)
    }

    /// Names the database in the log, once.
    fn record_identity(&mut self, value: bytes::Bytes) {
        let op = Op::Record { key: IDENTITY_RECORD.into(), value };
        let (reply, _) = oneshot::channel();
        self.backlog.push_back(Submission { op, caller: Caller::Shim, reply, arrived: Instant::now() });
    }
}

/// Streams the whole log into a state; again, if rows were trimmed away between the first page and the last.
pub(super) async fn load(log: &dyn Log, wanted: &[BatchId], progress: &AtomicU64) -> Result<Loaded, LogFault> {
    loop {
        progress.store(0, Ordering::Relaxed);
        if let Some(loaded) = load_once(log, wanted, progress).await? {
            return Ok(loaded);
        }
    }
}

async fn load_once(log: &dyn Log, wanted: &[BatchId], progress: &AtomicU64) -> Result<Option<Loaded>, LogFault> {
    let mut state = State::new();
    let (mut found, mut garbage) = (Vec::new(), Vec::new());
    let (mut trimmed, mut last_at_ms, mut rows) = (None, 0, 0_usize);
    let mut next_report = Instant::now() + PROGRESS_EVERY;
    loop {
        let page = log.load(state.head().position, PAGE_BYTES).await?;
        if *trimmed.get_or_insert(page.trimmed) != page.trimmed {
            return Ok(None);
        }
        if page.batches.is_empty() {
            break;
        }
        for batch in &page.batches {
            rows += batch.entries.len();
            last_at_ms = batch.at_ms;
            if wanted.contains(&batch.id) {
                found.push(batch.id);
            }
            let applied = state.load(batch).map_err(|corrupt| LogFault::Unusable(corrupt.to_string()))?;
            if !applied.garbage.is_empty() {
                garbage.push(applied.garbage);
            }
        }
        progress.store(rows as u64, Ordering::Relaxed);
        if Instant::now() >= next_report {
            next_report = Instant::now() + PROGRESS_EVERY;
            tracing::info!(rows, keys = state.len(), revision = state.revision(), "loading the log");
        }
        // A large log must not keep other tasks of this thread from running.
        tokio::task::yield_now().await;
    }
    if state.is_half_imported() {
        return Err(LogFault::Unusable("an import into this store was begun and has not ended".into()));
    }
    tracing::info!(rows, keys = state.len(), revision = state.revision(), "loaded the log");
    Ok(Some(Loaded { state, found, trimmed: trimmed.unwrap_or_default(), last_at_ms, garbage }))
}
