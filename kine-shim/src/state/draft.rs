//! Evaluating operations: each is answered on the state after the ones before it and, if it writes, becomes entries of
//! the batch to be appended. Nothing here is durable; a draft that is not appended is dropped without a trace.

use bytes::Bytes;

use super::{Applied, State, apply::Effects};
use crate::{
    auth::{Caller, Change},
    model::{
        Batch, BatchId, DeleteRange, DeleteRangeReply, Entry, EntryKind, Grant, Key, LeaseId, Op, Put, PutReply,
        Refusal, Reply, Revision,
    },
};

/// A state after the operations evaluated so far, and the entries that make it so.
#[derive(Clone, Debug)]
pub struct Draft {
    base: State,
    state: State,
    entries: Vec<(u32, Entry)>,
    bytes: usize,
    effects: Effects,
    /// The revision that the operation being evaluated writes at.
    write_revision: Revision,
    /// Changes of the operation being evaluated, so far.
    changes: u32,
}

impl State {
    /// A speculative successor.
    pub fn draft(&self) -> Draft {
        Draft::on(self)
    }
}

impl Draft {
    fn on(state: &State) -> Self {
        Self {
            base: state.clone(),
            state: state.clone(),
            entries: Vec::new(),
            bytes: 0,
            effects: Effects::default(),
            write_revision: state.revision() + 1,
            changes: 0,
        }
    }

    /// Evaluates one operation of the shim's own on the state after the ones before. A refusal leaves no trace.
    pub fn evaluate(&mut self, op: &Op) -> Result<Reply, Refusal> {
        self.evaluate_as(op, &Caller::Shim)
    }

    /// The same on behalf of a caller, who must be permitted what it asks for.
    pub fn evaluate_as(&mut self, op: &Op, caller: &Caller) -> Result<Reply, Refusal> {
        self.state.check_alarms(op)?;
        self.state.access(caller).op(op)?;
        self.write_revision = self.state.revision() + 1;
        self.changes = 0;
        let mark = self.entries.len();
        let evaluated = match op {
            Op::Put(put) => self.state.check_lease(put.lease).and_then(|()| self.put(put)).map(Reply::Put),
            Op::DeleteRange(delete) => Ok(Reply::DeleteRange(self.delete_range(delete))),
            Op::Txn(txn) => self.txn(txn).map(Reply::Txn),
            Op::Compact { revision } => self.compact(*revision),
            Op::LeaseGrant { id, ttl } => self.grant(*id, *ttl),
            Op::LeaseRevoke { id } => self.revoke(*id),
            Op::LeaseExpire(grant) => self.expire(*grant),
            Op::Record { key, value } => Ok(self.record(key, value)),
            Op::Auth(change) => self.auth(change),
        };
        if evaluated.is_err() && self.entries.len() > mark {
            self.undo(mark);
        }
        evaluated
    }

    /// Declares a new incarnation: the revision jumps to `revision`, everything before counts as compacted.
    pub fn declare_incarnation(&mut self, revision: Revision) {
        let version = i64::try_from(self.state.incarnation() + 1).unwrap_or(i64::MAX);
        self.push(Entry { create_revision: revision, version, ..Entry::plain(EntryKind::Incarnation) });
    }

