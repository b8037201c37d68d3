//! The way of a changed object into the store: a loop of read, rewrite and compare-and-swap.
//!
//! In: a [`Rewrite`], which may run more than once. Out: the object as it is now stored. The first look may be at the
//! cache; a refusal of what was seen there is decided again on a fresh read before the client hears it.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::timeout;

use super::respond::Shown;
use crate::{
    api::schema::Object,
    cluster::Target,
    object::{
        managed_fields::PATH,
        strategy::{self, Claims},
    },
    request::status::ApiError,
    store::{CreateOutcome, DeleteOutcome, Key, StoreError, Stored, UpdateOutcome},
    verbs::Context,
};

/// What is in the store: the bytes, and the object that they are.
pub(super) struct Current {
    pub(super) stored: Stored,
    pub(super) object: Object,
}

/// What is in the store, for a change of what must be there.
pub(super) fn existing<'c>(current: Option<&'c Current>, target: &Target) -> Result<&'c Current, ApiError> {
    current.ok_or_else(|| ApiError::not_found(&target.group_resource(), &target.name))
}

/// An object that may go to the store, with what was taken for it and what it gives up. Whoever holds one commits or
/// undoes its claims.
pub(super) struct Ready {
    pub(super) object: Object,
    pub(super) claims: Claims,
    pub(super) owners: Owners,
}

/// Whether an object that is too large for the store may be stored without its managedFields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owners {
    Kept,
    Expendable,
}

impl Ready {
    /// Gives up the managedFields of an object that was too large, if that may help.
    fn shed(&mut self, fault: &Fault) -> bool {
        let expendable = matches!(fault, Fault::Store(StoreError::TooLarge)) && self.owners == Owners::Expendable;
        expendable && self.object.remove(&PATH).is_some()
    }
}

/// What a rewrite decides.
pub(super) enum Step {
    /// Store this object. With no current one it is a create.
    Write(Box<Ready>),
    /// Remove the current object; answer with this one.
    Remove(Box<Ready>),
}

impl Step {
    /// Store an object that claims nothing new.
    pub(super) fn write(object: Object) -> Step {
        Step::Write(Box::new(Ready { object, claims: Claims::default(), owners: Owners::Kept }))
    }

    /// Remove the object, and with it what it has claimed.
    pub(super) fn remove(target: &Target, object: Object) -> Step {
        let claims = strategy::claims_of(target, &object);
        Step::Remove(Box::new(Ready { object, claims, owners: Owners::Kept }))
    }
}

/// A change of one object. It may run again on a newer state, and must not keep anything of an earlier run.
pub(super) trait Rewrite: Send {
    fn rewrite<'a>(&'a mut self, current: Option<&'a Current>) -> BoxFuture<'a, Result<Step, ApiError>>;

    /// Whether it waits for others that change the same object, since all of them would have to begin again.
    fn takes_turns(&self) -> bool {
        false
    }

    /// Where the current object is looked for the first time.
    fn first_look(&self) -> FirstLook {
        FirstLook::Cache
    }
}

/// Where an object is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstLook {
    Cache,
    Store,
}

/// How a change ended.
pub(super) struct Written {
    pub(super) shown: Shown,
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
    let turn = (change.takes_turns() && !dry_run).then(|| ctx.cluster.writes.turn(key.clone()));
    let mut turn = match &turn {
        Some(turn) => timeout(TURN_WAIT_MAX, turn.lock()).await.ok(),
        None => None,
    };
    let left = turn.as_mut().and_then(|left| left.take());
    let mut current = match change.first_look() {
        FirstLook::Cache => known(ctx, target, &key, left).await?,
        FirstLook::Store => None,
    };
    let mut fresh = current.is_none();
    let mut stored = match current {
        Some(_) => None,
        None => ctx.cluster.store.get(&key).await.map_err(|error| store_error(target, error))?,
    };
    loop {
        if let Some(stored) = stored.take() {
            current = Some(Current { object: target.read(&ctx.cluster, &stored).await?, stored });
        }
        let step = match change.rewrite(current.as_ref()).await {
            // What the cache had may be old; if it is not, nobody is asked again.
            Err(error) if !fresh => {
                let seen = current.take().map(|current| current.stored.mod_revision);
                stored = ctx.cluster.store.get(&key).await.map_err(|error| store_error(target, error))?;
                if stored.as_ref().map(|stored| stored.mod_revision) == seen {
                    return Err(error);
                }
                fresh = true;
                continue;
            }
            other => other?,
        };
        let create_revision = current.as_ref().map_or(0, |current| current.stored.create_revision);
        match commit(ctx, target, &key, current.take(), step, dry_run, fresh).await? {
            Committed::Done(written) => {
                if let (Some(left), Shown::Stored { bytes, revision }) = (turn.as_mut(), &written.shown) {
                    let (key, value, mod_revision) = (Key::from(key), bytes.clone(), *revision);
                    **left = Some(Stored { key, value, create_revision, mod_revision, version: 0 });
                }
                return Ok(*written);
            }
            Committed::Again(newer) => {
                stored = newer;
                fresh = true;
            }
        }
    }
}

