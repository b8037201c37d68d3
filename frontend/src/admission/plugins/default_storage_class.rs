//! A claim that names no class gets the default one.

use super::{Resource, claim_resize::names_class, newest};
use crate::{
    admission::{Admitted, Attributes, Plugin},
    cluster::Cluster,
};

const CLASSES: Resource = ("storage.k8s.io", "storageclasses");
const IS_DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

#[derive(Default)]
pub(in crate::admission) struct DefaultStorageClass;

impl Plugin for DefaultStorageClass {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "persistentvolumeclaims") {
                return Ok(());
            }
            let Some(claim) = attributes.object.as_mut().filter(|claim| !names_class(claim)) else { return Ok(()) };
            let classes = cluster.informer().list(CLASSES, "")?.into_iter();
            let defaults = classes.filter(|class| IS_DEFAULT.iter().any(|key| class.annotation(key) == Some("true")));
            if let Some(class) = newest(defaults) {
                claim.set(&["spec", "storageClassName"], class.name());
            }
            Ok(())
        })
    }
}
