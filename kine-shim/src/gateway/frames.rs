//! gRPC's messages in bodies: a flag, a length, the message; the status in trailers, or in the headers of an answer
//! without a body.

use std::convert::Infallible;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tonic::{Code, Status, body::Body};

const PREFIX_BYTES: usize = 5;

/// A request's body of one message.
pub(super) fn whole(message: Vec<u8>) -> Body {
    Body::new(Full::new(framed(message)))
}

/// A body of messages as they come. One that does not end looks like a client that may say more.
pub(super) fn spoken(messages: impl Stream<Item = Vec<u8>> + Send + 'static, ends: bool) -> Body {
    let said = messages.map(|message| Ok::<_, Infallible>(Frame::data(framed(message))));
    match ends {
        true => Body::new(StreamBody::new(said)),
        false => Body::new(StreamBody::new(said.chain(stream::pending()))),
    }
}

fn framed(message: Vec<u8>) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(0);
    // Requests are bounded far below 4 GiB.
    frame.put_u32(message.len() as u32);
    frame.extend_from_slice(&message);
    frame.freeze()
}

/// A response's messages, one by one.
pub(super) struct Messages {
    body: Body,
    buffer: BytesMut,
}

impl Messages {
    /// Fails when the response is nothing but a status.
    pub(super) fn of(response: Response<Body>) -> Result<Self, Status> {
        let (head, body) = response.into_parts();
        failed(Status::from_header_map(&head.headers))?;
        Ok(Self { body, buffer: BytesMut::new() })
    }

    /// `None` after the last one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.cut() {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Status::unavailable(error.to_string())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => failed(frame.trailers_ref().and_then(Status::from_header_map))?,
                },
            }
        }
    }

    fn cut(&mut self) -> Option<Bytes> {
        let mut prefix = self.buffer.get(1..PREFIX_BYTES)?;
        let length = prefix.get_u32() as usize;
        if self.buffer.len() < PREFIX_BYTES + length {
            return None;
        }
        self.buffer.advance(PREFIX_BYTES);
        Some(self.buffer.split_to(length).freeze())
    }
}

fn failed(status: Option<Status>) -> Result<(), Status> {
    match status {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(()),
    }
}
