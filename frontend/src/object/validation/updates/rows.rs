//! The table of what an update is validated by: one row a resource and subresource.

use super::{
    Changes, First, Frozen,
    Frozen::{Called, Field, Forbidden},
    Row, core, jobs, roles, services, subresources,
};
use crate::object::validation::{
    rules::{self, certificates, certificates::Through},
    walk::Part::{self, Fields, Main, Status},
};

/// What holds for a resource without a row.
const PLAIN: Row = Row {
    group: "",
    plural: "",
    subresource: "",
    validated: &[Main],
    metadata_again: 0,
    changes: Changes::WithFinalizers,
    first: First::Object,
    frozen: &[],
    function: None,
};

const fn of(group: &'static str, plural: &'static str) -> Row {
    Row { group, plural, ..PLAIN }
}

const fn core_group(plural: &'static str) -> Row {
    of("", plural)
}

const fn part(group: &'static str, plural: &'static str, subresource: &'static str, validated: &'static [Part]) -> Row {
    Row { subresource, validated, ..of(group, plural) }
}

const APPS: &str = "apps";
const CERTIFICATES: &str = "certificates.k8s.io";
const DEVICES: &str = "resource.k8s.io";
const FLOW: &str = "flowcontrol.apiserver.k8s.io";
const NETWORK: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const REGISTRATION: &str = "admissionregistration.k8s.io";
const STORAGE: &str = "storage.k8s.io";

/// Configurations of admission are validated as if they were new.
const fn registration(plural: &'static str) -> Row {
    Row { changes: Changes::Unchecked, metadata_again: 1, ..of(REGISTRATION, plural) }
}

static ROWS: &[Row] = &[
    Row {
        metadata_again: 1,
        first: First::Change,
        function: Some(rules::data::config_map_changed),
        ..core_group("configmaps")
    },
    Row { metadata_again: 1, ..core_group("endpoints") },
    Row { changes: Changes::Unchecked, ..core_group("events") },
    Row { metadata_again: 1, changes: Changes::Unchecked, ..core_group("limitranges") },
    Row { metadata_again: 1, ..core_group("namespaces") },
    Row { function: Some(subresources::finalize), ..part("", "namespaces", "finalize", &[]) },
    Row { function: Some(subresources::namespace_status), ..part("", "namespaces", "status", &[Status]) },
    Row { metadata_again: 1, function: Some(core::node), ..core_group("nodes") },
    Row {
        metadata_again: 1,
        frozen: &[Called(&["spec", "volumeMode"], "volumeMode")],
        function: Some(core::claim),
        ..core_group("persistentvolumeclaims")
    },
    Row {
        validated: &[Main, Main],
        metadata_again: 2,
        changes: Changes::Unchecked,
        frozen: &[Called(&["spec", "volumeMode"], "volumeMode")],
        function: Some(core::volume),
        ..core_group("persistentvolumes")
    },
    Row { metadata_again: 1, function: Some(core::pod), ..core_group("pods") },
    Row {
        metadata_again: 1,
        function: Some(subresources::ephemeral_containers),
        ..part("", "pods", "ephemeralcontainers", &[Main])
    },
    Row { metadata_again: 1, function: Some(subresources::resize), ..part("", "pods", "resize", &[Main]) },
    Row { function: Some(core::quota), ..core_group("resourcequotas") },
    Row {
        metadata_again: 1,
        first: First::Change,
        frozen: &[Field(&["type"])],
        function: Some(rules::data::secret_changed),
        ..core_group("secrets")
    },
    Row { metadata_again: 1, ..core_group("serviceaccounts") },
    Row { function: Some(services::service), ..core_group("services") },
    registration("mutatingadmissionpolicies"),
    registration("mutatingadmissionpolicybindings"),
    registration("mutatingwebhookconfigurations"),
    registration("validatingadmissionpolicies"),
    Row { changes: Changes::Unchecked, ..part(REGISTRATION, "validatingadmissionpolicies", "status", &[Status]) },
    registration("validatingadmissionpolicybindings"),
    registration("validatingwebhookconfigurations"),
    Row { changes: Changes::ByMachinery, metadata_again: 1, ..of("apiregistration.k8s.io", "apiservices") },
    Row { changes: Changes::ByMachinery, ..part("apiregistration.k8s.io", "apiservices", "status", &[Status]) },
    Row { metadata_again: 1, frozen: &[Field(&["data"])], ..of(APPS, "controllerrevisions") },
    Row { first: First::Change, frozen: SELECTOR, ..of(APPS, "daemonsets") },
    Row { frozen: SELECTOR, ..of(APPS, "deployments") },
    Row { frozen: SELECTOR, ..of(APPS, "replicasets") },
    Row { function: Some(core::stateful_set), ..of(APPS, "statefulsets") },
    Row { changes: Changes::Unchecked, ..part("batch", "cronjobs", "status", &[]) },
    Row {
        validated: &[Main, Fields],
        metadata_again: 1,
        frozen: JOB,
        function: Some(jobs::job),
        ..of("batch", "jobs")
    },
    Row { function: Some(rules::job_status::changed), ..part("batch", "jobs", "status", &[Status]) },
    Row {
        metadata_again: 1,
        function: Some(|path, _, old, errors| certificates::changed(path, old, Through::Main, errors)),
        ..of(CERTIFICATES, "certificatesigningrequests")
    },
    Row {
        metadata_again: 1,
        function: Some(|path, _, old, errors| certificates::changed(path, old, Through::Approval, errors)),
        ..part(CERTIFICATES, "certificatesigningrequests", "approval", &[Main])
    },
    Row {
        metadata_again: 1,
        function: Some(|path, _, old, errors| certificates::changed(path, old, Through::Status, errors)),
        ..part(CERTIFICATES, "certificatesigningrequests", "status", &[Main])
    },
    Row { changes: Changes::ByMachinery, ..of("coordination.k8s.io", "leases") },
    Row {
        metadata_again: 1,
        changes: Changes::Unchecked,
        frozen: &[Field(&["addressType"])],
        ..of("discovery.k8s.io", "endpointslices")
    },
    Row { frozen: EVENT, function: Some(rules::events::changed), ..of("events.k8s.io", "events") },
    Row { metadata_again: 1, changes: Changes::Unchecked, ..of(FLOW, "flowschemas") },
    Row { metadata_again: 1, changes: Changes::Unchecked, ..of(FLOW, "prioritylevelconfigurations") },
    Row {
        metadata_again: 1,
        first: First::Change,
        frozen: &[Field(&["spec", "controller"])],
        ..of(NETWORK, "ingressclasses")
    },
    Row { metadata_again: 1, ..of(NETWORK, "ingresses") },
    Row { metadata_again: 1, frozen: &[Field(&["spec", "parentRef"])], ..of(NETWORK, "ipaddresses") },
    Row { validated: &[Main, Main], metadata_again: 1, ..of(NETWORK, "networkpolicies") },
    Row { validated: &[], function: Some(services::ranges), ..of(NETWORK, "servicecidrs") },
    Row { metadata_again: 1, frozen: &[Field(&["handler"])], ..of("node.k8s.io", "runtimeclasses") },
    Row { changes: Changes::Unchecked, ..of("policy", "poddisruptionbudgets") },
    Row { changes: Changes::Unchecked, ..part("policy", "poddisruptionbudgets", "status", &[Status]) },
    Row { metadata_again: 1, function: Some(roles::binding), ..of(RBAC, "clusterrolebindings") },
    Row { metadata_again: 1, ..of(RBAC, "clusterroles") },
    Row { metadata_again: 1, function: Some(roles::binding), ..of(RBAC, "rolebindings") },
    Row { metadata_again: 1, ..of(RBAC, "roles") },
    Row { metadata_again: 1, ..of(DEVICES, "deviceclasses") },
    Row { validated: &[], metadata_again: 1, frozen: SPEC, ..of(DEVICES, "resourceclaims") },
    Row { metadata_again: 1, frozen: SPEC, ..of(DEVICES, "resourceclaimtemplates") },
    Row { frozen: SLICE, ..of(DEVICES, "resourceslices") },
    Row { validated: &[], frozen: PRIORITY_CLASS, ..of("scheduling.k8s.io", "priorityclasses") },
    Row { frozen: CSI_DRIVER, ..of(STORAGE, "csidrivers") },
    Row {
        validated: &[Main, Main],
        metadata_again: 2,
        changes: Changes::Unchecked,
        function: Some(core::csi_node),
        ..of(STORAGE, "csinodes")
    },
    Row {
        metadata_again: 1,
        frozen: &[Field(&["nodeTopology"]), Field(&["storageClassName"])],
        ..of(STORAGE, "csistoragecapacities")
    },
    Row { metadata_again: 1, frozen: STORAGE_CLASS, ..of(STORAGE, "storageclasses") },
    Row { metadata_again: 1, changes: Changes::Unchecked, frozen: SPEC, ..of(STORAGE, "volumeattachments") },
    Row { metadata_again: 1, first: First::Change, frozen: ATTRIBUTES_CLASS, ..of(STORAGE, "volumeattributesclasses") },
];

