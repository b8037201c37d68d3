//! Tokens that a service of the operator's authenticates: TokenReview over a webhook.
//!
//! Answers are kept for a while, refusals too; that nobody answered is not.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{BadCredentials, Identity, TokenAuthenticator};
use crate::{
    access::{
        kept::{Kept, key},
        metrics::Metrics,
    },
    client::Hook,
    config,
    request::{User, Warnings},
};

/// Answers that are kept.
const ANSWERS_MAX: usize = 32 * 1024;
/// That one call may take.
const TIME: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(500);

type Answer = Result<Option<Identity>, BadCredentials>;

/// The service.
pub struct TokenWebhook {
    hook: Hook,
    version: String,
    /// Of this server, for services that do not check audiences.
    audiences: Vec<String>,
    time_kept: Duration,
    answers: Kept<Answer>,
    metrics: Metrics,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Review {
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    authenticated: bool,
    user: Option<UserInfo>,
    audiences: Option<Vec<String>>,
    error: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserInfo {
    username: String,
    uid: String,
    groups: Option<Vec<String>>,
    extra: Option<std::collections::BTreeMap<String, Vec<String>>>,
}

impl TokenWebhook {
    /// An error tells what is wrong with the file.
    pub fn new(
        settings: &config::TokenWebhook,
        audiences: &[String],
        metrics: &Metrics,
    ) -> Result<TokenWebhook, String> {
        Ok(TokenWebhook {
            hook: Hook::open(&settings.config_file, TIME, FIRST_PAUSE)?,
            version: settings.version.clone(),
            audiences: audiences.to_vec(),
            time_kept: settings.cache_ttl,
            answers: Kept::new(ANSWERS_MAX),
            metrics: metrics.clone(),
        })
    }

    fn review(&self, token: &str, audiences: &[String]) -> Value {
        let mut spec = json!({"token": token});
        if !audiences.is_empty() {
            spec["audiences"] = json!(audiences);
        }
        json!({"kind": "TokenReview", "apiVersion": format!("authentication.k8s.io/{}", self.version), "metadata": {},
               "spec": spec, "status": {"user": {}}})
    }

    async fn ask(&self, token: &str, audiences: &[String]) -> Answer {
        let review = Bytes::from(self.review(token, audiences).to_string());
        let reply = self.hook.ask(review).await;
        self.metrics.fetched(reply.is_ok());
        let reply = reply.map_err(|error| {
            tracing::error!(%error, "Failed to make webhook authenticator request");
            BadCredentials(error.0)
        })?;
        let review: Review = serde_json::from_slice(&reply).map_err(|error| BadCredentials(error.to_string()))?;
        self.read_status(review.status, audiences)
    }

    fn read_status(&self, status: Status, audiences: &[String]) -> Answer {
        let of_token = status.audiences.filter(|audiences| !audiences.is_empty());
        let of_token = of_token.as_ref().unwrap_or(&self.audiences);
        let common: Vec<String> = audiences.iter().filter(|audience| of_token.contains(audience)).cloned().collect();
        if common.is_empty() && !audiences.is_empty() {
            return Ok(None);
        }
        match (status.authenticated, status.error.as_str()) {
            (false, "") => Ok(None),
            (false, why) => Err(BadCredentials(why.to_owned())),
            (true, _) => {
                let user = status.user.unwrap_or_default();
                let user = User {
                    name: user.username,
                    uid: user.uid,
                    groups: user.groups.unwrap_or_default(),
                    extra: user.extra.unwrap_or_default().into_iter().collect(),
                };
                Ok(Some(Identity { user, audiences: common }))
            }
        }
    }
}

impl TokenAuthenticator for TokenWebhook {
    fn authenticate<'a>(&'a self, token: &'a str, audiences: &'a [String], _: &'a Warnings) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let texts = std::iter::once(token).chain(audiences.iter().map(String::as_str));
            let key = key(texts.map(str::as_bytes));
            let time = |answer: &Answer| answer.is_ok().then_some(self.time_kept);
            self.metrics.looked_up(self.answers.knows(&key));
            self.answers.get_or_ask(key, self.ask(token, audiences), time).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::stand_in::{StandIn, answer};

    async fn webhook(status: &'static str, version: &str) -> (StandIn, TokenWebhook) {
        let server = StandIn::start(move |_| match status {
            "" => answer(403, "who are you"),
            status => answer(200, format!("{{\"status\":{status}}}")),
        })
        .await;
        let settings = config::TokenWebhook {
            config_file: server.kubeconfig(),
            version: version.to_owned(),
            cache_ttl: Duration::from_secs(60),
        };
        let webhook = TokenWebhook::new(&settings, &["api".to_owned()], &Metrics::default()).unwrap();
        (server, webhook)
    }

    #[tokio::test]
    async fn the_service_decides() {
        let known = r#"{"authenticated":true,"user":{"username":"ann","uid":"1","groups":["g"],"extra":{"k":["v"]}}}"#;
        let elsewhere = r#"{"authenticated":true,"user":{"username":"ann"},"audiences":["other"]}"#;
        for (status, expected, calls) in [
            (known, Ok(Some("ann")), 1),
            (elsewhere, Ok(None), 1),
            (r#"{"authenticated":false,"user":{}}"#, Ok(None), 1),
            (r#"{"authenticated":false,"error":"late"}"#, Err("late"), 2),
            ("", Err("who are you"), 2),
            ("nonsense", Err("expected ident at line 1 column 12"), 2),
        ] {
            let (server, webhook) = webhook(status, "v1").await;
            for _ in 0..2 {
                let found = webhook.authenticate("secret", &["api".to_owned()], &Warnings::default()).await;
                let name = found.as_ref().map(|found| found.as_ref().map(|found| found.user.name.as_str()));
                assert_eq!(name.map_err(|why| why.0.as_str()), expected, "{status}");
            }
            let asked = server.asked();
            assert_eq!(asked.len(), calls, "{status}: answers are kept, failures are not");
            assert_eq!(
                asked[0].json(),
                json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
                       "spec": {"token": "secret", "audiences": ["api"]}, "status": {"user": {}}})
            );
        }
    }

    #[tokio::test]
    async fn what_is_asked_for_others_is_not_taken_for_an_answer() {
        let (server, webhook) = webhook(r#"{"authenticated":true,"user":{"username":"ann"}}"#, "v1beta1").await;
        let mine = webhook.authenticate("t", &["api".to_owned()], &Warnings::default()).await.unwrap().unwrap();
        assert_eq!(mine.audiences, ["api"]);
        let other = webhook.authenticate("t", &["other".to_owned()], &Warnings::default()).await.unwrap();
        assert_eq!(other, None);
        assert_eq!(server.asked()[1].json()["apiVersion"], "authentication.k8s.io/v1beta1");
    }
}
