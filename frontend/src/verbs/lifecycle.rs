//! The one order of a write, from what a client wants to what goes to the store. Every verb that stores an object takes
//! it from here.
//!
//! 1. *Ownership* comes first: what the client and the defaults wrote is owned by the client, what comes after by
//!    nobody.
//! 2. *Mutating admission* sees the object as the client sent it, completed by defaults alone.
//! 3. *What others gave* it, addresses and ports, is carried over from the current object or refused, before anything
//!    that depends on it is validated.
//! 4. *Preparation* comes after it, so that no plugin can set what belongs to the server: system metadata, the parts of
//!    other endpoints, the generation.
//! 5. *Validation* by the type sees the prepared object, since preparation drops what may not be set.
//! 6. *Validating admission* sees exactly what will be stored, and never an invalid object.
//! 7. *Claims* on what others may want too (addresses, ports) come last, so that a refused object has taken nothing.
//! 8. The store compares and swaps. Claims are committed or undone by its answer: see [`super::write`].
//!
//! All of it may run again on a newer state of the object. Not here: reading bodies and answering.

use super::{
    caller::Caller,
    defaults, ownership,
    read_at::parse_revision,
    write::{Current, Owners, Ready, Step},
};
use crate::{
    api::schema::Object,
    cluster::Target,
    object::{
        equality::same_but_entries,
        generate_name, managed_fields,
        strategy::{self, Writer},
        validation,
    },
    request::{
        Warnings,
        status::{ApiError, FieldError},
    },
    verbs::Context,
};

const MODIFIED: &str = "the object has been modified; please apply your changes to the latest version and try again";

/// The first half of a create: what is done once, however many names are tried.
pub(super) async fn begin_create(
    ctx: &Context,
    target: &Target,
    object: &mut Object,
    caller: Caller<'_>,
) -> Result<(), ApiError> {
    ownership::update(ctx, target, caller, None, object).await;
    caller.admit(ctx, target, object, None).await
}

/// An object that is to be stored.
pub(super) enum Proposal {
    /// As a client wants it: what it changes becomes its own.
    Sent(Object),
    /// With entries of managedFields that are right already.
    Owned(Object),
}

/// The second half of a create: what is done anew for each name.
pub(super) async fn finish_create(
    ctx: &Context,
    target: &Target,
    mut object: Object,
    caller: Caller<'_>,
) -> Result<Ready, ApiError> {
    prepare_new(ctx, target, &mut object, caller).await?;
    complete_new(ctx, target, object, Owners::Expendable, caller).await
}

async fn complete_new(
    ctx: &Context,
    target: &Target,
    mut object: Object,
    owners: Owners,
    caller: Caller<'_>,
) -> Result<Ready, ApiError> {
    caller.validate(ctx, target, Some(&mut object), None).await?;
    let named = target.with_name(object.name());
    let claims = strategy::claim(&ctx.cluster, &named, &mut object, None, caller.dry_run).await?;
    Ok(Ready { object, claims, owners })
}

impl Proposal {
    pub(super) fn object_mut(&mut self) -> &mut Object {
        match self {
            Proposal::Sent(object) | Proposal::Owned(object) => object,
        }
    }
}

/// Validates a proposed object against the current one, and completes it for the store. Without a current one it is a
/// create by a verb that may create.
pub(super) async fn change(
    ctx: &Context,
    target: &Target,
    proposal: Proposal,
    current: Option<&Current>,
    caller: Caller<'_>,
) -> Result<Step, ApiError> {
    let (mut object, owners) = match proposal {
        Proposal::Owned(object) => (object, Owners::Kept),
        Proposal::Sent(mut object) => {
            ownership::update(ctx, target, caller, current.map(|c| &c.object), &mut object).await;
            (object, Owners::Expendable)
        }
    };
    let Some(current) = current else {
        caller.admit(ctx, target, &mut object, None).await?;
        revision(&object)?;
        object.set_resource_version("");
        prepare_new(ctx, target, &mut object, caller).await?;
        caller.may_create(ctx, target).await?;
        let ready = complete_new(ctx, target, object, owners, caller).await?;
        return Ok(Step::Write(Box::new(ready)));
    };
    caller.admit(ctx, target, &mut object, Some(&current.object)).await?;
    check_revision(target, &mut object, current)?;
    strategy::begin(&ctx.cluster, target, &mut object, Some(&current.object), caller.dry_run)?;
    prepare_update(ctx, target, &mut object, &current.object, caller).await?;
    managed_fields::keep_times(&mut object, &current.object, same_but_entries);
    caller.validate(ctx, target, Some(&mut object), Some(&current.object)).await?;
    if removes_itself(&object, &current.object) && strategy::may_be_removed(target, &object) {
        return Ok(Step::remove(target, object));
    }
    let claims = strategy::claim(&ctx.cluster, target, &mut object, Some(&current.object), caller.dry_run).await?;
    Ok(Step::Write(Box::new(Ready { object, claims, owners })))
}

/// The revision that the client saw; 0 where it says none.
fn revision(object: &Object) -> Result<i64, ApiError> {
    match object.resource_version() {
        "" => Ok(0),
        text => parse_revision(text).map_err(ApiError::unknown),
    }
}

