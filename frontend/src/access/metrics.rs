//! Figures about who got in and what was decided, under the names that Kubernetes' dashboards read.
//!
//! In: what came of each question. Out: families in a registry. Labels come from closed sets, or from what an operator
//! configured. What the original counts without `_total` in its name is a gauge here: the exposition puts that word
//! behind the names of counters.

use std::{fmt::Write as _, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use sha2::{Digest, Sha256};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UserName {
    username: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Looked {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    r#type: String,
    name: String,
    decision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Evaluated {
    name: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Issued {
    result: &'static str,
    jwt_issuer_hash: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reloaded {
    status: &'static str,
}

type Make = fn() -> Histogram;
type Times<L> = Family<L, Histogram, Make>;

/// Shared by everything that authenticates and authorizes. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    users: Family<UserName, Gauge>,
    authentications: Family<Outcome, Gauge>,
    authentication_times: Times<Outcome>,
    authorizations: Family<Outcome, Counter>,
    authorization_times: Times<Outcome>,
    decisions: Family<Decided, Counter>,
    tokens_looked_up: Family<Looked, Counter>,
    tokens_fetched: Family<Looked, Counter>,
    webhooks: Family<Evaluated, Counter>,
    webhook_times: Times<Evaluated>,
    webhooks_failed_open: Family<Evaluated, Counter>,
    issued_token_times: Times<Issued>,
    authentication_reloads: Family<Reloaded, Counter>,
    authorization_reloads: Family<Reloaded, Counter>,
}

fn from_a_millisecond() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

fn usual() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

fn of_signatures() -> Histogram {
    Histogram::new([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            users: Family::default(),
            authentications: Family::default(),
            authentication_times: Family::new_with_constructor(from_a_millisecond),
            authorizations: Family::default(),
            authorization_times: Family::new_with_constructor(from_a_millisecond),
            decisions: Family::default(),
            tokens_looked_up: Family::default(),
            tokens_fetched: Family::default(),
            webhooks: Family::default(),
            webhook_times: Family::new_with_constructor(usual),
            webhooks_failed_open: Family::default(),
            issued_token_times: Family::new_with_constructor(of_signatures),
            authentication_reloads: Family::default(),
            authorization_reloads: Family::default(),
        }
    }
}

/// How an attempt to get in ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt<'a> {
    Known(&'a str),
    /// Nobody knows whose credentials these are, or there are none.
    Unknown,
    Bad,
}

/// How a call of an authorization webhook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Answered,
    Late,
    Failed,
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Call::Answered => "success",
            Call::Late => "timeout",
            Call::Failed => "error",
        }
    }
}

/// Names that may be labels; others would make too many.
fn shown(user: &str) -> &'static str {
    const KNOWN: [&str; 5] = ["admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"];
    match KNOWN.iter().find(|known| **known == user) {
        Some(known) => known,
        None if user.contains('@') => "email_id",
        None => "other",
    }
}

impl Metrics {
    #[rustfmt::skip]
    pub fn register(&self, registry: &mut Registry) {
        registry.register("authenticated_user_requests", "Authenticated requests by user", self.users.clone());
        registry.register("authentication_attempts", "Attempts to authenticate", self.authentications.clone());
        registry.register("authentication_duration_seconds", "Time of authentication", self.authentication_times.clone());
        registry.register("authorization_attempts", "Questions of authorization", self.authorizations.clone());
        registry.register("authorization_duration_seconds", "Time of authorization", self.authorization_times.clone());
        registry.register("apiserver_authorization_decisions", "Decisions by authorizer", self.decisions.clone());
        registry.register("authentication_token_cache_request", "Tokens looked up among those known", self.tokens_looked_up.clone());
        registry.register("authentication_token_cache_fetch", "Tokens that were authenticated anew", self.tokens_fetched.clone());
        registry.register("apiserver_authorization_webhook_evaluations", "Calls of authorization webhooks", self.webhooks.clone());
        registry.register("apiserver_authorization_webhook_duration_seconds", "Time of those calls", self.webhook_times.clone());
        registry.register("apiserver_authorization_webhook_evaluations_fail_open", "Calls that failed and decided nothing", self.webhooks_failed_open.clone());
        registry.register("apiserver_authentication_jwt_authenticator_latency_seconds", "Time to judge tokens of issuers", self.issued_token_times.clone());
        registry.register("apiserver_authentication_config_controller_automatic_reloads", "Reloads of the authentication configuration", self.authentication_reloads.clone());
        registry.register("apiserver_authorization_config_controller_automatic_reloads", "Reloads of the authorization configuration", self.authorization_reloads.clone());
    }

