//! An Ingress that names no class gets the default one.

use super::{Resource, newest};
use crate::{
    admission::{Admitted, Attributes, Plugin},
    cluster::Cluster,
};

const CLASSES: Resource = ("networking.k8s.io", "ingressclasses");
const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

#[derive(Default)]
pub(in crate::admission) struct DefaultIngressClass;

impl Plugin for DefaultIngressClass {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("networking.k8s.io", "ingresses") {
                return Ok(());
            }
            let Some(ingress) = &mut attributes.object else { return Ok(()) };
            if ingress.get(&["spec", "ingressClassName"]).is_some() || ingress.annotation(OLD_CLASS).is_some() {
                return Ok(());
            }
            let classes = cluster.informer().list(CLASSES, "")?.into_iter();
            if let Some(class) = newest(classes.filter(|class| class.annotation(IS_DEFAULT) == Some("true"))) {
                ingress.set(&["spec", "ingressClassName"], class.name());
            }
            Ok(())
        })
    }
}
