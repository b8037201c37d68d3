//! All ways to prove an identity, one after the other.

use std::sync::Arc;

use super::{Anonymous, Authenticator, BadCredentials, Identity, TokenAuthenticator, websocket};
use crate::{
    access::authz::aggregate,
    request::{Request, User, Warnings, status::ApiError},
};

const INVALID_TOKEN: &str = "invalid bearer token";

/// All ways that this server knows, in order.
pub struct Authentication {
    pub ways: Vec<Arc<dyn Authenticator>>,
    pub tokens: Vec<Arc<dyn TokenAuthenticator>>,
    /// What a token must be meant for.
    pub audiences: Vec<String>,
    pub anonymous: Anonymous,
}

impl Authentication {
    /// The first way that knows the user wins; bad credentials of one kind do not spoil good ones of another. What was
    /// shown is taken out of the request.
    pub async fn authenticate(&self, request: &mut Request) -> Result<User, ApiError> {
        let found = self.find(request).await;
        request.headers.remove(http::header::AUTHORIZATION);
        websocket::strip_token(&mut request.headers);
        for way in &self.ways {
            let (names, prefixes) = way.identity_headers();
            remove_headers(&mut request.headers, names, prefixes);
        }
        match found {
            Ok(Some(user)) => Ok(user.with_authenticated_group()),
            Ok(None) if self.anonymous.admits(&request.info.path) => Ok(User::anonymous()),
            Ok(None) => Err(ApiError::unauthorized()),
            Err(why) => Err(ApiError::unauthorized().with_internal(why)),
        }
    }

    async fn find(&self, request: &Request) -> Result<Option<User>, BadCredentials> {
        let mut refusals = Vec::new();
        for way in &self.ways {
            match way.authenticate(request).await {
                Ok(Some(user)) => return Ok(Some(user)),
                Ok(None) => {}
                Err(why) => refusals.push(why.0),
            }
        }
        let token = bearer_token(&request.headers, &request.notes.warnings).map(str::to_owned);
        for token in [Ok(token), websocket::token(&request.headers)] {
            let Some(token) = token.unwrap_or_else(|why| {
                refusals.push(why.0);
                None
            }) else {
                continue;
            };
            match self.identify(&token, &self.audiences, &request.notes.warnings).await {
                Ok(identity) => return Ok(Some(identity.user)),
                Err(why) => refusals.push(why.0),
            }
        }
        aggregate(refusals).map_or(Ok(None), |why| Err(BadCredentials(why)))
    }

    /// Whose token this is. A token that nobody knows is bad.
    async fn identify(
        &self,
        token: &str,
        audiences: &[String],
        warnings: &Warnings,
    ) -> Result<Identity, BadCredentials> {
        let mut refusals = Vec::new();
        for kind in &self.tokens {
            match kind.authenticate(token, audiences, warnings).await {
                Ok(Some(identity)) => return Ok(identity),
                Ok(None) => {}
                Err(why) => refusals.push(why.0),
            }
        }
        Err(BadCredentials(aggregate(refusals).unwrap_or_else(|| INVALID_TOKEN.to_owned())))
    }

    /// Authenticates a token that came some other way than with the request, as TokenReview does. What is wrong is told
    /// as the real server tells it, whose own token is asked about first.
    pub async fn review(&self, token: &str, audiences: &[String]) -> Result<Identity, BadCredentials> {
        let asked = if audiences.is_empty() { &self.audiences } else { audiences };
        let token = token.trim().split(' ').next().unwrap_or_default();
        match self.identify(token, asked, &Warnings::default()).await {
            Ok(identity) => Ok(Identity { user: identity.user.with_authenticated_group(), ..identity }),
            Err(why) => {
                let both = aggregate(vec![INVALID_TOKEN.to_owned(), why.0]);
                Err(BadCredentials(both.unwrap_or_default()))
            }
        }
    }
}

fn remove_headers(headers: &mut http::HeaderMap, names: &[String], prefixes: &[String]) {
    let doomed = |name: &str| names.iter().any(|n| n == name) || prefixes.iter().any(|p| name.starts_with(p.as_str()));
    let found: Vec<http::HeaderName> = headers.keys().filter(|name| doomed(name.as_str())).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// The token of an `Authorization: Bearer` header. Other schemes and malformed headers count as no token.
fn bearer_token<'a>(headers: &'a http::HeaderMap, warnings: &Warnings) -> Option<&'a str> {
    let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.trim();
    let mut parts = value.splitn(3, ' ');
    if !parts.next()?.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let token = parts.next()?;
    if token.is_empty() {
        if parts.next().is_some() {
            warnings
                .add("the provided Authorization header contains extra space before the bearer token, and is ignored");
        }
        return None;
    }
    Some(token)
}
