//! What a hash over the key space covers: the records that any etcd with the same contents has at a revision, in order.
//! How they are encoded and summed is not known here (see `grpc`).

use std::{collections::HashSet, sync::Arc};

use super::{State, record::Record};
use crate::model::{KeyValue, ReadAt, Refusal, Revision};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubRecord {
    pub revision: Revision,
    pub sub_revision: u32,
    /// Then only the key is known.
    pub is_delete: bool,
    pub kv: KeyValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrub {
    /// -1 while nothing was compacted.
    pub compacted: Revision,
    pub revision: Revision,
    /// By revision, then sub-revision.
    pub records: Vec<ScrubRecord>,
}

impl State {
    /// Every change between the compacted revision and `at`, and what was live at both. Walks the world.
    pub fn scrub(&self, at: ReadAt) -> Result<Scrub, Refusal> {
        if let ReadAt::Revision(revision @ ..0) = at {
            // Nothing was written by then.
            return Ok(Scrub { compacted: self.compacted, revision, records: Vec::new() });
        }
        let at = self.readable(at)?;
        let recent = self.changes.ascend(&(self.compacted.saturating_add(1), 0)).map(|change| &change.0);
        let mut records: Vec<&Arc<Record>> = recent.take_while(|record| record.revision <= at).collect();
        // etcd's rule, its exception included: once nothing at all is live, everything readable at the compacted
        // revision counts. What a Txn of this very revision deleted and put again is not live to that rule.
        let deleted_here = self.changes.ascend(&(at, 0)).map(|change| &change.0);
        let deleted_here = deleted_here.take_while(|record| record.revision == at).filter(|record| record.is_delete);
        let deleted_here: HashSet<&[u8]> = deleted_here.map(|record| record.key_bytes()).collect();
        let of_all_keys = |at| self.newest.iter().filter_map(move |newest| self.as_of(&newest.0, at));
        let is_empty = of_all_keys(at).all(|record| record.is_delete || deleted_here.contains(record.key_bytes()));
        let old = of_all_keys(if is_empty { self.compacted } else { at });
        records.extend(old.filter(|record| !record.is_delete && record.revision <= self.compacted));
        records.sort_by_key(|record| (record.revision, record.sub_revision));
        let records = records.into_iter().map(ScrubRecord::of).collect();
        Ok(Scrub { compacted: self.compacted, revision: at, records })
    }
}

impl ScrubRecord {
    pub(super) fn of(record: &Arc<Record>) -> Self {
        Self {
            revision: record.revision,
            sub_revision: record.sub_revision,
            is_delete: record.is_delete,
            kv: record.key_value(),
        }
    }
}
