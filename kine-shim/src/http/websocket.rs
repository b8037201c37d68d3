//! WebSockets before the JSON gateway, as etcd's proxy has them: each message of the client is a value of the request's
//! body, each line of the answer is a message. In comes a request to upgrade, out goes the answer to it; what is said
//! afterwards is answered by whatever is passed in.

use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream::SplitStream};
use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{
        AUTHORIZATION, CONNECTION, COOKIE, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;

use super::pages::{TEXT, page};

/// Messages of the client that nobody has read yet; when there are more, its socket is not read.
const WAITING_MAX: usize = 16;

/// Connections that became WebSockets: they outlive the HTTP connection, not the program.
#[derive(Clone)]
pub(super) struct Upgraded {
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(token))
    };
    has(CONNECTION, "upgrade") && has(UPGRADE, "websocket")
}

/// `serve` gets one request whose body stays open until the client closes the socket.
pub(super) fn accept<B, F>(
    request: Request<B>,
    upgraded: &Upgraded,
    message_bytes_max: usize,
    serve: impl FnOnce(Request<Body>) -> F + Send + 'static,
) -> Response<Body>
where
    B: Send + 'static,
    F: Future<Output = Response<Body>> + Send,
{
    let headers = request.headers();
    let bad = |reason: &'static str| page(StatusCode::BAD_REQUEST, TEXT, format!("Bad Request\n{reason}\n"));
    if request.method() != Method::GET {
        return bad("websocket: the client is not using the websocket protocol: request method is not GET");
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return bad("websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header");
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).filter(|key| !key.is_empty()) else {
        return bad("websocket: not a websocket handshake: 'Sec-WebSocket-Key' header is missing or blank");
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accepted) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) {
        answer.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    }
    if headers.get(SEC_WEBSOCKET_PROTOCOL).is_some_and(|said| said.as_bytes().starts_with(b"Bearer")) {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("Bearer"));
    }
    let (uri, token, stop) = (request.uri().clone(), token(headers), upgraded.stop.clone());
    upgraded.tasks.spawn(async move {
        let socket = match hyper::upgrade::on(request).await {
            Ok(socket) => TokioIo::new(socket),
            Err(error) => return tracing::debug!(%error, "a connection was not upgraded"),
        };
        let bounds = WebSocketConfig::default()
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let socket = WebSocketStream::from_raw_socket(socket, Role::Server, Some(bounds)).await;
        let (said, messages) = mpsc::channel(WAITING_MAX);
        let mut inner = Request::new(Body::new(StreamBody::new(ReceiverStream::new(messages))));
        (*inner.method_mut(), *inner.uri_mut()) = (Method::POST, uri);
        inner.headers_mut().extend(token.map(|token| (AUTHORIZATION, token)));
        let (sink, stream) = socket.split();
        let answering = async move { tell(serve(inner).await, sink).await };
        tokio::select! {
            () = stop.cancelled() => {}
            () = listen(stream, said) => {}
            () = answering => {}
        }
    });
    response
}

/// What a browser can say of itself: a token as the second of its protocols, or a cookie.
fn token(headers: &HeaderMap) -> Option<HeaderValue> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let cookie = text(COOKIE).and_then(|cookies| cookies.split(';').find_map(|one| one.trim().strip_prefix("token=")));
    let protocol = text(SEC_WEBSOCKET_PROTOCOL).and_then(|said| Some(said.split_once("Bearer,")?.1.trim()));
    HeaderValue::try_from(format!("Bearer {}", cookie.or(protocol)?)).ok()
}

type Said = Result<Frame<Bytes>, std::convert::Infallible>;

/// Ends when the client closes the socket, or breaks its rules.
async fn listen<S>(mut stream: SplitStream<WebSocketStream<S>>, said: mpsc::Sender<Said>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = stream.next().await {
        let value = match message {
            Ok(Message::Text(text)) => Bytes::from(text),
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Close(_)) => return,
            Ok(_) => continue,
            Err(error) => return tracing::debug!(%error, "a WebSocket broke"),
        };
        if said.send(Ok(Frame::data(value))).await.is_err() {
            // Nobody listens, but the answer may go on.
            return std::future::pending().await;
        }
    }
}

/// A message for each line.
async fn tell(response: Response<Body>, mut sink: impl futures::Sink<Message> + Unpin) {
    let (mut body, mut line) = (response.into_body(), Vec::new());
    loop {
        let frame = body.frame().await;
        let data = frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
        let is_last = data.is_none();
        line.extend_from_slice(&data.unwrap_or_default());
        while let Some(end) = line.iter().position(|byte| *byte == b'\n').or(is_last.then_some(line.len())) {
            let rest = line.split_off((end + 1).min(line.len()));
            let text = String::from_utf8_lossy(&line[..end]).into_owned();
            line = rest;
            if !text.is_empty() && sink.send(Message::text(text)).await.is_err() {
                return;
            }
            if is_last && line.is_empty() {
                let _ = sink.close().await;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_as_a_protocol_or_a_cookie() {
        let cases = [
            (vec![], None),
            (vec![("sec-websocket-protocol", "Bearer, abc")], Some("Bearer abc")),
            (vec![("sec-websocket-protocol", "Bearer,abc")], Some("Bearer abc")),
            (vec![("sec-websocket-protocol", "chat")], None),
            (vec![("cookie", "a=b; token=xyz"), ("sec-websocket-protocol", "Bearer, abc")], Some("Bearer xyz")),
        ];
        for (headers, expected) in cases {
            let map: HeaderMap =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(token(&map).map(|token| token.to_str().unwrap().to_owned()).as_deref(), expected, "{headers:?}");
        }
    }
}
