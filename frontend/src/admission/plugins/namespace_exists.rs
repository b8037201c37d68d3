//! Namespaces must exist for everything that happens in them.

use async_trait::async_trait;

use super::NAMESPACES;
use crate::{
    admission::{Attributes, Plugin},
    cluster::Cluster,
    request::status::{ApiError, GroupResource},
};

#[derive(Default)]
pub(in crate::admission) struct NamespaceExists;

#[async_trait]
impl Plugin for NamespaceExists {
    async fn validate(&self, cluster: &Cluster, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        let namespace = attributes.namespace;
        if namespace.is_empty() || attributes.is_namespace() {
            return Ok(());
        }
        match cluster.informer().find(NAMESPACES, "", namespace).await? {
            Some(_) => Ok(()),
            None => Err(ApiError::not_found(&GroupResource::new("", "namespaces"), namespace)),
        }
    }
}
