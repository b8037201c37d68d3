//! Whether a schema is structural: everything about the shape of values stands outside of anyOf, allOf, oneOf and not,
//! and what those speak of is there.

use crate::{
    api::schema::{Field, Presence, Value, scalar::pattern::Regex},
    request::status::FieldError,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

fn text<'v>(schema: &'v Value, field: &str) -> &'v str {
    schema.child(field).and_then(Value::as_str).unwrap_or_default()
}

fn is(schema: &Value, field: &str) -> bool {
    schema.child(field).and_then(Value::as_bool).unwrap_or(false)
}

fn list<'v>(schema: &'v Value, field: &str) -> &'v [Value] {
    schema.child(field).and_then(Value::as_list).unwrap_or_default()
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema.child("properties").and_then(Value::as_map).into_iter().flat_map(|map| map.iter())
}

fn property<'v>(schema: &'v Value, name: &str) -> Option<&'v Value> {
    schema.child("properties")?.as_map()?.get(name)
}

/// What no structural schema may hold, in the words of the original; the first.
pub(super) fn unsupported(schema: &Value) -> Option<String> {
    let used = |field: &str| schema.child(field).is_some_and(|value| !value.is_zero());
    let fields = ["id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions"];
    if let Some(field) =
        fields.iter().find(|field| used(field) || (**field == "additionalItems" && schema.child(field).is_some()))
    {
        return Some(format!("OpenAPIV3Schema '{}' is not supported", field.replace("$schema", "schema")));
    }
    if schema.child("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool) == Some(false) {
        return Some("internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined".to_owned());
    }
    if schema.child("items").and_then(Value::as_list).is_some_and(|items| !items.is_empty()) {
        return Some("OpenAPIV3Schema 'items' must be a schema, but is an array".to_owned());
    }
    super::tree::inner(schema).into_iter().find_map(|(_, inner)| unsupported(inner))
}

/// Errors, sorted as the original sorts them.
pub(super) fn validate(schema: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    invariants(schema, Level::Root, path, &mut errors);
    complete(schema, Some(schema), path, path, &mut errors);
    errors.sort_by_key(ToString::to_string);
    errors
}

fn invariants(schema: &Value, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    let kind = text(schema, "type");
    let items = schema.child("items").filter(|items| items.as_struct().is_some());
    if kind == "array" && items.is_none() {
        errors.push(FieldError::required(at("items"), "must be specified"));
    }
    if let Some(items) = items {
        invariants(items, Level::Item, &at("items"), errors);
    }
    for (name, inner) in properties(schema) {
        invariants(inner, Level::Field, &format!("{path}.properties[{name}]"), errors);
    }
    if let Some(each) = schema.child("additionalProperties") {
        if level == Level::Root {
            errors.push(FieldError::forbidden(at("additionalProperties"), "must not be used at the root"));
        }
        if each.as_struct().is_some() {
            invariants(each, Level::Field, &at("additionalProperties"), errors);
        }
    }
    let (int_or_string, preserves, embedded) = (
        is(schema, "x-kubernetes-int-or-string"),
        is(schema, "x-kubernetes-preserve-unknown-fields"),
        is(schema, "x-kubernetes-embedded-resource"),
    );
    for (flag, set) in [("preserve-unknown-fields", preserves), ("embedded-resource", embedded)] {
        if int_or_string && set {
            let detail = "must be false if x-kubernetes-int-or-string is true";
            errors.push(FieldError::invalid_value(at(&format!("x-kubernetes-{flag}")), true, detail));
        }
    }
    let any_of = is_int_or_string(list(schema, "anyOf"));
    let all_of = list(schema, "allOf").first().is_some_and(|first| is_int_or_string(list(first, "anyOf")));
    value_validation(schema, any_of, all_of, level, path, errors);
    type_of(schema, level, path, errors);
    if embedded && schema.child("additionalProperties").is_some() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(at("additionalProperties"), detail));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        errors.push(FieldError::invalid(at("type"), kind, "must be object at the root"));
    }
    let whole = level == Level::Root || embedded;
    for name in ["kind", "apiVersion"] {
        if let Some(inner) = property(schema, name).filter(|_| whole).filter(|inner| text(inner, "type") != "string") {
            let path = format!("{path}.properties[{name}].type");
            errors.push(FieldError::invalid(path, text(inner, "type"), "must be string"));
        }
    }
    if let Some(metadata) = property(schema, "metadata") {
        metadata_of(metadata, whole, level, &format!("{path}.properties[metadata]"), errors);
    }
    if embedded && !preserves && properties(schema).next().is_none() {
        let detail =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(at("properties"), detail));
    }
}

fn type_of(schema: &Value, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let kind = text(schema, "type");
    let at = format!("{path}.type");
    if is(schema, "x-kubernetes-embedded-resource") && kind != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match kind {
            "" => FieldError::required(at, detail),
            kind => FieldError::invalid(at, kind, detail),
        });
        return;
    }
    let free = is(schema, "x-kubernetes-int-or-string") || is(schema, "x-kubernetes-preserve-unknown-fields");
    if kind.is_empty() && !free {
        errors.push(FieldError::required(
            at,
            match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            },
        ));
    }
}

