//! What shims say to each other, as bytes: frames, each with its length before it. An empty one only says that the
//! sender lives. In go operations, outcomes and batches, and out again.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use proto::etcdserverpb as pb;

use super::operations;
use crate::{
    auth::{Caller, Identity},
    grpc::{request_read, response_of},
    model::{Batch, Entry, EntryKind, Op, Position, Reply, TxnOp, TxnOpReply},
    sequencer::{ForwardedOutcome as Outcome, Told},
};

/// Above whatever one operation or batch may hold.
const FRAME_BYTES_MAX: usize = 1 << 30;
const LENGTH_BYTES: usize = 4;

/// Not understood: the connection is of no use.
#[derive(Debug, thiserror::Error)]
#[error("a frame that cannot be read: {0}")]
pub(super) struct Broken(String);

#[derive(Clone, PartialEq, Message)]
pub(super) struct Frame {
    #[prost(oneof = "Said", tags = "1, 2, 3")]
    pub(super) said: Option<Said>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Said {
    #[prost(message, tag = "1")]
    Ask(Ask),
    #[prost(message, tag = "2")]
    Answer(Answer),
    #[prost(message, tag = "3")]
    Told(WireBatch),
}

/// An operation to be evaluated by the receiver.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Ask {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    /// Absent: the shim itself.
    #[prost(message, tag = "2")]
    client: Option<Client>,
    #[prost(oneof = "WireOp", tags = "3, 4, 5, 6")]
    op: Option<WireOp>,
}

/// Without a name: nobody.
#[derive(Clone, PartialEq, Message)]
struct Client {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(uint64, tag = "2")]
    revision: u64,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum WireOp {
    #[prost(message, tag = "3")]
    Keys(pb::RequestOp),
    #[prost(message, tag = "4")]
    Compact(pb::CompactionRequest),
    #[prost(message, tag = "5")]
    LeaseGrant(pb::LeaseGrantRequest),
    #[prost(message, tag = "6")]
    LeaseRevoke(pb::LeaseRevokeRequest),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Answer {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(oneof = "WireOutcome", tags = "2, 3")]
    outcome: Option<WireOutcome>,
}

/// Absent: left.
#[derive(Clone, PartialEq, prost::Oneof)]
enum WireOutcome {
    #[prost(message, tag = "2")]
    Done(Done),
    #[prost(string, tag = "3")]
    Unknown(String),
}

#[derive(Clone, PartialEq, Message)]
struct Done {
    #[prost(int64, tag = "1")]
    revision: i64,
    #[prost(uint64, tag = "2")]
    position: u64,
    #[prost(oneof = "WireReply", tags = "3, 4, 5, 6")]
    reply: Option<WireReply>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum WireReply {
    #[prost(message, tag = "3")]
    Keys(pb::ResponseOp),
    #[prost(message, tag = "4")]
    Compact(pb::CompactionResponse),
    #[prost(message, tag = "5")]
    LeaseGrant(pb::LeaseGrantResponse),
    #[prost(message, tag = "6")]
    LeaseRevoke(pb::LeaseRevokeResponse),
}

/// A batch that the sender has committed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WireBatch {
    #[prost(bytes = "bytes", tag = "1")]
    database: Bytes,
    #[prost(uint64, tag = "2")]
    position: u64,
    #[prost(bytes = "bytes", tag = "3")]
    id: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    prev_id: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    writer: Bytes,
    #[prost(int64, tag = "6")]
    first_revision: i64,
    #[prost(int64, tag = "7")]
    last_revision: i64,
    #[prost(int64, tag = "8")]
    at_ms: i64,
    #[prost(message, repeated, tag = "9")]
    entries: Vec<WireEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct WireEntry {
    #[prost(uint32, tag = "1")]
    sub: u32,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(int64, tag = "3")]
    revision: i64,
    #[prost(uint32, tag = "4")]
    sub_revision: u32,
    #[prost(int64, tag = "5")]
    create_revision: i64,
    #[prost(int64, tag = "6")]
    version: i64,
    #[prost(int64, tag = "7")]
    lease: i64,
    #[prost(bytes = "bytes", tag = "8")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "9")]
    value: Bytes,
}

