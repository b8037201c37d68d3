//! How pages of the log are cut: shared by the implementations, so that they cut alike.

use crate::model::{Batch, Entry, Position};

use super::LogFault;

/// What an entry weighs in a page or on the wire: its bytes and about what surrounds them.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    entry.key.len() + entry.value.len() + 64
}

pub(super) fn batch_bytes(batch: &Batch) -> usize {
    64 + batch.entries.iter().map(|(_, entry)| entry_bytes(entry)).sum::<usize>()
}

/// Cuts `batches` at the first gap after `after`. A gap at or below `trimmed` is the reader's to notice (it is behind
/// the trimmed part); any other gap, or a broken chain, is damage.
pub(super) fn contiguous(after: Position, trimmed: Position, mut batches: Vec<Batch>) -> Result<Vec<Batch>, LogFault> {
    let mut expected = after.next();
    let mut cut = batches.len();
    for (at, batch) in batches.iter().enumerate() {
        if batch.position != expected {
            if expected > trimmed {
                return Err(LogFault::Unusable(format!("position {} of the log is missing", expected.0)));
            }
            cut = at;
            break;
        }
        if at > 0 && batch.prev_id != batches[at - 1].id {
            return Err(LogFault::Unusable(format!("the chain is broken at position {}", expected.0)));
        }
        expected = expected.next();
    }
    batches.truncate(cut);
    Ok(batches)
}
