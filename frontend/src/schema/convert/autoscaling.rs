//! HorizontalPodAutoscaler: version 1 knows one metric, the share of the requested CPU; version 2, in which it is
//! stored, has a list. Other metrics are kept in version 2 alone: version 1 does not show them.

use crate::schema::object::set_in_struct;
use crate::schema::value::{Struct, Value};

pub(super) fn to_v2(from: &Struct, to: &mut Struct) {
    let share = from.get("spec").and_then(|spec| spec.child("targetCPUUtilizationPercentage")).cloned();
    if let Some(metric) = share.and_then(|share| cpu(to, "metrics", "target", share)) {
        set_in_struct(to, &["spec", "metrics"], vec![metric].into());
    }
    let current = from.get("status").and_then(|status| status.child("currentCPUUtilizationPercentage")).cloned();
    if let Some(metric) = current.and_then(|share| cpu(to, "currentMetrics", "current", share)) {
        set_in_struct(to, &["status", "currentMetrics"], vec![metric].into());
    }
}

fn cpu(root: &Struct, list: &str, part: &str, share: Value) -> Option<Value> {
    let owner = if list == "metrics" { "spec" } else { "status" };
    let def = root.def().field(owner)?.struct_ref()?.field(list)?.struct_ref()?.clone();
    let mut metric = Struct::new(&def);
    metric.set("type", "Resource");
    set_in_struct(&mut metric, &["resource", "name"], "cpu".into());
    if part == "target" {
        set_in_struct(&mut metric, &["resource", part, "type"], "Utilization".into());
    }
    set_in_struct(&mut metric, &["resource", part, "averageUtilization"], share);
    Some(metric.into())
}

pub(super) fn to_v1(from: &Struct, to: &mut Struct) {
    let share = |owner: &str, list: &str, part: &str| -> Option<Value> {
        let metrics = from.get(owner)?.child(list)?.as_list()?;
        let cpu = |metric: &&Value| metric.at(&["resource", "name"]).and_then(Value::as_str) == Some("cpu");
        metrics.iter().filter(cpu).find_map(|metric| metric.at(&["resource", part, "averageUtilization"]).cloned())
    };
    if let Some(share) = share("spec", "metrics", "target") {
        set_in_struct(to, &["spec", "targetCPUUtilizationPercentage"], share);
    }
    if let Some(share) = share("status", "currentMetrics", "current") {
        set_in_struct(to, &["status", "currentCPUUtilizationPercentage"], share);
    }
}
