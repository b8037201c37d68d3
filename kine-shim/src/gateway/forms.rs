//! Forms of JSON values that protobuf's mapping in Go takes beside the plain ones: base64 with line breaks, whole
//! numbers with a point or an exponent.

use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Number, Value};

/// Makes them plain, all the way down.
pub(super) fn normalize(value: &mut Value, of: &MessageDescriptor) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let Some(field) = of.get_field_by_name(name).or_else(|| of.get_field_by_json_name(name)) else { continue };
        match value {
            Value::Array(items) if field.is_list() => items.iter_mut().for_each(|item| one(item, &field.kind())),
            other => one(other, &field.kind()),
        }
    }
}

fn one(value: &mut Value, kind: &Kind) {
    match (kind, &mut *value) {
        (Kind::Message(of), value) => normalize(value, of),
        (Kind::Bytes, Value::String(text)) => text.retain(|character| character != '\n' && character != '\r'),
        (
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64,
            Value::Number(_) | Value::String(_),
        ) => {
            if let Some(whole) = whole(value) {
                *value = whole;
            }
        }
        _ => {}
    }
}

/// A whole number that is written with a point or an exponent.
fn whole(value: &Value) -> Option<Value> {
    let number = match value {
        Value::Number(number) if !number.is_i64() && !number.is_u64() => number.as_f64()?,
        Value::String(text) if text.contains(['.', 'e', 'E']) => text.parse().ok()?,
        _ => return None,
    };
    // Above 2^53 such a number has lost digits already.
    let is_whole = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    is_whole.then(|| Value::Number(Number::from(number as i64)))
}
