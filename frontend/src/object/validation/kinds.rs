//! The rules of single kinds, chosen by the row of their resource.

use super::{names, names::NameRule, updates::IMMUTABLE};
use crate::{
    api::schema::{Object, Value},
    object::strategy::same,
    request::status::FieldError,
};

const DATA_BYTES_MAX: usize = 1024 * 1024;

/// The form of names.
pub(super) fn name_rule(row: (&str, &str)) -> NameRule {
    match row {
        ("", "namespaces") | ("apps", "statefulsets") => names::label_name,
        ("", "services") => names::label_1035_name,
        ("networking.k8s.io", "ipaddresses") => super::rules::address_name,
        ("rbac.authorization.k8s.io", _) | ("apiregistration.k8s.io", _) => names::path_segment_name,
        ("certificates.k8s.io", _) | ("", "events") | ("events.k8s.io", _) => names::any_name,
        _ => names::subdomain_name,
    }
}

/// Events are judged by rules of their own alone.
pub(super) fn replaces_metadata_check(row: (&str, &str)) -> bool {
    matches!(row, ("", "events") | ("events.k8s.io", "events"))
}

/// Finalizers of built-in kinds must be qualified, or one of the few that are old.
pub(super) fn finalizers(object: &Object) -> Vec<FieldError> {
    let known = ["kubernetes", "orphan", "foregroundDeletion"];
    let odd = object.finalizers().enumerate().filter(|(_, f)| !f.contains('/') && !known.contains(f));
    odd.map(|(at, finalizer)| {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        FieldError::invalid(format!("metadata.finalizers[{at}]"), finalizer, detail)
    })
    .collect()
}

pub(super) fn validate(row: (&str, &str), object: &Object) -> Vec<FieldError> {
    match row {
        ("", "configmaps") => config_map(object),
        ("", "secrets") => secret(object),
        ("", "events") => event(object),
        _ => Vec::new(),
    }
}

pub(super) fn validate_update(row: (&str, &str), object: &Object, old: &Object) -> Vec<FieldError> {
    match row {
        ("", "configmaps") => frozen(object, old, &["data", "binaryData"]),
        ("", "secrets") => {
            let mut errors = frozen(object, old, &["data"]);
            if !same(object.get(&["type"]), old.get(&["type"])) {
                let kind = object.get_str(&["type"]).unwrap_or_default();
                errors.push(FieldError::invalid("type", kind, IMMUTABLE));
            }
            errors
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => role_change(object, old),
        _ => Vec::new(),
    }
}

/// Objects that were declared immutable, for good.
fn frozen(object: &Object, old: &Object, fields: &[&str]) -> Vec<FieldError> {
    const SET: &str = "field is immutable when `immutable` is set";
    if old.get_bool(&["immutable"]) != Some(true) {
        return Vec::new();
    }
    let mut errors = Vec::new();
    if object.get_bool(&["immutable"]) != Some(true) {
        errors.push(FieldError::forbidden("immutable", SET));
    }
    for field in fields {
        if !same(object.get(&[field]), old.get(&[field])) {
            errors.push(FieldError::forbidden(*field, SET));
        }
    }
    errors
}

fn size_of(value: &Value) -> usize {
    match value {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

/// The keys and the size of a map of data; `other` is where no key may stand too.
fn data(object: &Object, field: &str, other: Option<&str>) -> (Vec<FieldError>, usize) {
    let mut errors = Vec::new();
    let mut size = 0;
    let Some(map) = object.get_map(&[field]) else { return (errors, 0) };
    for (key, value) in map.iter() {
        let path = format!("{field}[{key}]");
        errors.extend(names::config_key(key).into_iter().map(|c| FieldError::invalid(path.as_str(), key, c)));
        let twice = other.is_some_and(|other| object.get(&[other, key]).is_some());
        if twice {
            let detail = format!("duplicate of key present in {}", other.unwrap_or_default());
            errors.push(FieldError::invalid(path.as_str(), key, detail));
        }
        size += size_of(value);
    }
    (errors, size)
}

fn config_map(object: &Object) -> Vec<FieldError> {
    let (mut errors, texts) = data(object, "data", Some("binaryData"));
    let (more, bytes) = data(object, "binaryData", None);
    errors.extend(more);
    if texts + bytes > DATA_BYTES_MAX {
        errors.push(FieldError::too_long("", DATA_BYTES_MAX));
    }
    errors
}

fn secret(object: &Object) -> Vec<FieldError> {
    let (mut errors, size) = data(object, "data", None);
    if size > DATA_BYTES_MAX {
        errors.push(FieldError::too_long("data", DATA_BYTES_MAX));
    }
    let has = |key: &str| object.get(&["data", key]).is_some_and(|v| size_of(v) > 0);
    let present = |key: &str| object.get(&["data", key]).is_some();
    match object.get_str(&["type"]).unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            if object.annotation(name).unwrap_or_default().is_empty() {
                errors.push(FieldError::required(format!("metadata.annotations[{name}]"), ""));
            }
        }
        "kubernetes.io/dockercfg" if !present(".dockercfg") => {
            errors.push(FieldError::required("data[.dockercfg]", ""));
        }
        "kubernetes.io/dockerconfigjson" if !present(".dockerconfigjson") => {
            errors.push(FieldError::required("data[.dockerconfigjson]", ""));
        }
        "kubernetes.io/basic-auth" if !present("username") && !present("password") => {
            errors.push(FieldError::required("data[username]", ""));
            errors.push(FieldError::required("data[password]", ""));
        }
        "kubernetes.io/ssh-auth" if !has("ssh-privatekey") => {
            errors.push(FieldError::required("data[ssh-privatekey]", ""));
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].into_iter().filter(|key| !present(key)) {
                errors.push(FieldError::required(format!("data[{key}]"), ""));
            }
        }
        _ => {}
    }
    errors
}

fn event(object: &Object) -> Vec<FieldError> {
    let about = object.get_str(&["involvedObject", "namespace"]).unwrap_or_default();
    let own = object.namespace();
    let fits = own == about || (about.is_empty() && matches!(own, "" | "default" | "kube-system"));
    let detail = "does not match event.namespace";
    (!fits).then(|| FieldError::invalid("involvedObject.namespace", about, detail)).into_iter().collect()
}

/// The value is printed with Go's names of its fields.
fn role_change(object: &Object, old: &Object) -> Vec<FieldError> {
    if same(object.get(&["roleRef"]), old.get(&["roleRef"])) {
        return Vec::new();
    }
    let text = |field| crate::request::status::go_quote(object.get_str(&["roleRef", field]).unwrap_or_default());
    let printed = format!("{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}", text("apiGroup"), text("kind"), text("name"));
    vec![FieldError::invalid_value("roleRef", printed, "cannot change roleRef")]
}

pub(super) fn warnings(row: (&str, &str), _object: &Object) -> Vec<String> {
    match row {
        ("", "endpoints") => {
            vec!["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned()]
        }
        _ => Vec::new(),
    }
}
