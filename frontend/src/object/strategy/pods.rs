//! Pods: the status they start with, and what an update leaves alone.

use crate::api::schema::{Object, Value, codec};

pub(super) fn prepare_create(object: &mut Object, now: &str) {
    object.set(&["status", "phase"], "Pending");
    let class = quality_of_service(object);
    object.set(&["status", "qosClass"], class);
    if !object.get_list(&["spec", "schedulingGates"]).unwrap_or_default().is_empty() {
        tell_of_gates(object, now);
    }
}

/// A pod that waits behind gates says so.
fn tell_of_gates(object: &mut Object, now: &str) {
    let condition = serde_json::json!({"status": {"conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
        "lastTransitionTime": now,
    }]}});
    let Ok(made) = codec::decode_json_as(object.ty(), condition.to_string().as_bytes()) else { return };
    object.copy_from(&made.object, &["status", "conditions"]);
}

pub(super) fn prepare_update(object: &mut Object, old: &Object) {
    object.copy_from(old, &["spec", "ephemeralContainers"]);
}

/// The ephemeralcontainers endpoint changes them alone.
pub(super) fn only_ephemeral_containers(object: &mut Object, old: &Object) {
    let containers = object.get(&["spec", "ephemeralContainers"]).cloned();
    object.copy_from(old, &["spec"]);
    object.copy_from(old, &["status"]);
    if let Some(containers) = containers {
        object.set(&["spec", "ephemeralContainers"], containers);
    }
    object.set_generation(old.generation() + 1);
}

/// The resize endpoint changes resources alone. Containers that are not those of before are left to be refused.
pub(super) fn only_resources(object: &mut Object, old: &Object) {
    let names = |object: &Object, list: &str| -> Vec<String> {
        let items = object.get_list(&["spec", list]).unwrap_or_default();
        items.iter().map(|c| c.child("name").and_then(Value::as_str).unwrap_or_default().to_owned()).collect()
    };
    let lists = ["containers", "initContainers"];
    if lists.iter().any(|list| names(object, list).len() != names(old, list).len()) {
        return;
    }
    let mut merged = old.clone();
    for list in lists {
        if names(object, list) != names(old, list) {
            merged.copy_from(object, &["spec", list]);
            continue;
        }
        let given = object.get_list(&["spec", list]).unwrap_or_default().to_vec();
        let Some(Value::List(items)) = merged.get_mut(&["spec", list]) else { continue };
        for (item, given) in items.iter_mut().filter_map(Value::as_struct_mut).zip(&given) {
            for field in ["resources", "resizePolicy"] {
                match given.child(field) {
                    Some(value) => drop(item.set(field, value.clone())),
                    None => drop(item.remove(field)),
                }
            }
        }
    }
    object.copy_from(&merged, &["spec"]);
    object.copy_from(old, &["status"]);
}

/// Guaranteed: every container limits cpu and memory and requests as much; BestEffort: none asks for anything.
pub fn quality_of_service(object: &Object) -> &'static str {
    let lists = ["initContainers", "containers"];
    let containers: Vec<&Value> =
        lists.iter().flat_map(|l| object.get_list(&["spec", l]).unwrap_or_default()).collect();
    let amount = |container: &Value, part: &str, resource: &str| -> Option<String> {
        let text = container.at(&["resources", part, resource])?.as_str()?;
        (text != "0").then(|| text.to_owned())
    };
    let whole = object.get(&["spec"]).filter(|spec| {
        let any = |part: &str| spec.at(&["resources", part]).and_then(Value::as_map).is_some_and(|m| !m.is_empty());
        any("requests") || any("limits")
    });
    let containers = whole.map_or(containers, |spec| vec![spec]);
    let mut asks = false;
    let mut guaranteed = !containers.is_empty();
    for container in containers {
        for resource in ["cpu", "memory"] {
            let (request, limit) = (amount(container, "requests", resource), amount(container, "limits", resource));
            asks |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request == limit;
        }
    }
    match (asks, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
