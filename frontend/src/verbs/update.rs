//! PUT of an object, and what every other change of an existing object shares with it.

use async_trait::async_trait;

use super::{
    caller::Caller,
    create::prepare_new,
    get::parse_revision,
    input,
    options::{OptionsKind, WriteOptions},
    respond::Answer,
    write::{self, Current, Rewrite, Step},
};
use crate::cluster::Target;
use crate::{
    api::schema::Object,
    object::{strategy, validation},
    request::{
        Request, User, Warnings,
        negotiate::{self, Offer},
        status::{ApiError, FieldError},
    },
    verbs::Context,
};

const MODIFIED: &str = "the object has been modified; please apply your changes to the latest version and try again";

pub(super) async fn update(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let body = request.body.read().await?;
    let options = WriteOptions::parse(&request.query, OptionsKind::Update)?;
    let offer = if target.resource.custom { Offer::CUSTOM } else { Offer::OBJECTS };
    let media = negotiate::input(&request.headers, &offer)?;
    let mut object =
        input::decode(&target.api.schema, &target.kind, media, &body, options.field_validation, &request.warnings)?;
    super::defaults::settle_namespace(target, &mut object)?;
    check_name(target, &object)?;
    input::merge_owner_references(&mut object, &request.warnings);
    let uid = object.uid().to_owned();
    let expected_uid = (!uid.is_empty()).then_some(uid);
    let caller = Caller { user, warnings: &request.warnings, dry_run: options.dry_run };
    let mut change = Update { ctx, target, object, expected_uid, caller };
    let written = write::apply(ctx, target, options.dry_run, &mut change).await?;
    if written.removed && !options.dry_run {
        strategy::removed(&ctx.cluster, target, &written.object).await;
    }
    Ok(Answer::object(if written.created { 201 } else { 200 }, written.object))
}

/// The name in the object must be the one in the path.
pub(super) fn check_name(target: &Target, object: &Object) -> Result<(), ApiError> {
    let name = object.name();
    if name.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            target.name
        )));
    }
    if name != target.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    Ok(())
}

struct Update<'a> {
    ctx: &'a Context,
    target: &'a Target,
    object: Object,
    expected_uid: Option<String>,
    caller: Caller<'a>,
}

#[async_trait]
impl Rewrite for Update<'_> {
    async fn rewrite(&mut self, current: Option<&Current>) -> Result<Step, ApiError> {
        let may_create = self.target.resource.updates.may_create && self.target.subresource.is_none();
        if current.is_none() && !may_create {
            return Err(ApiError::not_found(&self.target.group_resource(), &self.target.name));
        }
        if let Some(expected) = &self.expected_uid {
            check_uid(self.ctx, self.target, expected, current)?;
        }
        settle(self.ctx, self.target, self.object.clone(), current, self.caller).await
    }
}

fn check_uid(ctx: &Context, target: &Target, expected: &str, current: Option<&Current>) -> Result<(), ApiError> {
    let found = current.map_or("", |c| c.object.uid());
    if found == expected {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {expected}, UID in object meta: {found}",
        target.key(&ctx.cluster)?
    );
    Err(ApiError::conflict(&target.group_resource(), &target.name, why))
}

/// Judges a proposed object against the current one, and completes it for the store.
pub(super) async fn settle(
    ctx: &Context,
    target: &Target,
    mut object: Object,
    current: Option<&Current>,
    caller: Caller<'_>,
) -> Result<Step, ApiError> {
    let revision = match object.resource_version() {
        "" => 0,
        text => parse_revision(text).map_err(ApiError::unknown)?,
    };
    let Some(current) = current else {
        strategy::namespace_accepts(&ctx.cluster, target, object.name()).await?;
        caller.admit(ctx, target, &mut object, None).await?;
        prepare_new(ctx, target, &mut object, caller.warnings)?;
        caller.validate(ctx, target, Some(&mut object), None).await?;
        object.set_resource_version("");
        strategy::claim(&ctx.cluster, target, &mut object, None, caller.dry_run).await?;
        return Ok(Step::Write(Box::new(object)));
    };
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
    caller.admit(ctx, target, &mut object, Some(&current.object)).await?;
    strategy::keep_claims(target, &mut object, &current.object);
    prepare_update(ctx, target, &mut object, &current.object, caller.warnings)?;
    caller.validate(ctx, target, Some(&mut object), Some(&current.object)).await?;
    if removes_itself(&object, &current.object) && strategy::may_be_removed(target, &object) {
        return Ok(Step::Remove(Box::new(object)));
    }
    strategy::claim(&ctx.cluster, target, &mut object, Some(&current.object), caller.dry_run).await?;
    Ok(Step::Write(Box::new(object)))
}

/// Everything that happens to a changed object before it is stored.
fn prepare_update(
    ctx: &Context,
    target: &Target,
    object: &mut Object,
    old: &Object,
    warnings: &Warnings,
) -> Result<(), ApiError> {
    super::defaults::settle_namespace(target, object)?;
    if old.generation() == 0 {
        object.remove(&["metadata", "generation"]);
    } else {
        object.set_generation(old.generation());
    }
    object.set_self_link("");
    strategy::prepare_update(&ctx.cluster, target, object, old);
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
    let errors = validation::validate_update(
        target.row(),
        subresource,
        target.resource.namespaced,
        object,
        old,
        ctx.cluster.settings.validation,
    );
    if !errors.is_empty() {
        let gvk = object.gvk();
        return Err(ApiError::invalid(&gvk.group, &gvk.kind, object.name(), errors));
    }
    for warning in validation::warnings(target.row(), object) {
        warnings.add(warning);
    }
    Ok(())
}

/// The last finalizer of a deleted object is gone, and nobody waits for its grace period.
fn removes_itself(object: &Object, old: &Object) -> bool {
    object.finalizers().next().is_none()
        && old.deletion_timestamp().is_some()
        && old.deletion_grace_period_seconds().unwrap_or(0) == 0
}
