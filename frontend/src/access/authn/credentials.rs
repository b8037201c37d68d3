//! What a way to prove an identity must be able to do.

use async_trait::async_trait;

use crate::request::{Request, User, Warnings};

/// Credentials that were shown and are not good. The reason is for the log, and for those who may review tokens.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadCredentials(pub String);

/// One way to prove an identity with a request.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// None: no credentials of this kind were shown.
    async fn authenticate(&self, request: &Request) -> Result<Option<User>, BadCredentials>;

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
#[async_trait]
pub trait TokenAuthenticator: Send + Sync {
    /// None: the token is not of this kind.
    async fn authenticate(
        &self,
        token: &str,
        audiences: &[String],
        warnings: &Warnings,
    ) -> Result<Option<Identity>, BadCredentials>;
}

/// Tokens of a kind that knows no audiences.
#[async_trait]
pub trait TokenLookup: Send + Sync {
    async fn user(&self, token: &str) -> Result<Option<User>, BadCredentials>;
}

/// Such tokens are good for the audiences of this server.
pub struct ForAudiences<T> {
    pub tokens: T,
    pub audiences: Vec<String>,
}

#[async_trait]
impl<T: TokenLookup> TokenAuthenticator for ForAudiences<T> {
    async fn authenticate(
        &self,
        token: &str,
        audiences: &[String],
        _: &Warnings,
    ) -> Result<Option<Identity>, BadCredentials> {
        let own = &self.audiences;
        let common: Vec<String> = audiences.iter().filter(|audience| own.contains(audience)).cloned().collect();
        if common.is_empty() && !own.is_empty() {
            return Ok(None);
        }
        Ok(self.tokens.user(token).await?.map(|user| Identity { user, audiences: common }))
    }
}
