//! Pods of a RuntimeClass: what the runtime itself costs, and on which nodes it is.

use std::sync::Arc;

use super::Resource;
use crate::{
    admission::{Admitted, Attributes, Plugin, amounts::Amounts, tolerations},
    api::schema::{MapValue, Object, Value},
    cluster::Cluster,
    request::status::ApiError,
};

const CLASSES: Resource = ("node.k8s.io", "runtimeclasses");
const OVERHEAD: &[&str] = &["spec", "overhead"];

#[derive(Default)]
pub(in crate::admission) struct RuntimeClass;

impl Plugin for RuntimeClass {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(class) = class_of(cluster, attributes).await? else { return Ok(()) };
            set_overhead(attributes, &class)?;
            set_scheduling(attributes, &class)
        })
    }

    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "pods") {
                return Ok(());
            }
            let class = class_of(cluster, attributes).await?;
            let Some(pod) = &attributes.object else { return Ok(()) };
            match class.as_ref().filter(|class| class.get(&["overhead"]).is_some()) {
                Some(class) if Amounts::of(class.get(FIXED)) != Amounts::of(pod.get(OVERHEAD)) => {
                    Err(attributes.forbidden(MISMATCH))
                }
                None if pod.get(OVERHEAD).is_some() => Err(attributes
                    .forbidden("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")),
                _ => Ok(()),
            }
        })
    }
}

const FIXED: &[&str] = &["overhead", "podFixed"];
const MISMATCH: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

async fn class_of(cluster: &Cluster, attributes: &Attributes<'_>) -> Result<Option<Arc<Object>>, ApiError> {
    let Some(pod) = attributes.object.as_ref().filter(|_| attributes.is_for("", "pods")) else { return Ok(None) };
    let Some(name) = pod.get_str(&["spec", "runtimeClassName"]) else { return Ok(None) };
    match cluster.informer().find(CLASSES, "", name).await? {
        Some(class) => Ok(Some(class)),
        None => Err(attributes.forbidden(format!("pod rejected: RuntimeClass {name:?} not found"))),
    }
}

fn set_overhead(attributes: &mut Attributes<'_>, class: &Object) -> Result<(), ApiError> {
    let Some(pod) = &mut attributes.object else { return Ok(()) };
    if class.get(&["overhead"]).is_none() {
        return Ok(());
    }
    let (given, defined) = (Amounts::of(pod.get(OVERHEAD)), Amounts::of(class.get(FIXED)));
    if !given.is_empty() && given != defined {
        return Err(attributes.forbidden(MISMATCH));
    }
    match class.get(FIXED) {
        Some(fixed) => drop(pod.set(OVERHEAD, fixed.clone())),
        None => drop(pod.remove(OVERHEAD)),
    }
    Ok(())
}

fn set_scheduling(attributes: &mut Attributes<'_>, class: &Object) -> Result<(), ApiError> {
    let Some(pod) = &mut attributes.object else { return Ok(()) };
    if class.get(&["scheduling"]).is_none() {
        return Ok(());
    }
    let wanted = class.get_map(&["scheduling", "nodeSelector"]).into_iter().flat_map(MapValue::iter);
    for (key, value) in wanted.filter_map(|(key, value)| Some((key, value.as_str()?))) {
        let present = pod.get_map(&["spec", "nodeSelector"]).and_then(|map| map.get(key)).and_then(Value::as_str);
        if let Some(other) = present.filter(|other| *other != value) {
            let why = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {other}"
            );
            return Err(attributes.forbidden(why));
        }
        pod.set(&["spec", "nodeSelector", key], value);
    }
    let own = pod.get_list(&["spec", "tolerations"]).unwrap_or_default();
    let merged = tolerations::merge(own, class.get_list(&["scheduling", "tolerations"]).unwrap_or_default());
    match merged.is_empty() {
        true => drop(pod.remove(&["spec", "tolerations"])),
        false => drop(pod.set(&["spec", "tolerations"], merged)),
    }
    Ok(())
}
