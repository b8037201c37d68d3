//! What an operator says of authorizers: the file of `--authorization-config`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::{access::structured, config::parse_duration};

const KIND: &str = "AuthorizationConfiguration";
const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha1"];
const AUTHORIZED_FOR: Duration = Duration::from_secs(300);
const UNAUTHORIZED_FOR: Duration = Duration::from_secs(30);

/// The file: authorizers in the order in which they are asked.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::access::authz) struct AuthorizationConfiguration {
    pub(in crate::access::authz) authorizers: Vec<AuthorizerSettings>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::access::authz) struct AuthorizerSettings {
    #[serde(rename = "type")]
    pub(in crate::access::authz) kind: String,
    pub(in crate::access::authz) name: String,
    pub(in crate::access::authz) webhook: Option<WebhookSettings>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::access::authz) struct WebhookSettings {
    #[serde(rename = "authorizedTTL", deserialize_with = "duration")]
    authorized_ttl: Duration,
    cache_authorized_requests: Option<bool>,
    #[serde(rename = "unauthorizedTTL", deserialize_with = "duration")]
    unauthorized_ttl: Duration,
    cache_unauthorized_requests: Option<bool>,
    #[serde(deserialize_with = "duration")]
    pub(super) timeout: Duration,
    pub(super) subject_access_review_version: String,
    pub(super) match_condition_subject_access_review_version: String,
    pub(super) failure_policy: String,
    pub(super) connection_info: ConnectionInfo,
    pub(super) match_conditions: Vec<MatchCondition>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::access::authz) struct ConnectionInfo {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) kube_config_file: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::access::authz) struct MatchCondition {
    pub(super) expression: String,
}

impl AuthorizationConfiguration {
    pub(in crate::access::authz) fn parse(text: &str) -> Result<AuthorizationConfiguration, String> {
        structured::decode(text, KIND, VERSIONS)
    }
}

impl WebhookSettings {
    pub(super) fn authorized_for(&self) -> Duration {
        kept_for(self.cache_authorized_requests, self.authorized_ttl, AUTHORIZED_FOR)
    }

    pub(super) fn unauthorized_for(&self) -> Duration {
        kept_for(self.cache_unauthorized_requests, self.unauthorized_ttl, UNAUTHORIZED_FOR)
    }
}

/// Zero: not at all.
fn kept_for(keeps: Option<bool>, time: Duration, default: Duration) -> Duration {
    match (keeps, time.is_zero()) {
        (Some(false), _) => Duration::ZERO,
        (_, true) => default,
        (_, false) => time,
    }
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    match Option::<String>::deserialize(from)? {
        None => Ok(Duration::ZERO),
        Some(text) => parse_duration(&text).map_err(serde::de::Error::custom),
    }
}
