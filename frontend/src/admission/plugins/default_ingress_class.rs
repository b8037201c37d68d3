//! An Ingress that names no class gets the default one.

use async_trait::async_trait;

use super::{Resource, newest};
use crate::{
    admission::{Attributes, Plugin},
    cluster::Cluster,
    request::status::ApiError,
};

const CLASSES: Resource = ("networking.k8s.io", "ingressclasses");
const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

#[derive(Default)]
pub(in crate::admission) struct DefaultIngressClass;

#[async_trait]
impl Plugin for DefaultIngressClass {
    async fn admit(&self, cluster: &Cluster, attributes: &mut Attributes<'_>) -> Result<(), ApiError> {
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
    }
}
