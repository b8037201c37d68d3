//! What a definition's schema may say, beyond being structural: known types, list and map types that fit, rules in good
//! form.

use super::{
    Leniency,
    columns::{Brackets, field_path},
    tree,
};
use crate::{
    api::schema::Value,
    request::status::{FieldError, go_quote},
};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

fn text<'v>(schema: &'v Value, field: &str) -> &'v str {
    schema.child(field).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(schema: &'v Value, field: &str) -> &'v [Value] {
    schema.child(field).and_then(Value::as_list).unwrap_or_default()
}

fn is(schema: &Value, field: &str) -> bool {
    schema.child(field).and_then(Value::as_bool).unwrap_or(false)
}

pub(super) fn has_known_type(schema: &Value) -> bool {
    matches!(text(schema, "type"), "") || TYPES.contains(&text(schema, "type"))
}

pub(super) fn uses_extensions(schema: &Value) -> bool {
    let mut found = false;
    tree::each(schema, &mut |schema| {
        let Value::Struct(fields) = schema else { return };
        found |= fields.iter().any(|(field, value)| field.name.starts_with("x-kubernetes-") && !value.is_zero());
    });
    found
}

pub(super) fn is_set_of_maps(schema: &Value) -> bool {
    text(schema, "x-kubernetes-list-type") == "set"
        && schema.child("items").is_some_and(|items| match text(items, "type") {
            "array" => !matches!(text(items, "x-kubernetes-list-type"), "" | "atomic"),
            "object" => text(items, "x-kubernetes-map-type") != "atomic",
            _ => false,
        })
}

/// Where a schema stands, as far as that decides what it may say.
#[derive(Clone, Copy)]
struct At<'a> {
    path: &'a str,
    root: bool,
    in_metadata: bool,
    /// Why defaults may not be set here.
    no_defaults: Option<&'a str>,
}

pub(super) fn validate(schema: &Value, path: &str, lenient: Leniency<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    visit(schema, At { path, root: true, in_metadata: false, no_defaults: None }, lenient, &mut errors);
    errors
}

fn visit(schema: &Value, at: At<'_>, lenient: Leniency<'_>, errors: &mut Vec<FieldError>) {
    let path = at.path;
    forbidden(schema, at, lenient, errors);
    if is(schema, "uniqueItems") {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(format!("{path}.uniqueItems"), detail));
    }
    let has_properties = schema.child("properties").is_some_and(|properties| !properties.is_zero());
    if has_properties && schema.child("additionalProperties").is_some_and(|each| *each != Value::Bool(true)) {
        let detail = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(format!("{path}.additionalProperties"), detail));
    }
    for (name, inner) in tree::inner(schema) {
        if name == "additionalItems" || name.starts_with("patternProperties[") {
            continue;
        }
        let path = format!("{path}.{name}");
        let property = name.strip_prefix("properties[").and_then(|rest| rest.strip_suffix(']'));
        let whole = at.root || is(schema, "x-kubernetes-embedded-resource");
        let metadata = property.filter(|name| whole && matches!(*name, "metadata" | "kind" | "apiVersion"));
        let reason = metadata.filter(|_| at.root).map(|name| format!("in top-level {name}"));
        let in_map = (at.in_metadata && name == "additionalProperties")
            .then(|| "inside additionalProperties applying to object metadata".to_owned());
        let reason = reason.or(in_map);
        let below = At {
            path: &path,
            root: false,
            in_metadata: at.in_metadata || metadata.is_some(),
            no_defaults: reason.as_deref().or(at.no_defaults),
        };
        visit(inner, below, lenient, errors);
    }
    if schema.child("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool) == Some(false) {
        let path = format!("{path}.x-kubernetes-preserve-unknown-fields");
        errors.push(FieldError::invalid_value(path, false, "must be true or undefined"));
    }
    merge_types(schema, path, lenient, errors);
    if !lenient.keys_may_be_loose {
        errors.extend(map_keys(schema, path));
    }
    rules(schema, path, errors);
}

