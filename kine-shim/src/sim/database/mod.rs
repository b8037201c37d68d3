//! The simulated database: one log in the memory of the test, reached over connections that delay, lose, cut, and
//! repeat too late, all drawn from one seed. It remembers everything that was ever committed, so that the checker knows
//! the truth.

mod connection;
mod server;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use uuid::Uuid;

pub(crate) use self::connection::SimLog;
use self::server::Server;
use crate::{
    log::{Appended, Identity, LogFault, Reader},
    model::{Batch, Head, Position},
};

/// How often what goes wrong, in a hundredth of a percent of calls.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) not_sent: u32,
    pub(super) request_lost: u32,
    pub(super) reply_lost: u32,
    /// The caller is told that the outcome is unknown, and the request arrives afterwards.
    pub(super) too_late: u32,
    pub(super) slow: u32,
    /// Reads and read indexes that a standby answers for a while.
    pub(super) misrouted: u32,
}

/// Rules of the log itself that can be broken, to show that the checker notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokenLog {
    /// Compares the predecessor's position but not its id.
    TrustNumbers,
    /// Appends to whatever database answers.
    TrustAnyDatabase,
    /// Appends a batch again that is there already.
    ForgetIds,
    /// Raises the floor in one transaction and deletes in another, and reads the log in pieces that are from different
    /// moments, starting anew when it sees that the floor has risen.
    LoadInPieces,
    /// Loses the marks of expiring leases when it crashes.
    ForgetMarks,
}

/// A value over which the database fails, whatever else is in the batch.
pub(super) const POISON: &str = "poison";

/// A commit as it really happened.
#[derive(Clone)]
pub(super) struct Committed {
    pub(super) at: Instant,
    pub(super) batch: Arc<Batch>,
}

struct World {
    rng: StdRng,
    faults: Faults,
    broken: Option<BrokenLog>,
    server: Server,
    /// How the server looked before its latest appends: what a standby may have.
    earlier: VecDeque<Server>,
    /// Grows with each failover; a request to an earlier server never arrives.
    generation: u64,
    /// The chain as it is, and the chains that failovers cut off, each whole, with the time of its end.
    chain: Vec<Committed>,
    abandoned: Vec<(Instant, Vec<Committed>)>,
    readers: BTreeMap<Uuid, (Reader, Instant)>,
    /// Who asks for room, and until when.
    asking: BTreeMap<Uuid, Instant>,
    trace: Vec<String>,
    calls: u64,
}

pub(crate) struct Database {
    world: Mutex<World>,
    changed: Notify,
}

/// Servers a standby may lag behind by, in appends.
const LAG_MAX: usize = 6;

impl Database {
    pub(crate) fn new(seed: u64, broken: Option<BrokenLog>) -> Arc<Self> {
        let world = World {
            rng: StdRng::seed_from_u64(seed),
            faults: Faults::default(),
            broken,
            server: Server::new(),
            earlier: VecDeque::new(),
            generation: 0,
            chain: Vec::new(),
            abandoned: Vec::new(),
            readers: BTreeMap::new(),
            asking: BTreeMap::new(),
            trace: Vec::new(),
            calls: 0,
        };
        Arc::new(Self { world: Mutex::new(world), changed: Notify::new() })
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.world.lock().faults = faults;
    }

    /// Adds to the trace by which two runs of a seed are compared.
    pub(super) fn trace(&self, what: impl std::fmt::Debug) {
        self.world.lock().trace.push(format!("{what:?}"));
    }

    pub(super) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.world.lock().trace)
    }

    /// The chain as it is now, preceded by those that were cut off with the time of their end.
    pub(super) fn truth(&self) -> (Vec<(Instant, Vec<Committed>)>, Vec<Committed>) {
        let world = self.world.lock();
        (world.abandoned.clone(), world.chain.clone())
    }

    /// The primary dies; a standby that lags by up to `lag` appends takes over, at first only replaying. It has the
    /// first append at least: without any, nobody who starts afterwards could tell it from a new database.
    pub(super) async fn fail_over(&self, lag: usize, recovery: Duration) {
        {
            let mut world = self.world.lock();
            let chain = world.chain.clone();
            world.abandoned.push((Instant::now(), chain));
            let lag = lag.min(world.earlier.len()).min(world.chain.len().saturating_sub(1));
            for _ in 0..lag {
                if let Some(earlier) = world.earlier.pop_back() {
                    world.server = earlier;
                    world.chain.pop();
                }
            }
            world.earlier.clear();
            world.generation += 1;
            world.lose_unlogged();
        }
        sleep(recovery).await;
        let mut world = self.world.lock();
        world.server.in_recovery = false;
        world.server.identity.timeline += 1;
    }

    /// The server crashes and comes back as it was, but for what is in unlogged tables.
    pub(super) async fn crash(&self, recovery: Duration) {
        {
            let mut world = self.world.lock();
            world.generation += 1;
            world.lose_unlogged();
        }
        sleep(recovery).await;
        self.world.lock().server.in_recovery = false;
    }
}

impl World {
    /// Also lets nobody write until the end of the recovery.
    fn lose_unlogged(&mut self) {
        self.server.clocks.clear();
        self.server.life = Uuid::from_u128(u128::from(self.generation) + 1);
        if self.broken == Some(BrokenLog::ForgetMarks) {
            self.server.marks.clear();
        }
        self.readers.clear();
        self.asking.clear();
        self.server.in_recovery = true;
    }

    fn draw(&mut self, in_ten_thousand: u32) -> bool {
        in_ten_thousand > 0 && self.rng.random_range(0..10_000) < in_ten_thousand
    }

    fn is_trusted(&self, trusted: Option<&Identity>) -> bool {
        let server = &self.server.identity;
        let is_same =
            trusted.is_none_or(|trusted| trusted.system == server.system && trusted.timeline == server.timeline);
        is_same || self.broken == Some(BrokenLog::TrustAnyDatabase)
    }

    fn travel(&mut self) -> Duration {
        let slow = self.faults.slow;
        if self.draw(slow) {
            return Duration::from_millis(self.rng.random_range(50..1_500));
        }
        Duration::from_millis(self.rng.random_range(0..4))
    }

    fn append(&mut self, batch: &Batch) -> Result<Appended, LogFault> {
        if self.server.in_recovery {
            return Err(LogFault::NotApplied("read-only".into()));
        }
        let head = self.server.head();
        match self.server.batches.get(&batch.position) {
            Some(there) if there.id == batch.id && self.broken != Some(BrokenLog::ForgetIds) => {
                return Ok(Appended::Committed);
            }
            Some(_) => return Ok(Appended::Refused),
            None if batch.position <= head.position => return Err(LogFault::OutcomeUnknown("trimmed".into())),
            None => {}
        }
        let predecessor = Head { position: Position(batch.position.0 - 1), id: batch.prev_id };
        let follows = match self.broken {
            Some(BrokenLog::TrustNumbers) => head.position == predecessor.position,
            _ => head == predecessor,
        };
        if !follows {
            return Ok(Appended::Refused);
        }
        if batch.entries.iter().any(|(_, entry)| entry.value.starts_with(POISON.as_bytes())) {
            return Err(LogFault::Failed(POISON.into()));
        }
        self.earlier.push_back(self.server.clone());
        if self.earlier.len() > LAG_MAX {
            self.earlier.pop_front();
        }
        let batch = Arc::new(batch.clone());
        self.trace.push(format!("{:?} {:?}", batch.head(), batch.entries));
        self.server.batches.insert(batch.position, batch.clone());
        self.chain.push(Committed { at: Instant::now(), batch });
        Ok(Appended::Committed)
    }
}
