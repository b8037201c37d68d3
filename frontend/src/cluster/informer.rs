//! Decoded objects of resources, kept current by the watch cache: what admission, access and strategies know of the
//! cluster.
//!
//! In: the group and plural of a resource that the registry has a row of. Out: objects in the preferred version of the
//! row, defaulted as a client would see them. An object is decoded once for each of its revisions and shared. What is
//! told is as fresh as the last watch event; who must not miss what was written a moment ago asks with
//! [`Informer::find`], which looks into the store for what memory does not have. Not here: changing objects.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Cluster, known_kind};
use crate::{
    api::{
        Api,
        registry::{Resource, Storage},
        schema::{Object, Type, apply_defaults, codec, convert},
    },
    request::status::ApiError,
    store::{Entry, Scope, Snapshot, StoreError},
};

/// A resource by its group and plural: `("", "pods")`.
pub type ResourceName<'a> = (&'a str, &'a str);

/// Reads the objects of a cluster. Cheap to make.
#[derive(Clone, Copy)]
pub struct Informer<'a> {
    cluster: &'a Cluster,
}

impl Cluster {
    pub fn informer(&self) -> Informer<'_> {
        Informer { cluster: self }
    }
}

/// The row of a resource and what its objects are decoded with.
struct Source {
    api: Arc<Api>,
    resource: Arc<Resource>,
    kind: Type,
}

impl Source {
    fn storage(&self) -> Result<&Storage, ApiError> {
        self.resource.storage.as_ref().ok_or_else(|| unreadable(&"the resource is not stored"))
    }

    fn decode(&self, bytes: &[u8], revision: i64) -> Result<Object, ApiError> {
        let mut stored = codec::decode_stored(&self.api.schema, bytes).map_err(|error| unreadable(&error))?;
        // A custom resource is defaulted by the version that it is stored in.
        if self.resource.custom {
            apply_defaults(&mut stored);
        }
        let mut object = convert(&stored, &self.kind);
        if !self.resource.custom {
            apply_defaults(&mut object);
        }
        object.set_resource_version(&revision.to_string());
        Ok(object)
    }

    /// The decoded object of an entry. Objects of custom resources are decoded each time, since their types may change.
    fn object(&self, entry: &Entry) -> Result<Arc<Object>, ApiError> {
        let decode = |entry: &Entry| self.decode(entry.value(), entry.mod_revision()).map(Arc::new);
        if self.resource.custom {
            return decode(entry);
        }
        match entry.memo(|entry| decode(entry).ok()).as_deref() {
            Some(Some(object)) => Ok(Arc::clone(object)),
            _ => decode(entry),
        }
    }
}

impl<'a> Informer<'a> {
    /// One object, as memory has it.
    pub fn get(&self, of: ResourceName<'_>, namespace: &str, name: &str) -> Result<Option<Arc<Object>>, ApiError> {
        let source = self.source(of)?;
        self.entry(&source, namespace, name)?.map(|entry| source.object(&entry)).transpose()
    }

    /// The entries of what memory has: the one of a name, or those of a namespace, or of all where it is empty.
    pub(super) fn entries(
        &self,
        of: ResourceName<'_>,
        namespace: &str,
        name: &str,
    ) -> Result<Vec<Arc<Entry>>, ApiError> {
        let source = self.source(of)?;
        if name.is_empty() {
            return Ok(self.snapshot(&source, namespace)?.iter().cloned().collect());
        }
        Ok(self.entry(&source, namespace, name)?.into_iter().collect())
    }

    /// One object; what memory has not seen yet is looked up in the store itself.
    pub async fn find(
        &self,
        of: ResourceName<'_>,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Object>>, ApiError> {
        if let Some(object) = self.get(of, namespace, name)? {
            return Ok(Some(object));
        }
        self.read(of, namespace, name).await
    }

    /// One object as the store has it now.
    pub async fn read(
        &self,
        of: ResourceName<'_>,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Object>>, ApiError> {
        let source = self.source(of)?;
        let stored = self.cluster.store.get(&self.key(&source, namespace, name)?).await.map_err(not_read)?;
        stored.map(|stored| source.decode(&stored.value, stored.mod_revision).map(Arc::new)).transpose()
    }

