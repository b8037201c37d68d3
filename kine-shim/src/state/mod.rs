//! The state machine over the log: every key with its revisions, leases, records. In go committed batches, out come answers, events
//! and speculative successors ([`Draft`]). Pure: no async, no clock, no I/O. What is durable is not known here (see `log`), neither
//! who waits for an answer (see `sequencer`).

use std::sync::Arc;

use bytes::Bytes;

use crate::model::{
    Batch, BatchId, Head, Key, KeyRange, LeaseId, Op, Position, Range, RangeReply, Refusal, Reply, Revision,
    RevisionEvents, Txn, TxnReply,
};

/// The batch is not one that this state can follow: a gap, another chain, or contents that contradict what is known.
/// The state may be half changed: drop it and load anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batch at position {position} does not follow: {reason}")]
pub struct Corrupt {
    pub position: u64,
    pub reason: &'static str,
}

/// What applying a batch brought about, for those who act on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// In revision order. Empty after [`State::load`]: nobody watches a load.
    pub events: Vec<Arc<RevisionEvents>>,
    /// Log rows that nobody needs any more, in log order: a predecessor before the row that superseded it. Delete them in this order, or
    /// a crash midway brings a deleted key back.
    pub garbage: Vec<(Position, u32)>,
    /// The highest position in `garbage`; 0 without garbage.
    pub trim_floor: Position,
    /// Leases and their TTL in seconds.
    pub granted: Vec<(LeaseId, i64)>,
    pub revoked: Vec<LeaseId>,
    pub compacted: Option<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    pub id: LeaseId,
    /// As granted, in seconds.
    pub ttl: i64,
}

/// A persistent value: cloning is O(1), a clone never changes with the original.
#[derive(Clone, Debug, Default)]
pub struct State {
    head: Head,
}

const UNBUILT: Corrupt = Corrupt { position: 0, reason: "the state machine is not built yet" };

impl State {
    /// Revision 1, nothing compacted.
    pub fn new() -> Self {
        Self::default()
    }

    pub fn head(&self) -> Head {
        self.head
    }

    pub fn revision(&self) -> Revision {
        1
    }

    /// 0 while nothing was compacted.
    pub fn compacted(&self) -> Revision {
        0
    }

    /// How many incarnations were declared.
    pub fn incarnation(&self) -> u64 {
        0
    }

    /// Live keys.
    pub fn len(&self) -> usize {
        0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn range(&self, _range: &Range) -> Result<RangeReply, Refusal> {
        Err(Refusal::FutureRevision)
    }

    /// A Txn for which [`Txn::is_read_only`] holds.
    pub fn txn_read(&self, _txn: &Txn) -> Result<TxnReply, Refusal> {
        Err(Refusal::FutureRevision)
    }

    /// A speculative successor.
    pub fn draft(&self) -> Draft {
        Draft { state: self.clone() }
    }

    /// The batch must follow the head.
    pub fn apply(&mut self, _batch: &Batch) -> Result<Applied, Corrupt> {
        Err(UNBUILT)
    }

    /// Like `apply` for a log whose garbage may be gone: positions may skip, rows may be missing. For start-up and reload.
    pub fn load(&mut self, _batch: &Batch) -> Result<Applied, Corrupt> {
        Err(UNBUILT)
    }

    /// Events of `range` with revision >= `from`, at most `limit_revisions` revisions; fewer mean that there are no more.
    pub fn history(
        &self,
        _range: &KeyRange,
        _from: Revision,
        _limit_revisions: usize,
    ) -> Result<Vec<Arc<RevisionEvents>>, Refusal> {
        Err(Refusal::Compacted)
    }

    pub fn lease(&self, _id: LeaseId) -> Option<LeaseInfo> {
        None
    }

    /// By id.
    pub fn leases(&self) -> impl Iterator<Item = LeaseInfo> + '_ {
        std::iter::empty()
    }

    /// The attached keys, in key order.
    pub fn lease_keys(&self, _id: LeaseId) -> Vec<Key> {
        Vec::new()
    }

    pub fn record(&self, _key: &[u8]) -> Option<Bytes> {
        None
    }

    /// All records (key, value), by key.
    pub fn records(&self) -> Vec<(Key, Bytes)> {
        Vec::new()
    }
}

/// A state after the operations judged so far, and the entries that make it so.
#[derive(Clone, Debug)]
pub struct Draft {
    state: State,
}

impl Draft {
    /// Judges one operation on the state after the ones before. A refusal leaves no trace.
    pub fn judge(&mut self, _op: &Op) -> Result<Reply, Refusal> {
        Err(Refusal::NoSpace)
    }

    /// Declares a new incarnation: the revision jumps to `revision`, everything before counts as compacted.
    pub fn declare_incarnation(&mut self, _revision: Revision) {}

    /// No entries so far.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Number of entries so far.
    pub fn ops(&self) -> usize {
        0
    }

    /// Bytes of keys and values so far.
    pub fn bytes(&self) -> usize {
        0
    }

    pub fn revision(&self) -> Revision {
        self.state.revision()
    }

    /// The state so far, with the head of the state that was drafted on.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The batch to append, the state that holds once it is committed, and what its commit brings about.
    pub fn finish(self, id: BatchId, writer: uuid::Uuid, at_ms: i64) -> (Batch, State, Applied) {
        let batch = Batch {
            position: self.state.head.position.next(),
            id,
            prev_id: self.state.head.id,
            first_revision: 2,
            last_revision: 1,
            writer,
            at_ms,
            entries: Vec::new(),
        };
        (batch, self.state, Applied::default())
    }
}
