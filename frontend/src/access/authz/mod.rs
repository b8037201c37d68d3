//! Whether a user may make a request.
//!
//! In: [`Attributes`]. Out: a [`Decision`], or the 403 of the real server. Not here: who the user is (authn), what an
//! object may contain (admission).

mod attributes;
mod builtin;
mod impersonation;
pub mod rbac;

use std::sync::Arc;

use async_trait::async_trait;
pub use attributes::Attributes;
pub use builtin::{Always, Masters};
pub use impersonation::impersonate;
use rbac::Rule;

use crate::request::{User, status::ApiError};

/// An opinion, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Deny,
    NoOpinion,
}

/// One authorizer's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub reason: String,
    /// What kept the question from being judged as a whole.
    pub error: Option<String>,
}

impl Decision {
    pub fn allow(reason: impl Into<String>) -> Decision {
        Decision { verdict: Verdict::Allow, reason: reason.into(), error: None }
    }

    pub fn deny(reason: impl Into<String>) -> Decision {
        Decision { verdict: Verdict::Deny, reason: reason.into(), error: None }
    }

    pub fn no_opinion(reason: impl Into<String>) -> Decision {
        Decision { verdict: Verdict::NoOpinion, reason: reason.into(), error: None }
    }

    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

/// What a user may do in a namespace, as far as an authorizer can enumerate it.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub rules: Vec<Rule>,
    /// There may be more rights than the rules show.
    pub incomplete: bool,
    pub error: Option<String>,
}

/// One source of permissions.
#[async_trait]
pub trait Authorizer: Send + Sync {
    async fn authorize(&self, attributes: &Attributes) -> Decision;

    /// None: this authorizer has no rules to show, and hides none.
    fn rules(&self, _: &User, _: &str) -> Option<Rules> {
        None
    }
}

/// Authorizers in order; the first one with an opinion decides. No opinion at all is a refusal.
pub struct Authorization {
    authorizers: Vec<Arc<dyn Authorizer>>,
}

impl Authorization {
    /// The masters group comes before all others.
    pub fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Authorization {
        let masters: Arc<dyn Authorizer> = Arc::new(Masters);
        Authorization { authorizers: std::iter::once(masters).chain(authorizers).collect() }
    }

    pub async fn allows(&self, attributes: &Attributes) -> bool {
        self.authorize(attributes).await.is_allowed()
    }

    /// Refuses what may not be done; why something may be done is the audit's.
    pub async fn check(&self, attributes: &Attributes) -> Result<String, ApiError> {
        let decision = self.authorize(attributes).await;
        match (decision.verdict, decision.error) {
            (Verdict::Allow, _) => Ok(decision.reason),
            (_, Some(error)) => Err(attributes.undecided(&error)),
            (_, None) => Err(attributes.forbidden(&decision.reason)),
        }
    }

    /// What all authorizers say together about the rights of a user in a namespace.
    pub fn rules_of(&self, user: &User, namespace: &str) -> Rules {
        let (mut all, mut errors) = (Rules::default(), Vec::new());
        for rules in self.authorizers.iter().filter_map(|authorizer| authorizer.rules(user, namespace)) {
            all.rules.extend(rules.rules);
            all.incomplete |= rules.incomplete;
            errors.extend(rules.error);
        }
        all.error = rbac::aggregate(errors);
        all
    }
}

#[async_trait]
impl Authorizer for Authorization {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let (mut reasons, mut errors) = (Vec::new(), Vec::new());
        for authorizer in &self.authorizers {
            let decision = authorizer.authorize(attributes).await;
            if decision.verdict != Verdict::NoOpinion {
                return decision;
            }
            errors.extend(decision.error);
            if !decision.reason.is_empty() {
                reasons.push(decision.reason);
            }
        }
        Decision { error: rbac::aggregate(errors), ..Decision::no_opinion(reasons.join("\n")) }
    }
}

#[cfg(test)]
mod tests;
