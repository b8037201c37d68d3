//! The sequencer: judges operations, appends them in batches, applies what is committed. In go operations from the mailbox, out come
//! answers, each no earlier than what it was judged on is durable and current (invariant 3). One task owns everything here. How SQL
//! appends is not known (see `log`), neither what operations mean (see `state`).
//!
//! While batches are on their way, the next ones are judged on the state that will hold once they are committed; the chain of ids sees to
//! it that a batch is refused if its predecessor was. What is idle looks around: for what others wrote, and whether the database is
//! still the one it was.

mod catch_up;
mod gather;
mod landing;
pub(crate) mod publication;
pub(crate) mod snapshots;
pub(crate) mod start;
pub(crate) mod trim;
mod turn;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::Caller;
use crate::leases::Leases;
use crate::log::{Appended, Fence, Identity, Log, LogFault, Page};
use crate::model::{Batch, Error, Head, Op, Position, Refusal, Reply, Revision, TxnOp};
use crate::shim::{Counters, IDENTITY_RECORD, ShimConfig};
use crate::state::{Applied, State};
use crate::watch::Hub;
use gather::Gather;
use publication::Publication;
use snapshots::Snapshots;
use trim::{Author, Trims};
use turn::Turn;

/// How much of the log one read brings.
const PAGE_BYTES: usize = 4 << 20;
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long an operation is tried again after the database said that nothing was written.
const TRY_AGAIN: Duration = Duration::from_secs(2);

pub(crate) type Answer = Result<(Revision, Reply), Error>;

/// An operation and who waits for it.
pub(crate) struct Submission {
    pub(crate) op: Op,
    pub(crate) caller: Caller,
    pub(crate) reply: oneshot::Sender<Answer>,
    pub(crate) arrived: Instant,
}

/// Rules that the simulation breaks on purpose, to show that it would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokenRule {
    ReleaseRefusalsEarly,
    AnswerBeforeCommit,
    RetryBlindly,
    BelieveResubmissionNotApplied,
    IgnoreFailover,
    TrustStandby,
    ReadWithoutFence,
    ExpireWithoutMark,
}

/// What others want the sequencer to do when it is idle.
#[derive(Default)]
pub(crate) struct Hints {
    /// There is something to read.
    pub(crate) behind: Notify,
    /// The database may not be the one it was.
    pub(crate) suspicious: Notify,
}

/// An operation with its verdict, which nobody may see yet.
struct Judged {
    submission: Submission,
    header: Revision,
    verdict: Result<Reply, Refusal>,
}

/// What holds once a batch is committed.
struct Next {
    state: State,
    applied: Applied,
}

/// Something sent to the log whose answer is awaited, in order.
enum Flight {
    /// A batch, the state once it is committed, and what that brings about.
    Append { batch: Arc<Batch>, next: Box<Next>, judged: Vec<Judged> },
    /// Operations that write nothing: a fence shows whether the head they were judged on was still the head.
    Check { head: Head, judged: Vec<Judged> },
}

impl Flight {
    /// Operations that wait for its answer.
    fn judged(&self) -> usize {
        match self {
            Self::Append { judged, .. } | Self::Check { judged, .. } => judged.len(),
        }
    }
}

enum Outcome {
    Append(Result<Appended, LogFault>),
    Fence(Result<Fence, LogFault>),
}

/// What an idle sequencer looks at.
enum View {
    Page(Result<Page, LogFault>),
    /// And the head at which it was asked for.
    Fence(Head, Result<Fence, LogFault>),
}

pub(crate) struct Sequencer {
    log: Arc<dyn Log>,
    config: ShimConfig,
    rng: StdRng,
    writer: uuid::Uuid,
    counters: Arc<Counters>,
    started: Instant,
    stop: CancellationToken,
    mailbox: mpsc::Receiver<Submission>,
    /// Taken from the mailbox or to be judged again, in order of arrival.
    backlog: VecDeque<Submission>,
    flights: VecDeque<Flight>,
    outcomes: FuturesOrdered<BoxFuture<'static, Outcome>>,
    /// By committed entries alone (invariant 1).
    committed: State,
    /// What will hold once every flight has landed.
    tip: State,
    look: Option<BoxFuture<'static, View>>,
    next_look: Instant,
    backoff: Duration,
    published: Publication,
    hints: Arc<Hints>,
    hub: Arc<Hub>,
    snapshots: Arc<Mutex<Snapshots>>,
    trims: Trims,
    /// Of the last compaction.
    compacted_by: Author,
    leases: Leases,
    turn: Turn,
    gather: Gather,
    /// The database that appends may go to, by the value of its record.
    trusted: Bytes,
}

