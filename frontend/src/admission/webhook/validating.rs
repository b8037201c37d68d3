//! Webhooks that validate what will be stored; all are asked at once.

use std::{sync::Arc, time::Instant};

use super::{
    Failure, Sort, Versions, apply_failure_policy, ask, credentials,
    hook::{FailurePolicy, Hook, Hooks},
    is_exempt,
    metrics::{Ended, Metrics},
    should_call,
};
use crate::{
    access::Access,
    admission::{Admitted, Attributes, Made, Parts, Plugin, matching::Matched},
    cluster::{Cluster, Webhooks},
    request::status::ApiError,
};

struct ValidatingAdmissionWebhook {
    access: Arc<Access>,
    hooks: Hooks,
    clients: Webhooks,
    metrics: Metrics,
}

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    let plugin = ValidatingAdmissionWebhook {
        access: Arc::clone(&parts.access),
        hooks: Hooks::validating(),
        clients: credentials::webhooks(parts.config.as_deref())?,
        metrics: parts.webhooks.clone(),
    };
    Ok(Arc::new(plugin))
}

impl Plugin for ValidatingAdmissionWebhook {
    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if is_exempt(attributes) {
                return Ok(());
            }
            let mut asked = Vec::new();
            for hook in self.hooks.get(cluster)?.iter() {
                if let Some(matched) = should_call(cluster, &self.access, hook, attributes).await? {
                    let versions = Versions::of(cluster, attributes, &matched).await?;
                    asked.push((Arc::clone(hook), matched, versions));
                }
            }
            let calls = asked
                .iter()
                .enumerate()
                .map(|(at, (hook, matched, versions))| self.call(cluster, attributes, hook, matched, versions, at));
            // All have the time that they are given; the refusal of the first in order is told.
            futures::future::join_all(calls).await.into_iter().collect()
        })
    }
}

impl ValidatingAdmissionWebhook {
    async fn call(
        &self,
        cluster: &Cluster,
        attributes: &Attributes<'_>,
        hook: &Hook,
        matched: &Matched,
        versions: &Versions,
        at: usize,
    ) -> Result<(), ApiError> {
        let started = Instant::now();
        let outcome = ask(&self.clients, cluster, hook, attributes, matched, versions, Sort::Validating).await;
        let ended = match &outcome {
            Ok(_) => Ended::Passed,
            Err(Failure::Refusal(error)) => Ended::Refused(error.code),
            Err(Failure::Call(_)) if hook.failure_policy == FailurePolicy::Ignore => Ended::FailedOpen,
            Err(Failure::Call(_)) => Ended::FailedClosed,
        };
        self.metrics.called(&hook.name, "validating", attributes.operation.as_str(), started.elapsed(), ended);
        if ended == Ended::FailedOpen {
            let key = format!("failed-open.validating.webhook.admission.k8s.io/round_0_index_{at}");
            attributes.annotations.add(key, &hook.name);
        }
        outcome.map(drop).or_else(|failure| apply_failure_policy(hook, failure))
    }
}
