//! POST to a collection.

use super::{
    caller::Caller,
    defaults, input, lifecycle,
    options::{OptionsKind, WriteOptions},
    read_at,
    respond::{Answer, Shown},
    write::insert,
};
use crate::{
    api::schema::Object,
    cluster::Target,
    request::{
        Request, User,
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
    let options = WriteOptions::parse(&request.query, &request.headers, OptionsKind::Create)?;
    let mut object = input::object(target, media, &body, &options, &request.notes)?;
    request.notes.steps.done("decoded");
    defaults::wipe_system_fields(&mut object);
    defaults::settle_namespace(target, &mut object)?;
    input::merge_owner_references(&mut object, &request.notes.warnings);
    let caller = Caller::writes(user, &request.notes, &options);
    create_object(ctx, target, object, caller).await.map(|shown| Answer::shown(201, shown))
}

/// Creates an object that was decoded and defaulted; with a generateName, under a name that is free.
pub(super) async fn create_object(
    ctx: &Context,
    target: &Target,
    mut object: Object,
    caller: Caller<'_>,
) -> Result<Shown, ApiError> {
    lifecycle::begin_create(ctx, target, &mut object, caller).await?;
    caller.steps.done("admitted");
    let generated = object.name().is_empty() && !object.generate_name().is_empty();
    let mut attempt = 1;
    loop {
        let mut ready = lifecycle::finish_create(ctx, target, object.clone(), caller).await?;
        caller.steps.done("judged");
        let named = target.with_name(ready.object.name());
        let key = named.key(&ctx.cluster)?;
        // The store alone minds a revision, one that it can read.
        if !caller.dry_run
            && read_at::parse_revision(ready.object.resource_version()).is_ok_and(|revision| revision != 0)
        {
            ready.claims.undo(&ctx.cluster).await;
            return Err(ApiError::unknown("resourceVersion should not be set on objects to be created"));
        }
        let asked_for = ready.object.resource_version().to_owned();
        ready.object.set_resource_version("");
        let inserted = insert(ctx, &named, &key, ready, caller.dry_run).await;
        caller.steps.done("stored");
        if let Some(stored) = inserted? {
            // What is not stored comes back as it was sent.
            if caller.dry_run && !asked_for.is_empty() {
                let mut object = stored.into_object(&named)?;
                object.set_resource_version(&asked_for);
                return Ok(Shown::object(object));
            }
            return Ok(stored);
        }
        if !generated || attempt == GENERATE_ATTEMPTS {
            return Err(taken(ctx, &named, &key, generated).await);
        }
        attempt += 1;
    }
}

/// The refusal of a name that exists. An object on its way out is told apart.
async fn taken(ctx: &Context, target: &Target, key: &str, generated: bool) -> ApiError {
    let resource = target.group_resource();
    let mut error = if generated {
        ApiError::generate_name_conflict(&resource, &target.name, 1)
    } else {
        ApiError::already_exists(&resource, &target.name)
    };
    // Whether it is being deleted says any version.
    if let Ok(Some(stored)) = ctx.cluster.store.get(key).await
        && target.decode(&stored).is_ok_and(|existing| existing.deletion_timestamp().is_some())
    {
        error.message = format!("object is being deleted: {}", error.message);
    }
    error
}
