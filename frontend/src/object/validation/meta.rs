//! metadata: names, namespaces, labels, annotations, owners, finalizers; and what of it never changes.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::names::{self, NameRule};
use crate::{
    api::schema::{Object, Value, codec},
    request::status::FieldError,
};

const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;
pub(super) const IMMUTABLE: &str = "field is immutable";

/// Validates metadata as a whole.
pub(super) fn validate(object: &Object, namespaced: bool, name_rule: NameRule) -> Vec<FieldError> {
    let mut errors = prefix(object, name_rule);
    errors.extend(validate_named(object, namespaced, name_rule));
    errors
}

/// The form of what a name is generated from.
pub(super) fn prefix(object: &Object, name_rule: NameRule) -> Vec<FieldError> {
    let prefix = object.generate_name();
    let messages = if prefix.is_empty() { Vec::new() } else { name_rule(prefix, true) };
    messages.into_iter().map(|c| FieldError::invalid("metadata.generateName", prefix, c)).collect()
}

/// All but what the name is generated from.
pub(super) fn validate_named(object: &Object, namespaced: bool, name_rule: NameRule) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name = object.name();
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        errors.extend(name_rule(name, false).into_iter().map(|c| FieldError::invalid("metadata.name", name, c)));
    }
    let namespace = object.namespace();
    match (namespaced, namespace) {
        (true, "") => errors.push(FieldError::required("metadata.namespace", "")),
        (true, _) => {
            let messages = names::label_name(namespace, false).into_iter();
            errors.extend(messages.map(|c| FieldError::invalid("metadata.namespace", namespace, c)));
        }
        (false, "") => {}
        (false, _) => errors.push(FieldError::forbidden("metadata.namespace", "not allowed on this type")),
    }
    if object.generation() < 0 {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid_value("metadata.generation", object.generation(), detail));
    }
    errors.extend(labels(object.labels(), "metadata.labels"));
    errors.extend(annotations(object.annotations(), "metadata.annotations"));
    errors.extend(owners(object));
    errors.extend(finalizers(object));
    errors.extend(managed_fields(object));
    errors
}

const MANAGER_BYTES_MAX: usize = 128;
const SUBRESOURCE_BYTES_MAX: usize = 256;

/// Entries of managedFields as a client sent them; what cannot be read at all did not come this far.
fn managed_fields(object: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let entries = object.get_list(&["metadata", "managedFields"]).unwrap_or_default();
    for (at, entry) in entries.iter().enumerate() {
        let text = |name: &str| entry.child(name).and_then(Value::as_str).unwrap_or("");
        let path = |name: &str| format!("metadata.managedFields[{at}].{name}");
        if !matches!(text("operation"), "Apply" | "Update") {
            let detail = "must be `Apply` or `Update`";
            errors.push(FieldError::invalid(path("operation"), text("operation"), detail));
        }
        if !matches!(text("fieldsType"), "" | "FieldsV1") {
            errors.push(FieldError::invalid(path("fieldsType"), text("fieldsType"), "must be `FieldsV1`"));
        }
        errors.extend(field_manager(text("manager"), path("manager")));
        if text("subresource").len() > SUBRESOURCE_BYTES_MAX {
            errors.push(FieldError::too_long(path("subresource"), SUBRESOURCE_BYTES_MAX));
        }
    }
    errors
}

/// The name of a field manager: not too long, and printable.
pub fn field_manager(name: &str, path: impl Into<String>) -> Vec<FieldError> {
    let path = path.into();
    let mut errors = Vec::new();
    if name.len() > MANAGER_BYTES_MAX {
        errors.push(FieldError::too_long(path.as_str(), MANAGER_BYTES_MAX));
    }
    // As in Go, positions count bytes.
    for (at, c) in name.char_indices().filter(|(_, c)| !crate::request::status::is_printable(*c)) {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
        errors.push(FieldError::invalid(path.as_str(), name, detail));
    }
    errors
}

pub(super) fn labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in labels {
        errors.extend(names::label_key(key).into_iter().map(|c| FieldError::invalid(path, key, c)));
        errors.extend(names::label_value(value).into_iter().map(|c| FieldError::invalid(path, value, c)));
    }
    errors
}

pub(super) fn annotations<'a>(annotations: impl Iterator<Item = (&'a str, &'a str)>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in annotations {
        size += key.len() + value.len();
        let messages = names::label_key(&key.to_lowercase()).into_iter();
        errors.extend(messages.map(|c| FieldError::invalid(path, key, c)));
    }
    if size > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError::too_long(path, ANNOTATIONS_BYTES_MAX));
    }
    errors
}

