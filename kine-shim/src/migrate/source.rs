//! What an import is fed with, whatever it comes from: first leases and records, then every change in the order of
//! revisions, as entries of the log; at last what holds for all of them. A source runs beside the import and is held
//! back by a short queue.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::content::Sum;
use crate::model::{Entry, EntryKind, Key, Revision};

/// Entries that wait for the log are at most this many pieces of [`PIECE_BYTES`] (or of one entry that is larger).
pub(super) const PIECES: usize = 4;
const PIECE_BYTES: usize = 1 << 20;

pub(super) enum Step {
    Entries(Vec<Entry>),
    End(End),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Of the source, which may be beyond its last record.
    pub(super) revision: Revision,
    /// What the records are complete down to.
    pub(super) compacted: Option<Revision>,
    /// A compaction that was promised and not finished.
    pub(super) promised: Option<Revision>,
    /// Over the records as the source has them.
    pub(super) content: Sum,
}

pub(super) type Steps = mpsc::Receiver<anyhow::Result<Step>>;

/// The source's end of the queue.
pub(super) struct Feed {
    steps: mpsc::Sender<anyhow::Result<Step>>,
    piece: Vec<Entry>,
    bytes: usize,
}

/// The import has ended: go home.
pub(super) struct Gone;

impl Feed {
    pub(super) fn new() -> (Self, Steps) {
        let (steps, receiver) = mpsc::channel(PIECES);
        (Self { steps, piece: Vec::new(), bytes: 0 }, receiver)
    }

    pub(super) async fn put(&mut self, entry: Entry) -> Result<(), Gone> {
        self.bytes += entry.key.len() + entry.value.len() + 64;
        self.piece.push(entry);
        if self.bytes < PIECE_BYTES {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        self.bytes = 0;
        let piece = std::mem::take(&mut self.piece);
        self.steps.send(Ok(Step::Entries(piece))).await.map_err(|_| Gone)
    }

    /// The last word: the end, or what went wrong.
    pub(super) async fn end(mut self, end: anyhow::Result<End>) -> Result<(), Gone> {
        self.flush().await?;
        self.steps.send(end.map(Step::End)).await.map_err(|_| Gone)
    }
}

pub(super) fn lease(id: i64, ttl: i64) -> Entry {
    Entry { lease: id, version: ttl, ..Entry::plain(EntryKind::LeaseGrant) }
}

pub(super) fn record(key: Key, value: Bytes) -> Entry {
    Entry { key, value, ..Entry::plain(EntryKind::Record) }
}

pub(super) fn compaction(revision: Revision) -> Entry {
    Entry { create_revision: revision, ..Entry::plain(EntryKind::Compact) }
}
