//! Puts together who may get in and who may do what, from the flags.

use std::{path::Path, sync::Arc};

use super::{StartError, bootstrap};
use crate::{
    access::{
        Access, Metrics,
        authn::{
            Anonymous, Authentication, Authenticator, Authority, BootstrapTokens, CertificateAuthenticator,
            ForAudiences, RequestHeader, TokenAuthenticator, TokenFile, TokenWebhook,
            oidc::{ConfigurationFile, Issuers, OidcError},
            service_account::ServiceAccounts,
        },
        authz::{
            Abac, Always, Authorization, AuthorizationFile, Authorizer, Counted, NAME_BY_FLAGS, Webhook, node::Node,
            rbac::Rbac,
        },
    },
    cluster::Cluster,
    config::{self, AuthorizationMode, Config},
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

/// What follows files and peers while the server runs.
pub(super) struct Keepers {
    issuers: KeptIssuers,
    authorizers: Option<(Arc<Access>, AuthorizationFile)>,
}

impl Keepers {
    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        let issuers = async {
            if let Some((issuers, file)) = self.issuers {
                issuers.keep(file).await;
            }
        };
        let authorizers = async {
            if let Some((access, file)) = self.authorizers {
                file.keep(&access.authorization).await;
            }
        };
        tokio::join!(issuers, authorizers);
    }
}

pub(super) fn access(
    config: &Config,
    cluster: &Arc<Cluster>,
    authorities: &Authorities,
) -> Result<(Arc<Access>, Keepers), StartError> {
    let settings = &config.authentication;
    let metrics = Metrics::default();
    let service_accounts = Arc::new(ServiceAccounts::read(
        Arc::clone(cluster),
        &settings.service_accounts,
        &settings.api_audiences,
        config.listen.tls_key_file.as_deref(),
        &metrics,
    )?);
    if !service_accounts.can_issue() {
        tracing::warn!(
            "--service-account-issuer and --service-account-signing-key-file are not both given: no tokens of service accounts are made"
        );
    }
    let rbac = Arc::new(Rbac::new(Arc::clone(cluster)));
    let (issuers, anonymous) = issuers(config, cluster, &metrics)?;
    let mut authentication = authentication(config, cluster, authorities, &service_accounts)?;
    authentication.anonymous = anonymous;
    if let Some((issuers, _)) = &issuers {
        let audiences = settings.api_audiences.clone();
        authentication.tokens.push(Arc::new(ForAudiences { tokens: Arc::clone(issuers), audiences }));
    }
    if authentication.ways.is_empty()
        && settings.token_auth_file.is_none()
        && issuers.is_none()
        && settings.webhook.is_none()
    {
        tracing::warn!("neither --client-ca-file nor --token-auth-file is given: service accounts alone can get in");
    }
    if let Some(webhook) = &settings.webhook {
        const FLAG: &str = "authentication-token-webhook-config-file";
        let made = TokenWebhook::new(webhook, &settings.api_audiences, &metrics);
        let made = made.map_err(|why| StartError::Webhook { flag: FLAG.to_owned(), why })?;
        authentication.tokens.push(Arc::new(made));
    }
    let (authorization, authorizers) = authorization(config, cluster, &rbac, &metrics)?;
    let access = Arc::new(Access { authentication, authorization, rbac, service_accounts, metrics });
    let authorizers = authorizers.map(|file| (Arc::clone(&access), file));
    Ok((access, Keepers { issuers, authorizers }))
}

type KeptIssuers = Option<(Arc<Issuers>, Option<ConfigurationFile>)>;

