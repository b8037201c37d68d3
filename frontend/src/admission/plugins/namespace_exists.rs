//! Namespaces must exist for everything that happens in them.

use super::NAMESPACES;
use crate::{
    admission::{Admitted, Attributes, Plugin},
    cluster::Cluster,
    request::status::{ApiError, GroupResource},
};

#[derive(Default)]
pub(in crate::admission) struct NamespaceExists;

impl Plugin for NamespaceExists {
    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let namespace = attributes.namespace;
            if namespace.is_empty() || attributes.is_namespace() {
                return Ok(());
            }
            match cluster.informer().find(NAMESPACES, "", namespace).await? {
                Some(_) => Ok(()),
                None => Err(ApiError::not_found(&GroupResource::new("", "namespaces"), namespace)),
            }
        })
    }
}
