//! The definitions of custom kinds: what their schemas say, with what every object has.

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use crate::api::schema::{Gvk, structural::Published};

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
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
    complete(&mut schema, dialect);
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

/// What documents say beyond the schema; the older dialect knows less.
fn complete(schema: &mut Value, dialect: Dialect) {
    let Value::Object(fields) = schema else { return };
    if dialect == Dialect::V2 {
        for name in ["anyOf", "oneOf", "allOf", "not"] {
            fields.remove(name);
        }
        let nullable = fields.remove("nullable") == Some(Value::Bool(true));
        if nullable || fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
            for name in ["items", "properties", "additionalProperties"] {
                fields.remove(name);
            }
        }
        if nullable {
            fields.remove("type");
        }
    } else if fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) && !fields.contains_key("anyOf") {
        fields.insert("anyOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]));
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(name) {
            complete(inner, dialect);
        }
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(|property| complete(property, dialect));
    }
}
