//! One operation on one object, as plugins see it.

use std::sync::Arc;

use crate::{
    api::{
        Api,
        registry::Resource,
        schema::{Gvk, Object},
    },
    cluster::{Cluster, known_kind},
    request::{
        AuditAnnotations, Steps, User, Warnings,
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

impl Operation {
    /// As reviews name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

/// One operation on one object.
pub struct Attributes<'a> {
    pub operation: Operation,
    /// The snapshot against which the request was resolved.
    pub api: &'a Arc<Api>,
    pub resource: &'a Arc<Resource>,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// The kind that the endpoint takes: that of the subresource, where it has its own.
    pub kind: Gvk,
    pub namespace: &'a str,
    /// Empty while a name has yet to be generated.
    pub name: &'a str,
    pub user: &'a User,
    /// The new state; none for a delete. For a connect, the options of the connection.
    pub object: Option<&'a mut Object>,
    /// The stored state; none for a create.
    pub old: Option<&'a Object>,
    /// CreateOptions and the like, as the client gave them; none for a connect.
    pub options: Option<&'a Object>,
    pub dry_run: bool,
    pub warnings: &'a Warnings,
    pub annotations: &'a AuditAnnotations,
    pub steps: &'a Steps,
    pub reinvocation: Reinvocation,
}

/// What happened in the first run of the chain, for webhooks that want to see what others change after them.
#[derive(Clone, Debug, Default)]
pub struct Reinvocation {
    /// The chain runs for the second time.
    pub(super) is_second: bool,
    /// A second run is wanted.
    pub(super) requested: bool,
    /// The object as the webhooks left it.
    pub(super) last: Option<Object>,
    /// Webhooks that were asked and want to be asked again when something changes.
    pub(super) invoked: Vec<String>,
    /// Webhooks that are asked in the second run.
    pub(super) wanted: Vec<String>,
}

impl Reinvocation {
    /// Something changed: who wants to see it is asked again.
    pub(super) fn require(&mut self) {
        self.wanted.append(&mut self.invoked);
    }
}

impl Attributes<'_> {
    /// An object of the request in the version of a kind that a webhook or a policy is about.
    pub(super) async fn in_version(
        &self,
        cluster: &Cluster,
        object: Option<&Object>,
        gvk: &Gvk,
    ) -> Result<Option<Object>, ApiError> {
        let Some(object) = object else { return Ok(None) };
        if object.gvk() == gvk {
            return Ok(Some(object.clone()));
        }
        let kind = known_kind(&self.api.schema, &gvk.group, &gvk.version, &gvk.kind)?;
        cluster.convert(self.api, object, &self.resource.plural, &kind).await.map(Some)
    }

    /// The group and plural of the resource.
    pub fn row(&self) -> (&str, &str) {
        (&self.resource.group, &self.resource.plural)
    }

    /// Whether this is about objects of a resource themselves, and not about a subresource.
    pub(super) fn is_for(&self, group: &str, plural: &str) -> bool {
        self.subresource.is_empty() && self.row() == (group, plural)
    }

    pub(super) fn is_namespace(&self) -> bool {
        self.kind.group.is_empty() && self.kind.kind == "Namespace"
    }

    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.resource.group.clone(), self.resource.plural.clone())
    }

    /// The refusal of a plugin. An object without a name yet is called by the beginning of its name.
    pub(super) fn forbidden(&self, why: impl std::fmt::Display) -> ApiError {
        let of_object = self.object.as_ref().map(|object| match object.name() {
            "" => object.generate_name(),
            name => name,
        });
        let name = match (self.name, of_object) {
            ("", None | Some("")) => "Unknown",
            ("", Some(name)) => name,
            (name, _) => name,
        };
        ApiError::forbidden(&self.group_resource(), name, why)
    }
}
