//! Nobody grants what he does not have: the checks on writes of roles and bindings.
//!
//! In: what is about to be stored, after mutating admission and before validation. Out: the refusal of the real server.
//! Whoever may `escalate` a role or `bind` it may grant more than he has; members of `system:masters` may grant
//! anything.

use super::{CLUSTER_ROLES, GROUP, ROLES, Rbac, Rule, rule};
use crate::{
    access::authz::{Attributes, Authorization},
    api::schema::{Object, Value},
    request::{
        User,
        status::{ApiError, GroupResource, go_quote},
        user::MASTERS_GROUP,
    },
};

/// A write of an object, as far as these checks look at it.
pub struct Write<'a> {
    pub user: &'a User,
    pub group: &'a str,
    pub resource: &'a str,
    pub namespace: &'a str,
    /// The name in the path; empty for a create.
    pub name: &'a str,
    pub object: &'a Object,
    pub old: Option<&'a Object>,
}

impl Write<'_> {
    fn forbidden(&self, why: &str) -> ApiError {
        let resource = GroupResource::new(GROUP, self.resource.to_owned());
        ApiError::forbidden(&resource, self.object.name(), why)
    }

    /// Whether all that changes is what the garbage collector changes.
    fn is_only_for_collection(&self) -> bool {
        const COLLECTED: [&str; 3] = ["ownerReferences", "finalizers", "managedFields"];
        let Some(old) = self.old else { return false };
        let mut new = self.object.clone();
        COLLECTED.iter().for_each(|field| new.copy_from(old, &["metadata", field]));
        &new == old
    }
}

impl Rbac {
    /// Refuses a role with more rights, or a binding of a role with more rights, than the writer has.
    pub async fn may_grant(&self, authorization: &Authorization, write: Write<'_>) -> Result<(), ApiError> {
        if write.group != GROUP || write.user.is_in(MASTERS_GROUP) {
            return Ok(());
        }
        match write.resource {
            "roles" | "clusterroles" => self.may_write_role(authorization, &write).await,
            "rolebindings" | "clusterrolebindings" => self.may_write_binding(authorization, &write).await,
            _ => Ok(()),
        }
    }

    async fn may_write_role(&self, authorization: &Authorization, write: &Write<'_>) -> Result<(), ApiError> {
        let escalate = Attributes {
            user: write.user.clone(),
            verb: "escalate".into(),
            is_resource: true,
            namespace: write.namespace.into(),
            group: write.group.into(),
            version: "*".into(),
            resource: write.resource.into(),
            name: write.name.into(),
            ..Attributes::default()
        };
        if authorization.allows(&escalate).await || write.is_only_for_collection() {
            return Ok(());
        }
        self.covers(write, &Rule::of_role(write.object))?;
        let gathers = aggregates(write.object) || write.old.is_some_and(aggregates);
        if write.resource == "clusterroles" && gathers && self.covers(write, &Rule::everything()).is_err() {
            return Err(write.forbidden("must have cluster-admin privileges to use the aggregationRule"));
        }
        Ok(())
    }

    async fn may_write_binding(&self, authorization: &Authorization, write: &Write<'_>) -> Result<(), ApiError> {
        if write.is_only_for_collection() {
            return Ok(());
        }
        let text = |field| write.object.get_str(&["roleRef", field]).unwrap_or_default();
        let (kind, role) = (text("kind"), text("name"));
        let (resource, namespace) = match kind {
            "ClusterRole" => (CLUSTER_ROLES, ""),
            "Role" => (ROLES, write.namespace),
            _ => {
                return Err(ApiError::internal(format!("unsupported role reference kind: {}", go_quote(kind))));
            }
        };
        let bind = Attributes {
            user: write.user.clone(),
            verb: "bind".into(),
            is_resource: true,
            namespace: write.namespace.into(),
            group: text("apiGroup").into(),
            version: "*".into(),
            resource: resource.1.into(),
            name: role.into(),
            ..Attributes::default()
        };
        if authorization.allows(&bind).await {
            return Ok(());
        }
        // As the store has it now: a role that was widened a moment ago is not bound by its older, smaller rules.
        match self.cluster.informer().read(resource, namespace, role).await? {
            Some(role) => self.covers(write, &Rule::of_role(&role)),
            // The real server names the resource of the request here, not that of the role.
            None => Err(ApiError::not_found(&GroupResource::new(GROUP, write.resource.to_owned()), role)),
        }
    }

    /// Whether the writer has every right in `wanted`.
    fn covers(&self, write: &Write<'_>, wanted: &[Rule]) -> Result<(), ApiError> {
        let user = write.user;
        let (owned, error) = self.rules_of(user, write.namespace);
        let missing = rule::missing(&owned, wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let mut why = format!(
            "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            go_quote(&user.name),
            rule::quoted_list(&user.groups),
            rule::describe(&missing).join("\n")
        );
        if let Some(error) = error {
            why.push_str(&format!("; resolution errors: [{error}]"));
        }
        Err(write.forbidden(&why))
    }
}

fn aggregates(role: &Object) -> bool {
    role.get(&["aggregationRule", "clusterRoleSelectors"]).and_then(Value::as_list).is_some_and(|all| !all.is_empty())
}
