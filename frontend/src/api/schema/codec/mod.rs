//! Bytes to objects and back: JSON, YAML and protobuf, byte for byte as kube-apiserver reads and writes them. Not here:
//! which encoding a client wants (content negotiation), defaulting, conversion.

mod from_free;
mod go_types;
mod json_custom;
mod json_decode;
mod json_decoder;
mod json_encode;
mod json_kind;
mod json_special;
mod json_text;
mod message;
mod outcome;
mod proto_decode;
mod proto_encode;
mod stored_json;
mod stored_protobuf;
#[cfg(test)]
mod stored_tests;
#[cfg(test)]
mod tests;
mod wire;
mod yaml;

use bytes::Bytes;

pub use from_free::object_of_free;
pub use json_decode::{decode_json, decode_json_as};
pub use json_decoder::{decode_free, decode_free_strict, decode_struct_json};
pub use json_encode::{encode_free, encode_json, encode_struct_json, indent};
pub use json_kind::{Until, find_kind};
pub use json_text::{object_fault, write_float};
pub use message::Message;
use outcome::effective_gvk;
pub use outcome::{DecodeError, Decoded, StrictError, strict_message};
pub use proto_decode::{decode_message, decode_protobuf};
pub use proto_encode::{encode_protobuf, encode_protobuf_message};
pub use stored_json::Named;
pub use stored_protobuf::{Spliced, put_head, varint_len};
pub use yaml::{YamlAsJson, decode_yaml, encode_yaml, json_to_yaml, yaml_to_json};

use super::{
    kinds::Schema,
    object::Object,
    tables::{Gvk, Type},
};

/// Reads what the store holds, whichever encoding it is in; the stored kind may differ from the served one.
pub fn decode_stored(schema: &Schema, bytes: &[u8]) -> Result<Object, DecodeError> {
    let decoded = match bytes.first() {
        Some(b'{') => decode_json(schema, bytes, None),
        _ => decode_protobuf(schema, bytes, None),
    }?;
    Ok(decoded.object)
}

/// The message of a stored object, if it is one of this kind in protobuf.
pub fn message_of<'a>(gvk: &Gvk, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let envelope = proto_decode::read_envelope(bytes).ok()?;
    let is_it = envelope.kind == gvk.kind && envelope.api_version == gvk.api_version();
    (is_it && envelope.content_type.is_empty()).then_some(envelope.raw)
}

/// Appends the JSON of a stored message at a revision; None where it has to be decoded for that.
pub fn write_stored_json(
    out: &mut Vec<u8>,
    kind: &Type,
    message: &Message<'_>,
    revision: &str,
    named: Named,
) -> Option<()> {
    stored_json::write(out, kind, message, revision, named)
}

/// A stored message with its revision in it.
pub fn splice<'a>(raw: &'a [u8], revision: &'a str) -> Option<Spliced<'a>> {
    Spliced::new(raw, revision)
}

/// The bytes in front of a message and behind it that make it an object of this kind, for a message of this length.
pub fn protobuf_envelope(gvk: &Gvk, message_len: usize) -> (Vec<u8>, &'static [u8]) {
    proto_encode::envelope(gvk, message_len)
}

/// How a resource is kept in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageEncoding {
    Protobuf,
    /// Ends in a newline.
    Json,
}

/// The bytes kube-apiserver would store: of `kind` (the storage version), in `encoding`, without resourceVersion.
pub fn encode_stored(object: &Object, kind: &Type, encoding: StorageEncoding) -> Bytes {
    let mut object = super::convert::convert(object, kind);
    object.set_resource_version("");
    match encoding {
        StorageEncoding::Protobuf => encode_protobuf(&object),
        StorageEncoding::Json => {
            let mut out = Vec::new();
            encode_json(&object, &mut out);
            out.push(b'\n');
            out.into()
        }
    }
}

/// JSON, indented as kube-apiserver's `pretty=true`.
pub fn encode_json_pretty(object: &Object, out: &mut Vec<u8>) {
    let mut compact = Vec::new();
    encode_json(object, &mut compact);
    json_encode::indent(&compact, out);
}
