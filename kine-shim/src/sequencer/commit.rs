//! What becomes of a batch that was sent: it is committed, refused, or its outcome is unknown; then the same batch is
//! submitted until its position is taken (invariant 5). Only here are answers released.

use std::sync::Arc;

use futures::StreamExt;

use super::{
    identity::{follows, is_same_database},
    task::{Evaluated, InFlight, Next, Outcome, Sequencer, TRY_AGAIN},
    trim::Author,
};
use crate::{
    counters::Counters,
    log::{Appended, LogFault, ReadIndex},
    model::{Batch, Error, Fault, Head, Op},
    settings::BrokenRule,
};

/// The record that a barrier sets (see [`State::records`](crate::state::State::records)).
const BARRIER_RECORD: &[u8] = b"kine-shim/barrier";

/// How a batch of unknown outcome was resolved.
pub(super) enum Resolution {
    Committed,
    /// Its position belongs to another batch: certainly not applied.
    Refused,
    /// The database failed over it, and its position is another's or free: certainly not applied.
    Failed(String),
    /// The database in which it may have been written is gone, or its place in the log is.
    LostDatabase,
}

/// What is left of a pipeline of which some batch was not committed.
#[derive(Default)]
pub(super) struct Undone {
    /// Certainly not applied: to be evaluated again, in order.
    redo: Vec<Evaluated>,
    /// The database failed over a batch of these, by their error.
    failed: Option<(Vec<Evaluated>, String)>,
    /// Sent, and only the next database can tell.
    doubtful: Vec<(Arc<Batch>, Vec<Evaluated>)>,
    not_applied: Option<String>,
    /// Another shim's batch took a place of ours.
    is_refused: bool,
    /// They write nothing, as evaluated on a state that others have changed since: a read index, sent when all had
    /// come, found this head.
    outdated: Vec<(Head, Vec<Evaluated>)>,
}

impl Sequencer {
    /// Takes the outcome of the oldest batch or check that is on its way.
    pub(super) async fn completed(&mut self, outcome: Outcome) {
        let Some(sent) = self.in_flight.pop_front() else { return };
        if self.in_flight.is_empty() {
            self.group_commit.completed(sent.evaluated(), self.backlog.len());
        }
        match (sent, outcome) {
            (InFlight::Append { batch, next, evaluated }, Outcome::Append(Ok(Appended::Committed))) => {
                self.note_contact();
                self.commit(&batch, *next);
                self.release(evaluated);
                self.leave_room().await;
            }
            (InFlight::Check { head, evaluated }, Outcome::ReadIndex(Ok(read_index)))
                if self.vouches(&read_index, head) =>
            {
                self.note_contact();
                self.release(evaluated);
            }
            (sent, outcome) => self.drain(sent, outcome).await,
        }
    }

    /// Whether `head` was the head of the log at some time after the read index was sent. A read index that saw less
    /// was sent while the batches before it were on their way; they are committed since, and `head` was the head when
    /// the last of them was.
    pub(super) fn vouches(&self, read_index: &ReadIndex, head: Head) -> bool {
        let is_trusted = !read_index.in_recovery || self.breaks(BrokenRule::TrustStandby);
        is_trusted
            && is_same_database(&self.committed, read_index)
            && self.committed.head() == head
            && (read_index.head == head || read_index.head.position < head.position)
    }

    /// Whether a read index comes from the database that we write to.
    pub(super) fn is_sound(&self, read_index: &ReadIndex) -> bool {
        let is_beaten = self.breaks(BrokenRule::StarveCompares);
        !read_index.in_recovery
            && is_same_database(&self.committed, read_index)
            && self.is_trusted(read_index)
            && !is_beaten
    }

    /// Makes the successor state the committed one and tells everybody.
    pub(super) fn commit(&mut self, batch: &Arc<Batch>, next: Next) {
        Counters::add(&self.counters.batches_committed, 1);
        self.note_writer(batch);
        self.advance(next.state, next.applied, Author::Us);
        // Before the answers that rest on it.
        self.tell(batch);
    }

    pub(super) fn release(&mut self, evaluated: Vec<Evaluated>) {
        for Evaluated { submission, header, verdict } in evaluated {
            let counter = match verdict {
                Ok(_) => &self.counters.operations_committed,
                Err(_) => &self.counters.operations_refused,
            };
            Counters::add(counter, 1);
            submission.answer(verdict.map(|reply| (header, reply)).map_err(Error::Refused));
        }
    }

    pub(super) fn fail(&mut self, evaluated: Vec<Evaluated>, fault: &Fault) {
        Counters::add(&self.counters.operations_failed, evaluated.len());
        for evaluated in evaluated {
            evaluated.submission.answer(Err(fault.clone().into()));
        }
    }

