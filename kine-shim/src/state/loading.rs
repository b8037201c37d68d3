//! A state from a whole log. In go its batches in order, out comes what they make. What a key was matters only when a
//! compaction looks for it and at the end; so changes are gathered and go into the trees in the order of their keys,
//! each near the last one, instead of each somewhere else in memory.

use std::sync::Arc;

use super::{
    Applied, State,
    apply::{Corrupt, Effects},
    record::{Change, Record},
};
use crate::model::{Batch, Entry, EntryKind, Revision, RowId};

/// Bytes of a key by which most are told apart without looking at the keys themselves.
const PREFIX: usize = 16;

#[derive(Default)]
pub struct Loading {
    state: State,
    /// Changes that the trees of keys do not have yet, in the order of the log.
    run: Vec<Arc<Record>>,
}

impl Loading {
    /// Like [`State::apply`] for a log whose garbage may be gone: positions may skip, rows may be missing.
    pub fn load(&mut self, batch: &Batch) -> Result<Applied, Corrupt> {
        let corrupt = |reason| Corrupt { position: batch.position.0, reason };
        let head = self.state.head;
        if batch.position <= head.position {
            return Err(corrupt("it lies before the head"));
        }
        if batch.position == head.position.next() && batch.prev_id != head.id {
            return Err(corrupt("it has another predecessor"));
        }
        // Without events: nobody watches a load.
        let mut effects = Effects::default();
        for (sub, entry) in &batch.entries {
            let is_change = matches!(entry.kind, EntryKind::Put | EntryKind::Delete);
            if is_change && (entry.revision < self.state.revision || entry.revision > batch.last_revision) {
                return Err(corrupt("its revisions do not rise"));
            }
            if entry.kind == EntryKind::Compact && entry.create_revision > batch.last_revision {
                return Err(corrupt("it compacts the future"));
            }
            match is_change {
                true => self.change((batch.position, *sub), entry),
                false => self.state.change((batch.position, *sub), entry, &mut effects),
            }
        }
        self.state.revision = self.state.revision.max(batch.last_revision);
        self.state.set_head(batch.head());
        if self.state.is_sweeping() {
            self.settle();
            self.state.sweep(usize::MAX, &mut effects);
        }
        Ok(effects.finish())
    }

    /// Of the newest batch.
    pub fn revision(&self) -> Revision {
        self.state.revision
    }

    /// Changes that [`Loading::finish`] has still to sort.
    pub fn unsorted(&self) -> usize {
        self.run.len()
    }

    pub fn finish(mut self) -> State {
        self.settle();
        self.state
    }

    fn change(&mut self, row: RowId, entry: &Entry) {
        let record = Record::new(entry, row);
        self.state.rows += 1;
        self.state.revision = record.revision;
        self.state.changes.insert(Change(record.clone()));
        self.run.push(record);
    }

    fn settle(&mut self) {
        let common = common_prefix(&self.run);
        let prefix = |record: &Record| {
            let mut prefix = [0; PREFIX];
            let rest = &record.key_bytes()[common..];
            let length = rest.len().min(PREFIX);
            prefix[..length].copy_from_slice(&rest[..length]);
            u128::from_be_bytes(prefix)
        };
        let mut run: Vec<(u128, Arc<Record>)> = self.run.drain(..).map(|record| (prefix(&record), record)).collect();
        // Stable: each key's changes stay in the order of the log.
        run.sort_by(|(a, left), (b, right)| a.cmp(b).then_with(|| left.key_bytes().cmp(right.key_bytes())));
        for (_, record) in run {
            self.state.supersede(record);
        }
    }
}

/// So many bytes begin every key alike.
fn common_prefix(run: &[Arc<Record>]) -> usize {
    let Some(first) = run.first().map(|record| record.key_bytes()) else { return 0 };
    let alike = |key: &[u8]| key.iter().zip(first).take_while(|(a, b)| a == b).count();
    run.iter().map(|record| alike(record.key_bytes())).min().unwrap_or(0)
}
