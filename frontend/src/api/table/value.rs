//! Reading values below an object, absent as Go's zero value.

use crate::api::schema::Value;

pub(super) fn text_in<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    value.at(path).and_then(Value::as_str).unwrap_or("")
}

pub(super) fn int_in(value: &Value, path: &[&str]) -> i64 {
    value.at(path).and_then(Value::as_i64).unwrap_or(0)
}

pub(super) fn bool_in(value: &Value, path: &[&str]) -> bool {
    value.at(path).and_then(Value::as_bool).unwrap_or(false)
}

/// The status of the condition of this type in a list of conditions.
pub(super) fn condition<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions.iter().find(|c| text_in(c, &["type"]) == kind)
}