    /// Something was not committed, so nothing behind it was either. Nothing new is sent until every answer is here and
    /// every doubt resolved; then what certainly was not applied is evaluated again.
    pub(super) async fn drain(&mut self, first: InFlight, outcome: Outcome) {
        let mut completed = vec![(first, outcome)];
        while let Some(sent) = self.in_flight.pop_front() {
            let Some(outcome) = self.outcomes.next().await else { break };
            completed.push((sent, outcome));
        }
        let mut undone = Undone::default();
        for (sent, outcome) in completed {
            self.sort_out(&mut undone, sent, outcome).await;
        }
        self.tip = self.committed.clone();
        if !undone.doubtful.is_empty() {
            self.resolve_doubts(undone.doubtful).await;
        }
        let epoch = self.published.epoch();
        self.queue_again(undone.redo, undone.not_applied).await;
        if let Some((evaluated, reason)) = undone.failed {
            self.part_failed(evaluated, reason);
        }
        self.catch_up().await;
        // Where what waits goes to the winner, nobody races for the next place.
        if undone.is_refused && self.forwards_to().is_none() {
            self.want_room().await;
        }
        for (head, evaluated) in undone.outdated.into_iter().rev() {
            self.evaluate_again(evaluated, head, epoch);
        }
    }

    /// Evaluates on a state that holds whatever a read index has found since they came; what still writes nothing is
    /// answered by that. Else somebody who only compares would never be answered beside somebody who writes all the
    /// time.
    pub(super) fn evaluate_again(&mut self, evaluated: Vec<Evaluated>, head: Head, epoch: u64) {
        let is_current = self.published.epoch() == epoch && self.committed.head().position >= head.position;
        let mut waiting = evaluated.into_iter().map(|evaluated| evaluated.submission);
        let mut again = Vec::new();
        for submission in waiting.by_ref() {
            let mut draft = self.committed.draft();
            let verdict = draft.evaluate_as(&submission.op, &submission.caller);
            if !is_current || !draft.is_empty() {
                again.push(submission);
                break;
            }
            self.release(vec![Evaluated { submission, header: draft.revision(), verdict }]);
        }
        again.extend(waiting);
        again.into_iter().rev().for_each(|submission| self.backlog.push_front(submission));
    }

    pub(super) async fn sort_out(&mut self, undone: &mut Undone, sent: InFlight, outcome: Outcome) {
        let is_broken = !undone.redo.is_empty() || !undone.doubtful.is_empty() || undone.failed.is_some();
        let (batch, next, evaluated) = match sent {
            InFlight::Append { batch, next, evaluated } => (batch, next, evaluated),
            InFlight::Check { evaluated, .. } => {
                return match outcome {
                    Outcome::ReadIndex(Ok(read_index)) if self.is_sound(&read_index) => {
                        undone.outdated.push((read_index.head, evaluated))
                    }
                    _ => undone.redo.extend(evaluated),
                };
            }
        };
        if !undone.doubtful.is_empty() {
            return undone.doubtful.push((batch, evaluated));
        }
        if is_broken && batch.prev_id != self.committed.head().id {
            // Its predecessor is not in the log and never will be.
            return undone.redo.extend(evaluated);
        }
        undone.is_refused |= matches!(outcome, Outcome::Append(Ok(Appended::Refused)));
        let resolution = match outcome {
            Outcome::Append(Ok(Appended::Committed)) => Resolution::Committed,
            Outcome::Append(Ok(Appended::Refused)) | Outcome::ReadIndex(_) => Resolution::Refused,
            Outcome::Append(Err(LogFault::NotApplied(reason))) => {
                undone.not_applied = Some(reason);
                Resolution::Refused
            }
            Outcome::Append(Err(LogFault::Failed(reason))) if !self.breaks(BrokenRule::NeverBar) => {
                Resolution::Failed(reason)
            }
            Outcome::Append(Err(_)) => {
                Counters::add(&self.counters.batches_uncertain, 1);
                if self.breaks(BrokenRule::RetryBlindly) { Resolution::Refused } else { self.resolve(&batch).await }
            }
        };
        match resolution {
            Resolution::Committed => {
                self.note_contact();
                self.commit(&batch, *next);
                self.release(evaluated);
            }
            Resolution::Refused => {
                Counters::add(&self.counters.batches_refused, 1);
                undone.redo.extend(evaluated);
            }
            Resolution::Failed(reason) => undone.failed = Some((evaluated, reason)),
            Resolution::LostDatabase => undone.doubtful.push((batch, evaluated)),
        }
    }

