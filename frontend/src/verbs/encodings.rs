//! Encodings of cached objects, made once and shared by everyone who asks for the same.

use std::{cell::RefCell, sync::Arc};

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
    view.encoding(id(&target.kind, Form::Item), budget, |view| {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            write_json(scratch, target, view, Named::Nothing)?;
            // What is kept takes no more than it needs.
            let item = Bytes::copy_from_slice(scratch);
            scratch.shrink_to(SCRATCH_MAX);
            Ok(item)
        })
    })
}

thread_local! {
    /// Where items are written whose length is not known before.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a thread keeps of it, in bytes.
const SCRATCH_MAX: usize = 256 * 1024;

/// JSON of a view, without a newline at its end.
pub(super) fn json(target: &Target, view: &Entry, named: Named) -> Result<Vec<u8>, ApiError> {
    let mut out = json_buffer(view.value());
    write_json(&mut out, target, view, named)?;
    Ok(out)
}

/// The same of what the store holds.
pub(super) fn json_of_stored(target: &Target, bytes: &[u8], revision: i64, named: Named) -> Result<Vec<u8>, ApiError> {
    let mut out = json_buffer(bytes);
    write_stored(&mut out, target, bytes, revision, named)?;
    Ok(out)
}

/// Names of fields make JSON longer than what is stored.
fn json_buffer(stored: &[u8]) -> Vec<u8> {
    Vec::with_capacity(stored.len() * 2)
}

fn write_json(out: &mut Vec<u8>, target: &Target, view: &Entry, named: Named) -> Result<(), ApiError> {
    if view.is_converted() {
        write_object(out, target, object(target, view)?, named);
        return Ok(());
    }
    write_stored(out, target, view.value(), view.mod_revision(), named)
}

/// In one pass over the stored bytes where that shows what decoding would.
fn write_stored(out: &mut Vec<u8>, target: &Target, bytes: &[u8], revision: i64, named: Named) -> Result<(), ApiError> {
    let shown = revision_text(revision);
    let start = out.len();
    let stored = Stored::read(&target.kind, bytes, &shown);
    if stored.and_then(|stored| stored.json(named, out)).is_none() {
        out.truncate(start);
        write_object(out, target, target.decode_bytes(bytes, revision)?, named);
    }
    Ok(())
}

fn write_object(out: &mut Vec<u8>, target: &Target, mut object: Object, named: Named) {
    if named == Named::Nothing && !target.resource.custom {
        object.remove(&["kind"]);
        object.remove(&["apiVersion"]);
    }
    codec::encode_json(&object, out);
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
