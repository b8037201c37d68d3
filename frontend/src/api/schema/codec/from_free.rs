//! A tree without schema as an object, with the liberties and the error texts of the real server's converter between
//! the two: it is not the JSON decoder, and takes 1.0 for an integer.

use base64::Engine as _;

use super::{
    DecodeError, Decoded, StrictError, encode_free,
    go_types::element_type,
    json_decoder::{Decoder, is_unset, zero},
    json_special::{BASE64, illegal_base64_at},
};
use crate::api::schema::{
    object::Object,
    tables::{Field, Kind, Shape, StructRef, Type},
    text::Text,
    value::{MapValue, Struct, Value},
};

type Result<T> = std::result::Result<T, String>;

/// Makes an object of a kind. What the kind does not know is named, sorted.
pub fn object_of_free(kind: &Type, tree: &Value) -> std::result::Result<Decoded, DecodeError> {
    if kind.custom.is_some() {
        let mut json = Vec::new();
        encode_free(tree, &mut json);
        return super::json_custom::decode_merged(kind, &json);
    }
    let mut reader = Reader { path: String::new(), unknown: Vec::new() };
    let root = reader
        .structure(&kind.root, tree)
        .map_err(|message| DecodeError::Invalid { gvk: kind.gvk.clone(), message })?;
    reader.unknown.sort();
    let warnings = reader.unknown.into_iter().map(StrictError::UnknownField).collect();
    Ok(Decoded { object: Object::from_root(kind, root), warnings })
}

struct Reader {
    path: String,
    unknown: Vec<String>,
}

impl Reader {
    fn structure(&mut self, def: &StructRef, tree: &Value) -> Result<Struct> {
        let Value::Map(members) = tree else {
            return Err(format!("cannot restore struct from: {}", go_kind(tree)));
        };
        let mut target = Struct::new(def);
        let length = self.path.len();
        let (def, slots) = target.parts_mut();
        for (field, slot) in def.fields.iter().zip(slots) {
            let Some(value) = members.get(&field.name).filter(|value| **value != Value::Null) else { continue };
            self.push(&field.name);
            *slot = self.field(field, value)?;
            self.path.truncate(length);
        }
        for (name, _) in members.iter().filter(|(name, _)| def.slot_of(name).is_none()) {
            self.push(name);
            self.unknown.push(self.path.clone());
            self.path.truncate(length);
        }
        Ok(target)
    }

    fn push(&mut self, name: &str) {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }

    fn field(&mut self, field: &Field, value: &Value) -> Result<Option<Value>> {
        match (field.shape, value) {
            (Shape::List, Value::List(items)) => {
                let length = self.path.len();
                let mut list = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    self.path.push_str(&format!("[{at}]"));
                    list.push(self.element(field, item)?);
                    self.path.truncate(length);
                }
                Ok(Some(Value::List(list)))
            }
            (Shape::List, other) => Err(format!("cannot restore slice from {}", go_kind(other))),
            (Shape::Map, Value::Map(map)) => {
                let mut entries: Vec<(Text, Value)> = Vec::with_capacity(map.len());
                for (key, item) in map.iter() {
                    entries.push((key.into(), self.element(field, item)?));
                }
                Ok(Some(Value::Map(MapValue::from_entries(entries))))
            }
            (Shape::Map, other) => Err(format!("cannot restore map from {}", go_kind(other))),
            (Shape::One, value) => {
                let value = self.one(field, value)?;
                let plain = field.presence.is_plain();
                Ok((!is_unset(field, &value, plain)).then_some(value))
            }
        }
    }

    fn element(&mut self, field: &Field, value: &Value) -> Result<Value> {
        match value {
            Value::Null => Ok(zero(&field.kind)),
            value => self.one(field, value),
        }
    }

    fn one(&mut self, field: &Field, value: &Value) -> Result<Value> {
        match (&field.kind, value) {
            (Kind::Struct(def), value) => self.structure(def, value).map(Value::Struct),
            (Kind::Any, value) => Ok(value.clone()),
            (Kind::Str, Value::Str(_)) | (Kind::Bool, Value::Bool(_)) => Ok(value.clone()),
            // Go converts numbers of different widths without looking whether they fit.
            (Kind::Int32, Value::Int(number)) => Ok(Value::Int((*number as i32).into())),
            (Kind::Int64, Value::Int(_)) => Ok(value.clone()),
            (Kind::Int32, Value::Float(number)) if number.trunc() == *number => {
                Ok(Value::Int((truncated(*number) as i32).into()))
            }
            (Kind::Int64, Value::Float(number)) if number.trunc() == *number => Ok(Value::Int(truncated(*number))),
            (Kind::Float64, Value::Float(_)) => Ok(value.clone()),
            (Kind::Float64, Value::Int(number)) => Ok(Value::Float(*number as f64)),
            (Kind::Str | Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Float64, value) => Err(refusal(field, value)),
            (Kind::Bytes, Value::Str(text)) => bytes(text),
            (Kind::StringItems, Value::List(items)) => items
                .iter()
                .map(|item| match item {
                    Value::Null => Ok(Value::from("")),
                    Value::Str(_) => Ok(item.clone()),
                    Value::Int(_) => Err("cannot convert int64 to string".to_owned()),
                    _ => Err("unrecognized type: string".to_owned()),
                })
                .collect::<Result<Vec<_>>>()
                .map(Value::List),
            (Kind::Bytes | Kind::StringItems, value) => Err(format!("cannot restore slice from {}", go_kind(value))),
            _ => self_reading(field, value),
        }
    }
}

