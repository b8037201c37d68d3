//! HorizontalPodAutoscaler.

use super::{
    super::value::{Struct, Value},
    is_set,
};
use crate::api::schema::{object::set_in_struct, tables::StructRef};

/// What version 1 shows in annotations since it has no fields for it.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// Of the CPU that is asked for, where nothing else says when to scale.
const CPU_PERCENT: i64 = 80;

/// Version 1: one share of CPU, unless the annotation has other metrics.
pub(super) fn older(autoscaler: &mut Struct) {
    let has_metrics = autoscaler.get("metadata").and_then(|metadata| metadata.at(&["annotations", METRICS])).is_some();
    let path = ["spec", "targetCPUUtilizationPercentage"];
    if !has_metrics && !is_set(autoscaler, &path) {
        set_in_struct(autoscaler, &path, CPU_PERCENT.into());
    }
}

const PERIOD_SECONDS: i64 = 15;

pub(super) fn autoscaler(autoscaler: &mut Struct) {
    let spec = autoscaler.def().field("spec").and_then(|field| field.struct_ref()).cloned();
    let Some(spec) = spec else { return };
    let metrics = autoscaler.get("spec").and_then(|spec| spec.child("metrics")).and_then(Value::as_list);
    if metrics.is_none_or(<[Value]>::is_empty)
        && let Some(metric) = spec.field("metrics").and_then(|field| field.struct_ref())
    {
        set_in_struct(autoscaler, &["spec", "metrics"], vec![cpu_metric(metric)].into());
    }
    if is_set(autoscaler, &["spec", "behavior"]) {
        let policies = [("Pods", 4), ("Percent", 100)];
        scaling_rules(autoscaler, "scaleUp", &policies);
        if !is_set(autoscaler, &["spec", "behavior", "scaleUp", "stabilizationWindowSeconds"]) {
            set_in_struct(autoscaler, &["spec", "behavior", "scaleUp", "stabilizationWindowSeconds"], 0i64.into());
        }
        scaling_rules(autoscaler, "scaleDown", &policies[1..]);
    }
}

fn cpu_metric(def: &StructRef) -> Value {
    let mut metric = Struct::new(def);
    metric.set("type", "Resource");
    set_in_struct(&mut metric, &["resource", "name"], "cpu".into());
    set_in_struct(&mut metric, &["resource", "target", "type"], "Utilization".into());
    set_in_struct(&mut metric, &["resource", "target", "averageUtilization"], CPU_PERCENT.into());
    metric.into()
}

fn scaling_rules(autoscaler: &mut Struct, direction: &str, policies: &[(&str, i64)]) {
    let path = |last| ["spec", "behavior", direction, last];
    if !is_set(autoscaler, &path("selectPolicy")) {
        set_in_struct(autoscaler, &path("selectPolicy"), "Max".into());
    }
    if is_set(autoscaler, &path("policies")) {
        return;
    }
    let rules = autoscaler.get("spec").and_then(|spec| spec.at(&["behavior", direction])).and_then(Value::as_struct);
    let def = rules.and_then(|rules| rules.def().field("policies")).and_then(|field| field.struct_ref()).cloned();
    let Some(def) = def else { return };
    let policies: Vec<Value> = policies
        .iter()
        .map(|(kind, value)| {
            let mut policy = Struct::new(&def);
            policy.set("type", *kind);
            policy.set("value", *value);
            policy.set("periodSeconds", PERIOD_SECONDS);
            policy.into()
        })
        .collect();
    set_in_struct(autoscaler, &path("policies"), policies.into());
}
