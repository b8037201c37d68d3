//! Protobuf to objects. Fields that the schema has not are dropped; a message that comes twice is merged, as gogo does.

use std::borrow::Cow;

use super::{
    DecodeError, Decoded,
    wire::{ENVELOPE_MAGIC, Payload, Reader},
};
use crate::api::schema::{
    kinds::Schema,
    object::Object,
    scalar::{
        duration, quantity,
        time::{Instant, format_micro_time, format_time},
    },
    tables::{Field, Gvk, Kind, Shape, StructDef, StructRef, Type, WireTarget},
    text::Text,
    value::{MapValue, Struct, Value},
};

/// Messages nested deeper are refused.
const DEPTH_MAX: usize = 200;

/// What the envelope says.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    pub(super) api_version: Cow<'a, str>,
    pub(super) kind: Cow<'a, str>,
    pub(super) raw: &'a [u8],
    pub(super) content_type: Cow<'a, str>,
}

/// Reads `k8s\0` and runtime.Unknown.
pub(super) fn read_envelope(bytes: &[u8]) -> Result<Envelope<'_>, DecodeError> {
    let Some(unknown) = bytes.strip_prefix(ENVELOPE_MAGIC) else {
        let message = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
        return Err(DecodeError::Malformed(message.to_owned()));
    };
    let mut envelope = Envelope::default();
    let mut reader = Reader::new(unknown);
    while let Some((number, payload)) = reader.field()? {
        match (number, payload) {
            (1, Payload::Bytes(type_meta)) => {
                let mut reader = Reader::new(type_meta);
                while let Some((number, payload)) = reader.field()? {
                    match (number, payload) {
                        (1, Payload::Bytes(text)) => envelope.api_version = String::from_utf8_lossy(text),
                        (2, Payload::Bytes(text)) => envelope.kind = String::from_utf8_lossy(text),
                        _ => {}
                    }
                }
            }
            (2, Payload::Bytes(raw)) => envelope.raw = raw,
            (4, Payload::Bytes(text)) => envelope.content_type = String::from_utf8_lossy(text),
            _ => {}
        }
    }
    Ok(envelope)
}

/// Reads the envelope and the message in it.
pub fn decode_protobuf(schema: &Schema, bytes: &[u8], default: Option<&Gvk>) -> Result<Decoded, DecodeError> {
    let envelope = read_envelope(bytes)?;
    let gvk = super::effective_gvk(&envelope.api_version, &envelope.kind, default, bytes)?;
    let kind = schema.of(&gvk).ok_or(DecodeError::UnknownKind(gvk))?;
    if envelope.content_type == "application/json" {
        return super::decode_json(schema, envelope.raw, Some(&kind.gvk));
    }
    Ok(Decoded { object: decode_message(&kind, envelope.raw)?, warnings: Vec::new() })
}

/// Reads the bare message of a known kind.
pub fn decode_message(kind: &Type, bytes: &[u8]) -> Result<Object, DecodeError> {
    let mut root = Struct::new(&kind.root);
    read_struct(&mut root, bytes, 0).map_err(|error| error.of_kind(&kind.gvk))?;
    Ok(Object::from_root(kind, root))
}

fn read_struct(target: &mut Struct, bytes: &[u8], depth: usize) -> Result<(), DecodeError> {
    let (def, slots) = target.parts_mut();
    let def = def.clone();
    read_wires(&def, &def.wire, slots, bytes, depth)
}

