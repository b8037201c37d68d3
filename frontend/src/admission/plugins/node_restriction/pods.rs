//! Pods as the checks of this folder look at them.

use std::sync::Arc;

use super::super::PODS;
use crate::{
    api::schema::Object,
    cluster::Cluster,
    request::status::{ApiError, GroupResource},
};

/// The cache that the original looks into names what is missing in the singular.
pub(super) async fn pod_of(cluster: &Cluster, namespace: &str, name: &str) -> Result<Arc<Object>, ApiError> {
    let pod = cluster.informer().get(PODS, namespace, name)?;
    pod.ok_or_else(|| ApiError::not_found(&GroupResource::new("", "pod"), name))
}

pub(super) fn node_name(pod: &Object) -> &str {
    pod.get_str(&["spec", "nodeName"]).unwrap_or_default()
}
