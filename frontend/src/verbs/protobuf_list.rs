//! A list in protobuf, made of the stored bytes of its items while it is sent.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::{
    page::{CHUNK, Page, set_list_meta},
    response::response,
};
use crate::{
    api::schema::{
        Object, Type,
        codec::{self, Spliced},
        stored::Stored,
    },
    cluster::{Target, known_kind},
    request::{
        body::{self, Body, BodyError},
        negotiate::{MediaType, Output},
        status::ApiError,
    },
    store::{Entry, cache::KindNumber},
};

/// The number of `items` in every list.
const ITEMS: u32 = 2;

/// Gives the page back where an item has to be decoded to be shown, or the answer is to be something else.
pub(super) fn stream(target: &Target, output: Output, page: Page) -> Result<Result<Response<Body>, Page>, ApiError> {
    if output.media != MediaType::Protobuf {
        return Ok(Err(page));
    }
    // What comes first is the length of everything.
    let Some(items_len) = page.entries.iter().map(|entry| item_len(&target.kind, entry)).sum::<Option<usize>>() else {
        return Ok(Err(page));
    };
    let resource = &target.resource;
    let kind = known_kind(&target.api.schema, &resource.group, &resource.version, &resource.list_kind)?;
    let mut empty = Object::new(&kind);
    set_list_meta(&mut empty, &page);
    let meta = codec::encode_protobuf_message(&empty);
    let (mut head, tail) = codec::protobuf_envelope(&kind.gvk, meta.len() + items_len);
    head.extend_from_slice(&meta);
    let (kind, entries) = (target.kind.clone(), Arc::new(page.entries));
    let count = entries.len().div_ceil(CHUNK);
    let chunks = (0..count).map(move |at| {
        let part = &entries[at * CHUNK..((at + 1) * CHUNK).min(entries.len())];
        items(&kind, part).map(Bytes::from).ok_or_else(|| "an item cannot be read any more".into())
    });
    let chunks = std::iter::once(Ok(Bytes::from(head))).chain(chunks).chain([Ok(Bytes::from_static(tail))]);
    let body = match count {
        0..=1 => body::full(chunks.collect::<Result<Vec<_>, BodyError>>().map_err(ApiError::internal)?.concat()),
        _ => body::stream(futures::stream::iter(chunks)),
    };
    Ok(Ok(response(200, output.media, body)))
}

/// An item with its revision, found without reading it again; none where it has to be decoded.
fn spliced<'a>(kind: &Type, entry: &'a Entry, revision: &'a str) -> Option<Spliced<'a>> {
    if entry.is_converted() {
        return None;
    }
    let offsets = entry.offsets(KindNumber(kind.number), |entry| {
        Stored::read(kind, entry.value(), "")?.protobuf()?.offsets_in(entry.value())
    });
    Spliced::at(entry.value(), offsets?, revision)
}

/// How long an item is, with its tag.
fn item_len(kind: &Type, entry: &Entry) -> Option<usize> {
    let revision = entry.mod_revision().to_string();
    let length = spliced(kind, entry, &revision)?.length();
    Some(1 + codec::varint_len(length) + length)
}

fn items(kind: &Type, entries: &[Arc<Entry>]) -> Option<Vec<u8>> {
    let stored: usize = entries.iter().map(|entry| entry.value().len() + 32).sum();
    let mut out = Vec::with_capacity(stored);
    for entry in entries {
        let revision = entry.mod_revision().to_string();
        let spliced = spliced(kind, entry, &revision)?;
        codec::put_head(&mut out, ITEMS, spliced.length());
        spliced.append(&mut out);
    }
    Some(out)
}
