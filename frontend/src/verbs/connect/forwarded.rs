//! What of a request and an answer is handed on: headers that concern one connection stay behind, and who asked is
//! told.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::location::Location;
use crate::{
    client::remove_hop_headers,
    request::{Request, body::Body},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Adds the client to those for whom a request was handed on.
fn append_forwarded_for(headers: &mut HeaderMap, request: &Request) {
    let Some(address) = request.peer.address else { return };
    let before: Vec<&str> = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut all = before.join(", ");
    if !all.is_empty() {
        all.push_str(", ");
    }
    all.push_str(&address.ip().to_canonical().to_string());
    if let Ok(value) = HeaderValue::from_str(&all) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

/// The host that the client named; a backend without a name of its own sees that one.
fn keep_host(headers: &mut HeaderMap, request: &Request, location: &Location) {
    if headers.contains_key(header::HOST) {
        return;
    }
    let host = request.uri.authority().map_or(location.authority.as_str(), |authority| authority.as_str());
    if let Ok(value) = HeaderValue::from_str(host) {
        headers.insert(header::HOST, value);
    }
}

/// Headers of a request that upgrades.
pub(super) fn upgrade_headers(request: &Request, location: &Location) -> HeaderMap {
    let mut headers = request.headers.clone();
    append_forwarded_for(&mut headers, request);
    keep_host(&mut headers, request, location);
    // What a client sends behind such a request is for the connection to come.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    headers
}

/// Headers of any other request.
pub(super) fn headers(request: &Request, location: &Location) -> HeaderMap {
    let mut headers = request.headers.clone();
    let trailers = headers.get_all(header::TE).iter().any(|value| value == "trailers");
    remove_hop_headers(&mut headers);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    append_forwarded_for(&mut headers, request);
    keep_host(&mut headers, request, location);
    headers
}

/// The body of a backend's answer, as it comes.
pub(super) fn body(content: Incoming) -> Body {
    content.map_err(Into::into).boxed_unsync()
}
