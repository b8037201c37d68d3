//! Linearizable reads, as etcd's ReadIndex: a reader asks the log for its end, and reads once everything up to there is
//! applied here. All readers that wait share the next question, and nobody joins one that was already sent, since its
//! answer may be older than what the reader's client has seen. A server that only replays (a standby) is never
//! believed.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    counters::Counters,
    log::Log,
    model::Fault,
    sequencer::{Hints, Publication, Published, follows, is_same_database},
    settings::{BrokenRule, ShimConfig},
    state::State,
};

/// Questions on their way at once.
const IN_FLIGHT_MAX: usize = 4;
/// The next question is sent so long after the last one, if that is still on its way. A database answers one after the
/// other: several at once would only wait there, each for fewer readers. But where the database is far away, its answer
/// is not awaited.
const SPACING: Duration = Duration::from_millis(2);
/// Readers that wait for a question to be sent; more are refused.
const READERS_MAX: usize = 65_536;
const RETRY_MIN: Duration = Duration::from_millis(5);
const RETRY_MAX: Duration = Duration::from_millis(500);

type Reader = oneshot::Sender<State>;

#[derive(Clone)]
pub(crate) struct ReadIndexQueue {
    waiting: Arc<Mutex<Vec<Reader>>>,
    arrived: Arc<Notify>,
}

/// What asking needs.
#[derive(Clone)]
pub(crate) struct Confirmation {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) published: Publication,
    pub(crate) hints: Arc<Hints>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) started: Instant,
    pub(crate) config: ShimConfig,
}

impl ReadIndexQueue {
    pub(crate) fn new() -> Self {
        Self { waiting: Arc::default(), arrived: Arc::default() }
    }

    /// A state that holds everything acknowledged before the call. Dropping the future loses nothing.
    pub(crate) async fn confirm(&self) -> Result<State, Fault> {
        let (reader, confirmed) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.len() >= READERS_MAX {
                return Err(Fault::Overloaded);
            }
            waiting.push(reader);
        }
        self.arrived.notify_one();
        confirmed.await.map_err(|_| Fault::Stopping)
    }

    /// Works until the future is dropped.
    pub(crate) async fn run(self, confirmation: Confirmation) {
        let mut asked = FuturesUnordered::new();
        let mut next_at = Instant::now();
        loop {
            let has_room = asked.len() < IN_FLIGHT_MAX;
            let is_time = asked.is_empty() || Instant::now() >= next_at;
            tokio::select! {
                biased;
                Some(()) = asked.next(), if !asked.is_empty() => {}
                () = self.arrived.notified(), if has_room && is_time => {
                    let readers = std::mem::take(&mut *self.waiting.lock());
                    if !readers.is_empty() {
                        asked.push(confirmation.clone().ask(readers));
                        next_at = Instant::now() + SPACING;
                    }
                }
                () = tokio::time::sleep_until(next_at), if has_room && !is_time => {}
            }
        }
    }
}

impl Confirmation {
    /// Gives the readers a state that holds everything up to the end of the log as it is now; tries until it has one or
    /// nobody waits any more.
    async fn ask(mut self, mut readers: Vec<Reader>) {
        let mut pause = RETRY_MIN;
        loop {
            readers.retain(|reader| !reader.is_closed());
            if readers.is_empty() {
                return;
            }
            if let Some(state) = self.confirmed_state().await {
                // Whoever no longer waits does not need it.
                readers.into_iter().for_each(|reader| drop(reader.send(state.clone())));
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn confirmed_state(&mut self) -> Option<State> {
        let Published { state, epoch } = self.published.get();
        if self.config.breaks(BrokenRule::ReadWithoutIndex) {
            return Some(state);
        }
        let applied = state.head();
        let read_index = self.log.read_index(applied.position).await.ok()?;
        Counters::add(&self.counters.read_indexes, 1);
        if read_index.in_recovery && !self.config.breaks(BrokenRule::TrustStandby) {
            return None;
        }
        if !is_same_database(&state, &read_index) || !follows(&read_index, applied) {
            self.hints.suspicious.notify_one();
            return None;
        }
        self.counters.note_contact(self.started);
        let is_there = |published: &Published| {
            published.epoch != epoch || published.state.head().position >= read_index.head.position
        };
        if !is_there(&self.published.get()) {
            self.hints.behind.notify_one();
        }
        let published = self.published.wait_for(is_there).await;
        // Another incarnation: positions of the old one mean nothing in it.
        (published.epoch == epoch).then_some(published.state)
    }
}
