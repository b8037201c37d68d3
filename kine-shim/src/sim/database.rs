//! The simulated database: one log in the memory of the test, reached over connections that delay, lose, cut, and
//! repeat too late, all drawn from one seed. It remembers everything that was ever committed, so that the checker knows
//! the truth.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use crate::{
    log::{Appended, Identity, LeaseClock, LeaseClocks, Log, LogFault, Page, ReadIndex, Reader, Size, Snapshot},
    model::{Batch, BatchId, Grant, Head, Position, RowId},
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

#[derive(Clone)]
struct Server {
    identity: Identity,
    batches: BTreeMap<Position, Arc<Batch>>,
    trimmed: Position,
    clocks: BTreeMap<Grant, LeaseClock>,
    /// Of the clocks.
    life: Uuid,
    marks: BTreeSet<Grant>,
    in_recovery: bool,
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
        let server = Server {
            identity: Identity { system: "simulated".into(), timeline: 1, incarnation: 0 },
            batches: BTreeMap::new(),
            trimmed: Position(0),
            clocks: BTreeMap::new(),
            life: Uuid::from_u128(1),
            marks: BTreeSet::new(),
            in_recovery: false,
        };
        let world = World {
            rng: StdRng::seed_from_u64(seed),
            faults: Faults::default(),
            broken,
            server,
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

    pub(crate) fn connect(self: &Arc<Self>) -> Arc<SimLog> {
        let connection = Connection { generation: 0, is_cut: Arc::default(), last: Instant::now() };
        Arc::new(SimLog {
            database: self.clone(),
            connection: Arc::new(Mutex::new(connection)),
            trusted: Arc::default(),
            stalled_until: Arc::new(Mutex::new(Instant::now())),
            distance: Arc::default(),
            is_room_asked: Arc::default(),
        })
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

    /// The primary dies; a standby that lags by up to `lag` appends takes over, at first only replaying.
    pub(super) async fn fail_over(&self, lag: usize, recovery: Duration) {
        {
            let mut world = self.world.lock();
            let chain = world.chain.clone();
            world.abandoned.push((Instant::now(), chain));
            for _ in 0..lag.min(world.earlier.len()) {
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

impl Server {
    fn head(&self) -> Head {
        self.batches.last_key_value().map(|(_, batch)| batch.head()).unwrap_or_default()
    }

    fn page(&self, after: Position, max_bytes: usize) -> Page {
        let mut bytes = 0;
        let batches = self.batches.range(after.next()..).map(|(_, batch)| batch);
        let fitting = batches.take_while(|batch| {
            let fits = bytes < max_bytes;
            bytes += batch.entries.iter().map(|(_, entry)| entry.key.len() + entry.value.len()).sum::<usize>();
            fits
        });
        Page { batches: fitting.map(|batch| (**batch).clone()).collect(), trimmed: self.trimmed }
    }

    fn read_index(&self, applied: Position) -> ReadIndex {
        let id_at_applied = match applied {
            Position(0) => Some(BatchId::nil()),
            position => self.batches.get(&position).map(|batch| batch.id),
        };
        ReadIndex {
            head: self.head(),
            revision: self.batches.last_key_value().map_or(1, |(_, batch)| batch.last_revision),
            id_at_applied,
            trimmed: self.trimmed,
            identity: self.identity.clone(),
            in_recovery: self.in_recovery,
        }
    }

    fn trim(&mut self, floor: Position, garbage: &[RowId]) {
        self.trimmed = self.trimmed.max(floor);
        self.delete(floor, garbage);
    }

    fn delete(&mut self, floor: Position, garbage: &[RowId]) {
        for (position, sub) in garbage {
            if let Some(batch) = self.batches.get_mut(position) {
                Arc::make_mut(batch).entries.retain(|(at, _)| at != sub);
            }
        }
        self.batches.retain(|position, batch| *position >= floor || !batch.entries.is_empty());
    }
}

struct Connection {
    generation: u64,
    is_cut: Arc<Mutex<bool>>,
    /// When the last append that was sent on it is executed.
    last: Instant,
}

/// One shim's access to the database. Clones are one.
#[derive(Clone)]
pub(crate) struct SimLog {
    database: Arc<Database>,
    connection: Arc<Mutex<Connection>>,
    trusted: Arc<Mutex<Option<Identity>>>,
    stalled_until: Arc<Mutex<Instant>>,
    /// What each way takes besides.
    distance: Arc<Mutex<Duration>>,
    /// By the answer to the last append.
    is_room_asked: Arc<AtomicBool>,
}

/// The log at one moment; or, with `live`, pieces of it from many.
struct SimSnapshot {
    server: Server,
    live: Option<SimLog>,
    after: Position,
}

#[async_trait]
impl Snapshot for SimSnapshot {
    fn trimmed(&self) -> Position {
        self.server.trimmed
    }

    async fn next(&mut self, max_bytes: usize) -> Result<Vec<Batch>, LogFault> {
        let after = self.after;
        let page = match &self.live {
            Some(log) => log.ask(move |world| world.server.page(after, max_bytes)).await?,
            None => {
                sleep(Duration::from_millis(1)).await;
                self.server.page(after, max_bytes)
            }
        };
        if page.trimmed != self.server.trimmed {
            return Err(LogFault::NotApplied("rows were trimmed meanwhile".into()));
        }
        self.after = page.batches.last().map_or(after, |last| last.position);
        Ok(page.batches)
    }
}

/// What becomes of one append.
enum Fate {
    Fine,
    NotSent,
    RequestLost,
    ReplyLost,
    TooLate(Duration),
}

impl SimLog {
    /// Nothing this shim sends moves until then.
    pub(crate) fn stall(&self, time: Duration) {
        *self.stalled_until.lock() = Instant::now() + time;
    }

    /// Each way takes that much longer.
    pub(super) fn move_away(&self, distance: Duration) {
        *self.distance.lock() = distance;
    }

    async fn wait_out_stall(&self) {
        let until = *self.stalled_until.lock();
        sleep_until(until).await;
    }

    /// A call that changes nothing by being lost or repeated.
    async fn ask<T: Send + 'static>(&self, action: impl FnOnce(&mut World) -> T + Send) -> Result<T, LogFault> {
        let (there, back, is_lost) = {
            let mut world = self.database.world.lock();
            world.calls += 1;
            let loss = world.faults.reply_lost;
            (world.travel(), world.travel(), world.draw(loss))
        };
        self.wait_out_stall().await;
        let distance = *self.distance.lock();
        sleep(there + distance).await;
        let answer = action(&mut self.database.world.lock());
        sleep(back + distance).await;
        self.wait_out_stall().await;
        if is_lost { Err(LogFault::OutcomeUnknown("the connection broke".into())) } else { Ok(answer) }
    }

    /// Like `ask`, but only where the trusted database answers.
    async fn ask_trusted<T: Send + 'static>(&self, action: impl FnOnce(&mut World) -> T + Send) -> Result<T, LogFault> {
        let trusted = self.trusted.lock().clone();
        let guarded = |world: &mut World| {
            let is_primary = !world.server.in_recovery;
            (is_primary && World::is_trusted(world, trusted.as_ref())).then(|| action(world))
        };
        self.ask(guarded).await?.ok_or_else(|| LogFault::NotApplied("another database answers".into()))
    }

    /// What a lagging standby says, if this call is to be misrouted.
    async fn ask_standby<T>(&self, answer: impl FnOnce(&Server) -> T) -> Option<T> {
        let standby = {
            let mut world = self.database.world.lock();
            let misrouted = world.faults.misrouted;
            if !world.draw(misrouted) {
                return None;
            }
            let at = world.rng.random_range(0..LAG_MAX);
            let mut server = world.earlier.get(at).cloned()?;
            server.in_recovery = true;
            server
        };
        sleep(Duration::from_millis(1)).await;
        Some(answer(&standby))
    }

    fn fate(&self) -> (Fate, Duration, Duration) {
        let mut world = self.database.world.lock();
        world.calls += 1;
        let faults = world.faults;
        let fate = if world.draw(faults.not_sent) {
            Fate::NotSent
        } else if world.draw(faults.request_lost) {
            Fate::RequestLost
        } else if world.draw(faults.reply_lost) {
            Fate::ReplyLost
        } else if world.draw(faults.too_late) {
            Fate::TooLate(Duration::from_millis(world.rng.random_range(5..3_000)))
        } else {
            Fate::Fine
        };
        let distance = *self.distance.lock();
        (fate, world.travel() + distance, world.travel() + distance)
    }
}

#[async_trait]
impl Log for SimLog {
    async fn append(&self, batch: &Batch) -> Result<Appended, LogFault> {
        let (fate, there, back) = self.fate();
        // All before the first wait: the order of the calls is the order on the connection.
        let (generation, is_cut, execute_at) = {
            let world = self.database.world.lock();
            let mut connection = self.connection.lock();
            let is_cut = *connection.is_cut.lock();
            if is_cut || connection.generation != world.generation {
                *connection = Connection { generation: world.generation, is_cut: Arc::default(), last: Instant::now() };
            }
            if world.server.in_recovery
                || !world.is_trusted(self.trusted.lock().as_ref())
                || matches!(fate, Fate::NotSent)
            {
                return Err(LogFault::NotApplied("not connected".into()));
            }
            let stalled = *self.stalled_until.lock();
            let at = (Instant::now().max(stalled) + there).max(connection.last + Duration::from_millis(1));
            connection.last = at;
            (connection.generation, connection.is_cut.clone(), at)
        };
        let (reply, answered) = oneshot::channel();
        let (database, batch) = (self.database.clone(), batch.clone());
        let is_request_lost = matches!(fate, Fate::RequestLost);
        let is_reply_lost = matches!(fate, Fate::ReplyLost);
        let is_room_asked = self.is_room_asked.clone();
        let delay = match fate {
            Fate::TooLate(delay) => Some(delay),
            _ => None,
        };
        tokio::spawn(async move {
            sleep_until(execute_at).await;
            if *is_cut.lock() || is_request_lost {
                *is_cut.lock() = true;
                return;
            }
            if let Some(delay) = delay {
                // The client gives up; the request is on its way all the same.
                *is_cut.lock() = true;
                drop(reply);
                sleep(delay).await;
                let mut world = database.world.lock();
                if world.generation == generation {
                    let _ = world.append(&batch);
                }
                return;
            }
            let answer = {
                let mut world = database.world.lock();
                if world.generation != generation {
                    return;
                }
                let answer = world.append(&batch);
                let is_asked = world.asking.iter().any(|(who, until)| *who != batch.writer && *until > Instant::now());
                is_room_asked.store(is_asked, Ordering::Relaxed);
                answer
            };
            database.changed.notify_waiters();
            if is_reply_lost {
                *is_cut.lock() = true;
                return;
            }
            sleep(back).await;
            let _ = reply.send(answer);
        });
        let answer = answered.await;
        self.wait_out_stall().await;
        answer.unwrap_or_else(|_| Err(LogFault::OutcomeUnknown("the connection broke".into())))
    }

    fn trust(&self, identity: &Identity) {
        *self.trusted.lock() = Some(identity.clone());
    }

    async fn read(&self, after: Position, max_bytes: usize) -> Result<Page, LogFault> {
        if let Some(page) = self.ask_standby(|server| server.page(after, max_bytes)).await {
            return Ok(page);
        }
        self.ask(move |world| world.server.page(after, max_bytes)).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, LogFault> {
        let server = self.ask(|world| world.server.clone()).await?;
        let reads_in_pieces = self.database.world.lock().broken == Some(BrokenLog::LoadInPieces);
        let live = reads_in_pieces.then(|| self.clone());
        Ok(Box::new(SimSnapshot { server, live, after: Position(0) }))
    }

    async fn read_index(&self, applied: Position) -> Result<ReadIndex, LogFault> {
        if let Some(read_index) = self.ask_standby(|server| server.read_index(applied)).await {
            return Ok(read_index);
        }
        self.ask(move |world| world.server.read_index(applied)).await
    }

    async fn changed(&self) {
        loop {
            self.database.changed.notified().await;
            let is_told = self.database.world.lock().rng.random_bool(0.5);
            if is_told {
                return;
            }
        }
    }

    async fn trim(&self, floor: Position, garbage: &[RowId]) -> Result<(), LogFault> {
        let garbage = garbage.to_vec();
        if self.database.world.lock().broken == Some(BrokenLog::LoadInPieces) {
            self.ask_trusted(move |world| world.server.trimmed = world.server.trimmed.max(floor)).await?;
            return self.ask_trusted(move |world| world.server.delete(floor, &garbage)).await;
        }
        self.ask_trusted(move |world| world.server.trim(floor, &garbage)).await
    }

    async fn report(&self, reader: &Reader) -> Result<Vec<Reader>, LogFault> {
        let reader = *reader;
        let report = move |world: &mut World| {
            if world.server.in_recovery {
                return None;
            }
            world.readers.insert(reader.id, (reader, Instant::now()));
            let living = world.readers.values().filter(|(_, at)| at.elapsed() < Duration::from_secs(10));
            Some(living.map(|(other, _)| *other).filter(|other| other.id != reader.id).collect())
        };
        self.ask(report).await?.ok_or_else(|| LogFault::NotApplied("read-only".into()))
    }

    async fn ask_for_room(&self, writer: Uuid, wanted: bool) -> Result<(), LogFault> {
        self.ask(move |world| {
            let until = Instant::now() + if wanted { Duration::from_secs(1) } else { Duration::ZERO };
            world.asking.insert(writer, until);
        })
        .await
    }

    fn is_room_asked(&self) -> bool {
        self.is_room_asked.load(Ordering::Relaxed)
    }

    async fn renew(&self, leases: &[Grant]) -> Result<Vec<bool>, LogFault> {
        let leases = leases.to_vec();
        let renew = move |world: &mut World| {
            let renewals = leases.iter().map(|lease| {
                if world.server.marks.contains(lease) {
                    return false;
                }
                let clock = world.server.clocks.entry(*lease).or_default();
                clock.renewals += i64::from(!clock.expiring);
                !clock.expiring
            });
            renewals.collect()
        };
        self.ask(renew).await
    }

    async fn lease_clocks(&self, leases: &[Grant]) -> Result<LeaseClocks, LogFault> {
        let leases = leases.to_vec();
        self.ask(move |world| {
            let server = &world.server;
            let clocks = leases.iter().map(|lease| LeaseClock {
                expiring: server.marks.contains(lease),
                ..server.clocks.get(lease).copied().unwrap_or_default()
            });
            LeaseClocks { life: server.life, clocks: clocks.collect() }
        })
        .await
    }

    async fn mark_expiring(&self, life: Uuid, seen: &[(Grant, i64)]) -> Result<Vec<bool>, LogFault> {
        let seen = seen.to_vec();
        let mark = move |world: &mut World| {
            let server = &mut world.server;
            let is_same_life = server.life == life;
            let marks = seen.iter().map(|(lease, renewals)| {
                let clock = server.clocks.entry(*lease).or_default();
                is_same_life && clock.renewals == *renewals && server.marks.insert(*lease)
            });
            marks.collect()
        };
        self.ask_trusted(mark).await
    }

    async fn forget_leases(&self, leases: &[Grant]) -> Result<(), LogFault> {
        let leases = leases.to_vec();
        self.ask(move |world| {
            world.server.clocks.retain(|lease, _| !leases.contains(lease));
            world.server.marks.retain(|lease| !leases.contains(lease));
        })
        .await
    }

    async fn forget_leases_but(&self, living: &[Grant], upto: Position) -> Result<(), LogFault> {
        let living = living.to_vec();
        self.ask(move |world| {
            world.server.clocks.retain(|lease, _| lease.at > upto || living.contains(lease));
            world.server.marks.retain(|lease| lease.at > upto || living.contains(lease));
        })
        .await
    }

    async fn size(&self) -> Result<Size, LogFault> {
        Ok(Size::default())
    }

    async fn reclaim(&self) -> Result<(), LogFault> {
        Ok(())
    }
}
