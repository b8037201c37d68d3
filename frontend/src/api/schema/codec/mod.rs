//! Bytes to objects and back: JSON, YAML and protobuf, byte for byte as kube-apiserver reads and writes them. Not here:
//! which encoding a client wants (content negotiation), defaulting, conversion.

mod from_free;
mod go_types;
mod json_custom;
mod json_decode;
mod json_encode;
mod json_kind;
mod json_special;
mod json_text;
mod proto_decode;
mod proto_encode;
#[cfg(test)]
mod tests;
mod wire;
mod yaml;

use bytes::Bytes;

pub use from_free::object_of_free;
pub use json_custom::decode_struct_json;
pub use json_decode::{decode_free, decode_free_strict, decode_json, decode_json_as};
pub use json_encode::{encode_free, encode_json, encode_struct_json, indent};
pub use json_kind::{Until, find_kind};
pub use json_text::object_fault;
pub use proto_decode::{decode_message, decode_protobuf};
pub use proto_encode::{encode_protobuf, encode_protobuf_message, encode_struct_protobuf};
pub use yaml::{YamlAsJson, decode_yaml, encode_yaml, json_to_yaml, yaml_to_json};

use super::{
    kinds::Schema,
    object::Object,
    tables::{Gvk, Type},
};
use crate::request::status::go_quote;

/// In front of every protobuf object.
const ENVELOPE_MAGIC: &[u8] = b"k8s\0";

/// What was read, and what strict field validation would refuse.
#[derive(Debug)]
pub struct Decoded {
    pub object: Object,
    /// In the order in which kube-apiserver names them.
    pub warnings: Vec<StrictError>,
}

/// A field that was ignored. Prints as kube-apiserver's strict errors: `unknown field "spec.x"`,
/// `duplicate field "spec.y"`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrictError {
    #[error("unknown field {}", go_quote(.0))]
    UnknownField(String),
    #[error("duplicate field {}", go_quote(.0))]
    DuplicateField(String),
    /// Keys that came twice in maps of a YAML text, a line each.
    #[error("yaml: unmarshal errors:\n  {}", .0.join("\n  "))]
    RepeatedKeys(Vec<String>),
}

impl StrictError {
    /// The texts of the warnings that this is where it refuses nothing.
    pub fn warnings(&self) -> Vec<String> {
        match self {
            StrictError::RepeatedKeys(lines) => lines.clone(),
            other => vec![other.to_string()],
        }
    }
}

/// Why bytes are not an object. The texts are kube-apiserver's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No JSON: found before the kind is known.
    #[error("couldn't get version/kind; json parse error: {0}")]
    Syntax(String),
    /// No YAML, no protobuf, or nothing that could be read as an object.
    #[error("{0}")]
    Malformed(String),
    /// A value of the wrong type in an object of this kind.
    #[error("{message}")]
    Invalid { gvk: Gvk, message: String },
    #[error(
        "no kind \"{}\" is registered for version \"{}\" in scheme \"pkg/runtime/scheme.go:111\"",
        .0.kind, .0.api_version()
    )]
    UnknownKind(Gvk),
    #[error("Object 'Kind' is missing in '{0}'")]
    MissingKind(String),
    #[error("Object 'apiVersion' is missing in '{0}'")]
    MissingVersion(String),
}

impl DecodeError {
    fn of_kind(self, gvk: &Gvk) -> DecodeError {
        match self {
            DecodeError::Malformed(message) => DecodeError::Invalid { gvk: gvk.clone(), message },
            other => other,
        }
    }

    /// The message of the 400 that kube-apiserver answers where it expected `kind`.
    pub fn refusal(&self, kind: &str, body: &[u8]) -> String {
        let gvk = match self {
            DecodeError::Invalid { gvk, .. } | DecodeError::UnknownKind(gvk) => gvk,
            _ => {
                let summary = summary(body);
                return format!("the object provided is unrecognized (must be of type {kind}): {self} ({summary})");
            }
        };
        format!("{} in version {:?} cannot be handled as a {kind}: {self}", gvk.kind, gvk.version)
    }
}

/// The beginning of a body, as text when it may be JSON.
fn summary(body: &[u8]) -> String {
    const LENGTH_MAX: usize = 30;
    let head = &body[..body.len().min(LENGTH_MAX)];
    let shown = match body.first() {
        None => return "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(head).into_owned(),
        Some(_) => head.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if body.len() > LENGTH_MAX { shown + " ..." } else { shown }
}

/// The strict errors as kube-apiserver joins them: `strict decoding error: unknown field "spec.x", ...`.
pub fn strict_message(warnings: &[StrictError]) -> String {
    let texts: Vec<String> = warnings.iter().map(StrictError::to_string).collect();
    format!("strict decoding error: {}", texts.join(", "))
}

/// What the bytes say, completed by what the request expects.
fn effective_gvk(api_version: &str, kind: &str, default: Option<&Gvk>, bytes: &[u8]) -> Result<Gvk, DecodeError> {
    let Some((group, version)) = Gvk::split_api_version(api_version) else {
        return Err(DecodeError::Malformed(format!("unexpected GroupVersion string: {api_version}")));
    };
    let mut gvk = Gvk::new(group, version, kind);
    if let Some(default) = default {
        if kind.is_empty() {
            gvk.kind = default.kind.clone();
        }
        if version.is_empty() && (group.is_empty() || group == default.group) {
            gvk.group = default.group.clone();
            gvk.version = default.version.clone();
        }
    }
    let text = || String::from_utf8_lossy(bytes).into_owned();
    match (gvk.kind.is_empty(), gvk.version.is_empty()) {
        (true, _) => Err(DecodeError::MissingKind(text())),
        (_, true) => Err(DecodeError::MissingVersion(text())),
        _ => Ok(gvk),
    }
}

/// Reads what the store holds, whichever encoding it is in; the stored kind may differ from the served one.
pub fn decode_stored(schema: &Schema, bytes: &[u8]) -> Result<Object, DecodeError> {
    let decoded = match bytes.first() {
        Some(b'{') => decode_json(schema, bytes, None),
        _ => decode_protobuf(schema, bytes, None),
    }?;
    Ok(decoded.object)
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
