//! A pod that is bound to a node carries the node's zone and region as labels.

use async_trait::async_trait;

use super::{NODES, PODS};
use crate::{
    admission::{Attributes, Plugin},
    cluster::Cluster,
    request::status::ApiError,
};

const LABELS: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

#[derive(Default)]
pub(in crate::admission) struct PodTopologyLabels;

#[async_trait]
impl Plugin for PodTopologyLabels {
    async fn admit(&self, cluster: &Cluster, attributes: &mut Attributes<'_>) -> Result<(), ApiError> {
        if attributes.row() != PODS {
            return Ok(());
        }
        let Some(object) = &mut attributes.object else { return Ok(()) };
        let node = match attributes.subresource {
            "" => object.get_str(&["spec", "nodeName"]),
            "binding" if object.get_str(&["target", "kind"]) == Some("Node") => object.get_str(&["target", "name"]),
            _ => None,
        };
        let node = node.unwrap_or_default().to_owned();
        let Some(node) = cluster.informer().find(NODES, "", &node).await? else { return Ok(()) };
        for label in LABELS {
            if let Some(value) = node.label(label) {
                object.set_label(label, value);
            }
        }
        Ok(())
    }
}
