//! What the cache keeps of a key, and the events that change it.
//!
//! An entry never changes. What is derived from it (labels, encodings) is derived at most once, by whoever needs it
//! first, and kept beside it; what those derivations are is the caller's business.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::mvccpb::KeyValue;

use super::budget::{Budget, Held};
use crate::store::{Key, Stored};

/// Which encoding of an object: the caller numbers its formats and versions, and a version anew when its schema
/// changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EncodingId(pub u64);

/// By which kind, in one version and with one schema, labels and fields are read: numbered by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KindNumber(pub u32);

/// Where parts of a value lie in it: what they are is the caller's business.
pub type Offsets = [u32; 5];

/// As what an entry is seen: by which state of a definition, and in which of its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ViewId {
    /// A later state has a greater number.
    pub definition: u64,
    pub version: u32,
}

/// What selectors look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selectable {
    pub labels: Box<[(Box<str>, Box<str>)]>,
    pub fields: Box<[(Box<str>, Box<str>)]>,
}

impl Selectable {
    pub fn label(&self, name: &str) -> Option<&str> {
        find(&self.labels, name)
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        find(&self.fields, name)
    }
}

fn find<'a>(pairs: &'a [(Box<str>, Box<str>)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
}

/// A key at one revision.
pub struct Entry {
    key: Key,
    value: Bytes,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    selectable: Kept<KindNumber, Arc<Selectable>>,
    offsets: Kept<KindNumber, Option<Offsets>>,
    memo: OnceLock<Arc<dyn Any + Send + Sync>>,
    encodings: Kept<EncodingId, Arc<Held>>,
    views: Views,
    is_converted: bool,
}

/// The views of one entry by the latest definition that asked: one for each version. Boxed, since few entries have any.
type Views = OnceLock<Box<Mutex<Vec<(ViewId, Arc<Entry>)>>>>;

impl Entry {
    /// Copies key and value into one allocation of their own: slices of a reply would keep all of it alive as long as
    /// the entry lives, a page of thousands for the one object that never changes.
    pub(super) fn from_wire(kv: &KeyValue) -> Option<Arc<Entry>> {
        std::str::from_utf8(&kv.key).ok()?;
        let mut both = Vec::with_capacity(kv.key.len() + kv.value.len());
        both.extend_from_slice(&kv.key);
        both.extend_from_slice(&kv.value);
        let both = Bytes::from(both);
        let key = Key::from_bytes(both.slice(..kv.key.len()))?;
        let value = both.slice(kv.key.len()..);
        Some(Arc::new(Entry::new(key, value, kv.create_revision, kv.mod_revision, kv.version)))
    }

    /// As `from_wire`, out of a page.
    pub(super) fn from_stored(stored: &Stored) -> Option<Arc<Entry>> {
        Entry::from_wire(&KeyValue {
            key: stored.key.as_bytes().clone(),
            value: stored.value.clone(),
            create_revision: stored.create_revision,
            mod_revision: stored.mod_revision,
            version: stored.version,
            lease: 0,
        })
    }

    /// For a reply's lifetime: shares the reply's memory.
    pub(super) fn lent(stored: Stored) -> Arc<Entry> {
        let Stored { key, value, create_revision, mod_revision, version } = stored;
        Arc::new(Entry::new(key, value, create_revision, mod_revision, version))
    }

    fn new(key: Key, value: Bytes, create_revision: i64, mod_revision: i64, version: i64) -> Entry {
        Entry {
            key,
            value,
            create_revision,
            mod_revision,
            version,
            selectable: Kept::default(),
            offsets: Kept::default(),
            memo: OnceLock::new(),
            encodings: Kept::default(),
            views: OnceLock::new(),
            is_converted: false,
        }
    }

