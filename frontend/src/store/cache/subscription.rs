//! One watcher of the cache.

use std::sync::Arc;

use super::group::{Group, Position};
use super::{Cache, CacheEvent, Scope, WatchEnd};

/// Every event of a scope after a revision, exactly once and in order. Dropping it ends the watch.
pub struct Subscription {
    cache: Cache,
    group: Arc<Group>,
    scope: Scope,
    position: Position,
    /// Events up to here are not this watcher's: a watch may begin in the future.
    after: i64,
    /// The revision of the last event handed out: events are applied before the watermark says so.
    delivered: i64,
}

impl Subscription {
    pub(super) fn new(cache: Cache, group: Arc<Group>, scope: Scope, position: Position, after: i64) -> Subscription {
        Subscription { cache, group, scope, position, after, delivered: after }
    }

    /// The next events, at least one and at most `max`. A dropped future loses nothing.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Arc<CacheEvent>>, WatchEnd> {
        loop {
            let events = self.take(max)?;
            if !events.is_empty() {
                return Ok(events);
            }
            if self.group.is_clean(&self.position) {
                self.position.mark.wake.notified().await;
            }
        }
    }

    /// The events that are there, at most `max`, without waiting.
    pub fn take(&mut self, max: usize) -> Result<Vec<Arc<CacheEvent>>, WatchEnd> {
        let mut events = self.group.take(&self.scope, &self.position, max.max(1))?;
        events.retain(|event| event.revision() > self.after);
        if let Some(last) = events.last() {
            self.delivered = last.revision();
        }
        Ok(events)
    }

    /// A revision up to which the watcher has been given everything: what a bookmark says. None while events wait.
    pub fn caught_up(&self) -> Option<i64> {
        // First the watermark, then the mark: all up to this watermark has been applied and marked by then.
        let watermark = self.cache.revision();
        self.group.is_clean(&self.position).then_some(watermark.max(self.delivered))
    }

    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.group.unwatch(&self.scope, &self.position);
    }
}
