//! Objects to protobuf, byte for byte as gogo writes Kubernetes' types: plain values are always written, pointers when
//! given, maps in the order of their keys, fields in the order of their numbers. Everything is written from the end.

use bytes::Bytes;

use super::{
    stored_protobuf::put_head,
    wire::{ENVELOPE_MAGIC, FIXED64, Writer},
};
use crate::api::schema::{
    object::Object,
    scalar::{
        duration, time,
        time::{Instant, parse_time},
    },
    tables::{Field, Gvk, Kind, Presence, Shape, StructDef, Wire, WireTarget},
    value::{Struct, Value},
};

/// `k8s\0` and runtime.Unknown around the message.
pub fn encode_protobuf(object: &Object) -> Bytes {
    let mut out = Writer::new();
    out.bytes_field(4, b"");
    out.bytes_field(3, b"");
    let raw = out.len();
    write_struct(&mut out, &object.ty().root, Some(object.root()));
    out.close(2, raw);
    let type_meta = out.len();
    out.bytes_field(2, object.gvk().kind.as_bytes());
    out.bytes_field(1, object.gvk().api_version().as_bytes());
    out.close(1, type_meta);
    out.bytes(ENVELOPE_MAGIC);
    out.finish()
}

/// What stands before a message and behind it.
pub(super) fn envelope(gvk: &Gvk, message_len: usize) -> (Vec<u8>, &'static [u8]) {
    let (kind, version) = (gvk.kind.as_bytes(), gvk.api_version());
    let mut type_meta = Vec::new();
    put_head(&mut type_meta, 1, version.len());
    type_meta.extend_from_slice(version.as_bytes());
    put_head(&mut type_meta, 2, kind.len());
    type_meta.extend_from_slice(kind);
    let mut head = ENVELOPE_MAGIC.to_vec();
    put_head(&mut head, 1, type_meta.len());
    head.extend_from_slice(&type_meta);
    put_head(&mut head, 2, message_len);
    // Encoding and content type, both empty.
    (head, &[3 << 3 | 2, 0, 4 << 3 | 2, 0])
}

/// The message alone.
pub fn encode_protobuf_message(object: &Object) -> Bytes {
    let mut out = Writer::new();
    write_struct(&mut out, &object.ty().root, Some(object.root()));
    out.finish()
}

fn write_struct(out: &mut Writer, def: &StructDef, value: Option<&Struct>) {
    write_wires(out, def, &def.wire, value);
}

fn write_wires(out: &mut Writer, def: &StructDef, wires: &[Wire], value: Option<&Struct>) {
    for wire in wires.iter().rev() {
        match &wire.target {
            WireTarget::Slot(slot) => {
                let slot = usize::from(*slot);
                write_field(out, wire.number, &def.fields[slot], value.and_then(|value| value.slot(slot)));
            }
            WireTarget::Inline(inner) => {
                let mark = out.len();
                write_wires(out, def, inner, value);
                out.close(wire.number, mark);
            }
        }
    }
}

fn write_field(out: &mut Writer, number: u32, field: &Field, value: Option<&Value>) {
    match (field.shape, value) {
        (Shape::List, Some(Value::List(items))) => {
            for item in items.iter().rev() {
                write_one(out, number, &field.kind, Some(item));
            }
        }
        (Shape::Map, Some(Value::Map(map))) => {
            for (key, item) in map.iter().rev() {
                let mark = out.len();
                // A nil []byte has no value on the wire.
                if !matches!((&field.kind, item), (Kind::Bytes, Value::Null)) {
                    write_one(out, 2, &field.kind, Some(item));
                }
                out.bytes_field(1, key.as_bytes());
                out.close(number, mark);
            }
        }
        (Shape::One, None) if matches!(field.presence, Presence::Pointer | Presence::Nullable) => {}
        (Shape::One, value) => write_one(out, number, &field.kind, value),
        _ => {}
    }
}

/// One value, or what stands for its absence in a field that is no pointer.
fn write_one(out: &mut Writer, number: u32, kind: &Kind, value: Option<&Value>) {
    match kind {
        Kind::Bool => out.varint_field(number, value.and_then(Value::as_bool).unwrap_or(false).into()),
        Kind::Int32 | Kind::Int64 => out.varint_field(number, value.and_then(Value::as_i64).unwrap_or(0) as u64),
        Kind::Float64 => {
            out.bytes(&value.and_then(Value::as_f64).unwrap_or(0.0).to_le_bytes());
            out.tag(number, FIXED64);
        }
        Kind::Str => out.bytes_field(number, text(value).as_bytes()),
        Kind::Bytes => {
            if let Some(Value::Bytes(bytes)) = value {
                out.bytes_field(number, bytes);
            }
        }
        Kind::StringItems => match value {
            Some(Value::List(items)) => message(out, number, |out| {
                for item in items.iter().rev() {
                    out.bytes_field(1, text(Some(item)).as_bytes());
                }
            }),
            Some(_) => out.bytes_field(number, b""),
            None => {}
        },
        Kind::Struct(def) => {
            let mark = out.len();
            write_struct(out, def, value.and_then(Value::as_struct));
            out.close(number, mark);
        }
        _ => message(out, number, |out| write_special(out, kind, value)),
    }
}

/// The inside of messages that are not structs in JSON.
fn write_special(out: &mut Writer, kind: &Kind, value: Option<&Value>) {
    match kind {
        Kind::Time => write_instant(out, parse_time(text(value)).ok().map(|at| Instant { nanos: 0, ..at })),
        Kind::MicroTime => write_instant(out, time::parse_micro_time(text(value)).ok()),
        Kind::Duration => out.varint_field(1, duration::parse(text(value)).unwrap_or(0) as u64),
        Kind::Quantity => {
            let text = text(value);
            out.bytes_field(1, if text.is_empty() { "0" } else { text }.as_bytes());
        }
        Kind::IntOrString => {
            out.bytes_field(3, text(value).as_bytes());
            out.varint_field(2, value.and_then(Value::as_i64).unwrap_or(0) as u64);
            out.varint_field(1, u64::from(matches!(value, Some(Value::Str(_)))));
        }
        Kind::Raw => {
            if let Some(Value::Bytes(raw)) = value {
                out.bytes_field(1, raw);
            }
        }
        Kind::SchemaOrBool(def) => {
            if let Some(Value::Struct(schema)) = value {
                message(out, 2, |out| write_struct(out, def, Some(schema)));
            }
            let allows = value.is_some_and(|value| value.as_bool().unwrap_or(true));
            out.varint_field(1, allows.into());
        }
        Kind::SchemaOrArray(def) | Kind::SchemaOrStringArray(def) => match value {
            Some(Value::Struct(schema)) => message(out, 1, |out| write_struct(out, def, Some(schema))),
            Some(Value::List(items)) => {
                for item in items.iter().rev() {
                    match item {
                        Value::Struct(schema) => message(out, 2, |out| write_struct(out, def, Some(schema))),
                        item => out.bytes_field(2, text(Some(item)).as_bytes()),
                    }
                }
            }
            _ => {}
        },
        _ => {}
    }
}

fn message(out: &mut Writer, number: u32, inside: impl FnOnce(&mut Writer)) {
    let mark = out.len();
    inside(out);
    out.close(number, mark);
}

fn write_instant(out: &mut Writer, at: Option<Instant>) {
    if let Some(at) = at.filter(|at| !at.is_zero()) {
        // MicroTime keeps microseconds; Time came with none.
        out.varint_field(2, u64::from(at.nanos / 1000 * 1000));
        out.varint_field(1, at.seconds as u64);
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or("")
}