/// What is not supported at all.
fn forbidden(schema: &Value, at: At<'_>, lenient: Leniency<'_>, errors: &mut Vec<FieldError>) {
    let path = |field: &str| format!("{}.{field}", at.path);
    let kind = text(schema, "type");
    if !lenient.types_may_be_unknown && !has_known_type(schema) {
        errors.push(FieldError::not_supported(path("type"), kind, &TYPES));
    }
    if let (Some(reason), Some(_)) = (at.no_defaults, schema.child("default")) {
        errors.push(FieldError::forbidden(path("default"), format!("must not be set {reason}")));
    }
    for field in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        let counts_when_empty = matches!(field, "additionalItems" | "dependencies" | "$ref");
        let used = schema.child(field).is_some_and(|value| counts_when_empty || !value.is_zero());
        if used {
            errors.push(FieldError::forbidden(path(field), format!("{field} is not supported")));
        }
    }
    if kind == "null" {
        let detail = "type cannot be set to null, use nullable as an alternative";
        errors.push(FieldError::forbidden(path("type"), detail));
    }
    if schema.child("items").and_then(Value::as_list).is_some_and(|items| !items.is_empty()) {
        errors.push(FieldError::forbidden(path("items"), "items must be a schema object and not an array"));
    }
    if at.in_metadata && is(schema, "x-kubernetes-embedded-resource") {
        let detail = "must not be used inside of resource meta";
        errors.push(FieldError::forbidden(path("x-kubernetes-embedded-resource"), detail));
    }
}

fn merge_types(schema: &Value, path: &str, lenient: Leniency<'_>, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    let kind = text(schema, "type");
    let given = |field: &str| schema.child(field).and_then(Value::as_str);
    let (map_type, list_type) = (given("x-kubernetes-map-type"), given("x-kubernetes-list-type"));
    let misplaced = |wanted: &str, extension: &str| {
        let detail = format!("must be {wanted} if x-kubernetes-{extension} is specified");
        match kind {
            "" => FieldError::required(at("type"), detail),
            kind => FieldError::invalid(at("type"), kind, detail),
        }
    };
    if let Some(map_type) = map_type {
        if kind != "object" {
            errors.push(misplaced("object", "map-type"));
        }
        if !matches!(map_type, "atomic" | "granular") {
            errors.push(FieldError::not_supported(at("x-kubernetes-map-type"), map_type, &["atomic", "granular"]));
        }
    }
    if list_type.is_some() && kind != "array" {
        errors.push(misplaced("array", "list-type"));
    } else if !lenient.sets_may_hold_maps && is_set_of_maps(schema) {
        errors.extend(schema.child("items").map(|items| set_of_maps(items, path)));
    }
    if let Some(other) = list_type.filter(|list_type| !matches!(*list_type, "atomic" | "set" | "map")) {
        let known = ["atomic", "set", "map"];
        errors.push(FieldError::not_supported(at("x-kubernetes-list-type"), other, &known));
    }
    let keys: Vec<&str> = list(schema, "x-kubernetes-list-map-keys").iter().filter_map(Value::as_str).collect();
    if !keys.is_empty() && list_type != Some("map") {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(match list_type {
            None => FieldError::required(at("x-kubernetes-list-type"), detail),
            Some(other) => FieldError::invalid(at("x-kubernetes-list-type"), other, detail),
        });
    }
    if list_type == Some("map") {
        list_map(schema, &keys, path, errors);
    }
}

fn set_of_maps(items: &Value, path: &str) -> FieldError {
    let field = if text(items, "type") == "array" { "list-type" } else { "map-type" };
    let shown = items.child("x-kubernetes-list-type").and_then(Value::as_str).map_or("null".to_owned(), go_quote);
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    FieldError::invalid_value(format!("{path}.items.x-kubernetes-{field}"), shown, detail)
}

