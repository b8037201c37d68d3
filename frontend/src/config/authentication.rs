//! Flags about who makes a request.

use std::{path::PathBuf, time::Duration};

use super::{FlagError, Given, typed};

/// How requests are authenticated.
#[derive(Clone, Debug)]
pub struct Authentication {
    pub client_ca_file: Option<PathBuf>,
    pub token_auth_file: Option<PathBuf>,
    pub anonymous: bool,
    /// Whether a flag says so; a file may say otherwise where none does.
    pub anonymous_is_said: bool,
    pub bootstrap_tokens: bool,
    pub request_header: Option<RequestHeader>,
    pub service_accounts: ServiceAccounts,
    /// What a token must be meant for; this server's issuers unless given.
    pub api_audiences: Vec<String>,
    pub oidc: Option<Oidc>,
    pub webhook: Option<TokenWebhook>,
    /// Structured configuration.
    pub config_file: Option<PathBuf>,
}

/// Identities in headers, from proxies that show a certificate.
#[derive(Clone, Debug)]
pub struct RequestHeader {
    pub client_ca_file: PathBuf,
    /// Common names of proxies; empty: any that the authority signed.
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub extra_prefixes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct ServiceAccounts {
    /// The first one signs; all are believed.
    pub issuers: Vec<String>,
    pub key_files: Vec<PathBuf>,
    pub signing_key_file: Option<PathBuf>,
    pub jwks_uri: Option<String>,
    /// Legacy tokens must still be in their secret.
    pub lookup: bool,
    pub max_expiration: Option<Duration>,
    pub extend_expiration: bool,
}

#[derive(Clone, Debug)]
pub struct Oidc {
    pub issuer_url: String,
    pub client_id: String,
    pub ca_file: Option<PathBuf>,
    pub username_claim: String,
    pub username_prefix: Option<String>,
    pub groups_claim: String,
    pub groups_prefix: String,
    pub signing_algorithms: Vec<String>,
    pub required_claims: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct TokenWebhook {
    pub config_file: PathBuf,
    pub version: String,
    pub cache_ttl: Duration,
}

pub(super) fn read(given: &Given, anonymous: bool) -> Result<Authentication, FlagError> {
    let service_accounts = service_accounts(given)?;
    let api_audiences = match given.all("api-audiences") {
        [] => service_accounts.issuers.clone(),
        audiences => audiences.to_vec(),
    };
    let oidc = oidc(given)?;
    let config_file = typed::path(given, "authentication-config");
    if config_file.is_some() && oidc.is_some() {
        return Err(typed::invalid("authentication-config file and oidc-* flags are mutually exclusive"));
    }
    let client_ca_file = typed::path(given, "client-ca-file");
    Ok(Authentication {
        request_header: request_header(given)?,
        client_ca_file,
        token_auth_file: typed::path(given, "token-auth-file"),
        anonymous,
        anonymous_is_said: given.last("anonymous-auth").is_some(),
        bootstrap_tokens: given.is_true("enable-bootstrap-token-auth"),
        service_accounts,
        api_audiences,
        oidc,
        webhook: webhook(given)?,
        config_file,
    })
}

fn request_header(given: &Given) -> Result<Option<RequestHeader>, FlagError> {
    let headers = |flag: &str| -> Result<Vec<String>, FlagError> {
        let names = given.all(flag).to_vec();
        match names.iter().find(|name| http::HeaderName::from_bytes(name.as_bytes()).is_err()) {
            Some(name) => Err(typed::invalid(format!("--{flag}: {name:?} is no name of a header"))),
            None => Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect()),
        }
    };
    let Some(client_ca_file) = typed::path(given, "requestheader-client-ca-file") else { return Ok(None) };
    Ok(Some(RequestHeader {
        client_ca_file,
        allowed_names: given.all("requestheader-allowed-names").to_vec(),
        username_headers: headers("requestheader-username-headers")?,
        uid_headers: headers("requestheader-uid-headers")?,
        group_headers: headers("requestheader-group-headers")?,
        extra_prefixes: headers("requestheader-extra-headers-prefix")?,
    }))
}

fn service_accounts(given: &Given) -> Result<ServiceAccounts, FlagError> {
    let issuers = given.all("service-account-issuer").to_vec();
    for (at, issuer) in issuers.iter().enumerate() {
        if issuer.is_empty() {
            return Err(typed::invalid("--service-account-issuer should not be an empty string"));
        }
        if issuers[..at].contains(issuer) {
            return Err(typed::invalid(format!("--service-account-issuer {issuer:?} is already specified")));
        }
        if issuer.contains(':') && issuer.parse::<http::Uri>().is_err() {
            return Err(typed::invalid(format!(
                "--service-account-issuer {issuer:?} contained a ':' but was not a valid URL"
            )));
        }
    }
    let jwks_uri = typed::text(given, "service-account-jwks-uri");
    if let Some(uri) = jwks_uri.as_ref().filter(|uri| !uri.starts_with("https://")) {
        return Err(typed::invalid(format!("--service-account-jwks-uri requires https scheme, parsed as: {uri}")));
    }
    let max_expiration = typed::duration(given, "service-account-max-token-expiration", Duration::ZERO)?;
    if !max_expiration.is_zero() && !(3600..=1 << 32).contains(&max_expiration.as_secs()) {
        let text = "--service-account-max-token-expiration must be between 1 hour and 2^32 seconds";
        return Err(typed::invalid(text));
    }
    let default_true = |flag: &str| given.last(flag).is_none() || given.is_true(flag);
    Ok(ServiceAccounts {
        issuers,
        key_files: given.all("service-account-key-file").iter().map(PathBuf::from).collect(),
        signing_key_file: typed::path(given, "service-account-signing-key-file"),
        jwks_uri,
        lookup: default_true("service-account-lookup"),
        max_expiration: Some(max_expiration).filter(|max| !max.is_zero()),
        extend_expiration: default_true("service-account-extend-token-expiration"),
    })
}

fn oidc(given: &Given) -> Result<Option<Oidc>, FlagError> {
    let (issuer, client) = (typed::text(given, "oidc-issuer-url"), typed::text(given, "oidc-client-id"));
    let (issuer_url, client_id) = match (issuer, client) {
        (None, None) => return Ok(None),
        (Some(issuer), Some(client)) => (issuer, client),
        _ => return Err(typed::invalid("oidc-issuer-url and oidc-client-id must be specified together")),
    };
    if !issuer_url.starts_with("https://") {
        return Err(typed::invalid("--oidc-issuer-url: URL scheme must be https"));
    }
    let mut required_claims = Vec::new();
    for pair in given.all("oidc-required-claim") {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(typed::invalid(format!("--oidc-required-claim: {pair} must be formatted as key=value")));
        };
        required_claims.push((name.to_owned(), value.to_owned()));
    }
    let signing_algorithms = match given.all("oidc-signing-algs") {
        [] => vec!["RS256".to_owned()],
        algorithms => algorithms.to_vec(),
    };
    Ok(Some(Oidc {
        issuer_url,
        client_id,
        ca_file: typed::path(given, "oidc-ca-file"),
        username_claim: typed::text(given, "oidc-username-claim").unwrap_or_else(|| "sub".to_owned()),
        username_prefix: typed::text(given, "oidc-username-prefix"),
        groups_claim: typed::text(given, "oidc-groups-claim").unwrap_or_default(),
        groups_prefix: typed::text(given, "oidc-groups-prefix").unwrap_or_default(),
        signing_algorithms,
        required_claims,
    }))
}

fn webhook(given: &Given) -> Result<Option<TokenWebhook>, FlagError> {
    let flag = |rest: &str| format!("authentication-token-webhook-{rest}");
    let Some(config_file) = typed::path(given, &flag("config-file")) else { return Ok(None) };
    let version = typed::text(given, &flag("version")).unwrap_or_else(|| "v1beta1".to_owned());
    if !["v1", "v1beta1"].contains(&version.as_str()) {
        return Err(typed::invalid(format!("--{}: unsupported version {version:?}", flag("version"))));
    }
    let cache_ttl = typed::duration(given, &flag("cache-ttl"), Duration::from_secs(120))?;
    Ok(Some(TokenWebhook { config_file, version, cache_ttl }))
}
