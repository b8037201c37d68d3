//! YAML to objects and back, as Go's YAML 1.1 reads and writes it.
//!
//! In: the first document, made into JSON with sorted keys and read by the JSON codec. Out: JSON made into YAML. A text
//! goes reader -> scanner (scalars, tags) -> parser -> decode; emit goes the other way. Not here: what objects are.

mod decode;
mod emit;
mod error;
mod parser;
mod reader;
mod resolve;
mod scalars;
mod scanner;
mod style;
mod tags;
#[cfg(test)]
mod tests;

use error::YamlError;

use super::{DecodeError, Decoded, StrictError, decode_json, encode_json};
use crate::api::schema::{kinds::Schema, object::Object, tables::Gvk};

impl From<YamlError> for DecodeError {
    fn from(error: YamlError) -> DecodeError {
        DecodeError::Malformed(error.text)
    }
}

/// The first document of a text in JSON, and the keys that came twice in a map, of which the last was taken.
pub struct YamlAsJson {
    pub json: Vec<u8>,
    pub repeated: Option<StrictError>,
}

pub fn yaml_to_json(text: &[u8]) -> Result<YamlAsJson, DecodeError> {
    let Some(document) = parser::document(text)? else {
        return Ok(YamlAsJson { json: b"null".to_vec(), repeated: None });
    };
    let read = decode::json(&document)?;
    let repeated = (!read.repeated.is_empty()).then_some(StrictError::RepeatedKeys(read.repeated));
    Ok(YamlAsJson { json: read.text, repeated })
}

/// Reads the first document.
pub fn decode_yaml(schema: &Schema, bytes: &[u8], default: Option<&Gvk>) -> Result<Decoded, DecodeError> {
    let read = yaml_to_json(bytes)?;
    let mut decoded = decode_json(schema, &read.json, default)?;
    if let Some(repeated) = read.repeated {
        decoded.warnings.insert(0, repeated);
    }
    Ok(decoded)
}

/// YAML with sorted keys, as kube-apiserver answers it.
pub fn encode_yaml(object: &Object, out: &mut Vec<u8>) {
    let mut json = Vec::new();
    encode_json(object, &mut json);
    json_to_yaml(&json, out);
}

/// Any JSON as YAML; what is no JSON gives nothing.
pub fn json_to_yaml(json: &[u8], out: &mut Vec<u8>) {
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(json) {
        emit::document(&value, out);
    }
}