    /// The same object as it is told about in an event at a later revision: deleted, or out of a selector.
    pub(super) fn at_revision(&self, revision: i64) -> Arc<Entry> {
        let mut twin = Entry::new(self.key.clone(), self.value.clone(), self.create_revision, revision, self.version);
        twin.is_converted = self.is_converted;
        if let Some((kind, selectable)) = self.selectable.first() {
            twin.selectable.keep(kind, selectable);
        }
        if let Some(views) = self.views.get() {
            let views = views.lock().iter().map(|(id, view)| (*id, view.at_revision(revision))).collect();
            let _ = twin.views.set(Box::new(Mutex::new(views)));
        }
        Arc::new(twin)
    }

    /// The entry as one version of a definition sees it, where a webhook converts between versions. A view has labels,
    /// fields and encodings of its own.
    pub fn view(&self, id: ViewId) -> Option<Arc<Entry>> {
        self.views.get()?.lock().iter().find(|(kept, _)| *kept == id).map(|(_, view)| Arc::clone(view))
    }

    /// Makes a view: of what a conversion has made of the value, or else of the value itself. Those by an earlier state
    /// of the definition go; one by an earlier state than those that are kept is not kept.
    pub fn keep_view(&self, id: ViewId, converted: Option<Bytes>) -> Arc<Entry> {
        let is_converted = converted.is_some();
        let value = converted.unwrap_or_else(|| self.value.clone());
        let mut view = Entry::new(self.key.clone(), value, self.create_revision, self.mod_revision, self.version);
        view.is_converted = is_converted;
        let view = Arc::new(view);
        let mut views = self.views.get_or_init(Box::default).lock();
        if views.iter().all(|(kept, _)| kept.definition <= id.definition) {
            views.retain(|(kept, _)| kept.definition == id.definition && *kept != id);
            views.push((id, Arc::clone(&view)));
        }
        view
    }

    /// The value is not what is stored, but what a conversion has made of it.
    pub fn is_converted(&self) -> bool {
        self.is_converted
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The last segment of the key: the object's name.
    pub fn name(&self) -> &str {
        let key = self.key.as_str();
        key.rsplit_once('/').map_or(key, |(_, name)| name)
    }

    /// The segment before the last: a namespaced object's namespace.
    pub fn namespace(&self) -> &str {
        self.key.as_str().rsplit('/').nth(1).unwrap_or_default()
    }

    /// The bytes as stored.
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    pub fn create_revision(&self) -> i64 {
        self.create_revision
    }

    /// The object's resourceVersion.
    pub fn mod_revision(&self) -> i64 {
        self.mod_revision
    }

    /// How often the key was written since its creation; 0 where the store does not count.
    pub fn version(&self) -> i64 {
        self.version
    }

    pub fn stored(&self) -> Stored {
        Stored {
            key: self.key.clone(),
            value: self.value.clone(),
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            version: self.version,
        }
    }

    /// Labels and fields by a kind, read by `read` the first time.
    pub fn selectable(&self, kind: KindNumber, read: impl FnOnce(&Entry) -> Selectable) -> Arc<Selectable> {
        self.selectable.get(&kind).unwrap_or_else(|| self.selectable.keep(kind, Arc::new(read(self))))
    }

    /// Where the parts of the value lie by a kind, found by `find` the first time; none where it has no such parts.
    pub fn offsets(&self, kind: KindNumber, find: impl FnOnce(&Entry) -> Option<Offsets>) -> Option<Offsets> {
        self.offsets.get(&kind).unwrap_or_else(|| self.offsets.keep(kind, find(self)))
    }

    /// Anything else derived from the value, one type per cache: made by `make` the first time. None when another type
    /// is already kept.
    pub fn memo<T: Any + Send + Sync>(&self, make: impl FnOnce(&Entry) -> T) -> Option<Arc<T>> {
        self.memo.get_or_init(|| Arc::new(make(self))).clone().downcast().ok()
    }

    /// The object in one encoding, made by `make` the first time, and again where the budget does not allow to keep it.
    pub fn encoding<E>(
        &self,
        id: EncodingId,
        budget: &Arc<Budget>,
        make: impl FnOnce(&Entry) -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        if let Some(held) = self.encodings.get(&id) {
            return Ok(held.bytes());
        }
        let bytes = make(self)?;
        if let Some(held) = Held::new(&bytes, budget) {
            self.encodings.keep(id, held);
        }
        Ok(bytes)
    }

    /// Bytes that this entry holds, its encodings aside.
    pub(super) fn weight(&self) -> usize {
        std::mem::size_of::<Entry>() + self.key.as_bytes().len() + self.value.len()
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.key, self.mod_revision)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Created,
    Updated,
    Deleted,
}

/// One change of one key.
pub struct CacheEvent {
    kind: EventKind,
    revision: i64,
    entry: Arc<Entry>,
    prev: Option<Arc<Entry>>,
    departed: OnceLock<Arc<Entry>>,
    frames: Kept<EncodingId, Bytes>,
}

impl CacheEvent {
    pub(super) fn put(entry: Arc<Entry>, prev: Option<Arc<Entry>>) -> CacheEvent {
        let kind = if prev.is_some() { EventKind::Updated } else { EventKind::Created };
        CacheEvent {
            kind,
            revision: entry.mod_revision,
            entry,
            prev,
            departed: OnceLock::new(),
            frames: Kept::default(),
        }
    }

