//! What of a start is done, and the checks of `/healthz`, `/livez` and `/readyz` that tell it.
//!
//! In: steps of the start, as they are reached. Out: checks by the names of the real server, in its order. Not here:
//! how checks are asked (`server::health`), the steps themselves.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;

use crate::{
    server::health::{Asked, Check, HealthChecks, Latch, Ping},
    store::Store,
};

/// A store that takes longer to answer is out of order.
const STORE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A step of the start of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The watch cache holds the store, and what definitions and APIServices say is served.
    Cache,
    Namespaces,
    PriorityClasses,
    Roles,
    /// Priority levels and flow schemas.
    Fairness,
    /// The record of legacy tokens.
    LegacyTokens,
    /// The services that go on while the server runs.
    Services,
    /// The kubernetes Service, its endpoints and the range of addresses.
    Address,
}

const STEPS: [Step; 8] = [
    Step::Cache,
    Step::Namespaces,
    Step::PriorityClasses,
    Step::Roles,
    Step::Fairness,
    Step::LegacyTokens,
    Step::Services,
    Step::Address,
];

/// The hooks of the real server in its order, and the step here that does their work.
const HOOKS: [(&str, Step); 28] = [
    ("poststarthook/start-apiserver-admission-initializer", Step::Cache),
    ("poststarthook/generic-apiserver-start-informers", Step::Cache),
    ("poststarthook/priority-and-fairness-config-consumer", Step::Fairness),
    ("poststarthook/priority-and-fairness-filter", Step::Cache),
    ("poststarthook/storage-object-count-tracker-hook", Step::Cache),
    ("poststarthook/start-apiextensions-informers", Step::Cache),
    ("poststarthook/start-apiextensions-controllers", Step::Cache),
    ("poststarthook/crd-informer-synced", Step::Cache),
    ("poststarthook/start-system-namespaces-controller", Step::Namespaces),
    ("poststarthook/start-cluster-authentication-info-controller", Step::Services),
    ("poststarthook/start-kube-apiserver-identity-lease-controller", Step::Services),
    ("poststarthook/start-kube-apiserver-identity-lease-garbage-collector", Step::Services),
    ("poststarthook/start-legacy-token-tracking-controller", Step::LegacyTokens),
    ("poststarthook/start-service-ip-repair-controllers", Step::Cache),
    ("poststarthook/rbac/bootstrap-roles", Step::Roles),
    ("poststarthook/scheduling/bootstrap-system-priority-classes", Step::PriorityClasses),
    ("poststarthook/priority-and-fairness-config-producer", Step::Fairness),
    ("poststarthook/bootstrap-controller", Step::Address),
    ("poststarthook/start-kubernetes-service-cidr-controller", Step::Address),
    ("poststarthook/start-kube-aggregator-informers", Step::Cache),
    ("poststarthook/apiservice-status-local-available-controller", Step::Services),
    ("poststarthook/apiservice-status-remote-available-controller", Step::Cache),
    ("poststarthook/apiservice-registration-controller", Step::Services),
    ("poststarthook/apiservice-discovery-controller", Step::Cache),
    ("poststarthook/kube-apiserver-autoregistration", Step::Services),
    ("autoregister-completion", Step::Services),
    ("poststarthook/apiservice-openapi-controller", Step::Cache),
    ("poststarthook/apiservice-openapiv3-controller", Step::Cache),
];

/// How far the start of a server has come.
#[derive(Clone)]
pub(super) struct Readiness {
    steps: [(Step, Arc<Latch>); STEPS.len()],
    running: Arc<Latch>,
}

impl Readiness {
    pub(super) fn new() -> Readiness {
        Readiness { steps: STEPS.map(|step| (step, Latch::new(false))), running: Latch::new(true) }
    }

    pub(super) fn reached(&self, step: Step) {
        self.steps.iter().filter(|(each, _)| *each == step).for_each(|(_, latch)| latch.set(true));
    }

    /// The server goes down: it is no longer ready, but alive.
    pub(super) fn stopping(&self) {
        self.running.set(false);
    }

    pub(super) fn checks(&self, store: &Store) -> HealthChecks {
        let etcd = || Arc::new(EtcdCheck(store.clone()));
        let mut checks = HealthChecks::default()
            .with("ping", Asked::Everywhere, Arc::new(Ping))
            // The log goes to the standard output: there is nothing that could be full.
            .with("log", Asked::Everywhere, Arc::new(Ping))
            .with("etcd", Asked::Everywhere, etcd())
            .with("etcd-readiness", Asked::ForReadiness, etcd());
        let latch_of = |step| self.steps.iter().filter(move |(each, _)| *each == step).map(|(_, latch)| latch);
        for latch in latch_of(Step::Cache) {
            checks = checks.with("informer-sync", Asked::ForReadiness, latch.clone());
        }
        for (name, step) in HOOKS {
            for latch in latch_of(step) {
                checks = checks.with(name, Asked::Everywhere, latch.clone());
            }
        }
        checks.with("shutdown", Asked::ForReadiness, self.running.clone())
    }
}

struct EtcdCheck(Store);

impl Check for EtcdCheck {
    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let answered = tokio::time::timeout(STORE_ANSWERS_WITHIN, self.0.health()).await;
            answered.map_err(|_| "etcd did not answer in time".to_owned())?.map_err(|error| error.to_string())
        })
    }
}