fn read_wires(
    def: &StructDef,
    wires: &[crate::api::schema::tables::Wire],
    slots: &mut [Option<Value>],
    bytes: &[u8],
    depth: usize,
) -> Result<(), DecodeError> {
    if depth > DEPTH_MAX {
        return Err(DecodeError::Malformed("proto: nesting too deep".to_owned()));
    }
    let mut reader = Reader::new(bytes);
    let mut hint = 0;
    let mut maps: Vec<(usize, Vec<(Text, Value)>)> = Vec::new();
    while let Some((number, payload)) = reader.field()? {
        // Fields mostly come in the order of their numbers.
        let found = wires[hint..].iter().position(|wire| wire.number == number).map(|at| at + hint);
        let Some(at) = found.or_else(|| wires[..hint].iter().position(|wire| wire.number == number)) else { continue };
        hint = at;
        match &wires[at].target {
            WireTarget::Inline(inner) => {
                if let Payload::Bytes(bytes) = payload {
                    read_wires(def, inner, slots, bytes, depth + 1)?;
                }
            }
            WireTarget::Slot(slot) => {
                let slot = usize::from(*slot);
                let field = &def.fields[slot];
                if field.shape != Shape::Map {
                    read_field(field, &mut slots[slot], payload, depth)?;
                } else if let Payload::Bytes(entry) = payload {
                    let entry = read_entry(field, entry, depth)?;
                    match maps.last_mut() {
                        Some((of, entries)) if *of == slot => entries.push(entry),
                        _ => maps.push((slot, vec![entry])),
                    }
                }
            }
        }
    }
    for (slot, entries) in maps {
        match &mut slots[slot] {
            Some(Value::Map(map)) => entries.into_iter().for_each(|(key, value)| drop(map.insert(key, value))),
            target => *target = Some(Value::Map(MapValue::from_entries(entries))),
        }
    }
    Ok(())
}

fn read_entry(field: &Field, bytes: &[u8], depth: usize) -> Result<(Text, Value), DecodeError> {
    let (mut key, mut value) = (Text::default(), None);
    let mut reader = Reader::new(bytes);
    while let Some((number, payload)) = reader.field()? {
        match (number, payload) {
            (1, Payload::Bytes(bytes)) => key = text(bytes),
            (2, payload) => value = Some(read_one(&field.kind, None, payload, depth)?),
            _ => {}
        }
    }
    Ok((key, value.unwrap_or_else(|| zero(&field.kind))))
}

fn read_field(field: &Field, slot: &mut Option<Value>, payload: Payload<'_>, depth: usize) -> Result<(), DecodeError> {
    if field.shape == Shape::List {
        let item = read_one(&field.kind, None, payload, depth)?;
        match slot {
            Some(Value::List(items)) => items.push(item),
            slot => *slot = Some(Value::List(vec![item])),
        }
        return Ok(());
    }
    let value = read_one(&field.kind, slot.take(), payload, depth)?;
    let plain = field.presence.is_plain();
    // In a plain field a zero is the same as nothing, but bytes may be empty and there.
    let absent = plain && value.is_zero() && !matches!(value, Value::Bytes(_) | Value::List(_));
    *slot = (!absent).then_some(value);
    Ok(())
}

fn read_one(kind: &Kind, old: Option<Value>, payload: Payload<'_>, depth: usize) -> Result<Value, DecodeError> {
    Ok(match (kind, payload) {
        (Kind::Bool, Payload::Varint(number)) => Value::Bool(number != 0),
        (Kind::Int32, Payload::Varint(number)) => Value::Int((number as i32).into()),
        (Kind::Int64, Payload::Varint(number)) => Value::Int(number as i64),
        (Kind::Float64, Payload::Fixed64(bits)) => Value::Float(f64::from_bits(bits)),
        (Kind::Str, Payload::Bytes(bytes)) => Value::Str(text(bytes)),
        (Kind::Bytes, Payload::Bytes(bytes)) => Value::Bytes(bytes.into()),
        (Kind::Struct(def), Payload::Bytes(bytes)) => Value::Struct(read_merged(def, old, bytes, depth)?),
        (
            Kind::SchemaOrBool(def) | Kind::SchemaOrArray(def) | Kind::SchemaOrStringArray(def),
            Payload::Bytes(bytes),
        ) => read_schema_union(kind, def, bytes, depth)?,
        (Kind::StringItems, Payload::Bytes(bytes)) => {
            let mut items = Vec::new();
            let mut reader = Reader::new(bytes);
            while let Some((number, payload)) = reader.field()? {
                if let (1, Payload::Bytes(item)) = (number, payload) {
                    items.push(Value::Str(text(item)));
                }
            }
            Value::List(items)
        }
        (_, Payload::Bytes(bytes)) => read_special(kind, bytes)?,
        (_, payload) => {
            let message = format!("proto: wrong wireType = {} for field", payload.wire_type());
            return Err(DecodeError::Malformed(message));
        }
    })
}

