//! Encodings of cached objects, made once and shared by everyone who asks for the same.

use bytes::Bytes;

use crate::{
    api::schema::{Gvk, Object, codec},
    cluster::Target,
    request::status::ApiError,
    store::{Entry, cache::EncodingId},
};

/// What is kept of an entry or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Form {
    /// JSON without kind and apiVersion: an item of a list.
    Item = 0,
    Added = 2,
    Modified = 3,
    Deleted = 4,
    AddedProtobuf = 5,
    ModifiedProtobuf = 6,
    DeletedProtobuf = 7,
}

/// The number of a form in one version of a kind.
pub(super) fn id(gvk: &Gvk, form: Form) -> EncodingId {
    // FNV-1a: few versions share an entry, so that a short hash tells them apart.
    let mut hash: u32 = 0x811c_9dc5;
    for byte in gvk.group.bytes().chain([b'/']).chain(gvk.version.bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    EncodingId((hash << 3) | form as u32)
}

/// The entry as it is served.
pub(super) fn object(target: &Target, entry: &Entry) -> Result<Object, ApiError> {
    target.decode_bytes(entry.value(), entry.mod_revision())
}

/// The entry as an item of a JSON list. Items of built-in kinds do not name their kind.
pub(super) fn item(target: &Target, entry: &Entry) -> Result<Bytes, ApiError> {
    entry.encoding(id(&target.kind.gvk, Form::Item), |entry| object(target, entry).map(|o| item_json(target, o)))
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
