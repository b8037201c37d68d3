//! GET of one object.

use std::time::Duration;

use super::{
    read_at::{ReadAt, invalid_version},
    respond::Answer,
    write::store_error,
};
use crate::{
    api::schema::Object,
    cluster::Target,
    request::{Request, status::ApiError},
    store::Stored,
    verbs::Context,
};

/// How long a read waits for a revision that the cache has not seen.
pub(super) const FRESHNESS_WAIT: Duration = Duration::from_secs(3);

/// A parameter of old clients that would not get what they expect.
fn refuse_export(request: &Request) -> Result<(), ApiError> {
    match request.query.is_true("export") {
        true => Err(ApiError::bad_request("the export parameter, deprecated since v1.14, is no longer supported")),
        false => Ok(()),
    }
}

pub(super) async fn get(ctx: &Context, target: &Target, request: &Request) -> Result<Answer, ApiError> {
    read(ctx, target, request).await.map(|object| Answer::object(200, object))
}

/// The object as fresh as the request asks for.
pub(super) async fn read(ctx: &Context, target: &Target, request: &Request) -> Result<Object, ApiError> {
    refuse_export(request)?;
    let key = target.key(&ctx.cluster)?;
    let version = request.query.get("resourceVersion").unwrap_or_default();
    let at = ReadAt::parse(version).map_err(|error| ApiError::unknown(invalid_version(version, &error)))?;
    let cache = ctx.cluster.store.cache();
    let fault = |error| store_error(target, error);
    let not_found = || ApiError::not_found(&target.group_resource(), &target.name);
    if at == ReadAt::Latest || !cache.is_ready() {
        let stored = ctx.cluster.store.get(&key).await.map_err(fault)?.ok_or_else(not_found)?;
        return read_stored(ctx, target, &key, &stored).await;
    }
    if let ReadAt::NotOlderThan(revision) = at {
        cache.wait_for(revision, FRESHNESS_WAIT).await.map_err(fault)?;
    }
    let entry = cache.get(&key).map_err(fault)?.ok_or_else(not_found)?;
    match target.views(&ctx.cluster, &[entry]).await?.first() {
        Some(view) => target.decode_view(view),
        None => Err(not_found()),
    }
}

/// What the store holds. What a webhook has made of it is kept for readers of the cache.
async fn read_stored(ctx: &Context, target: &Target, key: &str, stored: &Stored) -> Result<Object, ApiError> {
    let object = target.read(&ctx.cluster, stored).await?;
    if target.is_converted()
        && let Ok(Some(entry)) = ctx.cluster.store.cache().get(key)
        && entry.mod_revision() == stored.mod_revision
    {
        target.keep_view(&entry, &object);
    }
    Ok(object)
}
