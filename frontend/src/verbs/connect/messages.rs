//! Messages to a client of a WebSocket that itself has nothing to say: a pod's log, the events of a watch.
//!
//! In: a request that asks for a WebSocket, or its connection, and messages. Out: the switch to it, and a session that
//! sends them.

use bytes::{Buf, Bytes};
use futures::{SinkExt, Stream, StreamExt, future::ready, stream};
use http::Response;
use hyper::upgrade::Upgraded;
use tokio::io::AsyncWriteExt;
use tokio_util::codec::{FramedRead, FramedWrite};

use super::{
    upgrade::{halves, own_connection},
    websocket::{self, Received, Sent},
};
use crate::request::{
    Request,
    body::{Body, BodyError},
    negotiate::MediaType,
    status::ApiError,
};

/// A message each of the events of a watch, which come in frames as they are without a WebSocket.
pub(super) fn watch(
    request: Request,
    frames: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    media: MediaType,
) -> Result<Response<Body>, ApiError> {
    let response = match websocket::accept_from_origin(&request) {
        Ok(response) => response,
        Err(refusal) => return Ok(*refusal),
    };
    let client = own_connection(request.upgrade)?;
    let next: fn(&mut Bytes) -> Option<Sent> = match media {
        MediaType::Protobuf => next_of_lengths,
        _ => next_line,
    };
    request.session.begin(async move {
        let Ok(client) = client.await else { return };
        let frames = frames.take_while(|frames| ready(frames.is_ok())).filter_map(|frames| ready(frames.ok()));
        let events = frames.flat_map(|mut frames| stream::iter(std::iter::from_fn(move || next(&mut frames))));
        send_all(client, events).await;
    });
    Ok(response)
}

/// An event in JSON is a line.
fn next_line(frames: &mut Bytes) -> Option<Sent> {
    let end = frames.iter().position(|byte| *byte == b'\n')?;
    let line = frames.split_to(end + 1);
    Some(Sent::Text(String::from_utf8_lossy(&line).into_owned()))
}

/// Others have their length before them, in four bytes, which a message needs not.
fn next_of_lengths(frames: &mut Bytes) -> Option<Sent> {
    let length = frames.try_get_u32().ok()? as usize;
    (length <= frames.len()).then(|| Sent::Binary(None, frames.split_to(length)))
}

/// Sends messages until their end, or until the client leaves. What the client sends is not looked at.
pub(super) async fn send_all(client: Upgraded, messages: impl Stream<Item = Sent>) {
    let (reader, writer) = halves(client);
    let mut reader = FramedRead::new(reader, websocket::Frames::default());
    let mut writer = FramedWrite::new(writer, websocket::Frames::default());
    let mut messages = std::pin::pin!(messages);
    loop {
        let sent = tokio::select! {
            received = reader.next() => match received {
                Some(Ok(Received::Piece { .. })) => Ok(()),
                Some(Ok(Received::Ping(bytes))) => writer.send(Sent::Pong(bytes)).await,
                Some(Ok(Received::Close) | Err(_)) | None => break,
            },
            message = messages.next() => match message {
                Some(message) => writer.send(message).await,
                None => break,
            },
        };
        if sent.is_err() {
            return;
        }
    }
    // Who is gone already need not be told.
    let _ = writer.send(Sent::Close).await;
    let _ = writer.get_mut().shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(frames: &'static [u8], next: fn(&mut Bytes) -> Option<Sent>) -> Vec<Vec<u8>> {
        let mut frames = Bytes::from_static(frames);
        let messages = std::iter::from_fn(|| next(&mut frames)).map(|sent| match sent {
            Sent::Text(text) => text.into_bytes(),
            Sent::Binary(_, bytes) => bytes.to_vec(),
            Sent::Pong(_) | Sent::Close => Vec::new(),
        });
        messages.collect()
    }

    #[test]
    fn an_event_is_a_message() {
        assert_eq!(messages(b"{\"a\":1}\n{}\n", next_line), [&b"{\"a\":1}\n"[..], b"{}\n"]);
        assert_eq!(messages(b"", next_line), Vec::<Vec<u8>>::new());
        assert_eq!(messages(b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c", next_of_lengths), [&b"ab"[..], b"", b"c"]);
        assert_eq!(messages(b"\0\0\0\x09ab", next_of_lengths), Vec::<Vec<u8>>::new());
    }
}
