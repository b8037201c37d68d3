//! GET of one object.

use std::time::Duration;

use bytes::Bytes;

use super::{
    read_at::{ReadAt, invalid_version},
    respond::{Answer, Shown},
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

/// How long the newest state may take to reach the cache before it is asked of the store itself.
const LAG_MAX: Duration = Duration::from_millis(100);

/// A parameter of old clients that would not get what they expect.
fn refuse_export(request: &Request) -> Result<(), ApiError> {
    match request.query.is_true("export") {
        true => Err(ApiError::bad_request("the export parameter, deprecated since v1.14, is no longer supported")),
        false => Ok(()),
    }
}

pub(super) async fn get(ctx: &Context, target: &Target, request: &Request) -> Result<Answer, ApiError> {
    if target.is_converted() {
        return read(ctx, target, request).await.map(|object| Answer::object(200, object));
    }
    let Found { bytes, revision } = find(ctx, target, request).await?;
    Ok(Answer::shown(200, Shown::Stored { bytes, revision }))
}

/// What is stored, at its revision.
struct Found {
    bytes: Bytes,
    revision: i64,
}

impl Found {
    fn new(bytes: &Bytes, revision: i64) -> Found {
        Found { bytes: bytes.clone(), revision }
    }
}

/// The stored object as fresh as the request asks for. The newest is asked for by many at once: they share one look at
/// the store's revision, and then read what the cache has of it.
async fn find(ctx: &Context, target: &Target, request: &Request) -> Result<Found, ApiError> {
    refuse_export(request)?;
    let key = target.key(&ctx.cluster)?;
    let at = read_at(request)?;
    let store = &ctx.cluster.store;
    let cache = store.cache();
    let fault = |error| store_error(target, error);
    let not_found = || ApiError::not_found(&target.group_resource(), &target.name);
    let is_there = match at {
        _ if !cache.is_ready() => false,
        ReadAt::Any => true,
        ReadAt::NotOlderThan(revision) => {
            cache.wait_for(revision, FRESHNESS_WAIT).await.map_err(fault).map(|()| true)?
        }
        ReadAt::Latest => {
            let now = store.current_revision().await.map_err(fault)?;
            cache.wait_for(now, LAG_MAX).await.is_ok()
        }
    };
    if is_there {
        let entry = cache.get(&key).map_err(fault)?.ok_or_else(not_found)?;
        return Ok(Found::new(entry.value(), entry.mod_revision()));
    }
    let stored = store.get(&key).await.map_err(fault)?.ok_or_else(not_found)?;
    Ok(Found::new(&stored.value, stored.mod_revision))
}

fn read_at(request: &Request) -> Result<ReadAt, ApiError> {
    let version = request.query.get("resourceVersion").unwrap_or_default();
    ReadAt::parse(version).map_err(|error| ApiError::unknown(invalid_version(version, &error)))
}

/// The object as fresh as the request asks for.
pub(super) async fn read(ctx: &Context, target: &Target, request: &Request) -> Result<Object, ApiError> {
    refuse_export(request)?;
    let key = target.key(&ctx.cluster)?;
    let at = read_at(request)?;
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
