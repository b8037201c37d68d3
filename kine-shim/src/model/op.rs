//! Operations and their replies: what is asked of a store, and what it answers.

use bytes::Bytes;

use super::{Change, Grant, Key, KeyRange, KeyValue, LeaseId, Revision};

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
