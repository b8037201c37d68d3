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
    let stored = match at {
        ReadAt::Latest => ctx.cluster.store.get(&key).await.map_err(fault)?,
        ReadAt::Any if !cache.is_ready() => ctx.cluster.store.get(&key).await.map_err(fault)?,
        ReadAt::Any => cache.get(&key).map_err(fault)?.map(|entry| entry.stored()),
        ReadAt::NotOlderThan(revision) => {
            cache.wait_for(revision, FRESHNESS_WAIT).await.map_err(fault)?;
            cache.get(&key).map_err(fault)?.map(|entry| entry.stored())
        }
    };
    match stored {
        Some(stored) => target.decode(&stored),
        None => Err(ApiError::not_found(&target.group_resource(), &target.name)),
    }
}
