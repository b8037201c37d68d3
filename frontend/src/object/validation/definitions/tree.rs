//! The schemas of a definition and those inside them: the walks that several validations take.

use crate::api::schema::{Object, Value};

/// Every schema with the path of what holds it.
pub(super) fn all(definition: &Object) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    if let Some(schema) = definition.get(&["spec", "validation", "openAPIV3Schema"]) {
        found.push(("spec.validation".to_owned(), schema));
    }
    let versions = definition.get_list(&["spec", "versions"]).unwrap_or_default();
    for (at, version) in versions.iter().enumerate() {
        if let Some(schema) = version.at(&["schema", "openAPIV3Schema"]) {
            found.push((format!("spec.versions[{at}].schema"), schema));
        }
    }
    found
}

/// Visits a schema and every schema in it.
pub(super) fn each<'v>(schema: &'v Value, visit: &mut dyn FnMut(&'v Value)) {
    visit(schema);
    for (_, inner) in inner(schema) {
        each(inner, visit);
    }
}

/// The schemas directly in a schema, each with the end of its path.
pub(super) fn inner(schema: &Value) -> Vec<(String, &Value)> {
    let mut found: Vec<(String, &Value)> = Vec::new();
    for name in ["items", "additionalProperties", "additionalItems", "not"] {
        match schema.child(name) {
            Some(Value::List(items)) => {
                found.extend(items.iter().enumerate().map(|(at, item)| (format!("{name}[{at}]"), item)));
            }
            Some(one @ Value::Struct(_)) => found.push((name.to_owned(), one)),
            _ => {}
        }
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        let items = schema.child(name).and_then(Value::as_list).unwrap_or_default();
        found.extend(items.iter().enumerate().map(|(at, item)| (format!("{name}[{at}]"), item)));
    }
    for name in ["properties", "patternProperties", "definitions", "dependencies"] {
        let Some(map) = schema.child(name).and_then(Value::as_map) else { continue };
        let structs = map.iter().filter(|(_, value)| value.as_struct().is_some());
        found.extend(structs.map(|(key, value)| (format!("{name}[{key}]"), value)));
    }
    found
}