/// At the root metadata may be told its name's form, and no more.
fn metadata_of(metadata: &Value, whole: bool, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    if whole && text(metadata, "type") != "object" {
        errors.push(FieldError::invalid(format!("{path}.type"), text(metadata, "type"), "must be object"));
    }
    if level != Level::Root {
        return;
    }
    let names_only = properties(metadata).all(|(name, _)| matches!(name, "name" | "generateName"));
    let Value::Struct(fields) = metadata else { return };
    let others = fields
        .iter()
        .any(|(field, value)| !matches!(&*field.name, "type" | "properties" | "default") && !value.is_zero());
    if !names_only || others {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(FieldError::forbidden(path, detail));
    }
}

/// `anyOf: [{type: integer}, {type: string}]`, which the original lets stand.
fn is_int_or_string(any_of: &[Value]) -> bool {
    let only = |schema: &Value, kind: &str| {
        let Value::Struct(fields) = schema else { return false };
        // What structural schemas have no place for is not looked at; behind a pointer even nothing is something.
        let absent = |field: &Field, value: &Value| {
            matches!(&*field.name, "externalDocs" | "example")
                || (value.is_zero() && field.presence != Presence::Pointer)
        };
        fields.iter().all(|(field, value)| field.name == "type" || absent(field, value)) && text(schema, "type") == kind
    };
    matches!(any_of, [first, second] if only(first, "integer") && only(second, "string"))
}

fn value_validation(
    schema: &Value,
    skip_any_of: bool,
    skip_first_all_of: bool,
    level: Level,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    if !skip_any_of {
        for (at, inner) in list(schema, "anyOf").iter().enumerate() {
            nested(inner, false, level, &format!("{path}.anyOf[{at}]"), errors);
        }
    }
    for (at, inner) in list(schema, "allOf").iter().enumerate() {
        nested(inner, skip_first_all_of && at == 0, level, &format!("{path}.allOf[{at}]"), errors);
    }
    for (at, inner) in list(schema, "oneOf").iter().enumerate() {
        nested(inner, false, level, &format!("{path}.oneOf[{at}]"), errors);
    }
    if let Some(not) = schema.child("not") {
        nested(not, false, level, &format!("{path}.not"), errors);
    }
    let regex = text(schema, "pattern");
    if !regex.is_empty()
        && let Err(why) = Regex::new(regex)
    {
        let detail = format!("must be a valid regular expression, but isn't: {why}");
        errors.push(FieldError::invalid(format!("{path}.pattern"), regex, detail));
    }
}

/// What may not stand under anyOf and its like.
const OUTSIDE: [(&str, &str); 10] = [
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
];
const OUTSIDE_TOO: [(&str, &str); 3] = [
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
];

fn nested(schema: &Value, skip_any_of: bool, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    value_validation(schema, skip_any_of, false, level, path, errors);
    if let Some(items) = schema.child("items").filter(|items| items.as_struct().is_some()) {
        nested(items, false, level, &format!("{path}.items"), errors);
    }
    for (name, inner) in properties(schema) {
        nested(inner, false, Level::Field, &format!("{path}.properties[{name}]"), errors);
    }
    for (field, detail) in OUTSIDE.iter().chain(&OUTSIDE_TOO) {
        let found = schema.child(field);
        let set = match *field {
            "additionalProperties" => found.is_some_and(|each| *each != Value::Bool(false)),
            "default" => found.is_some_and(|value| value.as_bytes() != Some(b"null")),
            "x-kubernetes-list-type" | "x-kubernetes-map-type" => found.is_some(),
            _ => found.is_some_and(|value| !value.is_zero()),
        };
        if set {
            errors.push(FieldError::forbidden(format!("{path}.{field}"), *detail));
        }
    }
    if property(schema, "metadata").is_some() {
        let path = format!("{path}.properties[metadata]");
        errors.push(FieldError::forbidden(path, "must not be specified in a nested context"));
    }
}

/// Whatever a nested schema speaks of must be there outside of it.
fn complete(schema: &Value, outside: Option<&Value>, outside_path: &str, path: &str, errors: &mut Vec<FieldError>) {
    let look = |inner: &Value, path: String, errors: &mut Vec<FieldError>| {
        nested_complete(inner, outside, outside_path, &path, errors);
    };
    if let Some(not) = schema.child("not") {
        look(not, format!("{path}.not"), errors);
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        for (at, inner) in list(schema, name).iter().enumerate() {
            look(inner, format!("{path}.{name}[{at}]"), errors);
        }
    }
}

fn nested_complete(
    schema: &Value,
    outside: Option<&Value>,
    outside_path: &str,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let Some(known) = outside else {
        return errors.push(FieldError::required(outside_path, format!("because it is defined in {path}")));
    };
    complete(schema, outside, outside_path, path, errors);
    if let Some(items) = schema.child("items").filter(|items| items.as_struct().is_some()) {
        let inner = known.child("items").filter(|items| items.as_struct().is_some());
        nested_complete(items, inner, &format!("{outside_path}.items"), &format!("{path}.items"), errors);
    }
    for (name, inner) in properties(schema) {
        let (outside_path, path) = (format!("{outside_path}.properties[{name}]"), format!("{path}.properties[{name}]"));
        match property(known, name) {
            Some(known) => nested_complete(inner, Some(known), &outside_path, &path, errors),
            None => errors.push(FieldError::required(outside_path, format!("because it is defined in {path}"))),
        }
    }
}
