//! How a shim follows what it did not write: batches of other shims, found by looking around or by a refusal.

use super::{
    identity::{IDENTITY_RECORD, follows, is_same_database},
    task::{Sequencer, View},
    trim::Author,
};
use crate::{
    log::{Page, ReadIndex},
    model::Batch,
    state::Corrupt,
};

impl Sequencer {
    /// Takes in what an idle look brought. If something was sent meanwhile, its outcome will tell more.
    pub(super) async fn saw(&mut self, view: View) {
        if !self.in_flight.is_empty() {
            return;
        }
        match view {
            View::Page(Ok(page)) => {
                self.note_contact();
                if self.apply_page(page).await {
                    self.look_at_log();
                }
            }
            View::ReadIndex(applied, Ok(read_index)) if !read_index.in_recovery => {
                self.note_contact();
                // Else something was told meanwhile.
                if applied == self.committed.head() {
                    self.check_read_index(&read_index).await;
                }
            }
            View::ReadIndex(_, Ok(_)) => {}
            View::Page(Err(fault)) | View::ReadIndex(_, Err(fault)) => {
                tracing::debug!(%fault, "the database did not answer");
                self.next_look = tokio::time::Instant::now() + self.config.poll;
            }
        }
    }

    pub(super) async fn check_read_index(&mut self, read_index: &ReadIndex) {
        let applied = self.committed.head();
        if applied.position < read_index.trimmed || !follows(read_index, applied) {
            self.reload(&[]).await;
        } else if read_index.head.position > applied.position {
            // Perhaps somebody has declared the incarnation that we would declare.
            self.look_at_log();
        } else if !is_same_database(&self.committed, read_index) {
            self.reload(&[]).await;
        } else if !self.is_trusted(read_index) {
            // Whoever declared the incarnation wrote the record, and we have read it: nothing of ours was lost.
            match self.committed.record(IDENTITY_RECORD) {
                Some(_) => self.trust(&read_index.identity),
                None => drop(self.reload(&[]).await),
            }
        }
    }

    /// Reads and applies what came after a refusal. Nothing new and no fault means that the log is not what it was.
    pub(super) async fn catch_up(&mut self) {
        self.look = None;
        let before = self.committed.head();
        loop {
            match self.log.read(before.position.max(self.committed.head().position), self.config.page_bytes).await {
                Ok(page) => {
                    self.note_contact();
                    if !self.apply_page(page).await {
                        break;
                    }
                }
                Err(fault) => {
                    tracing::debug!(%fault, "cannot read what others wrote");
                    return self.back_off().await;
                }
            }
        }
        if self.committed.head() == before
            && let Ok(read_index) = self.log.read_index(before.position).await
            && !read_index.in_recovery
        {
            self.check_read_index(&read_index).await;
        }
    }

    /// Applies the batches that follow; whether there may be more to read.
    pub(super) async fn apply_page(&mut self, page: Page) -> bool {
        if self.committed.head().position < page.trimmed {
            self.reload(&[]).await;
            return false;
        }
        let mut bytes = 0;
        for batch in page.batches {
            if batch.position <= self.committed.head().position {
                continue;
            }
            bytes += batch.entries.iter().map(|(_, entry)| entry.key.len() + entry.value.len() + 64).sum::<usize>();
            if let Err(corrupt) = self.take_over(&batch) {
                tracing::warn!(%corrupt, "the log does not follow from what was applied");
                self.reload(&[]).await;
                return false;
            }
        }
        self.tip = self.committed.clone();
        bytes >= self.config.page_bytes / 2
    }

    /// A committed batch of another shim becomes part of what is committed here.
    pub(super) fn take_over(&mut self, batch: &Batch) -> Result<(), Corrupt> {
        let mut state = self.committed.clone();
        let applied = state.apply(batch)?;
        self.room_taken();
        self.note_writer(batch);
        self.advance(state, applied, Author::Another);
        Ok(())
    }
}
