//! Puts together who may get in and who may do what, from the flags.

use std::{path::Path, sync::Arc};

use super::{StartError, bootstrap};
use crate::{
    access::{
        Access,
        authn::{
            Anonymous, Authentication, Authenticator, Authority, BootstrapTokens, CertificateAuthenticator,
            ForAudiences, RequestHeader, TokenAuthenticator, TokenFile, service_account::ServiceAccounts,
        },
        authz::{Abac, Always, Authorization, Authorizer, node::Node, rbac::Rbac},
    },
    cluster::Cluster,
    config::{AuthorizationMode, Config},
};

/// Files of authorities, which may change while the server runs.
#[derive(Clone, Default)]
pub(super) struct Authorities {
    pub(super) clients: Option<Arc<Authority>>,
    pub(super) proxies: Option<Arc<Authority>>,
}

impl Authorities {
    pub(super) fn read(config: &Config) -> Result<Authorities, StartError> {
        let read = |flag, path: Option<&Path>| path.map(|path| Authority::read(flag, path)).transpose();
        let proxies = config.authentication.request_header.as_ref().map(|settings| settings.client_ca_file.as_path());
        Ok(Authorities {
            clients: read("client-ca-file", config.authentication.client_ca_file.as_deref())?,
            proxies: read("requestheader-client-ca-file", proxies)?,
        })
    }

    /// True: one of them changed.
    pub(super) fn reload(&self) -> bool {
        let changed = [&self.clients, &self.proxies].map(|file| file.as_ref().is_some_and(|file| file.reload()));
        changed.contains(&true)
    }
}

pub(super) fn access(config: &Config, cluster: &Arc<Cluster>, authorities: &Authorities) -> Result<Access, StartError> {
    let settings = &config.authentication;
    let service_accounts = Arc::new(ServiceAccounts::read(
        Arc::clone(cluster),
        &settings.service_accounts,
        &settings.api_audiences,
        config.listen.tls_key_file.as_deref(),
    )?);
    if !service_accounts.can_issue() {
        tracing::warn!(
            "--service-account-issuer and --service-account-signing-key-file are not both given: no tokens of service accounts are made"
        );
    }
    let rbac = Arc::new(Rbac::new(Arc::clone(cluster)));
    Ok(Access {
        authentication: authentication(config, cluster, authorities, &service_accounts)?,
        authorization: authorization(config, cluster, &rbac)?,
        rbac,
        service_accounts,
    })
}

fn authorization(config: &Config, cluster: &Arc<Cluster>, rbac: &Arc<Rbac>) -> Result<Authorization, StartError> {
    if config.authorization.config_file.is_some() {
        return Err(StartError::NotBuilt("--authorization-config"));
    }
    let mut authorizers: Vec<Arc<dyn Authorizer>> = Vec::new();
    for mode in &config.authorization.modes {
        match mode {
            AuthorizationMode::AlwaysAllow => {
                tracing::warn!("--authorization-mode=AlwaysAllow: whoever gets in may do everything");
                authorizers.push(Arc::new(Always::Allow));
            }
            AuthorizationMode::AlwaysDeny => authorizers.push(Arc::new(Always::Deny)),
            AuthorizationMode::Rbac => authorizers.push(Arc::clone(rbac) as Arc<dyn Authorizer>),
            AuthorizationMode::Node => {
                let rules = bootstrap::roles::rules_of("system:node").map_err(StartError::Roles)?;
                authorizers.push(Arc::new(Node::new(Arc::clone(cluster), rules)));
            }
            AuthorizationMode::Abac => {
                if let Some(path) = &config.authorization.policy_file {
                    authorizers.push(Arc::new(Abac::read(path)?));
                }
            }
            // Left out it might permit what it was there to deny.
            AuthorizationMode::Webhook => return Err(StartError::NotBuilt("--authorization-mode=Webhook")),
        }
    }
    Ok(Authorization::new(authorizers))
}

fn authentication(
    config: &Config,
    cluster: &Arc<Cluster>,
    authorities: &Authorities,
    service_accounts: &Arc<ServiceAccounts>,
) -> Result<Authentication, StartError> {
    let settings = &config.authentication;
    let audiences = settings.api_audiences.clone();
    let mut ways: Vec<Arc<dyn Authenticator>> = Vec::new();
    if let (Some(authority), Some(headers)) = (&authorities.proxies, &settings.request_header) {
        ways.push(Arc::new(RequestHeader::new(Arc::clone(authority), headers.clone())));
    }
    if let Some(authority) = &authorities.clients {
        ways.push(Arc::new(CertificateAuthenticator(Arc::clone(authority))));
    }
    let mut tokens: Vec<Arc<dyn TokenAuthenticator>> = Vec::new();
    if let Some(path) = &settings.token_auth_file {
        tokens.push(Arc::new(ForAudiences { tokens: TokenFile::read(path)?, audiences: audiences.clone() }));
    }
    tokens.push(Arc::clone(service_accounts) as Arc<dyn TokenAuthenticator>);
    if settings.bootstrap_tokens {
        let tokens_of_secrets = BootstrapTokens(Arc::clone(cluster));
        tokens.push(Arc::new(ForAudiences { tokens: tokens_of_secrets, audiences: audiences.clone() }));
    }
    if ways.is_empty() && settings.token_auth_file.is_none() {
        tracing::warn!("neither --client-ca-file nor --token-auth-file is given: service accounts alone can get in");
    }
    Ok(Authentication { ways, tokens, audiences, anonymous: Anonymous::everywhere(settings.anonymous) })
}
