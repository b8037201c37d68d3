//! Webhooks as their configurations say, compiled once for each change of any configuration.

use std::{sync::Arc, time::Duration};

use super::super::{
    expressions::Conditions,
    matching::{Equivalents, Rule, Selector},
};
use crate::{
    api::schema::{Object, Value},
    cluster::{Cluster, Derived, Endpoint, ResourceName, objects::text},
    object::scope::Scope,
    request::status::ApiError,
};

pub(super) const MUTATING: ResourceName<'static> = ("admissionregistration.k8s.io", "mutatingwebhookconfigurations");
pub(super) const VALIDATING: ResourceName<'static> =
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations");

/// What a failed call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailurePolicy {
    Fail,
    Ignore,
}

#[derive(Debug)]
pub(super) struct Hook {
    pub(super) configuration: String,
    pub(super) name: String,
    /// Tells it from others of the same name.
    pub(super) uid: String,
    pub(super) endpoint: Endpoint,
    pub(super) ca: Vec<u8>,
    pub(super) rules: Vec<Rule>,
    pub(super) equivalents: Equivalents,
    pub(super) failure_policy: FailurePolicy,
    /// May be called although nothing will be stored.
    pub(super) supports_dry_run: bool,
    pub(super) timeout: Duration,
    /// Of reviews, the preferred first.
    pub(super) versions: Vec<String>,
    pub(super) namespaces: Selector,
    pub(super) objects: Selector,
    /// Wants to see what others change after it.
    pub(super) reinvocable: bool,
    pub(super) conditions: Conditions,
}

/// The webhooks of one sort, in the order of their configurations' names.
pub(super) struct Hooks {
    of: ResourceName<'static>,
    compiled: Derived<Vec<Arc<Hook>>>,
}

impl Hooks {
    pub(super) fn mutating() -> Hooks {
        Hooks { of: MUTATING, compiled: Derived::of(&[MUTATING]) }
    }

    pub(super) fn validating() -> Hooks {
        Hooks { of: VALIDATING, compiled: Derived::of(&[VALIDATING]) }
    }

    pub(super) fn get(&self, cluster: &Cluster) -> Result<Arc<Vec<Arc<Hook>>>, ApiError> {
        let informer = cluster.informer();
        self.compiled.get(informer, || {
            let configurations = informer.list(self.of, "")?;
            Ok(configurations.iter().flat_map(|configuration| compile(configuration)).map(Arc::new).collect())
        })
    }
}

fn compile(configuration: &Object) -> Vec<Hook> {
    let mut hooks: Vec<Hook> = Vec::new();
    for webhook in configuration.get_list(&["webhooks"]).unwrap_or_default() {
        let name = text(webhook, "name");
        let namesakes = hooks.iter().filter(|hook| hook.name == name).count();
        hooks.push(Hook {
            configuration: configuration.name().to_owned(),
            uid: format!("{}/{name}/{namesakes}", configuration.name()),
            name: name.to_owned(),
            endpoint: webhook.child("clientConfig").map_or(Endpoint::Nowhere, Endpoint::of),
            ca: webhook.at(&["clientConfig", "caBundle"]).and_then(Value::as_bytes).unwrap_or_default().to_vec(),
            rules: list(webhook, "rules").iter().map(Rule::of).collect(),
            equivalents: match text(webhook, "matchPolicy") {
                "Exact" => Equivalents::Differ,
                _ => Equivalents::Match,
            },
            failure_policy: match text(webhook, "failurePolicy") {
                "Ignore" => FailurePolicy::Ignore,
                _ => FailurePolicy::Fail,
            },
            supports_dry_run: matches!(text(webhook, "sideEffects"), "None" | "NoneOnDryRun"),
            timeout: Duration::from_secs(
                webhook
                    .child("timeoutSeconds")
                    .and_then(Value::as_i64)
                    .and_then(|s| u64::try_from(s).ok())
                    .unwrap_or(10),
            ),
            versions: list(webhook, "admissionReviewVersions")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            namespaces: Selector::of(webhook.child("namespaceSelector")),
            objects: Selector::of(webhook.child("objectSelector")),
            reinvocable: text(webhook, "reinvocationPolicy") == "IfNeeded",
            conditions: Conditions::of(list(webhook, "matchConditions"), &Scope::new(false)),
        });
    }
    hooks
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.child(field).and_then(Value::as_list).unwrap_or_default()
}