fn read_merged(def: &StructRef, old: Option<Value>, bytes: &[u8], depth: usize) -> Result<Struct, DecodeError> {
    let mut target = match old {
        Some(Value::Struct(target)) => target,
        _ => Struct::new(def),
    };
    read_struct(&mut target, bytes, depth + 1)?;
    Ok(target)
}

fn read_special(kind: &Kind, bytes: &[u8]) -> Result<Value, DecodeError> {
    let (mut numbers, mut bytes_of) = ([0u64; 4], [None; 4]);
    let mut reader = Reader::new(bytes);
    while let Some((number, payload)) = reader.field()? {
        let at = number.min(3) as usize;
        match payload {
            Payload::Varint(value) => numbers[at] = value,
            Payload::Bytes(value) => bytes_of[at] = Some(value),
            _ => {}
        }
    }
    let at = Instant { seconds: numbers[1] as i64, nanos: numbers[2] as u32 };
    let first = bytes_of[1].unwrap_or_default();
    Ok(match kind {
        Kind::Time | Kind::MicroTime if bytes.is_empty() || at.is_zero() => Value::Null,
        Kind::Time => Value::from(format_time(at)),
        Kind::MicroTime => Value::from(format_micro_time(at)),
        Kind::Duration => Value::from(duration::format(numbers[1] as i64)),
        Kind::Quantity => {
            let text = String::from_utf8_lossy(first);
            // A quantity of no text is zero.
            let text = if text.is_empty() { "0" } else { &text };
            Value::from(quantity::canonical(text).map_err(|error| DecodeError::Malformed(error.to_string()))?)
        }
        Kind::IntOrString if numbers[1] == 1 => Value::Str(text(bytes_of[3].unwrap_or_default())),
        Kind::IntOrString => Value::Int((numbers[2] as i32).into()),
        Kind::Raw => bytes_of[1].map_or(Value::Null, |raw| Value::Bytes(raw.into())),
        _ => Value::Null,
    })
}

fn read_schema_union(kind: &Kind, def: &StructRef, bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
    let (mut schema, mut items, mut allows) = (None, Vec::new(), false);
    let mut reader = Reader::new(bytes);
    while let Some((number, payload)) = reader.field()? {
        match (kind, number, payload) {
            (Kind::SchemaOrBool(_), 1, Payload::Varint(number)) => allows = number != 0,
            (Kind::SchemaOrBool(_), 2, Payload::Bytes(bytes)) => schema = Some(read_merged(def, None, bytes, depth)?),
            (Kind::SchemaOrStringArray(_), 2, Payload::Bytes(bytes)) => items.push(Value::Str(text(bytes))),
            (_, 1, Payload::Bytes(bytes)) => schema = Some(read_merged(def, None, bytes, depth)?),
            (_, 2, Payload::Bytes(bytes)) => items.push(Value::Struct(read_merged(def, None, bytes, depth)?)),
            _ => {}
        }
    }
    Ok(match (schema, kind) {
        (Some(schema), _) => Value::Struct(schema),
        (None, Kind::SchemaOrBool(_)) => Value::Bool(allows),
        (None, _) => Value::List(items),
    })
}

/// What a map's value is when the entry carries none.
fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => Value::Bool(false),
        Kind::Int32 | Kind::Int64 | Kind::IntOrString => Value::Int(0),
        Kind::Float64 => Value::Float(0.0),
        Kind::Bytes => Value::Bytes(Box::default()),
        Kind::Struct(def) => Value::Struct(Struct::new(def)),
        Kind::Quantity => Value::from("0"),
        Kind::StringItems => Value::List(Vec::new()),
        _ => Value::from(""),
    }
}

fn text(bytes: &[u8]) -> Text {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned().into(),
    }
}