    pub(super) fn deleted(prev: Arc<Entry>, revision: i64) -> CacheEvent {
        CacheEvent {
            kind: EventKind::Deleted,
            revision,
            entry: prev.at_revision(revision),
            prev: Some(prev),
            departed: OnceLock::new(),
            frames: Kept::default(),
        }
    }

    pub fn kind(&self) -> EventKind {
        self.kind
    }

    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The object after the change; of a deletion, the last object at the deletion's revision.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// The object before the change, at its own revision.
    pub fn prev(&self) -> Option<&Arc<Entry>> {
        self.prev.as_ref()
    }

    /// The object before the change at this event's revision: what a watcher is told whose selector it has left.
    pub fn departed(&self) -> Option<&Arc<Entry>> {
        let prev = self.prev.as_ref()?;
        if self.kind == EventKind::Deleted {
            return Some(&self.entry);
        }
        Some(self.departed.get_or_init(|| prev.at_revision(self.revision)))
    }

    /// A whole watch frame in one encoding, made by `make` the first time; shared by all watchers.
    pub fn frame<E>(&self, id: EncodingId, make: impl FnOnce(&CacheEvent) -> Result<Bytes, E>) -> Result<Bytes, E> {
        self.frames.get(&id).map_or_else(|| make(self).map(|bytes| self.frames.keep(id, bytes)), Ok)
    }

    pub(super) fn weight(&self) -> usize {
        self.entry.weight() + self.prev.as_ref().map_or(0, |prev| prev.weight())
    }
}

impl std::fmt::Debug for CacheEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.kind, self.entry)
    }
}

/// A few values, each written once and read without a lock: an append-only chain.
struct Kept<K, V>(OnceLock<Box<Link<K, V>>>);

struct Link<K, V> {
    key: K,
    value: V,
    next: Kept<K, V>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Kept(OnceLock::new())
    }
}

/// Values kept of one sort; more are made anew each time.
const KEPT_MAX: usize = 8;

impl<K: Copy + PartialEq, V: Clone> Kept<K, V> {
    fn links(&self) -> impl Iterator<Item = &Link<K, V>> {
        std::iter::successors(self.0.get(), |link| link.next.0.get()).map(|link| &**link)
    }

    fn first(&self) -> Option<(K, V)> {
        self.links().next().map(|link| (link.key, link.value.clone()))
    }

    fn get(&self, key: &K) -> Option<V> {
        self.links().find(|link| link.key == *key).map(|link| link.value.clone())
    }

