//! The plugins, one file each.

pub(super) mod always;
pub(super) mod always_pull_images;
pub(super) mod anti_affinity;
pub(super) mod certificates;
pub(super) mod claim_resize;
pub(super) mod default_ingress_class;
pub(super) mod default_storage_class;
pub(super) mod default_toleration_seconds;
pub(super) mod deny_external_ips;
pub(super) mod event_rate_limit;
pub(super) mod extended_resource_toleration;
pub(super) mod image_policy;
pub(super) mod limit_ranger;
pub(super) mod namespace_auto_provision;
pub(super) mod namespace_exists;
pub(super) mod namespace_lifecycle;
pub(super) mod node_restriction;
pub(super) mod owner_references;
pub(super) mod pod_node_selector;
pub(super) mod pod_security;
pub(super) mod pod_tolerations;
pub(super) mod pod_topology_labels;
pub(super) mod priority;
pub(super) mod resource_quota;
pub(super) mod runtime_class;
pub(super) mod service_account;
pub(super) mod storage_protection;
pub(super) mod taints;

use std::sync::Arc;

use crate::{
    api::schema::{Object, Value},
    cluster::ResourceName,
};

/// A resource that plugins read, by group and plural.
type Resource = ResourceName<'static>;

const NAMESPACES: Resource = ("", "namespaces");
const NODES: Resource = ("", "nodes");
const PODS: Resource = ("", "pods");

/// The lists of containers of a pod, in the order in which they are looked at.
const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    value.at(path).and_then(Value::as_list).unwrap_or_default()
}

/// All containers of a pod's spec.
fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    CONTAINER_LISTS.iter().flat_map(|name| list(spec, &[name]))
}

/// The newest of several, by time of creation and then by name.
fn newest(objects: impl Iterator<Item = Arc<Object>>) -> Option<Arc<Object>> {
    objects.reduce(|best, next| {
        let order = next.creation_timestamp().cmp(best.creation_timestamp()).then(best.name().cmp(next.name()));
        if order.is_gt() { next } else { best }
    })
}
