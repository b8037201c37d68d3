//! Printer columns, selectable fields and the paths of the scale endpoint.

use crate::{api::schema::Value, request::status::FieldError};

const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const SELECTABLE_MAX: usize = 8;

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.child(field).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn printer(columns: &[Value], path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let path = format!("{path}[{at}]");
        if text(column, "name").is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        }
        let one_of = |words: &[&str]| format!("must be one of {}", words.join(","));
        match text(column, "type") {
            "" => errors.push(FieldError::required(format!("{path}.type"), one_of(&TYPES))),
            kind if !TYPES.contains(&kind) => {
                errors.push(FieldError::invalid(format!("{path}.type"), kind, one_of(&TYPES)));
            }
            _ => {}
        }
        let format = text(column, "format");
        if !format.is_empty() && !FORMATS.contains(&format) {
            errors.push(FieldError::invalid(format!("{path}.format"), format, one_of(&FORMATS)));
        }
        match text(column, "JSONPath") {
            "" => errors.push(FieldError::required(format!("{path}.JSONPath"), "")),
            json_path => errors.extend(simple(json_path, &format!("{path}.JSONPath"))),
        }
    }
    errors
}

fn simple(json_path: &str, path: &str) -> Option<FieldError> {
    let detail = "must be a simple json path starting with .";
    (!json_path.starts_with('.')).then(|| FieldError::invalid(path, json_path, detail))
}

pub(super) fn subresources(subresources: Option<&Value>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let Some(scale) = subresources.and_then(|subresources| subresources.child("scale")) else { return errors };
    for (field, part) in [("specReplicasPath", "spec"), ("statusReplicasPath", "status")] {
        let (found, path) = (text(scale, field), format!("{path}.scale.{field}"));
        if found.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else if let Some(error) = simple(found, &path) {
            errors.push(error);
        } else if !found.starts_with(&format!(".{part}.")) {
            errors.push(FieldError::invalid(path, found, format!("should be a json path under .{part}")));
        }
    }
    let (found, path) = (text(scale, "labelSelectorPath"), format!("{path}.scale.labelSelectorPath"));
    if !found.is_empty() {
        if let Some(error) = simple(found, &path) {
            errors.push(error);
        } else if !found.starts_with(".spec.") && !found.starts_with(".status.") {
            errors.push(FieldError::invalid(path, found, "should be a json path under either .spec or .status"));
        }
    }
    errors
}

pub(super) fn selectable(fields: &[Value], schema: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let (path, found) = (format!("{path}[{at}].jsonPath"), text(field, "jsonPath"));
        if found.is_empty() {
            errors.push(FieldError::required(path, ""));
            continue;
        }
        let (names, schema) = match field_path(found, schema, Brackets::Refused) {
            Ok(found) => found,
            Err(why) => {
                errors.push(FieldError::invalid(path, found, format!("is an invalid path: {why}")));
                continue;
            }
        };
        if names.first().is_some_and(|first| first == "metadata") {
            errors.push(FieldError::invalid(path.as_str(), found, "must not point to fields in metadata"));
        }
        if !matches!(text(schema, "type"), "string" | "boolean" | "integer") {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.push(FieldError::invalid(path.as_str(), found, detail));
        }
        let plain = names.join(".");
        if seen.contains(&plain) {
            errors.push(FieldError::duplicate(path, found));
        } else {
            seen.push(plain);
        }
    }
    if seen.len() > SELECTABLE_MAX {
        errors.push(FieldError::too_many(path, seen.len(), SELECTABLE_MAX));
    }
    errors
}

/// Whether a path may name members in brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Brackets {
    Allowed,
    Refused,
}

/// The names of a path like `.spec.a['b']`, and the schema at its end.
pub(super) fn field_path<'s>(
    path: &str,
    schema: &'s Value,
    brackets: Brackets,
) -> Result<(Vec<String>, &'s Value), String> {
    const END: &str = "unexpected end of JSON path";
    let (mut names, mut here) = (Vec::new(), schema);
    let tokens = tokens(path);
    let mut tokens = tokens.iter().copied();
    while let Some(token) = tokens.next() {
        let name = match token {
            "[" if brackets == Brackets::Refused => return Err("array notation is not allowed".to_owned()),
            "[" => {
                let quoted = tokens.next().ok_or(END)?;
                let inner = quoted.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
                let inner = inner.filter(|_| quoted.len() >= 2);
                inner.ok_or_else(|| format!("expected single quoted string but got {quoted}"))?.replace("\\'", "'")
            }
            "." => tokens.next().ok_or(END)?.to_owned(),
            other => return Err(format!("expected [ or . but got: {other}")),
        };
        let properties = here.child("properties").filter(|properties| !properties.is_zero());
        let each = here.child("additionalProperties").filter(|each| each.as_struct().is_some());
        let next = match properties {
            Some(properties) => properties.child(&name),
            None => each,
        };
        here = next.ok_or("does not refer to a valid field")?;
        names.push(name);
        if token == "[" {
            match tokens.next() {
                Some("]") => {}
                Some(other) => return Err(format!("expected ] but got {other}")),
                None => return Err(END.to_owned()),
            }
        }
    }
    Ok((names, here))
}

/// Dots, brackets, quoted texts, and what stands between them.
fn tokens(path: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '.' | '[' | ']' => 1,
            '\'' => {
                let bytes = rest.as_bytes();
                let closing = (1..bytes.len()).find(|at| bytes[*at] == b'\'' && bytes[at - 1] != b'\\');
                closing.map_or(rest.len(), |at| at + 1)
            }
            _ => rest.find(['.', '[', ']']).unwrap_or(rest.len()),
        };
        tokens.push(&rest[..end]);
        rest = &rest[end..];
    }
    tokens
}
