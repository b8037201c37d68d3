//! When another database answers, or the log is not what it was: the shim goes on from its own state where that is on
//! the chain, and else loads anew. The revision never goes back and is never used twice (invariant 6): where something
//! may be lost that somebody has seen, a new incarnation is declared in the log before anything else is.

use std::time::Duration;

use super::{
    identity::{IDENTITY_RECORD, follows, identity_value, is_same_database},
    load::{Loaded, Reading, load},
    peers::Testimony,
    snapshots::drop_aside,
    task::Sequencer,
    trim::Author,
};
use crate::{
    counters::Counters,
    log::{Appended, LogFault, ReadIndex, Reader},
    model::{BatchId, Op, Position, Revision, RowId},
    settings::BrokenRule,
    state::State,
};

/// What a database that answers is to the one that we wrote to.
pub(super) enum Whole {
    /// The same, or declared by somebody already.
    AsItWas,
    /// Another server with all that anybody has seen.
    TakenOver,
    /// Something may be lost.
    Doubtful,
    /// Somebody has written to it meanwhile: look again.
    Moved,
}

/// How long the other shims are waited for to say what they have seen. They say it every second.
const WITNESSES_WITHIN: Duration = Duration::from_secs(5);
/// One that has just started may be a stranger to us. If it lives it reports by then.
const STRANGERS_WITHIN: Duration = Duration::from_millis(1_500);
const WITNESS_PAUSE: Duration = Duration::from_millis(200);

/// At least this far an incarnation jumps, and so much further for each second since the last batch.
const JUMP_MIN: Revision = 1_000_000_000;
const JUMP_PER_SECOND: Revision = 1_000_000;