const SPEC: &[Frozen] = &[Field(&["spec"])];
const SELECTOR: &[Frozen] = &[Field(&["spec", "selector"])];
const JOB: &[Frozen] = &[
    Field(&["spec", "selector"]),
    Field(&["spec", "completionMode"]),
    Field(&["spec", "podFailurePolicy"]),
    Field(&["spec", "backoffLimitPerIndex"]),
    Field(&["spec", "managedBy"]),
    Field(&["spec", "successPolicy"]),
];
/// Errors call the fields as the core group does; the reason is asked twice.
const EVENT: &[Frozen] = &[
    Called(&["regarding"], "involvedObject"),
    Field(&["reason"]),
    Called(&["note"], "message"),
    Called(&["deprecatedSource"], "source"),
    Called(&["deprecatedFirstTimestamp"], "firstTimestamp"),
    Called(&["deprecatedLastTimestamp"], "lastTimestamp"),
    Called(&["deprecatedCount"], "count"),
    Field(&["reason"]),
    Field(&["type"]),
    Field(&["eventTime"]),
    Field(&["action"]),
    Field(&["related"]),
    Field(&["reportingController"]),
    Field(&["reportingInstance"]),
];
const SLICE: &[Frozen] = &[Field(&["spec", "pool", "name"]), Field(&["spec", "driver"]), Field(&["spec", "nodeName"])];
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

static STATUS: Row = Row { validated: &[Status], ..PLAIN };
static OTHER: Row = Row { validated: &[], ..PLAIN };

/// The row of a resource; one without a row may change anything that a new object may be.
pub(in crate::object::validation) fn find((group, plural): (&str, &str), subresource: &str) -> &'static Row {
    let found = ROWS.iter().find(|row| (row.group, row.plural, row.subresource) == (group, plural, subresource));
    found.unwrap_or(match subresource {
        "" => &PLAIN_ROW,
        "status" => &STATUS,
        _ => &OTHER,
    })
}

static PLAIN_ROW: Row = PLAIN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        assert!(ROWS.is_sorted_by(|a, b| (a.group, a.plural, a.subresource) < (b.group, b.plural, b.subresource)));
    }
}
