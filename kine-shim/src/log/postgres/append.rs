//! The append: one autocommit statement that lands whole or not at all and says which. In goes a batch, out comes
//! Committed or Refused, or a fault that says what is known (invariant 5).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{future::BoxFuture, poll};
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{
    link::{Link, Session},
    query::{append_fault, as_i64},
    trust::{self, Trust},
};
use crate::{
    log::{Appended, LogFault, page},
    model::{Batch, Entry},
};

/// An append without an answer by now has an unknown outcome; it goes on meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A position that somebody holds longer than this is freed (see [`FREE_POSITION`]).
const STUCK_AFTER: Duration = Duration::from_secs(1);
/// Appends sent and not answered, given-up ones included: what a server that hangs can make us keep in memory.
const UNANSWERED_MAX: usize = 16;
/// Far above any batch, below what a message to PostgreSQL may hold.
const BATCH_BYTES_MAX: usize = 512 << 20;

/// See the function in the first migration. The comment is what [`FREE_POSITION`] finds waiting statements by.
const APPEND: &str = "/* kine-shim append */ \
    SELECT kine_shim.append_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
    WHERE kine_shim.must_be($19)";

/// Asking lasts a second; whoever asks no longer says so, and a writer that is gone is forgotten by the clock.
const ASK_FOR_ROOM: &str = "INSERT INTO kine_shim.turn (writer, until) \
    VALUES ($1, clock_timestamp() + CASE WHEN $2 THEN interval '1 second' ELSE interval '0' END) \
    ON CONFLICT (writer) DO UPDATE SET until = excluded.until";
const ASKED_WITHIN: Duration = Duration::from_secs(1);

/// Ends the sessions of our own role that keep an append waiting while they wait for a client that may be gone. Not one
/// that waits for a synchronous standby: ending that would show a commit that is not replicated.
const FREE_POSITION: &str = "SELECT pg_terminate_backend(blocker.pid) \
    FROM pg_stat_activity waiter \
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiter.pid)) AS blocking(pid) \
    JOIN pg_stat_activity blocker ON blocker.pid = blocking.pid \
    WHERE waiter.datname = current_database() AND waiter.query LIKE '/* kine-shim append */%' \
      AND waiter.wait_event_type = 'Lock' AND blocker.usename = current_user \
      AND blocker.wait_event IS DISTINCT FROM 'SyncRep' \
      AND clock_timestamp() - blocker.state_change > \
          CASE WHEN blocker.wait_event_type = 'Client' THEN interval '1 second' ELSE interval '10 seconds' END";

pub(super) struct Appender {
    link: Link,
    trust: Arc<Trust>,
    chores: Arc<Link>,
    /// Held from the first poll until the statement is on its way: appends are sent in the order of their first poll,
    /// even while the connection comes back.
    gate: Mutex<()>,
    unanswered: Arc<Semaphore>,
    room_asked: AtomicBool,
}

impl Appender {
    pub(super) fn new(link: Link, chores: Arc<Link>, trust: Trust) -> Self {
        Self {
            link,
            trust: Arc::new(trust),
            chores,
            gate: Mutex::new(()),
            unanswered: Arc::new(Semaphore::new(UNANSWERED_MAX)),
            room_asked: AtomicBool::new(false),
        }
    }

    /// See [`crate::log::Log::append`]. A dropped future leaves the outcome unknown.
    pub(super) async fn append(&self, batch: &Batch) -> Result<Appended, LogFault> {
        let bytes = page::batch_bytes(batch);
        if batch.position.0 == 0 || bytes > BATCH_BYTES_MAX {
            return Err(LogFault::Failed(format!("position {} with {bytes} bytes", batch.position.0)));
        }
        let answer = self.send(batch).await?;
        self.room_asked.store(answer == 5, Ordering::Relaxed);
        match answer {
            1 | 5 => Ok(Appended::Committed),
            2 => Ok(Appended::Refused),
            3 => Err(crate::log::outcome_trimmed(batch.position)),
            _ => Err(LogFault::NotApplied("the head of the log keeps moving".into())),
        }
    }

