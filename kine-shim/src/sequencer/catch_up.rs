//! How a shim follows what it did not write: batches of other shims, a log whose garbage is gone, another database after a failover.
//! The revision never goes back and is never used twice (invariant 6): where a database answers that has lost something, or that nobody
//! has written to, a new incarnation is declared in the log before anything else is.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::trim::Author;
use super::{BrokenRule, PAGE_BYTES, Sequencer, View, follows, identity_value, is_same_database, start};
use crate::log::{Appended, Fence, LogFault, Page};
use crate::model::{BatchId, Op, Position, Revision};
use crate::shim::{Counters, IDENTITY_RECORD};
use crate::state::{Applied, State};

/// What the log holds, loaded from its beginning.
pub(super) struct Loaded {
    pub(super) state: State,
    /// Those of the wanted ids that are in the log.
    pub(super) found: Vec<BatchId>,
    pub(super) trimmed: Position,
    /// When the last batch was written, in milliseconds since 1970.
    pub(super) last_at_ms: i64,
    /// Of each compaction, in log order.
    pub(super) garbage: Vec<Vec<(Position, u32)>>,
}

/// At least this far an incarnation jumps, and so much further for each second since the last batch.
const JUMP_MIN: Revision = 1_000_000_000;
const JUMP_PER_SECOND: Revision = 1_000_000;

impl Sequencer {
    /// Takes in what an idle look brought. If something was sent meanwhile, its outcome will tell more.
    pub(super) async fn saw(&mut self, view: View) {
        if !self.flights.is_empty() {
            return;
        }
        match view {
            View::Page(Ok(page)) => {
                self.note_contact();
                if self.apply_page(page).await {
                    self.look_at_log();
                }
            }
            View::Fence(applied, Ok(fence)) if !fence.in_recovery && applied == self.committed.head() => {
                self.note_contact();
                self.judge_fence(&fence).await;
            }
            View::Fence(_, Ok(_)) => {}
            View::Page(Err(fault)) | View::Fence(_, Err(fault)) => {
                tracing::debug!(%fault, "the database did not answer");
                self.next_look = tokio::time::Instant::now() + self.config.poll;
            }
        }
    }

    async fn judge_fence(&mut self, fence: &Fence) {
        let applied = self.committed.head();
        if applied.position < fence.trimmed || !follows(fence, applied) {
            self.reload(&[]).await;
        } else if fence.head.position > applied.position {
            // Perhaps somebody has declared the incarnation that we would declare.
            self.look_at_log();
        } else if !is_same_database(&self.committed, fence) {
            self.reload(&[]).await;
        } else if !self.is_trusted(fence) {
            // Whoever declared the incarnation wrote the record, and we have read it: nothing of ours was lost.
            match self.committed.record(IDENTITY_RECORD) {
                Some(_) => self.trust(&fence.identity),
                None => drop(self.reload(&[]).await),
            }
        }
    }

