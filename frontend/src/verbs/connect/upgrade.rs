//! Requests that switch protocols: handed on as they are, and then two streams of bytes.
//!
//! In: a request with `Connection: Upgrade`. Out: what the backend answers; after its 101 all bytes pass in both
//! directions until one side ends. The streams themselves (SPDY, WebSocket) are not looked at. Not here: protocols that
//! are translated (`translate`, `tunnel`).

use http::{HeaderMap, Method, Request as HttpRequest, Response, StatusCode, header};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::io;

use super::{backends::not_dialled, forwarded, location::Location};
use crate::{
    client::{join, remove_hop_headers, switching},
    request::{
        Request,
        body::{self, Body},
        status::ApiError,
    },
};

/// Whether a client wants to switch protocols.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    let mut wishes = headers.get_all(header::CONNECTION).iter();
    wishes.any(|wish| wish.to_str().is_ok_and(|wish| wish.to_ascii_lowercase().contains("upgrade")))
}

/// What a backend answered to a request that upgrades.
pub(super) enum Answered {
    /// It switches: its head, and its connection when the answer is through.
    Switches(HeaderMap, OnUpgrade),
    /// It refuses, in its own words.
    Refuses(Response<Body>),
}

/// Asks a backend to switch protocols.
pub(super) async fn ask(location: Location, method: Method, headers: HeaderMap) -> Result<Answered, ApiError> {
    let (uri, target) = (location.uri()?, location.path_and_query());
    let dialled = location.client.dial(uri).await.map_err(not_dialled)?;
    let mut request = HttpRequest::new(body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().map_err(|_| ApiError::unknown(format!("invalid URL {target:?}")))?;
    *request.headers_mut() = headers;
    let answered = dialled.send(request).await;
    let mut response = answered.map_err(|error| ApiError::unknown(error.to_string()))?;
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {
            let connection = hyper::upgrade::on(&mut response);
            Ok(Answered::Switches(std::mem::take(response.headers_mut()), connection))
        }
        status if status.as_u16() < 400 => {
            Err(ApiError::unknown(format!("invalid upgrade response: status code {}", status.as_u16())))
        }
        _ => Ok(Answered::Refuses(refusal(response))),
    }
}

/// The backend's answer, without what concerns its own connection.
fn refusal(response: Response<Incoming>) -> Response<Body> {
    let (mut parts, content) = response.into_parts();
    remove_hop_headers(&mut parts.headers);
    Response::from_parts(parts, forwarded::body(content))
}

/// Hands a request on and joins the two connections.
pub(super) async fn forward(request: Request, location: Location) -> Result<Response<Body>, ApiError> {
    let headers = forwarded::upgrade_headers(&request, &location);
    let client = own_connection(request.upgrade)?;
    match ask(location, request.info.method, headers).await? {
        Answered::Refuses(response) => Ok(response),
        Answered::Switches(headers, backend) => {
            request.session.begin(join(client, backend));
            let mut response = switching();
            *response.headers_mut() = headers;
            Ok(response)
        }
    }
}

/// The client's connection. Over HTTP/2 there is none to switch.
pub(super) fn own_connection(upgrade: Option<OnUpgrade>) -> Result<OnUpgrade, ApiError> {
    upgrade.ok_or_else(|| ApiError::unknown("request connection cannot be hijacked"))
}

/// An upgraded connection as both halves.
pub(super) type Half<T> = (io::ReadHalf<T>, io::WriteHalf<T>);

pub(super) fn halves(upgraded: Upgraded) -> Half<TokioIo<Upgraded>> {
    io::split(TokioIo::new(upgraded))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_of_several_connection_headers_is_enough() {
        let headers = |values: &[&'static str]| {
            values.iter().map(|value| (header::CONNECTION, HeaderValue::from_static(value))).collect::<HeaderMap>()
        };
        assert!(is_upgrade(&headers(&["keep-alive", "foo, UPGRADE"])));
        assert!(!is_upgrade(&headers(&["keep-alive"])));
    }
}
