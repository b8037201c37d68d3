//! On whose behalf something is written, and what admission says to it.

use super::{delete_options::DeleteOptions, options::WriteOptions};
use crate::{
    access::authz::{self, rbac},
    admission::{Attributes, Operation, Reinvocation},
    api::schema::{Gvk, Object},
    cluster::Target,
    object::managed_fields,
    request::{AuditAnnotations, Notes, Steps, User, Warnings, status::ApiError},
    verbs::Context,
};

const BROKEN_ENTRIES: &str = ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests";

/// What a write carries through its retries.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) user: &'a User,
    pub(super) warnings: &'a Warnings,
    pub(super) annotations: &'a AuditAnnotations,
    pub(super) steps: &'a Steps,
    pub(super) dry_run: bool,
    /// Who comes to own what is written; "" where nothing is.
    pub(super) field_manager: &'a str,
    options: Options<'a>,
    admission: Asked,
}

/// How the client wants it done.
#[derive(Clone, Copy)]
enum Options<'a> {
    Write(&'a WriteOptions),
    Delete(&'a DeleteOptions),
}

/// Whether admission has had its say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Yet,
    /// As a part of what happens to a collection: the request has no name.
    OfCollection,
    Already,
}

impl<'a> Caller<'a> {
    pub(super) fn writes(user: &'a User, notes: &'a Notes, options: &'a WriteOptions) -> Caller<'a> {
        Caller::new(user, notes, Options::Write(options))
    }

    pub(super) fn deletes(user: &'a User, notes: &'a Notes, options: &'a DeleteOptions) -> Caller<'a> {
        Caller::new(user, notes, Options::Delete(options))
    }

    fn new(user: &'a User, notes: &'a Notes, options: Options<'a>) -> Caller<'a> {
        let (dry_run, field_manager) = match options {
            Options::Write(options) => (options.dry_run, options.field_manager.as_str()),
            Options::Delete(options) => (options.dry_run, ""),
        };
        let Notes { warnings, annotations, steps } = notes;
        Caller { user, warnings, annotations, steps, dry_run, field_manager, options, admission: Asked::Yet }
    }

    /// For each object of a collection.
    pub(super) fn of_collection(self) -> Caller<'a> {
        Caller { admission: Asked::OfCollection, ..self }
    }

    /// For a deletion that follows, which may be a dry run by its own options.
    pub(super) fn deleting(self, options: &DeleteOptions) -> Caller<'a> {
        Caller { dry_run: options.dry_run, ..self }
    }

    /// The key as errors show it.
    pub(super) fn shown_key(&self, ctx: &Context, target: &Target) -> Result<String, ApiError> {
        if self.dry_run { target.key_below_prefix() } else { target.key(&ctx.cluster) }
    }

    /// For the write that follows from one that admission has let through already, as that of a workload from its
    /// scale.
    pub(super) fn admitted(self) -> Caller<'a> {
        Caller { admission: Asked::Already, ..self }
    }
}

impl Caller<'_> {
    fn asks(&self, ctx: &Context) -> bool {
        !ctx.admission.is_empty() && self.admission != Asked::Already
    }

    /// Lets plugins change the object; then nobody grants what he does not have.
    pub(super) async fn admit(
        &self,
        ctx: &Context,
        target: &Target,
        object: &mut Object,
        old: Option<&Object>,
    ) -> Result<(), ApiError> {
        if self.asks(ctx) {
            let name = if target.name.is_empty() { object.name().to_owned() } else { target.name.clone() };
            let entries = managed_fields::entries(object);
            let options = self.options(target, operation(Some(&*object), old));
            let mut attributes = self.attributes(target, &name, Some(&mut *object), old, options.as_ref());
            ctx.admission.admit(&ctx.cluster, &mut attributes).await?;
            if let Some(error) = managed_fields::restore_entries(object, entries) {
                self.warnings.add(format!("{BROKEN_ENTRIES}: {error}"));
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
        if !self.asks(ctx) {
            return Ok(());
        }
        let name = match &object {
            _ if self.admission == Asked::OfCollection => String::new(),
            Some(object) if target.name.is_empty() => object.name().to_owned(),
            _ => target.name.clone(),
        };
        let options = self.options(target, operation(object.as_deref(), old));
        let mut attributes = self.attributes(target, &name, object, old, options.as_ref());
        if attributes.operation == Operation::Delete {
            ctx.admission.admit(&ctx.cluster, &mut attributes).await?;
        }
        ctx.admission.validate(&ctx.cluster, &attributes).await
    }

    /// The options under the name that fits the operation: a patch that creates has options of a create.
    fn options(&self, target: &Target, operation: Operation) -> Option<Object> {
        let schema = &target.api.schema;
        match (self.options, operation) {
            (Options::Delete(options), _) => options.to_object(schema),
            (Options::Write(options), Operation::Create) => options.to_object(schema, "CreateOptions"),
            (Options::Write(options), _) => options.to_object(schema, "UpdateOptions"),
        }
    }

    fn attributes<'a>(
        &'a self,
        target: &'a Target,
        name: &'a str,
        object: Option<&'a mut Object>,
        old: Option<&'a Object>,
        options: Option<&'a Object>,
    ) -> Attributes<'a> {
        let subresource = target.subresource.as_ref();
        let operation = operation(object.as_deref(), old);
        Attributes {
            operation,
            api: &target.api,
            resource: &target.resource,
            subresource: subresource.map_or("", |s| s.name.as_ref()),
            kind: match subresource {
                Some(own) => Gvk { group: own.group.clone(), version: own.version.clone(), kind: own.kind.clone() },
                None => target.kind.gvk.clone(),
            },
            // A namespace is in itself.
            namespace: if target.row() == ("", "namespaces") { name } else { &target.namespace },
            name,
            user: self.user,
            object,
            old,
            options,
            dry_run: self.dry_run,
            warnings: self.warnings,
            annotations: self.annotations,
            steps: self.steps,
            reinvocation: Reinvocation::default(),
        }
    }
}

fn operation(object: Option<&Object>, old: Option<&Object>) -> Operation {
    match (object, old) {
        (Some(_), None) => Operation::Create,
        (Some(_), Some(_)) => Operation::Update,
        (None, _) => Operation::Delete,
    }
}