    /// Keeps a value if there is room, and returns the one that is kept for the key: two may have made it at once.
    fn keep(&self, key: K, value: V) -> V {
        let mut place = &self.0;
        for _ in 0..KEPT_MAX {
            let link = place.get_or_init(|| Box::new(Link { key, value: value.clone(), next: Kept::default() }));
            if link.key == key {
                return link.value.clone();
            }
            place = &link.next.0;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Arc<Entry> {
        let kv = KeyValue {
            key: "/registry/pods/default/a".into(),
            value: "value".into(),
            create_revision: 2,
            mod_revision: 3,
            version: 2,
            lease: 0,
        };
        Entry::from_wire(&kv).unwrap()
    }

    #[test]
    fn encodings_are_made_once_and_bounded() {
        let (entry, budget) = (entry(), Arc::new(Budget::new(1000)));
        let mut made = 0;
        for round in 0..2 {
            for id in 0..20 {
                let bytes = entry
                    .encoding(EncodingId(id), &budget, |entry| {
                        made += 1;
                        assert_eq!(entry.value(), "value");
                        Ok::<_, ()>(Bytes::from(id.to_string()))
                    })
                    .unwrap();
                assert_eq!(bytes, id.to_string());
            }
            assert_eq!(made, if round == 0 { 20 } else { 32 });
        }
        assert_eq!(entry.encoding(EncodingId(99), &budget, |_| Err("no")), Err("no"));
    }

    #[test]
    fn what_the_budget_does_not_allow_is_made_anew_and_what_goes_leaves_room() {
        let budget = Arc::new(Budget::new(7));
        let made = |entry: &Entry, id| {
            let mut made = false;
            let bytes = entry.encoding(EncodingId(id), &budget, |_| {
                made = true;
                Ok::<_, ()>(Bytes::from_static(b"12345"))
            });
            assert_eq!(bytes.unwrap(), "12345");
            made
        };
        let (one, two) = (entry(), entry());
        assert!(made(&one, 1) && !made(&one, 1), "it is kept");
        assert!(made(&two, 1) && made(&two, 1), "it does not fit");
        drop(one);
        assert!(made(&two, 1) && !made(&two, 1), "there is room again");
    }

    #[test]
    fn views_go_with_the_definition_that_they_were_made_by() {
        let entry = entry();
        let id = |definition, version| ViewId { definition, version };
        let one = entry.keep_view(id(5, 1), None);
        let two = entry.keep_view(id(5, 2), Some("other".into()));
        assert_eq!((one.value().as_ref(), one.is_converted()), (&b"value"[..], false));
        assert_eq!((two.value().as_ref(), two.is_converted()), (&b"other"[..], true));
        assert!(Arc::ptr_eq(&entry.view(id(5, 1)).unwrap(), &one));
        let departed = entry.at_revision(9).view(id(5, 2)).unwrap();
        assert_eq!((departed.mod_revision(), departed.value().as_ref()), (9, &b"other"[..]));
        entry.keep_view(id(4, 1), None);
        assert!(entry.view(id(4, 1)).is_none(), "of an earlier state");
        entry.keep_view(id(6, 1), None);
        assert!(entry.view(id(5, 1)).is_none() && entry.view(id(6, 1)).is_some());
    }

    #[test]
    fn a_deletion_shows_the_last_object_at_its_own_revision() {
        let event = CacheEvent::deleted(entry(), 9);
        assert_eq!((event.kind(), event.revision(), event.entry().mod_revision()), (EventKind::Deleted, 9, 9));
        assert_eq!(event.prev().unwrap().mod_revision(), 3);
        assert_eq!(event.departed().unwrap().mod_revision(), 9);
        assert_eq!((event.entry().name(), event.entry().namespace()), ("a", "default"));
    }

    #[test]
    fn labels_and_fields_are_kept_for_each_kind_that_reads_them() {
        let entry = entry();
        let by = |kind: u32| {
            let fields = [("f".into(), kind.to_string().into())];
            entry.selectable(KindNumber(kind), |_| Selectable { fields: fields.into(), ..Selectable::default() })
        };
        assert_eq!((by(1).field("f"), by(2).field("f")), (Some("1"), Some("2")));
        assert!(Arc::ptr_eq(&by(1), &by(1)) && Arc::ptr_eq(&by(2), &by(2)));
        let twin = entry.at_revision(9);
        let kept = twin.selectable(KindNumber(1), |_| panic!("it was read before"));
        assert_eq!(kept.field("f"), Some("1"));
    }
}
