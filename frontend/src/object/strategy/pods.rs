//! Pods: the status they start with, and what an update leaves alone.

use super::writer::Writer;
use crate::{
    api::schema::{MapValue, Object, Struct, Value, codec},
    object::qos::quality_of_service,
};

/// What the status endpoint leaves, and what the other parts of a pod leave too.
const METADATA: [&str; 6] =
    ["deletionTimestamp", "generation", "labels", "annotations", "finalizers", "ownerReferences"];

pub(super) fn created(object: &mut Object, writer: &Writer) {
    object.set(&["status", "phase"], "Pending");
    let class = quality_of_service(object);
    object.set(&["status", "qosClass"], class);
    if !object.get_list(&["spec", "schedulingGates"]).unwrap_or_default().is_empty() {
        tell_of_gates(object, &writer.now);
    }
    let labels = object.get_map(&["metadata", "labels"]).cloned().unwrap_or_default();
    merge_label_keys(object, &labels);
    arm_containers(object, writer);
}

/// Where the profile of a container stood before it had a field.
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// A profile that only the old annotation names is put into the container's field, unless it is the pod's own.
fn arm_containers(pod: &mut Object, writer: &Writer) {
    let annotations = pod.get_map(&["metadata", "annotations"]).filter(|all| all.iter().any(is_of_app_armor)).cloned();
    let Some(annotations) = annotations.filter(|_| pod.get_str(&["spec", "os", "name"]) != Some("windows")) else {
        return;
    };
    let of_pod = pod.get(&["spec", "securityContext", "appArmorProfile"]).cloned();
    for list in ["initContainers", "containers"] {
        each_struct(pod.get_mut(&["spec", list]), |container| {
            let key = format!("{APP_ARMOR}{}", container.get("name").and_then(Value::as_str).unwrap_or_default());
            let Some(annotation) = annotations.get(&key).and_then(Value::as_str) else { return };
            if container.get("securityContext").is_some_and(|context| context.child("appArmorProfile").is_some()) {
                return;
            }
            let is_of_pod = match inner(container, "securityContext").and_then(|context| armed(context, annotation)) {
                Some((_, profile)) if of_pod.as_ref() == Some(&profile) => true,
                Some((context, profile)) => {
                    let mut context = context;
                    context.set("appArmorProfile", profile);
                    container.set("securityContext", Value::Struct(context));
                    false
                }
                None => false,
            };
            if !is_of_pod {
                let text = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
                writer.warnings.add(format!("metadata.annotations[{key}]: {text}"));
            }
        });
    }
}

fn is_of_app_armor((key, _): (&str, &Value)) -> bool {
    key.starts_with(APP_ARMOR)
}

/// A copy of a struct below another one, empty where there is none.
fn inner(outer: &Struct, field: &str) -> Option<Struct> {
    if let Some(Value::Struct(found)) = outer.get(field) {
        return Some(found.clone());
    }
    outer.def().field(field).and_then(|field| field.struct_ref()).map(Struct::new)
}

/// The profile that an annotation names, beside the context that it is for. None for one that no field could hold.
fn armed(context: Struct, annotation: &str) -> Option<(Struct, Value)> {
    const BYTES_MAX: usize = 4095;
    let mut profile = inner(&context, "appArmorProfile")?;
    match annotation {
        "unconfined" => profile.set("type", "Unconfined"),
        "runtime/default" => profile.set("type", "RuntimeDefault"),
        _ => {
            let name = annotation.strip_prefix("localhost/")?;
            if name.is_empty() || name.trim() != name || name.len() > BYTES_MAX {
                return None;
            }
            profile.set("type", "Localhost");
            profile.set("localhostProfile", name)
        }
    };
    Some((context, Value::Struct(profile)))
}

/// Selectors that name keys of labels alone get the pod's values for them.
fn merge_label_keys(object: &mut Object, labels: &MapValue) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let path = ["spec", "affinity", kind, "requiredDuringSchedulingIgnoredDuringExecution"];
        each_struct(object.get_mut(&path), |term| merge_keys(term, labels));
        let path = ["spec", "affinity", kind, "preferredDuringSchedulingIgnoredDuringExecution"];
        each_struct(object.get_mut(&path), |weighted| {
            if let Some(term) = weighted.get_mut("podAffinityTerm").and_then(Value::as_struct_mut) {
                merge_keys(term, labels);
            }
        });
    }
    each_struct(object.get_mut(&["spec", "topologySpreadConstraints"]), |constraint| merge_keys(constraint, labels));
}

fn each_struct(list: Option<&mut Value>, work: impl FnMut(&mut Struct)) {
    let items = list.and_then(Value::as_list_mut).into_iter().flatten();
    items.filter_map(Value::as_struct_mut).for_each(work);
}

