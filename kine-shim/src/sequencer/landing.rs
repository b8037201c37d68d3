//! What becomes of a flight: committed, refused, or uncertain and then resolved by submitting the same batch until its position is taken
//! (invariant 5). Only here are answers released.

use std::sync::Arc;

use futures::StreamExt;

use super::trim::Author;
use super::{BrokenRule, Flight, Judged, Next, Outcome, Sequencer, TRY_AGAIN, follows, is_same_database};
use crate::log::{Appended, Fence, LogFault};
use crate::model::{Batch, Error, Fault, Head};
use crate::shim::Counters;

/// How a batch of unknown outcome was resolved.
enum Resolution {
    Committed,
    /// Its position belongs to another batch: certainly not applied.
    Refused,
    /// The database in which it may have been written is gone, or its place in the log is.
    LostDatabase,
}

/// What is left of a pipeline that did not land as hoped.
#[derive(Default)]
struct Wreck {
    /// Certainly not applied: to be judged again, in order.
    redo: Vec<Judged>,
    /// Sent, and only the next database can tell.
    doubtful: Vec<(Arc<Batch>, Vec<Judged>)>,
    not_applied: Option<String>,
}

impl Sequencer {
    /// Takes the outcome of the oldest flight.
    pub(super) async fn landed(&mut self, outcome: Outcome) {
        let Some(flight) = self.flights.pop_front() else { return };
        if self.flights.is_empty() {
            self.gather.landed(flight.judged(), self.backlog.len());
        }
        match (flight, outcome) {
            (Flight::Append { next, judged, .. }, Outcome::Append(Ok(Appended::Committed))) => {
                self.note_contact();
                self.commit(*next);
                self.release(judged);
                self.had_turn().await;
            }
            (Flight::Check { head, judged }, Outcome::Fence(Ok(fence))) if self.vouches(&fence, head) => {
                self.note_contact();
                self.release(judged);
            }
            (flight, outcome) => self.unravel(flight, outcome).await,
        }
    }

    /// Whether `head` was the head of the log at some time after the fence was sent. A fence that saw less was sent while the batches
    /// before it were on their way; they have landed since, and `head` was the head when the last of them did.
    fn vouches(&self, fence: &Fence, head: Head) -> bool {
        let is_trusted = !fence.in_recovery || self.breaks(BrokenRule::TrustStandby);
        is_trusted
            && is_same_database(&self.committed, fence)
            && self.committed.head() == head
            && (fence.head == head || fence.head.position < head.position)
    }

    /// Makes the successor state the committed one and tells everybody.
    pub(super) fn commit(&mut self, next: Next) {
        Counters::add(&self.counters.batches_committed, 1);
        self.advance(next.state, next.applied, Author::Us);
    }

    pub(super) fn release(&mut self, judged: Vec<Judged>) {
        for Judged { submission, header, verdict } in judged {
            let counter = match verdict {
                Ok(_) => &self.counters.operations_committed,
                Err(_) => &self.counters.operations_refused,
            };
            Counters::add(counter, 1);
            // Whoever no longer waits does not need the answer.
            let _ = submission.reply.send(verdict.map(|reply| (header, reply)).map_err(Error::Refused));
        }
    }

    pub(super) fn fail(&mut self, judged: Vec<Judged>, fault: &Fault) {
        Counters::add(&self.counters.operations_failed, judged.len());
        for judged in judged {
            let _ = judged.submission.reply.send(Err(fault.clone().into()));
        }
    }

    /// Something was not committed, so nothing behind it was either. Nothing new is sent until every answer is here and every doubt
    /// resolved; then what certainly was not applied is judged again.
    async fn unravel(&mut self, first: Flight, outcome: Outcome) {
        let mut landed = vec![(first, outcome)];
        while let Some(flight) = self.flights.pop_front() {
            let Some(outcome) = self.outcomes.next().await else { break };
            landed.push((flight, outcome));
        }
        let mut wreck = Wreck::default();
        for (flight, outcome) in landed {
            self.salvage(&mut wreck, flight, outcome).await;
        }
        self.tip = self.committed.clone();
        if !wreck.doubtful.is_empty() {
            self.settle_doubts(wreck.doubtful).await;
        }
        self.queue_again(wreck.redo, wreck.not_applied).await;
        self.catch_up().await;
    }

