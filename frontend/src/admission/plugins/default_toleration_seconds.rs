//! Pods get a limited patience with nodes that are not ready or not reachable, unless they say their own.

use std::sync::Arc;

use serde_json::json;

use crate::{
    admission::{Admitted, Attributes, Made, Parts, Plugin},
    cluster::{
        Cluster,
        objects::{append, sample, text},
    },
};

const PATH: &[&str] = &["spec", "tolerations"];

pub(in crate::admission) struct DefaultTolerationSeconds {
    /// The taint, and how long a pod stays on a node with it.
    stays: [(&'static str, i64); 2],
}

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    let flags = parts.flags;
    Ok(Arc::new(DefaultTolerationSeconds {
        stays: [
            ("node.kubernetes.io/not-ready", flags.not_ready_seconds),
            ("node.kubernetes.io/unreachable", flags.unreachable_seconds),
        ],
    }))
}

impl Plugin for DefaultTolerationSeconds {
    fn admit<'a>(&'a self, _: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "pods") {
                return Ok(());
            }
            let Some(pod) = &mut attributes.object else { return Ok(()) };
            let present = pod.get_list(PATH).unwrap_or_default();
            let tolerated = |key: &str| {
                present.iter().any(|toleration| {
                    matches!(text(toleration, "key"), found if found == key || found.is_empty())
                        && matches!(text(toleration, "effect"), "NoExecute" | "")
                })
            };
            let missing: Vec<serde_json::Value> = self
            .stays
            .iter()
            .filter(|(key, _)| !tolerated(key))
            .map(|(key, stay)| {
                json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": stay})
            })
            .collect();
            let values = sample(pod, &json!({"spec": {"tolerations": missing}}), PATH)?;
            append(pod, PATH, values);
            Ok(())
        })
    }
}
