//! Objects of custom resources in versions other than the one they are stored in.
//!
//! In: stored bytes, or an object that is to be stored. Out: the object in the version of a request, or the bytes in
//! that of the store. Where the definition names a webhook it is asked, in batches where there are many; else only the
//! version is renamed, and what the other schema has no place for is dropped. What the watch cache holds is converted
//! once for each version and state of the definition, and kept as a view of the entry. Readers of the cache wait for
//! one another, so that a herd of them asks once; nobody waits longer than a call may take. Not here: built-in kinds
//! (`api::schema::convert`).

mod review;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use super::{Cluster, Endpoint, Target, Webhook, Webhooks, turns::Turns};
use crate::{
    api::{
        Api,
        custom::{Conversion, Definition},
        schema::{self, Object, Type, codec},
    },
    request::status::ApiError,
    store::{Entry, Stored, cache::ViewId},
};

/// How long a webhook may take, and how long one waits for others that ask it.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Objects sent at once.
const BATCH_OBJECTS_MAX: usize = 200;
/// A batch is sent when its objects have so many bytes.
const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The connections to conversion webhooks, and whose turn it is to ask for what the cache holds: the others wait and
/// find it made.
#[derive(Default)]
pub struct Conversions {
    webhooks: Webhooks,
    turns: Turns<ViewId, ()>,
}

impl Target {
    /// The webhook between the versions of this resource.
    fn converter(&self) -> Option<&Arc<Definition>> {
        self.definition().filter(|definition| definition.asks_webhook())
    }

    /// Whether objects in the version of the request may have to be asked for.
    pub fn is_converted(&self) -> bool {
        self.converter().is_some()
    }

    /// The object that the store holds, in the version of the request and with its resourceVersion.
    pub async fn read(&self, cluster: &Cluster, stored: &Stored) -> Result<Object, ApiError> {
        self.read_bytes(cluster, &stored.value, stored.mod_revision).await
    }

    /// The same from bytes and a revision; revision 0 (a dry run) leaves the resourceVersion out.
    pub async fn read_bytes(&self, cluster: &Cluster, bytes: &[u8], revision: i64) -> Result<Object, ApiError> {
        let Some(definition) = self.converter() else { return self.decode_bytes(bytes, revision) };
        let stored = self.decode_stored(bytes)?;
        let mut object = match stored.gvk() == &self.kind.gvk {
            true => stored,
            false => self.ask_for_one(cluster, definition, stored, &self.kind).await?,
        };
        if revision > 0 {
            object.set_resource_version(&revision.to_string());
        }
        Ok(object)
    }

    /// The bytes under which an object is stored.
    pub async fn write_bytes(&self, cluster: &Cluster, object: &Object) -> Result<Bytes, ApiError> {
        let kind = self.stored_kind()?;
        let Some(definition) = self.converter().filter(|_| object.gvk() != &kind.gvk) else {
            return self.encode(object);
        };
        let mut plain = object.clone();
        plain.set_resource_version("");
        self.encode(&self.ask_for_one(cluster, definition, plain, &kind).await?)
    }

    async fn ask_for_one(
        &self,
        cluster: &Cluster,
        definition: &Definition,
        object: Object,
        to: &Type,
    ) -> Result<Object, ApiError> {
        let mut converted = ask(cluster, &self.api, definition, &[object], to).await?;
        converted.pop().ok_or_else(|| ApiError::internal("a conversion without a result"))
    }

    /// Entries of the cache as this target sees them: views where a webhook converts, else the entries themselves.
    pub async fn views(&self, cluster: &Cluster, entries: &[Arc<Entry>]) -> Result<Vec<Arc<Entry>>, ApiError> {
        let (Some(definition), Some(id)) = (self.converter(), self.view_id()) else { return Ok(entries.to_vec()) };
        if let Some(views) = known(id, entries) {
            return Ok(views);
        }
        let turn = cluster.conversions.turns.turn(id);
        let late = |_| ApiError::unknown(review::failed(&self.kind.gvk, "context deadline exceeded"));
        let _turn = timeout(TIME_MAX, turn.lock()).await.map_err(late)?;
        let mut views: Vec<Option<Arc<Entry>>> = entries.iter().map(|entry| entry.view(id)).collect();
        let mut batch = Batch::default();
        for at in 0..entries.len() {
            if views[at].is_some() {
                continue;
            }
            let stored = self.decode_stored(entries[at].value())?;
            if stored.gvk() == &self.kind.gvk {
                views[at] = Some(entries[at].keep_view(id, None));
                continue;
            }
            batch.add(at, stored, entries[at].value().len());
            if batch.is_full() {
                self.fill(cluster, definition, std::mem::take(&mut batch), id, entries, &mut views).await?;
            }
        }
        self.fill(cluster, definition, batch, id, entries, &mut views).await?;
        Ok(views.into_iter().flatten().collect())
    }

