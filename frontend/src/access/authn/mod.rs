//! Who makes a request: by client certificate, by bearer token, or nobody in particular.
//!
//! In: headers and the certificates of the connection. Out: a [`User`], or the 401 of the real server.
//! Not here: what the user may do (authz).

mod certificate;
mod token_file;

use std::sync::Arc;

use async_trait::async_trait;
pub use certificate::{CertificateAuthenticator, CertificateError};
pub use token_file::{TokenFile, TokenFileError};

use crate::request::{Request, User, Warnings, body::RequestBody, status::ApiError};

/// Credentials that were shown and are not good. The reason is for the log alone.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadCredentials(pub String);

/// One way to prove an identity.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// None: no credentials of this kind were shown.
    async fn authenticate(&self, request: &Request) -> Result<Option<User>, BadCredentials>;
}

/// All ways that this server knows, in order.
pub struct Authentication {
    ways: Vec<Arc<dyn Authenticator>>,
    anonymous: bool,
}

impl Authentication {
    pub fn new(ways: Vec<Arc<dyn Authenticator>>, anonymous: bool) -> Authentication {
        Authentication { ways, anonymous }
    }

    /// The first way that knows the user wins; bad credentials of one kind do not spoil good ones of another.
    pub async fn authenticate(&self, request: &Request) -> Result<User, ApiError> {
        let mut refusals = Vec::new();
        for way in &self.ways {
            match way.authenticate(request).await {
                Ok(Some(user)) => return Ok(user.with_authenticated_group()),
                Ok(None) => {}
                Err(why) => refusals.push(why.to_string()),
            }
        }
        if !refusals.is_empty() {
            return Err(ApiError::unauthorized().with_internal(refusals.join("; ")));
        }
        match self.anonymous {
            true => Ok(User::anonymous()),
            false => Err(ApiError::unauthorized()),
        }
    }

    /// Judges a token that came some other way than with the request, as TokenReview does.
    pub async fn authenticate_token(&self, token: &str) -> Result<User, BadCredentials> {
        let refused = || BadCredentials("invalid bearer token".to_owned());
        let mut headers = http::HeaderMap::new();
        let value = http::HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| refused())?;
        headers.insert(http::header::AUTHORIZATION, value);
        let uri = http::Uri::from_static("/");
        let request = Request::local(&http::Method::GET, uri, headers, RequestBody::from_bytes(""));
        let request = request.map_err(|_| refused())?;
        for way in &self.ways {
            if let Some(user) = way.authenticate(&request).await? {
                return Ok(user.with_authenticated_group());
            }
        }
        Err(refused())
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

/// The last of the ways where tokens are known at all: a token that no way knew is bad.
pub struct UnknownToken;

#[async_trait]
impl Authenticator for UnknownToken {
    async fn authenticate(&self, request: &Request) -> Result<Option<User>, BadCredentials> {
        match bearer_token(&request.headers, &request.warnings) {
            Some(_) => Err(BadCredentials("invalid bearer token".to_owned())),
            None => Ok(None),
        }
    }
}