impl Frame {
    pub(super) fn write(self, buffer: &mut BytesMut) {
        buffer.put_u32(u32::try_from(self.encoded_len()).unwrap_or(u32::MAX));
        // A buffer that grows takes everything.
        let _ = self.encode(buffer);
    }

    /// The next whole frame of what was received, if there is one.
    pub(super) fn read(received: &mut BytesMut) -> Result<Option<Self>, Broken> {
        let Some(length) = received.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(Broken(format!("{length} bytes")));
        }
        if received.len() < LENGTH_BYTES + length {
            received.reserve(LENGTH_BYTES + length - received.len());
            return Ok(None);
        }
        received.advance(LENGTH_BYTES);
        let frame = Self::decode(received.split_to(length).freeze());
        frame.map(Some).map_err(|error| Broken(error.to_string()))
    }
}

impl From<Said> for Frame {
    fn from(said: Said) -> Self {
        Self { said: Some(said) }
    }
}

impl Ask {
    /// `None` for what does not travel.
    pub(super) fn of(id: u64, op: &Op, caller: &Caller) -> Option<Self> {
        use pb::request_op::Request;
        let keys = |request| WireOp::Keys(pb::RequestOp { request: Some(request) });
        let op = match op {
            Op::Put(put) => keys(Request::RequestPut(operations::put(put))),
            Op::DeleteRange(delete) => keys(Request::RequestDeleteRange(operations::delete_range(delete))),
            Op::Txn(txn) => keys(Request::RequestTxn(operations::txn(txn))),
            Op::Compact { revision } => WireOp::Compact(pb::CompactionRequest { revision: *revision, physical: false }),
            Op::LeaseGrant { id, ttl } => WireOp::LeaseGrant(pb::LeaseGrantRequest { id: *id, ttl: *ttl }),
            Op::LeaseRevoke { id } => WireOp::LeaseRevoke(pb::LeaseRevokeRequest { id: *id }),
            Op::LeaseExpire(_) | Op::Record { .. } | Op::Auth(_) => return None,
        };
        let client = match caller {
            Caller::Shim => None,
            Caller::Nobody => Some(Client::default()),
            Caller::User(user) => Some(Client { name: Some(user.name.to_string()), revision: user.revision }),
        };
        Some(Self { id, client, op: Some(op) })
    }

    pub(super) fn read(self) -> Result<(u64, Op, Caller), Broken> {
        let op = match self.op.ok_or_else(|| Broken("no operation".into()))? {
            WireOp::Keys(op) => match request_read(op).map_err(|status| Broken(status.to_string()))? {
                TxnOp::Put(put) => Op::Put(put),
                TxnOp::DeleteRange(delete) => Op::DeleteRange(delete),
                TxnOp::Txn(txn) => Op::Txn(txn),
                TxnOp::Range(_) => return Err(Broken("a read".into())),
            },
            WireOp::Compact(op) => Op::Compact { revision: op.revision },
            WireOp::LeaseGrant(op) => Op::LeaseGrant { id: op.id, ttl: op.ttl },
            WireOp::LeaseRevoke(op) => Op::LeaseRevoke { id: op.id },
        };
        let caller = match self.client {
            None => Caller::Shim,
            Some(Client { name: None, .. }) => Caller::Nobody,
            Some(Client { name: Some(name), revision }) => Caller::User(Identity { name: name.into(), revision }),
        };
        Ok((self.id, op, caller))
    }
}

