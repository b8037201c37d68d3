//! The whole store in memory, kept current by one watch.
//!
//! In: the store's keys below the prefix, and every change of them. Out: snapshots, watches, and the revision up to
//! which they are complete (the *watermark*). Lists copy nothing and block no writer; all watchers share the events.
//! Not here: what the values mean, and freshness: whoever needs the latest asks the store for its revision and waits
//! for that.

mod budget;
mod entry;
mod feed;
mod group;
mod layout;
mod subscription;
mod tree;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

pub use budget::Budget;
pub use entry::{CacheEvent, EncodingId, Entry, EventKind, KindNumber, Offsets, Selectable, ViewId};
pub use group::{CacheLimits, WatchEnd};
pub use layout::Scope;
pub use subscription::Subscription;

use super::{
    error::StoreError,
    model::{Key, Stored},
};
use group::Group;
use tree::Tree;

/// An event usually follows its write within a millisecond; only then ask for progress, and as often as kube-apiserver.
const PROGRESS_AFTER: Duration = Duration::from_millis(10);
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// A cheap handle; clones share everything.
#[derive(Clone)]
pub struct Cache(Arc<Shared>);

struct Shared {
    /// Below which everything lies, ending in a slash.
    root: String,
    limits: CacheLimits,
    /// For encodings of entries.
    encodings: Arc<Budget>,
    /// Written while everything is replaced, so that no reader sees half of it.
    groups: RwLock<Groups>,
    /// Everything up to here has been applied. Advanced after the groups, so that whoever reads it first and a group
    /// second has all of that group's events up to it.
    watermark: AtomicI64,
    advanced: watch::Sender<i64>,
    ready: AtomicBool,
    /// Somebody waits for a revision that no event has brought.
    progress_wanted: Notify,
}

#[derive(Default)]
struct Groups {
    by_resource: HashMap<Box<str>, Arc<Group>>,
    /// The revision at which everything was read.
    loaded_at: i64,
}

impl Cache {
    fn new(prefix: &str, limits: CacheLimits) -> Cache {
        Cache(Arc::new(Shared {
            root: format!("{prefix}/"),
            limits,
            encodings: Arc::new(Budget::new(limits.encodings_bytes_max)),
            groups: RwLock::default(),
            watermark: AtomicI64::new(0),
            advanced: watch::Sender::new(0),
            ready: AtomicBool::new(false),
            progress_wanted: Notify::new(),
        }))
    }

    /// What encodings of entries are kept within.
    pub fn encodings(&self) -> &Arc<Budget> {
        &self.0.encodings
    }