    /// What memory has, in this version: the object of a name, or those of a namespace, or of all where it is empty.
    pub async fn known_objects(
        &self,
        cluster: &Cluster,
        namespace: &str,
        name: &str,
    ) -> Result<Vec<Arc<Object>>, ApiError> {
        let of = (&*self.resource.group, &*self.resource.plural);
        let informer = cluster.informer();
        if self.is_converted() {
            let views = self.views(cluster, &informer.entries(of, namespace, name)?).await?;
            return views.iter().map(|view| self.decode_view(view).map(Arc::new)).collect();
        }
        let found = match name {
            "" => informer.list(of, namespace)?,
            name => informer.get(of, namespace, name)?.into_iter().collect(),
        };
        let in_version = |object: Arc<Object>| match object.ty() == &self.kind {
            true => object,
            false => Arc::new(schema::convert(&object, &self.kind)),
        };
        Ok(found.into_iter().map(in_version).collect())
    }

    /// The view of one entry, if nobody has to be asked for it.
    pub fn known_view(&self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        match self.view_id().filter(|_| self.is_converted()) {
            Some(id) => entry.view(id),
            None => Some(Arc::clone(entry)),
        }
    }

    /// Keeps what was read of an object beside its entry in the cache.
    pub fn keep_view(&self, entry: &Entry, object: &Object) {
        if let Some(id) = self.view_id().filter(|_| self.is_converted()) {
            entry.keep_view(id, Some(converted_bytes(object)));
        }
    }

    async fn fill(
        &self,
        cluster: &Cluster,
        definition: &Definition,
        batch: Batch,
        id: ViewId,
        entries: &[Arc<Entry>],
        views: &mut [Option<Arc<Entry>>],
    ) -> Result<(), ApiError> {
        let converted = ask(cluster, &self.api, definition, &batch.objects, &self.kind).await?;
        for (at, object) in batch.indices.into_iter().zip(converted) {
            views[at] = Some(entries[at].keep_view(id, Some(converted_bytes(&object))));
        }
        Ok(())
    }
}

impl Cluster {
    /// An object in another version of its kind, as it is when nobody stores it.
    pub async fn convert(&self, api: &Api, object: &Object, plural: &str, to: &Type) -> Result<Object, ApiError> {
        let definition = api.definitions.get(&object.gvk().group, plural);
        match definition.filter(|definition| definition.asks_webhook() && object.gvk() != &to.gvk) {
            Some(definition) => {
                let mut converted = ask(self, api, definition, std::slice::from_ref(object), to).await?;
                converted.pop().ok_or_else(|| ApiError::internal("a conversion without a result"))
            }
            None => Ok(schema::convert(object, to)),
        }
    }
}

/// Asks the webhook of a definition.
async fn ask(
    cluster: &Cluster,
    api: &Api,
    definition: &Definition,
    objects: &[Object],
    to: &Type,
) -> Result<Vec<Object>, ApiError> {
    let (Some(first), Conversion::Webhook { client_config, review_versions }) =
        (objects.first(), &definition.conversion)
    else {
        return Ok(Vec::new());
    };
    let from = first.gvk();
    let version =
        review::version(review_versions).ok_or_else(|| ApiError::unknown("no supported conversion review versions"))?;
    let uid = uuid::Uuid::new_v4().to_string();
    let request = review::request(version, &uid, &to.gvk.api_version(), objects);
    let endpoint = Endpoint::of(client_config);
    let ca = client_config.child("caBundle").and_then(|ca| ca.as_bytes()).unwrap_or_default();
    let ca = if ca.trim_ascii().is_empty() { &[] } else { ca };
    let name = format!("{}.{}", definition.plural, definition.group);
    let hook = Webhook { uid: &name, endpoint: &endpoint, ca };
    let reply = cluster.call_webhook(&cluster.conversions.webhooks, &hook, request, TIME_MAX).await;
    let answer = reply
        .map_err(|error| error.to_string())
        .and_then(|reply| review::answer(&api.schema, &reply, version, &uid))
        .map_err(|why| ApiError::unknown(review::failed(from, &why)))?;
    review::accept(answer, objects, to).map_err(ApiError::unknown)
}

/// All views, if all were made.
fn known(id: ViewId, entries: &[Arc<Entry>]) -> Option<Vec<Arc<Entry>>> {
    entries.iter().map(|entry| entry.view(id)).collect()
}

fn converted_bytes(object: &Object) -> Bytes {
    codec::encode_stored(object, object.ty(), codec::StorageEncoding::Json)
}

/// Objects that are to be asked for together, and their indices among the entries.
#[derive(Default)]
struct Batch {
    indices: Vec<usize>,
    objects: Vec<Object>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, index: usize, object: Object, bytes: usize) {
        self.indices.push(index);
        self.objects.push(object);
        self.bytes += bytes;
    }

    fn is_full(&self) -> bool {
        self.objects.len() >= BATCH_OBJECTS_MAX || self.bytes >= BATCH_BYTES_MAX
    }
}