impl Sequencer {
    pub(crate) fn published(&self) -> Publication {
        self.published.clone()
    }

    pub(crate) fn hub(&self) -> Arc<Hub> {
        self.hub.clone()
    }

    pub(crate) fn snapshots(&self) -> Arc<Mutex<Snapshots>> {
        self.snapshots.clone()
    }

    pub(crate) fn hints(&self) -> Arc<Hints> {
        self.hints.clone()
    }

    /// Works until the stop signal, and then until everything taken is answered. Dropping the future leaves outcomes unknown.
    pub(crate) async fn run(mut self) {
        let mut received = Vec::new();
        let mut is_open = true;
        let stop = self.stop.clone();
        while is_open || !self.flights.is_empty() || !self.backlog.is_empty() {
            self.launch();
            let is_idle = self.flights.is_empty();
            let may_look = is_idle && self.look.is_none();
            let has_room =
                is_open && self.backlog.len() < self.config.batch_entries && self.flights.len() < self.depth();
            let (leaves_room, glance_at) = (self.leaves_room(), self.glance_at());
            let gathers_until = self.gather.waits(self.backlog.len()).filter(|_| is_idle && !self.backlog.is_empty());
            tokio::select! {
                biased;
                Some(outcome) = self.outcomes.next(), if !is_idle => self.landed(outcome).await,
                count = self.mailbox.recv_many(&mut received, self.config.batch_entries), if has_room => {
                    is_open = count > 0;
                    self.backlog.extend(received.drain(..));
                }
                () = async { match gathers_until { Some(until) => tokio::time::sleep_until(until).await, None => std::future::pending().await } } => {}
                view = async { match &mut self.look { Some(look) => look.await, None => std::future::pending().await } } => {
                    self.look = None;
                    self.saw(view).await;
                }
                () = tokio::time::sleep_until(glance_at), if may_look && leaves_room => self.glance(),
                () = tokio::task::yield_now(), if is_idle && self.committed.is_sweeping() => self.sweep_on(),
                () = self.hints.suspicious.notified(), if may_look => self.look_at_fence(),
                () = self.hints.behind.notified(), if may_look => self.look_at_log(),
                () = tokio::time::sleep_until(self.next_look), if may_look => self.look_at_fence(),
                () = stop.cancelled(), if is_open && !self.mailbox.is_closed() => self.mailbox.close(),
            }
        }
    }

    /// Judges what waits and sends it, as long as the pipeline has room.
    fn launch(&mut self) {
        while self.may_launch() {
            self.gather.sent(self.backlog.len());
            let mut draft = self.tip.draft();
            let mut judged = Vec::new();
            while let Some(submission) = self.backlog.pop_front() {
                let is_full = draft.ops() >= self.config.batch_entries
                    || draft.bytes() + weight(&submission.op) > self.config.batch_bytes
                    || judged.len() >= 4 * self.config.batch_entries;
                if is_full && !judged.is_empty() {
                    self.backlog.push_front(submission);
                    break;
                }
                let verdict = draft.judge_as(&submission.op, &submission.caller);
                let header = draft.revision();
                if self.breaks(BrokenRule::ReleaseRefusalsEarly) && (verdict.is_err() || draft.is_empty()) {
                    self.release(vec![Judged { submission, header, verdict }]);
                    continue;
                }
                judged.push(Judged { submission, header, verdict });
                if self.breaks(BrokenRule::AnswerBeforeCommit) {
                    self.release(std::mem::take(&mut judged));
                    break;
                }
            }
            if judged.is_empty() && draft.is_empty() {
                return;
            }
            if draft.is_empty() {
                self.send_check(judged);
            } else {
                let (batch, state, applied) =
                    draft.finish(self.draw_id(), self.writer, self.config.wall_clock.now_ms());
                let next = Box::new(Next { state, applied });
                self.send_append(Arc::new(batch), next, judged);
            }
        }
    }

