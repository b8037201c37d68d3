//! Role-based access control: what roles permit to those whom bindings name.
//!
//! In: attributes, and the roles and bindings that the informer keeps current. Out: a decision, the rules of a user, or
//! the refusal of a grant. A decision costs the bindings of the user who asks, not all that there are. Not here: the
//! roles that a server makes itself (`wiring`).

mod grant;
mod policy;
mod rule;

use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

use async_trait::async_trait;
pub use grant::Write;
use parking_lot::Mutex;
use policy::{Binding, Bindings, Roles};
pub use rule::{Rule, missing};

use super::{Attributes, Authorizer, Decision, Rules};
use crate::{
    cluster::{Cluster, Derived, ResourceName},
    request::{User, status::{ApiError, go_quote}},
};

const GROUP: &str = "rbac.authorization.k8s.io";
const ROLES: ResourceName<'static> = (GROUP, "roles");
const ROLE_BINDINGS: ResourceName<'static> = (GROUP, "rolebindings");
const CLUSTER_ROLES: ResourceName<'static> = (GROUP, "clusterroles");
const CLUSTER_ROLE_BINDINGS: ResourceName<'static> = (GROUP, "clusterrolebindings");

/// The roles and bindings of a cluster.
pub struct Rbac {
    cluster: Arc<Cluster>,
    cluster_wide: Derived<ClusterWide>,
    namespaced: Derived<Namespaces>,
}

struct ClusterWide {
    roles: Roles,
    bindings: Bindings,
}

/// What was asked for since a role or binding of any namespace changed. Only namespaces with bindings are kept, so that
/// there are never more than the store has.
#[derive(Default)]
struct Namespaces(Mutex<HashMap<String, Arc<Namespaced>>>);

struct Namespaced {
    roles: Roles,
    bindings: Bindings,
}

/// What a visit of a user's rules is told; to go on or to stop.
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

    fn cluster_wide(&self) -> Result<Arc<ClusterWide>, ApiError> {
        let informer = self.cluster.informer();
        self.cluster_wide.get(informer, || {
            Ok(ClusterWide {
                roles: policy::roles(&informer.list(CLUSTER_ROLES, "")?),
                bindings: Bindings::read(&informer.list(CLUSTER_ROLE_BINDINGS, "")?),
            })
        })
    }

    fn namespaced(&self, namespace: &str) -> Result<Option<Arc<Namespaced>>, ApiError> {
        let informer = self.cluster.informer();
        let kept = self.namespaced.get(informer, || Ok::<_, ApiError>(Namespaces::default()))?;
        if let Some(found) = kept.0.lock().get(namespace) {
            return Ok(Some(Arc::clone(found)));
        }
        let bindings = Bindings::read(&informer.list(ROLE_BINDINGS, namespace)?);
        if bindings.is_empty() {
            return Ok(None);
        }
        let roles = policy::roles(&informer.list(ROLES, namespace)?);
        let made = Arc::new(Namespaced { roles, bindings });
        kept.0.lock().insert(namespace.to_owned(), Arc::clone(&made));
        Ok(Some(made))
    }

    /// Shows every rule that applies to a user in a namespace, those of the cluster first, until the visitor breaks.
    fn visit(
        &self,
        user: &User,
        namespace: &str,
        mut visitor: impl FnMut(Visited<'_>) -> ControlFlow<()>,
    ) {
        let cluster_wide = match self.cluster_wide() {
            Ok(cluster_wide) => cluster_wide,
            Err(error) => return drop(visitor(Visited::Error(error.message))),
        };
        let namespaced = match namespace {
            "" => None,
            namespace => match self.namespaced(namespace) {
                Ok(namespaced) => namespaced,
                Err(error) => return drop(visitor(Visited::Error(error.message))),
            },
        };
        let in_namespace = namespaced.iter().flat_map(|n| n.bindings.of(user));
        for binding in cluster_wide.bindings.of(user).chain(in_namespace) {
            let roles = match binding.role_kind.as_str() {
                "ClusterRole" => Some(&cluster_wide.roles),
                "Role" => namespaced.as_ref().map(|n| &n.roles),
                _ => None,
            };
            let broken = match roles.and_then(|roles| roles.get(&binding.role)) {
                Some(rules) => {
                    rules.iter().try_for_each(|rule| visitor(Visited::Rule(binding, rule))).is_break()
                }
                None => visitor(Visited::Error(unresolved(&binding.role_kind, &binding.role))).is_break(),
            };
            if broken {
                return;
            }
        }
    }

    /// Every rule that applies to a user in a namespace, and what could not be resolved.
    pub fn rules_of(&self, user: &User, namespace: &str) -> (Vec<Rule>, Option<String>) {
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        self.visit(user, namespace, |visited| {
            match visited {
                Visited::Rule(_, rule) => rules.push(rule.clone()),
                Visited::Error(error) => errors.push(error),
            }
            ControlFlow::Continue(())
        });
        (rules, aggregate(errors))
    }
}

/// Why a role that a binding names has no rules.
fn unresolved(kind: &str, name: &str) -> String {
    match kind {
        "ClusterRole" | "Role" => format!("{}.{GROUP} {} not found", kind.to_lowercase(), go_quote(name)),
        _ => format!("unsupported role reference kind: {}", go_quote(kind)),
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

#[async_trait]
impl Authorizer for Rbac {
    async fn authorize(&self, asked: &Attributes) -> Decision {
        let (mut reason, mut errors) = (None, Vec::new());
        self.visit(&asked.user, &asked.namespace, |visited| match visited {
            Visited::Rule(binding, rule) if rule.allows(asked) => {
                reason = Some(binding.reason(&asked.user));
                ControlFlow::Break(())
            }
            Visited::Rule(..) => ControlFlow::Continue(()),
            Visited::Error(error) => {
                errors.push(error);
                ControlFlow::Continue(())
            }
        });
        match reason {
            Some(reason) => Decision::allow(reason),
            None => Decision::no_opinion(aggregate(errors).map_or_else(String::new, |errors| format!("RBAC: {errors}"))),
        }
    }

    fn rules(&self, user: &User, namespace: &str) -> Option<Rules> {
        let (rules, error) = self.rules_of(user, namespace);
        Some(Rules { rules, incomplete: false, error })
    }
}

#[cfg(test)]
mod tests;
