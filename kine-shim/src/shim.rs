//! The shim as the wire sees it: a cheap handle on one state machine over one log. In go operations, out come answers that are durable
//! and current. Starts and joins the tasks that do the work; the work itself is in `sequencer`, `fence`, `watch` and `leases`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Caller;
use crate::fence::{Carrier, Fences};
use crate::leases::{Keeper, Leases};
use crate::log::{Log, LogFault, Member, Size};
use crate::model::{Error, Fault, Key, LeaseId, Op, Reply, Revision};
use crate::sequencer::publication::Publication;
use crate::sequencer::snapshots::Snapshots;
use crate::sequencer::start::Surroundings;
use crate::sequencer::trim::Trims;
use crate::sequencer::{BrokenRule, Hints, Sequencer, Submission};
use crate::state::State;
use crate::watch::{Hub, WatchStream};

/// The record (see [`State::records`]) that names the database the log was written to. When the database answers by another name, a
/// failover or a restore has happened.
pub const IDENTITY_RECORD: &[u8] = b"kine-shim/identity";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every write acknowledged, by any shim, before the read began.
    Linearizable,
    /// What this shim has; may be a little old.
    Serializable,
}

/// Milliseconds since 1970, for people and for the jump of an incarnation. Order never depends on it.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl WallClock {
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new(|| {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
        })
    }
}

#[derive(Clone, Debug)]
pub struct ShimConfig {
    /// Seeds the ids of batches; `None` draws from the operating system.
    pub seed: Option<u64>,
    pub wall_clock: WallClock,
    /// Appends on their way at once.
    pub pipeline_depth: usize,
    /// Operations that must wait before they are sent ahead of an answer that is due: few are answered sooner, and cost less, as one
    /// batch behind it (measured with 16 clients: 1.5 times the writes).
    pub ahead_min: usize,
    /// How long the writers that a batch answered are awaited before the next goes without them.
    pub gather: Duration,
    /// Operations that may wait; more are answered "too many requests".
    pub mailbox: usize,
    /// Bounds of one batch; a single larger operation still goes alone.
    pub batch_entries: usize,
    pub batch_bytes: usize,
    /// How often an idle shim looks for what others wrote.
    pub poll: Duration,
    /// How long a caller waits before it is told that the outcome is unknown (a write) or that there is none (a read).
    pub patience: Duration,
    /// Of `progress_notify` watchers.
    pub progress_interval: Duration,
    /// Rows loaded so far, for who waits for the start.
    pub loaded_rows: Arc<AtomicU64>,
    #[cfg(test)]
    pub(crate) broken: Option<BrokenRule>,
}

impl Default for ShimConfig {
    fn default() -> Self {
        Self {
            seed: None,
            wall_clock: WallClock::default(),
            pipeline_depth: 4,
            ahead_min: 32,
            gather: Duration::from_millis(4),
            mailbox: 4096,
            batch_entries: 1024,
            batch_bytes: 4 << 20,
            poll: Duration::from_millis(100),
            patience: Duration::from_secs(7),
            progress_interval: Duration::from_secs(600),
            loaded_rows: Arc::default(),
            #[cfg(test)]
            broken: None,
        }
    }
}

impl ShimConfig {
    /// Whether a test wants this rule broken.
    #[cfg(test)]
    pub(crate) fn breaks(&self, rule: BrokenRule) -> bool {
        self.broken == Some(rule)
    }

    #[cfg(not(test))]
    pub(crate) fn breaks(&self, _: BrokenRule) -> bool {
        false
    }
}

/// What happened so far, for whoever shows it. All only grow, but for the last contact.
#[derive(Debug, Default)]
pub struct Counters {
    pub batches_committed: AtomicU64,
    pub batches_refused: AtomicU64,
    pub batches_uncertain: AtomicU64,
    pub operations_committed: AtomicU64,
    pub operations_refused: AtomicU64,
    /// Answered "not applied" or "outcome unknown".
    pub operations_failed: AtomicU64,
    pub overloaded: AtomicU64,
    pub fences: AtomicU64,
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
    pub(crate) last_contact_ms: AtomicI64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
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
    mailbox: mpsc::Sender<Submission>,
    published: Publication,
    fences: Fences,
    leases: Leases,
    hub: Arc<Hub>,
    trims: Trims,
    snapshots: Arc<Mutex<Snapshots>>,
    counters: Arc<Counters>,
    /// Nothing new is taken.
    stop: CancellationToken,
    /// What is under way is abandoned.
    halt: CancellationToken,
    tasks: TaskTracker,
}

/// Silence of the database after which a shim no longer says that it serves.
const CONTACT_MAX: Duration = Duration::from_secs(5);

