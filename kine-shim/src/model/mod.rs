//! The nouns every other module speaks: positions, revisions, entries, batches, operations and their replies.
//! Wire types are not here (see `grpc`), neither is SQL (see `log`).

mod auth;
mod batch;
mod error;
mod event;
mod key_range;
mod op;

use bytes::Bytes;

pub use self::{
    auth::{AuthRefusal, Change, NewPassword, Secret},
    batch::{Batch, BatchId, Entry, EntryKind, Grant, Head, Position, RowId},
    error::{Error, Fault, Refusal},
    event::{Encoded, Event, KeyValue, RevisionEvents, Shown},
    key_range::{KeyRange, RangeEnd},
    op::{
        Compare, CompareResult, CompareTarget, DeleteRange, DeleteRangeReply, Op, Put, PutReply, Range, RangeReply,
        ReadAt, Reply, SortOrder, SortTarget, Txn, TxnOp, TxnOpReply, TxnReply,
    },
};

/// A key or a value: raw bytes, never interpreted (invariant 7).
pub type Key = Bytes;

/// etcd's main revision. An empty store is at 1; the first write is 2.
pub type Revision = i64;

/// A lease's 63-bit id; 0 means "no lease".
pub type LeaseId = i64;
