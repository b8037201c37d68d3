//! Fairness between shims that write at once. Whoever pipelines its batches would win every race for the next position,
//! and the others would starve: so a refused shim asks for room, an append's answer tells the winner, and the winner
//! leaves room until it sees a batch of another, or a moment has passed. A hint that decides nothing: without it
//! everything is right, only slower.

use std::time::Duration;

use tokio::time::Instant;

use super::task::Sequencer;

/// How long a winner leaves room for somebody who then does not come.
const ROOM: Duration = Duration::from_millis(30);
/// How often it looks meanwhile whether somebody came.
const GLANCE: Duration = Duration::from_millis(2);
/// While others write too, one batch at a time: what is sent ahead would mostly be refused.
const CONTENDED: Duration = Duration::from_secs(1);
/// Asking lasts a second in the log; it is repeated in time.
const ASK_AGAIN: Duration = Duration::from_millis(500);

impl Sequencer {
    /// Batches that may be on their way at once.
    pub(super) fn depth(&self) -> usize {
        let is_contended = self.fairness.contended_until.is_some_and(|until| Instant::now() < until);
        if is_contended { 1 } else { self.config.pipeline_depth }
    }

    pub(super) fn leaves_room(&self) -> bool {
        self.fairness.room_until.is_some_and(|until| Instant::now() < until)
    }

    /// When to look again whether somebody took the room.
    pub(super) fn glance_at(&self) -> Instant {
        self.fairness.glance_at.unwrap_or_else(Instant::now)
    }

    pub(super) fn glance(&mut self) {
        self.fairness.glance_at = Some(Instant::now() + GLANCE);
        self.look_at_log();
    }

    /// One of our batches was committed: others have room now if one of them asks for it.
    pub(super) async fn leave_room(&mut self) {
        if self.fairness.asked.take().is_some() {
            self.ask_for_room(false).await;
        }
        if self.log.is_room_asked() {
            let now = Instant::now();
            self.fairness.room_until = Some(now + ROOM);
            self.fairness.glance_at = Some(now + GLANCE);
            self.fairness.contended_until = Some(now + CONTENDED);
        }
    }

    /// Another shim's batch took our place.
    pub(super) async fn want_room(&mut self) {
        let now = Instant::now();
        self.fairness.contended_until = Some(now + CONTENDED);
        if self.fairness.asked.is_none_or(|asked| now - asked > ASK_AGAIN) {
            self.fairness.asked = Some(now);
            self.ask_for_room(true).await;
        }
    }

    /// Another shim's batch arrived: the room that we left is taken.
    pub(super) fn room_taken(&mut self) {
        self.fairness.room_until = None;
    }

    pub(super) async fn ask_for_room(&mut self, wanted: bool) {
        if let Err(fault) = self.log.ask_for_room(self.writer, wanted).await {
            tracing::debug!(%fault, "cannot ask the other shims for room");
        }
    }
}
