//! A claim may grow only where its class says that volumes can.

use super::Resource;
use crate::{
    admission::{Admitted, Attributes, Plugin, amounts::Amounts},
    api::schema::Object,
    cluster::Cluster,
};

const CLASSES: Resource = ("storage.k8s.io", "storageclasses");
const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

#[derive(Default)]
pub(in crate::admission) struct PersistentVolumeClaimResize;

impl Plugin for PersistentVolumeClaimResize {
    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "persistentvolumeclaims") {
                return Ok(());
            }
            let (Some(claim), Some(old)) = (&attributes.object, attributes.old) else { return Ok(()) };
            let size =
                |claim: &Object| Amounts::of(claim.get(&["spec", "resources", "requests"])).get("storage").copied();
            let grows = match (size(claim), size(old)) {
                (Some(size), Some(before)) => size > before,
                (Some(size), None) => !size.is_zero() && !size.is_negative(),
                (None, _) => false,
            };
            if !grows {
                return Ok(());
            }
            if old.get_str(&["status", "phase"]) != Some("Bound") {
                return Err(attributes.forbidden("Only bound persistent volume claims can be expanded"));
            }
            let class = class_of(claim);
            let may = class == class_of(old)
                && match cluster.informer().find(CLASSES, "", class).await? {
                    Some(class) => class.get_bool(&["allowVolumeExpansion"]) == Some(true),
                    None => false,
                };
            if may {
                return Ok(());
            }
            Err(attributes.forbidden(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        ))
        })
    }
}

/// The class of a claim; empty if it has none.
pub(super) fn class_of(claim: &Object) -> &str {
    let named = claim.annotation(BETA_CLASS);
    named.or_else(|| claim.get_str(&["spec", "storageClassName"])).unwrap_or_default()
}

/// Whether a claim says of what class it is, even if of none.
pub(super) fn names_class(claim: &Object) -> bool {
    claim.annotation(BETA_CLASS).is_some() || claim.get(&["spec", "storageClassName"]).is_some()
}
