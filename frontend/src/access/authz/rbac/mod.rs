//! Role-based access control: what roles permit to those whom bindings name.
//!
//! In: attributes, and the roles and bindings that the informer keeps current. Out: a decision, the rules of a user, or
//! the refusal of a grant. A decision costs the bindings of the user who asks, not all that there are. Not here: the
//! roles that a server makes itself (`wiring`).

mod grant;
mod policy;
mod rule;

use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

use futures::future::BoxFuture;
pub use grant::Write;
use parking_lot::Mutex;
use policy::{Binding, Policy};
pub(in crate::access) use rule::quoted_list;
pub use rule::{Rule, missing};

use super::{Attributes, Authorizer, Decision, Rules, aggregate};
use crate::{
    cluster::{Cluster, Derived, ResourceName},
    request::{
        User,
        status::{ApiError, go_quote},
    },
};

const GROUP: &str = "rbac.authorization.k8s.io";
const ROLES: ResourceName<'static> = (GROUP, "roles");
const ROLE_BINDINGS: ResourceName<'static> = (GROUP, "rolebindings");
const CLUSTER_ROLES: ResourceName<'static> = (GROUP, "clusterroles");
const CLUSTER_ROLE_BINDINGS: ResourceName<'static> = (GROUP, "clusterrolebindings");

/// The roles and bindings of a cluster.
pub struct Rbac {
    cluster: Arc<Cluster>,
    cluster_wide: Derived<Policy>,
    namespaced: Derived<Namespaces>,
}

/// What was asked for since a role or binding of any namespace changed. Only namespaces with bindings are kept, so that
/// there are never more than the store has.
#[derive(Default)]
struct Namespaces(Mutex<HashMap<String, Arc<Policy>>>);

/// What a visit of a user's rules is shown.
enum Visited<'a> {
    Rule(&'a Binding, &'a Rule),
    Error(String),
}

impl Rbac {
    pub fn new(cluster: Arc<Cluster>) -> Rbac {
        Rbac {
            cluster,
            cluster_wide: Derived::of(&[CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS]),
            namespaced: Derived::of(&[ROLES, ROLE_BINDINGS]),
        }
    }

    /// What applies in a namespace, or in none.
    fn view(&self, namespace: &str) -> Result<View, ApiError> {
        let informer = self.cluster.informer();
        let cluster_wide = self.cluster_wide.get(informer, || {
            let (roles, bindings) = (informer.list(CLUSTER_ROLES, "")?, informer.list(CLUSTER_ROLE_BINDINGS, "")?);
            Ok::<_, ApiError>(Policy::read(&roles, &bindings))
        })?;
        if namespace.is_empty() {
            return Ok(View { cluster_wide, namespaced: None });
        }
        let kept = self.namespaced.get(informer, || Ok::<_, ApiError>(Namespaces::default()))?;
        let found = kept.0.lock().get(namespace).cloned();
        let namespaced = match found {
            Some(found) => Some(found),
            None => {
                let bindings = informer.list(ROLE_BINDINGS, namespace)?;
                let made = match bindings.is_empty() {
                    true => None,
                    false => Some(Arc::new(Policy::read(&informer.list(ROLES, namespace)?, &bindings))),
                };
                if let Some(made) = &made {
                    kept.0.lock().insert(namespace.to_owned(), Arc::clone(made));
                }
                made
            }
        };
        Ok(View { cluster_wide, namespaced })
    }

    /// Every rule that applies to a user in a namespace, and what could not be resolved.
    pub fn rules_of(&self, user: &User, namespace: &str) -> (Vec<Rule>, Option<String>) {
        match self.view(namespace) {
            Ok(view) => view.rules_of(user),
            Err(error) => (Vec::new(), Some(error.message)),
        }
    }
}

/// The policy that a question is decided by.
struct View {
    cluster_wide: Arc<Policy>,
    namespaced: Option<Arc<Policy>>,
}

impl View {
    /// Shows every rule that applies to a user, those of the whole cluster first, until the visitor breaks.
    fn visit(&self, user: &User, mut visitor: impl FnMut(Visited<'_>) -> ControlFlow<()>) {
        let in_namespace = self.namespaced.iter().flat_map(|policy| policy.bindings.of(user));
        for binding in self.cluster_wide.bindings.of(user).chain(in_namespace) {
            let roles = match binding.role_kind.as_str() {
                "ClusterRole" => Some(&self.cluster_wide.roles),
                "Role" => self.namespaced.as_ref().map(|policy| &policy.roles),
                _ => None,
            };
            let flow = match roles.and_then(|roles| roles.get(&binding.role)) {
                Some(rules) => rules.iter().try_for_each(|rule| visitor(Visited::Rule(binding, rule))),
                None => visitor(Visited::Error(unresolved(&binding.role_kind, &binding.role))),
            };
            if flow.is_break() {
                return;
            }
        }
    }

    fn rules_of(&self, user: &User) -> (Vec<Rule>, Option<String>) {
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        self.visit(user, |visited| {
            match visited {
                Visited::Rule(_, rule) => rules.push(rule.clone()),
                Visited::Error(error) => errors.push(error),
            }
            ControlFlow::Continue(())
        });
        (rules, aggregate(errors))
    }

    fn decide(&self, asked: &Attributes) -> Decision {
        let (mut reason, mut errors) = (None, Vec::new());
        self.visit(&asked.user, |visited| {
            match visited {
                Visited::Rule(binding, rule) if rule.allows(asked) => {
                    reason = Some(binding.reason(&asked.user));
                    return ControlFlow::Break(());
                }
                Visited::Rule(..) => {}
                Visited::Error(error) => errors.push(error),
            }
            ControlFlow::Continue(())
        });
        match (reason, aggregate(errors)) {
            (Some(reason), _) => Decision::allow(reason),
            (None, Some(errors)) => Decision::no_opinion(format!("RBAC: {errors}")),
            (None, None) => Decision::no_opinion(""),
        }
    }
}

/// Why a role that a binding names has no rules.
fn unresolved(kind: &str, name: &str) -> String {
    match kind {
        "ClusterRole" | "Role" => format!("{}.{GROUP} {} not found", kind.to_lowercase(), go_quote(name)),
        _ => format!("unsupported role reference kind: {}", go_quote(kind)),
    }
}

impl Authorizer for Rbac {
    fn authorize<'a>(&'a self, asked: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            match self.view(&asked.namespace) {
                Ok(view) => view.decide(asked),
                Err(error) => Decision::no_opinion(format!("RBAC: {}", error.message)),
            }
        })
    }

    fn rules(&self, user: &User, namespace: &str) -> Option<Rules> {
        let (rules, error) = self.rules_of(user, namespace);
        Some(Rules { rules, incomplete: false, error })
    }
}

#[cfg(test)]
mod tests;
