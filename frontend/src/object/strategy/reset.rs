//! Which fields an endpoint does not change, whatever is sent: nobody comes to own them through it.

use crate::object::managed_fields::Reset;

type Row = (&'static str, &'static str, &'static str, Reset);

const STATUS: Reset = Reset(&[&["status"]]);
const SPEC: Reset = Reset(&[&["spec"]]);
const METADATA_AND_SPEC: Reset = Reset(&[&["metadata"], &["spec"]]);

/// Group, plural, subresource. What the real server names under a group that there is none of
/// (servicecidrs), or in a filter that its endpoint does not use (ephemeral containers, resize), has no row.
static ROWS: &[Row] = &[
    ("", "namespaces", "", STATUS),
    ("", "namespaces", "finalize", STATUS),
    ("", "namespaces", "status", SPEC),
    ("", "nodes", "", STATUS),
    ("", "nodes", "status", SPEC),
    ("", "persistentvolumeclaims", "", STATUS),
    ("", "persistentvolumeclaims", "status", SPEC),
    ("", "persistentvolumes", "", STATUS),
    ("", "persistentvolumes", "status", SPEC),
    ("", "pods", "", STATUS),
    ("", "pods", "status", POD_STATUS),
    ("", "replicationcontrollers", "", STATUS),
    ("", "replicationcontrollers", "status", SPEC),
    ("", "resourcequotas", "", STATUS),
    ("", "resourcequotas", "status", SPEC),
    ("", "services", "", STATUS),
    ("", "services", "status", SPEC),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "", STATUS),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "status", METADATA_AND_SPEC),
    ("apiextensions.k8s.io", "customresourcedefinitions", "", STATUS),
    ("apiextensions.k8s.io", "customresourcedefinitions", "status", METADATA_AND_SPEC),
    ("apiregistration.k8s.io", "apiservices", "", STATUS),
    ("apiregistration.k8s.io", "apiservices", "status", METADATA_AND_SPEC),
    ("apps", "daemonsets", "", STATUS),
    ("apps", "daemonsets", "status", SPEC),
    ("apps", "deployments", "", STATUS),
    ("apps", "deployments", "status", Reset(&[&["spec"], &["metadata", "labels"]])),
    ("apps", "replicasets", "", STATUS),
    ("apps", "replicasets", "status", SPEC),
    ("apps", "statefulsets", "", STATUS),
    ("apps", "statefulsets", "status", SPEC),
    ("autoscaling", "horizontalpodautoscalers", "", STATUS),
    ("autoscaling", "horizontalpodautoscalers", "status", SPEC),
    ("batch", "cronjobs", "", STATUS),
    ("batch", "cronjobs", "status", SPEC),
    ("batch", "jobs", "", STATUS),
    ("batch", "jobs", "status", SPEC),
    ("certificates.k8s.io", "certificatesigningrequests", "", Reset(&[&["spec"], &["status"]])),
    ("certificates.k8s.io", "certificatesigningrequests", "approval", Reset(&[&["spec"], &["status", "certificate"]])),
    ("certificates.k8s.io", "certificatesigningrequests", "status", Reset(&[&["spec"], &["status", "conditions"]])),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "", STATUS),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "status", METADATA_AND_SPEC),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "", STATUS),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "status", METADATA_AND_SPEC),
    ("networking.k8s.io", "ingresses", "", STATUS),
    ("networking.k8s.io", "ingresses", "status", SPEC),
    ("policy", "poddisruptionbudgets", "", STATUS),
    ("policy", "poddisruptionbudgets", "status", SPEC),
    ("resource.k8s.io", "resourceclaims", "", STATUS),
    ("resource.k8s.io", "resourceclaims", "status", METADATA_AND_SPEC),
    ("storage.k8s.io", "volumeattachments", "", STATUS),
    ("storage.k8s.io", "volumeattachments", "status", METADATA_AND_SPEC),
];

const POD_STATUS: Reset = Reset(&[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]]);

/// What the endpoint of a built-in resource resets.
pub fn reset(row: (&str, &str), subresource: &str) -> Reset {
    let found = ROWS.iter().find(|(group, plural, name, _)| (*group, *plural) == row && *name == subresource);
    found.map_or(Reset::NOTHING, |(.., reset)| *reset)
}

/// What the endpoint of a custom resource resets.
pub fn reset_of_custom(has_status: bool, subresource: &str) -> Reset {
    match subresource {
        "" if has_status => STATUS,
        "status" => SPEC,
        _ => Reset::NOTHING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        assert!(ROWS.is_sorted_by(|a, b| (a.0, a.1, a.2) < (b.0, b.1, b.2)));
    }
}
