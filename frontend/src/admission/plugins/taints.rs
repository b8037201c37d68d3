//! New nodes are not ready.

use serde_json::json;

use crate::{
    admission::{Admitted, Attributes, Plugin},
    cluster::{
        Cluster,
        objects::{append, sample, text},
    },
};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Taints a new node until its controller sees it ready, so that nothing is scheduled there too early.
#[derive(Default)]
pub(in crate::admission) struct TaintNodesByCondition;

impl Plugin for TaintNodesByCondition {
    fn admit<'a>(&'a self, _: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "nodes") {
                return Ok(());
            }
            let Some(node) = &mut attributes.object else { return Ok(()) };
            const PATH: &[&str] = &["spec", "taints"];
            let mut taints = node.get_list(PATH).unwrap_or_default().iter();
            if taints.any(|taint| text(taint, "key") == NOT_READY && text(taint, "effect") == "NoSchedule") {
                return Ok(());
            }
            let taint = json!({"spec": {"taints": [{"key": NOT_READY, "effect": "NoSchedule"}]}});
            let taint = sample(node, &taint, PATH)?;
            append(node, PATH, taint);
            Ok(())
        })
    }
}
