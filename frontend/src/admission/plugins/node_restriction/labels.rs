//! Which labels of its node a kubelet may set and change.

use std::collections::BTreeSet;

use crate::api::schema::Object;

/// Labels with Kubernetes' own domains that are the kubelet's.
const KUBELET: [&str; 11] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];
const KUBELET_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
/// Labels by which operators keep workloads apart from nodes that were taken over.
const RESTRICTED_DOMAIN: &str = "node-restriction.kubernetes.io";
const DOMAINS: [&str; 2] = ["kubernetes.io", "k8s.io"];

fn is_within(label: &str, domain: &str) -> bool {
    let namespace = label.split_once('/').map_or("", |(namespace, _)| namespace);
    namespace == domain || namespace.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn is_foreign(label: &str) -> bool {
    let kubelets = KUBELET.contains(&label) || KUBELET_DOMAINS.iter().any(|domain| is_within(label, domain));
    is_within(label, RESTRICTED_DOMAIN) || (DOMAINS.iter().any(|domain| is_within(label, domain)) && !kubelets)
}

/// Labels that differ from those before and are not the kubelet's, in order.
pub(super) fn foreign(node: &Object, old: Option<&Object>) -> Vec<String> {
    let of = |object: &Object| -> BTreeSet<(String, String)> {
        object.labels().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let (now, before) = (of(node), old.map(of).unwrap_or_default());
    let changed: BTreeSet<String> = now.symmetric_difference(&before).map(|(key, _)| key.clone()).collect();
    changed.into_iter().filter(|label| is_foreign(label)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelets_own_some_of_kubernetes_labels() {
        for (label, foreign) in [
            ("a", false),
            ("example.com/a", false),
            ("notkubernetes.io/a", false),
            ("kubernetes.io/hostname", false),
            ("kubernetes.io/other", true),
            ("x.k8s.io/y", true),
            ("node.kubernetes.io/anything", false),
            ("a.kubelet.kubernetes.io/b", false),
            ("node-restriction.kubernetes.io/a", true),
            ("b.node-restriction.kubernetes.io/a", true),
            ("node-role.kubernetes.io/control-plane", true),
        ] {
            assert_eq!(is_foreign(label), foreign, "{label}");
        }
    }
}
