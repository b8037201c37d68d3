//! One step of work on a definition: what is written, and whether something is left to do.

use crate::{
    api::schema::Object,
    cluster::{Cluster, Target},
    object::{
        managed_fields::{FieldManager, Versions},
        strategy::{self, definitions::Condition},
    },
    request::status::ApiError,
    store::{StoreError, UpdateOutcome},
};

pub(super) const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// Whether something is to be tried again later.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Done,
    Left,
}

/// What this server changes in a definition's status is its own.
fn owned(old: &Object, changed: &Object, now: &str) -> Object {
    let mut changed = changed.clone();
    let manager = FieldManager {
        name: "kube-apiserver",
        subresource: "status",
        now,
        reset: strategy::reset(DEFINITIONS, "status"),
        versions: &OwnVersion,
    };
    manager.update(Some(old), &mut changed);
    changed
}

/// Definitions have one version.
struct OwnVersion;

impl Versions for OwnVersion {
    fn serves(&self, object: &Object, api_version: &str) -> bool {
        object.gvk().api_version() == api_version
    }

    fn convert(&self, object: &Object, api_version: &str) -> Result<Option<Object>, String> {
        Ok(self.serves(object, api_version).then(|| object.clone()))
    }
}

pub(super) fn target(cluster: &Cluster, name: &str) -> Result<Target, ApiError> {
    Target::of(cluster, DEFINITIONS, "", name)
}

/// Writes a definition that was computed from this one. Another's change in between makes it moot.
pub(super) async fn write(cluster: &Cluster, key: &str, old: &Object, changed: &Object) -> Result<Work, ApiError> {
    let bytes = target(cluster, old.name())?.encode(&owned(old, changed, &cluster.now_text()))?;
    let revision = old.resource_version().parse().unwrap_or(0);
    match cluster.store.update(key, revision, bytes, None).await {
        Ok(UpdateOutcome::Updated { .. } | UpdateOutcome::Changed(_)) => Ok(Work::Done),
        Err(error) => Err(unsettled(&error)),
    }
}

pub(super) fn unsettled(error: &StoreError) -> ApiError {
    ApiError::internal("a definition could not be written").with_internal(error)
}

pub(super) fn set(object: &Object, condition: &Condition, now: &str) -> Object {
    let mut changed = object.clone();
    condition.set_in(&mut changed, now);
    changed
}