fn list_map(schema: &Value, keys: &[&str], path: &str, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    if keys.is_empty() {
        let detail = "must not be empty if x-kubernetes-list-type is map";
        errors.push(FieldError::required(at("x-kubernetes-list-map-keys"), detail));
    }
    let Some(items) = schema.child("items") else {
        let detail = "must have a schema if x-kubernetes-list-type is map";
        return errors.push(FieldError::required(at("items"), detail));
    };
    if text(items, "type") != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        return errors.push(FieldError::invalid(at("items.type"), text(items, "type"), detail));
    }
    let shown = format!("[{}]", keys.iter().map(|key| go_quote(key)).collect::<Vec<_>>().join(","));
    for (nth, key) in keys.iter().enumerate() {
        match items.child("properties").and_then(|properties| properties.child(key)) {
            Some(property) if matches!(text(property, "type"), "array" | "object") => {
                let path = format!("{path}.items.properties[{key}].type");
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                errors.push(FieldError::invalid(path, text(items, "type"), detail));
            }
            Some(_) => {}
            None => {
                let detail = "entries must all be names of item properties";
                errors.push(FieldError::invalid_value(at("x-kubernetes-list-map-keys"), &shown, detail));
            }
        }
        if keys[..nth].contains(key) {
            let detail = "must not contain duplicate entries";
            errors.push(FieldError::invalid_value(at("x-kubernetes-list-map-keys"), &shown, detail));
        }
    }
}

/// Keys of maps must always have a value, and items of sets and maps must be something.
pub(super) fn map_keys(schema: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let list_type = text(schema, "x-kubernetes-list-type");
    let Some(items) = schema.child("items").filter(|items| items.as_struct().is_some()) else { return errors };
    if !matches!(list_type, "set" | "map") {
        return errors;
    }
    if is(items, "nullable") {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.push(FieldError::forbidden(format!("{path}.items.nullable"), detail));
    }
    if list_type == "set" {
        return errors;
    }
    let required: Vec<&str> = list(items, "required").iter().filter_map(Value::as_str).collect();
    for key in list(schema, "x-kubernetes-list-map-keys").iter().filter_map(Value::as_str) {
        let Some(property) = items.child("properties").and_then(|properties| properties.child(key)) else { continue };
        let path = format!("{path}.items.properties[{key}]");
        let because = "this property is in x-kubernetes-list-map-keys, so it";
        if !required.contains(&key) && property.child("default").is_none() {
            let detail = format!("{because} must have a default or be a required property");
            errors.push(FieldError::required(format!("{path}.default"), detail));
        }
        if is(property, "nullable") {
            errors.push(FieldError::forbidden(format!("{path}.nullable"), format!("{because} cannot be nullable")));
        }
    }
    errors
}

/// The form of rules. Not here: whether their expressions compile.
fn rules(schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let breaks = |text: &str| text.contains(['\n', '\r']);
    for (nth, rule) in list(schema, "x-kubernetes-validations").iter().enumerate() {
        let at = |field: &str| format!("{path}.x-kubernetes-validations[{nth}].{field}");
        let (expression, message) = (text(rule, "rule").trim(), text(rule, "message"));
        if expression.is_empty() {
            errors.push(FieldError::required(at("rule"), "rule is not specified"));
        } else if !message.is_empty() && message.trim().is_empty() {
            errors.push(FieldError::invalid(at("message"), message, "must be non-empty if specified"));
        } else if breaks(message.trim()) {
            errors.push(FieldError::invalid(at("message"), message, "must not contain line breaks"));
        } else if breaks(expression) && message.trim().is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            errors.push(FieldError::required(at("message"), detail));
        }
        let message_expression = text(rule, "messageExpression");
        if !message_expression.is_empty() && message_expression.trim().is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            errors.push(FieldError::required(at("messageExpression"), detail));
        }
        if let Some(reason) = rule.child("reason").and_then(Value::as_str).filter(|reason| !REASONS.contains(reason)) {
            errors.push(FieldError::not_supported(at("reason"), reason, &REASONS));
        }
        let field = text(rule, "fieldPath");
        if field.is_empty() {
            continue;
        }
        if field.trim().is_empty() {
            errors.push(FieldError::invalid(at("fieldPath"), field, "must be non-empty if specified"));
        }
        if breaks(field) {
            errors.push(FieldError::invalid(at("fieldPath"), field, "must not contain line breaks"));
        }
        if field_path(field, schema, Brackets::Allowed).is_err() {
            errors.push(FieldError::invalid(at("fieldPath"), field, "must be a valid path"));
        }
    }
}
