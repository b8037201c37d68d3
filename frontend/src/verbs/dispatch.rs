//! From a permitted request to the verb that answers it.
//!
//! A dropped future ends a read; of a change it leaves open whether it happens, so that the pipeline runs changes
//! detached.

use std::sync::Arc;

use http::Response;

use super::{
    binding, components, connect, create, delete, delete_collection, get, list, patch,
    respond::{Answer, respond},
    reviews, subresources, update, watch,
};
use crate::{
    access::Authorized,
    cluster::Target,
    request::{
        Request, User,
        body::Body,
        info::Verb,
        negotiate::{self, Offer},
        status::ApiError,
    },
    verbs::Context,
};

/// Answers a request on a resource.
pub async fn dispatch(ctx: Arc<Context>, authorized: Authorized) -> Result<Response<Body>, ApiError> {
    let (request, user) = authorized.into_parts();
    let target = Target::resolve(&ctx.cluster, &request.info)?;
    let version = target.definition().and_then(|definition| definition.version(&target.resource.version));
    if let Some(warning) = version.and_then(|version| version.warning.as_ref()) {
        request.notes.warnings.add(warning.clone());
    }
    if target.subresource.as_ref().is_some_and(|subresource| !subresource.connects.is_empty()) {
        return connect::connect(&ctx, &target, request, &user).await;
    }
    if target.subresource.as_ref().is_some_and(|subresource| subresource.name == "log") {
        return connect::log(&ctx, &target, request).await;
    }
    match request.info.verb {
        Verb::Get | Verb::List | Verb::Watch => read(ctx, target, request).await,
        _ => change(&ctx, target, request, user).await,
    }
}

fn offer(target: &Target) -> Offer {
    match target.resource.custom {
        true => Offer::CUSTOM,
        // What is not stored has no columns.
        false if target.resource.storage.is_none() => Offer::DOCUMENTS,
        false => Offer::OBJECTS,
    }
}

async fn read(ctx: Arc<Context>, target: Target, request: Request) -> Result<Response<Body>, ApiError> {
    if request.info.verb == Verb::Watch {
        let output = negotiate::watch_output(&request.headers, &request.query, &offer(&target))?;
        return watch::watch(ctx, target, request, output).await;
    }
    if target.row() == components::ROW {
        return components::read(&ctx, &target, &request).await;
    }
    if request.info.verb == Verb::List {
        let output = negotiate::collection_output(&request.headers, &request.query, &offer(&target))?;
        return list::list(&ctx, &target, &request, output).await;
    }
    let output = negotiate::output(&request.headers, &request.query, &offer(&target))?;
    let answer = match &target.subresource {
        None => get::get(&ctx, &target, &request).await?,
        Some(_) => subresources::read(&ctx, &target, &request).await?,
    };
    respond(&ctx, &target, &request.query, output, answer)
}

async fn change(ctx: &Context, target: Target, request: Request, user: User) -> Result<Response<Body>, ApiError> {
    let output = match request.info.verb {
        // The media type of a patch is checked before anything else.
        Verb::Patch => None,
        _ => Some(negotiate::output(&request.headers, &request.query, &offer(&target))?),
    };
    let (headers, query) = (request.headers.clone(), request.query.clone());
    let answer = carry_out(ctx, &target, request, &user).await?;
    let output = match output {
        Some(output) => output,
        None => negotiate::output(&headers, &query, &offer(&target))?,
    };
    respond(ctx, &target, &query, output, answer)
}

async fn carry_out(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    if target.row() == ("", "bindings") {
        return binding::create(ctx, target, request, user).await;
    }
    if target.resource.storage.is_none() {
        return reviews::create(ctx, target, request, user).await;
    }
    if target.subresource.as_ref().is_some_and(|s| !subresources::is_part(&s.name)) {
        return subresources::change(ctx, target, request, user).await;
    }
    match request.info.verb {
        Verb::Create => create::create(ctx, target, request, user).await,
        Verb::Update => update::update(ctx, target, request, user).await,
        Verb::Patch => patch::patch(ctx, target, request, user).await,
        Verb::Delete => delete::delete(ctx, target, request, user).await,
        Verb::DeleteCollection => delete_collection::delete_collection(ctx, target, request, user).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}
