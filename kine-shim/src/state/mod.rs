//! The state machine over the log: every key with its revisions, leases, records. In go committed batches, out come
//! answers, events and speculative successors ([`Draft`]). Pure: no async, no clock, no I/O. What is durable is not
//! known here (see `log`), neither who waits for an answer (see `sequencer`).
//!
//! `newest` has the last record of every key (tombstones too, until compacted), `superseded` all older ones that are
//! still readable, `changes` every record not compacted yet in revision order: the history for watches and the queue
//! that a compaction works off.

mod alarms;
mod apply;
mod draft;
mod history;
mod kept;
mod loading;
mod range;
mod record;
mod scrub;
mod tree;
mod tree_diff;
mod tree_iter;
mod txn;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

use self::{
    record::{Attached, Change, Lease, Named, Newest, Superseded},
    tree::Tree,
};
use crate::{
    auth::Auth,
    model::{Grant, Head, Key, LeaseId, Position, Revision, RevisionEvents, RowId},
};

pub use self::{
    alarms::{ALARMS, CORRUPT, NO_SPACE, alarm_key},
    apply::Corrupt,
    draft::Draft,
    kept::{Kept, KeptCursor},
    loading::Loading,
    scrub::{Scrub, ScrubRecord},
};

/// The record that says that an import into this store was begun; its end removes it. Until then the log is not for
/// serving.
pub const IMPORT: &[u8] = b"kine-shim/import";

/// What applying a batch brought about, for those who act on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// In revision order. Empty after [`Loading::load`]: nobody watches a load.
    pub events: Vec<Arc<RevisionEvents>>,
    /// Log rows that nobody needs any more, in log order: a predecessor before the row that superseded it. Delete them
    /// in this order, or a crash midway brings a deleted key back.
    pub garbage: Vec<RowId>,
    /// The highest position in `garbage`; 0 without garbage.
    pub trim_floor: Position,
    /// Leases and their TTL in seconds.
    pub granted: Vec<(LeaseId, i64)>,
    pub revoked: Vec<Grant>,
    pub compacted: Option<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    pub id: LeaseId,
    /// As granted, in seconds.
    pub ttl: i64,
    pub granted_at: Position,
}

impl LeaseInfo {
    pub fn grant(&self) -> Grant {
        Grant { id: self.id, at: self.granted_at }
    }
}

impl From<&Lease> for LeaseInfo {
    fn from(lease: &Lease) -> Self {
        Self { id: lease.id, ttl: lease.ttl, granted_at: lease.row.0 }
    }
}

/// All leases of a state; as cheap to clone as the state, and keeps nothing else of it in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeaseSet(Tree<Lease>);

impl LeaseSet {
    /// Leases that ended (`None`) or were granted since, also those that ended and were granted anew. Costs the
    /// changes, not the leases.
    pub(crate) fn changes_since(&self, older: &Self) -> Vec<(LeaseId, Option<LeaseInfo>)> {
        let changes = self.0.changes_since(&older.0).into_iter();
        let change = |(then, now): (Option<&Lease>, Option<&Lease>)| Some((then.or(now)?.id, now.map(LeaseInfo::from)));
        changes.filter_map(change).collect()
    }
}

/// A persistent value: cloning is O(1), a clone never changes with the original.
#[derive(Clone, Debug)]
pub struct State {
    head: Head,
    revision: Revision,
    /// -1 while nothing was compacted: etcd lets one compact at 0.
    compacted: Revision,
    incarnation: u64,
    newest: Tree<Newest>,
    superseded: Tree<Superseded>,
    changes: Tree<Change>,
    attached: Tree<Attached>,
    leases: Tree<Lease>,
    records: Tree<Named>,
    /// What the records below `auth/` say.
    auth: Arc<Auth>,
    /// Rows to be named garbage by a later compaction.
    dead: Tree<RowId>,
    /// Rows of the log that were not named garbage.
    rows: usize,
    compact_row: Option<RowId>,
    incarnation_row: Option<RowId>,
    /// Rows up to here may be named garbage when the compaction under way is done.
    reach: Option<Position>,
    /// Sub-revision of the first change at the compacted revision whose predecessors it has not dropped.
    edge: u32,
    /// Steps of a compaction that go with one batch, lest it holds up the writes behind it.
    sweep_max: usize,
}

/// A few milliseconds of work. A larger compaction goes on with the batches after it, or when nothing else is to be
/// done ([`State::sweep_on`]): what it has not dropped yet cannot be read, but is still in memory and in the log.
const SWEEP_MAX: usize = 500;

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Revision 1, nothing compacted.
    pub fn new() -> Self {
        Self {
            head: Head::default(),
            revision: 1,
            compacted: -1,
            incarnation: 0,
            newest: Tree::default(),
            superseded: Tree::default(),
            changes: Tree::default(),
            attached: Tree::default(),
            leases: Tree::default(),
            records: Tree::default(),
            auth: Arc::default(),
            dead: Tree::default(),
            rows: 0,
            compact_row: None,
            incarnation_row: None,
            reach: None,
            edge: 0,
            sweep_max: SWEEP_MAX,
        }
    }

    pub fn head(&self) -> Head {
        self.head
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// 0 while nothing was compacted.
    pub fn compacted(&self) -> Revision {
        self.compacted.max(0)
    }

    /// `None` while nothing was compacted, which is not the same as compacted at 0.
    pub fn compacted_at(&self) -> Option<Revision> {
        (self.compacted >= 0).then_some(self.compacted)
    }

    /// How many incarnations were declared.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Live keys.
    pub fn len(&self) -> usize {
        self.newest.live()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows that a log needs to hold for this state, and those that the next compaction makes useless.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn lease(&self, id: LeaseId) -> Option<LeaseInfo> {
        self.leases.get(&id).map(LeaseInfo::from)
    }

    /// By id.
    pub fn leases(&self) -> impl Iterator<Item = LeaseInfo> + '_ {
        self.leases.iter().map(LeaseInfo::from)
    }

    /// In the order in which they were granted.
    pub(crate) fn leases_by_grant(&self) -> Vec<LeaseInfo> {
        let mut leases: Vec<&Lease> = self.leases.iter().collect();
        leases.sort_unstable_by_key(|lease| lease.row);
        leases.into_iter().map(LeaseInfo::from).collect()
    }

    pub fn lease_count(&self) -> usize {
        self.leases.live()
    }

    pub(crate) fn lease_set(&self) -> LeaseSet {
        LeaseSet(self.leases.clone())
    }

    /// The attached keys, in key order.
    pub fn lease_keys(&self, id: LeaseId) -> Vec<Key> {
        let of_lease = self.attached.ascend(&(id, Key::new())).take_while(|item| item.0.lease == id);
        of_lease.map(|item| item.0.key()).collect()
    }

    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// An import was begun and has not ended.
    pub fn is_half_imported(&self) -> bool {
        self.record(IMPORT).is_some()
    }

    pub fn record(&self, key: &[u8]) -> Option<Bytes> {
        self.records.get(&Key::copy_from_slice(key)).map(|record| record.value.clone())
    }

    /// All records (key, value), by key.
    pub fn records(&self) -> Vec<(Key, Bytes)> {
        self.records.iter().map(|record| (record.name.clone(), record.value.clone())).collect()
    }
}
