//! The body of a request as an object.
//!
//! In: bytes, their media type, and the kind that the endpoint expects. Out: that object, of the version that the
//! client wrote and defaulted, with what strict decoding found; or the 400 of the real server. Not here: reading the
//! body.

use bytes::Bytes;

use super::options::{FieldValidation, WriteOptions};
use crate::{
    api::schema::{DecodeError, Object, Schema, StrictError, Type, Value, apply_defaults, codec},
    cluster::Target,
    object::strategy,
    request::{
        Notes, Warnings,
        negotiate::MediaType,
        status::{ApiError, FieldError},
    },
};

/// A body as the object that a write takes.
pub(super) fn object(
    target: &Target,
    media: MediaType,
    body: &Bytes,
    options: &WriteOptions,
    notes: &Notes,
) -> Result<Object, ApiError> {
    decode(&target.api.schema, &target.kind, media, body, options.field_validation, &notes.warnings)
}

/// Decodes a body that should be of `kind` (any version of the group that the endpoint accepts is that one here).
pub(super) fn decode(
    schema: &Schema,
    kind: &Type,
    media: MediaType,
    body: &Bytes,
    validation: FieldValidation,
    warnings: &Warnings,
) -> Result<Object, ApiError> {
    if kind.custom.is_some() {
        check_custom(kind, media, body)?;
    }
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
    strategy::settle(&mut object).map_err(|why| ApiError::bad_request(unhandled(kind, &why)))?;
    Ok(object)
}

fn unhandled(kind: &Type, why: &str) -> String {
    let gvk = &kind.gvk;
    format!("{} in version \"{}\" cannot be handled as a {}: {why}", gvk.kind, gvk.version, gvk.kind)
}

/// A custom resource may say that it is of any kind, and is refused with an object that cannot be; its version counts
/// first.
fn check_custom(kind: &Type, media: MediaType, body: &Bytes) -> Result<(), ApiError> {
    let refuse = |error: DecodeError| ApiError::bad_request(error.refusal(&kind.gvk.kind, body));
    let json = match media {
        MediaType::Yaml => Bytes::from(codec::yaml_to_json(body).map_err(refuse)?.json),
        _ => body.clone(),
    };
    let (api_version, found) = codec::find_kind(&json, codec::Until::End).map_err(refuse)?;
    if found.is_empty() {
        return Err(refuse(DecodeError::MissingKind(String::from_utf8_lossy(&json).into_owned())));
    }
    let wanted = kind.gvk.api_version();
    if api_version != wanted {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({wanted})"
        )));
    }
    if found != kind.gvk.kind {
        let object = codec::decode_json_as(kind, &json).map_err(refuse)?.object;
        return Err(other_type(kind, &api_version, &found, object.name()));
    }
    Ok(())
}

/// The refusal of a custom resource that says it is of another kind or version.
fn other_type(kind: &Type, api_version: &str, found: &str, name: &str) -> ApiError {
    let mut errors = Vec::new();
    if found != kind.gvk.kind {
        errors.push(FieldError::invalid("kind", found, format!("must be {}", kind.gvk.kind)));
    }
    let wanted = kind.gvk.api_version();
    if api_version != wanted {
        errors.push(FieldError::invalid("apiVersion", api_version, format!("must be {wanted}")));
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    ApiError::invalid(group, found, name, errors)
}

/// What a patch has made of a custom resource must be of its kind still.
pub(super) fn check_patched(kind: &Type, json: &str) -> Result<(), ApiError> {
    let refuse = |error: DecodeError| ApiError::bad_request(error.to_string());
    let (api_version, found) = codec::find_kind(json.as_bytes(), codec::Until::End).map_err(refuse)?;
    if found == kind.gvk.kind && api_version == kind.gvk.api_version() {
        return Ok(());
    }
    if found.is_empty() {
        let missing = format!("Object 'Kind' is missing in '{json}'");
        return Err(ApiError::invalid("", "", "", vec![FieldError::invalid("patch", json, missing)]));
    }
    let object = codec::decode_json_as(kind, json.as_bytes()).map_err(refuse)?.object;
    Err(other_type(kind, &api_version, &found, object.name()))
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
            return Err(ApiError::bad_request(unhandled(kind, &codec::strict_message(found))));
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
pub(super) fn json_error(body: &[u8], error: &serde_json::Error) -> String {
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