/// The revision that the client saw must be the current one; some resources let it be left out.
fn check_revision(target: &Target, object: &mut Object, current: &Current) -> Result<(), ApiError> {
    let revision = revision(object)?;
    let resource = target.group_resource();
    if revision == 0 && target.resource.updates.may_be_unconditional {
        object.set_resource_version(&current.stored.mod_revision.to_string());
    } else if revision == 0 {
        let detail = "must be specified for an update";
        let error = FieldError::invalid_value("metadata.resourceVersion", 0, detail);
        return Err(ApiError::invalid(&resource.group, &resource.resource, &target.name, vec![error]));
    } else if revision != current.stored.mod_revision {
        return Err(ApiError::conflict(&resource, &target.name, MODIFIED));
    }
    Ok(())
}

/// Everything that happens to a new object before it is stored, but for what it claims from others.
async fn prepare_new(ctx: &Context, target: &Target, object: &mut Object, caller: Caller<'_>) -> Result<(), ApiError> {
    defaults::fill_system_fields(ctx, object);
    if object.name().is_empty() && !object.generate_name().is_empty() {
        let name = generate_name(object.generate_name());
        object.set_name(&name);
    }
    if target.is_ending() {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(ApiError::forbidden(&target.group_resource(), object.name(), why));
    }
    defaults::settle_namespace(target, object)?;
    strategy::begin(&ctx.cluster, target, object, None, caller.dry_run)?;
    let writer = Writer { user: caller.user, now: defaults::now(ctx), warnings: caller.warnings };
    strategy::prepare_create(target, object, &writer);
    let mut errors = strategy::unauthorized(&ctx.cluster, target, object, None).await;
    errors.extend(match custom_rules(target) {
        Some(rules) => told(validation::custom::validate_create(object, rules), caller.warnings),
        None => validation::validate_create(target.row(), target.resource.namespaced, object, options(ctx)),
    });
    refuse_invalid(target, object, errors)?;
    for warning in validation::warnings(target.row(), "", object, None) {
        caller.warnings.add(warning);
    }
    Ok(())
}

/// A refusal names the kind by the group in which it is stored, whichever group it is asked through.
fn refuse_invalid(target: &Target, object: &Object, errors: Vec<FieldError>) -> Result<(), ApiError> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(target.stored_group(), &object.gvk().kind, object.name(), errors))
}

/// Everything that happens to a changed object before it is stored.
async fn prepare_update(
    ctx: &Context,
    target: &Target,
    object: &mut Object,
    old: &Object,
    caller: Caller<'_>,
) -> Result<(), ApiError> {
    defaults::settle_namespace(target, object)?;
    if old.generation() == 0 {
        object.remove(&["metadata", "generation"]);
    } else {
        object.set_generation(old.generation());
    }
    object.set_self_link("");
    let writer = Writer { user: caller.user, now: defaults::now(ctx), warnings: caller.warnings };
    strategy::prepare_update(target, object, old, &writer);
    if object.uid().is_empty() {
        object.set_uid(old.uid());
    }
    if !old.creation_timestamp().is_empty() {
        object.set_creation_timestamp(old.creation_timestamp());
    }
    if old.deletion_timestamp().is_some() {
        object.set_deletion_timestamp(old.deletion_timestamp());
    }
    if old.deletion_grace_period_seconds().is_some() && object.deletion_grace_period_seconds().is_none() {
        object.set_deletion_grace_period_seconds(old.deletion_grace_period_seconds());
    }
    let subresource = target.subresource.as_ref().map_or("", |s| s.name.as_ref());
    let namespaced = target.resource.namespaced;
    let mut errors = strategy::unauthorized(&ctx.cluster, target, object, Some(old)).await;
    errors.extend(match custom_rules(target) {
        Some(rules) => told(validation::custom::validate_update(object, old, subresource, rules), caller.warnings),
        None => validation::validate_update(target.row(), subresource, namespaced, object, old, options(ctx)),
    });
    refuse_invalid(target, object, errors)?;
    for warning in validation::warnings(target.row(), subresource, object, Some(old)) {
        caller.warnings.add(warning);
    }
    Ok(())
}

/// The last finalizer of a deleted object is gone, and nobody waits for its grace period.
fn removes_itself(object: &Object, old: &Object) -> bool {
    object.finalizers().next().is_none()
        && old.deletion_timestamp().is_some()
        && old.deletion_grace_period_seconds().unwrap_or(0) == 0
}

fn options(ctx: &Context) -> validation::Options {
    validation::Options { allow_privileged: ctx.cluster.settings.allow_privileged }
}

/// What a custom resource's definition says of its objects.
fn custom_rules(target: &Target) -> Option<validation::custom::Rules<'_>> {
    let version = target.definition()?.version(&target.resource.version)?;
    let namespaced = target.resource.namespaced;
    let (scale, rules) = (version.scale.as_ref(), version.rules());
    Some(validation::custom::Rules { namespaced, schema: &version.schema, scale, rules })
}

/// The errors; the client hears the rest.
fn told(verdict: validation::custom::Verdict, warnings: &Warnings) -> Vec<FieldError> {
    verdict.warnings.into_iter().for_each(|warning| warnings.add(warning));
    verdict.errors
}
