//! What an update may not change, as rows by resource: fields that never change, and functions for changes that depend
//! on more. In: an object and what it replaces. Out: complaints. Not here: metadata (`meta`), what holds for new
//! objects too (`rules`).

mod core;
mod diff;
mod jobs;
mod services;
pub(super) mod subresources;

use super::{judge::Judge, place::Place, print::printed};
use crate::{api::schema::Object, object::strategy::same, request::status::FieldError};

pub(super) const IMMUTABLE: &str = "field is immutable";

/// One resource.
pub(super) struct Row {
    group: &'static str,
    plural: &'static str,
    /// How often the real server asks the rules for new objects again; its causes show it.
    pub(super) rejudged: u8,
    frozen: &'static [Frozen],
    function: Option<for<'t> fn(&Place<'_, 't>, &'t Object, &mut Judge<'t>)>,
}

/// A field that never changes.
enum Frozen {
    /// Path in the object.
    Field(&'static [&'static str]),
    /// Path in the object, and what errors call it.
    Called(&'static [&'static str], &'static str),
    /// Path in the object, and why it may not.
    Forbidden(&'static [&'static str], &'static str),
}

use Frozen::{Called, Field, Forbidden};

const fn row(group: &'static str, plural: &'static str, rejudged: u8, frozen: &'static [Frozen]) -> Row {
    Row { group, plural, rejudged, frozen, function: None }
}

const fn with(
    group: &'static str,
    plural: &'static str,
    rejudged: u8,
    frozen: &'static [Frozen],
    function: for<'t> fn(&Place<'_, 't>, &'t Object, &mut Judge<'t>),
) -> Row {
    Row { group, plural, rejudged, frozen, function: Some(function) }
}

static ROWS: &[Row] = &[
    with("", "nodes", 1, &[], core::node),
    with("", "persistentvolumeclaims", 1, &[Called(&["spec", "volumeMode"], "volumeMode")], core::claim),
    with("", "persistentvolumes", 2, &[Called(&["spec", "volumeMode"], "volumeMode")], core::volume),
    with("", "pods", 1, &[], core::pod),
    with("", "resourcequotas", 1, &[], core::quota),
    with("", "services", 1, &[], services::service),
    row("apps", "controllerrevisions", 1, &[Field(&["data"])]),
    row("apps", "daemonsets", 1, &[Field(&["spec", "selector"])]),
    row("apps", "deployments", 1, &[Field(&["spec", "selector"])]),
    row("apps", "replicasets", 1, &[Field(&["spec", "selector"])]),
    with("apps", "statefulsets", 1, &[], core::stateful_set),
    with("batch", "jobs", 2, JOB, jobs::job),
    row("discovery.k8s.io", "endpointslices", 1, &[Field(&["addressType"])]),
    row("networking.k8s.io", "ingressclasses", 1, &[Field(&["spec", "controller"])]),
    row("networking.k8s.io", "ipaddresses", 1, &[Field(&["spec", "parentRef"])]),
    row("networking.k8s.io", "networkpolicies", 2, &[]),
    with("networking.k8s.io", "servicecidrs", 0, &[], services::ranges),
    row("node.k8s.io", "runtimeclasses", 1, &[Field(&["handler"])]),
    row("scheduling.k8s.io", "priorityclasses", 0, PRIORITY_CLASS),
    row("storage.k8s.io", "csidrivers", 1, CSI_DRIVER),
    with("storage.k8s.io", "csinodes", 2, &[], core::csi_node),
    row("storage.k8s.io", "csistoragecapacities", 1, &[Field(&["nodeTopology"]), Field(&["storageClassName"])]),
    row("storage.k8s.io", "storageclasses", 1, STORAGE_CLASS),
    row("storage.k8s.io", "volumeattachments", 1, &[Field(&["spec"])]),
    row("storage.k8s.io", "volumeattributesclasses", 1, ATTRIBUTES_CLASS),
];

const JOB: &[Frozen] = &[
    Field(&["spec", "selector"]),
    Field(&["spec", "completionMode"]),
    Field(&["spec", "podFailurePolicy"]),
    Field(&["spec", "backoffLimitPerIndex"]),
    Field(&["spec", "managedBy"]),
    Field(&["spec", "successPolicy"]),
];
const PRIORITY_CLASS: &[Frozen] =
    &[Forbidden(&["value"], "may not be changed in an update."), Field(&["preemptionPolicy"])];
const CSI_DRIVER: &[Frozen] =
    &[Called(&["spec", "attachRequired"], "spec.attachedRequired"), Field(&["spec", "volumeLifecycleModes"])];
const STORAGE_CLASS: &[Frozen] = &[
    Forbidden(&["parameters"], "updates to parameters are forbidden."),
    Forbidden(&["provisioner"], "updates to provisioner are forbidden."),
    Forbidden(&["reclaimPolicy"], "updates to reclaimPolicy are forbidden."),
    Field(&["volumeBindingMode"]),
];
const ATTRIBUTES_CLASS: &[Frozen] = &[
    Forbidden(&["driverName"], "updates to driverName are forbidden."),
    Forbidden(&["parameters"], "updates to parameters are forbidden."),
];

static PLAIN: Row = row("", "", 1, &[]);

/// The row of a resource; one without a row may change anything that a new object may be.
pub(super) fn find(row: (&str, &str)) -> &'static Row {
    ROWS.iter().find(|r| (r.group, r.plural) == row).unwrap_or(&PLAIN)
}

/// Judges what has changed.
pub(super) fn judge_change<'t>(row: &Row, object: &'t Object, old: &'t Object, judge: &mut Judge<'t>) {
    for frozen in row.frozen {
        let path = match frozen {
            Field(path) | Called(path, _) | Forbidden(path, _) => path,
        };
        let (new, before) = (object.get(path), old.get(path));
        if same(new, before) {
            continue;
        }
        judge.push(match frozen {
            Field(path) => FieldError::invalid_value(path.join("."), printed(new), IMMUTABLE),
            Called(_, shown) => FieldError::invalid_value(*shown, printed(new), IMMUTABLE),
            Forbidden(path, why) => FieldError::forbidden(path.join("."), *why),
        });
    }
    if let Some(function) = row.function {
        function(&Place::root(object.root()), old, judge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        assert!(ROWS.is_sorted_by(|a, b| (a.group, a.plural) < (b.group, b.plural)));
    }
}
