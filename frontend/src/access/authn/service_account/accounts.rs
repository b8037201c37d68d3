//! The keys and issuers of a server, and what they vouch for.

use std::{path::Path, sync::Arc};

use super::{claims::Claims, verified::Verified};
use crate::{
    access::{
        authn::{
            BadCredentials,
            jose::{self, Jws, KeyError, PrivateKey, PublicKey},
        },
        metrics::Metrics,
    },
    api::schema::Object,
    cluster::{Cluster, ResourceName},
    config,
    request::User,
};

/// The issuer of tokens that stand in secrets.
pub(super) const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
/// Clocks may differ by this much.
pub(super) const LEEWAY_SECONDS: i64 = 60;
pub(super) const ACCOUNTS: ResourceName<'static> = ("", "serviceaccounts");

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServiceAccountKeyError {
    #[error("--{flag}: cannot read {path:?}: {source}")]
    Unreadable { flag: &'static str, path: String, source: std::io::Error },
    #[error("--{flag}: {path:?}: {source}")]
    Unusable { flag: &'static str, path: String, source: KeyError },
}

/// Keys, issuers and what they sign and verify.
pub struct ServiceAccounts {
    pub(super) cluster: Arc<Cluster>,
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) keys: Vec<(String, PublicKey)>,
    pub(super) signer: Option<PrivateKey>,
    pub(super) settings: config::ServiceAccounts,
    pub(super) verified: Verified,
    metrics: Metrics,
}

impl ServiceAccounts {
    /// Reads the key files. `serving_key` checks tokens where no key file is given.
    pub fn read(
        cluster: Arc<Cluster>,
        settings: &config::ServiceAccounts,
        audiences: &[String],
        serving_key: Option<&Path>,
        metrics: &Metrics,
    ) -> Result<ServiceAccounts, ServiceAccountKeyError> {
        const KEYS: &str = "service-account-key-file";
        const SIGNER: &str = "service-account-signing-key-file";
        let mut keys: Vec<(String, PublicKey)> = Vec::new();
        let fallback = serving_key.filter(|_| settings.key_files.is_empty() && settings.signing_key_file.is_none());
        for path in settings.key_files.iter().map(AsRef::as_ref).chain(fallback) {
            let pem = read_file(KEYS, path)?;
            let found = jose::public_keys(&pem).map_err(|source| unusable(KEYS, path, source))?;
            keys.extend(found.into_iter().map(|key| (key.key_id(), key)));
        }
        let signer = match &settings.signing_key_file {
            Some(path) => {
                let pem = read_file(SIGNER, path)?;
                Some(jose::private_key(&pem).map_err(|source| unusable(SIGNER, path, source))?)
            }
            None => None,
        };
        Ok(ServiceAccounts {
            cluster,
            issuers: settings.issuers.clone(),
            audiences: audiences.to_vec(),
            keys,
            signer,
            settings: settings.clone(),
            verified: Verified::default(),
            metrics: metrics.clone(),
        })
    }

    /// Claims that one of our keys vouches for; none if the token is not of an issuer of ours.
    pub(super) fn verify(&self, token: &str) -> Result<Option<Arc<Claims>>, BadCredentials> {
        if let Some(claims) = self.verified.get(token) {
            self.metrics.looked_up(true);
            return Ok(Some(claims));
        }
        let Some(jws) = Jws::parse(token) else { return Ok(None) };
        let Some(issuer) = jws.claimed_issuer() else { return Ok(None) };
        if issuer != LEGACY_ISSUER && !self.issuers.contains(&issuer) {
            return Ok(None);
        }
        self.metrics.looked_up(false);
        let candidates = self.keys.iter().filter(|(id, _)| jws.key_id.is_empty() || *id == jws.key_id);
        let mut errors = Vec::new();
        for (_, key) in candidates {
            match jws.verified_by(key) {
                Ok(payload) => {
                    let claims: Claims = serde_json::from_slice(payload)
                        .map_err(|_| BadCredentials("the claims of the token cannot be read".to_owned()))?;
                    let claims = Arc::new(claims);
                    self.verified.put(token, Arc::clone(&claims));
                    self.metrics.fetched(true);
                    return Ok(Some(claims));
                }
                Err(error) => errors.push(error.to_string()),
            }
        }
        self.metrics.fetched(false);
        let why = crate::access::authz::aggregate(errors);
        Err(BadCredentials(why.unwrap_or_else(|| "invalid signature, no keys found".to_owned())))
    }

    /// An object as memory has it, or else as the store has it.
    pub(super) async fn find(&self, of: ResourceName<'_>, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.cluster.informer().find(of, namespace, name).await.ok().flatten()
    }

    pub(super) fn now_seconds(&self) -> i64 {
        self.cluster.clock.now().as_second()
    }
}

fn read_file(flag: &'static str, path: &Path) -> Result<Vec<u8>, ServiceAccountKeyError> {
    let shown = path.display().to_string();
    std::fs::read(path).map_err(|source| ServiceAccountKeyError::Unreadable { flag, path: shown, source })
}

fn unusable(flag: &'static str, path: &Path, source: KeyError) -> ServiceAccountKeyError {
    ServiceAccountKeyError::Unusable { flag, path: path.display().to_string(), source }
}

/// Groups that every account of a namespace is in.
fn account_groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

pub(super) fn account_user(namespace: &str, name: &str, uid: &str, extra: Vec<(String, Vec<String>)>) -> User {
    User {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        uid: uid.to_owned(),
        groups: account_groups(namespace),
        extra,
    }
}
