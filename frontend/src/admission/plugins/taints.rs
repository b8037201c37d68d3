//! New nodes are not ready, and pods leave nodes that stay so: the taint of the first, the tolerations of the latter.

use async_trait::async_trait;
use serde_json::json;

use crate::admission::{Attributes, Operation, Plugin};
use crate::cluster::objects::{append, sample, text};
use crate::{cluster::Cluster, request::status::ApiError};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// How long a pod stays on a node that is not ready.
const STAY_SECONDS: i64 = 300;

/// Taints a new node until its controller sees it ready, so that nothing is scheduled there too early.
pub(in crate::admission) struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

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

/// Gives pods a limited patience with nodes that are not ready or not reachable, unless they say their own.
pub(in crate::admission) struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(&self, _: &Cluster, attributes: &mut Attributes<'_>) -> Result<(), ApiError> {
        if !attributes.is_for("", "pods") {
            return Ok(());
        }
        let Some(pod) = &mut attributes.object else { return Ok(()) };
        const PATH: &[&str] = &["spec", "tolerations"];
        let present = pod.get_list(PATH).unwrap_or_default();
        let tolerated = |key: &str| {
            present.iter().any(|toleration| {
                matches!(text(toleration, "key"), found if found == key || found.is_empty())
                    && matches!(text(toleration, "effect"), "NoExecute" | "")
            })
        };
        let missing: Vec<serde_json::Value> = [NOT_READY, UNREACHABLE]
            .into_iter()
            .filter(|key| !tolerated(key))
            .map(|key| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": STAY_SECONDS}))
            .collect();
        let values = sample(pod, &json!({"spec": {"tolerations": missing}}), PATH)?;
        append(pod, PATH, values);
        Ok(())
    }
}
