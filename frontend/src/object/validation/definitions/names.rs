//! The names of a definition.

use crate::{
    api::schema::{Object, Value},
    object::validation::names::label_1035_name,
    request::status::FieldError,
};

/// What a spec must name.
pub(super) fn required(definition: &Object) -> Vec<FieldError> {
    let missing = |field: &&str| definition.get_str(&["spec", "names", field]).unwrap_or_default().is_empty();
    let fields = ["plural", "singular", "kind", "listKind"];
    fields.iter().filter(|field| missing(field)).map(|f| FieldError::required(format!("spec.names.{f}"), "")).collect()
}

/// The forms of names, wherever they stand.
pub(super) fn validate(names: Option<&Value>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let Some(names) = names else { return errors };
    let text = |field: &str| names.child(field).and_then(Value::as_str).unwrap_or_default();
    for field in ["plural", "singular"] {
        let messages = label_1035_name(text(field), false);
        if !text(field).is_empty() && !messages.is_empty() {
            errors.push(FieldError::invalid(format!("{path}.{field}"), text(field), messages.join(",")));
        }
    }
    for field in ["kind", "listKind"] {
        let messages = label_1035_name(&text(field).to_lowercase(), false);
        if !text(field).is_empty() && !messages.is_empty() {
            let detail = format!("may have mixed case, but should otherwise match: {}", messages.join(","));
            errors.push(FieldError::invalid(format!("{path}.{field}"), text(field), detail));
        }
    }
    let each = |field: &str, errors: &mut Vec<FieldError>| {
        let items = names.child(field).and_then(Value::as_list).unwrap_or_default();
        for (at, name) in items.iter().filter_map(Value::as_str).enumerate() {
            let messages = label_1035_name(name, false);
            if !messages.is_empty() {
                errors.push(FieldError::invalid(format!("{path}.{field}[{at}]"), name, messages.join(",")));
            }
        }
    };
    each("shortNames", &mut errors);
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        let detail = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(format!("{path}.listKind"), text("listKind"), detail));
    }
    each("categories", &mut errors);
    errors
}
