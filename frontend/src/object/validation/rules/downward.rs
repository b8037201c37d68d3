//! What a container may be told of its pod and of itself, by a volume or a variable.

use super::{
    super::{
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, names,
        rule::{Rule, with},
    },
    volumes::MODE,
};
use crate::api::schema::{Value, scalar::quantity::Quantity};

pub(super) static RULES: &[Rule] = &[
    with("core.v1.DownwardAPIVolumeSource", downward_api, &[("defaultMode", MODE)]),
    with("core.v1.DownwardAPIProjection", downward_api, &[]),
];

/// Errors name the source, not the file.
fn downward_api<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    errors.skip("items");
    for file in path.structs("items") {
        let text = super::resources::text(file, "path");
        if text.is_empty() {
            errors.required(path, "path", "");
        }
        errors.invalid_each(path, "path", text, forms::volume_path(text));
        let (own, of_resource) = (file.get("fieldRef"), file.get("resourceFieldRef"));
        if let Some(Value::Struct(selector)) = own {
            object_field(&path.below("fieldRef", Nth::Only, selector), &VOLUME_FIELDS, errors);
            if of_resource.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid(path, "", "resource", detail);
            }
        } else if let Some(Value::Struct(selector)) = of_resource {
            resource_field(&path.below("resourceFieldRef", Nth::Only, selector), true, errors);
        } else {
            errors.required(path, "", "one of fieldRef and resourceFieldRef is required");
        }
        if let Some(mode) = file.get("mode").and_then(Value::as_i64).filter(|mode| !(0..=0o777).contains(mode)) {
            let detail = "must be a number between 0 and 0777 (octal), both inclusive";
            errors.invalid_as(path, "mode", mode, detail);
        }
    }
}

const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

pub(super) const VARIABLE_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const POD_FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// A field of the pod, by the names that are known where it is used.
pub(super) fn object_field<'t>(path: &FieldPath<'_, 't>, known: &[&str], errors: &mut ErrorList<'t>) {
    let (version, named) = (path.text("apiVersion"), path.text("fieldPath"));
    if version.is_empty() {
        return errors.required(path, "apiVersion", "");
    }
    if named.is_empty() {
        return errors.required(path, "fieldPath", "");
    }
    let subscript =
        named.strip_suffix("']").and_then(|rest| rest.split_once("['")).filter(|(field, _)| !field.is_empty());
    let refusal = match subscript {
        _ if version != "v1" => Some(format!("unsupported pod version: {version}")),
        Some(("metadata.annotations" | "metadata.labels", _)) => None,
        Some(_) => Some(format!("field label does not support subscript: {named}")),
        None if POD_FIELDS.contains(&named) || named == "spec.host" => None,
        None => Some(format!("field label not supported: {named}")),
    };
    if let Some(refusal) = refusal {
        return errors.invalid(path, "fieldPath", named, format!("error converting fieldPath: {refusal}"));
    }
    let named = if named == "spec.host" { "spec.nodeName" } else { named };
    match subscript {
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            errors.invalid_each(path, "", &key, names::label_key(&key));
        }
        Some((_, key)) => errors.invalid_each(path, "", key, names::label_key(key)),
        None if !known.contains(&named) => errors.unsupported(path, "fieldPath", named, known),
        None => {}
    }
}

/// A resource of a container and the unit in which it is told.
pub(super) fn resource_field<'t>(path: &FieldPath<'_, 't>, volume: bool, errors: &mut ErrorList<'t>) {
    const KNOWN: [&str; 6] = [
        "limits.cpu",
        "limits.ephemeral-storage",
        "limits.memory",
        "requests.cpu",
        "requests.ephemeral-storage",
        "requests.memory",
    ];
    let resource = path.text("resource");
    let huge = resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    if volume && path.text("containerName").is_empty() {
        errors.required(path, "containerName", "");
    } else if resource.is_empty() {
        errors.required(path, "resource", "");
    } else if !KNOWN.contains(&resource) && !huge {
        errors.unsupported(path, "resource", resource, &KNOWN);
    }
    let divisor = path.optional_text("divisor").unwrap_or("0");
    if Quantity::parse(divisor).is_ok_and(|quantity| quantity.is_zero()) {
        return;
    }
    const BYTES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let (fits, what) = match resource.split_once('.').map_or("", |(_, of)| of) {
        "cpu" if KNOWN.contains(&resource) => {
            if !["1m", "1"].contains(&divisor) {
                let detail = "only divisor's values 1m and 1 are supported with the cpu resource";
                errors.invalid(path, "divisor", resource, detail);
            }
            return;
        }
        "memory" if KNOWN.contains(&resource) => (BYTES.contains(&divisor), "memory"),
        "ephemeral-storage" if KNOWN.contains(&resource) => (BYTES.contains(&divisor), "local ephemeral storage"),
        _ if huge => (BYTES.contains(&divisor), "hugepages"),
        _ => return,
    };
    if !fits {
        let detail = format!("only divisor's values {} are supported with the {what} resource", BYTES.join(", "));
        errors.invalid(path, "divisor", resource, detail);
    }
}
