//! One watcher of the cache.

use std::sync::Arc;

use super::{
    Cache, Snapshot,
    entry::CacheEvent,
    group::{Group, Position, WatchEnd},
    layout::Scope,
};
use crate::store::error::StoreError;

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
            if self.position.is_clean() {
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
        self.position.is_clean().then_some(watermark.max(self.delivered))
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

impl Cache {
    /// Every event of the scope after the revision, exactly once and in order.
    pub fn watch(&self, scope: &Scope, revision: i64) -> Result<Subscription, WatchEnd> {
        if !self.is_ready() {
            return Err(WatchEnd::Reset);
        }
        let group = self.group(scope);
        let position = group.watch_after(scope, revision)?;
        Ok(Subscription::new(self.clone(), group, scope.clone(), position, revision))
    }

    /// What lies in the scope, and every event after that: nothing falls in between.
    pub fn list_then_watch(&self, scope: &Scope) -> Result<(Snapshot, Subscription), StoreError> {
        self.check_ready()?;
        loop {
            let group = self.group(scope);
            // Not while everything is being replaced; nor if the group was, before this.
            let groups = self.0.groups.read();
            if !groups.by_resource.get(scope.resource_prefix()).is_some_and(|kept| Arc::ptr_eq(kept, &group)) {
                continue;
            }
            let watermark = self.revision();
            let (tree, applied, position) = group.snapshot_and_watch(scope);
            drop(groups);
            let revision = watermark.max(applied);
            let subscription = Subscription::new(self.clone(), group, scope.clone(), position, revision);
            return Ok((Snapshot { tree, scope: scope.clone(), revision }, subscription));
        }
    }
}
