//! ConfigMaps and Secrets.

use super::super::{
    error_list::ErrorList,
    field_path::FieldPath,
    names,
    rule::{Rule, with},
};
use crate::api::schema::{MapValue, Object, Value, codec};

pub(super) static RULES: &[Rule] = &[with("core.v1.ConfigMap", config_map, &[]), with("core.v1.Secret", secret, &[])];

const BYTES_MAX: usize = 1024 * 1024;

fn size_of(value: &Value) -> usize {
    match value {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

/// Validates the keys of a map and tells its size. No key may stand in `other` too.
fn keys<'t>(path: &FieldPath<'_, 't>, field: &str, other: Option<&str>, errors: &mut ErrorList<'t>) -> usize {
    let mut size = 0;
    for (key, value) in path.map(field).into_iter().flat_map(MapValue::iter) {
        let shown = format!("{field}[{key}]");
        errors.invalid_each(path, &shown, key, names::config_key(key));
        if let Some(other) = other.filter(|other| path.at(&[other, key]).is_some()) {
            errors.invalid(path, &shown, key, format!("duplicate of key present in {other}"));
        }
        size += size_of(value);
    }
    size
}

fn config_map<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let size = keys(path, "data", Some("binaryData"), errors) + keys(path, "binaryData", None, errors);
    if size > BYTES_MAX {
        errors.too_long(path, "[]", BYTES_MAX);
    }
}

fn secret<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    if keys(path, "data", None, errors) > BYTES_MAX {
        errors.too_long(path, "data", BYTES_MAX);
    }
    let value = |key: &str| path.at(&["data", key]);
    let mut demand = |key: &str| errors.required(path, &format!("data[{key}]"), "");
    match path.text("type") {
        "kubernetes.io/service-account-token" => {
            let account = path.at(&["metadata", "annotations", ACCOUNT]);
            if account.is_none_or(Value::is_zero) {
                errors.required(path, &format!("metadata.annotations[{ACCOUNT}]"), "");
            }
        }
        "kubernetes.io/dockercfg" => json(path, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => json(path, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            demand("username");
            demand("password");
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(|key| size_of(key) == 0) => {
            demand("ssh-privatekey");
        }
        "kubernetes.io/tls" => ["tls.crt", "tls.key"].into_iter().filter(|key| value(key).is_none()).for_each(demand),
        _ => {}
    }
}

/// A key that must hold JSON.
fn json<'t>(path: &FieldPath<'_, 't>, key: &str, errors: &mut ErrorList<'t>) {
    let field = format!("data[{key}]");
    match path.at(&["data", key]) {
        None => errors.required(path, &field, ""),
        Some(value) => {
            let bytes = value.as_bytes().unwrap_or_default();
            // What cannot be read as an object is refused, and is not shown since it may be secret.
            if let Some(why) = codec::object_fault(bytes) {
                errors.invalid(path, &field, "<secret contents redacted>", why);
            }
        }
    }
}

/// Objects that were declared immutable, for good.
fn frozen<'t>(path: &FieldPath<'_, 't>, old: &'t Object, fields: &[&str], errors: &mut ErrorList<'t>) {
    const SET: &str = "field is immutable when `immutable` is set";
    if old.get_bool(&["immutable"]) != Some(true) {
        return;
    }
    if !path.is("immutable") {
        errors.forbidden(path, "immutable", SET);
    }
    // Nothing and an empty map are told apart.
    for field in fields.iter().filter(|field| path.get(field) != old.get(&[field])) {
        errors.forbidden(path, field, SET);
    }
}

pub(in crate::object::validation) fn config_map_changed<'t>(
    path: &FieldPath<'_, 't>,
    _new: &'t Object,
    old: &'t Object,
    errors: &mut ErrorList<'t>,
) {
    frozen(path, old, &["data", "binaryData"], errors);
}

pub(in crate::object::validation) fn secret_changed<'t>(
    path: &FieldPath<'_, 't>,
    _new: &'t Object,
    old: &'t Object,
    errors: &mut ErrorList<'t>,
) {
    frozen(path, old, &["data"], errors);
}
