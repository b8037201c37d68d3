//! What of a request and an answer is handed on: headers that concern one connection stay behind, and who asked is
//! told.

use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::location::Location;
use crate::{
    client::{append_forwarded_for, remove_hop_headers},
    request::{Request, body::Body},
};

fn tell_who_asked(headers: &mut HeaderMap, request: &Request) {
    if let Some(address) = request.peer.address {
        append_forwarded_for(headers, address.ip());
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
    tell_who_asked(&mut headers, request);
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
    tell_who_asked(&mut headers, request);
    keep_host(&mut headers, request, location);
    headers
}

/// The body of a backend's answer, as it comes.
pub(super) fn body(content: Incoming) -> Body {
    content.map_err(Into::into).boxed_unsync()
}
