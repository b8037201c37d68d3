//! Types that are no structs of the schema's tables: scalars with a form of their own, and what only documents name.

use serde_json::{Value, json};

use crate::api::schema::{Field, Kind, StructDef};

/// "api.core.v1" and "Pod" as documents name them.
pub(super) fn name_of(def: &StructDef) -> String {
    qualified(&def.package, &def.name)
}

pub(super) fn qualified(package: &str, name: &str) -> String {
    format!("io.k8s.{}.{name}", package.replace('_', "-"))
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// The definition that stands for a field whose type has a form of its own.
pub(super) fn of_kind(field: &Field, owner: &StructDef) -> Option<String> {
    let apiextensions = || owner.package.starts_with("apiextensions");
    let name = match field.kind {
        Kind::Time => format!("{META}.Time"),
        Kind::MicroTime => format!("{META}.MicroTime"),
        Kind::Duration => format!("{META}.Duration"),
        Kind::Quantity => "io.k8s.apimachinery.pkg.api.resource.Quantity".to_owned(),
        Kind::IntOrString => "io.k8s.apimachinery.pkg.util.intstr.IntOrString".to_owned(),
        Kind::Raw if field.name == "fieldsV1" => format!("{META}.FieldsV1"),
        Kind::Raw if apiextensions() && owner.name == "JSONSchemaProps" => qualified(&owner.package, "JSON"),
        Kind::Raw => "io.k8s.apimachinery.pkg.runtime.RawExtension".to_owned(),
        Kind::SchemaOrBool(_) => qualified(&owner.package, "JSONSchemaPropsOrBool"),
        Kind::SchemaOrArray(_) => qualified(&owner.package, "JSONSchemaPropsOrArray"),
        Kind::SchemaOrStringArray(_) => qualified(&owner.package, "JSONSchemaPropsOrStringArray"),
        _ => return None,
    };
    Some(name)
}

/// What a request body of PATCH is called.
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
/// The answer of /version.
pub(super) const VERSION_INFO: &str = "io.k8s.apimachinery.pkg.version.Info";

/// The definition of one of those names.
pub(super) fn definition(name: &str, newer: bool) -> Option<Value> {
    let string_or = |other: &str| json!([{"type": "string"}, {"type": other}]);
    let last = name.rsplit('.').next()?;
    Some(match last {
        "Time" => json!({"description": "A time in RFC 3339, to the second.", "type": "string", "format": "date-time"}),
        "MicroTime" => {
            json!({"description": "A time in RFC 3339, to the microsecond.", "type": "string", "format": "date-time"})
        }
        "Duration" => json!({"description": "A duration such as 1h30m or 10s.", "type": "string"}),
        "Quantity" if newer => json!({"description": QUANTITY, "oneOf": string_or("number")}),
        "Quantity" => json!({"description": QUANTITY, "type": "string"}),
        "IntOrString" if newer => json!({
            "description": INT_OR_STRING,
            "format": "int-or-string",
            "oneOf": [{"type": "integer"}, {"type": "string"}],
        }),
        "IntOrString" => json!({"description": INT_OR_STRING, "type": "string", "format": "int-or-string"}),
        "FieldsV1" => json!({"description": "A set of fields as a tree of their names, in JSON.", "type": "object"}),
        "RawExtension" => json!({"description": "An object of any kind.", "type": "object"}),
        "Patch" => {
            json!({"description": "The body of a PATCH, in the form that its content type names.", "type": "object"})
        }
        "JSON" => json!({"description": "Any JSON value."}),
        "JSONSchemaPropsOrBool" => json!({"description": "A schema, or true or false."}),
        "JSONSchemaPropsOrArray" => json!({"description": "A schema, or a list of schemas."}),
        "JSONSchemaPropsOrStringArray" => json!({"description": "A schema, or a list of names."}),
        "Info" => version_info(newer),
        _ => return None,
    })
}

const QUANTITY: &str = "A number with an optional suffix: a power of ten (m, k, M, G, T, P, E), a power of two (Ki, Mi, Gi, Ti, Pi, Ei) \
                        or an exponent (e3). Written back in its canonical form.";
const INT_OR_STRING: &str = "A number or a text.";

fn version_info(newer: bool) -> Value {
    let names =
        ["major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"];
    let optional = ["emulationMajor", "emulationMinor", "minCompatibilityMajor", "minCompatibilityMinor"];
    let mut properties = serde_json::Map::new();
    for name in names {
        let property = if newer { json!({"type": "string", "default": ""}) } else { json!({"type": "string"}) };
        properties.insert(name.to_owned(), property);
    }
    for name in optional {
        properties.insert(name.to_owned(), json!({"type": "string"}));
    }
    json!({"description": "The version of this server.", "type": "object", "required": names, "properties": properties})
}
