//! Pods and their templates: containers, ports, variables, mounts, volumes; and what an update may change.

use super::{meta, names};
use crate::{
    schema::{Object, Value},
    status::FieldError,
    strategy::same,
};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.child(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.child(name).and_then(Value::as_list).unwrap_or_default()
}

/// The template of a workload's pods.
pub(super) fn validate_template(template: Option<&Value>, path: &str) -> Vec<FieldError> {
    let Some(template) = template else { return vec![FieldError::required(path, "")] };
    let pairs = |name| {
        let map = template.at(&["metadata", name]).and_then(Value::as_map);
        map.into_iter().flat_map(|m| m.iter()).filter_map(|(key, value)| Some((key, value.as_str()?)))
    };
    let mut errors = meta::labels(pairs("labels"), &format!("{path}.metadata.labels"));
    errors.extend(meta::annotations(pairs("annotations"), &format!("{path}.metadata.annotations")));
    errors.extend(validate(template.child("spec"), &format!("{path}.spec")));
    errors
}

/// The spec of a pod.
pub(super) fn validate(spec: Option<&Value>, path: &str) -> Vec<FieldError> {
    let Some(spec) = spec else { return vec![FieldError::required(format!("{path}.containers"), "")] };
    let mut errors = Vec::new();
    let mut volumes: Vec<&str> = Vec::new();
    for (at, volume) in list(spec, "volumes").iter().enumerate() {
        let (name, field) = (text(volume, "name"), format!("{path}.volumes[{at}].name"));
        if name.is_empty() {
            errors.push(FieldError::required(field, ""));
        } else if volumes.contains(&name) {
            errors.push(FieldError::duplicate(field, name));
        } else {
            errors
                .extend(names::dns_1123_label(name).into_iter().map(|c| FieldError::invalid(field.as_str(), name, c)));
        }
        volumes.push(name);
    }
    if list(spec, "containers").is_empty() {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let mut known: Vec<&str> = Vec::new();
    for field in ["containers", "initContainers"] {
        for (at, item) in list(spec, field).iter().enumerate() {
            let here = format!("{path}.{field}[{at}]");
            let name = text(item, "name");
            if !name.is_empty() && known.contains(&name) {
                errors.push(FieldError::duplicate(format!("{here}.name"), name));
            }
            known.push(name);
            errors.extend(container(item, &here, &volumes));
        }
    }
    errors.extend(one_of(spec, path, "restartPolicy", &["Always", "Never", "OnFailure"]));
    errors.extend(one_of(spec, path, "dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]));
    errors
}

/// A field that is empty or one of a few words.
fn one_of(value: &Value, path: &str, field: &str, words: &[&str]) -> Option<FieldError> {
    let found = text(value, field);
    let odd = !found.is_empty() && !words.contains(&found);
    odd.then(|| FieldError::not_supported(format!("{path}.{field}"), found, words))
}

fn container(item: &Value, path: &str, volumes: &[&str]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name = text(item, "name");
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    } else {
        let field = format!("{path}.name");
        errors.extend(names::dns_1123_label(name).into_iter().map(|c| FieldError::invalid(field.as_str(), name, c)));
    }
    let image = text(item, "image");
    if image.is_empty() {
        errors.push(FieldError::required(format!("{path}.image"), ""));
    } else if image.trim() != image {
        let detail = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid(format!("{path}.image"), image, detail));
    }
    errors.extend(one_of(item, path, "terminationMessagePolicy", &["FallbackToLogsOnError", "File"]));
    errors.extend(ports(item, path));
    for (at, variable) in list(item, "env").iter().enumerate() {
        let (name, field) = (text(variable, "name"), format!("{path}.env[{at}].name"));
        if name.is_empty() {
            errors.push(FieldError::required(field, ""));
        } else {
            errors.extend(names::env_name(name).into_iter().map(|c| FieldError::invalid(field.as_str(), name, c)));
        }
    }
    errors.extend(one_of(item, path, "imagePullPolicy", &["Always", "IfNotPresent", "Never"]));
    errors.extend(mounts(item, path, volumes));
    errors
}

fn ports(item: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (at, port) in list(item, "ports").iter().enumerate() {
        let here = format!("{path}.ports[{at}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let field = format!("{here}.name");
            errors.extend(names::port_name(name).into_iter().map(|c| FieldError::invalid(field.as_str(), name, c)));
        }
        let number = port.child("containerPort").and_then(Value::as_i64).unwrap_or(0);
        match names::port_number(number) {
            Some(_) if number == 0 => errors.push(FieldError::required(format!("{here}.containerPort"), "")),
            Some(detail) => errors.push(FieldError::invalid_value(format!("{here}.containerPort"), number, detail)),
            None => {}
        }
        errors.extend(one_of(port, &here, "protocol", &["SCTP", "TCP", "UDP"]));
    }
    errors
}

fn mounts(item: &Value, path: &str, volumes: &[&str]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut points: Vec<&str> = Vec::new();
    for (at, mount) in list(item, "volumeMounts").iter().enumerate() {
        let here = format!("{path}.volumeMounts[{at}]");
        let (name, point) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            errors.push(FieldError::required(format!("{here}.name"), ""));
        }
        if !volumes.contains(&name) {
            errors.push(FieldError::not_found(format!("{here}.name"), name));
        }
        if point.is_empty() {
            errors.push(FieldError::required(format!("{here}.mountPath"), ""));
        }
        if points.contains(&point) {
            errors.push(FieldError::invalid(format!("{here}.mountPath"), point, "must be unique"));
        }
        points.push(point);
    }
    errors
}

/// Of a running pod little may change. The real server adds a difference of its internal types, which is left out.
pub(super) fn validate_update(object: &Object, old: &Object) -> Vec<FieldError> {
    let mut judged = object.clone();
    for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers"] {
        judged.copy_from(old, &["spec", field]);
    }
    for field in ["containers", "initContainers"] {
        let images: Vec<Option<Value>> =
            old.get_list(&["spec", field]).unwrap_or_default().iter().map(|c| c.child("image").cloned()).collect();
        let Some(Value::List(items)) = judged.get_mut(&["spec", field]) else { continue };
        for (item, image) in items.iter_mut().filter_map(Value::as_struct_mut).zip(images) {
            if let Some(image) = image {
                item.set("image", image);
            }
        }
    }
    let mut errors = validate(object.get(&["spec"]), "spec");
    if !same(judged.get(&["spec"]), old.get(&["spec"])) {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        errors.push(FieldError::forbidden("spec", detail));
    }
    errors
}
