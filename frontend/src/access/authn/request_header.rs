//! Identities in headers, as authenticating proxies and aggregating servers send them. The proxy shows a certificate of
//! its own authority; without it the headers say nothing.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;

use super::{Authenticator, Authority, BadCredentials, certificate};
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
                let key = percent_decode(rest, false).to_lowercase();
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

#[async_trait]
impl Authenticator for RequestHeader {
    async fn authenticate(&self, request: &Request) -> Result<Option<User>, BadCredentials> {
        let Some(leaf) = request.peer.certificates.first() else { return Ok(None) };
        self.authority.verify(&request.peer.certificates)?;
        let name = certificate::common_name(leaf)?;
        let allowed = &self.settings.allowed_names;
        if !allowed.is_empty() && !allowed.contains(&name) {
            return Err(BadCredentials(format!("x509: subject with cn={name} is not in the allowed list")));
        }
        Ok(self.user(&request.headers))
    }

    fn identity_headers(&self) -> (&[String], &[String]) {
        (&self.names, &self.settings.extra_prefixes)
    }
}
