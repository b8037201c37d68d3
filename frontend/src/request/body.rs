//! Bodies of requests and answers: streams of `Bytes` that flow only as fast as they are read.
//!
//! In: what hyper received, or what a handler produces. Out: one boxed type for each direction. A dropped body cancels
//! what feeds it.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use http_body::{Body as _, Frame};
use http_body_util::{
    BodyExt, Full, StreamBody,
    combinators::{BoxBody, UnsyncBoxBody},
};

use crate::request::status::ApiError;

/// Why a body could not be read or produced to its end; the connection is cut then.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// An empty body.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body that is known as a whole.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body made while it is sent: the next item is asked for only when the connection can take it.
pub fn stream(chunks: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static) -> Body {
    StreamBody::new(futures::StreamExt::map(chunks, |chunk| chunk.map(Frame::data))).boxed_unsync()
}

/// The largest request body: the limit of the real server, 3 MiB.
pub const REQUEST_BYTES_MAX: usize = 3 * 1024 * 1024;

/// How much more of a body that is too large is taken from the connection before it is refused.
const DISCARD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The body of a request, not read yet.
#[derive(Debug)]
pub struct RequestBody {
    body: BoxBody<Bytes, BodyError>,
    seen: Seen,
}

/// What was read of a body, for the audit.
#[derive(Clone, Debug, Default)]
pub struct Seen(std::sync::Arc<parking_lot::Mutex<Bytes>>);

impl Seen {
    pub fn bytes(&self) -> Bytes {
        self.0.lock().clone()
    }
}

impl RequestBody {
    pub fn new<B>(body: B) -> RequestBody
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BodyError>,
    {
        RequestBody { body: body.map_err(Into::into).boxed(), seen: Seen::default() }
    }

    pub fn from_bytes(bytes: impl Into<Bytes>) -> RequestBody {
        RequestBody::new(Full::new(bytes.into()))
    }

    /// Reads the whole body. More than [`REQUEST_BYTES_MAX`] is a 413. Dropping the future abandons the request.
    pub async fn read(self) -> Result<Bytes, ApiError> {
        self.read_up_to(REQUEST_BYTES_MAX).await
    }

    /// Stays when the body is read.
    pub fn seen(&self) -> Seen {
        self.seen.clone()
    }

    pub async fn read_up_to(self, bytes_max: usize) -> Result<Bytes, ApiError> {
        let seen = self.seen.clone();
        let bytes = self.collect(bytes_max).await?;
        *seen.0.lock() = bytes.clone();
        Ok(bytes)
    }

    async fn collect(mut self, bytes_max: usize) -> Result<Bytes, ApiError> {
        let too_large = || ApiError::request_entity_too_large(format!("limit is {bytes_max}"));
        if self.body.size_hint().lower() > (bytes_max + DISCARD_BYTES_MAX) as u64 {
            return Err(too_large());
        }
        let mut read = BytesMut::new();
        while let Some(frame) = self.body.frame().await {
            let frame =
                frame.map_err(|e| ApiError::bad_request("the request body could not be read").with_internal(e))?;
            let Ok(data) = frame.into_data() else { continue };
            if read.len() + data.len() > bytes_max {
                self.discard().await;
                return Err(too_large());
            }
            // Most bodies are one frame: it is handed on as it is.
            if read.is_empty() && self.body.is_end_stream() {
                return Ok(data);
            }
            read.extend_from_slice(&data);
        }
        Ok(read.freeze())
    }

    /// Reads on and forgets, for a bounded length: a client that is cut while it sends does not see the answer.
    async fn discard(&mut self) {
        let mut discarded = 0;
        while let Some(Ok(frame)) = self.body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > DISCARD_BYTES_MAX {
                return;
            }
        }
    }

    /// The body as a stream, for handlers that forward it.
    pub fn into_stream(self) -> BoxBody<Bytes, BodyError> {
        self.body
    }
}
