use std::sync::Arc;

use futures::future::BoxFuture;

use super::*;
use crate::request::{Request, User, body::RequestBody};

/// Knows tokens of the form `KIND:NAME`; `KIND:!WHY` is refused.
struct Kind(&'static str);

impl TokenLookup for Kind {
    fn user<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, BadCredentials>> {
        Box::pin(async move {
            let Some(name) = token.strip_prefix(self.0).and_then(|rest| rest.strip_prefix(':')) else {
                return Ok(None);
            };
            match name.strip_prefix('!') {
                Some(why) => Err(BadCredentials(why.to_owned())),
                None => Ok(Some(User { name: name.to_owned(), ..User::default() })),
            }
        })
    }
}

fn authentication(anonymous: Anonymous) -> Authentication {
    let kind = |name| -> Arc<dyn TokenAuthenticator> {
        Arc::new(ForAudiences { tokens: Kind(name), audiences: vec!["api".into()] })
    };
    Authentication { ways: Vec::new(), tokens: vec![kind("a"), kind("b")], audiences: vec!["api".into()], anonymous }
}

fn request(path: &'static str, headers: &[(&'static str, &str)]) -> Request {
    let headers = headers.iter().map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap())).collect();
    Request::local(&http::Method::GET, http::Uri::from_static(path), headers, RequestBody::from_bytes("")).unwrap()
}

#[tokio::test]
async fn tokens_are_tried_in_order_and_bad_ones_are_nobody() {
    let authentication = authentication(Anonymous::everywhere(true));
    let cases = [
        (vec![], Ok("system:anonymous")),
        (vec![("authorization", "Bearer a:ann")], Ok("ann")),
        (vec![("authorization", "bearer b:bob")], Ok("bob")),
        (vec![("authorization", "Bearer b:bob more")], Ok("bob")),
        (vec![("authorization", "Basic YTpi")], Ok("system:anonymous")),
        (vec![("authorization", "Bearer")], Ok("system:anonymous")),
        (vec![("authorization", "Bearer c:cid")], Err("invalid bearer token")),
        (vec![("authorization", "Bearer a:!late")], Err("late")),
    ];
    for (headers, expected) in cases {
        let mut request = request("/api", &headers);
        let outcome = authentication.authenticate(&mut request).await;
        match expected {
            Ok(name) => assert_eq!(outcome.unwrap().name, name, "{headers:?}"),
            Err(why) => {
                let error = outcome.unwrap_err();
                assert_eq!((error.code, error.internal.as_deref()), (401, Some(why)), "{headers:?}");
            }
        }
        assert!(request.headers.get("authorization").is_none(), "{headers:?}: nobody further inwards sees the token");
    }
}

#[tokio::test]
async fn anonymous_requests_may_be_for_some_paths_alone() {
    let some = Anonymous { enabled: true, paths: vec!["/livez".into()] };
    for (anonymous, path, admitted) in [
        (Anonymous::everywhere(true), "/api", true),
        (Anonymous::everywhere(false), "/livez", false),
        (some.clone(), "/livez", true),
        (some.clone(), "/livez/etcd", false),
        (some, "/api", false),
    ] {
        let outcome = authentication(anonymous.clone()).authenticate(&mut request(path, &[])).await;
        assert_eq!(outcome.is_ok(), admitted, "{anonymous:?} {path}");
    }
}

#[tokio::test]
async fn reviews_tell_what_is_wrong() {
    let authentication = authentication(Anonymous::default());
    let cases: [(&str, &[&str], Result<&str, &str>); 6] = [
        ("a:ann", &[], Ok("ann")),
        ("a:ann", &["x", "api"], Ok("ann")),
        ("a:ann", &["x"], Err("invalid bearer token")),
        ("Bearer a:ann", &[], Err("invalid bearer token")),
        ("nothing", &[], Err("invalid bearer token")),
        ("a:!late", &[], Err("[invalid bearer token, late]")),
    ];
    for (token, audiences, expected) in cases {
        let audiences: Vec<String> = audiences.iter().map(|a| (*a).to_owned()).collect();
        let outcome = authentication.review(token, &audiences).await;
        let shown = outcome.as_ref().map(|i| i.user.name.as_str()).map_err(|why| why.0.as_str());
        assert_eq!(shown, expected, "{token} {audiences:?}");
    }
}

#[tokio::test]
async fn a_websocket_may_carry_the_token_as_a_subprotocol() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let protocol =
        |token: &str| format!("base64url.bearer.authorization.k8s.io.{}", BASE64_URL_SAFE_NO_PAD.encode(token));
    let authentication = authentication(Anonymous::everywhere(true));
    let ann = protocol("a:ann");
    for (protocols, expected) in [
        (format!("{ann}, v5.channel.k8s.io"), Ok("ann")),
        (ann.clone(), Err(())),
        (format!("{ann}, {ann}, x"), Err(())),
        (format!("{}, x", protocol("c:cid")), Err(())),
        ("v5.channel.k8s.io".to_owned(), Ok("system:anonymous")),
    ] {
        let headers =
            [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", protocols.as_str())];
        let mut request = request("/api", &headers);
        let outcome = authentication.authenticate(&mut request).await;
        assert_eq!(outcome.as_ref().map(|user| user.name.as_str()).map_err(|_| ()), expected, "{protocols}");
        let left = request.headers.get("sec-websocket-protocol").map(|v| v.to_str().unwrap().to_owned());
        assert!(left.is_none_or(|left| !left.contains("bearer")), "{protocols}");
    }
}
