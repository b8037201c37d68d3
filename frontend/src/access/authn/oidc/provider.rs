//! An issuer's discovery document, and the keys that it names.

use std::{sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;

use super::{configuration::IssuerSettings, keys::KeySet};
use crate::client::{Client, Peer};

const DOCUMENT: &str = "/.well-known/openid-configuration";
const DISCOVERY_TIME: Duration = Duration::from_secs(30);

/// An issuer as far as it is known. Issuers may run on the very cluster that is started: until one answers, its tokens
/// are refused and nothing else waits.
pub(super) struct Provider {
    issuer: String,
    document: String,
    client: Client,
    keys: ArcSwapOption<KeySet>,
    failure: ArcSwap<String>,
}

impl Provider {
    pub(super) fn new(settings: &IssuerSettings) -> Result<Provider, String> {
        let ca = settings.certificate_authority.clone().into_bytes();
        let client = Client::new(&Peer { ca, ..Peer::default() }).map_err(|error| error.to_string())?;
        Ok(Provider::of(&settings.url, &settings.discovery_url, client))
    }

    /// `document` is where discovery starts; empty: where the issuer's URL says.
    pub(super) fn of(issuer: &str, document: &str, client: Client) -> Provider {
        let document = match document {
            "" => format!("{}{DOCUMENT}", issuer.strip_suffix('/').unwrap_or(issuer)),
            document => document.to_owned(),
        };
        let failure = format!("oidc: authenticator for issuer {issuer:?} is not initialized");
        Provider {
            issuer: issuer.to_owned(),
            document,
            client,
            keys: ArcSwapOption::empty(),
            failure: ArcSwap::from_pointee(failure),
        }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// None before discovery has succeeded.
    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// What the last discovery failed at.
    pub(super) fn failure(&self) -> Option<String> {
        match self.keys.load().is_some() {
            true => None,
            false => Some(self.failure.load().to_string()),
        }
    }

    /// Asks the issuer where its keys are. Once it has said so it is not asked again.
    pub(super) async fn discover(&self) {
        if self.keys.load().is_some() {
            return;
        }
        match self.key_address().await {
            Ok(url) => self.keys.store(Some(Arc::new(KeySet::new(self.client.clone(), url)))),
            Err(why) => {
                tracing::error!(issuer = self.issuer, why, "oidc authenticator: initializing plugin");
                self.failure.store(Arc::new(why));
            }
        }
    }

    async fn key_address(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Document {
            #[serde(default)]
            issuer: String,
            #[serde(default)]
            jwks_uri: String,
        }
        let reply = self.client.call(Method::GET, &self.document, HeaderMap::new(), Bytes::new(), DISCOVERY_TIME).await;
        let reply = reply.map_err(|error| error.to_string())?;
        if reply.status != http::StatusCode::OK {
            return Err(format!("{}: {}", reply.status, String::from_utf8_lossy(&reply.body)));
        }
        let found: Document = serde_json::from_slice(&reply.body)
            .map_err(|error| format!("oidc: failed to decode provider discovery object: {error}"))?;
        if found.issuer != self.issuer {
            return Err(format!(
                "oidc: issuer did not match the issuer returned by provider, expected {:?} got {:?}",
                self.issuer, found.issuer
            ));
        }
        match found.jwks_uri.as_str() {
            "" => Err("provider did not return JWKS URL".to_owned()),
            _ => Ok(found.jwks_uri),
        }
    }
}
