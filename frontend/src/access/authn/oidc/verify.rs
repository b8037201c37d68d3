//! Whether a token is of an issuer, for this server, of this time, and signed.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{keys::KeySet, quoted};
use crate::access::authn::jose::{
    Jws,
    claims::{audiences, seconds},
};

/// A token that begins to count later than now may do so if clocks differ by no more.
const LEEWAY_SECONDS: i64 = 60;
const GOOGLE: &str = "https://accounts.google.com";
/// What Google says in its tokens, and nobody else may.
const GOOGLE_WITHOUT_SCHEME: &str = "accounts.google.com";

pub(super) type Claims = Map<String, Value>;

/// The claims that every token is validated by.
#[derive(Deserialize)]
struct Standard {
    #[serde(default)]
    iss: String,
    #[serde(default, deserialize_with = "audiences")]
    aud: Vec<String>,
    #[serde(default, deserialize_with = "seconds")]
    exp: Option<i64>,
    #[serde(default, deserialize_with = "seconds")]
    nbf: Option<i64>,
    #[serde(default, rename = "_claim_names")]
    claim_names: Map<String, Value>,
    #[serde(default, rename = "_claim_sources")]
    claim_sources: Map<String, Value>,
}

/// What is asked of tokens.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// One of them must be among the token's; the list is not empty.
    pub(super) audiences: Vec<String>,
    pub(super) algorithms: Vec<String>,
}

/// Who a token says that it is of. Not to be believed before its signature is.
pub(super) fn claimed_issuer(token: &str) -> Option<String> {
    let issuer = Jws::parse(token)?.claimed_issuer()?;
    Some(if issuer == GOOGLE_WITHOUT_SCHEME { GOOGLE.to_owned() } else { issuer })
}

/// The claims of a token that is good.
pub(super) async fn verify(
    token: &str,
    issuer: &str,
    expected: &Expected,
    keys: &KeySet,
    now: jiff::Timestamp,
) -> Result<Claims, String> {
    let jws = Jws::parse(token).ok_or("oidc: malformed jwt: it has not the form of a signed token")?;
    let unmarshal = |error: serde_json::Error| format!("oidc: failed to unmarshal claims: {error}");
    let standard: Standard = serde_json::from_slice(jws.unverified_payload()).map_err(unmarshal)?;
    validate_claims(&standard, issuer, expected, now)?;
    if !expected.algorithms.contains(&jws.algorithm) {
        return Err(format!(
            "oidc: id token signed with unsupported algorithm, expected {} got {:?}",
            quoted(&expected.algorithms),
            jws.algorithm
        ));
    }
    keys.verify(&jws, now).await.map_err(|why| format!("failed to verify signature: {why}"))?;
    if !expected.audiences.iter().any(|audience| standard.aud.contains(audience)) {
        let mut wanted = expected.audiences.clone();
        wanted.sort_unstable();
        return Err(format!("oidc: expected audience in {} got {}", quoted(&wanted), quoted(&standard.aud)));
    }
    serde_json::from_slice(jws.unverified_payload()).map_err(unmarshal)
}

/// What can be told without a key.
fn validate_claims(standard: &Standard, issuer: &str, expected: &Expected, now: jiff::Timestamp) -> Result<(), String> {
    for source in standard.claim_names.values() {
        match source.as_str() {
            None | Some("") => return Err("oidc: failed to obtain source from claim name".to_owned()),
            Some(source) if !standard.claim_sources.contains_key(source) => {
                return Err("oidc: source does not exist".to_owned());
            }
            Some(_) => {}
        }
    }
    let of_google = issuer == GOOGLE && standard.iss == GOOGLE_WITHOUT_SCHEME;
    if standard.iss != issuer && !of_google {
        return Err(format!(
            "oidc: id token issued by a different provider, expected {issuer:?} got {:?}",
            standard.iss
        ));
    }
    if let [only] = expected.audiences.as_slice()
        && !standard.aud.contains(only)
    {
        return Err(format!("oidc: expected audience {only:?} got {}", quoted(&standard.aud)));
    }
    if standard.exp.is_none_or(|at| at < now.as_second()) {
        return Err(format!("oidc: token is expired (Token Expiry: {})", shown(standard.exp)));
    }
    if standard.nbf.is_some_and(|at| now.as_second() + LEEWAY_SECONDS < at) {
        return Err(format!(
            "oidc: current time {} before the nbf (not before) time: {}",
            shown(Some(now.as_second())),
            shown(standard.nbf)
        ));
    }
    Ok(())
}

/// A moment as Go prints it; none is Go's first one.
fn shown(seconds: Option<i64>) -> String {
    let at = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or_else(
        || "0001-01-01 00:00:00 +0000 UTC".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
    )
}
