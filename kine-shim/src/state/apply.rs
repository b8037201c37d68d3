//! How state changes: one entry at a time, by one function, whether the entry was drafted here, committed by another
//! shim or loaded (invariant 1). What a batch may not do is checked before, in [`State::check`]; a draft makes only
//! entries that would pass.

use std::sync::Arc;

use super::{
    Applied, LeaseInfo, State,
    record::{Attached, Change, Lease, Named, Newest, Record, Superseded},
};
use crate::{
    auth,
    model::{Batch, Entry, EntryKind, Event, Key, Position, Revision, RevisionEvents, RowId},
};

/// The batch is not one that this state can follow: a gap, another chain, or contents that contradict what is known.
/// The state may be half changed: drop it and load anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batch at position {position} does not follow: {reason}")]
pub struct Corrupt {
    pub position: u64,
    pub reason: &'static str,
}

/// What applying entries has done so far, to be an [`Applied`]: events of the revision that is still being filled are
/// kept apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    applied: Applied,
    open: Option<RevisionEvents>,
}

impl Effects {
    fn event(&mut self, revision: Revision, event: Event) {
        match &mut self.open {
            Some(open) if open.revision == revision => open.events.push(event),
            _ => {
                self.close();
                self.open = Some(RevisionEvents { revision, events: vec![event] });
            }
        }
    }

    fn close(&mut self) {
        self.applied.events.extend(self.open.take().map(Arc::new));
    }

    pub(super) fn finish(mut self) -> Applied {
        self.close();
        self.applied.garbage.sort_unstable();
        self.applied.trim_floor = self.applied.garbage.last().map_or(Position(0), |row| row.0);
        self.applied
    }
}

impl State {
    /// The batch must follow the head.
    pub fn apply(&mut self, batch: &Batch) -> Result<Applied, Corrupt> {
        let corrupt = |reason| Corrupt { position: batch.position.0, reason };
        if batch.position != self.head.position.next() || batch.prev_id != self.head.id {
            return Err(corrupt("it has another predecessor"));
        }
        let mut effects = Effects::default();
        let begin = self.revision;
        for (index, (sub, entry)) in batch.entries.iter().enumerate() {
            if *sub as usize != index {
                return Err(corrupt("entries are missing"));
            }
            self.check(entry, begin).map_err(corrupt)?;
            self.change((batch.position, *sub), entry, &mut effects);
        }
        if batch.last_revision != self.revision {
            return Err(corrupt("its last revision is not that of its entries"));
        }
        self.head = batch.head();
        self.sweep(self.sweep_max, &mut effects);
        Ok(effects.finish())
    }

    pub(super) fn set_head(&mut self, head: crate::model::Head) {
        self.head = head;
    }

