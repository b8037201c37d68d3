//! JSON to objects: the kind is found first, then the bytes are read by its tables.

use super::{
    DecodeError, Decoded, StrictError,
    json_decoder::Decoder,
    json_kind::{Until, find_kind},
};
use crate::api::schema::{
    kinds::Schema,
    object::Object,
    tables::{Gvk, Type},
    value::Struct,
};

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads JSON. kind and apiVersion that are missing are taken from `default`.
pub fn decode_json(schema: &Schema, bytes: &[u8], default: Option<&Gvk>) -> Result<Decoded> {
    let typed = |until| {
        let (api_version, kind) = find_kind(bytes, until)?;
        let gvk = super::effective_gvk(&api_version, &kind, default, bytes)?;
        schema.of(&gvk).ok_or(DecodeError::UnknownKind(gvk))
    };
    let first = match typed(Until::Both) {
        Err(DecodeError::UnknownKind(_)) => typed(Until::End)?,
        first => first?,
    };
    let decoded = decode_json_as(&first, bytes)?;
    let names_twice = |error: &StrictError| match error {
        StrictError::DuplicateField(path) => matches!(path.as_str(), "kind" | "apiVersion"),
        _ => false,
    };
    if !decoded.warnings.iter().any(names_twice) {
        return Ok(decoded);
    }
    let last = typed(Until::End)?;
    if last.gvk == first.gvk { Ok(decoded) } else { decode_json_as(&last, bytes) }
}

/// Reads JSON as a known kind, whatever kind it says it is.
pub fn decode_json_as(kind: &Type, bytes: &[u8]) -> Result<Decoded> {
    if kind.custom.is_some() {
        return super::json_custom::decode(kind, bytes).map_err(|error| error.of_kind(&kind.gvk));
    }
    let mut decoder = Decoder::new(bytes);
    let mut root = Struct::new(&kind.root);
    let read = decoder.root(&mut root, &kind.root);
    let refused = match (read, decoder.type_error) {
        (Err(error), _) => Some(error),
        (Ok(()), Some(message)) => Some(DecodeError::Malformed(message)),
        (Ok(()), None) => None,
    };
    match refused {
        Some(error) => Err(error.of_kind(&kind.gvk)),
        None => Ok(Decoded { object: Object::from_root(kind, root), warnings: decoder.strict }),
    }
}
