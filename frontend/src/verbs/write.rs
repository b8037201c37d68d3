//! The way of a changed object into the store: a loop of read, rewrite and compare-and-swap.
//!
//! In: a [`Rewrite`], which may run more than once. Out: the object as it is now stored. The first look may be at the
//! cache; a refusal of what was seen there is judged again on a fresh read before the client hears it.

use async_trait::async_trait;

use crate::cluster::Target;
use crate::{
    api::schema::Object,
    request::status::ApiError,
    store::{CreateOutcome, DeleteOutcome, StoreError, Stored, UpdateOutcome},
    verbs::Context,
};

/// What is in the store: the bytes, and the object that they are.
pub(super) struct Current {
    pub(super) stored: Stored,
    pub(super) object: Object,
}

/// What a rewrite decides.
pub(super) enum Step {
    /// Store this object. With no current one it is a create.
    Write(Box<Object>),
    /// Remove the current object; answer with this one.
    Remove(Box<Object>),
}

/// A change of one object. It may run again on a newer state, and must not keep anything of an earlier run.
#[async_trait]
pub(super) trait Rewrite: Send {
    async fn rewrite(&mut self, current: Option<&Current>) -> Result<Step, ApiError>;
}

/// How a change ended.
pub(super) struct Written {
    pub(super) object: Object,
    pub(super) created: bool,
    pub(super) removed: bool,
}

/// Applies a change to the target's object until it is stored, refused, or found to change nothing.
///
/// A dropped future leaves it open whether the change happens.
pub(super) async fn apply(
    ctx: &Context,
    target: &Target,
    dry_run: bool,
    change: &mut dyn Rewrite,
) -> Result<Written, ApiError> {
    let key = target.key(&ctx.cluster)?;
    let cached = ctx.cluster.store.cache().get(&key).ok().flatten().map(|entry| entry.stored());
    let mut fresh = cached.is_none();
    let mut stored = match cached {
        Some(stored) => Some(stored),
        None => ctx.cluster.store.get(&key).await.map_err(|error| store_error(target, error))?,
    };
    loop {
        let current = match stored.take() {
            Some(stored) => Some(Current { object: target.decode(&stored)?, stored }),
            None => None,
        };
        let step = match change.rewrite(current.as_ref()).await {
            Err(_) if !fresh => {
                stored = ctx.cluster.store.get(&key).await.map_err(|error| store_error(target, error))?;
                fresh = true;
                continue;
            }
            other => other?,
        };
        match commit(ctx, target, &key, current, step, dry_run, fresh).await? {
            Committed::Done(written) => return Ok(*written),
            Committed::Again(newer) => {
                stored = newer;
                fresh = true;
            }
        }
    }
}

enum Committed {
    Done(Box<Written>),
    /// Somebody else was faster, or the cache was behind: this is there now.
    Again(Option<Stored>),
}

async fn commit(
    ctx: &Context,
    target: &Target,
    key: &str,
    current: Option<Current>,
    step: Step,
    dry_run: bool,
    fresh: bool,
) -> Result<Committed, ApiError> {
    let fault = |error| store_error(target, error);
    let done = |object, created, removed| Ok(Committed::Done(Box::new(Written { object, created, removed })));
    match (step, current) {
        (Step::Write(object), Some(current)) => {
            let bytes = target.encode(&object)?;
            let revision = current.stored.mod_revision;
            if bytes == current.stored.value {
                if fresh || dry_run {
                    return done(target.decode_bytes(&bytes, revision)?, false, false);
                }
                let newer = ctx.cluster.store.get(key).await.map_err(fault)?;
                let same = newer.as_ref().is_some_and(|n| n.mod_revision == revision);
                if same {
                    return done(target.decode_bytes(&bytes, revision)?, false, false);
                }
                return Ok(Committed::Again(newer));
            }
            if dry_run {
                return done(target.decode_bytes(&bytes, revision)?, false, false);
            }
            match ctx
                .cluster
                .store
                .update(key, revision, bytes.clone(), super::defaults::ttl(ctx, target))
                .await
                .map_err(fault)?
            {
                UpdateOutcome::Updated { revision } => done(target.decode_bytes(&bytes, revision)?, false, false),
                UpdateOutcome::Changed(newer) => Ok(Committed::Again(newer)),
            }
        }
        (Step::Write(object), None) => match insert(ctx, target, key, &object, dry_run).await? {
            Some(object) => done(object, true, false),
            None => Ok(Committed::Again(ctx.cluster.store.get(key).await.map_err(fault)?)),
        },
        (Step::Remove(object), Some(current)) => {
            if dry_run {
                return done(*object, false, true);
            }
            match ctx.cluster.store.delete(key, current.stored.mod_revision).await.map_err(fault)? {
                DeleteOutcome::Deleted { .. } | DeleteOutcome::Changed(None) => done(*object, false, true),
                DeleteOutcome::Changed(newer) => Ok(Committed::Again(newer)),
            }
        }
        (Step::Remove(object), None) => done(*object, false, true),
    }
}

/// Stores a new object; none if the key is taken.
pub(super) async fn insert(
    ctx: &Context,
    target: &Target,
    key: &str,
    object: &Object,
    dry_run: bool,
) -> Result<Option<Object>, ApiError> {
    let fault = |error| store_error(target, error);
    let bytes = target.encode(object)?;
    if dry_run {
        let taken = ctx.cluster.store.get(key).await.map_err(fault)?.is_some();
        return if taken { Ok(None) } else { target.decode_bytes(&bytes, 0).map(Some) };
    }
    match ctx.cluster.store.create(key, bytes.clone(), super::defaults::ttl(ctx, target)).await.map_err(fault)? {
        CreateOutcome::Created { revision } => target.decode_bytes(&bytes, revision).map(Some),
        CreateOutcome::Exists => Ok(None),
    }
}

/// What the store's faults mean to a client.
pub(super) fn store_error(target: &Target, error: StoreError) -> ApiError {
    let refusal = match &error {
        StoreError::TooLarge => ApiError::request_entity_too_large("etcdserver: request is too large"),
        StoreError::Compacted => ApiError::gone_expired("The resourceVersion for the provided watch is too old."),
        StoreError::FutureRevision { requested, current } => {
            ApiError::too_large_resource_version(*requested, *current, 1)
        }
        StoreError::Unavailable(_) | StoreError::NotReady | StoreError::Closed => {
            ApiError::service_unavailable("the store is unavailable, please try again")
        }
        StoreError::Timeout | StoreError::OutcomeUnknown { .. } => {
            ApiError::server_timeout(&target.group_resource(), "store", 1)
        }
        StoreError::NoSpace => ApiError::unknown("etcdserver: mvcc: database space exceeded"),
        StoreError::LeaseNotFound | StoreError::Refused(_) | StoreError::Malformed(_) | StoreError::Config(_) => {
            ApiError::internal("the store refused the request")
        }
    };
    refusal.with_internal(error)
}
