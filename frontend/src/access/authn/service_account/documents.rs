//! The two documents by which others check our tokens.

use serde_json::{Value, json};

use super::ServiceAccounts;

pub const OPENID_CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
pub const JWKS_PATH: &str = "/openid/v1/jwks";

/// What is served; none where the issuer is no URL that a client could look them up at.
pub struct Documents {
    pub configuration: Option<String>,
    pub keys: Option<String>,
}

impl Documents {
    pub fn of(accounts: &ServiceAccounts, advertised: &str) -> Documents {
        let https = |uri: &&String| uri.starts_with("https://");
        let Some(issuer) = accounts.issuers.first().filter(https).filter(|_| !accounts.keys.is_empty()) else {
            return Documents { configuration: None, keys: None };
        };
        let default_uri = format!("https://{advertised}{JWKS_PATH}");
        let keys: Vec<Value> = accounts.keys.iter().map(|(_, key)| key.to_jwk()).collect();
        let mut algorithms: Vec<&str> = accounts.keys.iter().map(|(_, key)| key.algorithm()).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let configuration = json!({
            "issuer": issuer,
            "jwks_uri": accounts.settings.jwks_uri.as_ref().unwrap_or(&default_uri),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        });
        Documents { configuration: Some(configuration.to_string()), keys: Some(json!({"keys": keys}).to_string()) }
    }
}
