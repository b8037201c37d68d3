//! On whose behalf something is written, and what admission says to it.

use crate::cluster::Target;
use crate::{
    access::authz::{self, rbac},
    admission::{Attributes, Operation},
    api::schema::{Gvk, Object},
    object::managed_fields,
    request::{AuditAnnotations, User, Warnings, status::ApiError},
    verbs::Context,
};

const BROKEN_ENTRIES: &str = ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests";

/// What a write carries through its retries.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) user: &'a User,
    pub(super) warnings: &'a Warnings,
    pub(super) dry_run: bool,
    /// Who comes to own what is written; "" where nothing is.
    pub(super) field_manager: &'a str,
}

impl Caller<'_> {
    /// Lets plugins change the object; then nobody grants what he does not have.
    pub(super) async fn admit(
        &self,
        ctx: &Context,
        target: &Target,
        object: &mut Object,
        old: Option<&Object>,
    ) -> Result<(), ApiError> {
        if !ctx.admission.is_empty() {
            let name = if target.name.is_empty() { object.name().to_owned() } else { target.name.clone() };
            let annotations = AuditAnnotations::default();
            let entries = managed_fields::entries(object);
            let mut attributes = self.attributes(target, &name, Some(&mut *object), old, &annotations);
            ctx.admission.admit(&ctx.cluster, &mut attributes).await?;
            if let Some(complaint) = managed_fields::restore_entries(object, entries) {
                self.warnings.add(format!("{BROKEN_ENTRIES}: {complaint}"));
            }
        }
        let write = rbac::Write {
            user: self.user,
            group: &target.resource.group,
            resource: &target.resource.plural,
            namespace: &target.namespace,
            name: &target.name,
            object,
            old,
        };
        ctx.access.rbac.may_grant(&ctx.access.authorization, write).await
    }

    /// Who may change an object may not, for that alone, make one.
    pub(super) async fn may_create(&self, ctx: &Context, target: &Target) -> Result<(), ApiError> {
        let resource = &target.resource;
        let attributes = authz::Attributes {
            user: self.user.clone(),
            verb: "create".to_owned(),
            is_resource: true,
            namespace: target.namespace.clone(),
            group: resource.group.to_string(),
            version: resource.version.to_string(),
            resource: resource.plural.to_string(),
            name: target.name.clone(),
            ..authz::Attributes::default()
        };
        let refused = ctx.access.authorization.check(&attributes).await.err();
        refused.map_or(Ok(()), |error| Err(ApiError { nosniff: false, ..error }))
    }

    /// Lets plugins refuse what will be stored; without an object, a deletion.
    pub(super) async fn validate(
        &self,
        ctx: &Context,
        target: &Target,
        object: Option<&mut Object>,
        old: Option<&Object>,
    ) -> Result<(), ApiError> {
        if ctx.admission.is_empty() {
            return Ok(());
        }
        let name = match &object {
            Some(object) if target.name.is_empty() => object.name().to_owned(),
            _ => target.name.clone(),
        };
        let annotations = AuditAnnotations::default();
        let mut attributes = self.attributes(target, &name, object, old, &annotations);
        if attributes.operation == Operation::Delete {
            ctx.admission.admit(&ctx.cluster, &mut attributes).await?;
        }
        ctx.admission.validate(&ctx.cluster, &attributes).await
    }

    fn attributes<'a>(
        &'a self,
        target: &'a Target,
        name: &'a str,
        object: Option<&'a mut Object>,
        old: Option<&'a Object>,
        annotations: &'a AuditAnnotations,
    ) -> Attributes<'a> {
        let subresource = target.subresource.as_ref();
        let operation = match (&object, old) {
            (Some(_), None) => Operation::Create,
            (Some(_), Some(_)) => Operation::Update,
            (None, _) => Operation::Delete,
        };
        Attributes {
            operation,
            api: &target.api,
            resource: &target.resource,
            subresource: subresource.map_or("", |s| s.name.as_ref()),
            kind: match subresource {
                Some(own) => Gvk { group: own.group.clone(), version: own.version.clone(), kind: own.kind.clone() },
                None => target.kind.gvk.clone(),
            },
            namespace: &target.namespace,
            name,
            user: self.user,
            object,
            old,
            options: None,
            dry_run: self.dry_run,
            warnings: self.warnings,
            annotations,
        }
    }
}
