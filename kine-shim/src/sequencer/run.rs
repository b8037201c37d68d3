//! The sequencer's loop: takes operations, evaluates them in batches, sends the batches to the log, and looks around
//! while it is idle.

use std::sync::Arc;

use futures::StreamExt;
use tokio::time::Instant;

use super::{
    mailbox::weight,
    task::{Evaluated, InFlight, Next, Outcome, Sequencer, View},
};
use crate::{
    counters::Counters,
    model::{Batch, Fault},
    settings::BrokenRule,
};

impl Sequencer {
    /// Works until the stop signal, and then until everything taken is answered. Dropping the future leaves outcomes
    /// unknown.
    pub(crate) async fn run(mut self) {
        let mut received = Vec::new();
        let mut is_open = true;
        let stop = self.stop.clone();
        while is_open || !self.in_flight.is_empty() || !self.backlog.is_empty() {
            self.launch();
            let is_idle = self.in_flight.is_empty();
            let may_look = is_idle && self.look.is_none();
            let has_room =
                is_open && self.backlog.len() < self.config.batch_entries && self.in_flight.len() < self.depth();
            let (leaves_room, glance_at) = (self.leaves_room(), self.glance_at());
            let group_until =
                self.group_commit.waits(self.backlog.len()).filter(|_| is_idle && !self.backlog.is_empty());
            tokio::select! {
                biased;
                Some(outcome) = self.outcomes.next(), if !is_idle => self.completed(outcome).await,
                count = self.mailbox.recv_many(&mut received, self.config.batch_entries), if has_room => {
                    is_open = count > 0;
                    self.backlog.extend(received.drain(..));
                }
                Some(submission) = self.incoming.returned.recv() => self.backlog.push_back(submission),
                Some(told) = self.incoming.heard.recv() => self.hear(told),
                () = async { match group_until { Some(until) => tokio::time::sleep_until(until).await, None => std::future::pending().await } } => {}
                view = async { match &mut self.look { Some(look) => look.await, None => std::future::pending().await } } => {
                    self.look = None;
                    self.saw(view).await;
                }
                () = tokio::time::sleep_until(glance_at), if may_look && leaves_room => self.glance(),
                () = tokio::task::yield_now(), if is_idle && self.committed.is_sweeping() => self.sweep_on(),
                () = self.hints.suspicious.notified(), if may_look => self.look_at_index(),
                () = self.hints.behind.notified(), if may_look => self.look_at_log(),
                () = tokio::time::sleep_until(self.next_look), if may_look => self.look_at_index(),
                () = stop.cancelled(), if is_open && !self.mailbox.is_closed() => self.mailbox.close(),
            }
        }
    }

    /// Evaluates what waits and sends it, as long as the pipeline has room.
    pub(super) fn launch(&mut self) {
        self.forward();
        while self.may_launch() {
            self.group_commit.sent(self.backlog.len());
            let mut draft = self.tip.draft();
            let mut evaluated = Vec::new();
            while let Some(submission) = self.backlog.pop_front() {
                if submission.is_abandoned() {
                    Counters::add(&self.counters.operations_abandoned, 1);
                    continue;
                }
                if submission.epoch.is_some_and(|epoch| epoch != self.published.epoch()) {
                    submission.answer(Err(Fault::NotApplied("the database was replaced".into()).into()));
                    continue;
                }
                let is_full = submission.goes_alone
                    || draft.ops() >= self.config.batch_entries
                    || draft.bytes() + weight(&submission.op) > self.config.batch_bytes
                    || evaluated.len() >= 4 * self.config.batch_entries;
                if is_full && !evaluated.is_empty() {
                    self.backlog.push_front(submission);
                    break;
                }
                let goes_alone = submission.goes_alone;
                let verdict = draft.evaluate_as(&submission.op, &submission.caller);
                let header = draft.revision();
                if self.breaks(BrokenRule::ReleaseRefusalsEarly) && (verdict.is_err() || draft.is_empty()) {
                    self.release(vec![Evaluated { submission, header, verdict }]);
                    continue;
                }
                evaluated.push(Evaluated { submission, header, verdict });
                if goes_alone {
                    break;
                }
                if self.breaks(BrokenRule::AnswerBeforeCommit) {
                    self.release(std::mem::take(&mut evaluated));
                    break;
                }
            }
            if evaluated.is_empty() && draft.is_empty() {
                return;
            }
            if draft.is_empty() {
                self.send_check(evaluated);
            } else {
                let (batch, state, applied) =
                    draft.finish(self.draw_id(), self.writer, self.config.wall_clock.now_ms());
                let next = Box::new(Next { state, applied });
                self.send_append(Arc::new(batch), next, evaluated);
            }
        }
    }

    pub(super) fn may_launch(&self) -> bool {
        let waiting = self.backlog.len();
        let is_due = if self.in_flight.is_empty() {
            waiting > 0 && self.group_commit.waits(waiting).is_none()
        } else {
            waiting >= self.config.ahead_min
        };
        is_due && self.in_flight.len() < self.depth() && !self.leaves_room()
    }

    pub(super) fn send_append(&mut self, batch: Arc<Batch>, next: Box<Next>, evaluated: Vec<Evaluated>) {
        self.tip = next.state.clone();
        let (log, sent) = (self.log.clone(), batch.clone());
        self.outcomes.push_back(Box::pin(async move { Outcome::Append(log.append(&sent).await) }));
        self.in_flight.push_back(InFlight::Append { batch, next, evaluated });
    }

    pub(super) fn send_check(&mut self, evaluated: Vec<Evaluated>) {
        let head = self.tip.head();
        let log = self.log.clone();
        self.outcomes.push_back(Box::pin(async move { Outcome::ReadIndex(log.read_index(head.position).await) }));
        self.in_flight.push_back(InFlight::Check { head, evaluated });
    }

    /// Goes on with a compaction that was too large for the batch that brought it.
    pub(super) fn sweep_on(&mut self) {
        let mut state = self.committed.clone();
        let applied = state.sweep_on();
        self.tip = state.clone();
        self.advance(state, applied, self.compacted_by);
    }

    pub(super) fn look_at_log(&mut self) {
        let (log, after, page_bytes) = (self.log.clone(), self.committed.head().position, self.config.page_bytes);
        self.look = Some(Box::pin(async move { View::Page(log.read(after, page_bytes).await) }));
    }

    pub(super) fn look_at_index(&mut self) {
        let (log, applied) = (self.log.clone(), self.committed.head());
        self.look = Some(Box::pin(async move { View::ReadIndex(applied, log.read_index(applied.position).await) }));
        self.next_look = Instant::now() + self.config.poll;
    }
}
