//! JSON Web Tokens (RFC 7519) with etcd's claims: `username`, `revision` of the auth store, `exp`. Every shim that has
//! the key accepts them; nothing is remembered.

use std::{collections::BTreeMap, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    TTL_DEFAULT, Verdict,
    keys::{Method, Signer, Verifier},
};
use crate::{
    auth::{Auth, AuthRefusal, Identity},
    config::duration,
};

pub struct Jwt {
    method: Method,
    ttl: Duration,
    /// `None` when only a public key was given.
    signer: Option<Signer>,
    verifier: Verifier,
}

impl Jwt {
    pub(super) fn from_options(options: &BTreeMap<&str, &str>) -> Result<Self, String> {
        for name in options.keys().filter(|name| !["sign-method", "pub-key", "priv-key", "ttl"].contains(*name)) {
            tracing::warn!("--auth-token: unknown option {name} of jwt");
        }
        let option = |name| options.get(name).copied().filter(|value: &&str| !value.is_empty());
        let ttl = match option("ttl") {
            Some(ttl) => duration::parse(ttl).ok_or_else(|| format!("ttl: {ttl:?} is no duration such as 10m"))?,
            None => TTL_DEFAULT,
        };
        let read =
            |name: &str, file: &str| std::fs::read(Path::new(file)).map_err(|error| format!("{name}: {file}: {error}"));
        let public = option("pub-key").map(|file| read("pub-key", file)).transpose()?;
        let private = option("priv-key").map(|file| read("priv-key", file)).transpose()?;
        let method: Method = option("sign-method").unwrap_or_default().parse()?;
        let (signer, verifier) = method.keys(public.as_deref(), private.as_deref())?;
        Ok(Self { method, ttl, signer, verifier })
    }

    pub(super) fn assign(&self, user: &str, auth: &Auth, now_ms: i64) -> Result<String, AuthRefusal> {
        let signer = self.signer.as_ref().ok_or(AuthRefusal::VerifyOnly)?;
        let end = now_ms / 1000 + i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX / 2);
        let header = json!({"alg": self.method.name(), "typ": "JWT"});
        let claims = json!({"exp": end, "revision": auth.revision(), "username": user});
        let text = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = signer.sign(text.as_bytes()).ok_or(AuthRefusal::AuthFailed)?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Neither need the user exist nor the revision be the newest: what they may do is asked later.
    pub(super) fn verify(&self, token: &str, now_ms: i64) -> Verdict {
        match self.claims(token).and_then(|claims| identity(&claims, now_ms)) {
            Some(identity) => Verdict::Known(identity),
            None => Verdict::Invalid,
        }
    }

    pub(super) fn claims(&self, token: &str) -> Option<Value> {
        let (text, signature) = token.rsplit_once('.')?;
        let (header, claims) = text.split_once('.').filter(|(_, claims)| !claims.contains('.'))?;
        if decoded(header)?.get("alg")? != self.method.name() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if self.verifier.is_valid(text.as_bytes(), &signature) { decoded(claims) } else { None }
    }
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decoded(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// `None` for a token that has ended, has not begun, or says too little.
fn identity(claims: &Value, now_ms: i64) -> Option<Identity> {
    let now = now_ms as f64 / 1000.0;
    if date(claims, "exp")?.is_some_and(|end| now >= end) || date(claims, "nbf")?.is_some_and(|begin| now < begin) {
        return None;
    }
    let name = claims.get("username")?.as_str()?.into();
    Some(Identity { name, revision: claims.get("revision")?.as_f64()? as u64 })
}

/// `Some(None)` when the claim is not made; 0 makes none.
fn date(claims: &Value, name: &str) -> Option<Option<f64>> {
    match claims.get(name) {
        None => Some(None),
        Some(value) => value.as_f64().map(|date| (date != 0.0).then_some(date)),
    }
}
