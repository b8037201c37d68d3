//! Who makes an object belong to another must be allowed to delete the one, and to hold up the deletion of the other.

use std::sync::Arc;

use crate::{
    access::{
        Access,
        authz::{self, Authorizer},
    },
    admission::{Admitted, Attributes, Made, Operation, Parts, Plugin},
    api::schema::{Object, meta::OwnerReference},
    cluster::Cluster,
    request::status::ApiError,
};

struct OwnerReferencesPermissionEnforcement(Arc<Access>);

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    Ok(Arc::new(OwnerReferencesPermissionEnforcement(Arc::clone(&parts.access))))
}

impl Plugin for OwnerReferencesPermissionEnforcement {
    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(object) = &attributes.object else { return Ok(()) };
            let of_kubelets = attributes.row() == ("", "pods") && attributes.subresource == "status";
            if of_kubelets || !changes_owners(object, attributes.old) {
                return Ok(());
            }
            if attributes.operation != Operation::Create {
                let deletion = authz::Attributes {
                    verb: "delete".to_owned(),
                    namespace: attributes.namespace.to_owned(),
                    group: attributes.resource.group.to_string(),
                    version: attributes.resource.version.to_string(),
                    resource: attributes.resource.plural.to_string(),
                    subresource: attributes.subresource.to_owned(),
                    name: attributes.name.to_owned(),
                    ..asked(attributes)
                };
                if let Err(reason) = self.authorize(&deletion).await {
                    let why = "cannot set an ownerRef on a resource you can't delete";
                    return Err(attributes.forbidden(format!("{why}: {reason}")));
                }
            }
            let blocking = new_blocking(object, attributes.old);
            if blocking.is_empty() || self.authorize(&finalizers(attributes, "*", "*", "*", "*")).await.is_ok() {
                return Ok(());
            }
            for owner in blocking {
                self.authorize_owner(attributes, &owner).await?;
            }
            Ok(())
        })
    }
}

impl OwnerReferencesPermissionEnforcement {
    async fn authorize(&self, asked: &authz::Attributes) -> Result<(), String> {
        let decision = self.0.authorization.authorize(asked).await;
        let error = decision.error.as_deref().unwrap_or("<nil>");
        if decision.is_allowed() { Ok(()) } else { Err(format!("{}, {error}", decision.reason)) }
    }

    async fn authorize_owner(&self, attributes: &Attributes<'_>, owner: &OwnerReference<'_>) -> Result<(), ApiError> {
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", owner.api_version));
        let Some(row) = attributes.api.registry.by_kind(group, version, owner.kind) else {
            let (version, kind) = (owner.api_version, owner.kind);
            return Err(attributes.forbidden(format!(
                "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion {version} Kind {kind}: no matches for kind {kind:?} in version {version:?}"
            )));
        };
        let mut asked = finalizers(attributes, group, version, &row.plural, owner.name);
        if row.namespaced {
            asked.namespace = attributes.namespace.to_owned();
        }
        self.authorize(&asked).await.map_err(|reason| {
            let why =
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on";
            attributes.forbidden(format!("{why}: {reason}"))
        })
    }
}

fn asked(attributes: &Attributes<'_>) -> authz::Attributes {
    authz::Attributes { user: attributes.user.clone(), is_resource: true, ..authz::Attributes::default() }
}

/// The right to hold up the deletion of an object.
fn finalizers(
    attributes: &Attributes<'_>,
    group: &str,
    version: &str,
    resource: &str,
    name: &str,
) -> authz::Attributes {
    authz::Attributes {
        verb: "update".to_owned(),
        group: group.to_owned(),
        version: version.to_owned(),
        resource: resource.to_owned(),
        subresource: "finalizers".to_owned(),
        name: name.to_owned(),
        ..asked(attributes)
    }
}

fn changes_owners(object: &Object, old: Option<&Object>) -> bool {
    let before: Vec<OwnerReference<'_>> = old.into_iter().flat_map(Object::owner_references).collect();
    before != object.owner_references().collect::<Vec<_>>()
}

/// Owners whose deletion waits for this object, and did not before.
fn new_blocking<'a>(object: &'a Object, old: Option<&Object>) -> Vec<OwnerReference<'a>> {
    let before: Vec<String> = old
        .into_iter()
        .flat_map(Object::owner_references)
        .filter(|owner| owner.block_owner_deletion)
        .map(|owner| owner.uid.to_owned())
        .collect();
    let blocking = object.owner_references().filter(|owner| owner.block_owner_deletion);
    blocking.filter(|owner| !before.iter().any(|uid| uid == owner.uid)).collect()
}
