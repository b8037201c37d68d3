//! DELETE of a collection: every selected object is deleted by itself, several at a time. The first refusal ends it;
//! what was deleted before stays deleted.

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    caller::Caller,
    delete::{remove, warn_of_kept_dependents},
    delete_options::DeleteOptions,
    encodings, list,
    list_options::ListOptions,
    page,
    respond::Answer,
};
use crate::{
    api::schema::{Object, Value},
    cluster::{Target, known_kind},
    request::{Request, User, status::ApiError},
    store::Entry,
    verbs::Context,
};

pub(super) async fn delete_collection(
    ctx: &Context,
    target: &Target,
    request: Request,
    user: &User,
) -> Result<Answer, ApiError> {
    let options = ListOptions::parse(&request.query, target)?;
    let body = request.body.read().await?;
    let deletion = DeleteOptions::parse(&request.headers, &request.query, &body)?;
    warn_of_kept_dependents(target, &deletion, &request.notes.warnings);
    let caller = Caller::deletes(user, &request.notes, &deletion).of_collection();
    let listing = list::read(ctx, target, &options).await?;
    let workers = ctx.cluster.settings.delete_collection_workers.max(1);
    let removals: Vec<_> =
        listing.entries.iter().map(|entry| remove_one(ctx, target, entry, &deletion, caller)).collect();
    let items: Vec<Value> = stream::iter(removals).buffered(workers).try_collect().await?;
    let kind =
        known_kind(&target.api.schema, &target.resource.group, &target.resource.version, &target.resource.list_kind)?;
    let mut answer = Object::new(&kind);
    page::set_list_meta(&mut answer, &listing);
    answer.set(&["items"], Value::List(items));
    Ok(Answer::object(200, answer))
}

/// Deletes an object of the list; gives it as it was listed. One that is gone already is fine.
async fn remove_one(
    ctx: &Context,
    target: &Target,
    entry: &Entry,
    deletion: &DeleteOptions,
    caller: Caller<'_>,
) -> Result<Value, ApiError> {
    let mut one = target.with_name(entry.name());
    if target.resource.namespaced {
        one.namespace = entry.namespace().to_owned();
    }
    let mut object = encodings::object(target, entry)?;
    match remove(ctx, &one, deletion, caller).await {
        Err(error) if error.code != 404 => return Err(error),
        _ => {}
    }
    if !target.resource.custom {
        object.remove(&["kind"]);
        object.remove(&["apiVersion"]);
    }
    Ok(Value::Struct(object.root().clone()))
}
