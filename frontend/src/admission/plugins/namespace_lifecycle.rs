//! Nothing is made in a namespace that does not exist or is going away, and some namespaces cannot go.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::NAMESPACES;
use crate::{
    admission::{Admitted, Attributes, Operation, Plugin},
    cluster::Cluster,
    request::status::{ApiError, Cause, GroupResource},
};

/// The namespaces that a cluster cannot be without.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];
/// How long after its deletion a namespace is not believed to be active without a look into the store.
const DISTRUST: Duration = Duration::from_secs(30);
/// So many deletions are remembered; older ones are forgotten first.
const REMEMBERED_MAX: usize = 100;

#[derive(Default)]
pub(in crate::admission) struct NamespaceLifecycle {
    /// Namespaces that were deleted through this server, of which the cache may not know yet.
    deleted: Mutex<VecDeque<(String, Instant)>>,
}

impl NamespaceLifecycle {
    fn remember(&self, name: &str) {
        let mut deleted = self.deleted.lock();
        if deleted.len() == REMEMBERED_MAX {
            deleted.pop_front();
        }
        deleted.push_back((name.to_owned(), Instant::now()));
    }

    fn is_distrusted(&self, name: &str) -> bool {
        let mut deleted = self.deleted.lock();
        deleted.retain(|(_, at)| at.elapsed() < DISTRUST);
        deleted.iter().any(|(deleted, _)| deleted == name)
    }

    /// Whether the namespace is on its way out; a refusal if it does not exist.
    async fn is_terminating(&self, cluster: &Cluster, name: &str) -> Result<bool, ApiError> {
        let terminates =
            |namespace: &crate::api::schema::Object| namespace.get_str(&["status", "phase"]) == Some("Terminating");
        let mut namespace = cluster.informer().find(NAMESPACES, "", name).await?;
        if self.is_distrusted(name) && namespace.as_ref().is_some_and(|namespace| !terminates(namespace)) {
            namespace = cluster.informer().read(NAMESPACES, "", name).await?;
        }
        match namespace {
            Some(namespace) => Ok(terminates(&namespace)),
            None => Err(ApiError::not_found(&GroupResource::new("", "namespaces"), name)),
        }
    }
}

impl Plugin for NamespaceLifecycle {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let (operation, namespace) = (attributes.operation, attributes.namespace);
            if attributes.is_namespace() {
                if operation != Operation::Delete {
                    return Ok(());
                }
                if IMMORTAL.contains(&attributes.name) {
                    let why = "this namespace may not be deleted";
                    return Err(ApiError::forbidden(&attributes.group_resource(), attributes.name, why));
                }
                self.remember(attributes.name);
                return Ok(());
            }
            let review = attributes.row() == ("authorization.k8s.io", "localsubjectaccessreviews");
            if namespace.is_empty() || operation == Operation::Delete || review {
                return Ok(());
            }
            let terminating = self.is_terminating(cluster, namespace).await?;
            if operation != Operation::Create || !terminating {
                return Ok(());
            }
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let mut refusal = attributes.forbidden(why);
            refusal.details.get_or_insert_default().causes = vec![Cause {
                reason: "NamespaceTerminating".into(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".into(),
            }];
            Err(refusal)
        })
    }
}