    pub(super) fn authenticated(&self, attempt: Attempt<'_>, time: Duration) {
        let result = match attempt {
            Attempt::Known(name) => {
                self.users.get_or_create(&UserName { username: shown(name) }).inc();
                "success"
            }
            Attempt::Unknown => "failure",
            Attempt::Bad => "error",
        };
        self.authentications.get_or_create(&Outcome { result }).inc();
        self.authentication_times.get_or_create(&Outcome { result }).observe(time.as_secs_f64());
    }

    pub(super) fn authorized(&self, result: &'static str, time: Duration) {
        self.authorizations.get_or_create(&Outcome { result }).inc();
        self.authorization_times.get_or_create(&Outcome { result }).observe(time.as_secs_f64());
    }

    /// An authorizer's word.
    pub(super) fn decided(&self, kind: &str, name: &str, decision: &'static str) {
        self.decisions.get_or_create(&Decided { r#type: kind.to_owned(), name: name.to_owned(), decision }).inc();
    }

    /// Whether a token was found among those that were authenticated lately.
    pub(super) fn looked_up(&self, hit: bool) {
        self.tokens_looked_up.get_or_create(&Looked { status: if hit { "hit" } else { "miss" } }).inc();
    }

    /// A token that was not known was authenticated, or nobody could.
    pub(super) fn fetched(&self, is_ok: bool) {
        self.tokens_fetched.get_or_create(&Looked { status: if is_ok { "ok" } else { "error" } }).inc();
    }

    pub(super) fn webhook_called(&self, name: &str, call: Call, time: Duration) {
        let labels = Evaluated { name: name.to_owned(), result: call.name() };
        self.webhooks.get_or_create(&labels).inc();
        self.webhook_times.get_or_create(&labels).observe(time.as_secs_f64());
    }

    pub(super) fn webhook_failed_open(&self, name: &str, call: Call) {
        self.webhooks_failed_open.get_or_create(&Evaluated { name: name.to_owned(), result: call.name() }).inc();
    }

    pub(super) fn issued_token_validated(&self, issuer: &str, good: bool, time: Duration) {
        let result = if good { "success" } else { "failure" };
        let labels = Issued { result, jwt_issuer_hash: digest(issuer) };
        self.issued_token_times.get_or_create(&labels).observe(time.as_secs_f64());
    }

    pub(super) fn authentication_reloaded(&self, well: bool) {
        self.authentication_reloads.get_or_create(&reloaded(well)).inc();
    }

    pub(super) fn authorization_reloaded(&self, well: bool) {
        self.authorization_reloads.get_or_create(&reloaded(well)).inc();
    }
}

fn reloaded(well: bool) -> Reloaded {
    Reloaded { status: if well { "success" } else { "failure" } }
}

/// As the original shows names that may be secret.
fn digest(text: &str) -> String {
    let mut shown = "sha256:".to_owned();
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing into a String cannot fail.
        let _ = write!(shown, "{byte:02x}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_bear_the_names_of_the_original() {
        let metrics = Metrics::default();
        let second = Duration::from_secs(1);
        metrics.authenticated(Attempt::Known("admin"), second);
        metrics.authenticated(Attempt::Known("ann@example.org"), second);
        metrics.authenticated(Attempt::Known("system:serviceaccount:a:b"), second);
        metrics.authenticated(Attempt::Unknown, second);
        metrics.authenticated(Attempt::Bad, second);
        metrics.authorized("allowed", second);
        metrics.authorized("error", second);
        metrics.decided("RBAC", "rbac", "allowed");
        metrics.looked_up(true);
        metrics.fetched(false);
        metrics.webhook_called("w", Call::Late, second);
        metrics.webhook_failed_open("w", Call::Late);
        metrics.issued_token_validated("https://issuer", true, second);
        metrics.authorization_reloaded(false);
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "authenticated_user_requests{username=\"admin\"} 1",
            "authenticated_user_requests{username=\"email_id\"} 1",
            "authenticated_user_requests{username=\"other\"} 1",
            "authentication_attempts{result=\"success\"} 3",
            "authentication_attempts{result=\"failure\"} 1",
            "authentication_duration_seconds_count{result=\"error\"} 1",
            "authorization_attempts_total{result=\"allowed\"} 1",
            "authorization_duration_seconds_count{result=\"error\"} 1",
            "apiserver_authorization_decisions_total{type=\"RBAC\",name=\"rbac\",decision=\"allowed\"} 1",
            "authentication_token_cache_request_total{status=\"hit\"} 1",
            "authentication_token_cache_fetch_total{status=\"error\"} 1",
            "apiserver_authorization_webhook_evaluations_total{name=\"w\",result=\"timeout\"} 1",
            "apiserver_authorization_webhook_evaluations_fail_open_total{name=\"w\",result=\"timeout\"} 1",
            "apiserver_authorization_config_controller_automatic_reloads_total{status=\"failure\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("jwt_authenticator_latency_seconds_count{result=\"success\",jwt_issuer_hash=\"sha256:"));
    }
}
