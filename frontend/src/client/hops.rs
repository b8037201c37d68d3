//! Headers of requests that are handed on: what concerns one connection stays behind, and who asked is told.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers that concern one connection: of RFC 2616, and some that were never standard.
const HOP_HEADERS: [&str; 9] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Removes what concerns one connection, by name or because `Connection` says so.
pub fn remove_hop_headers(headers: &mut HeaderMap) {
    let said: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in said {
        headers.remove(name);
    }
    for name in HOP_HEADERS {
        headers.remove(name);
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Adds a client to those for whom a request was handed on.
pub fn append_forwarded_for(headers: &mut HeaderMap, client: IpAddr) {
    let before: Vec<&str> = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut all = before.join(", ");
    if !all.is_empty() {
        all.push_str(", ");
    }
    all.push_str(&client.to_canonical().to_string());
    if let Ok(value) = HeaderValue::from_str(&all) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_added_behind_all_those_before_it() {
        for (before, client, after) in [
            (&[][..], "10.0.0.1", "10.0.0.1"),
            (&["192.0.2.1", "192.0.2.2, 192.0.2.3"], "::ffff:10.0.0.1", "192.0.2.1, 192.0.2.2, 192.0.2.3, 10.0.0.1"),
            (&["unknown"], "2001:db8::1", "unknown, 2001:db8::1"),
        ] {
            let before = before.iter().map(|value| (X_FORWARDED_FOR, HeaderValue::from_static(value)));
            let mut headers: HeaderMap = before.collect();
            append_forwarded_for(&mut headers, client.parse().unwrap());
            let all: Vec<&HeaderValue> = headers.get_all(X_FORWARDED_FOR).iter().collect();
            assert_eq!(all, [after]);
        }
    }

    #[test]
    fn what_concerns_the_connection_stays_behind() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-mine"),
            ("x-mine", "1"),
            ("keep-alive", "5"),
            ("transfer-encoding", "chunked"),
            ("x-yours", "2"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove_hop_headers(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-yours"]);
    }
}
