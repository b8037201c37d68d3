//! Encodings of cached objects, made once and shared by everyone who asks for the same.

use bytes::Bytes;

use crate::{
    api::schema::{Object, Type, codec},
    cluster::Target,
    request::status::ApiError,
    store::{Entry, cache::EncodingId},
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
pub(super) fn item(target: &Target, view: &Entry) -> Result<Bytes, ApiError> {
    view.encoding(id(&target.kind, Form::Item), |view| object(target, view).map(|object| item_json(target, object)))
}

/// The same of an object that is not in the cache.
pub(super) fn item_json(target: &Target, mut object: Object) -> Bytes {
    if !target.resource.custom {
        object.remove(&["kind"]);
        object.remove(&["apiVersion"]);
    }
    let mut out = Vec::new();
    codec::encode_json(&object, &mut out);
    out.into()
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
