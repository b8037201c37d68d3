//! Events of the past, rebuilt from the changes that no compaction has dropped. For watches that start behind what the
//! hub remembers.

use std::sync::Arc;

use super::{State, record::Record};
use crate::model::{Event, KeyRange, Refusal, Revision, RevisionEvents};

impl State {
    /// Events of `range` with revision >= `from`, at most `limit_revisions` revisions; fewer mean that there are no
    /// more.
    pub fn history(
        &self,
        range: &KeyRange,
        from: Revision,
        limit_revisions: usize,
    ) -> Result<Vec<Arc<RevisionEvents>>, Refusal> {
        if from < self.compacted {
            return Err(Refusal::Compacted);
        }
        let mut found: Vec<RevisionEvents> = Vec::new();
        for change in self.changes.ascend(&(from, 0)) {
            let record = &change.0;
            if !range.contains(record.key_bytes()) || self.is_compacted_away(record) {
                continue;
            }
            let count = found.len();
            match found.last_mut() {
                Some(last) if last.revision == record.revision => last.events.push(self.event(record)),
                _ if count == limit_revisions => break,
                _ => found.push(RevisionEvents { revision: record.revision, events: vec![self.event(record)] }),
            }
        }
        Ok(found.into_iter().map(Arc::new).collect())
    }

    /// The previous value that an event tells. As in etcd, where a Txn changes a key twice: that before the revision,
    /// not before the change, and none for a put that creates the key.
    pub(super) fn told_before(&self, record: &Arc<Record>) -> Option<&Arc<Record>> {
        let is_create = !record.is_delete && record.create_revision == record.revision;
        let before = self.before(&(record.key(), record.revision, 0)).filter(|_| !is_create);
        before.filter(|before| !before.is_delete)
    }

    /// Of a key that was changed twice at the compacted revision only the last change is left, as in etcd.
    fn is_compacted_away(&self, record: &Arc<Record>) -> bool {
        let newest = || self.newest.get(&record.key()).map(|newest| &newest.0);
        record.revision == self.compacted
            && newest()
                .and_then(|newest| self.as_of(newest, self.compacted))
                .is_some_and(|last| last.sub_revision != record.sub_revision || last.revision != record.revision)
    }

    /// At the compacted revision nobody knows what was before.
    fn event(&self, record: &Arc<Record>) -> Event {
        record.event(if record.revision == self.compacted { None } else { self.told_before(record) })
    }
}
