//! ConfigMaps and Secrets.

use super::super::{
    judge::Judge,
    names,
    place::Place,
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

/// Judges the keys of a map and tells its size. No key may stand in `other` too.
fn keys<'t>(place: &Place<'_, 't>, field: &str, other: Option<&str>, judge: &mut Judge<'t>) -> usize {
    let mut size = 0;
    for (key, value) in place.map(field).into_iter().flat_map(MapValue::iter) {
        let path = format!("{field}[{key}]");
        judge.complain(place, &path, key, names::config_key(key));
        if let Some(other) = other.filter(|other| place.at(&[other, key]).is_some()) {
            judge.invalid(place, &path, key, format!("duplicate of key present in {other}"));
        }
        size += size_of(value);
    }
    size
}

fn config_map<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let size = keys(place, "data", Some("binaryData"), judge) + keys(place, "binaryData", None, judge);
    if size > BYTES_MAX {
        judge.too_long(place, "[]", BYTES_MAX);
    }
}

fn secret<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    if keys(place, "data", None, judge) > BYTES_MAX {
        judge.too_long(place, "data", BYTES_MAX);
    }
    let value = |key: &str| place.at(&["data", key]);
    let mut demand = |key: &str| judge.required(place, &format!("data[{key}]"), "");
    match place.text("type") {
        "kubernetes.io/service-account-token" => {
            let account = place.at(&["metadata", "annotations", ACCOUNT]);
            if account.is_none_or(Value::is_zero) {
                judge.required(place, &format!("metadata.annotations[{ACCOUNT}]"), "");
            }
        }
        "kubernetes.io/dockercfg" => json(place, ".dockercfg", judge),
        "kubernetes.io/dockerconfigjson" => json(place, ".dockerconfigjson", judge),
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
fn json<'t>(place: &Place<'_, 't>, key: &str, judge: &mut Judge<'t>) {
    let field = format!("data[{key}]");
    match place.at(&["data", key]) {
        None => judge.required(place, &field, ""),
        Some(value) => {
            let bytes = value.as_bytes().unwrap_or_default();
            // What cannot be read as an object is refused, and is not shown since it may be secret.
            if let Some(why) = codec::object_fault(bytes) {
                judge.invalid(place, &field, "<secret contents redacted>", why);
            }
        }
    }
}

/// Objects that were declared immutable, for good.
fn frozen<'t>(place: &Place<'_, 't>, old: &'t Object, fields: &[&str], judge: &mut Judge<'t>) {
    const SET: &str = "field is immutable when `immutable` is set";
    if old.get_bool(&["immutable"]) != Some(true) {
        return;
    }
    if !place.is("immutable") {
        judge.forbidden(place, "immutable", SET);
    }
    // Nothing and an empty map are told apart.
    for field in fields.iter().filter(|field| place.get(field) != old.get(&[field])) {
        judge.forbidden(place, field, SET);
    }
}

pub(in crate::object::validation) fn config_map_changed<'t>(
    place: &Place<'_, 't>,
    _new: &'t Object,
    old: &'t Object,
    judge: &mut Judge<'t>,
) {
    frozen(place, old, &["data", "binaryData"], judge);
}

pub(in crate::object::validation) fn secret_changed<'t>(
    place: &Place<'_, 't>,
    _new: &'t Object,
    old: &'t Object,
    judge: &mut Judge<'t>,
) {
    frozen(place, old, &["data"], judge);
}