    /// Whether the entry says what this state would say. `begin` is the revision before its batch.
    fn check(&self, entry: &Entry, begin: Revision) -> Result<(), &'static str> {
        match entry.kind {
            EntryKind::Put | EntryKind::Delete => self.check_change(entry, begin),
            EntryKind::LeaseGrant if self.leases.get(&entry.lease).is_some() => Err("a lease is granted twice"),
            EntryKind::LeaseRevoke if self.leases.get(&entry.lease).is_none() => Err("an unknown lease is revoked"),
            EntryKind::LeaseRevoke if !self.lease_keys(entry.lease).is_empty() => Err("a lease with keys is revoked"),
            EntryKind::Compact if entry.create_revision <= self.compacted => Err("it compacts the past"),
            EntryKind::Compact if entry.create_revision > self.revision => Err("it compacts the future"),
            EntryKind::Incarnation if entry.create_revision <= self.revision => Err("the revision goes back"),
            // Its records have the revisions they had elsewhere: only a load takes them, and only a whole import is
            // worth it.
            EntryKind::Record if entry.key == super::IMPORT => Err("an import begins"),
            EntryKind::LeaseGrant
            | EntryKind::LeaseRevoke
            | EntryKind::Compact
            | EntryKind::Incarnation
            | EntryKind::Record => Ok(()),
        }
    }

    fn check_change(&self, entry: &Entry, begin: Revision) -> Result<(), &'static str> {
        let change = (entry.revision, entry.sub_revision);
        let last = self.changes.descend(None).next().map(|change| (change.0.revision, change.0.sub_revision));
        let opens = change == (self.revision + 1, 0);
        let continues = entry.revision > begin && last.is_some_and(|(revision, sub)| change == (revision, sub + 1));
        if !opens && !continues {
            return Err("its revisions are not contiguous");
        }
        let live = self.newest.get(&entry.key).filter(|newest| !newest.0.is_delete);
        if entry.kind == EntryKind::Delete {
            return live.map(drop).ok_or("a key is deleted that does not exist");
        }
        let expected = live.map_or((entry.revision, 1), |newest| (newest.0.create_revision, newest.0.version + 1));
        if (entry.create_revision, entry.version) != expected {
            return Err("a key's creation or version contradicts what is known");
        }
        if entry.lease != 0 && self.leases.get(&entry.lease).is_none() {
            return Err("a key is attached to an unknown lease");
        }
        Ok(())
    }

    /// The one place where state changes.
    pub(super) fn change(&mut self, row: RowId, entry: &Entry, effects: &mut Effects) {
        self.rows += 1;
        match entry.kind {
            EntryKind::Put | EntryKind::Delete => self.write(Record::new(entry, row), effects),
            EntryKind::LeaseGrant => {
                let lease = Lease { id: entry.lease, ttl: entry.version, row };
                let older = self.leases.insert(lease);
                self.bury(older.map(|lease| lease.row));
                effects.applied.granted.push((entry.lease, entry.version));
            }
            EntryKind::LeaseRevoke => {
                if let Some(lease) = self.leases.remove(&entry.lease) {
                    self.bury(Some(lease.row));
                    effects.applied.revoked.push(LeaseInfo::from(&lease).grant());
                }
                self.bury(Some(row));
            }
            EntryKind::Compact if entry.create_revision <= self.compacted => self.bury(Some(row)),
            EntryKind::Compact => {
                let older = self.compact_row.replace(row);
                self.bury(older);
                self.compact(entry.create_revision, effects);
            }
            EntryKind::Incarnation => {
                let older = self.incarnation_row.replace(row);
                self.bury(older);
                self.incarnation = u64::try_from(entry.version).unwrap_or(0);
                self.revision = self.revision.max(entry.create_revision);
                self.compact(entry.create_revision, effects);
            }
            EntryKind::Record => {
                if entry.key.starts_with(auth::PREFIX) {
                    Arc::make_mut(&mut self.auth).apply(&entry.key, &entry.value);
                }
                let older = match entry.value.is_empty() {
                    true => self.records.remove(&entry.key),
                    false => self.records.insert(Named { name: entry.key.clone(), value: entry.value.clone(), row }),
                };
                self.bury(older.map(|record| record.row));
                self.bury(entry.value.is_empty().then_some(row));
            }
        }
    }

    fn bury(&mut self, row: Option<RowId>) {
        if let Some(row) = row {
            self.dead.insert(row);
        }
    }

    fn write(&mut self, record: Arc<Record>, effects: &mut Effects) {
        self.revision = record.revision;
        self.changes.insert(Change(record.clone()));
        let older = self.supersede(record.clone());
        let prev = match &older {
            // The key's second change in one Txn.
            Some(older) if older.revision == record.revision => self.told_before(&record),
            older => older.as_ref().filter(|older| !older.is_delete),
        };
        effects.event(record.revision, record.event(prev));
    }

    /// The record is its key's newest now; returns what was.
    pub(super) fn supersede(&mut self, record: Arc<Record>) -> Option<Arc<Record>> {
        let older = self.newest.insert(Newest(record.clone())).map(|newest| newest.0);
        if let Some(older) = &older {
            self.superseded.insert(Superseded(older.clone()));
        }
        let live = older.as_ref().filter(|older| !older.is_delete);
        if let Some(leased) = live.filter(|prev| prev.lease != 0 && prev.lease != record.lease) {
            self.attached.remove(&(leased.lease, leased.key()));
        }
        if record.lease != 0 {
            self.attached.insert(Attached(record));
        }
        older
    }

    fn compact(&mut self, at: Revision, effects: &mut Effects) {
        self.compacted = at;
        self.edge = 0;
        effects.applied.compacted = Some(at);
        // Rows behind the compacted revision are not named yet: readers that lag a little would have to load anew.
        let reach = self.changes.descend(Some(&(at, u32::MAX))).next().map(|change| change.0.row().0);
        self.reach = self.reach.max(reach);
    }

    /// Whether a compaction has not dropped all that it is to drop.
    pub fn is_sweeping(&self) -> bool {
        self.reach.is_some()
    }

    /// Goes on with it. Nothing that can be read changes.
    pub fn sweep_on(&mut self) -> Applied {
        let mut effects = Effects::default();
        self.sweep(self.sweep_max, &mut effects);
        effects.finish()
    }

    /// Drops what nobody may read any more, in at most `limit` steps. As in etcd, the changes *at* the compacted
    /// revision stay, for a watch that starts there, but not what they superseded.
    pub(super) fn sweep(&mut self, limit: usize, effects: &mut Effects) {
        if self.reach.is_none() {
            return;
        }
        for _ in 0..limit {
            if !self.sweep_one(effects) {
                self.reach = None;
                return;
            }
        }
    }

    /// Whether there was something to drop.
    fn sweep_one(&mut self, effects: &mut Effects) -> bool {
        if let Some(change) = self.changes.iter().next().filter(|change| change.0.revision < self.compacted) {
            let record = change.0.clone();
            self.forget(&record, effects);
            return true;
        }
        let edge = self.changes.ascend(&(self.compacted, self.edge)).next();
        if let Some(change) = edge.filter(|change| change.0.revision == self.compacted) {
            let record = change.0.clone();
            self.edge = record.sub_revision + 1;
            self.forget_older(&(record.key(), record.revision, 0), effects);
            return true;
        }
        let dead = self.dead.iter().next().copied().filter(|row| self.reach.is_some_and(|reach| row.0 <= reach));
        let Some(row) = dead else { return false };
        self.dead.remove(&row);
        self.discard(row, effects);
        true
    }

    /// Drops a change from the history, with what it superseded, and itself if it is a tombstone.
    fn forget(&mut self, record: &Arc<Record>, effects: &mut Effects) {
        let id = (record.key(), record.revision, record.sub_revision);
        self.changes.remove(&(record.revision, record.sub_revision));
        self.forget_older(&id, effects);
        if !record.is_delete {
            return;
        }
        self.discard(record.row(), effects);
        if self.superseded.remove(&id).is_none() {
            self.newest.remove(&id.0);
        }
    }

    /// Drops what a key was before a revision and sub-revision.
    fn forget_older(&mut self, id: &(Key, Revision, u32), effects: &mut Effects) {
        while let Some(older) = self.superseded.descend(Some(id)).next().map(|older| older.0.clone())
            && older.key_bytes() == id.0
        {
            self.superseded.remove(&(older.key(), older.revision, older.sub_revision));
            self.discard(older.row(), effects);
        }
    }

    fn discard(&mut self, row: RowId, effects: &mut Effects) {
        self.rows -= 1;
        effects.applied.garbage.push(row);
    }
}
