//! The truth, replayed naively: what each key was at each revision of one chain of batches. Checks the chain while it
//! does.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::database::Committed;
use crate::model::{Entry, EntryKind, Event, Key, KeyValue, LeaseId, Position, Revision};

/// One chain: the final one, or one that a failover cut off.
pub(super) struct Lineage {
    pub(super) ended: Option<Instant>,
    keys: BTreeMap<Key, Vec<(Revision, Option<KeyValue>)>>,
    pub(super) events: Vec<(Revision, Event)>,
    /// Where each value was written.
    pub(super) values: BTreeMap<String, Vec<Revision>>,
    /// Revisions compacted at, also by incarnations.
    pub(super) compactions: Vec<Revision>,
    /// (granted, TTL in seconds) and the ends of each lease.
    pub(super) grants: BTreeMap<LeaseId, (Instant, i64)>,
    pub(super) revokes: BTreeMap<LeaseId, Vec<Instant>>,
    pub(super) revision: Revision,
}

impl Lineage {
    /// Invariants 1 and 2: contiguous positions, a chain of ids, contiguous revisions but for declared jumps, and
    /// entries that were evaluated on just what is before them.
    pub(super) fn replay(commits: &[Committed], ended: Option<Instant>) -> Result<Self, String> {
        let mut lineage = Self {
            ended,
            keys: BTreeMap::new(),
            events: Vec::new(),
            values: BTreeMap::new(),
            compactions: Vec::new(),
            grants: BTreeMap::new(),
            revokes: BTreeMap::new(),
            revision: 1,
        };
        let mut head = crate::model::Head::default();
        for Committed { at, batch } in commits {
            if batch.position != head.position.next() || batch.prev_id != head.id {
                return Err(format!("invariant 2: batch {:?} does not follow {head:?}", batch.head()));
            }
            head = batch.head();
            for (_, entry) in &batch.entries {
                lineage.enter(entry, *at).map_err(|what| format!("position {}: {what}", position(batch.position)))?;
            }
        }
        Ok(lineage)
    }

    fn enter(&mut self, entry: &Entry, at: Instant) -> Result<(), String> {
        match entry.kind {
            EntryKind::Put | EntryKind::Delete => return self.write(entry),
            EntryKind::LeaseGrant => {
                self.grants.insert(entry.lease, (at, entry.version));
            }
            EntryKind::LeaseRevoke => self.revokes.entry(entry.lease).or_default().push(at),
            EntryKind::Compact => self.compactions.push(entry.create_revision),
            EntryKind::Incarnation => {
                if entry.create_revision <= self.revision {
                    return Err("invariant 6: an incarnation goes back".into());
                }
                self.revision = entry.create_revision;
                self.compactions.push(entry.create_revision);
            }
            EntryKind::Record => {}
        }
        Ok(())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), String> {
        let continues = entry.revision == self.revision && entry.sub_revision > 0;
        let follows = entry.revision == self.revision + 1 && entry.sub_revision == 0;
        if !continues && !follows {
            return Err(format!("invariant 2: revision {} after {}", entry.revision, self.revision));
        }
        self.revision = entry.revision;
        let prev = self.now(&entry.key).cloned();
        let kv = KeyValue {
            key: entry.key.clone(),
            value: entry.value.clone(),
            create_revision: entry.create_revision,
            mod_revision: entry.revision,
            version: entry.version,
            lease: entry.lease,
        };
        let is_delete = entry.kind == EntryKind::Delete;
        if is_delete {
            if prev.is_none() {
                return Err(format!("revision {}: deletes {:?}, which is not there", entry.revision, entry.key));
            }
            let kv = KeyValue { key: entry.key.clone(), mod_revision: entry.revision, ..KeyValue::default() };
            self.events.push((entry.revision, Event { is_delete, kv, prev, shown: Default::default() }));
        } else {
            let version = prev.as_ref().map_or(1, |prev| prev.version + 1);
            let created = prev.as_ref().map_or(entry.revision, |prev| prev.create_revision);
            if (entry.version, entry.create_revision) != (version, created) {
                return Err(format!(
                    "revision {}: evaluated on a state that never was: {entry:?} after {prev:?}",
                    entry.revision
                ));
            }
            let value = String::from_utf8_lossy(&entry.value).into_owned();
            self.values.entry(value).or_default().push(entry.revision);
            self.events.push((entry.revision, Event { is_delete, kv: kv.clone(), prev, shown: Default::default() }));
        }
        self.keys.entry(entry.key.clone()).or_default().push((entry.revision, (!is_delete).then_some(kv)));
        Ok(())
    }

    fn now(&self, key: &Key) -> Option<&KeyValue> {
        self.keys.get(key)?.last()?.1.as_ref()
    }

    pub(super) fn at(&self, key: &Key, revision: Revision) -> Option<&KeyValue> {
        let changes = self.keys.get(key)?;
        let count = changes.partition_point(|(changed, _)| *changed <= revision);
        changes[..count].last()?.1.as_ref()
    }

    pub(super) fn list(&self, revision: Revision) -> Vec<KeyValue> {
        self.keys.keys().filter_map(|key| self.at(key, revision).cloned()).collect()
    }

    /// Whether there was a moment in this time at which nobody had that lease.
    pub(super) fn lacks_lease(&self, id: LeaseId, from: Instant, to: Instant) -> bool {
        let is_granted_before = self.grants.get(&id).is_some_and(|(granted, _)| *granted <= from);
        let has_ended = self.revokes.get(&id).is_some_and(|ends| ends.iter().any(|end| *end <= to));
        !is_granted_before || has_ended
    }

    /// The change of `key` at exactly `revision`.
    pub(super) fn change(&self, key: &Key, revision: Revision) -> Option<&Event> {
        let first = self.events.partition_point(|(at, _)| *at < revision);
        let of_revision = self.events[first..].iter().take_while(|(at, _)| *at == revision);
        of_revision.map(|(_, event)| event).find(|event| event.kv.key == *key)
    }
}

fn position(position: Position) -> u64 {
    position.0
}
