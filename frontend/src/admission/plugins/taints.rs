//! New nodes are not ready.

use async_trait::async_trait;
use serde_json::json;

use crate::{
    admission::{Attributes, Plugin},
    cluster::{
        Cluster,
        objects::{append, sample, text},
    },
    request::status::ApiError,
};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Taints a new node until its controller sees it ready, so that nothing is scheduled there too early.
#[derive(Default)]
pub(in crate::admission) struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    async fn admit(&self, _: &Cluster, attributes: &mut Attributes<'_>) -> Result<(), ApiError> {
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
    }
}
