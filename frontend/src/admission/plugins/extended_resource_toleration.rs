//! Pods that ask for extended resources tolerate the taints by which nodes that have them keep others away.

use std::collections::BTreeSet;

use serde_json::json;

use super::list;
use crate::{
    admission::{Admitted, Attributes, Plugin, amounts},
    api::schema::Value,
    cluster::{
        Cluster,
        objects::{append, sample, text},
    },
    object::validation::names,
};

const PATH: &[&str] = &["spec", "tolerations"];

#[derive(Default)]
pub(in crate::admission) struct ExtendedResourceToleration;

/// Names with a domain that is not Kubernetes' own.
pub(super) fn is_extended(name: &str) -> bool {
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    !native && !name.starts_with("requests.") && names::label_key(&format!("requests.{name}")).is_empty()
}

impl Plugin for ExtendedResourceToleration {
    fn admit<'a>(&'a self, _: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "pods") {
                return Ok(());
            }
            let Some(pod) = &mut attributes.object else { return Ok(()) };
            let Some(spec) = pod.get(&["spec"]) else { return Ok(()) };
            let containers = list(spec, &["containers"]).iter().chain(list(spec, &["initContainers"]));
            let requests = containers.map(|container| amounts::of_container(container, "requests"));
            let names = requests.flat_map(|amounts| amounts.0.into_keys()).filter(|name| is_extended(name));
            for name in names.collect::<BTreeSet<String>>() {
                let wanted = json!({"key": name, "operator": "Exists", "effect": "NoSchedule"});
                let made = sample(pod, &json!({"spec": {"tolerations": [wanted]}}), PATH)?;
                let Some(Value::List(present)) = pod.get_mut(PATH) else {
                    append(pod, PATH, made);
                    continue;
                };
                // One of the same key, effect, operator and value is replaced.
                let same = |a: &Value, b: &Value| {
                    ["key", "effect", "operator", "value"].iter().all(|field| text(a, field) == text(b, field))
                };
                match present.iter_mut().find(|toleration| made.iter().any(|m| same(m, toleration))) {
                    Some(found) => made.into_iter().for_each(|m| *found = m),
                    None => present.extend(made),
                }
            }
            Ok(())
        })
    }
}
