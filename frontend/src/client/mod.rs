//! HTTP calls of this server to others: webhooks, aggregated servers, token and policy services.
//!
//! In: where to call and whom to trust ([`Peer`]), and a request. Out: the answer, or a [`CallError`] in the words of
//! Go's client, which clients of webhooks read. One [`Client`] is kept for each peer and keeps its connections: they
//! are reused, and closed when they were idle for a while. Calls speak HTTP/1.1. Not here: what is called, and how
//! often.
//!
//! To call a service with JSON and read the whole answer: `client.call(method, &url, headers, body, timeout)`. To
//! stream: `client.send(request)`, which follows no redirects and has no time limit. To upgrade a connection:
//! `client.dial(uri)` makes one of its own, for one request.

mod backoff;
mod dial;
mod error;
mod hook;
mod hops;
mod kubeconfig;
mod peer;
#[cfg(test)]
pub(crate) mod stand_in;
mod tls;
mod upgrade;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::{client::legacy, rt::TokioExecutor};

use crate::request::body::{self, Body};
pub use backoff::Backoff;
use dial::Connector;
pub use error::CallError;
pub use hook::{Hook, Retries};
pub use hops::{append_forwarded_for, remove_hop_headers};
pub use kubeconfig::{Credentials, Kubeconfig, Shown};
pub use peer::{Address, Identity, Peer};
pub use tls::{ca_error, check_authorities};
pub use upgrade::{join, switching};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Idle connections are closed after this.
const IDLE: Duration = Duration::from_secs(90);
/// So many idle connections are kept to one peer.
const IDLE_MAX: usize = 32;
/// Answers that are larger are refused.
const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;
const REDIRECTS_MAX: usize = 10;

/// Calls one peer. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<Connector, Body>,
    connector: Connector,
}

/// A connection of its own, for one request that may upgrade it.
pub struct Dialed(http1::SendRequest<Body>);

impl Dialed {
    /// Sends a request as it stands, whose URI is a path and a query.
    pub async fn send(mut self, request: Request<Body>) -> Result<Response<Incoming>, CallError> {
        self.0.send_request(request).await.map_err(|error| CallError(reason(&error)))
    }
}

impl Client {
    /// An error tells what is wrong with certificates or keys.
    pub fn new(peer: &Peer) -> Result<Client, CallError> {
        let connector = Connector::new(peer)?;
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .build(connector.clone());
        Ok(Client { inner, connector })
    }

    /// Connects to the host of a URI. The connection ends when it is dropped, or, once upgraded, with its new owner.
    pub async fn dial(self, uri: Uri) -> Result<Dialed, CallError> {
        let stream = self.connector.connect(uri).await?;
        let begun = http1::handshake(stream).await;
        let (sender, connection) = begun.map_err(|error| CallError(reason(&error)))?;
        // Ends with the exchange, of which it says how it went.
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        Ok(Dialed(sender))
    }

    /// Sends a request as it stands. The answer's body streams; a dropped future ends the call.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, CallError> {
        self.inner.request(request).await.map_err(|error| CallError(reason(&error)))
    }

    /// Calls and reads the whole answer, following redirects as Go does. Errors name method and URL.
    pub async fn call(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        content: Bytes,
        time: Duration,
    ) -> Result<Reply, CallError> {
        let mut at = url.to_owned();
        let outcome = tokio::time::timeout(time, self.follow(&method, &mut at, headers, content)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(CallError(error::LATE.to_owned())));
        outcome.map_err(|CallError(why)| {
            let lower = method.as_str().to_ascii_lowercase();
            let verb = lower[..1].to_ascii_uppercase() + &lower[1..];
            CallError(format!("{verb} {at:?}: {why}"))
        })
    }

    async fn follow(
        &self,
        method: &Method,
        at: &mut String,
        headers: HeaderMap,
        content: Bytes,
    ) -> Result<Reply, CallError> {
        let (mut method, mut content) = (method.clone(), content);
        for _ in 0..REDIRECTS_MAX {
            let uri: Uri = at.parse().map_err(|error| CallError(format!("invalid URL: {error}")))?;
            let mut request = Request::new(body::full(content.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri;
            *request.headers_mut() = headers.clone();
            let response = self.send(request).await?;
            let target = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            let keeps = matches!(response.status().as_u16(), 307 | 308);
            let moved = keeps || matches!(response.status().as_u16(), 301..=303);
            let Some(target) = target.filter(|_| moved) else { return whole(response).await };
            *at = absolute(at, target);
            if !keeps && method != Method::HEAD {
                method = Method::GET;
                content = Bytes::new();
            }
        }
        Err(CallError(format!("stopped after {REDIRECTS_MAX} redirects")))
    }
}

async fn whole(response: Response<Incoming>) -> Result<Reply, CallError> {
    let (parts, content) = response.into_parts();
    let body = Limited::new(content, REPLY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| CallError(reason(&*error)))?.to_bytes();
    Ok(Reply { status: parts.status, headers: parts.headers, body })
}

/// Where a redirect leads to, seen from where it was met.
fn absolute(from: &str, target: &str) -> String {
    if target.contains("://") {
        return target.to_owned();
    }
    let host_end = from.find("://").map_or(0, |at| at + 3);
    let path_start = from[host_end..].find('/').map_or(from.len(), |at| host_end + at);
    if target.starts_with('/') {
        return format!("{}{target}", &from[..path_start]);
    }
    let directory = from[path_start..].rfind('/').map_or(from.len(), |at| path_start + at);
    format!("{}/{target}", &from[..directory])
}

/// The innermost cause that has words of its own.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut at = Some(error);
    let mut last = error.to_string();
    while let Some(error) = at {
        if let Some(CallError(text)) = error.downcast_ref::<CallError>() {
            return text.clone();
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            if error.is_incomplete_message() || error.is_closed() {
                return "EOF".to_owned();
            }
            if error.is_parse() {
                return format!("net/http: HTTP/1.x transport connection broken: malformed HTTP response: {error}");
            }
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            last = error::io_text("read", error);
        } else if error.is::<http_body_util::LengthLimitError>() {
            return format!("the answer is larger than {REPLY_BYTES_MAX} bytes");
        }
        at = error.source();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_absolute_addresses() {
        for (from, target, to) in [
            ("https://a/b/c?d", "https://e/f", "https://e/f"),
            ("https://a/b/c", "/f", "https://a/f"),
            ("https://a", "/f", "https://a/f"),
            ("https://a/b/c", "f", "https://a/b/f"),
        ] {
            assert_eq!(absolute(from, target), to);
        }
    }

    #[tokio::test]
    async fn calls_that_reach_nobody_say_so_as_go_does() {
        let client = Client::new(&Peer { insecure: true, ..Peer::default() }).unwrap();
        let call = |url: &'static str, time| {
            let client = client.clone();
            async move { client.call(Method::POST, url, HeaderMap::new(), Bytes::new(), time).await.unwrap_err().0 }
        };
        let refused = "Post \"https://127.0.0.1:1/x\": dial tcp 127.0.0.1:1: connect: connection refused";
        assert_eq!(call("https://127.0.0.1:1/x", Duration::from_secs(5)).await, refused);
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", silent.local_addr().unwrap());
        let late = client.call(Method::POST, &url, HeaderMap::new(), Bytes::new(), Duration::from_millis(50)).await;
        assert_eq!(late.unwrap_err().0, format!("Post {url:?}: context deadline exceeded"));
    }
}
