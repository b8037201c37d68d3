//! What the endpoints below pods and namespaces may change.

use crate::{
    api::schema::{MapValue, Object, Struct, Value},
    object::{
        equality::same,
        qos::quality_of_service,
        validation::{error_list::ErrorList, field_path::FieldPath, rules},
    },
};

fn list<'t>(fields: &'t Struct, name: &str) -> &'t [Value] {
    fields.get(name).and_then(Value::as_list).unwrap_or_default()
}

fn name_of(item: &Value) -> &str {
    item.child("name").and_then(Value::as_str).unwrap_or_default()
}

/// Finalizers of a namespace are validated as those of a new one.
pub(super) fn finalize<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, _old: &'t Object, errors: &mut ErrorList<'t>) {
    rules::finalizers(path, errors);
}

/// The phase says whether a namespace is being deleted.
pub(super) fn namespace_status<'t>(
    path: &FieldPath<'_, 't>,
    new: &'t Object,
    _old: &'t Object,
    errors: &mut ErrorList<'t>,
) {
    const FIELD: &str = "status.Phase";
    let phase = path.at(&["status", "phase"]).and_then(Value::as_str).unwrap_or_default();
    let (wanted, when) = match new.deletion_timestamp() {
        None => ("Active", "empty"),
        Some(_) => ("Terminating", "not empty"),
    };
    if phase != wanted {
        let detail = format!("may only be '{wanted}' if `deletionTimestamp` is {when}");
        errors.invalid(path, FIELD, phase, detail);
    }
}

/// Ephemeral containers are added, and never removed or changed.
pub(super) fn ephemeral_containers<'t>(
    path: &FieldPath<'_, 't>,
    _new: &'t Object,
    old: &'t Object,
    errors: &mut ErrorList<'t>,
) {
    const FIELD: &str = "spec.ephemeralContainers";
    let Some(spec) = path.child("spec") else { return };
    let new = list(spec, "ephemeralContainers");
    for before in old.get_list(&["spec", "ephemeralContainers"]).unwrap_or_default() {
        let quoted = crate::request::status::go_quote(name_of(before));
        match new.iter().rfind(|item| name_of(item) == name_of(before)) {
            None => {
                errors.forbidden(path, FIELD, format!("existing ephemeral containers {quoted} may not be removed\n"))
            }
            Some(item) if !same(Some(item), Some(before)) => {
                let diff = super::diff::of(Some(before), Some(item));
                let detail = format!("existing ephemeral containers {quoted} may not be changed\n{diff}");
                errors.forbidden(path, FIELD, detail);
            }
            Some(_) => {}
        }
    }
}

/// Of a running pod's resources only cpu and memory change, and the class of its service stays.
pub(super) fn resize<'t>(path: &FieldPath<'_, 't>, object: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    const ONLY: &str = "only cpu and memory resources are mutable";
    let (Some(spec), Some(before)) = (path.child("spec"), old.get(&["spec"]).and_then(Value::as_struct)) else {
        return;
    };
    let class = object.get_str(&["status", "qosClass"]).unwrap_or_default();
    if quality_of_service(old) != quality_of_service(object) {
        errors.invalid(path, "spec", class, "Pod QOS Class may not change as a result of resizing");
    }
    let mut renamed = false;
    for field in ["containers", "initContainers"] {
        let (new, was) = (list(spec, field), list(before, field));
        if new.len() != was.len() {
            errors.forbidden(path, &format!("spec.{field}"), format!("{field} may not be added or removed on resize"));
            renamed = true;
            continue;
        }
        for at in (0..new.len()).filter(|at| name_of(&new[*at]) != name_of(&was[*at])) {
            let detail = format!("{field} may not be renamed or reordered on resize");
            errors.forbidden(path, &format!("spec.{field}[{at}].name"), detail);
            renamed = true;
        }
    }
    if renamed {
        return;
    }
    let refused = errors.len();
    for (field, why) in
        [("initContainers", "only cpu and memory resources for sidecar containers are mutable"), ("containers", ONLY)]
    {
        for (at, (new, was)) in list(spec, field).iter().zip(list(before, field)).enumerate() {
            let sidecar =
                field == "initContainers" && new.child("restartPolicy").and_then(Value::as_str) == Some("Always");
            if field == "initContainers" && !sidecar {
                if !same(Some(new), Some(was)) {
                    errors.forbidden(path, "spec", "resources for non-sidecar init containers are immutable");
                }
                continue;
            }
            for part in ["requests", "limits"] {
                let removed = map(was, part).is_some_and(|was| {
                    was.iter().any(|(name, _)| map(new, part).is_none_or(|new| !new.contains_key(name)))
                });
                if removed {
                    let detail = format!("resource {part} cannot be removed");
                    errors.forbidden(path, &format!("spec.{field}[{at}].resources.{part}"), detail);
                }
            }
            if !same(Some(&without_cpu_and_memory(new, was)), Some(was)) {
                errors.forbidden(path, "spec", why);
            }
        }
    }
    if errors.len() == refused {
        others(path, spec, before, ONLY, errors);
    }
}

fn map<'t>(container: &'t Value, part: &str) -> Option<&'t MapValue> {
    container.at(&["resources", part]).and_then(Value::as_map)
}

/// The container with what it had of cpu and memory, and nothing else of resources but their amounts.
fn without_cpu_and_memory(new: &Value, was: &Value) -> Value {
    let mut copy = new.clone();
    let Some(resources) = copy.child_mut("resources").and_then(Value::as_struct_mut) else { return copy };
    resources.remove("claims");
    for part in ["requests", "limits"] {
        let mut amounts = map(new, part).cloned().unwrap_or_default();
        for name in ["cpu", "memory"] {
            match map(was, part).and_then(|was| was.get(name)) {
                Some(value) => drop(amounts.insert(name, value.clone())),
                None => drop(amounts.remove(name)),
            }
        }
        match amounts.is_empty() {
            true => drop(resources.remove(part)),
            false => drop(resources.set(part, amounts)),
        }
    }
    copy
}

fn others<'t>(path: &FieldPath<'_, 't>, spec: &Struct, before: &Struct, why: &str, errors: &mut ErrorList<'t>) {
    let mut reverted = spec.clone();
    for field in ["containers", "initContainers"] {
        match before.get(field) {
            Some(value) => drop(reverted.set(field, value.clone())),
            None => drop(reverted.remove(field)),
        }
    }
    if !same(Some(&Value::Struct(reverted)), Some(&Value::Struct(before.clone()))) {
        errors.forbidden(path, "spec", why);
    }
}
