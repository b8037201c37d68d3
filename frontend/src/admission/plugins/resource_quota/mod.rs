//! Quotas: what may be made in a namespace, and how much of it.
//!
//! What is used is kept in the status of each quota, and a request takes its part by a compare-and-swap of that status
//! before its object is stored. However many servers there are, no quota is exceeded: who has seen an older status is
//! refused by the store and is decided again. Within a server the requests of a namespace come one after the other.
//! What a request took and did not need, since its object was not stored after all, a controller gives back.

mod check;
mod limited;
mod usage;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use tokio::sync::Mutex;

use self::{
    check::{Check, Used},
    limited::Limited,
    usage::Counted,
};
use super::{Resource, list};
use crate::{
    admission::{Admitted, Attributes, Made, Parts, Plugin, configuration},
    api::schema::{Object, codec},
    cluster::Cluster,
    request::status::{ApiError, GroupResource},
    store::UpdateOutcome,
};

const QUOTAS: Resource = ("", "resourcequotas");
/// No objects of these are counted.
const IGNORED: [(&str, &str); 4] = [
    ("", "bindings"),
    ("", "events"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("events.k8s.io", "events"),
];
const TIME_MAX: Duration = Duration::from_secs(10);
/// How often a request is decided on a newer status, when others change it at the same time.
const ATTEMPTS: usize = 16;
/// Namespaces share so many queues.
const QUEUES: usize = 64;
/// So many statuses are kept in each queue until the cache has them; beyond that the store is asked.
const KEPT_MAX: usize = 100;

pub(in crate::admission) struct ResourceQuota {
    limited: Vec<Limited>,
    /// The quotas written last, which the cache may not have yet, by their key. Held while a request takes its part.
    queues: Vec<Mutex<HashMap<String, Arc<Object>>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Configuration {
    limited_resources: Vec<Limited>,
}

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    const VERSIONS: &[&str] = &[
        "apiserver.config.k8s.io/v1",
        "resourcequota.admission.k8s.io/v1beta1",
        "resourcequota.admission.k8s.io/v1alpha1",
    ];
    let configuration: Configuration = match &parts.config {
        Some(text) => configuration::decode(text, VERSIONS, "ResourceQuotaConfiguration")
            .or_else(|_| configuration::decode(text, VERSIONS, "Configuration"))?,
        None => Configuration::default(),
    };
    if let Some(at) = configuration.limited_resources.iter().position(|limited| limited.resource.is_empty()) {
        return Err(format!("limitedResources[{at}].resource: Required value"));
    }
    let queues = std::iter::repeat_with(Mutex::default).take(QUEUES).collect();
    Ok(Arc::new(ResourceQuota { limited: configuration.limited_resources, queues }))
}

impl Plugin for ResourceQuota {
    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let row = attributes.row();
            if attributes.namespace.is_empty() || attributes.is_namespace() || IGNORED.contains(&row) {
                return Ok(());
            }
            let Some(object) = &attributes.object else { return Ok(()) };
            let counted = Counted::of(row);
            if !(counted.counting.handles)(attributes) {
                return Ok(());
            }
            let check = Check { attributes, object, counted, limited: &self.limited, now: cluster.clock.now() };
            match tokio::time::timeout(TIME_MAX, self.take(cluster, &check)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ApiError::internal("resource quota evaluation timed out")),
            }
        })
    }
}

impl ResourceQuota {
    /// Decides the request and writes what it takes. A dropped future may leave some of it taken.
    async fn take(&self, cluster: &Cluster, check: &Check<'_>) -> Result<(), ApiError> {
        let namespace = check.attributes.namespace;
        let known = cluster.informer().list(QUOTAS, namespace)?;
        if known.is_empty() && self.limited.is_empty() {
            return Ok(());
        }
        let mut kept = self.queue(namespace).lock().await;
        let mut quotas: Vec<Arc<Object>> = known.into_iter().map(|quota| newest(&mut kept, namespace, quota)).collect();
        for _ in 0..ATTEMPTS {
            let changes = check.against(&quotas)?;
            if check.attributes.dry_run {
                return Ok(());
            }
            let mut outdated = Vec::new();
            for change in changes {
                match write(cluster, namespace, &change).await? {
                    Some(written) => keep(&mut kept, namespace, written),
                    None => outdated.push(change.quota.name().to_owned()),
                }
            }
            if outdated.is_empty() {
                return Ok(());
            }
            // Only what is not written yet is decided again, on what the store has now.
            quotas.clear();
            for name in outdated {
                kept.remove(&key(namespace, &name));
                quotas.extend(cluster.informer().read(QUOTAS, namespace, &name).await?);
            }
        }
        let name = quotas.first().map_or("", |quota| quota.name());
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Err(ApiError::conflict(&GroupResource::new("", "resourcequotas"), name, why))
    }

    fn queue(&self, namespace: &str) -> &Mutex<HashMap<String, Arc<Object>>> {
        let mut hasher = DefaultHasher::new();
        namespace.hash(&mut hasher);
        &self.queues[(hasher.finish() % QUEUES as u64) as usize]
    }
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

fn revision(quota: &Object) -> i64 {
    quota.resource_version().parse().unwrap_or(0)
}

/// The quota of the cache, or the one that was written later.
fn newest(kept: &mut HashMap<String, Arc<Object>>, namespace: &str, quota: Arc<Object>) -> Arc<Object> {
    let key = key(namespace, quota.name());
    match kept.get(&key) {
        Some(written) if revision(written) > revision(&quota) => Arc::clone(written),
        Some(_) => {
            kept.remove(&key);
            quota
        }
        None => quota,
    }
}

fn keep(kept: &mut HashMap<String, Arc<Object>>, namespace: &str, quota: Arc<Object>) {
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
    kept.insert(key(namespace, quota.name()), quota);
}

/// Writes a status; none if the quota has changed in between or is gone.
async fn write(cluster: &Cluster, namespace: &str, change: &Used) -> Result<Option<Arc<Object>>, ApiError> {
    let mut quota = (*change.quota).clone();
    quota.set(&["status", "used"], change.used.to_value());
    let kind = quota.ty().clone();
    let bytes = codec::encode_stored(&quota, &kind, codec::StorageEncoding::Protobuf);
    let key = format!("{}/resourcequotas/{namespace}/{}", cluster.store.prefix(), quota.name());
    let outcome = cluster.store.update(&key, revision(&change.quota), bytes, None).await;
    match outcome
        .map_err(|error| ApiError::internal("the usage of a quota could not be written").with_internal(error))?
    {
        UpdateOutcome::Updated { revision } => {
            quota.set_resource_version(&revision.to_string());
            Ok(Some(Arc::new(quota)))
        }
        UpdateOutcome::Changed(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
