//! A pod that is bound to a node carries the node's zone and region as labels.

use super::{NODES, PODS};
use crate::{
    admission::{Admitted, Attributes, Plugin},
    cluster::Cluster,
};

const LABELS: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

#[derive(Default)]
pub(in crate::admission) struct PodTopologyLabels;

impl Plugin for PodTopologyLabels {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
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
        })
    }
}
