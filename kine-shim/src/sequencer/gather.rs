//! When to send what waits. Clients that wait for an answer before they write again come back in a crowd right after a batch has landed;
//! a batch sent to the first of them would make the others wait for the next one, and each commit would carry half of what it
//! could. So the crowd is awaited, for a moment that the clock bounds, and less often the more often it did not come.

use std::time::Duration;

use tokio::time::Instant;

/// Batches that go at once after crowds that did not come, at most.
const TRUSTLESS_MAX: u32 = 64;

#[derive(Debug)]
pub(super) struct Gather {
    patience: Duration,
    crowd: Option<Crowd>,
    /// Batches still to be sent at once, and how many that will be after the next disappointment.
    at_once: u32,
    next_at_once: u32,
}

/// So many operations, waiting ones included, may be expected until then.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    size: usize,
    until: Instant,
}

impl Gather {
    /// Zero patience sends everything at once.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, crowd: None, at_once: 0, next_at_once: 1 }
    }

    /// The last batch under way has answered `answered` operations, while `waiting` others wait already.
    pub(super) fn landed(&mut self, answered: usize, waiting: usize) {
        let size = answered + waiting;
        let is_awaited = self.at_once == 0 && size > 1;
        self.at_once = self.at_once.saturating_sub(1);
        self.crowd = is_awaited.then(|| Crowd { size, until: Instant::now() + self.patience });
    }

    /// Until when `waiting` operations shall wait for more.
    pub(super) fn waits(&self, waiting: usize) -> Option<Instant> {
        self.crowd.filter(|crowd| waiting < crowd.size && Instant::now() < crowd.until).map(|crowd| crowd.until)
    }

    /// What waited is sent.
    pub(super) fn sent(&mut self, waited: usize) {
        let Some(crowd) = self.crowd.take() else { return };
        if waited >= crowd.size {
            self.next_at_once = 1;
        } else if Instant::now() < crowd.until + self.patience {
            // Somebody waited in vain; whoever came later than the crowd could have did not.
            self.at_once = self.next_at_once;
            self.next_at_once = (self.next_at_once * 2).min(TRUSTLESS_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_awaited_while_it_comes() {
        let mut gather = Gather::new(PATIENCE);
        assert_eq!(gather.waits(1), None, "nothing has landed yet");
        for _ in 0..100 {
            gather.landed(10, 6);
            assert!(gather.waits(15).is_some());
            assert_eq!(gather.waits(16), None);
            gather.sent(16);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_writes_alone_never_waits() {
        let mut gather = Gather::new(PATIENCE);
        for _ in 0..100 {
            gather.landed(1, 0);
            assert_eq!(gather.waits(1), None);
            gather.sent(1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn crowds_that_do_not_come_are_awaited_ever_less() {
        let mut gather = Gather::new(PATIENCE);
        let mut waits = 0;
        for _ in 0..1000 {
            gather.landed(16, 0);
            if let Some(until) = gather.waits(1) {
                waits += 1;
                tokio::time::sleep_until(until).await;
                assert_eq!(gather.waits(1), None, "the wait has an end");
            }
            gather.sent(1);
        }
        assert!((5..=25).contains(&waits), "{waits} waits in 1000 batches");
    }

    #[tokio::test(start_paused = true)]
    async fn coming_late_disappoints_nobody() {
        let mut gather = Gather::new(PATIENCE);
        for _ in 0..10 {
            gather.landed(16, 0);
            assert!(gather.waits(0).is_some());
            tokio::time::sleep(10 * PATIENCE).await;
            assert_eq!(gather.waits(1), None);
            gather.sent(1);
        }
    }
}
