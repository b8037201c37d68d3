//! Identities in headers, as authenticating proxies and aggregating servers send them. The proxy shows a certificate of
//! its own authority; without it the headers say nothing.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::HeaderMap;

use super::{Authenticator, Authority, BadCredentials};
use crate::{
    config,
    request::{Request, User, info::percent_decode},
};

/// Believes proxies.
pub struct RequestHeader {
    authority: Arc<Authority>,
    settings: config::RequestHeader,
    /// Headers of names, uids and groups.
    names: Vec<String>,
}

impl RequestHeader {
    pub fn new(authority: Arc<Authority>, settings: config::RequestHeader) -> RequestHeader {
        let lists = [&settings.username_headers, &settings.uid_headers, &settings.group_headers];
        let names = lists.into_iter().flatten().cloned().collect();
        RequestHeader { authority, settings, names }
    }

    fn user(&self, headers: &HeaderMap) -> Option<User> {
        let texts = |name: &String| -> Vec<String> {
            let values = headers.get_all(name.as_str()).iter().filter_map(|value| value.to_str().ok());
            values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
        };
        let first = |names: &[String]| {
            names.iter().find_map(|name| headers.get(name.as_str())?.to_str().ok().filter(|v| !v.is_empty()))
        };
        let name = first(&self.settings.username_headers)?.to_owned();
        let mut extra: Vec<(String, Vec<String>)> = Vec::new();
        for prefix in &self.settings.extra_prefixes {
            for header in headers.keys() {
                let Some(rest) = header.as_str().strip_prefix(prefix.as_str()) else { continue };
                let key = percent_decode(rest).to_lowercase();
                let values = headers.get_all(header).iter().filter_map(|v| v.to_str().ok()).map(str::to_owned);
                match extra.iter_mut().find(|(k, _)| *k == key) {
                    Some((_, all)) => all.extend(values),
                    None => extra.push((key, values.collect())),
                }
            }
        }
        extra.sort_unstable();
        Some(User {
            name,
            uid: first(&self.settings.uid_headers).unwrap_or_default().to_owned(),
            groups: self.settings.group_headers.iter().flat_map(texts).collect(),
            extra,
        })
    }
}

impl Authenticator for RequestHeader {
    fn authenticate<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Option<User>, BadCredentials>> {
        Box::pin(async move {
            if request.peer.certificates.is_empty() {
                return Ok(None);
            }
            let leaf = self.authority.verify(&request.peer.certificates).await?;
            let (name, allowed) = (&leaf.common_name, &self.settings.allowed_names);
            if !allowed.is_empty() && !allowed.contains(name) {
                return Err(BadCredentials(format!("x509: subject with cn={name} is not in the allowed list")));
            }
            Ok(self.user(&request.headers))
        })
    }

    fn identity_headers(&self) -> (&[String], &[String]) {
        (&self.names, &self.settings.extra_prefixes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::authn::{
            Anonymous, Authentication,
            certificate::tests::{authority, leaf},
        },
        request::body::RequestBody,
    };

    #[tokio::test]
    async fn headers_without_the_certificate_of_a_proxy_say_nothing() {
        let (own, foreign) = (authority(), authority());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxies.crt");
        std::fs::write(&file, own.pem()).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let settings = config::RequestHeader {
            client_ca_file: file.clone(),
            allowed_names: names(&["front"]),
            username_headers: names(&["x-remote-user"]),
            uid_headers: names(&["x-remote-uid"]),
            group_headers: names(&["x-remote-group"]),
            extra_prefixes: names(&["x-remote-extra-"]),
        };
        let way = RequestHeader::new(Authority::read("requestheader-client-ca-file", &file).unwrap(), settings);
        let authentication = Authentication {
            ways: vec![Arc::new(way)],
            tokens: Vec::new(),
            audiences: Vec::new(),
            anonymous: Anonymous::everywhere(true),
        };
        for (shown, user) in [
            (None, Ok("system:anonymous")),
            (Some(leaf("front", &foreign, 4000)), Err(())),
            (Some(leaf("other", &own, 4000)), Err(())),
            (Some(leaf("front", &own, 4000)), Ok("ann")),
        ] {
            let sent = [
                ("x-remote-user", "ann"),
                ("x-remote-group", "devs"),
                ("x-remote-group", "ops"),
                ("x-remote-extra-Scopes%2FA", "view"),
            ];
            let headers = sent.iter().map(|(n, v)| (n.to_lowercase().parse().unwrap(), v.parse().unwrap()));
            let headers: HeaderMap = headers.collect::<Vec<(http::HeaderName, http::HeaderValue)>>().into_iter().fold(
                HeaderMap::new(),
                |mut all, (name, value)| {
                    all.append(name, value);
                    all
                },
            );
            let uri = http::Uri::from_static("/api");
            let mut request = Request::local(&http::Method::GET, uri, headers, RequestBody::from_bytes("")).unwrap();
            request.peer.certificates = shown.into_iter().collect();
            let outcome = authentication.authenticate(&mut request).await;
            assert_eq!(outcome.as_ref().map(|user| user.name.as_str()).map_err(|_| ()), user);
            if user == Ok("ann") {
                let ann = outcome.unwrap();
                assert_eq!(ann.groups, ["devs", "ops", "system:authenticated"]);
                assert_eq!(ann.extra, [("scopes/a".to_owned(), vec!["view".to_owned()])]);
            }
            let left = request.headers.keys().filter(|name| name.as_str().starts_with("x-remote-")).count();
            assert_eq!(left, 0, "nobody further inwards sees who was named");
        }
    }
}