    /// Everything up to this revision has been applied; 0 before the store was read.
    pub fn revision(&self) -> i64 {
        self.0.watermark.load(Ordering::Acquire)
    }

    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }

    /// Resolves when the whole store has been read.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let mut advanced = self.0.advanced.subscribe();
        while !self.is_ready() {
            advanced.changed().await.map_err(|_| StoreError::Closed)?;
        }
        Ok(())
    }

    /// Waits until everything up to the revision has been applied.
    ///
    /// `FutureRevision` when that takes too long: the store has not got there, or its events do not arrive.
    pub async fn wait_for(&self, revision: i64, limit: Duration) -> Result<(), StoreError> {
        if self.is_ready() && self.revision() >= revision {
            return Ok(());
        }
        let deadline = Instant::now() + limit;
        let mut advanced = self.0.advanced.subscribe();
        let mut ask_at = Instant::now() + PROGRESS_AFTER;
        loop {
            let arrived = advanced.wait_for(|_| self.is_ready() && self.revision() >= revision);
            match timeout_at(ask_at.min(deadline), arrived).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(_)) => return Err(StoreError::Closed),
                Err(_) if Instant::now() >= deadline && !self.is_ready() => return Err(StoreError::NotReady),
                Err(_) if Instant::now() >= deadline => {
                    return Err(StoreError::FutureRevision { requested: revision, current: self.revision() });
                }
                Err(_) => {
                    self.0.progress_wanted.notify_one();
                    ask_at = Instant::now() + PROGRESS_EVERY;
                }
            }
        }
    }

    /// The entry of a key, as of the watermark or later.
    pub fn get(&self, key: &str) -> Result<Option<Arc<Entry>>, StoreError> {
        self.check_ready()?;
        let Some(resource) = layout::resource_of(&self.0.root, key) else { return Ok(None) };
        let groups = self.0.groups.read();
        Ok(groups.by_resource.get(resource).and_then(|group| group.get(key.as_bytes())))
    }

    /// What lies in the scope, all at one revision no older than the watermark.
    pub fn snapshot(&self, scope: &Scope) -> Result<Snapshot, StoreError> {
        self.check_ready()?;
        let groups = self.0.groups.read();
        let watermark = self.revision();
        let (tree, applied) =
            groups.by_resource.get(scope.resource_prefix()).map_or_else(|| (Tree::new(), 0), |group| group.snapshot());
        Ok(Snapshot { tree, scope: scope.clone(), revision: watermark.max(applied) })
    }

    /// The revision of the latest change of the scope's resource that was applied; 0 before there was one.
    pub fn changed_at(&self, scope: &Scope) -> i64 {
        let groups = self.0.groups.read();
        groups.by_resource.get(scope.resource_prefix()).map_or(0, |group| group.snapshot().1)
    }

    /// What lay in the scope at this revision, if memory still knows.
    pub fn snapshot_at(&self, scope: &Scope, revision: i64) -> Option<Snapshot> {
        self.check_ready().ok()?;
        let groups = self.0.groups.read();
        let watermark = self.revision();
        let tree = match groups.by_resource.get(scope.resource_prefix()) {
            Some(group) => group.snapshot_at(revision, watermark)?,
            None if (groups.loaded_at..=watermark).contains(&revision) => Tree::new(),
            None => return None,
        };
        Some(Snapshot { tree, scope: scope.clone(), revision })
    }

    /// Keeps a snapshot for a while, to be found again by its revision.
    pub(super) fn keep(&self, snapshot: &Snapshot) {
        let groups = self.0.groups.read();
        if let Some(group) = groups.by_resource.get(snapshot.scope.resource_prefix()) {
            group.keep(snapshot.revision, &snapshot.tree);
        }
    }

    /// The entry that is kept of this version of the key, or a new one.
    pub(super) fn known_or(&self, stored: Stored) -> Arc<Entry> {
        let known = layout::resource_of(&self.0.root, stored.key.as_str())
            .and_then(|resource| self.known(resource, stored.key.as_bytes(), stored.mod_revision));
        known.unwrap_or_else(|| Entry::lent(stored))
    }

    /// The entry that is kept, if it is of this revision.
    fn known(&self, resource: &str, key: &[u8], mod_revision: i64) -> Option<Arc<Entry>> {
        let group = self.0.groups.read().by_resource.get(resource)?.clone();
        group.get(key).filter(|entry| entry.mod_revision() == mod_revision)
    }

    /// Every change of the key after the revision, up to the watermark; None when they are not all kept.
    pub fn history(&self, key: &str, revision: i64) -> Option<Vec<Arc<CacheEvent>>> {
        let resource = layout::resource_of(&self.0.root, key)?;
        let groups = self.0.groups.read();
        match groups.by_resource.get(resource) {
            Some(group) => group.history(key, revision),
            None if revision >= groups.loaded_at => Some(Vec::new()),
            None => None,
        }
    }

    /// How many entries each resource has, by its prefix.
    pub fn sizes(&self) -> Vec<(String, usize)> {
        let groups = self.0.groups.read();
        groups.by_resource.values().map(|group| (group.name().to_owned(), group.len())).collect()
    }

    fn check_ready(&self) -> Result<(), StoreError> {
        if self.is_ready() { Ok(()) } else { Err(StoreError::NotReady) }
    }

    /// A resource without entries is made a group of, so that it can be watched. Scopes name the resources that this
    /// server serves, which bounds them.
    fn group(&self, scope: &Scope) -> Arc<Group> {
        self.group_named(scope.resource_prefix())
    }

    fn group_named(&self, resource: &str) -> Arc<Group> {
        if let Some(group) = self.0.groups.read().by_resource.get(resource) {
            return group.clone();
        }
        let mut groups = self.0.groups.write();
        let (loaded_at, limits) = (groups.loaded_at, self.0.limits);
        let make = || Arc::new(Group::new(resource, Tree::new(), loaded_at, limits));
        groups.by_resource.entry(resource.into()).or_insert_with(make).clone()
    }

    fn advance(&self, revision: i64) {
        if self.0.watermark.fetch_max(revision, Ordering::AcqRel) < revision {
            self.0.advanced.send_replace(revision);
        }
    }
}

/// What lies in a scope at one revision. Holding it costs only what has changed since.
#[derive(Clone)]
pub struct Snapshot {
    tree: Tree,
    scope: Scope,
    revision: i64,
}

impl Snapshot {
    /// The revision that this shows; a list's resourceVersion.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> tree::Range<'_> {
        let (start, end) = self.scope.bounds();
        self.tree.range(&start, end)
    }

    /// The entries from this key on (which need not exist), in the order of their keys.
    pub fn iter_from(&self, key: &str) -> tree::Range<'_> {
        let (start, end) = self.scope.bounds();
        self.tree.range(key.as_bytes().max(&start), end)
    }

    pub fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.tree.get(key.as_bytes()).filter(|_| self.scope.contains(key))
    }

    pub fn len(&self) -> usize {
        let (start, end) = self.scope.bounds();
        self.tree.rank(&end).saturating_sub(self.tree.rank(&start))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries follow this key.
    pub fn count_after(&self, key: &Key) -> usize {
        let (_, end) = self.scope.bounds();
        let behind: Bytes = [key.as_bytes(), &b"\0"[..]].concat().into();
        self.tree.rank(&end).saturating_sub(self.tree.rank(&behind))
    }
}
