//! All authorizers of a server, one after the other.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;

use super::{Attributes, Authorizer, Decision, Masters, Rules, Verdict, aggregate};
use crate::request::{User, status::ApiError};

/// Authorizers in order; the first one with an opinion decides. No opinion at all is a refusal.
pub struct Authorization {
    authorizers: ArcSwap<Vec<Arc<dyn Authorizer>>>,
}

/// The masters group comes before all others.
fn with_masters(authorizers: Vec<Arc<dyn Authorizer>>) -> Vec<Arc<dyn Authorizer>> {
    let masters: Arc<dyn Authorizer> = Arc::new(Masters);
    std::iter::once(masters).chain(authorizers).collect()
}

impl Authorization {
    pub fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Authorization {
        Authorization { authorizers: ArcSwap::from_pointee(with_masters(authorizers)) }
    }

    /// Others from now on; questions that are being asked are answered by the old ones.
    pub(super) fn replace(&self, authorizers: Vec<Arc<dyn Authorizer>>) {
        self.authorizers.store(Arc::new(with_masters(authorizers)));
    }

    pub async fn allows(&self, attributes: &Attributes) -> bool {
        self.authorize(attributes).await.is_allowed()
    }

    /// Refuses what may not be done; why something may be done is the audit's.
    pub async fn check(&self, attributes: &Attributes) -> Result<String, ApiError> {
        self.authorize(attributes).await.into_result(attributes)
    }

    /// What all authorizers say together about the rights of a user in a namespace.
    pub fn rules_of(&self, user: &User, namespace: &str) -> Rules {
        let (mut all, mut errors) = (Rules::default(), Vec::new());
        let authorizers = self.authorizers.load_full();
        for rules in authorizers.iter().filter_map(|authorizer| authorizer.rules(user, namespace)) {
            all.rules.extend(rules.rules);
            all.incomplete |= rules.incomplete;
            errors.extend(rules.error);
        }
        all.error = aggregate(errors);
        all
    }
}

impl Authorizer for Authorization {
    fn authorize<'a>(&'a self, attributes: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            let (mut reasons, mut errors) = (Vec::new(), Vec::new());
            for authorizer in self.authorizers.load_full().iter() {
                let decision = authorizer.authorize(attributes).await;
                if decision.verdict != Verdict::NoOpinion {
                    return decision;
                }
                errors.extend(decision.error);
                if !decision.reason.is_empty() {
                    reasons.push(decision.reason);
                }
            }
            Decision { error: aggregate(errors), ..Decision::no_opinion(reasons.join("\n")) }
        })
    }
}
