//! Small values to put into an object, and to read from one.

use crate::{
    api::schema::{Object, Value, codec},
    request::status::ApiError,
};

fn unreadable(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::internal("an object that admission depends on could not be read").with_internal(error)
}

/// A list as an object of this kind holds it at `path`; `spec` is the object's JSON without kind and version.
pub(crate) fn sample(like: &Object, json: &serde_json::Value, path: &[&str]) -> Result<Vec<Value>, ApiError> {
    let decoded = codec::decode_json_as(like.ty(), json.to_string().as_bytes()).map_err(|error| unreadable(&error))?;
    Ok(decoded.object.get_list(path).unwrap_or_default().to_vec())
}

/// Puts values at the end of a list that may be absent.
pub(crate) fn append(object: &mut Object, path: &[&str], values: Vec<Value>) {
    if values.is_empty() {
        return;
    }
    match object.get_mut(path) {
        Some(Value::List(list)) => list.extend(values),
        _ => drop(object.set(path, Value::List(values))),
    }
}

/// The text of a value's field; empty if absent.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.child(name).and_then(Value::as_str).unwrap_or_default()
}