/// How long a change waits for those before it; then it races with them.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

/// What the cache has of the object, or what was left by the change before, whose event is still to come.
async fn known(ctx: &Context, target: &Target, key: &str, left: Option<Stored>) -> Result<Option<Current>, ApiError> {
    let Some(entry) = ctx.cluster.store.cache().get(key).ok().flatten() else { return Ok(None) };
    if let Some(stored) = left.filter(|left| left.mod_revision > entry.mod_revision()) {
        return Ok(Some(Current { object: target.read(&ctx.cluster, &stored).await?, stored }));
    }
    let views = target.views(&ctx.cluster, std::slice::from_ref(&entry)).await?;
    let object = views.first().map(|view| target.decode_view(view)).transpose()?;
    Ok(object.map(|object| Current { object, stored: entry.stored() }))
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
    match (step, current) {
        (Step::Write(mut ready), Some(current)) => {
            let mode = Mode { dry_run, fresh };
            let mut replaced = replace(ctx, target, key, &current, &ready.object, mode).await;
            if replaced.as_ref().is_err_and(|fault| ready.shed(fault)) {
                replaced = replace(ctx, target, key, &current, &ready.object, mode).await;
            }
            settle_claims(ctx, ready.claims, &replaced).await;
            replaced.map_err(|fault| store_fault(target, fault))?.into_committed(ctx, target).await
        }
        (Step::Write(ready), None) => match insert(ctx, target, key, *ready, dry_run).await? {
            Some(shown) => done(shown, true, false),
            None => {
                let newer = ctx.cluster.store.get(key).await.map_err(|error| store_error(target, error))?;
                Ok(Committed::Again(newer))
            }
        },
        (Step::Remove(ready), Some(current)) if !dry_run => {
            match ctx.cluster.store.delete(key, current.stored.mod_revision).await {
                Ok(DeleteOutcome::Deleted { .. } | DeleteOutcome::Changed(None)) => {
                    ready.claims.commit(&ctx.cluster).await;
                    done(Shown::object(ready.object), false, true)
                }
                Ok(DeleteOutcome::Changed(newer)) => Ok(Committed::Again(newer)),
                Err(error) => Err(store_error(target, error)),
            }
        }
        (Step::Remove(ready), _) => done(Shown::object(ready.object), false, true),
    }
}

fn done(shown: Shown, created: bool, removed: bool) -> Result<Committed, ApiError> {
    Ok(Committed::Done(Box::new(Written { shown, created, removed })))
}

#[derive(Clone, Copy)]
struct Mode {
    dry_run: bool,
    /// What was decided on was read from the store itself.
    fresh: bool,
}

/// What became of the bytes of a changed object.
enum Replaced {
    /// They are stored, or would be, or were already: at this revision.
    Stored { bytes: Bytes, revision: i64 },
    /// Something else is there now.
    Changed(Option<Stored>),
}

impl Replaced {
    async fn into_committed(self, ctx: &Context, target: &Target) -> Result<Committed, ApiError> {
        match self {
            Replaced::Stored { bytes, revision } => done(shown(ctx, target, bytes, revision).await?, false, false),
            Replaced::Changed(newer) => Ok(Committed::Again(newer)),
        }
    }
}

