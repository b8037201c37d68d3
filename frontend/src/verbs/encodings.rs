//! Encodings of cached objects, made once and shared by everyone who asks for the same.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    api::schema::{
        Object, Type,
        codec::{self, Named},
        stored::Stored,
    },
    cluster::Target,
    request::status::ApiError,
    store::{
        Entry,
        cache::{Budget, EncodingId},
    },
};

/// What is kept of an entry or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Form {
    /// JSON without kind and apiVersion: an item of a list.
    Item = 0,
    Added = 1,
    Modified = 2,
    Deleted = 3,
    AddedProtobuf = 4,
    ModifiedProtobuf = 5,
    DeletedProtobuf = 6,
}

/// The number of a form in one version of a kind, as its schema is now.
pub(super) fn id(kind: &Type, form: Form) -> EncodingId {
    EncodingId(u64::from(kind.number) << 3 | form as u64)
}

/// What a view shows.
pub(super) fn object(target: &Target, view: &Entry) -> Result<Object, ApiError> {
    target.decode_view(view)
}

/// A view as an item of a JSON list. Items of built-in kinds do not name their kind.
pub(super) fn item(target: &Target, view: &Entry, budget: &Arc<Budget>) -> Result<Bytes, ApiError> {
    view.encoding(id(&target.kind, Form::Item), budget, |view| json(target, view, Named::Nothing).map(Bytes::from))
}

/// JSON of a view, without a newline at its end.
pub(super) fn json(target: &Target, view: &Entry, named: Named) -> Result<Vec<u8>, ApiError> {
    match view.is_converted() {
        true => Ok(json_of_object(target, object(target, view)?, named)),
        false => json_of_stored(target, view.value(), view.mod_revision(), named),
    }
}

/// The same of what the store holds: in one pass over its bytes where that shows what decoding would.
pub(super) fn json_of_stored(target: &Target, bytes: &[u8], revision: i64, named: Named) -> Result<Vec<u8>, ApiError> {
    let shown = revision_text(revision);
    // Names of fields make JSON longer than what is stored.
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let stored = Stored::read(&target.kind, bytes, &shown);
    if stored.and_then(|stored| stored.json(named, &mut out)).is_some() {
        return Ok(out);
    }
    Ok(json_of_object(target, target.decode_bytes(bytes, revision)?, named))
}

fn json_of_object(target: &Target, mut object: Object, named: Named) -> Vec<u8> {
    if named == Named::Nothing && !target.resource.custom {
        object.remove(&["kind"]);
        object.remove(&["apiVersion"]);
    }
    let mut out = Vec::new();
    codec::encode_json(&object, &mut out);
    out
}

/// Protobuf of a view.
pub(super) fn protobuf(target: &Target, view: &Entry) -> Result<Bytes, ApiError> {
    match view.is_converted() {
        true => Ok(codec::encode_protobuf(&object(target, view)?)),
        false => protobuf_of_stored(target, view.value(), view.mod_revision()),
    }
}

/// The same of what the store holds.
pub(super) fn protobuf_of_stored(target: &Target, bytes: &[u8], revision: i64) -> Result<Bytes, ApiError> {
    let shown = revision_text(revision);
    let Some(spliced) = Stored::read(&target.kind, bytes, &shown).and_then(|stored| stored.protobuf()) else {
        return Ok(codec::encode_protobuf(&target.decode_bytes(bytes, revision)?));
    };
    let (mut out, tail) = codec::protobuf_envelope(&target.kind.gvk, spliced.length());
    out.reserve_exact(spliced.length() + tail.len());
    spliced.append(&mut out);
    out.extend_from_slice(tail);
    Ok(out.into())
}

/// A dry run has no revision.
fn revision_text(revision: i64) -> String {
    if revision > 0 { revision.to_string() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::api::schema::Schema;

    #[test]
    fn every_form_of_every_kind_has_a_number_of_its_own() {
        let forms = [
            Form::Item,
            Form::Added,
            Form::Modified,
            Form::Deleted,
            Form::AddedProtobuf,
            Form::ModifiedProtobuf,
            Form::DeletedProtobuf,
        ];
        let schema = Schema::builtin();
        let ids = schema.kinds().flat_map(|kind| forms.map(|form| id(kind, form)));
        let distinct: HashSet<EncodingId> = ids.collect();
        assert_eq!(distinct.len(), schema.kinds().count() * forms.len());
    }
}