    /// Reads and applies what came after a refusal. Nothing new and no fault means that the log is not what it was.
    pub(super) async fn catch_up(&mut self) {
        self.look = None;
        let before = self.committed.head();
        loop {
            match self.log.read(before.position.max(self.committed.head().position), PAGE_BYTES).await {
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
            && let Ok(fence) = self.log.fence(before.position).await
            && !fence.in_recovery
        {
            self.judge_fence(&fence).await;
        }
    }

    /// Applies the batches that follow; whether there may be more to read.
    async fn apply_page(&mut self, page: Page) -> bool {
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
            let mut state = self.committed.clone();
            match state.apply(&batch) {
                Ok(applied) => {
                    self.room_taken();
                    self.advance(state, applied, Author::Another);
                }
                Err(corrupt) => {
                    tracing::warn!(%corrupt, "the log does not follow from what was applied");
                    self.reload(&[]).await;
                    return false;
                }
            }
        }
        self.tip = self.committed.clone();
        bytes >= PAGE_BYTES / 2
    }

    /// The next committed state: told to the watch hub before anybody can read it, so that who reads and then watches misses nothing.
    pub(super) fn advance(&mut self, state: State, applied: Applied, author: Author) {
        let is_new_incarnation = state.incarnation() != self.committed.incarnation();
        self.note_leases(&state, &applied);
        self.committed = state;
        for event in applied.events.iter().flat_map(|revision| &revision.events) {
            Counters::add(if event.is_delete { &self.counters.deletes } else { &self.counters.puts }, 1);
            if !event.is_delete {
                Counters::add(&self.counters.put_bytes, event.kv.key.len() + event.kv.value.len());
            }
        }
        Counters::add(&self.counters.leases_revoked, applied.revoked.len());
        if applied.compacted.is_some() {
            self.compacted_by = author;
            Counters::add(&self.counters.compactions, 1);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.counters.compacted_at.store(now.as_secs(), Ordering::Relaxed);
        }
        self.trims.add(applied.garbage, self.compacted_by);
        Counters::add(&self.counters.leases_granted, applied.granted.len());
        if is_new_incarnation {
            self.hub.reset(self.committed.clone());
        } else {
            self.hub.publish(self.committed.clone(), applied.events);
        }
        self.publish(is_new_incarnation);
    }

    /// One batch may grant an id again that it revokes: what is left in the end counts.
    fn note_leases(&self, state: &State, applied: &Applied) {
        for grant in &applied.revoked {
            self.leases.ended(*grant);
        }
        for lease in applied.granted.iter().filter_map(|(id, _)| state.lease(*id)) {
            self.leases.granted(lease.id);
        }
    }

    fn publish(&mut self, is_replaced: bool) {
        let state = self.committed.clone();
        if is_replaced {
            self.leases.replaced();
        }
        self.snapshots.lock().advance(&state, is_replaced, tokio::time::Instant::now());
        self.published.change(|published| {
            published.epoch += u64::from(is_replaced);
            published.state = state;
        });
    }

    /// Starts from what the log holds now, declaring a new incarnation where that is needed. Returns those of `ids` that it holds.
    pub(super) async fn reload(&mut self, ids: &[BatchId]) -> Vec<BatchId> {
        self.look = None;
        Counters::add(&self.counters.reloads, 1);
        // Whatever was concluded from the old database ends before the new one is trusted.
        self.trims.forget();
        self.published.change(|published| published.epoch += 1);
        let applied = self.committed.head();
        let wanted: Vec<BatchId> = ids.iter().copied().chain([applied.id]).collect();
        loop {
            let log = self.log.clone();
            let attempt = async {
                let fence = log.fence(applied.position).await?;
                let loaded = start::load(&*log, &wanted, &self.config.loaded_rows).await?;
                Ok::<_, LogFault>((fence, loaded))
            };
            let attempt = attempt.await.inspect_err(|fault| tracing::warn!(%fault, "cannot load the log"));
            let attempt = attempt.ok().filter(|(fence, _)| !fence.in_recovery);
            let Some((fence, loaded)) = attempt else {
                self.back_off().await;
                continue;
            };
            // Appends were held back until we had seen what this database holds.
            self.trust(&fence.identity);
            let adopted = if self.needs_incarnation(&fence, &loaded) {
                self.declare_incarnation(&fence, &loaded).await
            } else {
                Some((loaded.state, Vec::new()))
            };
            let Some((state, garbage)) = adopted else {
                self.back_off().await;
                continue;
            };
            self.note_contact();
            for rows in loaded.garbage.into_iter().chain([garbage]) {
                self.trims.add(rows, Author::Us);
            }
            self.adopt(state);
            return loaded.found;
        }
    }

    fn needs_incarnation(&self, fence: &Fence, loaded: &Loaded) -> bool {
        if self.breaks(BrokenRule::IgnoreFailover) {
            return false;
        }
        let (fresh, applied) = (&loaded.state, self.committed.head());
        let handed_out = self.committed.revision();
        let has_ours = applied.position == Position(0)
            || loaded.found.contains(&applied.id)
            || applied.position < loaded.trimmed && fresh.revision() >= handed_out;
        let is_covered = fresh.incarnation() > self.committed.incarnation() && fresh.compacted() > handed_out;
        !is_same_database(fresh, fence) || !has_ours && !is_covered
    }

    /// Appends the jump: beyond whatever any live shim may have handed out, everything before it compacted, so that every older watch
    /// begins anew instead of missing something. `None`: somebody else was first, or the outcome is unknown; look again.
    async fn declare_incarnation(&mut self, fence: &Fence, loaded: &Loaded) -> Option<(State, Vec<(Position, u32)>)> {
        let now_ms = self.config.wall_clock.now_ms();
        let seconds = now_ms.saturating_sub(loaded.last_at_ms).max(0) / 1000;
        let jump = JUMP_MIN.max(seconds.saturating_mul(JUMP_PER_SECOND));
        let revision = loaded.state.revision().max(self.committed.revision()).saturating_add(jump);
        let mut draft = loaded.state.draft();
        draft.declare_incarnation(revision);
        let record = Op::Record { key: IDENTITY_RECORD.into(), value: identity_value(&fence.identity) };
        if let Err(refusal) = draft.judge(&record) {
            tracing::error!(%refusal, "cannot record the identity of the database");
        }
        let (batch, state, applied) = draft.finish(self.draw_id(), self.writer, now_ms);
        match self.log.append(&batch).await {
            Ok(Appended::Committed) => {
                Counters::add(&self.counters.incarnations_declared, 1);
                tracing::warn!(revision, "the database was replaced: declared a new incarnation");
                Some((state, applied.garbage))
            }
            Ok(Appended::Refused) | Err(_) => None,
        }
    }

    fn adopt(&mut self, state: State) {
        let is_new_incarnation = state.incarnation() != self.committed.incarnation();
        let since = self.committed.revision() + 1;
        self.committed = state.clone();
        self.tip = state.clone();
        if is_new_incarnation {
            self.hub.reset(state);
        } else {
            self.hub.skip(state, since);
        }
        self.publish(true);
    }
}
