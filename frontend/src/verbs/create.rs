//! POST to a collection.

use super::{
    caller::Caller,
    defaults, input,
    options::{OptionsKind, WriteOptions},
    respond::Answer,
    write::insert,
};
use crate::cluster::Target;
use crate::{
    api::schema::Object,
    object::{strategy, validation},
    request::{
        Request, User, Warnings,
        negotiate::{self, Offer},
        status::ApiError,
    },
    verbs::Context,
};

/// A taken generated name is replaced by another this often.
const GENERATE_ATTEMPTS: usize = 8;

pub(super) async fn create(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let offer = if target.resource.custom { Offer::CUSTOM } else { Offer::OBJECTS };
    let media = negotiate::input(&request.headers, &offer)?;
    let body = request.body.read().await?;
    let options = WriteOptions::parse(&request.query, OptionsKind::Create)?;
    let mut object =
        input::decode(&target.api.schema, &target.kind, media, &body, options.field_validation, &request.warnings)?;
    defaults::wipe_system_fields(&mut object);
    defaults::settle_namespace(target, &mut object)?;
    input::merge_owner_references(&mut object, &request.warnings);
    let caller = Caller { user, warnings: &request.warnings, dry_run: options.dry_run };
    create_object(ctx, target, object, caller).await.map(|object| Answer::object(201, object))
}

/// Creates an object that was decoded and defaulted; with a generateName, under a name that is free.
pub(super) async fn create_object(
    ctx: &Context,
    target: &Target,
    mut object: Object,
    caller: Caller<'_>,
) -> Result<Object, ApiError> {
    strategy::namespace_accepts(&ctx.cluster, target, object.name()).await?;
    caller.admit(ctx, target, &mut object, None).await?;
    let generated = object.name().is_empty() && !object.generate_name().is_empty();
    let mut attempt = 1;
    loop {
        let mut candidate = object.clone();
        prepare_new(ctx, target, &mut candidate, caller.warnings)?;
        caller.validate(ctx, target, Some(&mut candidate), None).await?;
        let named = target.with_name(candidate.name());
        let key = named.key(&ctx.cluster)?;
        let claims = strategy::claim(&ctx.cluster, &named, &mut candidate, None, caller.dry_run).await?;
        if !candidate.resource_version().is_empty() {
            claims.release(&ctx.cluster).await;
            return Err(ApiError::unknown("resourceVersion should not be set on objects to be created"));
        }
        match insert(ctx, &named, &key, &candidate, caller.dry_run).await {
            Ok(Some(stored)) => return Ok(stored),
            Ok(None) => {
                claims.release(&ctx.cluster).await;
                if !generated || attempt == GENERATE_ATTEMPTS {
                    return Err(taken(ctx, &named, &key, generated).await);
                }
                attempt += 1;
            }
            Err(error) => {
                claims.release(&ctx.cluster).await;
                return Err(error);
            }
        }
    }
}

/// Everything that happens to a new object before it is stored, but for what it claims from others.
pub(super) fn prepare_new(
    ctx: &Context,
    target: &Target,
    object: &mut Object,
    warnings: &Warnings,
) -> Result<(), ApiError> {
    defaults::fill_system_fields(ctx, object);
    if object.name().is_empty() && !object.generate_name().is_empty() {
        let name = defaults::generate_name(object.generate_name());
        object.set_name(&name);
    }
    defaults::settle_namespace(target, object)?;
    strategy::prepare_create(&ctx.cluster, target, object);
    let errors =
        validation::validate_create(target.row(), target.resource.namespaced, object, ctx.cluster.settings.validation);
    if !errors.is_empty() {
        let gvk = object.gvk();
        return Err(ApiError::invalid(&gvk.group, &gvk.kind, object.name(), errors));
    }
    for warning in validation::warnings(target.row(), object) {
        warnings.add(warning);
    }
    Ok(())
}

/// The refusal of a name that exists. An object on its way out is told apart.
async fn taken(ctx: &Context, target: &Target, key: &str, generated: bool) -> ApiError {
    let resource = target.group_resource();
    let mut error = if generated {
        ApiError::generate_name_conflict(&resource, &target.name, 1)
    } else {
        ApiError::already_exists(&resource, &target.name)
    };
    if let Ok(Some(stored)) = ctx.cluster.store.get(key).await
        && target.decode(&stored).is_ok_and(|existing| existing.deletion_timestamp().is_some())
    {
        error.message = format!("object is being deleted: {}", error.message);
    }
    error
}