    /// See [`crate::log::Log::ask_for_room`]; on the connection of the appends, where nothing long is ever in the way.
    pub(super) async fn ask_for_room(&self, writer: Uuid, wanted: bool) -> Result<(), LogFault> {
        let session = self.link.session().await?;
        let parameters: [super::query::Parameter<'_>; 2] = [(&writer, Type::UUID), (&wanted, Type::BOOL)];
        let asking = super::query::query(&session.client, ASK_FOR_ROOM, &parameters);
        timeout(ASKED_WITHIN, asking)
            .await
            .unwrap_or_else(|_| Err(LogFault::NotApplied("no answer".into())))
            .map(|_| ())
    }

    pub(super) fn is_room_asked(&self) -> bool {
        self.room_asked.load(Ordering::Relaxed)
    }

    /// Sends the statement after those of earlier callers and waits for its answer.
    async fn send(&self, batch: &Batch) -> Result<i32, LogFault> {
        let in_order = self.gate.lock().await;
        let session = self.link.session().await?;
        let permit = match timeout(ANSWER_WITHIN, self.unanswered.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(LogFault::NotApplied("earlier appends are not answered".into())),
        };
        let run = self.trust.run(&session).await?;
        let (batch, trust) = (batch.clone(), self.trust.clone());
        let mut running: BoxFuture<'static, Result<i32, LogFault>> = Box::pin(async move {
            let answer = execute(session, &batch, run, &trust).await;
            drop(permit);
            answer
        });
        // The first poll hands the whole statement to the connection.
        let first = poll!(&mut running);
        drop(in_order);
        match first {
            std::task::Poll::Ready(answer) => answer,
            std::task::Poll::Pending => self.answer(running).await,
        }
    }

    async fn answer(&self, mut running: BoxFuture<'static, Result<i32, LogFault>>) -> Result<i32, LogFault> {
        let deadline = sleep(ANSWER_WITHIN);
        tokio::pin!(deadline);
        let mut stuck = interval_at(Instant::now() + STUCK_AFTER, STUCK_AFTER);
        stuck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                answer = &mut running => return answer,
                () = &mut deadline => {
                    // It keeps its permit until the server answers or the connection ends, whichever comes first.
                    tokio::spawn(running);
                    return Err(LogFault::OutcomeUnknown("the database does not answer".into()));
                }
                _ = stuck.tick() => self.free_position().await,
            }
        }
    }

    /// Best effort: the append goes on waiting either way.
    async fn free_position(&self) {
        let free = async { super::query::query(&self.chores.session().await?.client, FREE_POSITION, &[]).await };
        match timeout(STUCK_AFTER, free).await {
            Ok(Ok(ended)) if !ended.is_empty() => {
                tracing::warn!(sessions = ended.len(), "ended database sessions that blocked the log");
            }
            Ok(Err(fault)) => tracing::debug!(%fault, "cannot look for what blocks the log"),
            _ => {}
        }
    }
}

async fn execute(session: Session, batch: &Batch, run: i64, trust: &Trust) -> Result<i32, LogFault> {
    use crate::model::EntryKind::Incarnation;
    let column = |of: fn(&Entry) -> i64| batch.entries.iter().map(|(_, entry)| of(entry)).collect::<Vec<i64>>();
    let small = |number: u32| i32::try_from(number).map_err(|_| LogFault::Failed("too many entries".into()));
    let subs = batch.entries.iter().map(|(sub, _)| small(*sub)).collect::<Result<Vec<_>, _>>()?;
    let sub_revisions = batch.entries.iter().map(|(_, e)| small(e.sub_revision)).collect::<Result<Vec<_>, _>>()?;
    let kinds: Vec<i16> = batch.entries.iter().map(|(_, entry)| entry.kind as i16).collect();
    let keys: Vec<&[u8]> = batch.entries.iter().map(|(_, entry)| entry.key.as_ref()).collect();
    let values: Vec<&[u8]> = batch.entries.iter().map(|(_, entry)| entry.value.as_ref()).collect();
    let bytes = i64::try_from(page::batch_bytes(batch)).unwrap_or(i64::MAX);
    let incarnations = i32::from(kinds.contains(&(Incarnation as i16)));

    let warnings = session.warnings.load(Ordering::SeqCst);
    let row = session
        .client
        .query_typed_one(
            APPEND,
            &[
                (&as_i64(batch.position), Type::INT8),
                (&batch.id, Type::UUID),
                (&batch.prev_id, Type::UUID),
                (&batch.first_revision, Type::INT8),
                (&batch.last_revision, Type::INT8),
                (&batch.writer, Type::UUID),
                (&batch.at_ms, Type::INT8),
                (&bytes, Type::INT8),
                (&incarnations, Type::INT4),
                (&subs, Type::INT4_ARRAY),
                (&kinds, Type::INT2_ARRAY),
                (&column(|entry| entry.revision), Type::INT8_ARRAY),
                (&sub_revisions, Type::INT4_ARRAY),
                (&column(|entry| entry.create_revision), Type::INT8_ARRAY),
                (&column(|entry| entry.version), Type::INT8_ARRAY),
                (&column(|entry| entry.lease), Type::INT8_ARRAY),
                (&keys, Type::BYTEA_ARRAY),
                (&values, Type::BYTEA_ARRAY),
                (&run, Type::INT8),
            ],
        )
        .await
        .inspect_err(|error| {
            if trust::is_refused(error) {
                trust.doubt()
            }
        })
        .map_err(|error| append_fault(&error))?;
    if session.warnings.load(Ordering::SeqCst) != warnings {
        return Err(LogFault::OutcomeUnknown("the wait for a standby was cancelled".into()));
    }
    Ok(row.get(0))
}