    fn may_launch(&self) -> bool {
        let waiting = self.backlog.len();
        let is_due = if self.flights.is_empty() {
            waiting > 0 && self.gather.waits(waiting).is_none()
        } else {
            waiting >= self.config.ahead_min
        };
        is_due && self.flights.len() < self.depth() && !self.leaves_room()
    }

    fn send_append(&mut self, batch: Arc<Batch>, next: Box<Next>, judged: Vec<Judged>) {
        self.tip = next.state.clone();
        let (log, sent) = (self.log.clone(), batch.clone());
        self.outcomes.push_back(Box::pin(async move { Outcome::Append(log.append(&sent).await) }));
        self.flights.push_back(Flight::Append { batch, next, judged });
    }

    fn send_check(&mut self, judged: Vec<Judged>) {
        let head = self.tip.head();
        let log = self.log.clone();
        self.outcomes.push_back(Box::pin(async move { Outcome::Fence(log.fence(head.position).await) }));
        self.flights.push_back(Flight::Check { head, judged });
    }

    /// Goes on with a compaction that was too large for the batch that brought it.
    fn sweep_on(&mut self) {
        let mut state = self.committed.clone();
        let applied = state.sweep_on();
        self.tip = state.clone();
        self.advance(state, applied, self.compacted_by);
    }

    fn look_at_log(&mut self) {
        let (log, after) = (self.log.clone(), self.committed.head().position);
        self.look = Some(Box::pin(async move { View::Page(log.read(after, PAGE_BYTES).await) }));
    }

    fn look_at_fence(&mut self) {
        let (log, applied) = (self.log.clone(), self.committed.head());
        self.look = Some(Box::pin(async move { View::Fence(applied, log.fence(applied.position).await) }));
        self.next_look = Instant::now() + self.config.poll;
    }

    fn trust(&mut self, identity: &Identity) {
        self.trusted = identity_value(identity);
        self.log.trust(identity);
    }

    fn is_trusted(&self, fence: &Fence) -> bool {
        self.trusted == identity_value(&fence.identity)
    }

    fn draw_id(&mut self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    fn breaks(&self, rule: BrokenRule) -> bool {
        self.config.breaks(rule)
    }

    /// The database answered.
    fn note_contact(&mut self) {
        self.backoff = BACKOFF_MIN;
        note_contact(&self.counters, self.started);
    }

    /// Waits a little longer after each fault in a row.
    async fn back_off(&mut self) {
        tokio::time::sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }
}

pub(crate) fn note_contact(counters: &Counters, started: Instant) {
    let since_start = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    counters.last_contact_ms.store(since_start, Ordering::Relaxed);
}

/// How the identity record names a database.
pub(crate) fn identity_value(identity: &Identity) -> Bytes {
    Bytes::from(format!("{}/{}", identity.system, identity.timeline))
}

/// Whether the fence comes from the database in which `state` was written; a state without the record believes any.
pub(crate) fn is_same_database(state: &State, fence: &Fence) -> bool {
    state.record(IDENTITY_RECORD).is_none_or(|recorded| recorded == identity_value(&fence.identity))
}

/// Whether the fence found the batch that we applied last where we had found it.
pub(crate) fn follows(fence: &Fence, applied: Head) -> bool {
    applied.position == Position(0) || fence.id_at_applied == Some(applied.id)
}

/// Bytes of keys and values that an operation may put.
fn weight(op: &Op) -> usize {
    fn of_ops(ops: &[TxnOp]) -> usize {
        let weights = ops.iter().map(|op| match op {
            TxnOp::Put(put) => put.key.len() + put.value.len(),
            TxnOp::Txn(txn) => of_ops(&txn.success).max(of_ops(&txn.failure)),
            TxnOp::Range(_) | TxnOp::DeleteRange(_) => 0,
        });
        weights.sum()
    }
    match op {
        Op::Put(put) => put.key.len() + put.value.len(),
        Op::Txn(txn) => of_ops(&txn.success).max(of_ops(&txn.failure)),
        Op::Record { key, value } => key.len() + value.len(),
        Op::DeleteRange(_) | Op::Compact { .. } | Op::Auth(_) => 0,
        Op::LeaseGrant { .. } | Op::LeaseRevoke { .. } | Op::LeaseExpire(_) => 0,
    }
}