    async fn salvage(&mut self, wreck: &mut Wreck, flight: Flight, outcome: Outcome) {
        let is_broken = !wreck.redo.is_empty() || !wreck.doubtful.is_empty();
        let (batch, next, judged) = match flight {
            Flight::Append { batch, next, judged } => (batch, next, judged),
            Flight::Check { judged, .. } => return wreck.redo.extend(judged),
        };
        if !wreck.doubtful.is_empty() {
            return wreck.doubtful.push((batch, judged));
        }
        if is_broken && batch.prev_id != self.committed.head().id {
            // Its predecessor is not in the log and never will be.
            return wreck.redo.extend(judged);
        }
        if matches!(outcome, Outcome::Append(Ok(Appended::Refused))) {
            self.lost_turn().await;
        }
        let resolution = match outcome {
            Outcome::Append(Ok(Appended::Committed)) => Resolution::Committed,
            Outcome::Append(Ok(Appended::Refused)) | Outcome::Fence(_) => Resolution::Refused,
            Outcome::Append(Err(LogFault::NotApplied(reason))) => {
                wreck.not_applied = Some(reason);
                Resolution::Refused
            }
            Outcome::Append(Err(LogFault::OutcomeUnknown(_) | LogFault::Unusable(_))) => {
                Counters::add(&self.counters.batches_uncertain, 1);
                if self.breaks(BrokenRule::RetryBlindly) { Resolution::Refused } else { self.resolve(&batch).await }
            }
        };
        match resolution {
            Resolution::Committed => {
                self.note_contact();
                self.commit(*next);
                self.release(judged);
            }
            Resolution::Refused => {
                Counters::add(&self.counters.batches_refused, 1);
                wreck.redo.extend(judged);
            }
            Resolution::LostDatabase => wreck.doubtful.push((batch, judged)),
        }
    }

    /// Submits the same batch until the log says what became of it. "Not applied" speaks of that attempt alone, not of earlier ones.
    async fn resolve(&mut self, batch: &Batch) -> Resolution {
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
            match (self.fence_after_doubt().await, answer) {
                (Some(fence), _) if self.is_lost(&fence) => return Resolution::LostDatabase,
                (Some(_), Ok(_)) => return Resolution::Refused,
                // Trimmed away: no append can tell any more.
                (Some(fence), Err(_)) if batch.position <= fence.trimmed => return Resolution::LostDatabase,
                _ => self.back_off().await,
            }
        }
    }

    async fn fence_after_doubt(&mut self) -> Option<Fence> {
        let applied = self.committed.head();
        self.log.fence(applied.position).await.ok().filter(|fence| !fence.in_recovery)
    }

    /// Whether the database that answers is not the one we wrote to, or has lost what it had confirmed.
    fn is_lost(&self, fence: &Fence) -> bool {
        let applied = self.committed.head();
        let is_other = !is_same_database(&self.committed, fence) || !self.is_trusted(fence);
        is_other || !follows(fence, applied) && applied.position >= fence.trimmed
    }

    /// Loads what the new database has. What it has of ours was applied; of the rest nobody can know who saw it before it was lost.
    async fn settle_doubts(&mut self, doubtful: Vec<(Arc<Batch>, Vec<Judged>)>) {
        let ids: Vec<_> = doubtful.iter().map(|(batch, _)| batch.id).collect();
        let found = self.reload(&ids).await;
        for (batch, judged) in doubtful {
            if found.contains(&batch.id) {
                self.release(judged);
            } else {
                self.fail(judged, &Fault::OutcomeUnknown("the database was replaced meanwhile".into()));
            }
        }
    }

    async fn queue_again(&mut self, redo: Vec<Judged>, not_applied: Option<String>) {
        let (mut again, mut failed) = (Vec::new(), Vec::new());
        for judged in redo {
            let is_over = not_applied.is_some() && judged.submission.arrived.elapsed() >= TRY_AGAIN;
            if is_over { failed.push(judged) } else { again.push(judged) }
        }
        again.into_iter().rev().for_each(|judged| self.backlog.push_front(judged.submission));
        if let Some(reason) = not_applied {
            self.fail(failed, &Fault::NotApplied(reason));
            self.back_off().await;
        }
    }
}
