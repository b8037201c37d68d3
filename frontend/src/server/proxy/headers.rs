//! The headers of a request that is handed on: who asks, on whose behalf, and nothing that is meant for one hop only.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    client::{append_forwarded_for, remove_hop_headers},
    request::{Request, User},
};

/// Set by the server in front alone.
const ORIGINS: [&str; 4] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
];

/// The headers for the other server. Credentials and wishes to be somebody else were heeded already.
pub(super) fn forwarded(asked: &Request, authority: &str, user: &User) -> HeaderMap {
    let mut headers = asked.headers.clone();
    let upgrade = headers.get(header::UPGRADE).filter(|_| asked.upgrade.is_some()).cloned();
    remove_hop_headers(&mut headers);
    let drops = |name: &HeaderName| {
        let name = name.as_str();
        matches!(name, "authorization" | "host" | "x-remote-user" | "x-remote-uid" | "x-remote-group")
            || name.starts_with("x-remote-extra-")
            || name.starts_with("impersonate-")
    };
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| drops(name)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    append(&mut headers, "x-remote-user", &user.name);
    if !user.uid.is_empty() {
        append(&mut headers, "x-remote-uid", &user.uid);
    }
    user.groups.iter().for_each(|group| append(&mut headers, "x-remote-group", group));
    for (key, values) in &user.extra {
        let name = format!("x-remote-extra-{}", escape(key)).to_lowercase();
        values.iter().for_each(|value| append(&mut headers, &name, value));
    }
    if let Some(address) = asked.peer.address {
        append_forwarded_for(&mut headers, address.ip());
    }
    set(&mut headers, "x-forwarded-uri", asked.uri.path());
    set(&mut headers, "x-forwarded-host", authority);
    set(&mut headers, "x-forwarded-proto", "https");
    set(&mut headers, "audit-id", &asked.audit_id);
    headers
}

pub(super) fn strip_origins(headers: &mut HeaderMap) {
    ORIGINS.iter().for_each(|name| drop(headers.remove(*name)));
}

/// A value that no header can hold is left out.
fn append(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
    {
        headers.append(name, value);
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.remove(name);
    append(headers, name, value);
}

/// A key as the end of a header's name: what may not stand there is escaped.
fn escape(key: &str) -> String {
    let mut escaped = String::new();
    for byte in key.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
        match plain {
            true => escaped.push(char::from(byte)),
            // Writing to a string cannot fail.
            false => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::body::RequestBody;

    #[test]
    fn the_other_server_hears_who_asks_and_not_how_they_proved_it() {
        let given = [
            ("authorization", "Bearer secret"),
            ("impersonate-user", "else"),
            ("x-remote-user", "liar"),
            ("x-remote-extra-scopes", "all"),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("accept", "application/json"),
            ("host", "outside"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let uri = "/apis/g/v1/things?a=b".parse().unwrap();
        let asked = Request::local(&http::Method::GET, uri, headers, RequestBody::from_bytes("")).unwrap();
        let user = User {
            name: "jane".to_owned(),
            uid: "7".to_owned(),
            groups: vec!["a".to_owned(), "b".to_owned()],
            extra: vec![("example.org/Scopes".to_owned(), vec!["x".to_owned()])],
        };
        let sent = forwarded(&asked, "10.0.0.1:443", &user);
        let mut shown: Vec<String> =
            sent.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        shown.sort();
        let expected = [
            "accept: application/json",
            "audit-id: ",
            "x-forwarded-host: 10.0.0.1:443",
            "x-forwarded-proto: https",
            "x-forwarded-uri: /apis/g/v1/things",
            "x-remote-extra-example.org%2fscopes: x",
            "x-remote-group: a",
            "x-remote-group: b",
            "x-remote-uid: 7",
            "x-remote-user: jane",
        ];
        assert_eq!(shown, expected);
    }
}
