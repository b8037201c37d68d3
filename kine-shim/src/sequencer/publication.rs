//! The newest committed state, for all to read and to wait for. Not tokio's watch channel, which wakes its waiters in
//! random order: a simulation must replay.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::state::State;

/// The epoch changes when the state was or is about to be replaced, rather than extended by a batch.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) state: State,
    pub(crate) epoch: u64,
}

/// Clones share one publication.
#[derive(Clone)]
pub(crate) struct Publication(Arc<Inner>);

struct Inner {
    current: RwLock<Published>,
    changed: Notify,
}

impl Publication {
    pub(crate) fn new(state: State) -> Self {
        let current = RwLock::new(Published { state, epoch: 0 });
        Self(Arc::new(Inner { current, changed: Notify::new() }))
    }

    pub(crate) fn get(&self) -> Published {
        self.0.current.read().clone()
    }

    /// A look costs no clone of the state. It must be short: who publishes waits for it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Published) -> T) -> T {
        look(&self.0.current.read())
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.look(|published| published.epoch)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Published)) {
        change(&mut self.0.current.write());
        self.0.changed.notify_waiters();
    }

    /// Waits until `is_wanted` holds. Dropping the future loses nothing.
    pub(crate) async fn wait_for(&self, is_wanted: impl Fn(&Published) -> bool) -> Published {
        loop {
            let changed = self.0.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Before the look, so that no change falls between the two.
            changed.as_mut().enable();
            {
                let current = self.0.current.read();
                if is_wanted(&current) {
                    return current.clone();
                }
            }
            changed.await;
        }
    }
}
