//! The order of groups and versions in discovery, as numbers: the greater comes first. Those of this server's own are
//! given to the APIServices of them, those of aggregated servers come from theirs.

/// The group's priority, and that of its versions, as kube-apiserver gives them.
const KNOWN: &[(&str, &str, u32, u32)] = &[
    ("", "v1", 18000, 1),
    ("admissionregistration.k8s.io", "v1", 16700, 15),
    ("admissionregistration.k8s.io", "v1beta1", 16700, 12),
    ("admissionregistration.k8s.io", "v1alpha1", 16700, 9),
    ("apiextensions.k8s.io", "v1", 16700, 15),
    ("apps", "v1", 17800, 15),
    ("authentication.k8s.io", "v1", 17700, 15),
    ("authentication.k8s.io", "v1alpha1", 17700, 1),
    ("authorization.k8s.io", "v1", 17600, 15),
    ("autoscaling", "v1", 17500, 15),
    ("autoscaling", "v2", 17500, 30),
    ("batch", "v1", 17400, 15),
    ("certificates.k8s.io", "v1", 17300, 15),
    ("coordination.k8s.io", "v1", 16500, 15),
    ("discovery.k8s.io", "v1", 16200, 15),
    ("events.k8s.io", "v1", 17750, 15),
    ("flowcontrol.apiserver.k8s.io", "v1", 16100, 21),
    ("networking.k8s.io", "v1", 17200, 15),
    ("node.k8s.io", "v1", 16300, 15),
    ("policy", "v1", 17100, 15),
    ("rbac.authorization.k8s.io", "v1", 17000, 15),
    ("resource.k8s.io", "v1", 16200, 21),
    ("scheduling.k8s.io", "v1", 16600, 15),
    ("storage.k8s.io", "v1", 16800, 15),
];

/// The group that APIServices themselves are of comes before all others.
const FIRST: &str = "apiregistration.k8s.io";

/// Of what is not listed, custom groups for instance.
const OTHERS: (u32, u32) = (1000, 100);

/// The priority of a group, and that of one of its versions.
pub fn priorities(group: &str, version: &str) -> (u32, u32) {
    let known = KNOWN.iter().find(|(g, v, _, _)| (*g, *v) == (group, version));
    known.map_or(OTHERS, |(_, _, group, version)| (*group, *version))
}

/// The priority of a group that this server serves, by the first of its versions.
pub fn group_priority(group: &str, version: &str) -> u32 {
    if group == FIRST { u32::MAX } else { priorities(group, version).0 }
}
