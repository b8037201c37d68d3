//! What comes of a validation, and values as it sees and prints them.

use crate::{
    api::schema::{Value, codec, fit},
    request::status::{FieldError, go_float, go_quote},
};

/// What is wrong with an object, and what an update left wrong.
#[derive(Debug, Default)]
pub struct Verdict {
    pub errors: Vec<FieldError>,
    pub warnings: Vec<String>,
}

/// A value as field errors print it.
pub(in super::super) fn shown(value: &Value) -> String {
    match value {
        Value::Str(text) => go_quote(text),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => go_float(*number),
        Value::Bool(truth) => truth.to_string(),
        other => {
            let free = fit::free(other.clone());
            let mut json = Vec::new();
            codec::encode_free(&free, &mut json);
            String::from_utf8_lossy(&json).into_owned()
        }
    }
}

/// The members of an object, whichever way it is held.
pub(super) fn members(value: &Value) -> Option<Vec<(&str, &Value)>> {
    match value {
        Value::Struct(fields) => Some(fields.members().collect()),
        Value::Map(map) => Some(map.iter().collect()),
        _ => None,
    }
}
