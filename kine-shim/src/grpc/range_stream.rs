//! RangeStream: a list in chunks, all of one pinned state. Chunks carry keys; the last one carries header, count and
//! `more`, too.

use std::pin::Pin;

use bytes::{BufMut, BytesMut};
use futures::Stream;
use proto::etcdserverpb as pb;
use tonic::Status;

use super::{errors, replies};
use crate::{
    model::{KeyValue, Range, RangeReply, SortOrder, SortTarget},
    state::State,
};

pub(super) type RangeStream = Pin<Box<dyn Stream<Item = Result<pb::RangeStreamResponse, Status>> + Send>>;

/// The first chunk is small, so that the client has something soon.
const FIRST_KEYS: usize = 10;
const KEYS_MAX: usize = 10_000;
const CHUNK_BYTES: usize = 3 << 19;

/// What the streamed form does not do.
pub(super) fn check(range: &Range) -> Result<(), Status> {
    let is_sorted = range.sort_target != SortTarget::Key || range.sort_order == SortOrder::Descend;
    if is_sorted || range.mod_revisions != (0, 0) || range.create_revisions != (0, 0) {
        return Err(Status::unimplemented("etcdserver: range stream does not support sorting or revision filters"));
    }
    Ok(())
}

struct Reader {
    state: State,
    rest: Range,
    /// Keys still wished; `None` without limit.
    left: Option<usize>,
    chunk_keys: usize,
    /// For the last chunk.
    header: pb::ResponseHeader,
    count: i64,
}

/// `state` is the one to read: the whole list comes from it, whatever is compacted meanwhile.
pub(super) fn open(state: State, range: Range, header: pb::ResponseHeader) -> Result<RangeStream, Status> {
    let count = state.range(&Range { count_only: true, ..range.clone() }).map_err(errors::refused)?.count;
    let reader = Reader {
        left: (range.limit > 0).then_some(range.limit),
        rest: range,
        state,
        chunk_keys: FIRST_KEYS,
        header,
        count,
    };
    Ok(Box::pin(futures::stream::try_unfold(
        Some(reader),
        |reader| async move { reader.map(Reader::next).transpose() },
    )))
}

impl Reader {
    fn next(mut self) -> Result<(pb::RangeStreamResponse, Option<Self>), Status> {
        let keys = self.left.map_or(self.chunk_keys, |left| left.min(self.chunk_keys));
        let chunk = Range { limit: keys, ..self.rest.clone() };
        let reply = self.state.range(&chunk).map_err(errors::refused)?;
        self.left = self.left.map(|left| left - reply.kvs.len());
        let last = reply.kvs.last().map(|kv| kv.key.clone());
        let Some(last) = last.filter(|_| reply.more && self.left != Some(0)) else {
            let reply = RangeReply { count: self.count, ..reply };
            let response = replies::range(self.header, reply);
            return Ok((pb::RangeStreamResponse { range_response: Some(response) }, None));
        };
        self.chunk_keys = fitting(&reply.kvs);
        self.rest.range.start = after(&last);
        let response =
            pb::RangeResponse { kvs: reply.kvs.into_iter().map(replies::key_value).collect(), ..Default::default() };
        Ok((pb::RangeStreamResponse { range_response: Some(response) }, Some(self)))
    }
}

/// How many keys of this size make a chunk.
fn fitting(kvs: &[KeyValue]) -> usize {
    let bytes: usize = kvs.iter().map(|kv| kv.key.len() + kv.value.len() + 32).sum();
    (CHUNK_BYTES * kvs.len() / bytes.max(1)).clamp(FIRST_KEYS, KEYS_MAX)
}

/// The smallest key greater than this one.
fn after(key: &[u8]) -> bytes::Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.put_slice(key);
    next.put_u8(0);
    next.freeze()
}
