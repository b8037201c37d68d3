//! What an operator says of issuers: the file of `--authentication-config`, and the same made of `--oidc-*` flags.

use serde::{Deserialize, Serialize};

use crate::{access::structured, config};

const KIND: &str = "AuthenticationConfiguration";
const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha1"];

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthenticationConfiguration {
    pub(super) jwt: Vec<Jwt>,
    pub anonymous: Option<AnonymousSettings>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnonymousSettings {
    pub enabled: bool,
    pub conditions: Vec<PathCondition>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PathCondition {
    pub path: String,
}

/// One issuer and what its tokens mean.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Jwt {
    pub(super) issuer: IssuerSettings,
    pub(super) claim_validation_rules: Vec<ClaimValidationRule>,
    pub(super) claim_mappings: ClaimMappings,
    pub(super) user_validation_rules: Vec<UserValidationRule>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct IssuerSettings {
    pub(super) url: String,
    #[serde(rename = "discoveryURL")]
    pub(super) discovery_url: String,
    pub(super) certificate_authority: String,
    pub(super) audiences: Vec<String>,
    pub(super) audience_match_policy: String,
    pub(super) egress_selector_type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ClaimValidationRule {
    pub(super) claim: String,
    pub(super) required_value: String,
    pub(super) expression: String,
    pub(super) message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ClaimMappings {
    pub(super) username: PrefixedClaimOrExpression,
    pub(super) groups: PrefixedClaimOrExpression,
    pub(super) uid: ClaimOrExpression,
    pub(super) extra: Vec<ExtraMapping>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PrefixedClaimOrExpression {
    pub(super) claim: String,
    pub(super) prefix: Option<String>,
    pub(super) expression: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ClaimOrExpression {
    pub(super) claim: String,
    pub(super) expression: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ExtraMapping {
    pub(super) key: String,
    pub(super) value_expression: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct UserValidationRule {
    pub(super) expression: String,
    pub(super) message: String,
}

impl AuthenticationConfiguration {
    pub fn parse(text: &str) -> Result<AuthenticationConfiguration, String> {
        structured::decode(text, KIND, VERSIONS)
    }

    /// Flags know one issuer, without expressions.
    pub fn of_flags(flags: &config::Oidc) -> Result<AuthenticationConfiguration, String> {
        let certificate_authority = match &flags.ca_file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
            None => String::new(),
        };
        // Without a prefix users of several issuers could take each other's names; an address of mail says whose it is.
        let prefix = match flags.username_prefix.as_deref() {
            None if flags.username_claim == "email" => String::new(),
            None => format!("{}#", flags.issuer_url),
            Some("-") => String::new(),
            Some(prefix) => prefix.to_owned(),
        };
        let username = PrefixedClaimOrExpression {
            claim: flags.username_claim.clone(),
            prefix: Some(prefix),
            ..PrefixedClaimOrExpression::default()
        };
        let groups = match flags.groups_claim.as_str() {
            "" => PrefixedClaimOrExpression::default(),
            claim => PrefixedClaimOrExpression {
                claim: claim.to_owned(),
                prefix: Some(flags.groups_prefix.clone()),
                ..PrefixedClaimOrExpression::default()
            },
        };
        let required = flags.required_claims.iter().map(|(claim, value)| ClaimValidationRule {
            claim: claim.clone(),
            required_value: value.clone(),
            ..ClaimValidationRule::default()
        });
        let jwt = Jwt {
            issuer: IssuerSettings {
                url: flags.issuer_url.clone(),
                certificate_authority,
                audiences: vec![flags.client_id.clone()],
                ..IssuerSettings::default()
            },
            claim_validation_rules: required.collect(),
            claim_mappings: ClaimMappings { username, groups, ..ClaimMappings::default() },
            user_validation_rules: Vec::new(),
        };
        Ok(AuthenticationConfiguration { jwt: vec![jwt], anonymous: None })
    }
}
