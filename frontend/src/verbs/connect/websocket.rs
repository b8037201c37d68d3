//! The server's side of WebSocket (RFC 6455): the handshake, frames in, frames out.
//!
//! In: a request that asks for it, then bytes. Out: pieces of messages as they come, so that a message needs no room
//! as a whole. Frames of more than [`FRAME_BYTES_MAX`], frames without a mask and reserved bits end the connection. Not
//! here: what messages mean.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio_util::codec::{Decoder, Encoder};

use super::upgrade::is_upgrade;
use crate::{
    client::switching,
    request::{
        Request,
        body::{self, Body},
    },
};

/// As much as the original takes.
const FRAME_BYTES_MAX: u64 = 32 * 1024 * 1024;
const CONTROL_BYTES_MAX: u64 = 125;
/// RFC 6455, section 1.3.
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const NORMAL: u16 = 1000;

/// Whether a client wants a WebSocket.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).map(HeaderValue::as_bytes).unwrap_or_default();
    upgrade.eq_ignore_ascii_case(b"websocket") && is_upgrade(headers)
}

/// The subprotocols that a client offers, in its order.
pub(super) fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let values = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    values.map(str::trim).filter(|protocol| !protocol.is_empty())
}

fn refuse(code: StatusCode, why: &'static str) -> Response<Body> {
    let mut response = Response::new(body::full(why));
    *response.status_mut() = code;
    response
}

/// A client's key, of a handshake that is one.
fn key_of(request: &Request) -> Result<&str, Box<Response<Body>>> {
    let value = |name: header::HeaderName| request.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if request.info.method != Method::GET {
        return Err(Box::new(refuse(StatusCode::METHOD_NOT_ALLOWED, "bad method")));
    }
    let key = value(header::SEC_WEBSOCKET_KEY);
    if key.is_empty() {
        return Err(Box::new(refuse(StatusCode::BAD_REQUEST, "mismatch challenge/response")));
    }
    if value(header::SEC_WEBSOCKET_VERSION) != "13" {
        let mut response = refuse(StatusCode::BAD_REQUEST, "missing or bad WebSocket Version");
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(Box::new(response));
    }
    Ok(key)
}

/// Agrees with a client on one of `protocols` (the empty one for a client that offers none), or refuses in its words.
/// The answer switches.
pub(super) fn accept(
    request: &Request,
    protocols: &[&'static str],
) -> Result<(Response<Body>, &'static str), Box<Response<Body>>> {
    let key = key_of(request)?;
    let mut wanted: Vec<&str> = offered(&request.headers).collect();
    if wanted.is_empty() {
        wanted.push("");
    }
    let agreed = wanted.iter().find_map(|wanted| protocols.iter().find(|ours| *ours == wanted));
    let Some(agreed) = agreed else {
        return Err(Box::new(refuse(StatusCode::FORBIDDEN, "")));
    };
    let response = switch(key, agreed).ok_or_else(|| refuse(StatusCode::BAD_REQUEST, ""))?;
    Ok((response, agreed))
}

/// Agrees with a client that says where it comes from (which is not checked) on the one protocol that it offers, if
/// any, whatever that is: watches know none, and are as strict as golang.org/x/net/websocket, which serves them there.
pub(super) fn accept_from_origin(request: &Request) -> Result<Response<Body>, Box<Response<Body>>> {
    let key = key_of(request)?;
    let origin = request.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    let is_url = origin.starts_with('/') || origin.parse::<http::Uri>().is_ok_and(|url| url.scheme().is_some());
    if !is_url {
        return Err(Box::new(refuse(StatusCode::FORBIDDEN, "")));
    }
    let mut offered = offered(&request.headers);
    let agreed = match (offered.next(), offered.next()) {
        (only, None) => switch(key, only.unwrap_or_default()),
        _ => None,
    };
    Ok(agreed.ok_or_else(|| refuse(StatusCode::BAD_REQUEST, ""))?)
}

/// The answer to a key; none where it or the protocol cannot be a header.
pub(super) fn switch(key: &str, protocol: &str) -> Option<Response<Body>> {
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPT_GUID}").as_bytes());
    let mut response = switching();
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&BASE64_STANDARD.encode(proof)).ok()?);
    if !protocol.is_empty() {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol).ok()?);
    }
    Some(response)
}