fn owners(object: &Object) -> Vec<FieldError> {
    const PATH: &str = "metadata.ownerReferences";
    let mut errors = Vec::new();
    let mut controller: Option<String> = None;
    let values = object.get_list(&["metadata", "ownerReferences"]).unwrap_or_default();
    for (owner, value) in object.owner_references().zip(values) {
        let version = match owner.api_version.split_once('/') {
            None => owner.api_version,
            Some((_, version)) if !version.contains('/') => version,
            Some(_) => "",
        };
        let mut refuse = |field: &str, found: &str, detail: &str| {
            errors.push(FieldError::invalid(format!("{PATH}.{field}"), found, detail));
        };
        if version.is_empty() {
            refuse("apiVersion", owner.api_version, "version must not be empty");
        }
        if owner.kind.is_empty() {
            refuse("kind", owner.kind, "must not be empty");
        }
        if owner.name.is_empty() {
            refuse("name", owner.name, "must not be empty");
        }
        if owner.uid.is_empty() {
            refuse("uid", owner.uid, "must not be empty");
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid_value(PATH, json(value), detail));
        }
        if owner.controller {
            let this = format!("{}/{}", owner.kind, owner.name);
            match &controller {
                None => controller = Some(this),
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    let all = Value::List(values.to_vec());
                    errors.push(FieldError::invalid_value(PATH, json(&all), detail));
                }
            }
        }
    }
    errors
}

fn finalizers(object: &Object) -> Vec<FieldError> {
    const PATH: &str = "metadata.finalizers";
    let mut errors = Vec::new();
    for finalizer in object.finalizers() {
        let messages = names::label_key(finalizer).into_iter();
        errors.extend(messages.map(|c| FieldError::invalid(PATH, finalizer, c)));
    }
    let has = |name: &str| object.finalizers().any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        let all = object.get(&["metadata", "finalizers"]).map_or_else(String::new, json);
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid_value(PATH, all, detail));
    }
    errors
}

/// A value as field errors print it: JSON.
pub(super) fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Str(text) => crate::request::status::json_quote(text),
        Value::Bytes(bytes) => crate::request::status::json_quote(&BASE64.encode(bytes)),
        Value::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::Map(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}:{}", crate::request::status::json_quote(key), json(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Struct(fields) => {
            let mut out = Vec::new();
            codec::encode_struct_json(fields, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

/// Validates what an update may not change.
pub(super) fn validate_update(object: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if old.deletion_timestamp().is_some() {
        let mut added: Vec<&str> = object.finalizers().filter(|f| !old.finalizers().any(|o| o == *f)).collect();
        added.sort_unstable();
        added.dedup();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|f| crate::request::status::go_quote(f)).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", detail));
        }
    }
    if object.resource_version().is_empty() {
        errors.push(FieldError::invalid("metadata.resourceVersion", "", "must be specified for an update"));
    }
    if object.generation() < old.generation() {
        errors.push(FieldError::invalid_value("metadata.generation", object.generation(), "must not be decremented"));
    }
    let texts = [
        ("name", object.name(), old.name()),
        ("namespace", object.namespace(), old.namespace()),
        ("uid", object.uid(), old.uid()),
        ("creationTimestamp", object.creation_timestamp(), old.creation_timestamp()),
    ];
    for (field, new, _) in texts.into_iter().filter(|(_, new, old)| new != old) {
        errors.push(FieldError::invalid(format!("metadata.{field}"), new, IMMUTABLE));
    }
    if object.deletion_timestamp() != old.deletion_timestamp() {
        let printed = object.deletion_timestamp().map_or("null".to_owned(), crate::request::status::go_quote);
        errors.push(FieldError::invalid_value("metadata.deletionTimestamp", printed, IMMUTABLE));
    }
    if object.deletion_grace_period_seconds() != old.deletion_grace_period_seconds() {
        let printed = object.deletion_grace_period_seconds().map_or("null".to_owned(), |s| s.to_string());
        errors.push(FieldError::invalid_value("metadata.deletionGracePeriodSeconds", printed, IMMUTABLE));
    }
    errors.extend(labels(object.labels(), "metadata.labels"));
    errors.extend(annotations(object.annotations(), "metadata.annotations"));
    errors.extend(owners(object));
    errors.extend(managed_fields(object));
    errors
}
