//! Flags about who may do what.

use std::{path::PathBuf, time::Duration};

use super::{FlagError, Given, typed};

/// An authorizer by the name that the flag has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationMode {
    AlwaysAllow,
    AlwaysDeny,
    Abac,
    Webhook,
    Rbac,
    Node,
}

impl AuthorizationMode {
    /// In the order in which they are named to operators.
    pub const NAMES: [&'static str; 6] = ["ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"];
    const ALL: [AuthorizationMode; 6] = [
        AuthorizationMode::Abac,
        AuthorizationMode::AlwaysAllow,
        AuthorizationMode::AlwaysDeny,
        AuthorizationMode::Node,
        AuthorizationMode::Rbac,
        AuthorizationMode::Webhook,
    ];

    pub fn named(name: &str) -> Option<AuthorizationMode> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    pub fn name(self) -> &'static str {
        let at = Self::ALL.iter().position(|mode| *mode == self);
        at.map_or("", |at| Self::NAMES[at])
    }
}

/// How requests are authorized.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// In the order in which they are asked.
    pub modes: Vec<AuthorizationMode>,
    /// Of mode ABAC.
    pub policy_file: Option<PathBuf>,
    /// Of mode Webhook.
    pub webhook: Option<AuthorizationWebhook>,
    /// Instead of modes.
    pub config_file: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct AuthorizationWebhook {
    pub config_file: PathBuf,
    pub version: String,
    pub authorized_ttl: Duration,
    pub unauthorized_ttl: Duration,
}

const WEBHOOK_FLAGS: [&str; 4] = [
    "authorization-webhook-config-file",
    "authorization-webhook-version",
    "authorization-webhook-cache-authorized-ttl",
    "authorization-webhook-cache-unauthorized-ttl",
];

pub(super) fn read(given: &Given) -> Result<Authorization, FlagError> {
    let invalid = |text: String| Err(FlagError::Invalid(text));
    let names = given.all("authorization-mode");
    let policy_file = typed::path(given, "authorization-policy-file");
    let config_file = typed::path(given, "authorization-config");
    let webhook = webhook(given)?;
    if config_file.is_some() {
        if !names.is_empty() || WEBHOOK_FLAGS.iter().any(|flag| given.last(flag).is_some()) {
            return invalid(
                "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined"
                    .to_owned(),
            );
        }
        return Ok(Authorization { modes: Vec::new(), policy_file, webhook: None, config_file });
    }
    let mut modes = Vec::new();
    for name in names {
        let Some(mode) = AuthorizationMode::named(name) else {
            return invalid(format!("--authorization-mode: authorization-mode {name:?} is not a valid mode"));
        };
        if modes.contains(&mode) {
            let shown: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
            let shown = shown.join(" ");
            return invalid(format!(
                "--authorization-mode: authorization-mode [{shown}] has mode specified more than once"
            ));
        }
        modes.push(mode);
    }
    if modes.is_empty() {
        modes.push(AuthorizationMode::AlwaysAllow);
    }
    let pairs = [
        (
            AuthorizationMode::Abac,
            policy_file.is_some(),
            "ABAC's authorization policy file",
            "authorization-policy-file",
        ),
        (
            AuthorizationMode::Webhook,
            webhook.is_some(),
            "Webhook's authorization config file",
            "authorization-webhook-config-file",
        ),
    ];
    for (mode, has_file, what, flag) in pairs {
        if modes.contains(&mode) && !has_file {
            return invalid(format!("authorization-mode {what} not passed (--{flag})"));
        }
        if !modes.contains(&mode) && has_file {
            return invalid(format!(
                "cannot specify --{flag} without mode {}",
                what.split('\'').next().unwrap_or(what)
            ));
        }
    }
    Ok(Authorization { modes, policy_file, webhook, config_file })
}

fn webhook(given: &Given) -> Result<Option<AuthorizationWebhook>, FlagError> {
    let Some(config_file) = typed::path(given, WEBHOOK_FLAGS[0]) else { return Ok(None) };
    let version = typed::text(given, WEBHOOK_FLAGS[1]).unwrap_or_else(|| "v1beta1".to_owned());
    if !["v1", "v1beta1"].contains(&version.as_str()) {
        return Err(FlagError::Invalid(format!("--{}: unsupported version {version:?}", WEBHOOK_FLAGS[1])));
    }
    Ok(Some(AuthorizationWebhook {
        config_file,
        version,
        authorized_ttl: typed::duration(given, WEBHOOK_FLAGS[2], Duration::from_secs(300))?,
        unauthorized_ttl: typed::duration(given, WEBHOOK_FLAGS[3], Duration::from_secs(30))?,
    }))
}
