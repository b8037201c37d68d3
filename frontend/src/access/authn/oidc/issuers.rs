//! All issuers that are believed, and the file that names them.
//!
//! The file is read anew when it changes. New settings count when all their issuers have answered; settings that are
//! wrong, or issuers that do not answer in time, leave the old ones as they are.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{
    ALGORITHMS,
    configuration::{AnonymousSettings, AuthenticationConfiguration},
    issuer::Issuer,
    validation,
};
use crate::{
    access::{
        authn::{BadCredentials, TokenLookup},
        metrics::Metrics,
    },
    cluster::Clock,
    config,
    request::{User, status},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An issuer that did not answer is asked again after this.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// New settings must work within this, or the old ones stay. They are tried again after as long.
const CHANGE_WITHIN: Duration = Duration::from_secs(60);

/// Settings of issuers that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("failed to load authentication configuration from file {path:?}: {why}")]
    Unreadable { path: PathBuf, why: String },
    #[error("invalid authentication configuration: {0}")]
    Invalid(String),
}

/// The issuers, as they are now.
pub struct Issuers {
    now: ArcSwap<Vec<Issuer>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// The file that they are named in, and as what it was read last.
pub struct ConfigurationFile {
    path: PathBuf,
    text: String,
    anonymous: Option<AnonymousSettings>,
    /// Issuers of this server's own tokens, which nobody else may be.
    disallowed: Vec<String>,
}

/// Settings that were read and do not count yet.
struct Candidate {
    issuers: Vec<Issuer>,
    text: String,
    until: Instant,
}

fn build(
    configuration: &AuthenticationConfiguration,
    algorithms: &[String],
    disallowed: &[String],
) -> Result<Vec<Issuer>, OidcError> {
    let mappings = validation::compile(configuration, disallowed)
        .map_err(|errors| OidcError::Invalid(status::aggregate(&errors).unwrap_or_default()))?;
    let pairs = configuration.jwt.iter().zip(mappings);
    let made: Result<Vec<Issuer>, String> =
        pairs.map(|(jwt, mappings)| Issuer::new(jwt, mappings, algorithms)).collect();
    made.map_err(OidcError::Invalid)
}

fn all_algorithms() -> Vec<String> {
    ALGORITHMS.iter().map(|name| (*name).to_owned()).collect()
}

impl ConfigurationFile {
    pub fn open(
        path: PathBuf,
        disallowed: &[String],
    ) -> Result<(ConfigurationFile, AuthenticationConfiguration), OidcError> {
        let unreadable = |why: String| OidcError::Unreadable { path: path.clone(), why };
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
        let configuration = AuthenticationConfiguration::parse(&text).map_err(unreadable)?;
        let anonymous = configuration.anonymous.clone();
        Ok((ConfigurationFile { path, text, anonymous, disallowed: disallowed.to_vec() }, configuration))
    }

    /// The issuers of a changed text. What says who may be anonymous cannot change.
    fn parse(&self, text: &str) -> Result<Vec<Issuer>, OidcError> {
        let unreadable = |why: String| OidcError::Unreadable { path: self.path.clone(), why };
        let configuration = AuthenticationConfiguration::parse(text).map_err(unreadable)?;
        if configuration.anonymous != self.anonymous {
            return Err(OidcError::Invalid("anonymous: Forbidden: changed from initial configuration file".to_owned()));
        }
        build(&configuration, &all_algorithms(), &self.disallowed)
    }
}

impl Issuers {
    /// Of a file: its issuers may sign by any algorithm that fits their keys.
    pub fn of_file(
        configuration: &AuthenticationConfiguration,
        disallowed: &[String],
        clock: Arc<dyn Clock>,
    ) -> Result<Issuers, OidcError> {
        let issuers = build(configuration, &all_algorithms(), disallowed)?;
        Ok(Issuers { now: ArcSwap::from_pointee(issuers), clock, metrics: Metrics::default() })
    }

