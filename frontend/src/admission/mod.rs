//! What may still happen to an object between its decoding and the store: plugins that change it, then plugins that
//! only validate it.
//!
//! In: [`Attributes`], made by the verb inside its update loop, so that what is validated is what will be committed.
//! Out: a changed object, or a refusal. The chain is async and may run again on a newer state: a plugin must not keep
//! anything of an earlier run. Not here: validation by the type itself.
//!
//! Which plugins there are, in which order and which run by default is a [`table`]; what an operator says about that is
//! read in [`settings`].

mod amounts;
mod asking;
mod attributes;
mod configuration;
mod expressions;
mod matching;
mod metrics;
mod plugin;
mod plugins;
mod policy;
mod settings;
mod subject;
mod table;
mod tolerations;
mod webhook;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use attributes::{Attributes, Operation, Reinvocation};
use metrics::{ADMIT, VALIDATE};
pub use plugin::{Admitted, Plugin};
use plugin::{Made, Parts, aggregate};
pub use settings::AdmissionError;

use crate::{access::Access, cluster::Cluster, config::AdmissionFlags, request::status::ApiError};

/// A plugin that runs, and for what.
#[derive(Clone)]
struct Link {
    name: &'static str,
    operations: &'static [Operation],
    plugin: Arc<dyn Plugin>,
}

/// All plugins that run, in order.
#[derive(Clone, Default)]
pub struct Admission {
    chain: Vec<Link>,
    webhooks: webhook::Metrics,
    metrics: metrics::Metrics,
}

/// A plugin that takes longer is a step of its own in what is told of a slow request.
const STEP: Duration = Duration::from_millis(5);

impl Admission {
    /// The plugins that run by default, but for what an operator says.
    pub fn new(flags: &AdmissionFlags, access: Arc<Access>) -> Result<Admission, AdmissionError> {
        let rows = settings::enabled(flags)?;
        let configs = settings::Configs::read(flags, &rows)?;
        let webhooks = webhook::Metrics::default();
        let mut chain = Vec::with_capacity(rows.len());
        for row in rows {
            let parts =
                Parts { access: Arc::clone(&access), flags, config: configs.of(row.name)?, webhooks: webhooks.clone() };
            let plugin = (row.make)(&parts).map_err(|why| AdmissionError::Plugin { name: row.name, why })?;
            chain.push(Link { name: row.name, operations: row.operations, plugin });
        }
        Ok(Admission { chain, webhooks, metrics: metrics::Metrics::default() })
    }

    fn of(&self, operation: Operation) -> impl Iterator<Item = &Link> {
        self.chain.iter().filter(move |link| link.operations.contains(&operation))
    }

    /// How one plugin went in one half.
    fn went(
        &self,
        link: &Link,
        half: &'static str,
        began: Instant,
        attributes: &Attributes<'_>,
        rejected: bool,
    ) -> Instant {
        let now = Instant::now();
        let time = now - began;
        self.metrics.plugin(link.name, half, attributes.operation, rejected, time);
        if time >= STEP {
            attributes.steps.done_at(link.name, now);
        }
        now
    }

    /// Figures about plugins and webhooks.
    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        self.metrics.register(registry);
        self.webhooks.register(registry);
    }

    /// The first half, before validation. It runs once more when a webhook changed what others have seen.
    pub async fn admit(&self, cluster: &Cluster, attributes: &mut Attributes<'_>) -> Result<(), ApiError> {
        self.admit_once(cluster, attributes).await?;
        if !attributes.reinvocation.requested {
            return Ok(());
        }
        attributes.reinvocation.is_second = true;
        self.admit_once(cluster, attributes).await
    }

    async fn admit_once(&self, cluster: &Cluster, attributes: &mut Attributes<'_>) -> Result<(), ApiError> {
        let began = Instant::now();
        let (mut at, mut outcome) = (began, Ok(()));
        for link in self.of(attributes.operation) {
            outcome = link.plugin.admit(cluster, attributes).await;
            at = self.went(link, ADMIT, at, attributes, outcome.is_err());
            if outcome.is_err() {
                break;
            }
        }
        self.metrics.half(ADMIT, attributes.operation, outcome.is_err(), at - began);
        outcome
    }

    /// The second half, last before the store.
    pub async fn validate(&self, cluster: &Cluster, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        let began = Instant::now();
        let (mut at, mut outcome) = (began, Ok(()));
        for link in self.of(attributes.operation) {
            outcome = link.plugin.validate(cluster, attributes).await;
            at = self.went(link, VALIDATE, at, attributes, outcome.is_err());
            if outcome.is_err() {
                break;
            }
        }
        self.metrics.half(VALIDATE, attributes.operation, outcome.is_err(), at - began);
        outcome
    }

    pub fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }
}
