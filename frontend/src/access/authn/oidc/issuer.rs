//! One issuer whose tokens are believed.

use super::{
    configuration::Jwt,
    distributed::Resolver,
    mapping::{Mappings, Origin},
    provider::Provider,
    verify::{Expected, claimed_issuer, verify},
};
use crate::{access::authn::BadCredentials, request::User};

pub(super) struct Issuer {
    provider: Provider,
    expected: Expected,
    mappings: Mappings,
    /// Of groups that tokens do not hold themselves.
    resolver: Option<Resolver>,
}

impl Issuer {
    pub(super) fn new(jwt: &Jwt, mappings: Mappings, algorithms: &[String]) -> Result<Issuer, String> {
        let selector = &jwt.issuer.egress_selector_type;
        if !selector.is_empty() {
            return Err(format!("oidc: egress lookup required with egress selector type {selector:?}"));
        }
        let provider = Provider::new(&jwt.issuer)?;
        let resolver = match &mappings.groups {
            Origin::Claim { name, .. } => Some(Resolver::new(name, provider.client().clone())),
            _ => None,
        };
        let expected = Expected { audiences: jwt.issuer.audiences.clone(), algorithms: algorithms.to_vec() };
        Ok(Issuer { provider, expected, mappings, resolver })
    }

    pub(super) fn name(&self) -> &str {
        self.provider.issuer()
    }

    pub(super) async fn discover(&self) {
        self.provider.discover().await;
    }

    /// Why its tokens cannot be verified yet.
    pub(super) fn failure(&self) -> Option<String> {
        let why = self.provider.failure()?;
        Some(format!("oidc: authenticator for issuer {:?} is not healthy: {why}", self.provider.issuer()))
    }

    /// None: the token is not of this issuer.
    pub(super) async fn user(&self, token: &str, now: jiff::Timestamp) -> Result<Option<User>, BadCredentials> {
        let issuer = self.provider.issuer();
        if claimed_issuer(token).as_deref() != Some(issuer) {
            return Ok(None);
        }
        self.validate(token, now).await.map(Some).map_err(BadCredentials)
    }

    async fn validate(&self, token: &str, now: jiff::Timestamp) -> Result<User, String> {
        let keys = self.provider.keys().ok_or("oidc: authenticator not initialized")?;
        let claims = verify(token, self.provider.issuer(), &self.expected, &keys, now).await;
        let mut claims = claims.map_err(|why| format!("oidc: verify token: {why}"))?;
        if let Some(resolver) = &self.resolver {
            let expanded = resolver.expand(&mut claims, &self.expected, now).await;
            expanded.map_err(|why| format!("oidc: could not expand distributed claims: {why}"))?;
        }
        self.mappings.user(&claims)
    }
}
