//! Linearizable reads, as etcd's ReadIndex: a reader asks the log for its end, and reads once everything up to there is
//! applied here. A reader who finds nobody asking asks by itself, which saves it the way to a task and back. Readers
//! that come meanwhile wait, and share the next question; nobody joins one that was already sent, since its answer may
//! be older than what the reader's client has seen. A server that only replays (a standby) is never believed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

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
pub(crate) struct ReadIndexQueue(Arc<Queue>);

struct Queue {
    confirmation: Confirmation,
    waiting: Mutex<Vec<Reader>>,
    arrived: Notify,
    /// Since when a reader asks by itself.
    alone_since: Mutex<Option<Instant>>,
    /// The task has questions on their way.
    is_busy: AtomicBool,
}

/// A reader asks by itself as long as this lives.
struct Alone<'a>(&'a Queue);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        *self.0.alone_since.lock() = None;
        // Who came meanwhile waits for this one's end.
        self.0.arrived.notify_one();
    }
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
    pub(crate) fn new(confirmation: Confirmation) -> Self {
        Self(Arc::new(Queue {
            confirmation,
            waiting: Mutex::default(),
            arrived: Notify::new(),
            alone_since: Mutex::default(),
            is_busy: AtomicBool::new(false),
        }))
    }

    /// A state that holds everything acknowledged before the call. Dropping the future loses nothing.
    pub(crate) async fn confirm(&self) -> Result<State, Fault> {
        if let Some(_alone) = self.0.alone()
            && let Some(state) = self.0.confirmation.confirmed_state().await
        {
            return Ok(state);
        }
        let (reader, confirmed) = oneshot::channel();
        {
            let mut waiting = self.0.waiting.lock();
            if waiting.len() >= READERS_MAX {
                return Err(Fault::Overloaded);
            }
            waiting.push(reader);
        }
        self.0.arrived.notify_one();
        confirmed.await.map_err(|_| Fault::Stopping)
    }

    /// Works until the future is dropped.
    pub(crate) async fn run(self) {
        let queue = &*self.0;
        let mut asked = FuturesUnordered::new();
        let mut next_at = Instant::now();
        loop {
            queue.is_busy.store(!asked.is_empty(), Ordering::SeqCst);
            let now = Instant::now();
            let alone_since = *queue.alone_since.lock();
            let due = match alone_since {
                Some(since) => next_at.max(since + SPACING),
                None if asked.is_empty() => now,
                None => next_at,
            };
            let has_room = asked.len() < IN_FLIGHT_MAX;
            if has_room && now >= due {
                let readers = std::mem::take(&mut *queue.waiting.lock());
                if !readers.is_empty() {
                    asked.push(queue.confirmation.ask(readers));
                    next_at = now + SPACING;
                    continue;
                }
            }
            let is_awaited = has_room && !queue.waiting.lock().is_empty();
            tokio::select! {
                biased;
                Some(()) = asked.next(), if !asked.is_empty() => {}
                () = queue.arrived.notified() => {}
                () = tokio::time::sleep_until(due), if is_awaited => {}
            }
        }
    }
}

impl Queue {
    /// The right to ask by oneself, where nobody asks and nobody waits to.
    fn alone(&self) -> Option<Alone<'_>> {
        if self.is_busy.load(Ordering::SeqCst) || !self.waiting.lock().is_empty() {
            return None;
        }
        let mut alone_since = self.alone_since.lock();
        if alone_since.is_some() {
            return None;
        }
        *alone_since = Some(Instant::now());
        Some(Alone(self))
    }
}

impl Confirmation {
    /// Gives the readers a state that holds everything up to the end of the log as it is now; tries until it has one or
    /// nobody waits any more.
    async fn ask(&self, mut readers: Vec<Reader>) {
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

    async fn confirmed_state(&self) -> Option<State> {
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
