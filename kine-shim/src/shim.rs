//! The shim as the wire sees it: a cheap handle on one state machine over one log. In go operations, out come answers
//! that are durable and current. Starts and joins the tasks that do the work; the work itself is in `sequencer`,
//! `read_index`, `watch` and `leases`.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::{SeedableRng, rngs::StdRng};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::Caller,
    counters::Counters,
    leases::{Keeper, Leases},
    log::{Log, LogFault, Member, Reader, Size},
    model::{Error, Fault, Key, LeaseId, Op, Position, Reply, Revision},
    read_index::{Confirmation, ReadIndexQueue},
    sequencer::{
        ForwardedOutcome, Forwarding, Hints, Mailbox, Peers, Publication, REPORT_EVERY, Sequencer, Snapshots,
        Surroundings, Trimming, Trims, drop_aside,
    },
    settings::ShimConfig,
    state::State,
    watch::{Hub, WatchStream},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every write acknowledged, by any shim, before the read began.
    Linearizable,
    /// What this shim has; may be a little old.
    Serializable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The database answered not long ago, and it is a primary.
    pub is_serving: bool,
    pub since_contact: Duration,
    pub watchers: usize,
    pub watch_streams: usize,
    /// So far behind that they read history.
    pub slow_watchers: usize,
    /// Operations in the mailbox.
    pub waiting: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseTtl {
    /// Seconds, as granted.
    pub granted: i64,
    /// Seconds.
    pub remaining: i64,
    /// Only when asked for.
    pub keys: Vec<Key>,
}

/// The handle. Clones share one shim; [`Shim::stop`] ends it for all.
#[derive(Clone)]
pub struct Shim(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    config: ShimConfig,
    started: Instant,
    mailbox: Mailbox,
    /// By which name the log knows this shim.
    reader: uuid::Uuid,
    published: Publication,
    read_indexes: ReadIndexQueue,
    leases: Leases,
    hub: Arc<Hub>,
    trims: Trims,
    snapshots: Arc<Mutex<Snapshots>>,
    forwarding: Forwarding,
    counters: Arc<Counters>,
    /// Nothing new is taken.
    stop: CancellationToken,
    /// What is under way is abandoned.
    halt: CancellationToken,
    tasks: TaskTracker,
    serving: tokio::sync::watch::Sender<bool>,
}

const LEAVE_WITHIN: Duration = Duration::from_secs(1);

impl Shim {
    /// Loads the log and starts serving. Dropping the future leaves nothing running.
    pub async fn start(log: Arc<dyn Log>, config: ShimConfig) -> Result<Shim, LogFault> {
        let counters = Arc::new(Counters::default());
        let rng = config.seed.map_or_else(rand::make_rng, StdRng::seed_from_u64);
        let started = Instant::now();
        let (stop, halt) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let (mailbox, submissions) = Mailbox::new(config.mailbox, config.mailbox_bytes);
        let trims = Trims::new();
        let leases = Leases::default();
        let surroundings = Surroundings {
            log: log.clone(),
            config: config.clone(),
            counters: counters.clone(),
            mailbox: submissions,
            trims: trims.clone(),
            leases: leases.clone(),
            started,
            stop: stop.clone(),
        };
        let sequencer = Sequencer::start(surroundings, rng).await?;
        let (published, hub, snapshots, hints) =
            (sequencer.published(), sequencer.hub(), sequencer.snapshots(), sequencer.hints());
        let read_indexes = ReadIndexQueue::new(Confirmation {
            log: log.clone(),
            published: published.clone(),
            hints: hints.clone(),
            counters: counters.clone(),
            started,
            config: config.clone(),
        });
        let (reader, peers, forwarding) = (sequencer.writer(), sequencer.peers(), sequencer.forwarding());
        let trimming = Trimming {
            log: log.clone(),
            counters: counters.clone(),
            published: published.clone(),
            reader,
            peers: peers.clone(),
            rows_at_once: config.trim_rows,
        };
        tasks.spawn(stopping(stop.clone(), trims.clone().run(trimming)));
        tasks.spawn(stopping(stop.clone(), report_applied(log.clone(), reader, published.clone(), peers)));
        tasks.spawn(stopping(stop.clone(), read_indexes.clone().run()));
        let keeper = Keeper {
            log: log.clone(),
            config: config.clone(),
            published: published.clone(),
            mailbox: mailbox.clone(),
            counters: counters.clone(),
            leases: leases.clone(),
        };
        tasks.spawn(stopping(stop.clone(), keeper.run()));
        tasks.spawn(stopping(stop.clone(), leases.clone().run(log.clone())));
        tasks.spawn(stopping(stop.clone(), mark_watchers(hub.clone())));
        tasks.spawn(stopping(stop.clone(), pass_hints_on(log.clone(), published.clone(), hints)));
        tasks.spawn(stopping(halt.clone(), sequencer.run()));
        let (stopped, watching) = (stop.clone(), tasks.clone());
        let shim = Shim(Arc::new(Inner {
            log,
            config,
            started,
            mailbox,
            reader,
            published,
            read_indexes,
            leases,
            hub,
            trims,
            snapshots,
            forwarding,
            counters,
            stop,
            halt,
            tasks,
            serving: tokio::sync::watch::Sender::new(true),
        }));
        watching.spawn(stopping(stopped, shim.clone().watch_contact()));
        Ok(shim)
    }

