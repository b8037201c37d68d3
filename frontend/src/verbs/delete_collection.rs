//! DELETE of a collection: every selected object is deleted by itself.

use super::{
    caller::Caller, delete::remove, delete_options::DeleteOptions, encodings, list, list_options::ListOptions,
    respond::Answer,
};
use crate::cluster::{Target, known_kind};
use crate::{
    api::schema::{Object, Value},
    request::{Request, User, status::ApiError},
    verbs::Context,
};

pub(super) async fn delete_collection(
    ctx: &Context,
    target: &Target,
    request: Request,
    user: &User,
) -> Result<Answer, ApiError> {
    let options = ListOptions::parse(&request.query, target, false)?;
    let body = request.body.read().await?;
    let deletion = DeleteOptions::parse(&request.headers, &request.query, &body)?;
    let caller = Caller { user, warnings: &request.warnings, dry_run: deletion.dry_run, field_manager: "" };
    let listing = list::read(ctx, target, &options).await?;
    let mut items = Vec::with_capacity(listing.entries.len());
    for entry in &listing.entries {
        let mut one = target.with_name(entry.name());
        if target.resource.namespaced {
            one.namespace = entry.namespace().to_owned();
        }
        let mut object = encodings::object(target, entry)?;
        match remove(ctx, &one, &deletion, caller).await {
            Err(error) if error.code != 404 => return Err(error),
            _ => {}
        }
        if !target.resource.custom {
            object.remove(&["kind"]);
            object.remove(&["apiVersion"]);
        }
        items.push(Value::Struct(object.root().clone()));
    }
    let kind =
        known_kind(&target.api.schema, &target.resource.group, &target.resource.version, &target.resource.list_kind)?;
    let mut answer = Object::new(&kind);
    answer.set(&["metadata", "resourceVersion"], listing.revision.to_string());
    answer.set(&["items"], Value::List(items));
    Ok(Answer::object(200, answer))
}
