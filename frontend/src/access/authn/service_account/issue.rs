//! Tokens for those who may ask for them.

use std::time::Duration;

use super::{
    ServiceAccounts,
    claims::{Claims, Kubernetes, Reference},
};
use crate::{access::authn::jose, api::schema::Object};

/// Pods that ask for just this long get tokens that live on for a year, with a mark from when on they count as stale.
const EXTENDED: i64 = 3607;
const EXTENDED_TO: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a token is wanted for.
pub struct Wish<'a> {
    pub account: &'a Object,
    pub audiences: &'a [String],
    pub expiration_seconds: i64,
    pub bound: Bound<'a>,
}

/// What a token shall die with, beside its account.
pub enum Bound<'a> {
    Nothing,
    /// A pod, and the name and uid of the node that it is on.
    Pod(&'a Object, Option<(String, String)>),
    Secret(&'a Object),
    Node(&'a Object),
}

/// A token and how long it may be relied on.
pub struct Issued {
    pub token: String,
    pub id: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("this server has no --service-account-signing-key-file and no --service-account-issuer")]
    NoSigner,
    #[error("failed to generate token: {0}")]
    Failed(String),
}

impl ServiceAccounts {
    /// What a token is for when nothing is said.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The longest that a token may live, if there is a limit.
    pub fn max_expiration_seconds(&self) -> Option<i64> {
        self.settings.max_expiration.map(|max| i64::try_from(max.as_secs()).unwrap_or(i64::MAX))
    }

    pub fn can_issue(&self) -> bool {
        self.signer.is_some() && !self.issuers.is_empty()
    }

    pub fn issue(&self, wish: &Wish<'_>) -> Result<Issued, TokenError> {
        let (Some(signer), Some(issuer)) = (&self.signer, self.issuers.first()) else {
            return Err(TokenError::NoSigner);
        };
        let now = self.now_seconds();
        let lives_on = self.settings.extend_expiration
            && matches!(wish.bound, Bound::Pod(..))
            && wish.expiration_seconds == EXTENDED
            && wish.audiences.iter().all(|audience| self.audiences.contains(audience));
        let (seconds, warnafter) = match lives_on {
            true => (
                self.max_expiration_seconds().unwrap_or(EXTENDED_TO.as_secs() as i64),
                Some(now + wish.expiration_seconds),
            ),
            false => (wish.expiration_seconds, None),
        };
        let id = uuid::Uuid::new_v4().to_string();
        let mut kubernetes = Kubernetes {
            namespace: wish.account.namespace().to_owned(),
            serviceaccount: Reference::to(wish.account),
            warnafter,
            ..Kubernetes::default()
        };
        match &wish.bound {
            Bound::Nothing => {}
            Bound::Pod(pod, node) => {
                kubernetes.pod = Some(Reference::to(pod));
                kubernetes.node = node.clone().map(|(name, uid)| Reference { name, uid });
            }
            Bound::Secret(secret) => kubernetes.secret = Some(Reference::to(secret)),
            Bound::Node(node) => kubernetes.node = Some(Reference::to(node)),
        }
        let claims = Claims {
            aud: wish.audiences.to_vec(),
            exp: Some(now + seconds),
            iat: Some(now),
            iss: issuer.clone(),
            jti: id.clone(),
            nbf: Some(now),
            sub: format!("system:serviceaccount:{}:{}", wish.account.namespace(), wish.account.name()),
            kubernetes: Some(kubernetes),
            ..Claims::default()
        };
        let payload = serde_json::to_vec(&claims).map_err(|error| TokenError::Failed(error.to_string()))?;
        let token = jose::sign(signer, &payload).map_err(|error| TokenError::Failed(error.to_string()))?;
        Ok(Issued { token, id })
    }
}
