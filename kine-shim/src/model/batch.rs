//! What the log holds: batches of entries, one after the other.

use bytes::Bytes;

use super::{Key, LeaseId, Revision};

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
