//! One shim's way to the simulated database: each call travels there and back, and may be lost, cut or late on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use rand::RngExt;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use super::{BrokenLog, Database, LAG_MAX, Server, World};
use crate::{
    log::{Appended, Identity, LeaseClock, LeaseClocks, Log, LogFault, Page, ReadIndex, Reader, Size, Snapshot},
    model::{Batch, Grant, Position, RowId},
};

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

impl Database {
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
    pub(in crate::sim) fn move_away(&self, distance: Duration) {
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

    async fn changed(&self) -> Option<Position> {
        loop {
            self.database.changed.notified().await;
            let is_told = self.database.world.lock().rng.random_bool(0.5);
            if is_told {
                return None;
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
