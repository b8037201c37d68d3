//! The figures that the scale endpoint shows: whole numbers that are not negative, and a selector that is a text.

use super::shown;
use crate::{
    api::{
        custom::Scale,
        schema::{Object, Value},
    },
    request::status::FieldError,
};

pub(super) fn spec(object: &Object, scale: Option<&Scale>) -> Vec<FieldError> {
    scale.map(|scale| replicas(object, &scale.spec_replicas)).unwrap_or_default()
}

pub(super) fn status(object: &Object, scale: Option<&Scale>) -> Vec<FieldError> {
    let Some(scale) = scale else { return Vec::new() };
    let mut errors = replicas(object, &scale.status_replicas);
    if let Some(path) = &scale.label_selector
        && let Err(why) = lookup(object, path, "string")
    {
        errors.push(FieldError::invalid(path.as_str(), "", why));
    }
    errors
}

fn replicas(object: &Object, path: &str) -> Vec<FieldError> {
    let refuse = |number: i64, why: String| vec![FieldError::invalid_value(path, number, why)];
    match lookup(object, path, "int64") {
        Err(why) => refuse(0, why),
        Ok(Some(Value::Int(number))) if *number < 0 => refuse(*number, "should be a non-negative integer".to_owned()),
        Ok(Some(Value::Int(number))) if *number > i64::from(i32::MAX) => {
            refuse(*number, format!("should be less than or equal to {}", i32::MAX))
        }
        Ok(_) => Vec::new(),
    }
}

/// The value at a dotted path; an error when it, or what is on the way to it, is of another type. The error names the
/// place that could not be looked up.
fn lookup<'o>(object: &'o Object, path: &str, wanted: &str) -> Result<Option<&'o Value>, String> {
    let names: Vec<&str> = path.trim_start_matches('.').split('.').collect();
    let wrong = |depth: usize, value: &Value, wanted: &str| {
        let at: String = names[..depth].iter().map(|name| format!(".{name}")).collect();
        format!("{at} accessor error: {} is of the type {}, expected {wanted}", go_value(value), go_type(value))
    };
    let mut here = object.value();
    for (depth, name) in names.iter().enumerate() {
        if !matches!(here, Value::Map(_) | Value::Struct(_)) {
            return Err(wrong(depth + 1, here, "map[string]interface{}"));
        }
        match here.child(name) {
            Some(next) => here = next,
            None => return Ok(None),
        }
    }
    match (wanted, here) {
        ("int64", Value::Int(_)) | ("string", Value::Str(_)) => Ok(Some(here)),
        _ => Err(wrong(names.len(), here, wanted)),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Str(_) | Value::Bytes(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) | Value::Struct(_) => "map[string]interface {}",
    }
}

fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Str(text) => text.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(go_value).collect::<Vec<_>>().join(" ")),
        Value::Map(_) | Value::Struct(_) => {
            let members = super::members(value).unwrap_or_default();
            let parts: Vec<String> =
                members.iter().map(|(name, value)| format!("{name}:{}", go_value(value))).collect();
            format!("map[{}]", parts.join(" "))
        }
        other => shown(other),
    }
}
