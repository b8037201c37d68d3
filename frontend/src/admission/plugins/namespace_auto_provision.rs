//! Namespaces are made when something is made in them.

use super::NAMESPACES;
use crate::{
    admission::{Admitted, Attributes, Plugin},
    api::schema::{Object, codec},
    cluster::Cluster,
    store::{CreateOutcome, StoreError},
};

#[derive(Default)]
pub(in crate::admission) struct NamespaceAutoProvision;

impl Plugin for NamespaceAutoProvision {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let name = attributes.namespace;
            if attributes.dry_run || name.is_empty() || attributes.is_namespace() {
                return Ok(());
            }
            if cluster.informer().find(NAMESPACES, "", name).await?.is_some() {
                return Ok(());
            }
            match provide(cluster, name).await {
                Ok(()) => Ok(()),
                Err(error) => Err(attributes.forbidden("the namespace could not be made").with_internal(error)),
            }
        })
    }
}

/// Makes an active namespace, unless somebody else was faster.
async fn provide(cluster: &Cluster, name: &str) -> Result<(), StoreError> {
    let Some(kind) = cluster.schema().kind("", "v1", "Namespace") else { return Ok(()) };
    let mut namespace = Object::new(&kind);
    namespace.set_name(name);
    namespace.set_uid(&uuid::Uuid::new_v4().to_string());
    namespace.set_creation_timestamp(&cluster.now_text());
    namespace.set_label("kubernetes.io/metadata.name", name);
    namespace.set(&["spec", "finalizers"], vec!["kubernetes".into()]);
    namespace.set(&["status", "phase"], "Active");
    let bytes = codec::encode_stored(&namespace, &kind, codec::StorageEncoding::Protobuf);
    let key = format!("{}/namespaces/{name}", cluster.store.prefix());
    match cluster.store.create(&key, bytes, None).await? {
        CreateOutcome::Created { .. } | CreateOutcome::Exists => Ok(()),
    }
}
