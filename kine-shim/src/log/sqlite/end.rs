//! The end of the log as the thread that owns the file knows it: nobody else moves it, so a linearizable read needs no
//! statement. In go the thread's appends, out comes a read index, or nothing where the file must be asked.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;

use crate::{
    log::{Appended, LogFault, ReadIndex},
    model::{Batch, BatchId, EntryKind, Head, Position},
};

/// Batches whose ids are remembered: a reader that has not applied the last few is answered all the same.
const RECENT: usize = 64;

/// Moved before whoever appended is answered. `None` until the file was asked, and after whatever may have changed it
/// otherwise.
#[derive(Clone, Default)]
pub(super) struct End(Arc<Mutex<Option<Known>>>);

struct Known {
    /// But for the id, which depends on who asks.
    index: ReadIndex,
    recent: VecDeque<Head>,
}

impl End {
    pub(super) fn at(&self, applied: Position) -> Option<ReadIndex> {
        let known = self.0.lock();
        let known = known.as_ref()?;
        let id_at_applied = match applied {
            Position(0) => BatchId::nil(),
            _ => known.recent.iter().rev().find(|head| head.position == applied)?.id,
        };
        Some(ReadIndex { id_at_applied: Some(id_at_applied), ..known.index.clone() })
    }

    /// What the file said.
    pub(super) fn learn(&self, index: &ReadIndex) {
        let recent = VecDeque::from([index.head]);
        *self.0.lock() = Some(Known { index: index.clone(), recent });
    }

    pub(super) fn forget(&self) {
        *self.0.lock() = None;
    }

    /// What appends came to. An incarnation is counted in the file.
    pub(super) fn moved(&self, batches: &[Batch], outcomes: &[Result<Appended, LogFault>]) {
        let mut known = self.0.lock();
        for (batch, outcome) in batches.iter().zip(outcomes) {
            let counts = batch.entries.iter().any(|(_, entry)| entry.kind == EntryKind::Incarnation);
            match (outcome, known.as_mut()) {
                (Ok(Appended::Refused), _) | (_, None) => {}
                (Ok(Appended::Committed), Some(end)) if !counts && batch.prev_id == end.index.head.id => {
                    (end.index.head, end.index.revision) = (batch.head(), batch.last_revision);
                    end.recent.push_back(batch.head());
                    if end.recent.len() > RECENT {
                        end.recent.pop_front();
                    }
                }
                // It was committed before, or nobody knows.
                _ => *known = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(head: Head, revision: i64) -> Batch {
        Batch {
            position: head.position.next(),
            id: BatchId::from_u128(u128::from(head.position.0) + 100),
            prev_id: head.id,
            first_revision: revision,
            last_revision: revision,
            writer: BatchId::nil(),
            at_ms: 0,
            entries: Vec::new(),
        }
    }

    fn start() -> End {
        let end = End::default();
        assert_eq!(end.at(Position(0)), None);
        let empty = ReadIndex {
            head: Head::default(),
            revision: 1,
            id_at_applied: None,
            trimmed: Position(0),
            identity: Default::default(),
            in_recovery: false,
        };
        end.learn(&empty);
        end
    }

    #[test]
    fn the_end_moves_with_what_is_committed() {
        let end = start();
        let (first, mut head) = (batch(Head::default(), 2), Head::default());
        for revision in 2..200 {
            let next = batch(head, revision);
            head = next.head();
            end.moved(&[next], &[Ok(Appended::Committed)]);
            let told = end.at(head.position).unwrap();
            assert_eq!((told.head, told.revision, told.id_at_applied), (head, revision, Some(head.id)));
        }
        assert_eq!(end.at(Position(head.position.0 - 5)).unwrap().head, head);
        assert_eq!(end.at(first.position), None, "too long ago");
        assert_eq!(end.at(head.position.next()), None, "not there");
    }

    #[test]
    fn what_is_not_sure_is_asked_of_the_file() {
        let (first, fault) = (batch(Head::default(), 2), LogFault::OutcomeUnknown(String::new()));
        let end = start();
        end.moved(std::slice::from_ref(&first), &[Ok(Appended::Refused)]);
        assert_eq!(end.at(Position(0)).unwrap().head, Head::default());
        end.moved(std::slice::from_ref(&first), &[Err(fault)]);
        assert_eq!(end.at(Position(0)), None);
        let end = start();
        end.moved(&[first.clone(), first], &[Ok(Appended::Committed), Ok(Appended::Committed)]);
        assert_eq!(end.at(Position(0)), None, "committed before");
        let end = start();
        end.forget();
        assert_eq!(end.at(Position(0)), None);
    }
}
