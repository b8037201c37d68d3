//! The definitions of custom kinds: what their schemas say, with what every object has.

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use crate::api::schema::{Gvk, structural::Published};

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const EMBEDDED_API_VERSION: &str = "apiVersion defines the versioned schema of this representation of an object. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const EMBEDDED_KIND: &str = "kind is a string value representing the type of this object. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const LIST_METADATA: &str = "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const LIST_OF: &str = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

/// "com.example.v1.Kind" for a kind of example.com.
pub(super) fn name_of(gvk: &Gvk) -> String {
    let group: Vec<&str> = gvk.group.rsplit('.').collect();
    format!("{}.{}.{}", group.join("."), gvk.version, gvk.kind)
}

/// An object's definition. `metadata` is the name of that of its metadata.
pub(super) fn object(published: &Published, gvk: &Gvk, metadata: &str, dialect: Dialect) -> Value {
    let read: Option<Map<String, Value>> = serde_json::from_str(&published.schema).ok();
    let mut schema: Value = read.unwrap_or_default().into();
    complete(&mut schema, metadata, dialect);
    if schema["type"].is_null() {
        schema["type"] = "object".into();
    }
    let properties = &mut schema["properties"];
    properties["apiVersion"] = json!({"type": "string", "description": API_VERSION});
    properties["kind"] = json!({"type": "string", "description": KIND});
    properties["metadata"] = described(METADATA, metadata, dialect);
    schema["x-kubernetes-group-version-kind"] = kinds(gvk);
    schema
}

/// The definition of a list of objects, whose definition has the name `item`.
pub(super) fn list(published: &Published, gvk: &Gvk, item: (&str, &Gvk), metadata: &str, dialect: Dialect) -> Value {
    let of = format!("List of {}. More info: {LIST_OF}", published.plural);
    json!({
        "description": format!("{} is a list of {}", gvk.kind, item.1.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": API_VERSION},
            "items": {"type": "array", "description": of, "items": {"$ref": dialect.reference(item.0)}},
            "kind": {"type": "string", "description": KIND},
            "metadata": described(LIST_METADATA, metadata, dialect),
        },
        "x-kubernetes-group-version-kind": kinds(gvk),
    })
}

fn kinds(gvk: &Gvk) -> Value {
    json!([{"group": gvk.group, "kind": gvk.kind, "version": gvk.version}])
}

fn described(description: &str, name: &str, dialect: Dialect) -> Value {
    let reference = dialect.reference(name);
    match dialect {
        Dialect::V2 => json!({"description": description, "$ref": reference}),
        Dialect::V3 => json!({"description": description, "allOf": [{"$ref": reference}]}),
    }
}

/// What documents say beyond the schema; the older dialect knows less. `metadata` is the name of the definition of
/// metadata.
fn complete(schema: &mut Value, metadata: &str, dialect: Dialect) {
    let Value::Object(fields) = schema else { return };
    for name in ["example", "externalDocs"] {
        fields.remove(name);
    }
    let is = |fields: &Map<String, Value>, name: &str| fields.get(name) == Some(&Value::Bool(true));
    let open = is(fields, "x-kubernetes-preserve-unknown-fields");
    if dialect == Dialect::V2 {
        simplify(fields, open);
    } else if is(fields, "x-kubernetes-int-or-string") && !fields.contains_key("anyOf") {
        fields.insert("anyOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]));
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(name) {
            complete(inner, metadata, dialect);
        }
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(|property| complete(property, metadata, dialect));
    }
    // Clients of the older dialect would refuse what an open object has besides.
    if is(fields, "x-kubernetes-embedded-resource") && !(open && dialect == Dialect::V2) {
        embed(fields, metadata, dialect);
    }
}

/// What clients of the older dialect cannot cope with goes: alternatives, nulls, and the form of what is open.
fn simplify(fields: &mut Map<String, Value>, open: bool) {
    for name in ["anyOf", "oneOf", "allOf", "not"] {
        fields.remove(name);
    }
    let nullable = fields.remove("nullable") == Some(Value::Bool(true));
    if nullable {
        fields.remove("type");
    }
    if nullable || open {
        fields.remove("items");
        fields.remove("properties");
    }
    let is_untyped = match fields.get("type").and_then(Value::as_str) {
        Some("array") => !fields.contains_key("items"),
        Some("object") => open,
        _ => false,
    };
    if is_untyped {
        fields.remove("type");
    }
    if fields.get("additionalProperties").is_some_and(|each| each["nullable"] == true) {
        fields.remove("required");
    }
    let Some(Value::Array(required)) = fields.remove("required") else { return };
    let is_null = |name: &Value| name.as_str().is_some_and(|name| fields["properties"][name]["nullable"] == true);
    let has_properties = fields.contains_key("properties");
    let required: Vec<Value> = required.into_iter().filter(|name| !(has_properties && is_null(name))).collect();
    if !required.is_empty() {
        fields.insert("required".to_owned(), required.into());
    }
}

/// What every object has, for one inside another.
fn embed(fields: &mut Map<String, Value>, metadata: &str, dialect: Dialect) {
    let all = [
        ("apiVersion", json!({"type": "string", "description": EMBEDDED_API_VERSION})),
        ("kind", json!({"type": "string", "description": EMBEDDED_KIND})),
        ("metadata", described(METADATA, metadata, dialect)),
    ];
    let properties = fields.entry("properties").or_insert_with(|| json!({}));
    for (name, property) in all {
        properties[name] = property;
    }
    if let Value::Array(required) = fields.entry("required").or_insert_with(|| json!([])) {
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|each| each == name) {
                required.push(name.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: Value, older: Value, newer: Value) {
        for (dialect, expected) in [(Dialect::V2, older), (Dialect::V3, newer)] {
            let mut written = schema.clone();
            complete(&mut written, "Meta", dialect);
            assert_eq!(written, expected, "{dialect:?}");
        }
    }

    #[test]
    fn what_a_dialect_does_not_know_goes() {
        let text = || json!({"type": "string"});
        check(
            json!({"type": "string", "example": "x", "externalDocs": {"url": "u"}, "anyOf": [{"minLength": 1}]}),
            text(),
            json!({"type": "string", "anyOf": [{"minLength": 1}]}),
        );
        check(
            json!({"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "string", "nullable": true}, "b": text()}}),
            json!({"type": "object", "required": ["b"], "properties": {"a": {}, "b": text()}}),
            json!({"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "string", "nullable": true}, "b": text()}}),
        );
        let open = json!({"type": "object", "properties": {"a": text()}, "x-kubernetes-preserve-unknown-fields": true});
        check(open.clone(), json!({"x-kubernetes-preserve-unknown-fields": true}), open);
        let list = json!({"type": "array", "items": text(), "x-kubernetes-preserve-unknown-fields": true});
        check(list.clone(), json!({"x-kubernetes-preserve-unknown-fields": true}), list);
    }

    #[test]
    fn an_object_inside_another_has_what_every_object_has() {
        let mut schema = json!({"type": "object", "required": ["kind"], "x-kubernetes-embedded-resource": true});
        complete(&mut schema, "Meta", Dialect::V3);
        assert_eq!(schema["required"], json!(["kind", "apiVersion"]));
        assert_eq!(schema["properties"]["metadata"]["allOf"][0]["$ref"], Dialect::V3.reference("Meta"));
        assert_eq!(schema["properties"]["kind"]["type"], "string");
    }
}
