//! The schemas of a definition: where they stand, that they are there, and in which order they are validated.

use super::{Leniency, defaults, openapi, rules, structural, tree};
use crate::{
    api::schema::{Object, Value},
    request::status::FieldError,
};

/// Every version needs a schema.
pub(super) fn present(definition: &Object, lenient: Leniency<'_>) -> Vec<FieldError> {
    if definition.get(&["spec", "validation", "openAPIV3Schema"]).is_some() {
        return Vec::new();
    }
    let preserves = definition.get_bool(&["spec", "preserveUnknownFields"]) == Some(true);
    let mut errors = Vec::new();
    let versions = definition.get_list(&["spec", "versions"]).unwrap_or_default();
    for (at, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{at}].schema.openAPIV3Schema");
        let served = version.child("served").and_then(Value::as_bool).unwrap_or(false);
        if version.at(&["schema", "openAPIV3Schema"]).is_some() {
            continue;
        }
        if !lenient.schemas_may_be_absent {
            errors.push(FieldError::required(path, ""));
        } else if !preserves && served {
            errors.push(FieldError::required(path, "because otherwise all fields are pruned"));
        }
    }
    errors
}

/// Whether the status of a version has an endpoint of its own.
pub(super) fn has_status(definition: &Object, version: &Value) -> bool {
    let versions = definition.get_list(&["spec", "versions"]).unwrap_or_default();
    match versions.iter().any(|version| version.child("subresources").is_some()) {
        true => version.at(&["subresources", "status"]).is_some(),
        false => definition.get(&["spec", "subresources", "status"]).is_some(),
    }
}

pub(super) fn any_status(definition: &Object) -> bool {
    let versions = definition.get_list(&["spec", "versions"]).unwrap_or_default();
    definition.get(&["spec", "subresources", "status"]).is_some()
        || versions.iter().any(|version| version.at(&["subresources", "status"]).is_some())
}

/// What may stand at the root of a schema whose status is validated alone, by the names of the original's inner type.
const AT_ROOT: [&str; 22] = [
    "Description",
    "Type",
    "Format",
    "Title",
    "Maximum",
    "ExclusiveMaximum",
    "Minimum",
    "ExclusiveMinimum",
    "MaxLength",
    "MinLength",
    "Pattern",
    "MaxItems",
    "MinItems",
    "UniqueItems",
    "MultipleOf",
    "Required",
    "Items",
    "Properties",
    "ExternalDocs",
    "Example",
    "XPreserveUnknownFields",
    "XValidations",
];

fn inner_name(field: &str) -> String {
    let plain =
        field.trim_start_matches('$').strip_prefix("x-kubernetes").map_or(field.to_owned(), |rest| format!("x{rest}"));
    plain.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

pub(super) fn validate(schema: &Value, path: &str, status: bool, lenient: Leniency<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let at = format!("{path}.openAPIV3Schema");
    if status {
        errors.extend(root_beside_status(schema, &at));
    }
    if schema.child("nullable").and_then(Value::as_bool) == Some(true) {
        errors.push(FieldError::forbidden(format!("{at}.nullable"), "nullable cannot be true at the root"));
    }
    let mut unsupported = None;
    // Expressions are compiled where types can be made of the schema.
    let mut typed = false;
    if !lenient.schemas_may_be_unstructured || openapi::uses_extensions(schema) {
        match structural::unsupported(schema) {
            Some(why) => unsupported = Some(FieldError::invalid(at.as_str(), "", why)),
            None => {
                let mut found = structural::validate(schema, &at);
                if found.is_empty() {
                    found = defaults::validate(schema, &at, lenient);
                }
                typed = found.is_empty();
                errors.extend(found);
            }
        }
    }
    let form = openapi::validate(schema, &at, lenient);
    let invalid: Vec<String> = form.iter().map(|error| error.field.clone()).collect();
    errors.extend(form);
    if errors.is_empty() {
        errors.extend(unsupported);
    }
    if typed {
        let known =
            lenient.before.is_some_and(|before| tree::all(before).into_iter().any(|(_, known)| known == schema));
        errors.extend(rules::validate(schema, &at, known, &invalid));
    }
    errors
}

fn root_beside_status(schema: &Value, at: &str) -> Option<FieldError> {
    let kind = schema.child("type").and_then(Value::as_str).unwrap_or_default();
    let Value::Struct(fields) = schema else { return None };
    for (field, value) in fields.iter().filter(|(_, value)| !value.is_zero()) {
        if field.name == "type" {
            if kind != "object" {
                let detail = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
                return Some(FieldError::invalid(format!("{at}.type"), kind, detail));
            }
            continue;
        }
        if !AT_ROOT.contains(&inner_name(&field.name).as_str()) && *value != Value::Bool(false) {
            let detail = format!(
                "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
                AT_ROOT.join(" ")
            );
            return Some(FieldError::invalid_value(at, super::super::print::printed(Some(schema)), detail));
        }
    }
    None
}
