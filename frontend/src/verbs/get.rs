//! GET of one object.

use std::time::Duration;

use super::{respond::Answer, write::store_error};
use crate::{
    api::schema::Object,
    cluster::Target,
    request::{Request, status::ApiError},
    verbs::Context,
};

/// How long a read waits for a revision that the cache has not seen.
pub(super) const FRESHNESS_WAIT: Duration = Duration::from_secs(3);

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadAt {
    /// As of now.
    Latest,
    /// Whatever the cache has.
    Any,
    /// This revision or a later one.
    NotOlderThan(i64),
}

impl ReadAt {
    /// Reads a resourceVersion. The complaint is that of Go's parser.
    pub(super) fn parse(text: &str) -> Result<ReadAt, String> {
        match text {
            "" => Ok(ReadAt::Latest),
            "0" => Ok(ReadAt::Any),
            _ => parse_revision(text).map(|n| if n == 0 { ReadAt::Any } else { ReadAt::NotOlderThan(n) }),
        }
    }
}

pub(super) fn parse_revision(text: &str) -> Result<i64, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(number) if digits => Ok(i64::try_from(number).unwrap_or(i64::MAX)),
        _ if digits => {
            Err(format!("strconv.ParseUint: parsing {}: value out of range", crate::request::status::go_quote(text)))
        }
        _ => Err(format!("strconv.ParseUint: parsing {}: invalid syntax", crate::request::status::go_quote(text))),
    }
}

/// A resourceVersion that is none.
pub(super) fn invalid_version(text: &str, why: &str) -> String {
    format!("resourceVersion: Invalid value: {}: {why}", crate::request::status::go_quote(text))
}

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
