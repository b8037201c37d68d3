//! Linearizable reads in batches: all readers that wait share the next fence, and nobody joins one that was already sent, since it may
//! have seen less than the reader's client. A server that only replays is never believed.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::log::Log;
use crate::model::Fault;
use crate::sequencer::publication::{Publication, Published};
use crate::sequencer::{BrokenRule, Hints, follows, is_same_database, note_contact};
use crate::shim::{Counters, ShimConfig};
use crate::state::State;

/// Fences on their way at once.
const FENCES_MAX: usize = 4;
/// While one is on its way, the next is sent so long after it. A database answers them one after the other: several at once would only
/// wait there, each for fewer readers. But a database far away is not waited for to answer.
const SPACING: Duration = Duration::from_millis(2);
/// Readers that wait for a fence to be sent; more are refused.
const READERS_MAX: usize = 65_536;
const RETRY_MIN: Duration = Duration::from_millis(5);
const RETRY_MAX: Duration = Duration::from_millis(500);

type Reader = oneshot::Sender<State>;

#[derive(Clone)]
pub(crate) struct Fences {
    waiting: Arc<Mutex<Vec<Reader>>>,
    arrived: Arc<Notify>,
}

/// What carrying a fence needs.
#[derive(Clone)]
pub(crate) struct Carrier {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) published: Publication,
    pub(crate) hints: Arc<Hints>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) started: Instant,
    pub(crate) config: ShimConfig,
}

impl Fences {
    pub(crate) fn new() -> Self {
        Self { waiting: Arc::default(), arrived: Arc::default() }
    }

    /// A state that holds everything acknowledged before the call. Dropping the future loses nothing.
    pub(crate) async fn pass(&self) -> Result<State, Fault> {
        let (reader, passed) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.len() >= READERS_MAX {
                return Err(Fault::Overloaded);
            }
            waiting.push(reader);
        }
        self.arrived.notify_one();
        passed.await.map_err(|_| Fault::Stopping)
    }

    /// Works until the future is dropped.
    pub(crate) async fn run(self, carrier: Carrier) {
        let mut carried = FuturesUnordered::new();
        let mut next_at = Instant::now();
        loop {
            let has_room = carried.len() < FENCES_MAX;
            let is_time = carried.is_empty() || Instant::now() >= next_at;
            tokio::select! {
                biased;
                Some(()) = carried.next(), if !carried.is_empty() => {}
                () = self.arrived.notified(), if has_room && is_time => {
                    let readers = std::mem::take(&mut *self.waiting.lock());
                    if !readers.is_empty() {
                        carried.push(carrier.clone().carry(readers));
                        next_at = Instant::now() + SPACING;
                    }
                }
                () = tokio::time::sleep_until(next_at), if has_room && !is_time => {}
            }
        }
    }
}

impl Carrier {
    /// Gives the readers a state that a fence sent now vouches for; tries until it has one or nobody waits any more.
    async fn carry(mut self, mut readers: Vec<Reader>) {
        let mut pause = RETRY_MIN;
        loop {
            readers.retain(|reader| !reader.is_closed());
            if readers.is_empty() {
                return;
            }
            if let Some(state) = self.vouched_state().await {
                // Whoever no longer waits does not need it.
                readers.into_iter().for_each(|reader| drop(reader.send(state.clone())));
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn vouched_state(&mut self) -> Option<State> {
        let Published { state, epoch } = self.published.get();
        if self.config.breaks(BrokenRule::ReadWithoutFence) {
            return Some(state);
        }
        let applied = state.head();
        let fence = self.log.fence(applied.position).await.ok()?;
        Counters::add(&self.counters.fences, 1);
        if fence.in_recovery && !self.config.breaks(BrokenRule::TrustStandby) {
            return None;
        }
        if !is_same_database(&state, &fence) || !follows(&fence, applied) {
            self.hints.suspicious.notify_one();
            return None;
        }
        note_contact(&self.counters, self.started);
        let is_there =
            |published: &Published| published.epoch != epoch || published.state.head().position >= fence.head.position;
        if !is_there(&self.published.get()) {
            self.hints.behind.notify_one();
        }
        let published = self.published.wait_for(is_there).await;
        // Another incarnation: positions of the old one mean nothing in it.
        (published.epoch == epoch).then_some(published.state)
    }
}
