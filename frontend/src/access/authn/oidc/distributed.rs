//! Groups that a token does not hold itself: it says where they stand, in a token of their own.
//!
//! In: the claims of a token. Out: the same with the claim filled in. See OpenID Connect Core 1.0, 5.6.2.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

use super::{
    provider::Provider,
    verify::{Claims, Expected, claimed_issuer, verify},
};
use crate::client::Client;

const NAMES: &str = "_claim_names";
const SOURCES: &str = "_claim_sources";
const FETCH_TIME: Duration = Duration::from_secs(30);
/// So many issuers of claims are known at one time; one more makes all be found anew.
const ISSUERS_MAX: usize = 64;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    endpoint: String,
    access_token: String,
}

/// Fetches one claim.
pub(super) struct Resolver {
    claim: String,
    client: Client,
    /// By their URL.
    issuers: Mutex<HashMap<String, Arc<Provider>>>,
}

impl Resolver {
    pub(super) fn new(claim: &str, client: Client) -> Resolver {
        Resolver { claim: claim.to_owned(), client, issuers: Mutex::default() }
    }

    pub(super) async fn expand(
        &self,
        claims: &mut Claims,
        expected: &Expected,
        now: jiff::Timestamp,
    ) -> Result<(), String> {
        let Some(source) = self.source(claims)? else { return Ok(()) };
        if source.endpoint.is_empty() {
            return Ok(());
        }
        let value = self.fetch(&source, expected, now).await?;
        claims.insert(self.claim.clone(), value);
        Ok(())
    }

    /// Where the claim stands; none where the token has it, or says nothing of it.
    fn source(&self, claims: &Claims) -> Result<Option<Source>, String> {
        let Some(names) = claims.get(NAMES).filter(|_| !claims.contains_key(&self.claim)) else { return Ok(None) };
        let names: HashMap<String, String> = serde_json::from_value(names.clone())
            .map_err(|error| format!("oidc: error parsing distributed claim names: {error}"))?;
        let sources = claims.get(SOURCES).ok_or("oidc: no claim sources")?;
        let mut sources: HashMap<String, Source> = serde_json::from_value(sources.clone())
            .map_err(|error| format!("oidc: could not parse claim sources: {error}"))?;
        let Some(name) = names.get(&self.claim) else { return Ok(None) };
        let missing = || format!("id token _claim_names contained a source {name} missing in _claims_sources");
        sources.remove(name).map(Some).ok_or_else(missing)
    }

    async fn fetch(&self, source: &Source, expected: &Expected, now: jiff::Timestamp) -> Result<Value, String> {
        let token = self.token(source).await;
        let token = token.map_err(|why| format!("while getting distributed claim {:?}: {why}", self.claim))?;
        let issuer = claimed_issuer(&token).ok_or_else(|| {
            format!(
                "getting untrusted issuer from endpoint {} failed for claim {:?}: malformed token",
                source.endpoint, self.claim
            )
        })?;
        let provider = self.provider(&issuer);
        provider.discover().await;
        let keys = provider.keys().ok_or_else(|| {
            format!("verifying untrusted issuer {issuer} failed: verifier not initialized for issuer: {issuer:?}")
        })?;
        let mut claims = verify(&token, &issuer, expected, &keys, now)
            .await
            .map_err(|why| format!("verify distributed claim token: {why}"))?;
        claims.remove(&self.claim).ok_or_else(|| {
            format!(
                "jwt returned by distributed claim endpoint {:?} did not contain claim: {}",
                source.endpoint, self.claim
            )
        })
    }

    async fn token(&self, source: &Source) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        if !source.access_token.is_empty() {
            let value = HeaderValue::from_str(&format!("Bearer {}", source.access_token));
            let mut value = value.map_err(|_| "its access token is no header value")?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let reply = self.client.call(Method::GET, &source.endpoint, headers, Bytes::new(), FETCH_TIME).await;
        let reply = reply.map_err(|error| error.to_string())?;
        if !reply.status.is_success() {
            return Err(format!("error while getting distributed claim JWT: {}", reply.status));
        }
        let text = std::str::from_utf8(&reply.body).map_err(|_| "could not decode distributed claim response")?;
        Ok(text.trim().to_owned())
    }

    /// Claims may come of other issuers than the token: whom the token's issuer sends us to is believed.
    fn provider(&self, issuer: &str) -> Arc<Provider> {
        let mut issuers = self.issuers.lock();
        if issuers.len() >= ISSUERS_MAX && !issuers.contains_key(issuer) {
            issuers.clear();
        }
        let made = || Arc::new(Provider::of(issuer, "", self.client.clone()));
        Arc::clone(issuers.entry(issuer.to_owned()).or_insert_with(made))
    }
}