/// What comes from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A part of a message: whether it is text, whether it is the message's first part, and its last.
    Piece {
        text: bool,
        first: bool,
        last: bool,
        bytes: Bytes,
    },
    Ping(Bytes),
    Close,
}

/// What goes to a client.
pub(super) enum Sent {
    /// A binary message: a channel's number, where there are channels, and what is on it.
    Binary(Option<u8>, Bytes),
    Text(String),
    Pong(Bytes),
    Close,
}

/// Frames of one connection.
#[derive(Default)]
pub(super) struct Frames {
    open: Option<Open>,
    /// The message of which a frame was not the last.
    message: Option<bool>,
}

/// A frame of data whose payload is being read.
struct Open {
    text: bool,
    last: bool,
    left: u64,
    mask: [u8; 4],
    /// Bytes of it that were read.
    at: usize,
    first: bool,
}

/// The head of a frame.
struct Head {
    last: bool,
    code: u8,
    length: u64,
    mask: [u8; 4],
    bytes: usize,
}

impl Head {
    /// None: wait for more of it.
    fn parse(source: &[u8]) -> Result<Option<Head>, std::io::Error> {
        let [first, second, rest @ ..] = source else { return Ok(None) };
        let (last, code) = (first & 0x80 != 0, first & 0x0f);
        let refuse = |why: &str| Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned()));
        if first & 0x70 != 0 {
            return refuse("reserved bits of a WebSocket frame are set");
        }
        if second & 0x80 == 0 {
            return refuse("a WebSocket frame of a client is not masked");
        }
        let (length, wide) = match (second & 0x7f, rest) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2),
            (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 8),
            (126 | 127, _) => return Ok(None),
            (short, _) => (u64::from(short), 0),
        };
        let max = if code >= 8 { CONTROL_BYTES_MAX } else { FRAME_BYTES_MAX };
        if length > max || (code >= 8 && !last) {
            return refuse("a WebSocket frame is too large");
        }
        match rest[wide..] {
            [a, b, c, d, ..] => Ok(Some(Head { last, code, length, mask: [a, b, c, d], bytes: 2 + wide + 4 })),
            _ => Ok(None),
        }
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4], from: usize) {
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte ^= mask[(from + at) % 4];
    }
}

impl Decoder for Frames {
    type Item = Received;
    type Error = std::io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Received>, std::io::Error> {
        if self.open.is_some() {
            return Ok(self.piece(source));
        }
        let Some(head) = Head::parse(source)? else { return Ok(None) };
        if head.code >= 8 {
            let whole = head.bytes + head.length as usize;
            if source.len() < whole {
                return Ok(None);
            }
            source.advance(head.bytes);
            let mut payload = source.split_to(head.length as usize);
            unmask(&mut payload, head.mask, 0);
            return match head.code {
                8 => Ok(Some(Received::Close)),
                9 => Ok(Some(Received::Ping(payload.freeze()))),
                // A pong was not asked for, and what is reserved is passed over.
                _ => self.decode(source),
            };
        }
        source.advance(head.bytes);
        let (text, first) = match (head.code, self.message) {
            (0, Some(text)) => (text, false),
            (1, None) => (true, true),
            (2, None) => (false, true),
            _ => return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "WebSocket frames are out of order")),
        };
        self.message = (!head.last).then_some(text);
        self.open = Some(Open { text, last: head.last, left: head.length, mask: head.mask, at: 0, first });
        Ok(self.piece(source))
    }
}

impl Frames {
    /// What there is of the open frame.
    fn piece(&mut self, source: &mut BytesMut) -> Option<Received> {
        let open = self.open.as_mut()?;
        if source.is_empty() && open.left > 0 {
            return None;
        }
        let length = usize::try_from(open.left).unwrap_or(usize::MAX).min(source.len());
        let mut bytes = source.split_to(length);
        unmask(&mut bytes, open.mask, open.at);
        open.at += length;
        open.left -= length as u64;
        let ended = open.left == 0;
        let piece =
            Received::Piece { text: open.text, first: open.first, last: open.last && ended, bytes: bytes.freeze() };
        open.first = false;
        if ended {
            self.open = None;
        }
        Some(piece)
    }
}

impl Encoder<Sent> for Frames {
    type Error = std::io::Error;

