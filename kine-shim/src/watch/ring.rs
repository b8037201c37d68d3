//! The most recent events, shared by all watchers, bounded in number and in bytes.

use std::{collections::VecDeque, sync::Arc};

use crate::model::{Revision, RevisionEvents};

/// What the ring holds at most, besides a number of revisions; older events come from the state's history.
const RING_BYTES: usize = 64 << 20;
/// What one message carries at most (but at least one revision).
pub(super) const MESSAGE_REVISIONS: usize = 1_000;
pub(super) const MESSAGE_BYTES: usize = 2 << 20;

/// Every event with `start <= revision <= watermark`, a revision an element, contiguous.
pub(super) struct Ring {
    start: Revision,
    revisions: VecDeque<(Arc<RevisionEvents>, usize)>,
    revisions_max: usize,
    bytes: usize,
}

impl Ring {
    pub(super) fn new(start: Revision, revisions_max: usize) -> Self {
        Self { start, revisions: VecDeque::new(), revisions_max, bytes: 0 }
    }

    /// Forgets everything.
    pub(super) fn begin_anew(&mut self, start: Revision) {
        *self = Self::new(start, self.revisions_max);
    }

    /// What came before is only in the history.
    pub(super) fn start(&self) -> Revision {
        self.start
    }

    pub(super) fn push(&mut self, events: Arc<RevisionEvents>) {
        let bytes = size_of(&events);
        self.bytes += bytes;
        self.revisions.push_back((events, bytes));
        while self.revisions.len() > self.revisions_max || self.bytes > RING_BYTES && self.revisions.len() > 1 {
            if let Some((events, bytes)) = self.revisions.pop_front() {
                self.bytes -= bytes;
                self.start = events.revision + 1;
            }
        }
    }

    /// The revisions from `from` to `upto` that fit into one message, and whether more follow.
    pub(super) fn piece(&self, from: Revision, upto: Revision) -> (Vec<Arc<RevisionEvents>>, bool) {
        let at = usize::try_from(from - self.start).unwrap_or(0).min(self.revisions.len());
        let mut piece = Vec::new();
        let mut total = 0;
        for (events, bytes) in self.revisions.range(at..) {
            total += bytes;
            let is_full = piece.len() == MESSAGE_REVISIONS || !piece.is_empty() && total > MESSAGE_BYTES;
            if is_full || events.revision > upto {
                return (piece, true);
            }
            piece.push(events.clone());
        }
        (piece, false)
    }
}

pub(super) fn size_of(events: &RevisionEvents) -> usize {
    let sizes = events.events.iter().map(|event| {
        let prev = event.prev.as_ref().map_or(0, |prev| prev.value.len());
        128 + event.kv.key.len() + event.kv.value.len() + prev
    });
    sizes.sum()
}