/// A float as an integer, as the processors that Go mostly runs on do it: what does not fit is the least.
fn truncated(number: f64) -> i64 {
    let fits = number >= i64::MIN as f64 && number < i64::MAX as f64;
    if fits { number as i64 } else { i64::MIN }
}

/// Types that read themselves from JSON do so here too.
fn self_reading(field: &Field, value: &Value) -> Result<Value> {
    let mut json = Vec::new();
    encode_free(value, &mut json);
    let mut decoder = Decoder::new(&json);
    let token = decoder.cursor.token().map_err(|error| error.to_string())?;
    let read = decoder.one(&field.kind, field, token, None).map_err(|error| error.to_string())?;
    match decoder.type_error.take() {
        Some(error) => Err(error),
        None => Ok(read.unwrap_or_else(|| zero(&field.kind))),
    }
}

/// A scalar of the wrong type: Go tells those that it could convert from those that it could not.
fn refusal(field: &Field, value: &Value) -> String {
    let found = match value {
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        _ => "",
    };
    let convertible = match field.kind {
        Kind::Str => found == "int64",
        Kind::Int32 | Kind::Int64 => found == "float64",
        _ => false,
    };
    if convertible {
        return format!("cannot convert {found} to {}", element_type(field));
    }
    let kind = match field.kind {
        Kind::Str => "string",
        Kind::Bool => "bool",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        _ => "float64",
    };
    format!("unrecognized type: {kind}")
}

fn bytes(text: &str) -> Result<Value> {
    let clean: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    match BASE64.decode(&clean) {
        Ok(bytes) => Ok(Value::Bytes(bytes.into_boxed_slice())),
        Err(error) => {
            let at = illegal_base64_at(text, &error);
            Err(format!("error decoding from json: illegal base64 data at input byte {at}"))
        }
    }
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Str(_) => "string",
        Value::List(_) => "slice",
        Value::Map(_) => "map",
        _ => "invalid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{
        Schema,
        codec::{decode_free, encode_json},
    };

    fn check(json: &str, expected: &str) {
        let tree = decode_free(json.as_bytes()).unwrap();
        let text = |name: &str| tree.child(name).and_then(Value::as_str).unwrap().to_owned();
        let kind = match text("apiVersion").split_once('/') {
            Some((group, version)) => Schema::builtin().kind(group, version, &text("kind")),
            None => Schema::builtin().kind("", &text("apiVersion"), &text("kind")),
        };
        let found = match object_of_free(&kind.unwrap(), &tree) {
            Err(error) => error.to_string(),
            Ok(Decoded { object, warnings }) => {
                let mut out = Vec::new();
                encode_json(&object, &mut out);
                warnings.iter().fold(String::from_utf8(out).unwrap(), |all, warning| format!("{all} {warning}"))
            }
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn trees_become_objects_or_are_refused_as_by_the_converter() {
        let secret = |fields: &str| format!(r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{}},{fields}}}"#);
        let written = |fields: &str| format!(r#"{{"kind":"Secret","apiVersion":"v1","metadata":{{}}{fields}}}"#);
        for (fields, expected) in [
            (r#""data":{"a":"AAE=","b":null}"#, written(r#","data":{"a":"AAE=","b":null}"#)),
            (r#""data":{"a":"%"}"#, "error decoding from json: illegal base64 data at input byte 0".to_owned()),
            // Line ends count, and are no letters.
            (r#""data":{"a":"ab\nc%"}"#, "error decoding from json: illegal base64 data at input byte 4".to_owned()),
            (
                r#""data":{"a":"abcd\nefghi"}"#,
                "error decoding from json: illegal base64 data at input byte 9".to_owned(),
            ),
            (r#""data":{"a":1}"#, "cannot restore slice from int64".to_owned()),
            (r#""data":[1]"#, "cannot restore map from slice".to_owned()),
            (r#""type":1"#, "cannot convert int64 to v1.SecretType".to_owned()),
            (r#""type":true"#, "unrecognized type: string".to_owned()),
            (r#""immutable":"x""#, "unrecognized type: bool".to_owned()),
            (r#""stringData":{"a":["x"]}"#, "unrecognized type: string".to_owned()),
            (
                r#""b":1,"a":{"c":1},"metadata":{"x":1}"#,
                written("") + r#" unknown field "a" unknown field "b" unknown field "metadata.x""#,
            ),
        ] {
            check(&secret(fields), &expected);
        }
        let set = |replicas: &str| {
            format!(
                r#"{{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{{}},"spec":{{"replicas":{replicas}}}}}"#
            )
        };
        for (replicas, expected) in [
            (
                "1.0",
                r#"{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{},"spec":{"replicas":1},"status":{"replicas":0}}"#,
            ),
            (
                "4294967298",
                r#"{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{},"spec":{"replicas":2},"status":{"replicas":0}}"#,
            ),
            (
                "9e18",
                r#"{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{},"spec":{"replicas":-494665728},"status":{"replicas":0}}"#,
            ),
            (
                "9e19",
                r#"{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{},"spec":{},"status":{"replicas":0}}"#,
            ),
            ("1.5", "cannot convert float64 to int32"),
            (r#""1""#, "unrecognized type: int32"),
        ] {
            check(&set(replicas), expected);
        }
    }
}
