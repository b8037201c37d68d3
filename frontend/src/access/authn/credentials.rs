//! What a way to prove an identity must be able to do.

use futures::future::BoxFuture;

use crate::request::{Request, User, Warnings};

/// Credentials that were shown and are not good. The reason is for the log, and for those who may review tokens.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadCredentials(pub String);

/// One way to prove an identity with a request.
pub trait Authenticator: Send + Sync {
    /// None: no credentials of this kind were shown.
    fn authenticate<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Option<User>, BadCredentials>>;

    /// Headers, by name and by prefix, that carry the identity: nobody further inwards must believe them.
    fn identity_headers(&self) -> (&[String], &[String]) {
        (&[], &[])
    }
}

/// A user, and which of the audiences that were asked for may believe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user: User,
    pub audiences: Vec<String>,
}

/// One kind of bearer token.
pub trait TokenAuthenticator: Send + Sync {
    /// None: the token is not of this kind.
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
        warnings: &'a Warnings,
    ) -> BoxFuture<'a, Result<Option<Identity>, BadCredentials>>;
}

/// Tokens of a kind that knows no audiences.
pub trait TokenLookup: Send + Sync {
    fn user<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, BadCredentials>>;
}

/// Such tokens are good for the audiences of this server.
pub struct ForAudiences<T> {
    pub tokens: T,
    pub audiences: Vec<String>,
}

impl<T: TokenLookup> TokenAuthenticator for ForAudiences<T> {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
        _: &'a Warnings,
    ) -> BoxFuture<'a, Result<Option<Identity>, BadCredentials>> {
        Box::pin(async move {
            let own = &self.audiences;
            let common: Vec<String> = audiences.iter().filter(|audience| own.contains(audience)).cloned().collect();
            if common.is_empty() && !own.is_empty() {
                return Ok(None);
            }
            Ok(self.tokens.user(token).await?.map(|user| Identity { user, audiences: common }))
        })
    }
}