impl Shim {
    /// Loads the log and starts serving. Dropping the future leaves nothing running.
    pub async fn start(log: Arc<dyn Log>, config: ShimConfig) -> Result<Shim, LogFault> {
        let counters = Arc::new(Counters::default());
        let rng = config.seed.map_or_else(rand::make_rng, StdRng::seed_from_u64);
        let started = Instant::now();
        let (stop, halt) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let (mailbox, submissions) = mpsc::channel(config.mailbox);
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
        let fences = Fences::new();
        let carrier = Carrier {
            log: log.clone(),
            published: published.clone(),
            hints: hints.clone(),
            counters: counters.clone(),
            started,
            config: config.clone(),
        };
        tasks.spawn(stopping(stop.clone(), trims.clone().run(log.clone(), counters.clone())));
        tasks.spawn(stopping(stop.clone(), fences.clone().run(carrier)));
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
        tasks.spawn(stopping(stop.clone(), pass_hints_on(log.clone(), hints)));
        tasks.spawn(stopping(halt.clone(), sequencer.run()));
        let shim = Shim(Arc::new(Inner {
            log,
            config,
            started,
            mailbox,
            published,
            fences,
            leases,
            hub,
            trims,
            snapshots,
            counters,
            stop,
            halt,
            tasks,
        }));
        Ok(shim)
    }

    /// An operation of the shim's own: nobody's permission is asked.
    pub async fn write(&self, op: Op) -> Result<(Revision, Reply), Error> {
        self.write_as(op, Caller::Shim).await
    }

    /// Judges an operation on the newest state, the caller's permissions with it, and makes it durable. Returns the header's revision
    /// with the reply. Once the future was polled to its end or to its first wait the operation goes its way, whether or not anybody
    /// waits.
    pub async fn write_as(&self, op: Op, caller: Caller) -> Result<(Revision, Reply), Error> {
        let (reply, answer) = oneshot::channel();
        let submission = Submission { op, caller, reply, arrived: Instant::now() };
        self.0.mailbox.try_send(submission).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                Counters::add(&self.0.counters.overloaded, 1);
                Fault::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => Fault::Stopping,
        })?;
        match tokio::time::timeout(self.0.config.patience, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Fault::OutcomeUnknown("the shim stopped".into()).into()),
            Err(_) => Err(Fault::OutcomeUnknown("the database did not confirm in time".into()).into()),
        }
    }

    /// A state to read from: its revision is the header's. Dropping the future loses nothing.
    pub async fn read(&self, consistency: Consistency) -> Result<State, Fault> {
        match consistency {
            Consistency::Serializable => Ok(self.snapshot()),
            Consistency::Linearizable => {
                let passed = tokio::time::timeout(self.0.config.patience, self.0.fences.pass());
                let passed = self.0.stop.run_until_cancelled(passed).await.ok_or(Fault::Stopping)?;
                let passed =
                    passed.unwrap_or_else(|_| Err(Fault::NotApplied("the database did not answer in time".into())));
                passed.inspect_err(|_| Counters::add(&self.0.counters.reads_failed, 1))
            }
        }
    }

    /// The newest committed state this shim knows.
    pub fn snapshot(&self) -> State {
        self.0.published.get().state
    }

    /// The state exactly at `revision`, if it was kept: recent ones about once a second, and those given to [`Shim::keep_snapshot`].
    /// `None` also when it was compacted since.
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
        self.0.snapshots.lock().keep(state, Instant::now());
    }

    /// One for each client stream.
    pub fn watch_stream(&self) -> WatchStream {
        WatchStream::new(self.0.hub.clone(), self.0.config.progress_interval)
    }

    /// The TTL again in full, in seconds; 0 when the lease is gone, which an expiring one is waited for to be. Dropping the future
    /// leaves open whether the renewal counts.
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

    /// Waits until what earlier compactions made useless is out of memory and its rows are deleted. Dropping the future loses nothing.
    pub async fn compact_physical(&self) -> Result<(), Fault> {
        let settled = async {
            self.0.published.wait_for(|published| !published.state.is_sweeping()).await;
            self.0.trims.settled().await;
        };
        self.0.stop.run_until_cancelled(settled).await.ok_or(Fault::Stopping)
    }

    /// Rows of the log that compactions made useless and that are still there.
    pub fn garbage_rows(&self) -> u64 {
        self.0.trims.rows()
    }

    pub fn health(&self) -> Health {
        let last = self.0.counters.last_contact_ms.load(Ordering::Relaxed);
        let last = Duration::from_millis(u64::try_from(last).unwrap_or(0));
        let since_contact = self.0.started.elapsed().saturating_sub(last);
        let (watchers, watch_streams) = self.0.hub.population();
        let slow_watchers = self.0.hub.slow();
        let waiting = self.0.mailbox.max_capacity() - self.0.mailbox.capacity();
        let is_serving = since_contact < CONTACT_MAX && !self.0.stop.is_cancelled();
        Health { is_serving, since_contact, watchers, watch_streams, slow_watchers, waiting }
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

    /// Takes nothing new, lets what is under way end (as long as its callers have patience), ends the watches, joins every task.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(self.0.config.patience, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("stopped while the database owed answers");
            self.0.halt.cancel();
            self.0.tasks.wait().await;
        }
        self.0.hub.close();
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

async fn mark_watchers(hub: Arc<Hub>) {
    hub.run().await;
}

async fn pass_hints_on(log: Arc<dyn Log>, hints: Arc<Hints>) {
    loop {
        log.changed().await;
        hints.behind.notify_one();
    }
}

async fn stopping(stop: CancellationToken, work: impl Future<Output = ()>) {
    stop.run_until_cancelled_owned(work).await;
}
