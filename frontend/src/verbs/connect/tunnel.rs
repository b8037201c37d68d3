//! Port forwarding for WebSocket clients: messages are a stream of bytes, in which the client and the kubelet speak
//! SPDY with each other.
//!
//! In: a request for a subprotocol `SPDY/3.1+....k8s.io`. Out: the kubelet's bytes in binary messages, and back. A text
//! message ends the tunnel. Not here: port forwarding of SPDY clients, which needs no tunnel (`upgrade`).

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use hyper::upgrade::Upgraded;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::{
    forwarded,
    location::Location,
    upgrade::{Answered, ask, halves, own_connection},
    websocket::{self, Received, Sent},
};
use crate::request::{
    Request,
    body::{self, Body},
    status::ApiError,
};

const TUNNEL_PREFIX: &str = "SPDY/3.1+";
const SUFFIX: &str = ".k8s.io";
const STREAM_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const CHUNK_BYTES: usize = 32 * 1024;

/// The protocols inside that a client offers.
fn inner_protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let offered = websocket::offered(headers).filter(|protocol| protocol.ends_with(SUFFIX));
    offered.filter_map(|protocol| protocol.strip_prefix(TUNNEL_PREFIX))
}

/// Whether a client wants a tunnel.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    websocket::is_asked(headers) && inner_protocols(headers).next().is_some()
}

/// The same request as a SPDY client would make it.
fn spdy_headers(request: &Request, location: &Location) -> HeaderMap {
    let mut headers = forwarded::upgrade_headers(request, location);
    for name in [header::SEC_WEBSOCKET_PROTOCOL, header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION] {
        headers.remove(name);
    }
    headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.remove(STREAM_PROTOCOL_VERSION);
    for protocol in inner_protocols(&request.headers).filter_map(|protocol| HeaderValue::from_str(protocol).ok()) {
        headers.append(STREAM_PROTOCOL_VERSION, protocol);
    }
    headers
}

fn text_error(code: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(body::full(format!("{text}\n")));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

pub(super) async fn serve(request: Request, location: Location) -> Result<Response<Body>, ApiError> {
    let headers = spdy_headers(&request, &location);
    let client = own_connection(request.upgrade)?;
    let (head, kubelet) = match ask(location, Method::POST, headers).await? {
        Answered::Switches(head, kubelet) => (head, kubelet),
        Answered::Refuses(response) => return Ok(response),
    };
    let speaks_spdy =
        head.get(header::UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"spdy/3.1"));
    if !speaks_spdy {
        let text = "unable to upgrade: missing upgrade headers in response";
        return Ok(text_error(StatusCode::INTERNAL_SERVER_ERROR, text));
    }
    let agreed = head.get(STREAM_PROTOCOL_VERSION).and_then(|protocol| protocol.to_str().ok()).map(str::trim);
    let agreed = agreed.filter(|protocol| inner_protocols(&request.headers).any(|offered| offered == *protocol));
    let agreed = agreed.map(|protocol| format!("{TUNNEL_PREFIX}{protocol}")).unwrap_or_default();
    let value = |name| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = value(header::SEC_WEBSOCKET_KEY);
    if value(header::SEC_WEBSOCKET_VERSION) != "13" {
        let text = "websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header";
        return Ok(text_error(StatusCode::BAD_REQUEST, text));
    }
    let missing = "websocket: not a websocket handshake: 'Sec-WebSocket-Key' header must be Base64 encoded value of 16-byte in length";
    if key.is_empty() || request.info.method != Method::GET {
        return Ok(text_error(StatusCode::BAD_REQUEST, missing));
    }
    let Some(response) = websocket::switch(key, &agreed) else {
        return Ok(text_error(StatusCode::BAD_REQUEST, missing));
    };
    request.session.begin(async move {
        let (Ok(client), Ok(kubelet)) = (client.await, kubelet.await) else { return };
        run(client, kubelet).await;
    });
    Ok(response)
}

async fn run(client: Upgraded, kubelet: Upgraded) {
    let (client_in, client_out) = halves(client);
    let (mut kubelet_in, mut kubelet_out) = halves(kubelet);
    let mut client_in = FramedRead::with_capacity(client_in, websocket::Frames::default(), CHUNK_BYTES);
    let mut client_out = FramedWrite::new(client_out, websocket::Frames::default());
    // A client that asks faster than it reads the answers misses some.
    let (pongs, mut to_answer) = mpsc::channel::<Bytes>(8);
    let upwards = async {
        while let Some(Ok(received)) = client_in.next().await {
            match received {
                Received::Piece { text: false, bytes, .. } => {
                    if kubelet_out.write_all(&bytes).await.is_err() || kubelet_out.flush().await.is_err() {
                        return;
                    }
                }
                Received::Ping(bytes) => drop(pongs.try_send(bytes)),
                Received::Piece { .. } | Received::Close => return,
            }
        }
    };
    let downwards = async {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        loop {
            let sent = tokio::select! {
                read = kubelet_in.read_buf(&mut chunk) => match read {
                    Ok(read) if read > 0 => client_out.send(Sent::Binary(None, chunk.split().freeze())).await,
                    _ => return,
                },
                Some(bytes) = to_answer.recv() => client_out.send(Sent::Pong(bytes)).await,
            };
            if sent.is_err() {
                return;
            }
            chunk.reserve(CHUNK_BYTES);
        }
    };
    tokio::select! {
        () = upwards => {}
        () = downwards => {}
    }
    // Who is gone already need not be told.
    let _ = kubelet_out.shutdown().await;
    let _ = client_out.send(Sent::Close).await;
    let _ = client_out.get_mut().shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tunnels_of_kubernetes_protocols_are_tunnels() {
        for (offered, inner) in [
            ("SPDY/3.1+portforward.k8s.io", vec!["portforward.k8s.io"]),
            ("v4.channel.k8s.io, SPDY/3.1+a.k8s.io,SPDY/3.1+b.k8s.io", vec!["a.k8s.io", "b.k8s.io"]),
            ("SPDY/3.1+portforward", vec![]),
            ("portforward.k8s.io", vec![]),
        ] {
            let headers: HeaderMap =
                [(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offered))].into_iter().collect();
            assert_eq!(inner_protocols(&headers).collect::<Vec<_>>(), inner);
        }
    }
}
