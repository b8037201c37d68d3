//! Group commit: when to send what waits. Clients that wait for an answer before they write again come back all at
//! once, right after a batch was committed. A batch sent for the first of them would make the others wait for the next
//! one, and each commit would carry half of what it could. So the group is awaited: for a moment that the clock bounds,
//! and the less often the more often it did not come.

use std::time::Duration;

use tokio::time::Instant;

/// Batches that go at once after groups that did not come, at most.
const AT_ONCE_MAX: u32 = 64;

#[derive(Debug)]
pub(super) struct GroupCommit {
    patience: Duration,
    group: Option<Group>,
    /// Batches still to be sent at once, and how many that will be after the next disappointment.
    at_once: u32,
    next_at_once: u32,
}

/// So many operations, waiting ones included, may be expected until then.
#[derive(Clone, Copy, Debug)]
struct Group {
    size: usize,
    until: Instant,
}

impl GroupCommit {
    /// Zero patience sends everything at once.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, group: None, at_once: 0, next_at_once: 1 }
    }

    /// The last batch under way has answered `answered` operations, while `waiting` others wait already.
    pub(super) fn completed(&mut self, answered: usize, waiting: usize) {
        let size = answered + waiting;
        let is_awaited = self.at_once == 0 && size > 1;
        self.at_once = self.at_once.saturating_sub(1);
        self.group = is_awaited.then(|| Group { size, until: Instant::now() + self.patience });
    }

    /// Until when `waiting` operations shall wait for more.
    pub(super) fn waits(&self, waiting: usize) -> Option<Instant> {
        self.group.filter(|group| waiting < group.size && Instant::now() < group.until).map(|group| group.until)
    }

    /// What waited is sent.
    pub(super) fn sent(&mut self, waited: usize) {
        let Some(group) = self.group.take() else { return };
        if waited >= group.size {
            self.next_at_once = 1;
        } else if Instant::now() < group.until + self.patience {
            // The wait ended without the group. An operation that came long after the end has not waited for it.
            self.at_once = self.next_at_once;
            self.next_at_once = (self.next_at_once * 2).min(AT_ONCE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_group_is_awaited_while_it_comes() {
        let mut group_commit = GroupCommit::new(PATIENCE);
        assert_eq!(group_commit.waits(1), None, "nothing has completed yet");
        for _ in 0..100 {
            group_commit.completed(10, 6);
            assert!(group_commit.waits(15).is_some());
            assert_eq!(group_commit.waits(16), None);
            group_commit.sent(16);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_writes_alone_never_waits() {
        let mut group_commit = GroupCommit::new(PATIENCE);
        for _ in 0..100 {
            group_commit.completed(1, 0);
            assert_eq!(group_commit.waits(1), None);
            group_commit.sent(1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn groups_that_do_not_come_are_awaited_ever_less() {
        let mut group_commit = GroupCommit::new(PATIENCE);
        let mut waits = 0;
        for _ in 0..1000 {
            group_commit.completed(16, 0);
            if let Some(until) = group_commit.waits(1) {
                waits += 1;
                tokio::time::sleep_until(until).await;
                assert_eq!(group_commit.waits(1), None, "the wait has an end");
            }
            group_commit.sent(1);
        }
        assert!((5..=25).contains(&waits), "{waits} waits in 1000 batches");
    }

    #[tokio::test(start_paused = true)]
    async fn coming_late_disappoints_nobody() {
        let mut group_commit = GroupCommit::new(PATIENCE);
        for _ in 0..10 {
            group_commit.completed(16, 0);
            assert!(group_commit.waits(0).is_some());
            tokio::time::sleep(10 * PATIENCE).await;
            assert_eq!(group_commit.waits(1), None);
            group_commit.sent(1);
        }
    }
}