fn merge_keys(term: &mut Struct, labels: &MapValue) {
    let keys = |term: &Struct, field: &str| -> Vec<String> {
        let list = term.get(field).and_then(Value::as_list).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let wanted = keys(term, "matchLabelKeys").into_iter().map(|key| (key, "In"));
    let unwanted = keys(term, "mismatchLabelKeys").into_iter().map(|key| (key, "NotIn"));
    let all: Vec<(String, &str)> = wanted.chain(unwanted).filter(|(key, _)| labels.contains_key(key)).collect();
    let Some(selector) = term.get_mut("labelSelector").and_then(Value::as_struct_mut).filter(|_| !all.is_empty())
    else {
        return;
    };
    let def = selector.def().field("matchExpressions").and_then(|field| field.struct_ref()).cloned();
    let Some(def) = def else { return };
    let mut expressions = selector.get("matchExpressions").and_then(Value::as_list).unwrap_or_default().to_vec();
    for (key, operator) in all {
        let mut expression = Struct::new(&def);
        let value = labels.get(&key).cloned().unwrap_or_else(|| Value::from(""));
        expression.set("key", key);
        expression.set("operator", operator);
        expression.set("values", Value::List(vec![value]));
        expressions.push(Value::Struct(expression));
    }
    selector.set("matchExpressions", expressions);
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

/// The deletion of a pod is not the status endpoint's to announce; what a client does not know of is kept.
pub(super) fn status_changed(object: &mut Object, old: &Object, _: &Writer) {
    object.set_deletion_timestamp(None);
    if object.get_str(&["status", "qosClass"]).unwrap_or_default().is_empty() {
        object.copy_from(old, &["status", "qosClass"]);
    }
    const OBSERVED: &str = "observedGeneration";
    if object.get_i64(&["status", OBSERVED]).unwrap_or(0) == 0 {
        object.copy_from(old, &["status", OBSERVED]);
    }
    let kind = |condition: &Value| condition.child("type").cloned();
    let before = old.get_list(&["status", "conditions"]).unwrap_or_default();
    let mut known: Vec<(Option<Value>, Option<Value>)> =
        before.iter().map(|condition| (kind(condition), condition.child(OBSERVED).cloned())).collect();
    let Some(Value::List(conditions)) = object.get_mut(&["status", "conditions"]) else { return };
    for condition in conditions {
        let Some(at) = known.iter().position(|(known, _)| *known == kind(condition)) else { continue };
        let (_, observed) = known.remove(at);
        let unknown = condition.child(OBSERVED).is_none_or(Value::is_zero);
        if let (Some(fields), Some(observed), true) = (condition.as_struct_mut(), observed, unknown) {
            fields.set(OBSERVED, observed);
        }
    }
}

/// The ephemeralcontainers endpoint changes them alone.
pub(super) fn only_ephemeral_containers(object: &mut Object, old: &Object, _: &Writer) {
    let containers = object.get(&["spec", "ephemeralContainers"]).cloned();
    object.copy_from(old, &["spec"]);
    object.copy_from(old, &["status"]);
    METADATA.iter().for_each(|field| object.copy_from(old, &["metadata", field]));
    match containers {
        Some(containers) => drop(object.set(&["spec", "ephemeralContainers"], containers)),
        None => drop(object.remove(&["spec", "ephemeralContainers"])),
    }
}

/// The resize endpoint changes resources alone. Containers that are not those of before are left to be refused.
pub(super) fn only_resources(object: &mut Object, old: &Object, _: &Writer) {
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
    METADATA.iter().for_each(|field| object.copy_from(old, &["metadata", field]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::schema::{Schema, codec},
        request::{User, Warnings},
    };

    #[test]
    fn a_profile_that_an_annotation_names_becomes_a_field() {
        // The annotation, the pod's own profile, that of the container; what the container has in the end, and whether
        // the client is warned.
        let localhost = r#"{"localhostProfile":"x","type":"Localhost"}"#;
        let default = r#"{"type":"RuntimeDefault"}"#;
        for (annotation, of_pod, own, after, is_warned) in [
            ("runtime/default", None, None, Some(default), true),
            ("localhost/x", None, None, Some(localhost), true),
            ("unconfined", Some(default), None, Some(r#"{"type":"Unconfined"}"#), true),
            ("runtime/default", Some(default), None, None, false),
            ("localhost/", None, None, None, true),
            ("localhost/ x", None, None, None, true),
            ("unconfined", None, Some(localhost), Some(localhost), false),
        ] {
            let context = |profile: Option<&str>| match profile {
                Some(profile) => format!(r#"{{"appArmorProfile":{profile}}}"#),
                None => "{}".to_owned(),
            };
            let json = format!(
                r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"annotations":{{"{APP_ARMOR}c":"{annotation}"}}}},
                    "spec":{{"securityContext":{},"containers":[{{"name":"c","securityContext":{}}}]}}}}"#,
                context(of_pod),
                context(own),
            );
            let mut pod = codec::decode_json(&Schema::builtin(), json.as_bytes(), None).unwrap().object;
            let (user, warnings) = (User::default(), Warnings::default());
            arm_containers(&mut pod, &Writer { user: &user, now: String::new(), warnings: &warnings });
            let mut written = Vec::new();
            codec::encode_json(&pod, &mut written);
            let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
            let profile = &written["spec"]["containers"][0]["securityContext"]["appArmorProfile"];
            let after = after.map_or(serde_json::Value::Null, |after| serde_json::from_str(after).unwrap());
            assert_eq!(*profile, after, "{annotation}");
            assert_eq!(!warnings.take().is_empty(), is_warned, "{annotation}");
        }
    }
}
