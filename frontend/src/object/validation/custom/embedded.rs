//! Objects inside objects: they must say what kind they are, and their metadata must be good.

use super::{super::meta, members, shown};
use crate::{
    api::schema::{
        Object, Schema, Struct, Value, convert_struct,
        structural::{Additional, Node},
    },
    object::validation::names,
    request::status::FieldError,
};

/// Validates every embedded object.
pub(super) fn validate(value: &Value, node: &Node) -> Vec<FieldError> {
    let mut errors = Vec::new();
    visit(value, node, "", &mut errors);
    errors
}

fn visit(value: &Value, node: &Node, path: &str, errors: &mut Vec<FieldError>) {
    if let Value::List(items) = value {
        if let Some(each) = node.items.as_deref() {
            items.iter().enumerate().for_each(|(at, item)| visit(item, each, &format!("{path}[{at}]"), errors));
        }
        return;
    }
    let Some(members) = members(value) else { return };
    if node.embedded {
        object(value, path, errors);
    }
    for (name, member) in members {
        if let Some(node) = node.property(name) {
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            visit(member, node, &path, errors);
        } else if let Additional::Each(each) = &node.additional {
            visit(member, each, &format!("{path}[{name}]"), errors);
        }
    }
}

fn object(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for field in ["apiVersion", "kind"] {
        if value.child(field).is_none() {
            errors.push(FieldError::required(format!("{path}.{field}"), ""));
        }
    }
    if let Some(version) = value.child("apiVersion") {
        let at = format!("{path}.apiVersion");
        match version {
            Value::Str(text) if text.is_empty() => errors.push(FieldError::invalid(at, "", "must not be empty")),
            Value::Str(text) if text.matches('/').count() > 1 => {
                errors.push(FieldError::invalid(at, text, format!("unexpected GroupVersion string: {text}")));
            }
            Value::Str(_) => {}
            other => errors.push(FieldError::invalid_value(at, shown(other), "must be a string")),
        }
    }
    if let Some(kind) = value.child("kind") {
        let at = format!("{path}.kind");
        match kind {
            Value::Str(text) if text.is_empty() => errors.push(FieldError::invalid(at, "", "must not be empty")),
            Value::Str(text) => {
                let messages = names::label_1035_name(&text.to_lowercase(), false);
                if !messages.is_empty() {
                    let detail = format!("may have mixed case, but should otherwise match: {}", messages.join(","));
                    errors.push(FieldError::invalid(at, text, detail));
                }
            }
            other => errors.push(FieldError::invalid_value(at, shown(other), "must be a string")),
        }
    }
    if let Some(Value::Struct(metadata)) = value.child("metadata") {
        errors.extend(metadata_of(metadata, path));
    }
}

/// A name is not demanded of it, and a namespace neither.
fn metadata_of(metadata: &Struct, path: &str) -> Vec<FieldError> {
    let Some(kind) = Schema::builtin().kind("meta.k8s.io", "v1", "PartialObjectMetadata") else { return Vec::new() };
    let mut object = Object::new(&kind);
    if let Some(def) = kind.root.field("metadata").and_then(|field| field.struct_ref()) {
        object.set(&["metadata"], convert_struct(metadata, def));
    }
    if object.name().is_empty() {
        object.set_name("fakename");
    }
    let mut errors = meta::validate(&object, !object.namespace().is_empty(), names::path_segment_name);
    for error in &mut errors {
        error.field = format!("{path}.{}", error.field);
    }
    errors
}
