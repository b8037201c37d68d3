//! An authorizer whose decisions are counted, by its type and name.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Attributes, Authorizer, Decision, Rules, Verdict};
use crate::{access::metrics::Metrics, request::User};

pub struct Counted {
    of: Arc<dyn Authorizer>,
    kind: String,
    name: String,
    metrics: Metrics,
}

impl Counted {
    /// `kind` and `name` are those of the configuration: `RBAC` and `rbac`, `Webhook` and what it is called.
    pub fn around(of: Arc<dyn Authorizer>, kind: &str, name: &str, metrics: &Metrics) -> Arc<dyn Authorizer> {
        Arc::new(Counted { of, kind: kind.to_owned(), name: name.to_owned(), metrics: metrics.clone() })
    }
}

impl Authorizer for Counted {
    fn authorize<'a>(&'a self, attributes: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            let decision = self.of.authorize(attributes).await;
            match decision.verdict {
                Verdict::Allow => self.metrics.decided(&self.kind, &self.name, "allowed"),
                Verdict::Deny => self.metrics.decided(&self.kind, &self.name, "denied"),
                Verdict::NoOpinion => {}
            }
            decision
        })
    }

    fn rules(&self, user: &User, namespace: &str) -> Option<Rules> {
        self.of.rules(user, namespace)
    }
}