    /// An operation of the shim's own: nobody's permission is asked.
    pub async fn write(&self, op: Op) -> Result<(Revision, Reply), Error> {
        self.write_as(op, Caller::Shim).await
    }

    /// Evaluates an operation on the newest state, the caller's permissions with it, and makes it durable. Returns the
    /// header's revision with the reply. Dropping the future leaves the outcome unknown: what was sent goes its way,
    /// what was not is dropped.
    pub async fn write_as(&self, op: Op, caller: Caller) -> Result<(Revision, Reply), Error> {
        let answer = self.0.mailbox.submit(op, caller, None).inspect_err(|fault| self.count_overload(fault))?;
        match tokio::time::timeout(self.0.config.patience, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Fault::OutcomeUnknown("the shim stopped".into()).into()),
            Err(_) => Err(Fault::OutcomeUnknown("the database did not confirm in time".into()).into()),
        }
    }

    /// Evaluates an operation that another shim has forwarded; it is not forwarded again. Dropping the future is as in
    /// [`Shim::write_as`].
    pub(crate) async fn write_forwarded(&self, op: Op, caller: Caller) -> ForwardedOutcome {
        let answer = match self.0.mailbox.submit_forwarded(op, caller) {
            Ok(answer) => answer,
            Err(_) => return ForwardedOutcome::Left,
        };
        match tokio::time::timeout(self.0.config.patience, answer).await {
            Ok(Ok(answer)) => {
                let position = self.0.published.look(|published| published.state.head().position);
                answer.map(|(revision, reply)| (revision, reply, position)).into()
            }
            Ok(Err(_)) => ForwardedOutcome::Unknown("the shim that was to write it stopped".into()),
            Err(_) => ForwardedOutcome::Unknown("the database did not confirm in time".into()),
        }
    }

    /// The ways between this shim and the others.
    pub(crate) fn forwarding(&self) -> &Forwarding {
        &self.0.forwarding
    }

    /// By which name the log knows this shim as a writer.
    pub fn writer(&self) -> uuid::Uuid {
        self.0.reader
    }

    /// The same for an operation of the shim's own that is to happen though nobody waits for it.
    pub fn write_unanswered(&self, op: Op) {
        if let Err(fault) = self.0.mailbox.submit_unanswered(op, Caller::Shim) {
            self.count_overload(&fault);
            tracing::debug!(%fault, "an operation nobody waits for was not taken");
        }
    }

    fn count_overload(&self, fault: &Fault) {
        if *fault == Fault::Overloaded {
            Counters::add(&self.0.counters.overloaded, 1);
        }
    }

    /// A state to read from: its revision is the header's. Dropping the future loses nothing.
    pub async fn read(&self, consistency: Consistency) -> Result<State, Fault> {
        match consistency {
            Consistency::Serializable => Ok(self.snapshot()),
            Consistency::Linearizable => {
                let confirmed = tokio::time::timeout(self.0.config.patience, self.0.read_indexes.confirm());
                let confirmed = self.0.stop.run_until_cancelled(confirmed).await.ok_or(Fault::Stopping)?;
                let confirmed =
                    confirmed.unwrap_or_else(|_| Err(Fault::NotApplied("the database did not answer in time".into())));
                confirmed.inspect_err(|_| Counters::add(&self.0.counters.reads_failed, 1))
            }
        }
    }

    /// The newest committed state this shim knows.
    pub fn snapshot(&self) -> State {
        self.0.published.get().state
    }

    /// Of the newest committed state: rises when the store changes hands.
    pub fn incarnation(&self) -> u64 {
        self.0.published.look(|published| published.state.incarnation())
    }

    /// The state exactly at `revision`, if it was kept: recent ones about once a second, and those given to
    /// [`Shim::keep_snapshot`]. `None` also when it was compacted since.
    pub fn snapshot_at(&self, revision: Revision) -> Option<State> {
        let now = self.snapshot();
        if now.revision() == revision {
            return Some(now);
        }
        if revision < now.compacted() {
            return None;
        }
        self.0.snapshots.lock().at(revision)
    }

    /// Keeps a state for the pages that follow the first one, for about a minute.
    pub fn keep_snapshot(&self, state: &State) {
        let dropped = self.0.snapshots.lock().keep(state, Instant::now());
        drop_aside(dropped);
    }

    /// One for each client stream.
    pub fn watch_stream(&self) -> WatchStream {
        WatchStream::new(self.0.hub.clone(), self.0.config.progress_interval)
    }

    /// The TTL again in full, in seconds; 0 when the lease is gone, which an expiring one is waited for to be. Dropping
    /// the future leaves open whether the renewal counts.
    pub async fn lease_keep_alive(&self, id: LeaseId) -> Result<i64, Fault> {
        loop {
            let known = self.snapshot().lease(id);
            let Some(lease) = (match known {
                Some(lease) => Some(lease),
                None => self.read(Consistency::Linearizable).await?.lease(id),
            }) else {
                return Ok(0);
            };
            let renewed = tokio::time::timeout(self.0.config.patience, self.0.leases.renew(lease.grant())).await;
            let renewed = renewed
                .unwrap_or_else(|_| Err(Fault::OutcomeUnknown("the renewal was not confirmed in time".into())))?;
            // Not at the same time: a renewal may come after the end of the lease, and counts then for nothing.
            let now = self.read(Consistency::Linearizable).await?.lease(id);
            if now != Some(lease) {
                // It left a row that nobody needs; if that stays, it only takes its space.
                let _ = self.0.log.forget_leases(&[lease.grant()]).await;
                match now {
                    Some(_) => continue,
                    None => return Ok(0),
                }
            }
            if renewed {
                Counters::add(&self.0.counters.leases_renewed, 1);
                return Ok(lease.ttl);
            }
            let is_gone = self.0.published.wait_for(|published| published.state.lease(id) != Some(lease));
            return match tokio::time::timeout(self.0.config.patience, is_gone).await {
                Ok(_) => Ok(0),
                Err(_) => Err(Fault::NotApplied("the lease is expiring".into())),
            };
        }
    }

    /// `None`: no such lease. Dropping the future loses nothing.
    pub async fn lease_time_to_live(&self, id: LeaseId, keys: bool) -> Result<Option<LeaseTtl>, Fault> {
        let state = self.read(Consistency::Linearizable).await?;
        let Some(lease) = state.lease(id) else { return Ok(None) };
        let clock = tokio::time::timeout(self.0.config.patience, self.0.leases.clock(lease.grant())).await;
        let clock = clock.map_err(|_| Fault::NotApplied("the database did not answer in time".into()))??;
        let age = self.0.leases.age(id, &clock);
        let left = Duration::from_secs(u64::try_from(lease.ttl).unwrap_or(0)).saturating_sub(age);
        // Whole seconds, as etcd counts: a lease just granted has a little less than its TTL.
        let remaining = if clock.expiring { 0 } else { i64::try_from(left.as_secs()).unwrap_or(lease.ttl) };
        let keys = if keys { state.lease_keys(id) } else { Vec::new() };
        Ok(Some(LeaseTtl { granted: lease.ttl, remaining, keys }))
    }

    /// All leases of the state, the one that would end first coming first.
    pub fn leases_by_expiry(&self, state: &State) -> Vec<LeaseId> {
        self.0.leases.by_expiry(state)
    }

    /// Waits until what earlier compactions made useless is out of memory and its rows are deleted. Dropping the future
    /// loses nothing.
    pub async fn compact_physical(&self) -> Result<(), Fault> {
        let drained = async {
            self.0.published.wait_for(|published| !published.state.is_sweeping()).await;
            self.0.trims.drained().await;
        };
        self.0.stop.run_until_cancelled(drained).await.ok_or(Fault::Stopping)
    }

    /// Rows of the log that compactions made useless and that are still there.
    pub fn garbage_rows(&self) -> u64 {
        self.0.trims.rows()
    }

    pub fn health(&self) -> Health {
        let since_contact = self.since_contact();
        let (watchers, watch_streams) = self.0.hub.population();
        let slow_watchers = self.0.hub.slow();
        let waiting = self.0.mailbox.waiting();
        let is_serving = self.is_serving();
        Health { is_serving, since_contact, watchers, watch_streams, slow_watchers, waiting }
    }

    fn since_contact(&self) -> Duration {
        self.0.counters.since_contact(self.0.started)
    }

    /// Whether the database answered not long ago, so that something can be written and confirmed here.
    pub fn is_serving(&self) -> bool {
        self.since_contact() < self.0.config.silence_max && !self.0.stop.is_cancelled()
    }

    /// Waits until that is no longer so. Dropping the future loses nothing.
    pub async fn stops_serving(&self) {
        let mut serving = self.0.serving.subscribe();
        // The sender lives as long as `self`.
        let _ = serving.wait_for(|is_serving| !is_serving).await;
    }

    /// Tells those who wait for it; until the shim stops.
    async fn watch_contact(self) {
        let look_every = (self.0.config.silence_max / 10).max(Duration::from_millis(10));
        loop {
            let now = self.is_serving();
            self.0.serving.send_if_modified(|is_serving| std::mem::replace(is_serving, now) != now);
            tokio::time::sleep(look_every).await;
        }
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// Tells the other shims of this store of this one, and who they are.
    pub async fn meet(&self, member: &Member) -> Result<Vec<Member>, LogFault> {
        self.0.log.meet(member).await
    }

    pub async fn part(&self, id: u64) -> Result<(), LogFault> {
        self.0.log.part(id).await
    }

    pub async fn size(&self) -> Result<Size, LogFault> {
        self.0.log.size().await
    }

    pub async fn reclaim(&self) -> Result<(), LogFault> {
        self.0.log.reclaim().await
    }

    /// Takes nothing new, lets what is under way end (as long as its callers have patience), ends the watches, joins
    /// every task.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(self.0.config.patience, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("stopped while the database owed answers");
            self.0.halt.cancel();
            self.0.tasks.wait().await;
        }
        self.0.hub.close();
        // Nobody need wait for what this shim has not read.
        let reader = Reader { id: self.0.reader, applied: Position(u64::MAX), timeline: 0 };
        let _ = tokio::time::timeout(LEAVE_WITHIN, self.0.log.report(&reader)).await;
    }

    /// As if a batch with the end of this lease had been applied.
    #[cfg(test)]
    pub(crate) fn ended_lease(&self, lease: crate::model::Grant) {
        self.0.leases.ended(lease);
    }

    /// Ends at once, as a killed process would.
    #[cfg(test)]
    pub(crate) async fn crash(&self) {
        self.0.halt.cancel();
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.hub.close();
    }
}

/// Says how far this shim has read the log, so that nothing is trimmed that it is still to read.
async fn report_applied(log: Arc<dyn Log>, reader: uuid::Uuid, published: Publication, peers: Peers) {
    loop {
        // First the timeline: what is applied by then may be more than it confirms, never less.
        let timeline = peers.timeline();
        let applied = published.look(|published| published.state.head().position);
        let reader = Reader { id: reader, applied, timeline };
        match log.report(&reader).await {
            Ok(others) => {
                peers.heard(&others, applied);
            }
            Err(fault) => tracing::debug!(%fault, "cannot tell how far the log was read"),
        }
        tokio::time::sleep(REPORT_EVERY).await;
    }
}

async fn mark_watchers(hub: Arc<Hub>) {
    hub.run().await;
}

async fn pass_hints_on(log: Arc<dyn Log>, published: Publication, hints: Arc<Hints>) {
    loop {
        let upto = log.changed().await;
        let is_known = |upto| published.look(|published| published.state.head().position >= upto);
        if !upto.is_some_and(is_known) {
            hints.behind.notify_one();
        }
    }
}

async fn stopping(stop: CancellationToken, work: impl Future<Output = ()>) {
    stop.run_until_cancelled_owned(work).await;
}
