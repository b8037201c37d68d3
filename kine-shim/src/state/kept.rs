//! Everything that an etcd with the same contents keeps in its file: what was live at the compacted revision, and every
//! change since. In the order of revisions, a piece at a time, so that a walk over all of it holds nobody up.

use std::sync::Arc;

use super::{ScrubRecord, State, record::Record};
use crate::model::Revision;

/// Of one state, which it keeps alive.
#[derive(Clone, Debug)]
pub struct Kept {
    state: State,
    /// At or below the compacted revision: by key in the state, so they are put in order once. A reference each.
    old: Vec<Arc<Record>>,
}

/// Where a walk over [`Kept`] goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptCursor {
    old: usize,
    change: (Revision, u32),
}

impl State {
    /// Walks over all keys.
    pub fn kept(&self) -> Kept {
        let live = self.newest.iter().filter_map(|newest| self.as_of(&newest.0, self.compacted));
        let mut old: Vec<_> = live.filter(|record| !record.is_delete).cloned().collect();
        // A deletion at the compacted revision stays in etcd's file, so that a watch from there hears of it.
        let edge = self.changes.ascend(&(self.compacted, 0)).map(|change| &change.0);
        let edge = edge.take_while(|record| record.revision == self.compacted);
        old.extend(edge.filter(|record| record.is_delete).cloned());
        old.sort_unstable_by_key(|record| (record.revision, record.sub_revision));
        Kept { state: self.clone(), old }
    }
}

impl Kept {
    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn start(&self) -> KeptCursor {
        KeptCursor { old: 0, change: (self.state.compacted.saturating_add(1), 0) }
    }

    /// The records from `cursor` on, at most `limit`, and moves it behind them. None are left when none come.
    pub fn page(&self, cursor: &mut KeptCursor, limit: usize) -> Vec<ScrubRecord> {
        let old = self.old.iter().skip(cursor.old);
        let recent = self.state.changes.ascend(&cursor.change).map(|change| &change.0);
        let page: Vec<_> = old.chain(recent).take(limit).collect();
        let of_old = page.len().min(self.old.len().saturating_sub(cursor.old));
        cursor.old += of_old;
        if let Some(last) = page[of_old..].last() {
            cursor.change = (last.revision, last.sub_revision + 1);
        }
        page.into_iter().map(ScrubRecord::of).collect()
    }
}
