//! Forwarding to the last writer. Shims that append at once refuse each other's batches; so whoever sees that another
//! shim wrote just now hands its operations to that one instead, where there is a way to it, and hears what it commits
//! without asking the database. In go operations, out come their answers, each when the state here has come as far; how
//! they travel is not known here (see `peer`).
//!
//! A hint decides where an operation is evaluated, never what is true: the chain of the log still decides what is
//! appended. An operation that was sent is never sent twice, so an answer that is lost leaves its outcome unknown.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    forwarding::{LastWriter, Told},
    task::Sequencer,
};
use crate::{counters::Counters, model::Batch};

/// Whoever wrote within this time is the one to write next.
const LATELY: Duration = Duration::from_millis(200);

impl Sequencer {
    /// A batch of another was applied.
    pub(super) fn note_writer(&mut self, batch: &Batch) {
        let is_other = batch.writer != self.writer;
        self.last_writer = is_other.then(|| LastWriter { id: batch.writer, at: Instant::now() });
    }

    /// The shim that is to evaluate what comes, if it is not this one.
    pub(super) fn forwards_to(&self) -> Option<Uuid> {
        let writer = self.last_writer.filter(|writer| writer.at.elapsed() < LATELY)?.id;
        self.forwarding.has_way(writer).then_some(writer)
    }

    /// Hands over what waits. What cannot travel is evaluated here.
    pub(super) fn forward(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        let Some(writer) = self.forwards_to() else { return };
        for submission in std::mem::take(&mut self.backlog) {
            if submission.is_abandoned() {
                Counters::add(&self.counters.operations_abandoned, 1);
            } else if !submission.may_travel() {
                self.backlog.push_back(submission);
            } else if let Some(kept) = self.forwarding.forward(writer, submission, &self.published) {
                self.backlog.push_back(kept);
            } else {
                Counters::add(&self.counters.operations_forwarded, 1);
            }
        }
    }

    /// Tells the others of a batch of ours that is committed.
    pub(super) fn tell(&self, batch: &Arc<Batch>) {
        self.forwarding.tell(&Told { batch: batch.clone(), database: self.trusted.clone() });
    }

    /// Applies what another shim says it has committed, where it follows and comes from the database that is trusted
    /// here: what an earlier one has confirmed may be lost in the one that took over, and counts only if that has it.
    pub(super) fn hear(&mut self, told: Told) {
        let Told { batch, database } = told;
        let head = self.committed.head();
        if database != self.trusted || !self.in_flight.is_empty() || batch.position <= head.position {
            return;
        }
        if batch.position != head.position.next() || batch.prev_id != head.id {
            return self.hints.behind.notify_one();
        }
        match self.take_over(&batch) {
            Ok(()) => self.tip = self.committed.clone(),
            Err(corrupt) => {
                tracing::warn!(%corrupt, "a batch told by another shim does not follow");
                self.hints.behind.notify_one();
            }
        }
    }
}