    fn encode(&mut self, sent: Sent, out: &mut BytesMut) -> Result<(), std::io::Error> {
        match sent {
            Sent::Binary(channel, bytes) => {
                head(out, 2, bytes.len() + usize::from(channel.is_some()));
                if let Some(channel) = channel {
                    out.put_u8(channel);
                }
                out.put(bytes);
            }
            Sent::Text(text) => {
                head(out, 1, text.len());
                out.put(text.as_bytes());
            }
            Sent::Pong(bytes) => {
                head(out, 10, bytes.len());
                out.put(bytes);
            }
            Sent::Close => {
                head(out, 8, 2);
                out.put_u16(NORMAL);
            }
        }
        Ok(())
    }
}

fn head(out: &mut BytesMut, code: u8, length: usize) {
    out.put_u8(0x80 | code);
    match length {
        0..=125 => out.put_u8(length as u8),
        126..=0xffff => {
            out.put_u8(126);
            out.put_u16(length as u16);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::decoding::received, *};

    /// A frame as clients send it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        head(&mut out, first & 0x0f, payload.len());
        out[0] = first;
        out[1] |= 0x80;
        let mask = [1, 2, 3, 4];
        out.put(&mask[..]);
        let mut payload = payload.to_vec();
        unmask(&mut payload, mask, 0);
        out.put(&payload[..]);
        out.to_vec()
    }

    fn text_of(pieces: &[Received]) -> Vec<u8> {
        let bytes = pieces.iter().filter_map(|piece| match piece {
            Received::Piece { bytes, .. } => Some(&bytes[..]),
            _ => None,
        });
        bytes.collect::<Vec<_>>().concat()
    }

    #[test]
    fn the_proof_is_that_of_the_standard() {
        let response = switch("dGhlIHNhbXBsZSBub25jZQ==", "chat").unwrap();
        assert_eq!(response.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()[header::SEC_WEBSOCKET_PROTOCOL], "chat");
    }

    #[test]
    fn messages_come_in_pieces_however_they_are_cut() {
        let long = vec![b'x'; 70_000];
        let all = [frame(0x02, b"\0he"), frame(0x89, b"?"), frame(0x80, b"llo"), frame(0x82, &long), frame(0x88, b"")];
        for size in [1, 3, 4096, usize::MAX] {
            let pieces = received::<Frames>(&all.concat(), size).unwrap();
            assert_eq!(text_of(&pieces), [b"\0hello".as_slice(), &long].concat(), "in pieces of {size}");
            let firsts = pieces.iter().filter(|piece| matches!(piece, Received::Piece { first: true, .. })).count();
            let lasts = pieces.iter().filter(|piece| matches!(piece, Received::Piece { last: true, .. })).count();
            assert_eq!((firsts, lasts), (2, 2));
            assert!(pieces.contains(&Received::Ping(Bytes::from_static(b"?"))));
            assert_eq!(pieces.last(), Some(&Received::Close));
        }
    }

    #[test]
    fn what_breaks_the_protocol_ends_the_connection() {
        let unmasked = vec![0x82, 1, 0];
        let huge = [vec![0x82, 0xff], u64::MAX.to_be_bytes().to_vec()].concat();
        for (bytes, why) in [
            (unmasked, "a WebSocket frame of a client is not masked"),
            (huge, "a WebSocket frame is too large"),
            (frame(0xc2, b"x"), "reserved bits of a WebSocket frame are set"),
            (frame(0x80, b"x"), "WebSocket frames are out of order"),
            ([frame(0x02, b"x"), frame(0x82, b"y")].concat(), "WebSocket frames are out of order"),
            (frame(0x09, b"x"), "a WebSocket frame is too large"),
        ] {
            assert_eq!(received::<Frames>(&bytes, usize::MAX).unwrap_err(), why);
        }
    }

    #[test]
    fn what_is_sent_has_the_shortest_head() {
        let sent = |what| {
            let mut out = BytesMut::new();
            Frames::default().encode(what, &mut out).unwrap();
            out.to_vec()
        };
        assert_eq!(sent(Sent::Binary(Some(1), Bytes::new())), [0x82, 1, 1]);
        assert_eq!(sent(Sent::Text("aGk=".to_owned())), *b"\x81\x04aGk=");
        assert_eq!(sent(Sent::Close), [0x88, 2, 0x03, 0xe8]);
        assert_eq!(sent(Sent::Binary(None, vec![0; 300].into()))[..4], [0x82, 126, 1, 44]);
        assert_eq!(sent(Sent::Binary(None, vec![0; 70_000].into()))[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }
}