/// Issuers of OpenID Connect by flags or by the file, which may also say who comes without saying who he is.
fn issuers(config: &Config, cluster: &Cluster, metrics: &Metrics) -> Result<(KeptIssuers, Anonymous), StartError> {
    let settings = &config.authentication;
    let own = &settings.service_accounts.issuers;
    let by_flag = Anonymous::everywhere(settings.anonymous);
    let clock = Arc::clone(&cluster.clock);
    if let Some(path) = &settings.config_file {
        let (file, configuration) = ConfigurationFile::open(path.clone(), own)?;
        let issuers = Issuers::of_file(&configuration, own, clock)?.counting(metrics);
        let anonymous = match &configuration.anonymous {
            Some(_) if settings.anonymous_is_said => {
                let why = "anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is \
                           configured in authentication configuration file";
                return Err(OidcError::Invalid(why.to_owned()).into());
            }
            Some(said) => Anonymous::of_file(said),
            None => by_flag,
        };
        return Ok((Some((Arc::new(issuers), Some(file))), anonymous));
    }
    match &settings.oidc {
        None => Ok((None, by_flag)),
        Some(flags) => {
            let issuers = Issuers::of_flags(flags, own, clock)?.counting(metrics);
            Ok((Some((Arc::new(issuers), None)), by_flag))
        }
    }
}

type KeptAuthorizers = (Authorization, Option<AuthorizationFile>);

fn authorization(
    config: &Config,
    cluster: &Arc<Cluster>,
    rbac: &Arc<Rbac>,
    metrics: &Metrics,
) -> Result<KeptAuthorizers, StartError> {
    let settings = &config.authorization;
    let make = |mode| authorizer(mode, settings, cluster, rbac, metrics);
    if let Some(path) = &settings.config_file {
        let mut file = AuthorizationFile::open(path.clone(), metrics)?;
        let lasting: Result<_, StartError> =
            file.lasting_modes().into_iter().map(|mode| Ok((mode, make(mode)?))).collect();
        let authorizers = file.start(lasting?)?;
        return Ok((Authorization::new(authorizers), Some(file)));
    }
    let counted = |mode: &AuthorizationMode| {
        let name = match mode {
            AuthorizationMode::Webhook => NAME_BY_FLAGS.to_owned(),
            mode => mode.name().to_ascii_lowercase(),
        };
        make(*mode).map(|made| Counted::around(made, mode.name(), &name, metrics))
    };
    let authorizers: Result<_, StartError> = settings.modes.iter().map(counted).collect();
    Ok((Authorization::new(authorizers?), None))
}

fn authorizer(
    mode: AuthorizationMode,
    settings: &config::Authorization,
    cluster: &Arc<Cluster>,
    rbac: &Arc<Rbac>,
    metrics: &Metrics,
) -> Result<Arc<dyn Authorizer>, StartError> {
    let missing = |what: &str| StartError::Webhook { flag: what.to_owned(), why: "the file is not given".to_owned() };
    Ok(match mode {
        AuthorizationMode::AlwaysAllow => {
            tracing::warn!("authorization mode AlwaysAllow: whoever gets in may do everything");
            Arc::new(Always::Allow)
        }
        AuthorizationMode::AlwaysDeny => Arc::new(Always::Deny),
        AuthorizationMode::Rbac => Arc::clone(rbac) as Arc<dyn Authorizer>,
        AuthorizationMode::Node => {
            let rules = bootstrap::roles::rules_of("system:node").map_err(StartError::Roles)?;
            Arc::new(Node::new(Arc::clone(cluster), rules))
        }
        AuthorizationMode::Abac => {
            const FLAG: &str = "authorization-policy-file";
            Arc::new(Abac::read(settings.policy_file.as_ref().ok_or_else(|| missing(FLAG))?)?)
        }
        AuthorizationMode::Webhook => {
            const FLAG: &str = "authorization-webhook-config-file";
            let webhook = settings.webhook.as_ref().ok_or_else(|| missing(FLAG))?;
            let made = Webhook::of_flags(webhook, metrics);
            Arc::new(made.map_err(|why| StartError::Webhook { flag: FLAG.to_owned(), why })?)
        }
    })
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
    Ok(Authentication { ways, tokens, audiences, anonymous: Anonymous::everywhere(settings.anonymous) })
}