/// What was stored, as the client sees it.
async fn shown(ctx: &Context, target: &Target, bytes: Bytes, revision: i64) -> Result<Shown, ApiError> {
    match target.is_converted() {
        true => target.read_bytes(&ctx.cluster, &bytes, revision).await.map(Shown::object),
        false => Ok(Shown::Stored { bytes, revision }),
    }
}

/// Writes an object over the one that it was made of. Equal bytes are not written.
async fn replace(
    ctx: &Context,
    target: &Target,
    key: &str,
    current: &Current,
    object: &Object,
    mode: Mode,
) -> Result<Replaced, Fault> {
    let bytes = target.write_bytes(&ctx.cluster, object).await.map_err(Fault::Refused)?;
    let revision = current.stored.mod_revision;
    let stored = |bytes, revision| Ok(Replaced::Stored { bytes, revision });
    let store = &ctx.cluster.store;
    if mode.dry_run {
        return stored(bytes, revision);
    }
    if bytes == current.stored.value {
        if mode.fresh {
            return stored(bytes, revision);
        }
        let newer = store.get(key).await?;
        let same = newer.as_ref().is_some_and(|n| n.mod_revision == revision);
        return if same { stored(bytes, revision) } else { Ok(Replaced::Changed(newer)) };
    }
    match store.update(key, revision, bytes.clone(), super::defaults::ttl(ctx, target)).await? {
        UpdateOutcome::Updated { revision } => stored(bytes, revision),
        UpdateOutcome::Changed(newer) => Ok(Replaced::Changed(newer)),
    }
}

/// Stores a new object; none if the key is taken.
pub(super) async fn insert(
    ctx: &Context,
    target: &Target,
    key: &str,
    mut ready: Ready,
    dry_run: bool,
) -> Result<Option<Shown>, ApiError> {
    let mut inserted = insert_bytes(ctx, target, key, &ready.object, dry_run).await;
    if inserted.as_ref().is_err_and(|fault| ready.shed(fault)) {
        inserted = insert_bytes(ctx, target, key, &ready.object, dry_run).await;
    }
    settle_claims(ctx, ready.claims, &inserted).await;
    match inserted.map_err(|fault| store_fault(target, fault))? {
        Replaced::Stored { bytes, revision } => shown(ctx, target, bytes, revision).await.map(Some),
        Replaced::Changed(_) => Ok(None),
    }
}

async fn insert_bytes(
    ctx: &Context,
    target: &Target,
    key: &str,
    object: &Object,
    dry_run: bool,
) -> Result<Replaced, Fault> {
    let bytes = target.write_bytes(&ctx.cluster, object).await.map_err(Fault::Refused)?;
    let store = &ctx.cluster.store;
    if dry_run {
        return Ok(match store.get(key).await? {
            None => Replaced::Stored { bytes, revision: 0 },
            taken => Replaced::Changed(taken),
        });
    }
    match store.create(key, bytes.clone(), super::defaults::ttl(ctx, target)).await? {
        CreateOutcome::Created { revision } => Ok(Replaced::Stored { bytes, revision }),
        CreateOutcome::Exists => Ok(Replaced::Changed(None)),
    }
}

/// Claims follow the object: what was taken stays taken if it is stored, and goes back if it certainly is not. Where
/// that is unknown nothing is given back: an address that nobody uses is a smaller loss than one that two use.
async fn settle_claims(ctx: &Context, claims: Claims, outcome: &Result<Replaced, Fault>) {
    match outcome {
        Ok(Replaced::Stored { .. }) => claims.commit(&ctx.cluster).await,
        Err(Fault::Store(StoreError::OutcomeUnknown { .. } | StoreError::Timeout)) => claims.keep(),
        Ok(Replaced::Changed(_)) | Err(_) => claims.undo(&ctx.cluster).await,
    }
}

/// Why an object did not get into the store.
enum Fault {
    Store(StoreError),
    Refused(ApiError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

fn store_fault(target: &Target, fault: Fault) -> ApiError {
    match fault {
        Fault::Store(error) => store_error(target, error),
        Fault::Refused(error) => error,
    }
}

/// What the store's faults mean to a client.
pub(super) fn store_error(target: &Target, error: StoreError) -> ApiError {
    let refusal = match &error {
        StoreError::TooLarge => ApiError::unknown("etcdserver: request is too large"),
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
