//! One resource in the cache: its entries now, its latest events, and who wants to know of new ones.
//!
//! Events are kept once, in a bounded ring that all watchers read at their own pace; a watcher holds a position, not a
//! queue, and learns by a mark that events concern it. A slow watcher therefore costs nobody anything; when the ring
//! has moved past it, it is told so. Everything here happens under one short lock a resource, never across an await.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use proto::mvccpb::{Event, event::EventType};
use tokio::{sync::Notify, time::Instant};

use super::{CacheEvent, Entry, Scope, layout::namespace_of, tree::Tree};

/// How much history is kept of each resource, and how much of what could be made again.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Never fewer than these, if there were as many.
    pub events_min: usize,
    pub events_max: usize,
    pub bytes_max: usize,
    /// For encodings of entries, of all resources together.
    pub encodings_bytes_max: usize,
    /// Events younger than this are kept within the upper bounds.
    pub fresh_for: Duration,
}

impl Default for CacheLimits {
    fn default() -> CacheLimits {
        CacheLimits {
            events_min: 1024,
            events_max: 102_400,
            bytes_max: 128 << 20,
            // Lists of ten thousand pods repeat at the cost of sending them.
            encodings_bytes_max: 128 << 20,
            // As long as kube-apiserver keeps them: longer than a bookmark's period of a minute.
            fresh_for: Duration::from_secs(75),
        }
    }
}

/// A change that contradicts what the cache holds: an event was lost, and only reading everything again helps.
#[derive(Debug, thiserror::Error)]
#[error("the event of {key} at revision {revision} does not follow what the cache holds: {why}")]
pub(super) struct Gap {
    key: String,
    revision: i64,
    why: &'static str,
}

/// A watcher's mark: the sequence number of the first event that may concern it, or CLEAN. Set under the lock of its
/// group, and by a reset to something else than CLEAN; so that whoever has nothing to read sees that without the lock.
pub(super) struct Mark {
    dirty_from: AtomicU64,
    pub(super) wake: Notify,
}

const CLEAN: u64 = u64::MAX;

/// How many states of a resource are kept for paged lists, and for how long; then the store has them.
const KEPT_MAX: usize = 16;
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Events looked at under one lock.
const SCAN_MAX: usize = 4096;

pub(super) struct Group {
    /// The resource's prefix, ending in a slash.
    name: Box<str>,
    inner: Mutex<Inner>,
}

struct Inner {
    tree: Tree,
    ring: Ring,
    /// The revision of the latest change here.
    applied: i64,
    /// Grows when the history was lost; watchers of an older one are at their end.
    epoch: u64,
    /// Earlier states of the tree, for lists that are read in pages; the latest last.
    kept: VecDeque<(Instant, i64, Tree)>,
    /// By the key prefix (all, a namespace) or key watched.
    watchers: HashMap<Box<str>, Vec<Arc<Mark>>>,
}

struct Ring {
    limits: CacheLimits,
    events: VecDeque<(Instant, Arc<CacheEvent>)>,
    /// The sequence number of the first event in the ring.
    first: u64,
    bytes: usize,
    /// Events of this revision and older are not in the ring.
    floor: i64,
}

impl Ring {
    fn next_sequence(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn push(&mut self, event: Arc<CacheEvent>, now: Instant) {
        self.bytes += event.weight();
        self.events.push_back((now, event));
        while let Some((at, _)) = self.events.front() {
            let (count, limits) = (self.events.len(), &self.limits);
            let stale = now.duration_since(*at) > limits.fresh_for;
            let over = count > limits.events_max || (self.bytes > limits.bytes_max && count > 1);
            let surplus = stale && count > limits.events_min;
            if !over && !surplus {
                break;
            }
            let Some((_, gone)) = self.events.pop_front() else { break };
            self.bytes -= gone.weight();
            self.first += 1;
            self.floor = gone.revision();
        }
    }

    /// The sequence number of the first event after the revision; None when it may have left.
    fn after(&self, revision: i64) -> Option<u64> {
        if revision < self.floor {
            return None;
        }
        let before = self.events.partition_point(|(_, event)| event.revision() <= revision);
        Some(self.first + before as u64)
    }
}

/// Where a watcher stands.
pub(super) struct Position {
    pub(super) mark: Arc<Mark>,
    epoch: u64,
}

impl Position {
    /// Whether the watcher has seen every event applied so far.
    pub(super) fn is_clean(&self) -> bool {
        self.mark.dirty_from.load(Ordering::Acquire) == CLEAN
    }
}

/// Why a watcher gets no more events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchEnd {
    /// Events after the revision asked for are not all kept: the client must list again. `oldest` is the oldest
    /// revision that a watch could begin at.
    #[error("too old resource version: {requested} ({oldest})")]
    Expired { requested: i64, oldest: i64 },
    /// The watcher fell so far behind that events were dropped before it read them.
    #[error("the watcher was too slow and missed events")]
    TooSlow,
    /// The cache had to be read anew from the store; events in between are unknown.
    #[error("the watch cache was reinitialised")]
    Reset,
}