    /// Submits the same batch until the log says what became of it. "Not applied" speaks of that attempt alone, not of
    /// earlier ones. Where the database fails over the batch each time, its position is taken by a barrier: then it is
    /// certain that no attempt ever will.
    pub(super) async fn resolve(&mut self, batch: &Batch) -> Resolution {
        let mut barrier = None;
        loop {
            let answer = self.log.append(batch).await;
            match &answer {
                Ok(Appended::Committed) => return Resolution::Committed,
                Err(LogFault::NotApplied(_)) if self.breaks(BrokenRule::BelieveResubmissionNotApplied) => {
                    return Resolution::Refused;
                }
                Ok(Appended::Refused) => {}
                Err(fault) => {
                    tracing::warn!(position = batch.position.0, %fault, "the outcome of a batch is still unknown")
                }
            }
            // A refusal by a database that lost our predecessor says nothing about the one that is gone.
            match (self.look_after_doubt().await, answer) {
                (Some(read_index), _) if self.is_lost(&read_index) => return Resolution::LostDatabase,
                (Some(_), Ok(_)) => return Resolution::Refused,
                // Trimmed away: no append can tell any more.
                (Some(read_index), Err(_)) if batch.position <= read_index.trimmed => return Resolution::LostDatabase,
                (Some(_), Err(LogFault::Failed(reason))) if !self.breaks(BrokenRule::NeverBar) => {
                    // The same one each time: what is not known of it is resolved likewise.
                    let (bar, next) = barrier.take().unwrap_or_else(|| self.barrier());
                    match self.log.append(&bar).await {
                        Ok(Appended::Committed) => {
                            self.commit(&bar, next);
                            return Resolution::Failed(reason);
                        }
                        // It is taken already; the next attempt tells by whom.
                        Ok(Appended::Refused) | Err(_) => barrier = Some((bar, next)),
                    }
                    self.back_off().await;
                }
                _ => self.back_off().await,
            }
        }
    }

    /// A batch that says nothing but takes the position after the last one committed.
    pub(super) fn barrier(&mut self) -> (Arc<Batch>, Next) {
        let (id, mut draft) = (self.draw_id(), self.committed.draft());
        let record = Op::Record { key: BARRIER_RECORD.into(), value: id.into_bytes().to_vec().into() };
        if let Err(refusal) = draft.evaluate(&record) {
            tracing::error!(%refusal, "a barrier was refused");
        }
        let (batch, state, applied) = draft.finish(id, self.writer, self.config.wall_clock.now_ms());
        (Arc::new(batch), Next { state, applied })
    }

    pub(super) async fn look_after_doubt(&mut self) -> Option<ReadIndex> {
        let applied = self.committed.head();
        self.log.read_index(applied.position).await.ok().filter(|read_index| !read_index.in_recovery)
    }

    /// Whether the database that answers is not the one we wrote to, or has lost what it had confirmed.
    pub(super) fn is_lost(&self, read_index: &ReadIndex) -> bool {
        let applied = self.committed.head();
        let is_other = !is_same_database(&self.committed, read_index) || !self.is_trusted(read_index);
        is_other || !follows(read_index, applied) && applied.position >= read_index.trimmed
    }

    /// Loads what the new database has. What it has of ours was applied; of the rest nobody can know who saw it before
    /// it was lost.
    pub(super) async fn resolve_doubts(&mut self, doubtful: Vec<(Arc<Batch>, Vec<Evaluated>)>) {
        let ids: Vec<_> = doubtful.iter().map(|(batch, _)| batch.id).collect();
        let found = self.reload(&ids).await;
        for (batch, evaluated) in doubtful {
            if found.contains(&batch.id) {
                self.release(evaluated);
            } else {
                self.fail(evaluated, &Fault::OutcomeUnknown("the database was replaced meanwhile".into()));
            }
        }
    }

    pub(super) async fn queue_again(&mut self, redo: Vec<Evaluated>, not_applied: Option<String>) {
        let (mut again, mut failed) = (Vec::new(), Vec::new());
        for evaluated in redo {
            let is_over = not_applied.is_some() && evaluated.submission.arrived.elapsed() >= TRY_AGAIN;
            if is_over { failed.push(evaluated) } else { again.push(evaluated) }
        }
        again.into_iter().rev().for_each(|evaluated| self.backlog.push_front(evaluated.submission));
        if let Some(reason) = not_applied {
            self.fail(failed, &Fault::NotApplied(reason));
            self.back_off().await;
        }
    }

    /// The database failed over a batch as such: each of its operations goes once more, alone. Whoever fails alone has
    /// failed.
    pub(super) fn part_failed(&mut self, evaluated: Vec<Evaluated>, reason: String) {
        tracing::warn!(operations = evaluated.len(), reason, "the database failed over a batch");
        if evaluated.len() == 1 || self.breaks(BrokenRule::FailTogether) {
            return self.fail(evaluated, &Fault::NotApplied(reason));
        }
        for Evaluated { mut submission, .. } in evaluated.into_iter().rev() {
            submission.goes_alone = true;
            self.backlog.push_front(submission);
        }
    }
}
