//! The public keys of an issuer, fetched and kept.
//!
//! Keys that were fetched are good until a token cannot be verified by them: then they are fetched again, unless the
//! answer that they came in was said to count for longer. Callers that want keys at one time share one fetch.

use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{
    access::authn::jose::{Jws, PublicKey},
    client::Client,
};

const FETCH_TIME: Duration = Duration::from_secs(30);
/// Keys beyond these are not looked at.
const KEYS_MAX: usize = 256;
/// Fetched again so long before they run out.
const EARLY_SECONDS: i64 = 30;
const NOT_VERIFIED: &str = "failed to verify id token signature";

#[derive(Default)]
struct Keys {
    /// Each with the name that tokens call it by.
    keys: Vec<(String, PublicKey)>,
    /// In seconds since 1970.
    expiry: i64,
}

/// A fetch that others waited for.
#[derive(Default)]
struct LastFetch {
    count: u64,
    error: Option<String>,
}

pub(super) struct KeySet {
    client: Client,
    url: String,
    kept: ArcSwap<Keys>,
    fetching: Mutex<LastFetch>,
    fetches: std::sync::atomic::AtomicU64,
}

impl KeySet {
    pub(super) fn new(client: Client, url: String) -> KeySet {
        KeySet {
            client,
            url,
            kept: ArcSwap::from_pointee(Keys::default()),
            fetching: Mutex::default(),
            fetches: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Whether one of the keys signed the token.
    pub(super) async fn verify(&self, jws: &Jws<'_>, now: jiff::Timestamp) -> Result<(), String> {
        let seen = self.fetches.load(std::sync::atomic::Ordering::Acquire);
        let kept = self.kept.load_full();
        if kept.signed(jws) {
            return Ok(());
        }
        if now.as_second() + EARLY_SECONDS <= kept.expiry {
            return Err(NOT_VERIFIED.to_owned());
        }
        self.fetch(seen, now).await.map_err(|why| format!("fetching keys {why}"))?;
        match self.kept.load().signed(jws) {
            true => Ok(()),
            false => Err(NOT_VERIFIED.to_owned()),
        }
    }

    /// Fetches, or waits for the fetch of another that began after `seen` ones had ended.
    async fn fetch(&self, seen: u64, now: jiff::Timestamp) -> Result<(), String> {
        let mut last = self.fetching.lock().await;
        if last.count > seen {
            return last.error.clone().map_or(Ok(()), Err);
        }
        let outcome = self.fetched(now).await;
        last.count += 1;
        last.error = outcome.as_ref().err().cloned();
        if let Ok(keys) = outcome {
            self.kept.store(std::sync::Arc::new(keys));
        }
        self.fetches.store(last.count, std::sync::atomic::Ordering::Release);
        last.error.clone().map_or(Ok(()), Err)
    }

    async fn fetched(&self, now: jiff::Timestamp) -> Result<Keys, String> {
        #[derive(Deserialize)]
        struct Document {
            #[serde(default)]
            keys: Vec<serde_json::Value>,
        }
        let reply = self.client.call(Method::GET, &self.url, HeaderMap::new(), Bytes::new(), FETCH_TIME).await;
        let reply = reply.map_err(|error| format!("oidc: get keys failed {error}"))?;
        if reply.status != http::StatusCode::OK {
            return Err(format!("oidc: get keys failed: {}", reply.status));
        }
        let document: Document =
            serde_json::from_slice(&reply.body).map_err(|error| format!("oidc: failed to decode keys: {error}"))?;
        let keys = document.keys.iter().take(KEYS_MAX).filter_map(|jwk| {
            let name = jwk["kid"].as_str().unwrap_or_default().to_owned();
            // Keys of kinds that no token can be verified by are left out.
            Some((name, PublicKey::from_jwk(jwk).ok()?))
        });
        Ok(Keys { keys: keys.collect(), expiry: now.as_second() + lifetime_seconds(&reply.headers) })
    }
}

impl Keys {
    fn signed(&self, jws: &Jws<'_>) -> bool {
        let mut candidates = self.keys.iter().filter(|(name, _)| jws.key_id.is_empty() || *name == jws.key_id);
        candidates.any(|(_, key)| jws.verified_by(key).is_ok())
    }
}

/// How long an answer says that it counts, for a cache that several use. Nothing said is no time at all.
fn lifetime_seconds(headers: &HeaderMap) -> i64 {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let words: Vec<String> =
        values.flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_lowercase()).collect();
    if words.iter().any(|word| matches!(word.split('=').next(), Some("no-store" | "no-cache" | "private"))) {
        return 0;
    }
    let seconds = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.trim_matches('"').parse().ok());
    let told = seconds("s-maxage=").or_else(|| seconds("max-age="));
    told.or_else(|| until_expires(headers)).unwrap_or(0_i64).max(0)
}

fn until_expires(headers: &HeaderMap) -> Option<i64> {
    let moment = |name: header::HeaderName| {
        let text = headers.get(name)?.to_str().ok()?;
        jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp().as_second())
    };
    Some(moment(header::EXPIRES)? - moment(header::DATE)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_how_long_they_count() {
        for (given, seconds) in [
            (&[][..], 0),
            (&[("cache-control", "max-age=60")], 60),
            (&[("cache-control", "public, max-age=60, s-maxage=90")], 90),
            (&[("cache-control", "max-age=60"), ("cache-control", "no-store")], 0),
            (&[("cache-control", "private, max-age=60")], 0),
            (&[("expires", "Thu, 01 Jan 2026 01:00:00 GMT"), ("date", "Thu, 01 Jan 2026 00:00:00 GMT")], 3600),
            (&[("expires", "0")], 0),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(lifetime_seconds(&headers), seconds, "{given:?}");
        }
    }
}