    /// No entries so far.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of entries so far.
    pub fn ops(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of keys and values so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn revision(&self) -> Revision {
        self.state.revision()
    }

    /// The state so far, with the head of the state that was drafted on.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The batch to append, the state that holds once it is committed, and what its commit brings about.
    pub fn finish(mut self, id: BatchId, writer: uuid::Uuid, at_ms: i64) -> (Batch, State, Applied) {
        let changes = self.entries.iter().find(|(_, entry)| takes_revision(entry.kind));
        let last_revision = self.state.revision();
        let batch = Batch {
            position: self.base.head().position.next(),
            id,
            prev_id: self.base.head().id,
            first_revision: changes.map_or(last_revision + 1, |(_, entry)| entry.revision),
            last_revision,
            writer,
            at_ms,
            entries: self.entries,
        };
        let mut state = self.state;
        state.set_head(batch.head());
        state.sweep(state.sweep_max, &mut self.effects);
        (batch, state, self.effects.finish())
    }

    /// The lease has been checked.
    pub(super) fn put(&mut self, put: &Put) -> Result<PutReply, Refusal> {
        let older = self.state.live(&put.key).cloned();
        if (put.ignore_value || put.ignore_lease) && older.is_none() {
            return Err(Refusal::KeyNotFound);
        }
        let revision = self.write_revision;
        let kept_value = older.as_ref().filter(|_| put.ignore_value).map(|older| older.value());
        let kept_lease = older.as_ref().filter(|_| put.ignore_lease).map(|older| older.lease);
        self.push(Entry {
            key: put.key.clone(),
            value: kept_value.unwrap_or_else(|| put.value.clone()),
            create_revision: older.as_ref().map_or(revision, |older| older.create_revision),
            version: older.as_ref().map_or(1, |older| older.version + 1),
            lease: kept_lease.unwrap_or(put.lease),
            ..Entry::plain(EntryKind::Put)
        });
        Ok(PutReply { prev: older.filter(|_| put.prev_kv).map(|older| older.key_value()), revision })
    }

    pub(super) fn delete_range(&mut self, delete: &DeleteRange) -> DeleteRangeReply {
        let found: Vec<_> = self.state.live_in(&delete.range).cloned().collect();
        for record in &found {
            self.push(Entry { key: record.key(), ..Entry::plain(EntryKind::Delete) });
        }
        let prevs = if delete.prev_kv { found.iter().map(|record| record.key_value()).collect() } else { Vec::new() };
        DeleteRangeReply { deleted: found.len() as i64, prevs, revision: self.state.revision() }
    }

    fn compact(&mut self, revision: Revision) -> Result<Reply, Refusal> {
        if revision <= self.state.compacted {
            return Err(Refusal::Compacted);
        }
        if revision > self.state.revision() {
            return Err(Refusal::FutureRevision);
        }
        self.push(Entry { create_revision: revision, ..Entry::plain(EntryKind::Compact) });
        Ok(Reply::Compact)
    }

    fn grant(&mut self, id: LeaseId, ttl: i64) -> Result<Reply, Refusal> {
        if self.state.lease(id).is_some() {
            return Err(Refusal::LeaseExists);
        }
        self.push(Entry { lease: id, version: ttl, ..Entry::plain(EntryKind::LeaseGrant) });
        Ok(Reply::LeaseGrant)
    }

    fn revoke(&mut self, id: LeaseId) -> Result<Reply, Refusal> {
        if self.state.lease(id).is_none() {
            return Err(Refusal::LeaseNotFound);
        }
        for key in self.state.lease_keys(id) {
            self.push(Entry { key, ..Entry::plain(EntryKind::Delete) });
        }
        self.push(Entry { lease: id, ..Entry::plain(EntryKind::LeaseRevoke) });
        Ok(Reply::LeaseRevoke)
    }

    fn expire(&mut self, grant: Grant) -> Result<Reply, Refusal> {
        let is_there = self.state.lease(grant.id).is_some_and(|lease| lease.grant() == grant);
        if is_there { self.revoke(grant.id) } else { Err(Refusal::LeaseNotFound) }
    }

    fn auth(&mut self, change: &Change) -> Result<Reply, Refusal> {
        for (key, value) in self.state.auth().evaluate(change)? {
            self.record(&key, &value);
        }
        Ok(Reply::Auth)
    }

    fn record(&mut self, key: &Key, value: &Bytes) -> Reply {
        if self.state.record(key).unwrap_or_default() != value {
            self.push(Entry { key: key.clone(), value: value.clone(), ..Entry::plain(EntryKind::Record) });
        }
        Reply::Record
    }

    /// Gives the entry its revision, if its kind takes one, and applies it.
    fn push(&mut self, mut entry: Entry) {
        if takes_revision(entry.kind) {
            entry.revision = self.write_revision;
            entry.sub_revision = self.changes;
            self.changes += 1;
        }
        // Batches are bounded far below u32.
        let sub = self.entries.len() as u32;
        self.bytes += entry.key.len() + entry.value.len();
        self.state.change((self.base.head().position.next(), sub), &entry, &mut self.effects);
        self.entries.push((sub, entry));
    }

    /// Back to the first `mark` entries. An operation that was checked before it ran does not get here.
    fn undo(&mut self, mark: usize) {
        let mut again = Self::on(&self.base);
        again.entries = std::mem::take(&mut self.entries);
        again.entries.truncate(mark);
        for (sub, entry) in &again.entries {
            again.bytes += entry.key.len() + entry.value.len();
            again.state.change((again.base.head().position.next(), *sub), entry, &mut again.effects);
        }
        *self = again;
    }
}

fn takes_revision(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Put | EntryKind::Delete)
}
