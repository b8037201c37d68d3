//! A service of the operator's that says who may do what: SubjectAccessReview over a webhook.
//!
//! In: what is asked. Out: the service's word, or that of the failure policy. Conditions leave requests out that the
//! service is not to be asked about. Answers are kept for a while.

mod conditions;
mod review;
mod settings;
mod validation;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Deserialize;

use self::conditions::Conditions;
pub(super) use self::{
    settings::{AuthorizationConfiguration, AuthorizerSettings},
    validation::validate,
};
use super::{Attributes, Authorizer, Decision, Rules, Verdict};
use crate::{
    access::{
        kept::{Kept, key},
        metrics::{Call, Metrics},
    },
    client::Hook,
    config,
    request::User,
};

/// Answers that are kept.
const ANSWERS_MAX: usize = 8192;
/// That one call may take, where nothing is said.
const TIME: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// What a service that flags name is called in figures.
pub const NAME_BY_FLAGS: &str = "default";
/// Answers to questions with more of the asker's own letters are not kept.
const LETTERS_MAX: usize = 10_000;

/// The service.
pub struct Webhook {
    hook: Hook,
    version: String,
    authorized_for: Duration,
    unauthorized_for: Duration,
    /// What counts where the service cannot be asked.
    on_failure: Verdict,
    conditions: Conditions,
    answers: Kept<Result<Status, String>>,
    name: String,
    metrics: Metrics,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Review {
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    allowed: bool,
    denied: bool,
    reason: String,
}

impl Webhook {
    /// By flags, which know no conditions. An error tells what is wrong with the file.
    pub fn of_flags(settings: &config::AuthorizationWebhook, metrics: &Metrics) -> Result<Webhook, String> {
        Ok(Webhook {
            hook: Hook::open(&settings.config_file, TIME, FIRST_PAUSE)?,
            version: settings.version.clone(),
            authorized_for: settings.authorized_ttl,
            unauthorized_for: settings.unauthorized_ttl,
            on_failure: Verdict::NoOpinion,
            conditions: Conditions::default(),
            answers: Kept::new(ANSWERS_MAX),
            name: NAME_BY_FLAGS.to_owned(),
            metrics: metrics.clone(),
        })
    }

    /// By an entry of a file that was found good.
    pub(super) fn of_settings(
        settings: &settings::WebhookSettings,
        name: &str,
        metrics: &Metrics,
    ) -> Result<Webhook, String> {
        let kubeconfig = settings.connection_info.kube_config_file.as_deref();
        let kubeconfig = kubeconfig.ok_or("connectionInfo.type InClusterConfig: this server runs in no pod")?;
        Ok(Webhook {
            hook: Hook::open(Path::new(kubeconfig), settings.timeout, FIRST_PAUSE)?,
            version: settings.subject_access_review_version.clone(),
            authorized_for: settings.authorized_for(),
            unauthorized_for: settings.unauthorized_for(),
            on_failure: if settings.failure_policy == "Deny" { Verdict::Deny } else { Verdict::NoOpinion },
            conditions: Conditions::compile(&settings.match_conditions).map_err(|(_, why)| why)?,
            answers: Kept::new(ANSWERS_MAX),
            name: name.to_owned(),
            metrics: metrics.clone(),
        })
    }

    async fn decide(&self, asked: &Attributes) -> Decision {
        match self.conditions.hold(asked) {
            Ok(true) => {}
            Ok(false) => return Decision::no_opinion(""),
            Err(why) => return self.failed(why),
        }
        let review = review::of(asked, &self.version).to_string();
        let key = key([review.as_bytes()]);
        let answer =
            self.answers.get_or_ask(key, self.ask(review.into()), |answer| self.time_kept(asked, answer)).await;
        let status = match answer {
            Ok(status) => status,
            Err(why) => return self.failed(why),
        };
        match (status.denied, status.allowed) {
            (true, true) => Decision {
                error: Some("webhook subject access review returned both allow and deny response".to_owned()),
                ..Decision::deny(status.reason)
            },
            (true, false) => Decision::deny(status.reason),
            (false, true) => Decision::allow(status.reason),
            (false, false) => Decision::no_opinion(status.reason),
        }
    }

    fn failed(&self, why: String) -> Decision {
        Decision { verdict: self.on_failure, reason: String::new(), error: Some(why) }
    }

    async fn ask(&self, review: Bytes) -> Result<Status, String> {
        let began = Instant::now();
        let reply = self.hook.ask(review).await;
        let read = |reply: &Bytes| serde_json::from_slice::<Review>(reply).map_err(|error| error.to_string());
        let (call, status) = match reply.as_ref().map(read) {
            Ok(Ok(review)) => (Call::Answered, Ok(review.status)),
            Ok(Err(why)) => (Call::Failed, Err(why)),
            Err(error) => {
                tracing::error!(%error, "Failed to make webhook authorizer request");
                (if error.is_late() { Call::Late } else { Call::Failed }, Err(error.0.clone()))
            }
        };
        self.metrics.webhook_called(&self.name, call, began.elapsed());
        if call != Call::Answered && self.on_failure == Verdict::NoOpinion {
            self.metrics.webhook_failed_open(&self.name, call);
        }
        status
    }

    fn time_kept(&self, asked: &Attributes, answer: &Result<Status, String>) -> Option<Duration> {
        let letters = [
            &asked.namespace,
            &asked.verb,
            &asked.group,
            &asked.version,
            &asked.resource,
            &asked.subresource,
            &asked.name,
            &asked.path,
        ];
        if letters.iter().map(|text| text.len()).sum::<usize>() >= LETTERS_MAX {
            return None;
        }
        let allowed = answer.as_ref().ok()?.allowed;
        Some(if allowed { self.authorized_for } else { self.unauthorized_for })
    }
}

impl Authorizer for Webhook {
    fn authorize<'a>(&'a self, asked: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(self.decide(asked))
    }

    fn rules(&self, _: &User, _: &str) -> Option<Rules> {
        let error = Some("webhook authorizer does not support user rule resolution".to_owned());
        Some(Rules { incomplete: true, error, ..Rules::default() })
    }
}

#[cfg(test)]
mod tests;
