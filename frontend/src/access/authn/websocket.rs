//! Tokens that browsers send as a subprotocol of a websocket, since they cannot set headers.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};

use super::BadCredentials;

const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

fn is_websocket(headers: &HeaderMap) -> bool {
    let has = |name: header::HeaderName, word: &str| {
        headers.get(name).and_then(|v| v.to_str().ok()).is_some_and(|v| v.to_ascii_lowercase().contains(word))
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket")
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// The token among the subprotocols of a websocket request.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<String>, BadCredentials> {
    if !is_websocket(headers) {
        return Ok(None);
    }
    let refuse = |why: &str| Err(BadCredentials(why.to_owned()));
    let mut tokens = protocols(headers).filter_map(|protocol| protocol.strip_prefix(PREFIX));
    let Some(encoded) = tokens.next() else { return Ok(None) };
    if tokens.next().is_some() {
        return refuse("multiple base64.bearer.authorization tokens specified");
    }
    let Ok(decoded) = BASE64_URL_SAFE_NO_PAD.decode(encoded) else {
        return refuse("invalid base64.bearer.authorization token encoding");
    };
    let Ok(token) = String::from_utf8(decoded) else {
        return refuse("invalid base64.bearer.authorization token");
    };
    // One must be left to answer with.
    if !token.is_empty() && protocols(headers).all(|protocol| protocol.starts_with(PREFIX)) {
        return refuse("missing additional subprotocol");
    }
    Ok(Some(token).filter(|token| !token.is_empty()))
}

/// Leaves the other subprotocols.
pub(super) fn strip_token(headers: &mut HeaderMap) {
    if !is_websocket(headers) || !protocols(headers).any(|protocol| protocol.starts_with(PREFIX)) {
        return;
    }
    let rest: Vec<&str> = protocols(headers).filter(|protocol| !protocol.starts_with(PREFIX)).collect();
    if let Ok(value) = HeaderValue::from_str(&rest.join(",")) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
}
