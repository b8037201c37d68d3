//! The Watch service's bytes. In go responses whose events are encoded already, out come HTTP/2 data frames: what is
//! small is gathered into one frame, what is large stays the one copy that all watchers share, however slowly they
//! read. Tonic's own encoder would copy every event for every watcher. What is in a response is not decided here (see
//! `watch`).

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, future::BoxFuture};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use http_body::Frame;
use prost::Message;
use proto::etcdserverpb as pb;
use tonic::{
    Status, Streaming,
    body::Body,
    codec::{CompressionEncoding, DecodeBuf, Decoder},
    server::NamedService,
};

use super::wire::Wire;

/// Bytes that are not copied but sent as a frame of their own; for fewer the frame costs more than the copy.
const SHARED_MIN: usize = 4 << 10;
/// A frame of small messages is handed on when it has so many bytes.
const FRAME_BYTES: usize = 16 << 10;
/// Of `events` in a WatchResponse: field 11, length-delimited.
const EVENTS_TAG: u8 = 11 << 3 | 2;

/// A WatchResponse.
pub(super) struct Outgoing {
    /// All but the events.
    pub(super) head: pb::WatchResponse,
    /// Each an encoded Event. They stand last: `events` has the highest field number.
    pub(super) events: Vec<Bytes>,
}

impl From<pb::WatchResponse> for Outgoing {
    fn from(head: pb::WatchResponse) -> Self {
        Self { head, events: Vec::new() }
    }
}

/// What an encoded event takes in a response.
pub(super) fn event_bytes(event: &Bytes) -> usize {
    1 + prost::length_delimiter_len(event.len()) + event.len()
}

/// Bytes to be sent, in order.
#[derive(Default)]
struct Frames {
    ready: VecDeque<Bytes>,
    /// Behind `ready`.
    open: BytesMut,
    bytes: usize,
}

impl Frames {
    fn push(&mut self, response: &Outgoing) {
        let head = response.head.encoded_len();
        let length = head + response.events.iter().map(event_bytes).sum::<usize>();
        let copied = response.events.iter().map(Bytes::len).filter(|bytes| *bytes < SHARED_MIN).sum::<usize>();
        self.open.reserve(5 + head + copied + 6 * response.events.len());
        self.bytes += 5 + length;
        // gRPC's prefix: not compressed, and how long. A response beyond 4 GiB cannot be: a revision is at most one
        // request.
        self.open.put_u8(0);
        self.open.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        // Neither can fail: the buffer grows.
        let _ = response.head.encode(&mut self.open);
        for event in &response.events {
            self.open.put_u8(EVENTS_TAG);
            let _ = prost::encode_length_delimiter(event.len(), &mut self.open);
            if event.len() < SHARED_MIN {
                self.open.put_slice(event);
            } else {
                self.ready.push_back(self.open.split().freeze());
                self.ready.push_back(event.clone());
            }
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() && !self.open.is_empty() {
            self.ready.push_back(self.open.split().freeze());
        }
        let next = self.ready.pop_front()?;
        self.bytes -= next.len();
        Some(next)
    }
}

/// The response's body: it pulls from `source` only what the connection takes.
struct Responses<S> {
    source: Pin<Box<S>>,
    frames: Frames,
    ended: Option<Status>,
    is_done: bool,
}

impl<S> http_body::Body for Responses<S>
where
    S: Stream<Item = Result<Outgoing, Status>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.is_done {
            return Poll::Ready(None);
        }
        while this.frames.bytes < FRAME_BYTES && this.ended.is_none() {
            match this.source.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(response))) => this.frames.push(&response),
                Poll::Ready(Some(Err(status))) => this.ended = Some(status),
                Poll::Ready(None) => this.ended = Some(Status::ok("")),
                Poll::Pending => break,
            }
        }
        if let Some(bytes) = this.frames.pop() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(status) = this.ended.take() else { return Poll::Pending };
        this.is_done = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }
}

struct Requests;

impl Decoder for Requests {
    type Item = pb::WatchRequest;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<pb::WatchRequest>, Status> {
        pb::WatchRequest::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// The service in tonic's routes.
#[derive(Clone)]
pub(super) struct WatchService {
    pub(super) wire: Wire,
    pub(super) max_request_bytes: usize,
}

impl NamedService for WatchService {
    const NAME: &'static str = pb::watch_server::SERVICE_NAME;
}

impl tower::Service<http::Request<Body>> for WatchService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await.unwrap_or_else(Status::into_http)) })
    }
}

impl WatchService {
    async fn answer(self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        if request.uri().path() != "/etcdserverpb.Watch/Watch" {
            return Err(Status::unimplemented(""));
        }
        let encoding = match request.headers().get("grpc-encoding").map(|encoding| encoding.to_str().unwrap_or("?")) {
            None | Some("identity") => None,
            Some("gzip") => Some(CompressionEncoding::Gzip),
            Some(name) => {
                let text = format!("Content is compressed with `{name}` which isn't supported");
                return Err(Status::unimplemented(text));
            }
        };
        let max_bytes = Some(self.max_request_bytes);
        let request = request.map(|body| Streaming::new_request(Requests, body, encoding, max_bytes));
        let source = self.wire.watch(tonic::Request::from_http(request)).await?;
        let responses = Responses { source: Box::pin(source), frames: Frames::default(), ended: None, is_done: false };
        let mut response = http::Response::new(Body::new(responses));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(value: usize) -> proto::mvccpb::Event {
        let kv = proto::mvccpb::KeyValue { value: vec![7; value].into(), mod_revision: 300, ..Default::default() };
        proto::mvccpb::Event { kv: Some(kv), ..Default::default() }
    }

    /// Whatever the sizes, the frames are what an encoder would have made of the whole; what is large is not copied.
    #[test]
    fn frames_are_the_encoded_response() {
        for sizes in [&[][..], &[0], &[10, SHARED_MIN - 60, 3], &[SHARED_MIN, 1, 3 * SHARED_MIN]] {
            let events: Vec<_> = sizes.iter().map(|size| event(*size)).collect();
            let head = pb::WatchResponse { watch_id: 77, fragment: true, ..Default::default() };
            let whole = pb::WatchResponse { events: events.clone(), ..head.clone() };
            let shared: Vec<_> = events.iter().map(|event| Bytes::from(event.encode_to_vec())).collect();
            let mut frames = Frames::default();
            frames.push(&Outgoing { head, events: shared.clone() });
            let sent: Vec<Bytes> = std::iter::from_fn(|| frames.pop()).collect();
            let all = sent.concat();
            assert_eq!(all[..5], [&[0], &(whole.encoded_len() as u32).to_be_bytes()[..]].concat());
            assert_eq!(all[5..], whole.encode_to_vec(), "{sizes:?}");
            assert_eq!(frames.bytes, 0);
            for large in shared.iter().filter(|event| event.len() >= SHARED_MIN) {
                assert!(sent.iter().any(|frame| frame.as_ptr() == large.as_ptr()), "{sizes:?}: copied");
            }
        }
    }
}
