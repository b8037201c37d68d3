//! The way of an operation to the sequencer: a queue that is bounded in operations and in bytes. Whoever comes when it
//! is full is told "too many requests". What nobody waits for any more, and was not sent, is dropped.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};

use crate::{
    auth::Caller,
    model::{Error, Fault, Op, Reply, Revision, TxnOp},
};

/// What an operation takes besides its keys and values.
const OP_BYTES: usize = 256;

pub(crate) type Answer = Result<(Revision, Reply), Error>;

/// An operation and who waits for it.
pub(crate) struct Submission {
    pub(crate) op: Op,
    pub(crate) caller: Caller,
    /// `None`: nobody waits for it, and it goes its way all the same.
    pub(crate) reply: Option<oneshot::Sender<Answer>>,
    pub(crate) arrived: Instant,
    /// It holds only while the state has not been replaced since: what was concluded from one database is not done to
    /// another.
    pub(crate) epoch: Option<u64>,
    /// The database failed over a batch that it was in: it goes in a batch of its own, so that others do not fail with
    /// it.
    pub(crate) goes_alone: bool,
    /// It came from another shim, or one has left it to us: it is evaluated here.
    pub(crate) stays: bool,
    /// Given back when it is dropped.
    _share: Option<OwnedSemaphorePermit>,
}

impl Submission {
    /// One of the sequencer's own, outside all bounds.
    pub(crate) fn own(op: Op) -> Self {
        Self {
            op,
            caller: Caller::Shim,
            reply: None,
            arrived: Instant::now(),
            epoch: None,
            goes_alone: false,
            stays: false,
            _share: None,
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// Whether another shim may evaluate it: it is a client's, and nothing about it belongs to this shim.
    pub(crate) fn may_travel(&self) -> bool {
        let is_clients = match &self.op {
            Op::Put(_) | Op::DeleteRange(_) | Op::Txn(_) | Op::Compact { .. } => true,
            Op::LeaseGrant { .. } | Op::LeaseRevoke { .. } => true,
            Op::LeaseExpire(_) | Op::Record { .. } | Op::Auth(_) => false,
        };
        is_clients && !self.stays && !self.goes_alone && self.epoch.is_none() && self.reply.is_some()
    }

    pub(crate) fn answer(self, answer: Answer) {
        if let Some(reply) = self.reply {
            // Whoever no longer waits does not need it.
            let _ = reply.send(answer);
        }
    }
}

/// Clones fill one queue.
#[derive(Clone)]
pub(crate) struct Mailbox {
    queue: mpsc::Sender<Submission>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
}

impl Mailbox {
    pub(crate) fn new(operations: usize, bytes: usize) -> (Self, mpsc::Receiver<Submission>) {
        let bytes_max = bytes.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let (queue, submissions) = mpsc::channel(operations);
        (Self { queue, bytes: Arc::new(Semaphore::new(bytes_max)), bytes_max }, submissions)
    }

    /// Hands an operation over; its answer comes, unless the shim ends first.
    pub(crate) fn submit(
        &self,
        op: Op,
        caller: Caller,
        epoch: Option<u64>,
    ) -> Result<oneshot::Receiver<Answer>, Fault> {
        let (reply, answer) = oneshot::channel();
        self.put(Submission { caller, reply: Some(reply), epoch, ..Submission::own(op) })?;
        Ok(answer)
    }

    /// The same for one that another shim has forwarded.
    pub(crate) fn submit_forwarded(&self, op: Op, caller: Caller) -> Result<oneshot::Receiver<Answer>, Fault> {
        let (reply, answer) = oneshot::channel();
        self.put(Submission { caller, reply: Some(reply), stays: true, ..Submission::own(op) })?;
        Ok(answer)
    }

    /// The same for one whose answer nobody waits for.
    pub(crate) fn submit_unanswered(&self, op: Op, caller: Caller) -> Result<(), Fault> {
        self.put(Submission { caller, ..Submission::own(op) })
    }

    fn put(&self, submission: Submission) -> Result<(), Fault> {
        // One that is larger than the whole queue has it for itself.
        let bytes = (OP_BYTES + weight(&submission.op)).min(self.bytes_max);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let share = self.bytes.clone().try_acquire_many_owned(bytes).map_err(|_| Fault::Overloaded)?;
        let submission = Submission { _share: Some(share), ..submission };
        self.queue.try_send(submission).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Fault::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Fault::Stopping,
        })
    }

    /// Operations in the queue.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

/// Bytes of keys and values that an operation may put.
pub(super) fn weight(op: &Op) -> usize {
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
