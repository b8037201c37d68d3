//! The nouns every other module speaks: positions, revisions, entries, batches, operations and their replies.
//! Wire types are not here (see `grpc`), neither is SQL (see `log`).

mod auth;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use self::auth::{AuthRefusal, Change, NewPassword, Secret};

/// A key or a value: raw bytes, never interpreted (invariant 7).
pub type Key = Bytes;

/// etcd's main revision. An empty store is at 1; the first write is 2.
pub type Revision = i64;

/// A lease's 63-bit id; 0 means "no lease".
pub type LeaseId = i64;

/// A batch's place in the log. Contiguous from 1; 0 is the place before the first batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A row of the log: its batch and its entry in it.
pub type RowId = (Position, u32);

/// One grant of a lease: its id, which may be granted anew once the lease is gone, and the batch that granted it. Two
/// grants of one id in one batch need not be told apart: nobody ever sees the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    pub id: LeaseId,
    pub at: Position,
}

/// A batch's identity: random, made by its writer. The nil id stands before the first batch.
pub type BatchId = uuid::Uuid;

/// Where a batch ends: what a successor must name to be appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Head {
    pub position: Position,
    pub id: BatchId,
}

/// What an entry does. The number is what `log.kind` stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum EntryKind {
    Put = 0,
    /// A tombstone; `value` is empty.
    Delete = 1,
    /// `lease` is the id, `version` the granted TTL in seconds. Takes no revision.
    LeaseGrant = 2,
    /// `lease` is the id; the deletes of the attached keys are entries of their own in the same batch. Takes no
    /// revision.
    LeaseRevoke = 3,
    /// `create_revision` is the revision compacted at. Takes no revision.
    Compact = 4,
    /// A new incarnation after a failover: the batch's revisions jump to `create_revision`, which is also the compacted
    /// one.
    Incarnation = 5,
    /// Alarms, users, roles: `key` names the record, `value` holds it (empty = removed). Takes no revision.
    Record = 6,
}

impl TryFrom<i16> for EntryKind {
    type Error = i16;
    fn try_from(kind: i16) -> Result<Self, i16> {
        use EntryKind::*;
        [Put, Delete, LeaseGrant, LeaseRevoke, Compact, Incarnation, Record]
            .into_iter()
            .find(|k| *k as i16 == kind)
            .ok_or(kind)
    }
}

/// One durable change: one row of `log`. Absolute, so that it applies without its predecessors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: EntryKind,
    /// The main revision for puts and deletes; 0 for entries that take none.
    pub revision: Revision,
    /// Order among the changes of one revision, from 0 (etcd's sub-revision).
    pub sub_revision: u32,
    pub key: Key,
    pub value: Bytes,
    pub create_revision: Revision,
    pub version: i64,
    pub lease: LeaseId,
}

impl Entry {
    /// An entry that says nothing but its kind.
    pub fn plain(kind: EntryKind) -> Self {
        Self {
            kind,
            revision: 0,
            sub_revision: 0,
            key: Key::new(),
            value: Bytes::new(),
            create_revision: 0,
            version: 0,
            lease: 0,
        }
    }
}

/// What one append makes durable, whole or not at all. An entry's `sub` in the log is its index in `entries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub position: Position,
    pub id: BatchId,
    pub prev_id: BatchId,
    /// First and last revision of the batch. Without puts and deletes: (head revision + 1, head revision).
    pub first_revision: Revision,
    pub last_revision: Revision,
    /// The shim that wrote it.
    pub writer: uuid::Uuid,
    /// Wall clock of the writer, milliseconds since 1970; for people and for `restore`, never for decisions on order.
    pub at_ms: i64,
    /// (sub, entry); after compaction subs may be missing.
    pub entries: Vec<(u32, Entry)>,
}

impl Batch {
    pub fn head(&self) -> Head {
        Head { position: self.position, id: self.id }
    }
}

