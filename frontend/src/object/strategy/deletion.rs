//! What deletion means for single resources.

use super::definitions;
use crate::{api::schema::Object, cluster::Target};

/// What the garbage collector does with dependents when a client says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    Dependents,
    Orphan,
    /// Has no dependents.
    Unsupported,
}

pub fn collection(row: (&str, &str), version: &str) -> Collection {
    match row {
        ("", "events") | ("events.k8s.io", "events") => Collection::Unsupported,
        ("batch", "jobs") if version == "v1" => Collection::Orphan,
        ("", "replicationcontrollers") => Collection::Orphan,
        _ => Collection::Dependents,
    }
}

/// Why an object of this name is never deleted by itself.
pub fn refused_deletion(row: (&str, &str), name: &str) -> Option<&'static str> {
    match (row, name) {
        (("scheduling.k8s.io", "priorityclasses"), "system-cluster-critical" | "system-node-critical") => {
            Some("this is a system priority class and cannot be deleted")
        }
        _ => None,
    }
}

/// How long a deletion is announced before it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// The resource knows no grace.
    None,
    Seconds(i64),
}

/// The grace of a deletion, given what the client asked for.
pub fn grace(row: (&str, &str), object: &Object, asked: Option<i64>) -> Grace {
    if row != ("", "pods") {
        return Grace::None;
    }
    let own = object.get_i64(&["spec", "terminationGracePeriodSeconds"]).unwrap_or(30);
    let period = asked.unwrap_or(own);
    let unscheduled = object.get_str(&["spec", "nodeName"]).unwrap_or_default().is_empty();
    let finished = matches!(object.get_str(&["status", "phase"]), Some("Succeeded" | "Failed"));
    if unscheduled || finished {
        return Grace::Seconds(0);
    }
    Grace::Seconds(if period < 0 { 1 } else { period })
}

/// Objects that outlive their deletion until somebody finalizes them: the object with its deletion written into it, or
/// as it is if that was done. None: the deletion takes its usual way.
pub fn keeps_for_deletion(target: &Target, object: &Object, now: &str) -> Option<Object> {
    if target.row() == ("apiextensions.k8s.io", "customresourcedefinitions") {
        return definitions::begin_end(object, now);
    }
    if target.row() != ("", "namespaces") {
        return None;
    }
    let mut kept = object.clone();
    if object.deletion_timestamp().is_none() {
        kept.set_deletion_timestamp(Some(now));
        kept.set(&["status", "phase"], "Terminating");
        return Some(kept);
    }
    let finalizers = object.get_list(&["spec", "finalizers"]).unwrap_or_default();
    (!finalizers.is_empty()).then_some(kept)
}

/// Whether the first deletion of an object that outlives it leaves its dependents to the garbage collector.
pub fn heeds_options(row: (&str, &str)) -> bool {
    row != ("apiextensions.k8s.io", "customresourcedefinitions")
}

/// Whether an update that empties the finalizers of a deleted object may remove it.
pub fn may_be_removed(target: &Target, object: &Object) -> bool {
    target.row() != ("", "namespaces") || object.get_list(&["spec", "finalizers"]).unwrap_or_default().is_empty()
}

/// Whether a client that deletes gets the object back, instead of a Status.
pub fn shows_deleted(row: (&str, &str)) -> bool {
    match row.0 {
        "" => matches!(
            row.1,
            "namespaces"
                | "persistentvolumeclaims"
                | "persistentvolumes"
                | "pods"
                | "podtemplates"
                | "resourcequotas"
                | "serviceaccounts"
                | "services"
        ),
        "resource.k8s.io" => true,
        "storage.k8s.io" => row.1 != "csistoragecapacities",
        _ => false,
    }
}
