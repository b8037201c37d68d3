//! The end of a definition: its objects go first, then its finalizer, and with that the definition itself.

use super::step::{Work, set, unsettled, write};
use crate::{
    api::{custom::is_true, schema::Object},
    cluster::{Cluster, Target},
    object::strategy::definitions::{CLEANUP, Condition},
    request::status::ApiError,
    store::{DeleteOutcome, PageRequest, Stored, UpdateOutcome},
};

/// Objects read at once.
const PAGE: i64 = 500;

/// Whether a definition waits for its objects to be removed.
pub(super) fn is_due(object: &Object) -> bool {
    object.deletion_timestamp().is_some() && object.finalizers().any(|finalizer| finalizer == CLEANUP)
}

pub(super) async fn clean_up(cluster: &Cluster, key: &str, object: &Object) -> Result<Work, ApiError> {
    let now = cluster.now_text();
    let progress = "CustomResource deletion is in progress";
    let progress = Condition::new("Terminating", "True", "InstanceDeletionInProgress", progress);
    if !progress.stands_in(object) {
        return write(cluster, key, object, &set(object, &progress, &now)).await;
    }
    if is_true(object, "Established") && !remove_instances(cluster, object).await? {
        return Ok(Work::Left);
    }
    let done = if is_true(object, "Established") {
        Condition::new("Terminating", "False", "InstanceDeletionCompleted", "removed all instances")
    } else {
        Condition::new("Terminating", "False", "NeverEstablished", "resource was never established")
    };
    let mut last = set(object, &done, &now);
    let rest: Vec<String> = object.finalizers().filter(|f| *f != CLEANUP).map(str::to_owned).collect();
    last.set_finalizers(rest.iter().map(String::as_str));
    if !rest.is_empty() {
        return write(cluster, key, object, &last).await;
    }
    let revision = object.resource_version().parse().unwrap_or(0);
    match cluster.store.delete(key, revision).await {
        Ok(DeleteOutcome::Deleted { .. } | DeleteOutcome::Changed(_)) => Ok(Work::Done),
        Err(error) => Err(unsettled(&error)),
    }
}

/// Removes every object that nothing holds back; true when none is left.
async fn remove_instances(cluster: &Cluster, object: &Object) -> Result<bool, ApiError> {
    let text = |path: &[&str]| object.get_str(path).unwrap_or_default();
    let (group, plural) = (text(&["spec", "group"]), text(&["status", "acceptedNames", "plural"]));
    let prefix = format!("{}/{group}/{plural}/", cluster.store.prefix());
    let mut start = None;
    let mut left = false;
    loop {
        let request = PageRequest { prefix: prefix.clone(), start, limit: PAGE, revision: 0, keys_only: false };
        let page = cluster.store.page(&request).await.map_err(|error| unsettled(&error))?;
        for stored in &page.items {
            left |= !remove_instance(cluster, (group, plural), stored).await?;
        }
        match page.items.last().filter(|_| page.more) {
            Some(last) => start = Some(format!("{}\0", last.key)),
            None => return Ok(!left),
        }
    }
}

/// True when the object is gone; one with finalizers is marked, as any deletion does.
async fn remove_instance(cluster: &Cluster, of: (&str, &str), stored: &Stored) -> Result<bool, ApiError> {
    let store = &cluster.store;
    let target = Target::of(cluster, of, "", "")?;
    let decoded = target.decode_any(stored);
    let Some(mut instance) = decoded.ok().filter(|instance| instance.finalizers().next().is_some()) else {
        let outcome = store.delete(stored.key.as_str(), stored.mod_revision).await;
        return match outcome.map_err(|error| unsettled(&error))? {
            DeleteOutcome::Deleted { .. } | DeleteOutcome::Changed(None) => Ok(true),
            DeleteOutcome::Changed(Some(_)) => Ok(false),
        };
    };
    if instance.deletion_timestamp().is_none() {
        instance.set_deletion_timestamp(Some(&cluster.now_text()));
        instance.set_deletion_grace_period_seconds(Some(0));
        instance.set_generation(instance.generation() + 1);
        let bytes = target.encode(&instance)?;
        let outcome = store.update(stored.key.as_str(), stored.mod_revision, bytes, None).await;
        match outcome.map_err(|error| unsettled(&error))? {
            UpdateOutcome::Updated { .. } | UpdateOutcome::Changed(_) => {}
        }
    }
    Ok(false)
}