/// etcd's KeyValue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    pub key: Key,
    pub value: Bytes,
    pub create_revision: Revision,
    pub mod_revision: Revision,
    pub version: i64,
    pub lease: LeaseId,
}

/// One change as a watcher sees it. A delete's `kv` has only `key` and `mod_revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub is_delete: bool,
    pub kv: KeyValue,
    /// The value just before; `None` when the key did not exist.
    pub prev: Option<KeyValue>,
    pub shown: Shown,
}

/// An event as clients are shown it.
#[derive(Debug)]
pub struct Encoded {
    pub bytes: Bytes,
    /// So many of the bytes are the event without its `prev`, which stands last.
    pub without_prev: usize,
}

/// Encoded by the first who shows the event, for all who have a clone of it (see `grpc`). No part of what an event is.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<OnceLock<Encoded>>);

impl Shown {
    pub fn get_or_encode(&self, encode: impl FnOnce() -> Encoded) -> &Encoded {
        self.0.get_or_init(encode)
    }
}

impl PartialEq for Shown {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Shown {}

/// All events of one revision, in sub-revision order; shared by all watchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionEvents {
    pub revision: Revision,
    pub events: Vec<Event>,
}

/// Keys from `start` (inclusive) to an end. The wire's empty/`\0` range ends get names here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    pub start: Key,
    pub end: RangeEnd,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RangeEnd {
    /// Only `start` itself (empty range_end).
    Single,
    /// Every key >= start (range_end = "\0").
    Unbounded,
    /// Up to, not including, this key.
    Before(Key),
}

impl KeyRange {
    pub fn single(key: Key) -> Self {
        Self { start: key, end: RangeEnd::Single }
    }

    /// Every key there can be.
    pub fn everything() -> Self {
        Self { start: Key::from_static(&[0]), end: RangeEnd::Unbounded }
    }

