//! Rows of behaviour: which part of an object counts generations, and whether status is another endpoint's.

/// Behaviour that differs between resources in data alone.
pub(super) struct Row {
    pub(super) group: &'static str,
    pub(super) plural: &'static str,
    /// Top-level fields whose change makes a new generation. Empty with `counted`: the generation stays at 1.
    pub(super) spec: &'static [&'static str],
    /// Objects start with generation 1.
    pub(super) counted: bool,
    /// status belongs to the status endpoint: dropped on create, kept on update.
    pub(super) status: bool,
}

const fn row(
    group: &'static str,
    plural: &'static str,
    spec: &'static [&'static str],
    counted: bool,
    status: bool,
) -> Row {
    Row { group, plural, spec, counted, status }
}

const SPEC: &[&str] = &["spec"];

static ROWS: &[Row] = &[
    row("", "namespaces", &[], false, true),
    row("", "nodes", &[], false, true),
    row("", "persistentvolumeclaims", &[], false, true),
    row("", "persistentvolumes", &[], false, true),
    row("", "pods", SPEC, true, true),
    row("", "podtemplates", &["template"], true, false),
    row("", "replicationcontrollers", SPEC, true, true),
    row("", "resourcequotas", &[], false, true),
    row("", "services", &[], false, true),
    row("admissionregistration.k8s.io", "mutatingadmissionpolicies", SPEC, true, false),
    row("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", SPEC, true, false),
    row("admissionregistration.k8s.io", "mutatingwebhookconfigurations", &["webhooks"], true, false),
    row("admissionregistration.k8s.io", "validatingadmissionpolicies", SPEC, true, true),
    row("admissionregistration.k8s.io", "validatingadmissionpolicybindings", SPEC, true, false),
    row("admissionregistration.k8s.io", "validatingwebhookconfigurations", &["webhooks"], true, false),
    row("apiextensions.k8s.io", "customresourcedefinitions", SPEC, true, true),
    row("apiregistration.k8s.io", "apiservices", &[], false, true),
    row("apps", "daemonsets", SPEC, true, true),
    row("apps", "deployments", SPEC, true, true),
    row("apps", "replicasets", SPEC, true, true),
    row("apps", "statefulsets", SPEC, true, true),
    row("autoscaling", "horizontalpodautoscalers", &[], false, true),
    row("batch", "cronjobs", SPEC, true, true),
    row("batch", "jobs", SPEC, true, true),
    row("certificates.k8s.io", "certificatesigningrequests", &[], false, true),
    row("discovery.k8s.io", "endpointslices", &["endpoints", "ports", "addressType", "metadata.labels"], true, false),
    row("flowcontrol.apiserver.k8s.io", "flowschemas", SPEC, true, true),
    row("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", SPEC, true, true),
    row("networking.k8s.io", "ingressclasses", SPEC, true, false),
    row("networking.k8s.io", "ingresses", SPEC, true, true),
    row("networking.k8s.io", "networkpolicies", SPEC, true, false),
    row("networking.k8s.io", "servicecidrs", &[], false, true),
    row("policy", "poddisruptionbudgets", SPEC, true, true),
    row("resource.k8s.io", "deviceclasses", SPEC, true, false),
    row("resource.k8s.io", "resourceclaims", &[], false, true),
    row("resource.k8s.io", "resourceslices", SPEC, true, false),
    row("scheduling.k8s.io", "priorityclasses", &[], true, false),
    row("storage.k8s.io", "volumeattachments", &[], false, true),
];

static PLAIN: Row = row("", "", &[], false, false);

/// The row of a resource; one without a row has no generation and no status.
pub(super) fn find(row: (&str, &str)) -> &'static Row {
    ROWS.iter().find(|r| (r.group, r.plural) == row).unwrap_or(&PLAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        assert!(ROWS.is_sorted_by(|a, b| (a.group, a.plural) < (b.group, b.plural)));
    }
}
