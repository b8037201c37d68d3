//! What may still happen to an object between its decoding and the store: plugins that change it, then plugins that only
//! judge it.
//!
//! In: [`Attributes`], made by the verb inside its update loop, so that what is judged is what will be committed. Out: a
//! changed object, or a refusal. The chain is async and may run again on a newer state: a plugin must not keep anything
//! of an earlier run. Not here: validation by the type itself.

mod plugins;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    api::{registry::Resource, schema::Object},
    cluster::Cluster,
    request::{
        User, Warnings,
        info::{RequestInfo, Verb},
        status::{ApiError, GroupResource},
    },
};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// One operation on one object.
pub struct Attributes<'a> {
    pub operation: Operation,
    pub resource: &'a Resource,
    /// Empty for the object itself.
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub user: &'a User,
    /// The new state; none for a delete.
    pub object: Option<&'a mut Object>,
    /// The stored state; none for a create.
    pub old: Option<&'a Object>,
    pub dry_run: bool,
    pub warnings: &'a Warnings,
}

impl Attributes<'_> {
    /// Whether this is about objects of a resource themselves, and not about a subresource.
    fn is_for(&self, group: &str, plural: &str) -> bool {
        self.subresource.is_empty() && (&*self.resource.group, &*self.resource.plural) == (group, plural)
    }

    fn forbidden(&self, why: impl std::fmt::Display) -> ApiError {
        let resource = GroupResource::new(self.resource.group.clone(), self.resource.plural.clone());
        ApiError::forbidden(&resource, self.name, why)
    }
}

/// One plugin. The default of both halves is to let everything pass.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// The name by which an operator turns it on and off.
    fn name(&self) -> &'static str;

    fn handles(&self, operation: Operation) -> bool;

    /// May change the object.
    async fn admit(&self, _: &Cluster, _: &mut Attributes<'_>) -> Result<(), ApiError> {
        Ok(())
    }

    /// May refuse the object as it will be stored.
    async fn validate(&self, _: &Cluster, _: &Attributes<'_>) -> Result<(), ApiError> {
        Ok(())
    }
}

/// All plugins, in order.
#[derive(Clone, Default)]
pub struct Admission {
    plugins: Vec<Arc<dyn Plugin>>,
}

impl Admission {
    pub fn new(plugins: Vec<Arc<dyn Plugin>>) -> Admission {
        Admission { plugins }
    }

    /// The plugins of this server in their order, but for those that an operator turned off.
    pub fn standard(disabled: &[String]) -> Admission {
        let plugins: [Arc<dyn Plugin>; 4] = [
            Arc::new(plugins::service_accounts::ServiceAccount),
            Arc::new(plugins::taints::TaintNodesByCondition),
            Arc::new(plugins::priority::Priority),
            Arc::new(plugins::taints::DefaultTolerationSeconds),
        ];
        let enabled = plugins.into_iter().filter(|plugin| !disabled.iter().any(|name| name == plugin.name()));
        Admission::new(enabled.collect())
    }

    /// The first half, before validation.
    pub async fn admit(&self, cluster: &Cluster, attributes: &mut Attributes<'_>) -> Result<(), ApiError> {
        let operation = attributes.operation;
        for plugin in self.plugins.iter().filter(|p| p.handles(operation)) {
            plugin.admit(cluster, attributes).await?;
        }
        Ok(())
    }

    /// The second half, last before the store.
    pub async fn validate(&self, cluster: &Cluster, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        for plugin in self.plugins.iter().filter(|p| p.handles(attributes.operation)) {
            plugin.validate(cluster, attributes).await?;
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }
}

/// The namespaces that a cluster cannot be without.
const IMMORTAL_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Refusals that need no object, only its name: they come before the store is asked.
pub fn refuse_by_name(info: &RequestInfo) -> Result<(), ApiError> {
    let is_namespace = info.group.is_empty() && info.resource == "namespaces" && info.subresource.is_empty();
    if info.verb == Verb::Delete && is_namespace && IMMORTAL_NAMESPACES.contains(&info.name.as_str()) {
        return Err(ApiError::forbidden(&info.group_resource(), &info.name, "this namespace may not be deleted"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::request::info::Query;

    #[test]
    fn some_namespaces_may_not_be_deleted() {
        let judge = |path: &'static str| {
            let info = RequestInfo::parse(&Method::DELETE, &http::Uri::from_static(path), &Query::default()).unwrap();
            refuse_by_name(&info)
        };
        let refusal = judge("/api/v1/namespaces/default").unwrap_err();
        assert_eq!(refusal.message, "namespaces \"default\" is forbidden: this namespace may not be deleted");
        assert!(judge("/api/v1/namespaces/kube-node-lease").is_ok());
        assert!(judge("/api/v1/namespaces/default/pods/default").is_ok());
    }
}
