//! One step of work on a definition: what is written, and whether something is left to do.

use crate::{
    api::schema::Object,
    cluster::{Cluster, Target},
    object::strategy::definitions::Condition,
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

pub(super) fn target(cluster: &Cluster, name: &str) -> Result<Target, ApiError> {
    Target::of(cluster, DEFINITIONS, "", name)
}

/// Writes a definition that was computed from this one. Another's change in between makes it moot.
pub(super) async fn write(cluster: &Cluster, key: &str, old: &Object, changed: &Object) -> Result<Work, ApiError> {
    let bytes = target(cluster, old.name())?.encode(changed)?;
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