    pub fn of_flags(flags: &config::Oidc, disallowed: &[String], clock: Arc<dyn Clock>) -> Result<Issuers, OidcError> {
        validation::check_algorithms(&flags.signing_algorithms).map_err(OidcError::Invalid)?;
        let configuration = AuthenticationConfiguration::of_flags(flags).map_err(OidcError::Invalid)?;
        let issuers = build(&configuration, &flags.signing_algorithms, disallowed)?;
        Ok(Issuers { now: ArcSwap::from_pointee(issuers), clock, metrics: Metrics::default() })
    }

    /// With figures that others show.
    #[must_use]
    pub fn counting(self, metrics: &Metrics) -> Issuers {
        Issuers { metrics: metrics.clone(), ..self }
    }

    #[cfg(test)]
    pub(super) async fn discover(&self) {
        futures::future::join_all(self.now.load_full().iter().map(Issuer::discover)).await;
    }

    #[cfg(test)]
    pub(super) fn failures(&self) -> Vec<String> {
        self.now.load_full().iter().filter_map(Issuer::failure).collect()
    }

    /// Asks the issuers for their keys until they answer, and follows the file. Runs until it is dropped.
    pub async fn keep(&self, mut file: Option<ConfigurationFile>) {
        let mut candidate: Option<Candidate> = None;
        let mut ask_at = Instant::now();
        let mut look_again_at = Instant::now();
        loop {
            if let Some(file) = &mut file
                && candidate.is_none()
                && Instant::now() >= look_again_at
            {
                candidate = file.changed();
                ask_at = if candidate.is_some() { Instant::now() } else { ask_at };
            }
            if Instant::now() >= ask_at {
                let current = self.now.load_full();
                let new = candidate.iter().flat_map(|candidate| &candidate.issuers);
                futures::future::join_all(current.iter().chain(new).map(Issuer::discover)).await;
                ask_at = Instant::now() + ASK_EVERY;
            }
            if let Some(tried) = candidate.take() {
                let failures: Vec<String> = tried.issuers.iter().filter_map(Issuer::failure).collect();
                if failures.is_empty() {
                    if let Some(file) = &mut file {
                        file.text = tried.text;
                    }
                    self.now.store(Arc::new(tried.issuers));
                    self.metrics.authentication_reloaded(true);
                    tracing::info!("reloaded authentication config");
                } else if Instant::now() < tried.until {
                    candidate = Some(tried);
                } else {
                    self.metrics.authentication_reloaded(false);
                    tracing::error!(why = failures.join(", "), "failed to update authentication config");
                    look_again_at = Instant::now() + CHANGE_WITHIN;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl ConfigurationFile {
    /// New settings, if there are any. Ones that cannot be used are said once.
    fn changed(&mut self) -> Option<Candidate> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) if text == self.text => return None,
            Ok(text) => text,
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "failed to read authentication config file");
                return None;
            }
        };
        match self.parse(&text) {
            Ok(issuers) => Some(Candidate { issuers, text, until: Instant::now() + CHANGE_WITHIN }),
            Err(error) => {
                tracing::error!(%error, "failed to load authentication config");
                self.text = text;
                None
            }
        }
    }
}

impl TokenLookup for Issuers {
    fn user<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, BadCredentials>> {
        Box::pin(async move {
            for issuer in self.now.load_full().iter() {
                let began = std::time::Instant::now();
                let found = issuer.user(token, self.clock.now()).await;
                if !matches!(found, Ok(None)) {
                    self.metrics.issued_token_validated(issuer.name(), found.is_ok(), began.elapsed());
                }
                if let Some(user) = found? {
                    return Ok(Some(user));
                }
            }
            Ok(None)
        })
    }
}

impl TokenLookup for Arc<Issuers> {
    fn user<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, BadCredentials>> {
        (**self).user(token)
    }
}