impl Sequencer {
    /// Goes on with what the log holds now: from our own state where that is on the chain, else loaded anew. Says in
    /// the log that another database has taken over, with a new incarnation where something may be lost. Returns those
    /// of `ids` that the log holds.
    pub(super) async fn reload(&mut self, ids: &[BatchId]) -> Vec<BatchId> {
        self.look = None;
        Counters::add(&self.counters.reloads, 1);
        self.published.change(|published| published.epoch += 1);
        // One that has just started has seen nothing, and cannot say that nothing more was to be seen.
        let is_remembered = !self.trusted.is_empty();
        loop {
            let attempt = self.load_or_follow(ids).await;
            let attempt = attempt.inspect_err(|fault| tracing::warn!(%fault, "cannot load the log"));
            let attempt = attempt.ok().filter(|(read_index, _)| !read_index.in_recovery);
            let Some((read_index, loaded)) = attempt else {
                self.back_off().await;
                continue;
            };
            let loaded = Loaded { is_remembered, ..loaded };
            if !loaded.is_followed {
                // What was concluded from another chain ends before the new database is trusted.
                self.trims.forget();
            }
            // Appends were held back until we had seen what this database holds.
            self.trust(&read_index.identity);
            let adopted = match self.is_whole(&read_index, &loaded).await {
                Whole::AsItWas => Some((loaded.state, Vec::new())),
                Whole::TakenOver => self.declare(&read_index, &loaded, None).await,
                Whole::Moved => continue,
                Whole::Doubtful => {
                    let revision = self.jump(&loaded);
                    self.declare(&read_index, &loaded, Some(revision)).await
                }
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

    pub(super) async fn load_or_follow(&mut self, ids: &[BatchId]) -> Result<(ReadIndex, Loaded), LogFault> {
        let applied = self.committed.head();
        let read_index = self.log.read_index(applied.position).await?;
        let is_followed =
            applied.position > Position(0) && applied.position > read_index.trimmed && follows(&read_index, applied);
        if is_followed && let Some(followed) = self.follow(&read_index, ids).await? {
            return Ok((read_index, followed));
        }
        let wanted: Vec<BatchId> = ids.iter().copied().chain([applied.id]).collect();
        let reading = Reading {
            reader: self.reader(read_index.head.position, &read_index),
            wanted: &wanted,
            progress: &self.config.loaded_rows,
            page_bytes: self.config.page_bytes,
        };
        let loaded = load(&*self.log, &reading).await?;
        Ok((read_index, loaded))
    }

    /// Our own state and what follows it up to where the read index found the head. `None` when the chain is not what
    /// it was.
    pub(super) async fn follow(&mut self, read_index: &ReadIndex, ids: &[BatchId]) -> Result<Option<Loaded>, LogFault> {
        let applied = self.committed.head();
        let mut loaded = Loaded {
            state: self.committed.clone(),
            found: vec![applied.id],
            trimmed: read_index.trimmed,
            last_at_ms: 0,
            garbage: Vec::new(),
            is_followed: true,
            is_remembered: false,
        };
        // With the last one that we have: it tells when it was written.
        let mut after = Position(applied.position.0 - 1);
        while after < read_index.head.position {
            let page = self.log.read(after, self.config.page_bytes).await?;
            let Some(last) = page.batches.last() else { return Ok(None) };
            after = last.position;
            for batch in &page.batches {
                loaded.last_at_ms = batch.at_ms;
                if batch.position <= applied.position {
                    continue;
                }
                let Ok(applied) = loaded.state.apply(batch) else { return Ok(None) };
                loaded.found.extend(ids.contains(&batch.id).then_some(batch.id));
                loaded.garbage.push(applied.garbage);
            }
        }
        Ok(Some(loaded))
    }

    /// What is to be said of the database that answers.
    pub(super) async fn is_whole(&mut self, read_index: &ReadIndex, loaded: &Loaded) -> Whole {
        if self.breaks(BrokenRule::IgnoreFailover) {
            return Whole::AsItWas;
        }
        let (fresh, applied) = (&loaded.state, self.committed.head());
        let handed_out = self.committed.revision();
        let has_ours = applied.position == Position(0)
            || loaded.found.contains(&applied.id)
            || applied.position < loaded.trimmed && fresh.revision() >= handed_out;
        let is_covered = fresh.incarnation() > self.committed.incarnation() && fresh.compacted() > handed_out;
        if !has_ours && !is_covered {
            Whole::Doubtful
        } else if is_same_database(fresh, read_index) {
            Whole::AsItWas
        } else if loaded.is_followed && loaded.is_remembered {
            self.ask_witnesses(read_index, loaded).await
        } else {
            Whole::Doubtful
        }
    }

    /// Whether a server of the same store has taken over, and no shim has seen anything that it does not have: each
    /// that we know of has said so to the new one. One that is gone cannot say it.
    pub(super) async fn ask_witnesses(&mut self, read_index: &ReadIndex, loaded: &Loaded) -> Whole {
        let recorded = self.committed.record(IDENTITY_RECORD).unwrap_or_default();
        let system = String::from_utf8_lossy(&recorded).rsplit_once('/').map(|(system, _)| system.to_owned());
        if system.as_ref() != Some(&read_index.identity.system) {
            return Whole::Doubtful;
        }
        if self.breaks(BrokenRule::AskNoWitness) {
            return Whole::TakenOver;
        }
        let (own, began) = (self.reader(self.committed.head().position, read_index), tokio::time::Instant::now());
        while began.elapsed() < WITNESSES_WITHIN {
            if let Ok(others) = self.log.report(&own).await {
                let head = loaded.state.head().position;
                match self.peers.testimony(&others, read_index.identity.timeline, head) {
                    Testimony::Whole if began.elapsed() >= STRANGERS_WITHIN => return Whole::TakenOver,
                    // What it has may have been written here since we looked.
                    Testimony::Ahead => {
                        let now = self.log.read_index(own.applied).await;
                        let has_moved = now.is_ok_and(|now| now.head.position > head);
                        return if has_moved { Whole::Moved } else { Whole::Doubtful };
                    }
                    Testimony::Whole | Testimony::Missing => {}
                }
            }
            tokio::time::sleep(WITNESS_PAUSE).await;
        }
        Whole::Doubtful
    }

    pub(super) fn reader(&self, applied: Position, read_index: &ReadIndex) -> Reader {
        Reader { id: self.writer, applied, timeline: read_index.identity.timeline }
    }

    /// Beyond whatever any living shim may have handed out.
    pub(super) fn jump(&self, loaded: &Loaded) -> Revision {
        let seconds = self.config.wall_clock.now_ms().saturating_sub(loaded.last_at_ms).max(0) / 1000;
        let jump = JUMP_MIN.max(seconds.saturating_mul(JUMP_PER_SECOND));
        loaded.state.revision().max(self.committed.revision()).saturating_add(jump)
    }

    /// Appends that this database is the store's now; with a revision, a new incarnation that begins there: everything
    /// before it is compacted, so that every older watch begins anew instead of missing something. `None`: somebody
    /// else was first, or the outcome is unknown; look again.
    pub(super) async fn declare(
        &mut self,
        read_index: &ReadIndex,
        loaded: &Loaded,
        incarnation: Option<Revision>,
    ) -> Option<(State, Vec<RowId>)> {
        let mut draft = loaded.state.draft();
        if let Some(revision) = incarnation {
            draft.declare_incarnation(revision);
        }
        let record = Op::Record { key: IDENTITY_RECORD.into(), value: identity_value(&read_index.identity) };
        if let Err(refusal) = draft.evaluate(&record) {
            tracing::error!(%refusal, "cannot record the identity of the database");
        }
        let (batch, state, applied) = draft.finish(self.draw_id(), self.writer, self.config.wall_clock.now_ms());
        match self.log.append(&batch).await {
            Ok(Appended::Committed) => {
                match incarnation {
                    Some(revision) => {
                        Counters::add(&self.counters.incarnations_declared, 1);
                        tracing::warn!(revision, "the database was replaced: declared a new incarnation");
                    }
                    None => tracing::warn!("another server of the database has taken over, and nothing was lost"),
                }
                Some((state, applied.garbage))
            }
            Ok(Appended::Refused) | Err(_) => None,
        }
    }

    pub(super) fn adopt(&mut self, state: State) {
        let is_new_incarnation = state.incarnation() != self.committed.incarnation();
        let since = self.committed.revision() + 1;
        let replaced =
            [std::mem::replace(&mut self.committed, state.clone()), std::mem::replace(&mut self.tip, state.clone())];
        drop_aside(replaced.into());
        if is_new_incarnation {
            self.hub.reset(state);
        } else {
            self.hub.skip(state, since);
        }
        self.publish(true);
    }
}