impl Answer {
    pub(super) fn of(id: u64, outcome: Outcome) -> Self {
        let keys = |reply| WireReply::Keys(pb::ResponseOp { response: Some(response_of(reply)) });
        let outcome = match outcome {
            Outcome::Left => None,
            Outcome::Unknown(reason) => Some(WireOutcome::Unknown(reason)),
            Outcome::Done { revision, reply, position } => {
                let reply = match reply {
                    Reply::Put(reply) => Some(keys(TxnOpReply::Put(reply))),
                    Reply::DeleteRange(reply) => Some(keys(TxnOpReply::DeleteRange(reply))),
                    Reply::Txn(reply) => Some(keys(TxnOpReply::Txn(reply))),
                    Reply::Compact => Some(WireReply::Compact(pb::CompactionResponse::default())),
                    Reply::LeaseGrant => Some(WireReply::LeaseGrant(pb::LeaseGrantResponse::default())),
                    Reply::LeaseRevoke => Some(WireReply::LeaseRevoke(pb::LeaseRevokeResponse::default())),
                    Reply::Record | Reply::Auth => None,
                };
                Some(WireOutcome::Done(Done { revision, position: position.0, reply }))
            }
        };
        Self { id, outcome }
    }

    /// What cannot be read was done all the same.
    pub(super) fn read(self) -> Outcome {
        let unreadable = || Outcome::Unknown("another shim's answer cannot be read".into());
        let done = match self.outcome {
            None => return Outcome::Left,
            Some(WireOutcome::Unknown(reason)) => return Outcome::Unknown(reason),
            Some(WireOutcome::Done(done)) => done,
        };
        let reply = match done.reply {
            Some(WireReply::Keys(response)) => match operations::reply(response) {
                Some(TxnOpReply::Put(reply)) => Reply::Put(reply),
                Some(TxnOpReply::DeleteRange(reply)) => Reply::DeleteRange(reply),
                Some(TxnOpReply::Txn(reply)) => Reply::Txn(reply),
                Some(TxnOpReply::Range(_)) | None => return unreadable(),
            },
            Some(WireReply::Compact(_)) => Reply::Compact,
            Some(WireReply::LeaseGrant(_)) => Reply::LeaseGrant,
            Some(WireReply::LeaseRevoke(_)) => Reply::LeaseRevoke,
            None => return unreadable(),
        };
        Outcome::Done { revision: done.revision, reply, position: Position(done.position) }
    }
}

impl WireBatch {
    pub(super) fn of(told: &Told) -> Self {
        let batch = &*told.batch;
        let uuid = |id: uuid::Uuid| Bytes::copy_from_slice(id.as_bytes());
        let entry = |(sub, entry): &(u32, Entry)| WireEntry {
            sub: *sub,
            kind: entry.kind as i32,
            revision: entry.revision,
            sub_revision: entry.sub_revision,
            create_revision: entry.create_revision,
            version: entry.version,
            lease: entry.lease,
            key: entry.key.clone(),
            value: entry.value.clone(),
        };
        Self {
            database: told.database.clone(),
            position: batch.position.0,
            id: uuid(batch.id),
            prev_id: uuid(batch.prev_id),
            writer: uuid(batch.writer),
            first_revision: batch.first_revision,
            last_revision: batch.last_revision,
            at_ms: batch.at_ms,
            entries: batch.entries.iter().map(entry).collect(),
        }
    }

    pub(super) fn read(self) -> Result<Told, Broken> {
        let uuid = |id: &Bytes| uuid::Uuid::from_slice(id).map_err(|error| Broken(error.to_string()));
        let entry = |wire: WireEntry| {
            let kind = i16::try_from(wire.kind).ok().and_then(|kind| EntryKind::try_from(kind).ok());
            let entry = Entry {
                kind: kind.ok_or_else(|| Broken(format!("an entry of the unknown kind {}", wire.kind)))?,
                revision: wire.revision,
                sub_revision: wire.sub_revision,
                key: wire.key,
                value: wire.value,
                create_revision: wire.create_revision,
                version: wire.version,
                lease: wire.lease,
            };
            Ok((wire.sub, entry))
        };
        let batch = Batch {
            position: Position(self.position),
            id: uuid(&self.id)?,
            prev_id: uuid(&self.prev_id)?,
            first_revision: self.first_revision,
            last_revision: self.last_revision,
            writer: uuid(&self.writer)?,
            at_ms: self.at_ms,
            entries: self.entries.into_iter().map(entry).collect::<Result<_, Broken>>()?,
        };
        Ok(Told { batch: std::sync::Arc::new(batch), database: self.database })
    }
}
