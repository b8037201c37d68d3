//! One put or tombstone as the state keeps it, and the orders in which the state's trees hold it. Keys and values share
//! one allocation that belongs to the record alone, so that no request or page of the log stays in memory for the sake
//! of a key.

use std::{cmp::Ordering, sync::Arc};

use bytes::Bytes;

use super::tree::Item;
use crate::model::{Entry, EntryKind, Event, Key, KeyValue, LeaseId, Position, Revision, RowId, Shown};

#[derive(Debug)]
pub(super) struct Record {
    /// Key, then value. No `Bytes`: that would cost each record forty bytes more, and only few are being read.
    bytes: Box<[u8]>,
    key_len: u32,
    pub(super) is_delete: bool,
    pub(super) sub_revision: u32,
    sub: u32,
    position: Position,
    pub(super) revision: Revision,
    pub(super) create_revision: Revision,
    pub(super) version: i64,
    pub(super) lease: LeaseId,
}

impl Record {
    pub(super) fn new(entry: &Entry, row: RowId) -> Arc<Self> {
        Arc::new(Self {
            bytes: [entry.key.as_ref(), entry.value.as_ref()].concat().into_boxed_slice(),
            // A key longer than 4 GiB does not get through any request limit.
            key_len: entry.key.len() as u32,
            is_delete: entry.kind == EntryKind::Delete,
            sub_revision: entry.sub_revision,
            sub: row.1,
            position: row.0,
            revision: entry.revision,
            create_revision: entry.create_revision,
            version: entry.version,
            lease: entry.lease,
        })
    }

    pub(super) fn key_bytes(&self) -> &[u8] {
        &self.bytes[..self.key_len as usize]
    }

    pub(super) fn value_bytes(&self) -> &[u8] {
        &self.bytes[self.key_len as usize..]
    }

    pub(super) fn key(self: &Arc<Self>) -> Key {
        self.shared().split_to(self.key_len as usize)
    }

    pub(super) fn value(self: &Arc<Self>) -> Bytes {
        self.shared().split_off(self.key_len as usize)
    }

    /// Key and value, which keep the record in memory.
    fn shared(self: &Arc<Self>) -> Bytes {
        Bytes::from_owner(Contents(self.clone()))
    }

    pub(super) fn row(&self) -> RowId {
        (self.position, self.sub)
    }

    /// As a client sees it; a tombstone has only key and revision.
    pub(super) fn key_value(self: &Arc<Self>) -> KeyValue {
        let mut value = self.shared();
        let key = value.split_to(self.key_len as usize);
        if self.is_delete {
            return KeyValue { key, mod_revision: self.revision, ..KeyValue::default() };
        }
        self.with(key, value)
    }

    /// `prev` is the living record it superseded.
    pub(super) fn event(self: &Arc<Self>, prev: Option<&Arc<Self>>) -> Event {
        let prev = prev.map(Self::key_value);
        Event { is_delete: self.is_delete, kv: self.key_value(), prev, shown: Shown::default() }
    }

    pub(super) fn key_only(self: &Arc<Self>) -> KeyValue {
        self.with(self.key(), Bytes::new())
    }

    fn with(&self, key: Key, value: Bytes) -> KeyValue {
        KeyValue {
            key,
            value,
            create_revision: self.create_revision,
            mod_revision: self.revision,
            version: self.version,
            lease: self.lease,
        }
    }
}

struct Contents(Arc<Record>);

impl AsRef<[u8]> for Contents {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// The newest record of a key, tombstones included (they count nothing). By key.
#[derive(Clone, Debug)]
pub(super) struct Newest(pub(super) Arc<Record>);

impl Item for Newest {
    type Key = Key;

    fn key(&self) -> Key {
        Bytes::copy_from_slice(self.0.key_bytes())
    }

    fn compare(&self, key: &Key) -> Ordering {
        self.0.key_bytes().cmp(key)
    }

    fn order(&self, other: &Self) -> Ordering {
        self.0.key_bytes().cmp(other.0.key_bytes())
    }

    fn live(&self) -> usize {
        usize::from(!self.0.is_delete)
    }
}

/// A superseded record. By key, then age.
#[derive(Clone, Debug)]
pub(super) struct Superseded(pub(super) Arc<Record>);

impl Item for Superseded {
    type Key = (Key, Revision, u32);

    fn key(&self) -> Self::Key {
        (Bytes::copy_from_slice(self.0.key_bytes()), self.0.revision, self.0.sub_revision)
    }

    fn compare(&self, (key, revision, sub): &Self::Key) -> Ordering {
        let mine = (self.0.key_bytes(), self.0.revision, self.0.sub_revision);
        mine.cmp(&(key.as_ref(), *revision, *sub))
    }

    fn order(&self, other: &Self) -> Ordering {
        let mine = (self.0.key_bytes(), self.0.revision, self.0.sub_revision);
        mine.cmp(&(other.0.key_bytes(), other.0.revision, other.0.sub_revision))
    }
}

/// A change not compacted yet. By revision and sub-revision.
#[derive(Clone, Debug)]
pub(super) struct Change(pub(super) Arc<Record>);

impl Item for Change {
    type Key = (Revision, u32);

    fn key(&self) -> Self::Key {
        (self.0.revision, self.0.sub_revision)
    }

    fn compare(&self, key: &Self::Key) -> Ordering {
        self.key().cmp(key)
    }

    fn order(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// A live record with a lease. By lease, then key.
#[derive(Clone, Debug)]
pub(super) struct Attached(pub(super) Arc<Record>);

impl Item for Attached {
    type Key = (LeaseId, Key);

    fn key(&self) -> Self::Key {
        (self.0.lease, Bytes::copy_from_slice(self.0.key_bytes()))
    }

    fn compare(&self, (lease, key): &Self::Key) -> Ordering {
        (self.0.lease, self.0.key_bytes()).cmp(&(*lease, key.as_ref()))
    }

    fn order(&self, other: &Self) -> Ordering {
        (self.0.lease, self.0.key_bytes()).cmp(&(other.0.lease, other.0.key_bytes()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    pub(super) ttl: i64,
    pub(super) row: RowId,
}

impl Item for Lease {
    type Key = LeaseId;

    fn key(&self) -> LeaseId {
        self.id
    }

    fn compare(&self, key: &LeaseId) -> Ordering {
        self.id.cmp(key)
    }

    fn order(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

/// An alarm, a user, a role: opaque here. By name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: Key,
    pub(super) value: Bytes,
    pub(super) row: RowId,
}

impl Item for Named {
    type Key = Key;

    fn key(&self) -> Key {
        self.name.clone()
    }

    fn compare(&self, key: &Key) -> Ordering {
        self.name.cmp(key)
    }

    fn order(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name)
    }
}

/// A row that lost its meaning other than by a compaction: an ended lease, an older record. Waits for a compaction to
/// be named garbage.
impl Item for RowId {
    type Key = RowId;

    fn key(&self) -> RowId {
        *self
    }

    fn compare(&self, key: &RowId) -> Ordering {
        self.cmp(key)
    }

    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}
