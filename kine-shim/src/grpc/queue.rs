//! The queue of keys below a prefix, for locks and elections: everyone puts a key under a lease, and the oldest key
//! holds the lock. Keys and errors are those of etcd's client library, so that its users and callers of the services
//! meet in the same queue.

use bytes::Bytes;
use tonic::Status;

use super::{credentials::Credentials, errors, kv::unexpected, lease, wire::Wire};
use crate::{
    model::{
        Compare, CompareResult, CompareTarget, DeleteRange, Key, KeyRange, KeyValue, LeaseId, Op, Put, Range, RangeEnd,
        Reply, Revision, SortOrder, SortTarget, Txn, TxnOp, TxnOpReply, TxnReply,
    },
    shim::Consistency,
    state::State,
    watch::{Filters, WatchMessage, WatchRequest},
};

/// Of a session without a lease of its own.
const SESSION_TTL: i64 = 60;

/// A key waiting below a prefix. Dropped before it is kept, it leaves the queue: its client is gone.
pub(super) struct Waiter {
    wire: Wire,
    credentials: Credentials,
    prefix: Key,
    pub(super) key: Key,
    pub(super) lease: LeaseId,
    pub(super) create_revision: Revision,
    /// Of the answer that put the key into the queue.
    pub(super) revision: Revision,
    is_kept: bool,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if !self.is_kept {
            let leave = Op::Txn(if_created(&self.key, self.create_revision, delete(&self.key)));
            self.wire.shim.write_unanswered(leave);
        }
    }
}

pub(super) fn prefix_of(name: &[u8]) -> Key {
    Bytes::from([name, b"/"].concat())
}

impl Waiter {
    /// Joins the queue, or finds the place that this lease has in it already.
    pub(super) async fn join(
        wire: &Wire,
        credentials: &Credentials,
        name: &[u8],
        lease: LeaseId,
        value: Bytes,
    ) -> Result<(Self, KeyValue), Status> {
        let lease = if lease == 0 { wire.session(credentials).await? } else { lease };
        let prefix = prefix_of(name);
        let key = Bytes::from([prefix.as_ref(), format!("{lease:x}").as_bytes()].concat());
        let txn = if_created(&key, 0, put(&key, value, lease));
        // Whoever may not see the others could not wait for them.
        let see = || TxnOp::Range(Range { count_only: true, ..Range::of(below(&prefix)) });
        let with_read = |ops: Vec<TxnOp>| {
            ops.into_iter().chain([TxnOp::Range(Range::of(KeyRange::single(key.clone()))), see()]).collect()
        };
        let txn = Txn { success: with_read(txn.success), failure: with_read(Vec::new()), ..txn };
        let reply = wire.txn_of(credentials, txn).await?;
        let own = reply.replies.into_iter().find_map(|reply| match reply {
            TxnOpReply::Range(mut range) => range.kvs.pop(),
            _ => None,
        });
        let own = own.ok_or_else(unexpected)?;
        let (create_revision, revision) = (own.create_revision, reply.revision);
        let (wire, credentials) = (wire.clone(), credentials.clone());
        Ok((Self { wire, credentials, prefix, key, lease, create_revision, revision, is_kept: false }, own))
    }

    /// Waits until every older key is gone. `None` when this one went first.
    pub(super) async fn acquire(&self) -> Result<Option<Revision>, Status> {
        loop {
            let state = self.wire.queue(&self.credentials, &self.prefix).await?;
            if !self.is_queued(&state)? {
                return Ok(None);
            }
            let older = Range {
                create_revisions: (0, self.create_revision - 1),
                ..by_creation(&self.prefix, SortOrder::Descend)
            };
            let older = state.range(&older).map_err(errors::refused)?.kvs.pop();
            let Some(older) = older else { return Ok(Some(state.revision())) };
            self.wire.deletion(&[older.key, self.key.clone()], state.revision() + 1).await?;
        }
    }

    fn is_queued(&self, state: &State) -> Result<bool, Status> {
        let own = state.range(&Range::of(KeyRange::single(self.key.clone()))).map_err(errors::refused)?.kvs.pop();
        Ok(own.is_some_and(|own| own.create_revision == self.create_revision))
    }

    /// The lock is the client's now; it ends with its lease, or when the client gives it up.
    pub(super) fn keep(mut self) -> (Key, LeaseId, Revision) {
        self.is_kept = true;
        (self.key.clone(), self.lease, self.create_revision)
    }
}

impl Wire {
    async fn session(&self, credentials: &Credentials) -> Result<LeaseId, Status> {
        let id = lease::draw();
        let granted = self.write(credentials, Op::LeaseGrant { id, ttl: SESSION_TTL }).await;
        granted.map_err(errors::through_client)?;
        Ok(id)
    }

    /// A state to look at a queue in, for somebody who may.
    pub(super) async fn queue(&self, credentials: &Credentials, prefix: &Key) -> Result<State, Status> {
        let state = self.readable(credentials, Consistency::Linearizable, &below(prefix)).await;
        state.map_err(errors::through_client)
    }

    pub(super) async fn txn_of(&self, credentials: &Credentials, txn: Txn) -> Result<TxnReply, Status> {
        match self.write(credentials, Op::Txn(txn)).await.map_err(errors::through_client)? {
            (_, Reply::Txn(reply)) => Ok(reply),
            _ => Err(unexpected()),
        }
    }

    /// Waits until one of the keys is deleted at `from` or later.
    async fn deletion(&self, keys: &[Key], from: Revision) -> Result<(), Status> {
        let mut messages = self.shim.watch_stream();
        for key in keys {
            let filters = Filters { no_put: true, no_delete: false };
            let range = KeyRange::single(key.clone());
            let request = WatchRequest { id: None, range, start: Some(from), filters, progress_notify: false };
            messages.control().create(request).await;
        }
        loop {
            match messages.next().await {
                // After a compaction, or whatever else: look again.
                Some(WatchMessage::Events { .. } | WatchMessage::Canceled { .. }) => return Ok(()),
                Some(_) => {}
                None => return Err(errors::stopped()),
            }
        }
    }
}

/// The key that holds the lock.
pub(super) fn holder(state: &State, prefix: &Key) -> Result<Option<KeyValue>, Status> {
    let oldest = by_creation(prefix, SortOrder::Ascend);
    Ok(state.range(&oldest).map_err(errors::refused)?.kvs.pop())
}

/// Every key below a prefix that ends in '/'.
pub(super) fn below(prefix: &Key) -> KeyRange {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        // '/' has a successor.
        *last += 1;
    }
    KeyRange { start: prefix.clone(), end: RangeEnd::Before(end.into()) }
}

fn by_creation(prefix: &Key, sort_order: SortOrder) -> Range {
    Range { limit: 1, sort_target: SortTarget::Create, sort_order, ..Range::of(below(prefix)) }
}

/// `then`, if the key was created at that revision; 0 means that it does not exist.
pub(super) fn if_created(key: &Key, revision: Revision, then: TxnOp) -> Txn {
    let target = CompareTarget::Create(revision);
    let compare = Compare { range: KeyRange::single(key.clone()), result: CompareResult::Equal, target };
    Txn { compare: vec![compare], success: vec![then], failure: Vec::new() }
}

pub(super) fn put(key: &Key, value: Bytes, lease: LeaseId) -> TxnOp {
    TxnOp::Put(Put { lease, ..Put::of(key.clone(), value) })
}

pub(super) fn delete(key: &Key) -> TxnOp {
    TxnOp::DeleteRange(DeleteRange { range: KeyRange::single(key.clone()), prev_kv: false })
}