    /// All objects of a namespace, or of all namespaces when it is empty, in the order of their names. What cannot be
    /// decoded is left out and said in the log.
    pub fn list(&self, of: ResourceName<'_>, namespace: &str) -> Result<Vec<Arc<Object>>, ApiError> {
        let source = self.source(of)?;
        let snapshot = self.snapshot(&source, namespace)?;
        let decoded = snapshot.iter().filter_map(|entry| match source.object(entry) {
            Ok(object) => Some(object),
            Err(error) => {
                tracing::warn!(key = %entry.key(), cause = error.internal, "an object cannot be decoded");
                None
            }
        });
        Ok(decoded.collect())
    }

    /// A number that moves whenever an object of the resource changes, appears or goes.
    pub fn version(&self, of: ResourceName<'_>) -> i64 {
        let Ok(source) = self.source(of) else { return 0 };
        let Ok(storage) = source.storage() else { return 0 };
        let scope = Scope::resource(&format!("{}{}", self.cluster.store.prefix(), storage.prefix));
        self.cluster.store.cache().changed_at(&scope)
    }

    fn entry(&self, source: &Source, namespace: &str, name: &str) -> Result<Option<Arc<Entry>>, ApiError> {
        self.cluster.store.cache().get(&self.key(source, namespace, name)?).map_err(not_read)
    }

    fn snapshot(&self, source: &Source, namespace: &str) -> Result<Snapshot, ApiError> {
        let prefix = format!("{}{}", self.cluster.store.prefix(), source.storage()?.prefix);
        let scope = match namespace {
            "" => Scope::resource(&prefix),
            namespace => Scope::namespace(&prefix, namespace),
        };
        self.cluster.store.cache().snapshot(&scope).map_err(not_read)
    }

    fn key(&self, source: &Source, namespace: &str, name: &str) -> Result<String, ApiError> {
        Ok(format!("{}{}", self.cluster.store.prefix(), source.storage()?.key(namespace, name)))
    }

    fn source(&self, (group, plural): ResourceName<'_>) -> Result<Source, ApiError> {
        let api = self.cluster.api.load();
        let versions = api.registry.group(group).map(|group| group.versions.as_slice()).unwrap_or_default();
        let resource = versions
            .iter()
            .find_map(|version| version.resources.iter().find(|resource| resource.plural == plural))
            .cloned()
            .ok_or_else(|| unreadable(&format_args!("no resource {plural} of group {group:?}")))?;
        let kind = known_kind(&api.schema, &resource.group, &resource.version, &resource.kind)?;
        Ok(Source { api, resource, kind })
    }
}

fn not_read(error: StoreError) -> ApiError {
    match error {
        StoreError::NotReady | StoreError::Unavailable(_) | StoreError::Closed => {
            ApiError::service_unavailable("the store is unavailable, please try again").with_internal(error)
        }
        error => unreadable(&error),
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::internal("an object of the cluster could not be read").with_internal(error)
}

/// Something computed from the objects of a few resources, kept until one of them changes. Of several that find it out
/// of date at once, one computes it and the others wait.
pub struct Derived<T> {
    resources: &'static [ResourceName<'static>],
    kept: Mutex<Option<Kept<T>>>,
}

struct Kept<T> {
    versions: Vec<i64>,
    value: Arc<T>,
}

impl<T> Derived<T> {
    pub const fn of(resources: &'static [ResourceName<'static>]) -> Derived<T> {
        Derived { resources, kept: Mutex::new(None) }
    }

    /// The kept value while the resources are as they were, else a new one. A failure is not kept.
    pub fn get<E>(&self, informer: Informer<'_>, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut kept = self.kept.lock();
        // The versions are read before the objects: what changes in between is noticed the next time.
        let versions: Vec<i64> = self.resources.iter().map(|resource| informer.version(*resource)).collect();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.versions == versions) {
            return Ok(Arc::clone(&kept.value));
        }
        let value = Arc::new(make()?);
        *kept = Some(Kept { versions, value: Arc::clone(&value) });
        Ok(value)
    }
}
