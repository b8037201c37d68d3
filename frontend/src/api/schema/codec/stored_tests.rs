//! One pass over stored bytes shows what decoding and encoding show, for objects of every kind with random content.

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::api::schema::{
    tables::{Field, Kind, Shape, StructRef},
    value::{MapValue, Struct, Value},
};

const DEPTH_MAX: usize = 6;

fn text(random: &mut StdRng) -> Value {
    let texts = ["", "a", "a <b> & \"c\"\n", "\u{2028} grün", "web"];
    Value::from(texts[random.random_range(0..texts.len())])
}

/// None for kinds that are left to the decoder.
fn one(random: &mut StdRng, kind: &Kind, depth: usize) -> Option<Value> {
    let number = [0, 1, -7, 80, 1 << 30][random.random_range(0..5)];
    Some(match kind {
        Kind::Bool => Value::Bool(random.random()),
        Kind::Int32 | Kind::Int64 => Value::Int(number),
        Kind::Float64 => Value::Float([0.0, 1.5, -2e21][random.random_range(0..3)]),
        Kind::Str => text(random),
        Kind::Bytes => Value::Bytes([&b""[..], b"\x00\xff"][random.random_range(0..2)].into()),
        Kind::Time => Value::from("2026-01-02T03:04:05Z"),
        Kind::MicroTime => Value::from("2026-01-02T03:04:05.000600Z"),
        Kind::Duration => Value::from("1m30s"),
        Kind::Quantity => Value::from(["0", "100m", "1Gi", "1e3"][random.random_range(0..4)]),
        Kind::IntOrString if random.random() => text(random),
        Kind::IntOrString => Value::Int(number),
        Kind::Raw => Value::Bytes((*br#"{"f:a": {"k":"<"} }"#).into()),
        Kind::StringItems => Value::List((0..random.random_range(0..3)).map(|_| text(random)).collect()),
        Kind::Struct(def) => Value::Struct(filled(random, def, depth + 1)),
        _ => return None,
    })
}

fn field(random: &mut StdRng, field: &Field, depth: usize) -> Option<Value> {
    let count = random.random_range(0..3);
    match field.shape {
        Shape::One => one(random, &field.kind, depth),
        Shape::List => {
            (0..=count).map(|_| one(random, &field.kind, depth)).collect::<Option<Vec<_>>>().map(Value::List)
        }
        Shape::Map => {
            let entry = |n| Some((format!("key-{n}").as_str().into(), one(random, &field.kind, depth)?));
            Some(MapValue::from_entries((0..=count).map(entry).collect::<Option<_>>()?).into())
        }
    }
}

fn filled(random: &mut StdRng, def: &StructRef, depth: usize) -> Struct {
    let mut new = Struct::new(def);
    let (def, slots) = new.parts_mut();
    for (slot, of) in slots.iter_mut().zip(def.fields.iter()) {
        if depth < DEPTH_MAX && random.random_range(0..10) < 4 {
            *slot = field(random, of, depth);
        }
    }
    new
}

#[test]
fn one_pass_shows_what_decoding_shows() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let schema = Schema::builtin();
    let (mut shown, mut left) = (0, 0);
    for _ in 0..4 {
        for kind in schema.kinds().filter(|kind| kind.root.field("metadata").is_some()) {
            let object = Object::from_root(kind, filled(&mut random, &kind.root, 0));
            let stored = encode_stored(&object, kind, StorageEncoding::Protobuf);
            let mut decoded = decode_stored(&schema, &stored).unwrap();
            decoded.set_resource_version("77");
            let (mut expected, mut json) = (Vec::new(), Vec::new());
            encode_json(&decoded, &mut expected);
            let raw = message_of(&kind.gvk, &stored).unwrap();
            let written = Message::read(&kind.root, raw)
                .and_then(|message| write_stored_json(&mut json, kind, &message, "77", Named::Kind));
            match written {
                None => left += 1,
                Some(()) => {
                    shown += 1;
                    assert_eq!(
                        String::from_utf8(json).unwrap(),
                        String::from_utf8(expected).unwrap(),
                        "{:?}",
                        kind.gvk
                    );
                }
            }
            // What encoding would write otherwise than it was stored (a text of a union that is empty) stays as it is.
            let mut same = decoded.clone();
            same.set_resource_version("");
            let is_kept = encode_protobuf(&same) == stored;
            if let Some(spliced) = splice(raw, "77").filter(|_| is_kept) {
                let (mut bytes, tail) = protobuf_envelope(&kind.gvk, spliced.length());
                spliced.append(&mut bytes);
                bytes.extend_from_slice(tail);
                assert_eq!(Bytes::from(bytes), encode_protobuf(&decoded), "{:?}", kind.gvk);
            }
        }
    }
    assert!(shown > 20 * left, "{shown} shown, {left} left to the decoder");
}

#[test]
fn what_decoding_would_change_is_left_to_it() {
    let schema = Schema::builtin();
    let kind = schema.kind("", "v1", "ConfigMap").unwrap();
    let read = |raw: &[u8]| {
        let message = Message::read(&kind.root, raw)?;
        write_stored_json(&mut Vec::new(), &kind, &message, "1", Named::Kind)
    };
    let cases: [(&[u8], &str); 6] = [
        (b"\x0a\x00\x9a\x06\x00", "a field that no table knows"),
        (b"\x0a\x00\x0a\x00", "a singular field twice"),
        (b"\x0a\x03\x0a\x01\xff", "text that is no UTF-8"),
        (b"\x0a\x00\x12\x06\x0a\x01b\x12\x01x\x12\x06\x0a\x01a\x12\x01x", "a map in another order"),
        (b"\x0a\x05", "bytes that end too early"),
        (b"\x0a\x00\x20\x01\x12", "a tag at the end"),
    ];
    assert!(read(b"\x0a\x00\x12\x06\x0a\x01b\x12\x01x").is_some());
    for (raw, why) in cases {
        assert!(read(raw).is_none(), "{why}");
    }
}