    /// From the wire's (key, range_end).
    pub fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        let end = match range_end.as_ref() {
            [] => RangeEnd::Single,
            [0] => RangeEnd::Unbounded,
            _ => RangeEnd::Before(range_end),
        };
        Self { start: key, end }
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Single => key == self.start.as_ref(),
            RangeEnd::Unbounded => key >= self.start.as_ref(),
            RangeEnd::Before(end) => key >= self.start.as_ref() && key < end.as_ref(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAt {
    /// The wire's revision <= 0 outside a Txn.
    Latest,
    Revision(Revision),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SortTarget {
    #[default]
    Key,
    Version,
    Create,
    Mod,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SortOrder {
    #[default]
    None,
    Ascend,
    Descend,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub range: KeyRange,
    pub at: ReadAt,
    /// 0 = no limit.
    pub limit: usize,
    pub sort_target: SortTarget,
    pub sort_order: SortOrder,
    pub keys_only: bool,
    pub count_only: bool,
    /// (min, max) of mod and create revision; 0 = no bound.
    pub mod_revisions: (Revision, Revision),
    pub create_revisions: (Revision, Revision),
}

impl Range {
    /// All that is in it now, in the order of the keys.
    pub fn of(range: KeyRange) -> Self {
        Self {
            range,
            at: ReadAt::Latest,
            limit: 0,
            sort_target: SortTarget::Key,
            sort_order: SortOrder::None,
            keys_only: false,
            count_only: false,
            mod_revisions: (0, 0),
            create_revisions: (0, 0),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeReply {
    pub kvs: Vec<KeyValue>,
    pub more: bool,
    pub count: i64,
    /// The current revision, not the one read at: what a sub-header in a Txn shows.
    pub revision: Revision,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    pub key: Key,
    pub value: Bytes,
    pub lease: LeaseId,
    pub prev_kv: bool,
    pub ignore_value: bool,
    pub ignore_lease: bool,
}

impl Put {
    /// Without a lease and without wishes.
    pub fn of(key: Key, value: Bytes) -> Self {
        Self { key, value, lease: 0, prev_kv: false, ignore_value: false, ignore_lease: false }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRange {
    pub range: KeyRange,
    pub prev_kv: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareResult {
    Equal,
    Greater,
    Less,
    NotEqual,
    /// A number the wire does not define: holds for every key that is there, as in etcd.
    Anything,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareTarget {
    Version(i64),
    Create(Revision),
    Mod(Revision),
    Value(Bytes),
    Lease(LeaseId),
    /// A number the wire does not define: found equal, as in etcd.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    pub range: KeyRange,
    pub result: CompareResult,
    pub target: CompareTarget,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnOp {
    Range(Range),
    Put(Put),
    DeleteRange(DeleteRange),
    Txn(Txn),
}

/// Checked by `grpc` before it gets here: operation counts, empty keys, duplicate keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    pub compare: Vec<Compare>,
    pub success: Vec<TxnOp>,
    pub failure: Vec<TxnOp>,
}

impl Txn {
    /// Whether neither branch, however nested, can write.
    pub fn is_read_only(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|op| match op {
            TxnOp::Range(_) => true,
            TxnOp::Txn(txn) => txn.is_read_only(),
            TxnOp::Put(_) | TxnOp::DeleteRange(_) => false,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnOpReply {
    Range(RangeReply),
    Put(PutReply),
    DeleteRange(DeleteRangeReply),
    Txn(TxnReply),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnReply {
    pub succeeded: bool,
    pub replies: Vec<TxnOpReply>,
    /// Of the outermost Txn: the revision after its own writes, else the current one. A nested one's header shows 0, as
    /// in etcd.
    pub revision: Revision,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutReply {
    pub prev: Option<KeyValue>,
    /// Revision shown in this reply's (sub-)header.
    pub revision: Revision,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteRangeReply {
    pub deleted: i64,
    /// Only when asked for.
    pub prevs: Vec<KeyValue>,
    pub revision: Revision,
}

/// Everything that goes through the sequencer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Put(Put),
    DeleteRange(DeleteRange),
    Txn(Txn),
    Compact {
        revision: Revision,
    },
    /// `id` 0 never gets here: the caller draws one. `ttl` is in seconds, already raised to the minimum.
    LeaseGrant {
        id: LeaseId,
        ttl: i64,
    },
    /// Deletes every attached key in one revision.
    LeaseRevoke {
        id: LeaseId,
    },
    /// The same of a lease whose time is over; one of that id that was granted later lives on.
    LeaseExpire(Grant),
    /// Sets (or with an empty value removes) a record such as an alarm.
    Record {
        key: Key,
        value: Bytes,
    },
    /// Changes users, roles or permissions.
    Auth(Change),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Put(PutReply),
    DeleteRange(DeleteRangeReply),
    Txn(TxnReply),
    Compact,
    LeaseGrant,
    LeaseRevoke,
    Record,
    Auth,
}

/// An answer that is not the wished one; nothing was written. `grpc` gives each etcd's code and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("required revision has been compacted")]
    Compacted,
    #[error("required revision is a future revision")]
    FutureRevision,
    #[error("key not found")]
    KeyNotFound,
    #[error("requested lease not found")]
    LeaseNotFound,
    #[error("lease already exists")]
    LeaseExists,
    #[error("database space exceeded")]
    NoSpace,
    #[error("corrupt cluster")]
    Corrupt,
    #[error(transparent)]
    Auth(#[from] AuthRefusal),
}

/// Something went wrong on our side; says what the caller may assume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Certainly not written and never will be.
    #[error("not applied: {0}")]
    NotApplied(String),
    /// May have been written, or may be yet.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
    /// The mailbox is full (etcd's "too many requests"). Not written.
    #[error("too many requests")]
    Overloaded,
    /// The shim is stopping. Not written.
    #[error("stopping")]
    Stopping,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Fault(#[from] Fault),
}
