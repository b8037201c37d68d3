//! Fairness between shims that write at once. Whoever pipelines its batches would win every race for the next position, and the others would
//! starve: so a refused shim asks for a turn, an append's answer tells the winner, and the winner leaves room until it sees a batch of
//! another, or a moment has passed. A hint that decides nothing: without it everything is right, only slower.

use std::time::Duration;

use tokio::time::Instant;

use super::Sequencer;

/// How long a winner leaves room for somebody who then does not come.
const ROOM: Duration = Duration::from_millis(30);
/// How often it looks meanwhile whether somebody came.
const GLANCE: Duration = Duration::from_millis(2);
/// While others write too, one batch at a time: what is sent ahead would mostly be refused.
const CONTENDED: Duration = Duration::from_secs(1);
/// Asking lasts a second in the log; it is repeated in time.
const ASK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Turn {
    asked: Option<Instant>,
    room_until: Option<Instant>,
    glance_at: Option<Instant>,
    contended_until: Option<Instant>,
}

impl Sequencer {
    /// Batches that may be on their way at once.
    pub(super) fn depth(&self) -> usize {
        let is_contended = self.turn.contended_until.is_some_and(|until| Instant::now() < until);
        if is_contended { 1 } else { self.config.pipeline_depth }
    }

    pub(super) fn leaves_room(&self) -> bool {
        self.turn.room_until.is_some_and(|until| Instant::now() < until)
    }

    /// When to look again whether somebody took the room.
    pub(super) fn glance_at(&self) -> Instant {
        self.turn.glance_at.unwrap_or_else(Instant::now)
    }

    pub(super) fn glance(&mut self) {
        self.turn.glance_at = Some(Instant::now() + GLANCE);
        self.look_at_log();
    }

    /// One of our batches was committed: our turn is over when somebody else asks for one.
    pub(super) async fn had_turn(&mut self) {
        if self.turn.asked.take().is_some() {
            self.ask_turn(false).await;
        }
        if self.log.is_turn_asked() {
            let now = Instant::now();
            self.turn.room_until = Some(now + ROOM);
            self.turn.glance_at = Some(now + GLANCE);
            self.turn.contended_until = Some(now + CONTENDED);
        }
    }

    /// Another shim's batch took our place.
    pub(super) async fn lost_turn(&mut self) {
        let now = Instant::now();
        self.turn.contended_until = Some(now + CONTENDED);
        if self.turn.asked.is_none_or(|asked| now - asked > ASK_AGAIN) {
            self.turn.asked = Some(now);
            self.ask_turn(true).await;
        }
    }

    /// Another shim's batch arrived: the room that we left is taken.
    pub(super) fn room_taken(&mut self) {
        self.turn.room_until = None;
    }

    async fn ask_turn(&mut self, wanted: bool) {
        if let Err(fault) = self.log.ask_turn(self.writer, wanted).await {
            tracing::debug!(%fault, "cannot ask for a turn");
        }
    }
}