impl Group {
    pub(super) fn new(name: &str, tree: Tree, revision: i64, limits: CacheLimits) -> Group {
        let ring = Ring { limits, events: VecDeque::new(), first: 0, bytes: 0, floor: revision };
        let kept = VecDeque::new();
        let inner = Inner { tree, ring, applied: revision, epoch: 0, kept, watchers: HashMap::new() };
        Group { name: name.into(), inner: Mutex::new(inner) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The entries, and the revision of the latest change among them.
    pub(super) fn snapshot(&self) -> (Tree, i64) {
        let inner = self.inner.lock();
        (inner.tree.clone(), inner.applied)
    }

    /// The entries as they were at the revision, if that is still known. `watermark`: read before this call.
    pub(super) fn snapshot_at(&self, revision: i64, watermark: i64) -> Option<Tree> {
        let inner = self.inner.lock();
        if inner.applied <= revision && revision <= watermark.max(inner.applied) {
            return Some(inner.tree.clone());
        }
        let (_, _, tree) = inner.kept.iter().find(|(_, at, _)| *at == revision)?;
        Some(tree.clone())
    }

    /// Keeps a state for those who page through it. It costs what has changed since.
    pub(super) fn keep(&self, revision: i64, tree: &Tree) {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        while inner.kept.len() >= KEPT_MAX
            || inner.kept.front().is_some_and(|(at, _, _)| now.duration_since(*at) > KEPT_FOR)
        {
            inner.kept.pop_front();
        }
        if inner.kept.iter().all(|(_, at, _)| *at != revision) {
            inner.kept.push_back((now, revision, tree.clone()));
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.inner.lock().tree.get(key).cloned()
    }

    /// Replaces everything. Who watched is at the end.
    pub(super) fn reset(&self, tree: Tree, revision: i64) {
        let mut inner = self.inner.lock();
        inner.tree = tree;
        inner.applied = revision;
        inner.epoch += 1;
        inner.kept.clear();
        inner.ring.first = inner.ring.next_sequence();
        inner.ring.events.clear();
        inner.ring.bytes = 0;
        inner.ring.floor = revision;
        for mark in inner.watchers.drain().flat_map(|(_, marks)| marks) {
            mark.dirty_from.store(0, Ordering::Release);
            mark.wake.notify_one();
        }
    }

    /// Applies changes in order. Those not newer than what was applied before came twice and are left out.
    pub(super) fn apply(&self, events: &[&Event]) -> Result<(), Gap> {
        let now = Instant::now();
        // Freed after the lock is.
        let mut replaced = Vec::new();
        let mut inner = self.inner.lock();
        let applied = inner.applied;
        for event in events {
            let Some(kv) = event.kv.as_ref().filter(|kv| kv.mod_revision > applied) else { continue };
            let Some(change) = inner.tree.change(event)? else { continue };
            replaced.extend(change.prev().cloned());
            inner.applied = kv.mod_revision;
            inner.publish(&self.name, Arc::new(change), now);
        }
        drop(inner);
        Ok(())
    }

    /// Registers a watcher that gets every event after the revision.
    pub(super) fn watch_after(&self, scope: &Scope, revision: i64) -> Result<Position, WatchEnd> {
        let mut inner = self.inner.lock();
        let oldest = inner.ring.floor;
        let from = inner.ring.after(revision).ok_or(WatchEnd::Expired { requested: revision, oldest })?;
        let dirty_from = if from < inner.ring.next_sequence() { from } else { CLEAN };
        Ok(inner.register(scope, dirty_from))
    }

    /// The entries, the revision of the latest change, and a watcher that gets every event after.
    pub(super) fn snapshot_and_watch(&self, scope: &Scope) -> (Tree, i64, Position) {
        let mut inner = self.inner.lock();
        let position = inner.register(scope, CLEAN);
        (inner.tree.clone(), inner.applied, position)
    }

    pub(super) fn unwatch(&self, scope: &Scope, position: &Position) {
        let mut inner = self.inner.lock();
        if let Some(marks) = inner.watchers.get_mut(scope.key_prefix()) {
            marks.retain(|mark| !Arc::ptr_eq(mark, &position.mark));
            if marks.is_empty() {
                inner.watchers.remove(scope.key_prefix());
            }
        }
    }

    /// Up to `max` events that the watcher has not seen; none: it has seen all.
    pub(super) fn take(
        &self,
        scope: &Scope,
        position: &Position,
        max: usize,
    ) -> Result<Vec<Arc<CacheEvent>>, WatchEnd> {
        if position.is_clean() {
            return Ok(Vec::new());
        }
        let inner = self.inner.lock();
        if inner.epoch != position.epoch {
            return Err(WatchEnd::Reset);
        }
        let from = position.mark.dirty_from.load(Ordering::Relaxed);
        let skip = from.checked_sub(inner.ring.first).ok_or(WatchEnd::TooSlow)?;
        let mut taken = Vec::new();
        let mut next = from;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(inner.ring.events.len());
        for (_, event) in inner.ring.events.range(skip..).take(SCAN_MAX) {
            if taken.len() >= max {
                break;
            }
            next += 1;
            if scope.contains(event.entry().key().as_str()) {
                taken.push(event.clone());
            }
        }
        let dirty_from = if next < inner.ring.next_sequence() { next } else { CLEAN };
        position.mark.dirty_from.store(dirty_from, Ordering::Release);
        Ok(taken)
    }

    /// All changes of one key after the revision; None when they are not all kept.
    pub(super) fn history(&self, key: &str, revision: i64) -> Option<Vec<Arc<CacheEvent>>> {
        let inner = self.inner.lock();
        let from = inner.ring.after(revision)?;
        let skip = usize::try_from(from - inner.ring.first).ok()?;
        let events = inner.ring.events.range(skip..).map(|(_, event)| event);
        Some(events.filter(|event| event.entry().key().as_str() == key).cloned().collect())
    }

    pub(super) fn len(&self) -> usize {
        self.inner.lock().tree.len()
    }
}

impl Inner {
    fn register(&mut self, scope: &Scope, dirty_from: u64) -> Position {
        let mark = Arc::new(Mark { dirty_from: AtomicU64::new(dirty_from), wake: Notify::new() });
        self.watchers.entry(scope.key_prefix().into()).or_default().push(mark.clone());
        Position { mark, epoch: self.epoch }
    }

    fn publish(&mut self, resource: &str, event: Arc<CacheEvent>, now: Instant) {
        let sequence = self.ring.next_sequence();
        let key = event.entry().key().clone();
        self.ring.push(event, now);
        let wanted = [Some(resource), namespace_of(resource, key.as_str()), Some(key.as_str())];
        for mark in wanted.into_iter().flatten().filter_map(|part| self.watchers.get(part)).flatten() {
            if mark.dirty_from.load(Ordering::Relaxed) == CLEAN {
                mark.dirty_from.store(sequence, Ordering::Release);
                mark.wake.notify_one();
            }
        }
    }
}

impl Tree {
    /// Applies one change; None when the key is none of ours. The store counts a key's writes, which shows a lost
    /// event.
    fn change(&mut self, event: &Event) -> Result<Option<CacheEvent>, Gap> {
        let Some(kv) = &event.kv else { return Ok(None) };
        let gap = |why| Gap { key: kv.key.escape_ascii().to_string(), revision: kv.mod_revision, why };
        if event.r#type() == EventType::Delete {
            let Some(prev) = self.remove(&kv.key) else { return Err(gap("a deletion of a missing key")) };
            return Ok(Some(CacheEvent::deleted(prev, kv.mod_revision)));
        }
        let Some(entry) = Entry::from_wire(kv) else { return Ok(None) };
        let known = self.get(&kv.key);
        // A store that does not count versions (kine) sends 0.
        if kv.version > 1 && known.is_none_or(|prev| prev.version() != 0 && prev.version() + 1 != kv.version) {
            return Err(gap("a change of another version"));
        }
        if kv.version == 1 && known.is_some() {
            return Err(gap("a creation of an existing key"));
        }
        let prev = self.insert(entry.clone());
        Ok(Some(CacheEvent::put(entry, prev)))
    }
}
