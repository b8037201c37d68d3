//! What an authorizer says, and what it must be able to say.

use futures::future::BoxFuture;

use super::{Attributes, rbac::Rule};
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
    /// What kept the question from being decided as a whole.
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

    /// Refuses what may not be done; why something may be done is the audit's.
    pub fn into_result(self, asked: &Attributes) -> Result<String, ApiError> {
        match (self.verdict, self.error) {
            (Verdict::Allow, _) => Ok(self.reason),
            (_, Some(error)) => Err(asked.undecided(&error)),
            (_, None) => Err(asked.forbidden(&self.reason)),
        }
    }

    /// The word for it in figures.
    pub(in crate::access) fn result(&self) -> &'static str {
        match (self.verdict, &self.error) {
            (Verdict::Allow, _) => "allowed",
            (_, Some(_)) => "error",
            (Verdict::Deny, None) => "denied",
            (Verdict::NoOpinion, None) => "no-opinion",
        }
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
pub trait Authorizer: Send + Sync {
    fn authorize<'a>(&'a self, attributes: &'a Attributes) -> BoxFuture<'a, Decision>;

    /// None: this authorizer has no rules to show, and hides none.
    fn rules(&self, _: &User, _: &str) -> Option<Rules> {
        None
    }
}

/// Several errors as one text, as Go's aggregates print themselves.
pub(in crate::access) fn aggregate(errors: Vec<String>) -> Option<String> {
    let mut once: Vec<String> = Vec::new();
    for error in errors {
        if !once.contains(&error) {
            once.push(error);
        }
    }
    match once.len() {
        0 => None,
        1 => once.pop(),
        _ => Some(format!("[{}]", once.join(", "))),
    }
}
