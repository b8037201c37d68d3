//! The body of a request as an object.
//!
//! In: bytes, their media type, and the kind that the endpoint expects. Out: that object, of the version that the client
//! wrote and defaulted, with what strict decoding found; or the 400 of the real server. Not here: reading the body.

use bytes::Bytes;

use super::options::FieldValidation;
use crate::{
    api::schema::{DecodeError, Object, Schema, StrictError, Type, Value, apply_defaults, codec},
    request::{Warnings, negotiate::MediaType, status::ApiError},
};

/// Decodes a body that should be of `kind` (any version of the group that the endpoint accepts is that one here).
pub(super) fn decode(
    schema: &Schema,
    kind: &Type,
    media: MediaType,
    body: &Bytes,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<Object, ApiError> {
    let decoded = match media {
        MediaType::Json => codec::decode_json(schema, body, Some(&kind.gvk)),
        MediaType::Yaml => codec::decode_yaml(schema, body, Some(&kind.gvk)),
        MediaType::Protobuf => codec::decode_protobuf(schema, body, Some(&kind.gvk)),
    };
    let decoded = decoded.map_err(|error| ApiError::bad_request(error.refusal(&kind.gvk.kind, body)))?;
    let mut object = decoded.object;
    check_kind(&object, kind)?;
    heed_strict_errors(&decoded.warnings, kind, validation, warnings)?;
    apply_defaults(&mut object);
    Ok(object)
}

/// Strict errors refuse the request, become warnings, or nothing.
fn heed_strict_errors(
    found: &[StrictError],
    kind: &Type,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<(), ApiError> {
    match validation {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => found.iter().flat_map(StrictError::warnings).for_each(|text| warnings.add(text)),
        FieldValidation::Strict if found.is_empty() => {}
        FieldValidation::Strict => {
            let (gvk, text) = (&kind.gvk, codec::strict_message(found));
            return Err(ApiError::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: {text}",
                gvk.kind, gvk.version, gvk.kind
            )));
        }
    }
    Ok(())
}

/// A known kind that is not the endpoint's.
fn check_kind(object: &Object, kind: &Type) -> Result<(), ApiError> {
    let (found, wanted) = (object.gvk(), &kind.gvk);
    if found == wanted {
        return Ok(());
    }
    if found.kind == wanted.kind && found.group == wanted.group {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            found.api_version(),
            wanted.api_version()
        )));
    }
    Err(ApiError::bad_request(format!(
        "{} in version \"{}\" cannot be handled as a {}: {}",
        found.kind,
        found.version,
        wanted.kind,
        conversion_error(object, kind)
    )))
}

/// `converting (v1.Secret) to (core.ConfigMap): unknown conversion`
pub(super) fn conversion_error(object: &Object, kind: &Type) -> String {
    let package = match kind.gvk.group.split('.').next() {
        None | Some("") => "core",
        Some(first) => first,
    };
    let found = object.gvk();
    format!("converting ({}.{}) to ({package}.{}): unknown conversion", found.version, found.kind, kind.gvk.kind)
}

/// What Go's parser says of text that is no JSON.
pub(super) fn json_complaint(body: &[u8], error: &serde_json::Error) -> String {
    let any = crate::api::schema::Gvk::from_static("", "v1", "ConfigMap");
    match codec::decode_json(&Schema::builtin(), body, Some(&any)) {
        Err(DecodeError::Syntax(text)) => text,
        _ => error.to_string(),
    }
}

/// Owners that are named twice count once, with a warning.
pub(super) fn merge_owner_references(object: &mut Object, warnings: &Warnings) {
    let Some(Value::List(items)) = object.get_mut(&["metadata", "ownerReferences"]) else { return };
    let mut kept: Vec<Value> = Vec::with_capacity(items.len());
    let mut repeated = Vec::new();
    for item in items.drain(..) {
        if kept.contains(&item) {
            repeated.push(item.child("uid").and_then(Value::as_str).unwrap_or_default().to_owned());
        } else {
            kept.push(item);
        }
    }
    *items = kept;
    if !repeated.is_empty() {
        warnings.add(format!("{REPEATED_OWNERS}; duplicate UID(s) observed: {}", repeated.join(", ")));
    }
}

const REPEATED_OWNERS: &str = ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests";
