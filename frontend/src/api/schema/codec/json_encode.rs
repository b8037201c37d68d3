//! Objects to JSON, byte for byte as Go's encoder prints Kubernetes' types: fields in the order of the types, maps
//! sorted, `<`, `>` and `&` escaped.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::json_text::{write_compact, write_float, write_string};
use crate::api::schema::{
    object::Object,
    tables::{Field, Kind, Presence, Shape, StructDef},
    value::{Struct, Value},
};

/// JSON without a newline at its end.
pub fn encode_json(object: &Object, out: &mut Vec<u8>) {
    write_struct(out, &object.ty().root, Some(object.root()));
}

/// One value of a field, for instance an item of a list that is streamed.
pub fn encode_struct_json(value: &Struct, out: &mut Vec<u8>) {
    write_struct(out, value.def(), Some(value));
}

/// A tree without schema, without a newline at its end.
pub fn encode_free(value: &Value, out: &mut Vec<u8>) {
    write_value(out, value);
}

fn write_struct(out: &mut Vec<u8>, def: &StructDef, value: Option<&Struct>) {
    if let Some(value) = value.filter(|_| def.open) {
        return write_open(out, value);
    }
    out.push(b'{');
    let mut first = true;
    for (at, field) in def.fields.iter().enumerate() {
        let value = value.and_then(|value| value.slot(at));
        if !is_printed(field, value) {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        out.push(b'"');
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Some(value) => write_field(out, field, value),
            None => write_absent(out, field),
        }
    }
    out.push(b'}');
}

/// A struct with members that no field describes: all of them by name. Only custom resources have such, whose fields
/// know no zeros to leave out.
fn write_open(out: &mut Vec<u8>, value: &Struct) {
    let mut members: Vec<(&str, &Value)> = value.members().collect();
    members.sort_by_key(|(name, _)| *name);
    let def = value.def();
    write_map(
        out,
        members.into_iter().map(|(name, member)| (name, (def.field(name), member))),
        |out, (field, member)| match field {
            Some(field) => write_field(out, field, member),
            None => write_value(out, member),
        },
    );
}

fn is_printed(field: &Field, value: Option<&Value>) -> bool {
    match (field.presence, value) {
        (Presence::Always | Presence::Nullable, _) => true,
        (_, None) => false,
        (Presence::Pointer, Some(_)) => true,
        (Presence::Omit, Some(Value::Struct(_))) => true,
        (Presence::Omit, Some(value)) => !value.is_zero(),
    }
}

fn write_field(out: &mut Vec<u8>, field: &Field, value: &Value) {
    match (field.shape, value) {
        (Shape::List, Value::List(items)) => write_list(out, items, |out, item| write_one(out, &field.kind, item)),
        (Shape::Map, Value::Map(map)) => write_map(out, map.iter(), |out, item| write_one(out, &field.kind, item)),
        (_, value) => write_one(out, &field.kind, value),
    }
}

fn write_one(out: &mut Vec<u8>, kind: &Kind, value: &Value) {
    match (kind, value) {
        (Kind::Struct(def), Value::Struct(inner)) => write_struct(out, def, Some(inner)),
        (Kind::Raw, Value::Bytes(raw)) if raw.is_empty() => out.extend_from_slice(b"null"),
        (Kind::Raw, Value::Bytes(raw)) => write_compact(out, raw),
        (_, value) => write_value(out, value),
    }
}

/// A value that says itself how it is printed.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => write_int(out, *number),
        Value::Float(number) => write_float(out, *number),
        Value::Str(text) => write_string(out, text),
        Value::Bytes(bytes) => {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
        Value::List(items) => write_list(out, items, write_value),
        Value::Map(map) => write_map(out, map.iter(), write_value),
        Value::Struct(inner) => write_struct(out, inner.def(), Some(inner)),
    }
}

fn write_list(out: &mut Vec<u8>, items: &[Value], write: impl Fn(&mut Vec<u8>, &Value)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn write_map<'a, V>(out: &mut Vec<u8>, entries: impl Iterator<Item = (&'a str, V)>, write: impl Fn(&mut Vec<u8>, V)) {
    out.push(b'{');
    for (at, (key, item)) in entries.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(out, key);
        out.push(b':');
        write(out, item);
    }
    out.push(b'}');
}

/// What Go prints for a plain value that was never set.
pub(super) fn write_absent(out: &mut Vec<u8>, field: &Field) {
    if field.presence == Presence::Nullable || field.shape != Shape::One {
        return out.extend_from_slice(b"null");
    }
    let text: &[u8] = match &field.kind {
        Kind::Struct(def) => return write_struct(out, def, None),
        Kind::Bool => b"false",
        Kind::Int32 | Kind::Int64 | Kind::Float64 | Kind::IntOrString => b"0",
        Kind::Str => b"\"\"",
        Kind::Quantity => b"\"0\"",
        Kind::Duration => b"\"0s\"",
        _ => b"null",
    };
    out.extend_from_slice(text);
}

pub(super) fn write_int(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Indents JSON by two spaces, as kube-apiserver's pretty=true.
pub fn indent(json: &[u8], out: &mut Vec<u8>) {
    let (mut depth, mut at) = (0usize, 0);
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    while at < json.len() {
        let byte = json[at];
        match byte {
            b'"' => {
                let end = super::json_text::string_end(json, at);
                out.extend_from_slice(&json[at..end]);
                at = end;
                continue;
            }
            b'{' | b'[' if json.get(at + 1) == Some(&(byte + 2)) => {
                out.extend_from_slice(&json[at..at + 2]);
                at += 1;
            }
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                line(out, depth);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
        at += 1;
    }
}
