//! Cases of managed fields: what a client can observe of them, on small built-in objects.

mod apply;
mod sets;
mod update;

use super::*;
use crate::api::schema::{Schema, codec};

const NOW: &str = "2026-01-02T03:04:05Z";
const LATER: &str = "2026-01-02T03:04:06Z";

/// A server of the built-in versions.
struct Builtin;

impl Builtin {
    fn kind(&self, object: &Object, api_version: &str) -> Option<Type> {
        let (group, version) = crate::api::schema::Gvk::split_api_version(api_version)?;
        Schema::builtin().kind(group, version, &object.gvk().kind)
    }
}

impl Versions for Builtin {
    fn serves(&self, object: &Object, api_version: &str) -> bool {
        self.kind(object, api_version).is_some()
    }

    fn convert(&self, object: &Object, api_version: &str) -> Result<Option<Object>, String> {
        Ok(self.kind(object, api_version).map(|kind| crate::api::schema::convert(object, &kind)))
    }
}

fn by<'a>(name: &'a str) -> FieldManager<'a> {
    FieldManager { name, subresource: "", now: NOW, reset: Reset::NOTHING, versions: &Builtin }
}

fn object(json: &str) -> Object {
    let mut object = codec::decode_json(&Schema::builtin(), json.as_bytes(), None).unwrap().object;
    apply_defaults(&mut object);
    object
}

fn config(json: &str) -> Value {
    codec::decode_free(json.as_bytes()).unwrap()
}

/// `kubectl Update {"f:data":{"f:a":{}}}`, one line an entry.
fn owners(object: &Object) -> String {
    let entries = managers::entries(object).unwrap_or_default();
    let line = |entry: &Value| {
        let text = |name: &str| entry.child(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        let fields = entry.child("fieldsV1").and_then(Value::as_bytes).unwrap_or_default();
        format!("{} {} {}", text("manager"), text("operation"), String::from_utf8_lossy(fields))
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn created(name: &str, json: &str) -> Object {
    let mut new = object(json);
    by(name).update(None, &mut new);
    new
}

fn applied(name: &str, live: Option<&Object>, json: &str) -> Result<Object, ApplyError> {
    let config = config(json);
    let text = |name: &str| config.child(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let version = text("apiVersion");
    let (group, version) = crate::api::schema::Gvk::split_api_version(&version).unwrap();
    let kind = Schema::builtin().kind(group, version, &text("kind")).unwrap();
    by(name).apply(&kind, live, &config, false)
}

fn json_of(object: &Object) -> String {
    let mut object = object.clone();
    object.remove(&PATH);
    let mut out = Vec::new();
    codec::encode_json(&object, &mut out);
    String::from_utf8(out).unwrap()
}
