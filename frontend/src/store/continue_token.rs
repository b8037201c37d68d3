//! The token by which a client asks for the next page of a list.
//!
//! Unpadded base64url of `{"v":"meta.k8s.io/v1","rv":N,"start":"..."}`, where `start` is the next key relative to the
//! resource's prefix, with a leading slash. Clients hold tokens of other servers of the same store, so the form is
//! kube-apiserver's.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

const VERSION: &str = "meta.k8s.io/v1";

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continue {
    /// The first key of the next page, whole.
    pub start_key: String,
    /// The revision of the list; -1: the next page is read at the current revision (an expired token's continuation).
    pub revision: i64,
}

/// Why a token was refused; the text is what a client is told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BadToken {
    #[error("continue key is not valid: {0}")]
    Invalid(String),
    /// What stands in the token is no JSON of the right form.
    #[error("continue key is not valid: {error}")]
    Json { text: Vec<u8>, error: std::sync::Arc<serde_json::Error> },
    #[error("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")]
    StartRevision,
    #[error("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")]
    EmptyStart,
    #[error("continue key is not valid: server does not recognize this encoded version {0}")]
    Version(String),
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

impl Continue {
    /// The token for the page after `last_key`. `prefix` ends in a slash and is a prefix of the key.
    pub fn after(last_key: &str, prefix: &str, revision: i64) -> Option<String> {
        Continue { start_key: format!("{last_key}\0"), revision }.encode(prefix)
    }

    /// None when the key does not lie in `prefix` (which ends in a slash).
    pub fn encode(&self, prefix: &str) -> Option<String> {
        let start = format!("/{}", self.start_key.strip_prefix(prefix)?);
        let wire = Wire { v: VERSION.to_owned(), rv: self.revision, start };
        Some(URL_SAFE_NO_PAD.encode(go_json(&wire)))
    }

    /// Reads a client's token; the key it yields always lies in `prefix` (which ends in a slash).
    pub fn decode(token: &str, prefix: &str) -> Result<Continue, BadToken> {
        let raw = URL_SAFE_NO_PAD.decode(token).map_err(|error| BadToken::Invalid(go_base64_error(token, &error)))?;
        let wire: Wire = serde_json::from_slice(&raw)
            .map_err(|error| BadToken::Json { text: raw.clone(), error: std::sync::Arc::new(error) })?;
        if wire.v != VERSION {
            return Err(BadToken::Version(wire.v));
        }
        if wire.rv == 0 {
            return Err(BadToken::StartRevision);
        }
        if wire.start.is_empty() {
            return Err(BadToken::EmptyStart);
        }
        let relative = wire.start.strip_prefix('/').unwrap_or(&wire.start);
        if !is_clean(relative) {
            return Err(BadToken::Invalid(wire.start.clone()));
        }
        Ok(Continue { start_key: format!("{prefix}{relative}"), revision: wire.rv })
    }
}

/// Where Go's decoder stops.
fn go_base64_error(token: &str, error: &base64::DecodeError) -> String {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => *at,
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => token.len() / 4 * 4,
    };
    format!("illegal base64 data at input byte {at}")
}

/// A path with nothing to resolve: a token must not climb out of its prefix.
fn is_clean(relative: &str) -> bool {
    relative.is_empty() || relative.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Go's encoding/json escapes these three; the NUL that ends most start keys is escaped by both.
fn go_json(wire: &Wire) -> String {
    let text = format!(
        "{{\"v\":{},\"rv\":{},\"start\":{}}}",
        serde_json::Value::from(wire.v.as_str()),
        wire.rv,
        serde_json::Value::from(wire.start.as_str())
    );
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "/registry/pods/default/";

    #[test]
    fn a_token_is_readable_text_and_comes_back() {
        let token = Continue::after("/registry/pods/default/a", PREFIX, 42).unwrap();
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(&token).unwrap()).unwrap();
        assert_eq!(text, r#"{"v":"meta.k8s.io/v1","rv":42,"start":"/a\u0000"}"#);
        let back = Continue::decode(&token, PREFIX).unwrap();
        assert_eq!(back, Continue { start_key: "/registry/pods/default/a\0".into(), revision: 42 });
    }

    #[test]
    fn bad_tokens_are_told_apart() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let decode = |text: &str| Continue::decode(&encode(text), PREFIX);
        assert!(matches!(Continue::decode("%%%", PREFIX), Err(BadToken::Invalid(_))));
        assert!(matches!(decode("{"), Err(BadToken::Json { .. })));
        assert!(matches!(decode(r#"{"v":"meta.k8s.io/v1","start":"a"}"#), Err(BadToken::StartRevision)));
        assert!(matches!(decode(r#"{"v":"meta.k8s.io/v1","rv":1}"#), Err(BadToken::EmptyStart)));
        assert!(
            matches!(decode(r#"{"v":"v2","rv":1,"start":"a"}"#), Err(BadToken::Version(version)) if version == "v2")
        );
        for climbing in ["../secrets/a", "/../a", "a/../../b", "a//b", "./a"] {
            let token = encode(&format!(r#"{{"v":"meta.k8s.io/v1","rv":1,"start":"{climbing}"}}"#));
            assert!(matches!(Continue::decode(&token, PREFIX), Err(BadToken::Invalid(_))), "{climbing}");
        }
    }
}
