//! DELETE of one object: at once, after a grace period, or when its finalizers are gone.

use futures::future::BoxFuture;

use super::{
    caller::Caller,
    defaults,
    delete_options::{DeleteOptions, Propagation},
    respond::Answer,
    write::{self, Current, FirstLook, Rewrite, Step},
};
use crate::{
    api::schema::Object,
    cluster::{Target, time_text},
    object::strategy::{self, Collection, Grace},
    request::{
        Request, User, Warnings,
        status::{ApiError, GroupResource},
    },
    verbs::Context,
};

pub(super) const ORPHAN: &str = "orphan";
pub(super) const FOREGROUND: &str = "foregroundDeletion";

pub(super) async fn delete(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let body = request.body.read().await?;
    let options = DeleteOptions::parse(&request.headers, &request.query, &body)?;
    warn_of_kept_dependents(target, &options, &request.notes.warnings);
    if let Some(why) = strategy::refused_deletion(target.row(), &target.name) {
        return Err(ApiError::forbidden(&target.group_resource(), &target.name, why));
    }
    let removal = remove(ctx, target, &options, Caller::deletes(user, &request.notes, &options)).await?;
    let accepted = !removal.removed && options.orphan_dependents == Some(false);
    removal.answer(target, if accepted { 202 } else { 200 })
}

/// Pods outlive their Job where nobody says what becomes of them, which surprises people.
pub(super) fn warn_of_kept_dependents(target: &Target, options: &DeleteOptions, warnings: &Warnings) {
    let is_kept = target.row() == ("batch", "jobs")
        && strategy::collection(target.row(), &target.resource.version) == Collection::Orphan;
    if is_kept && options.propagation.is_none() && options.orphan_dependents.is_none() {
        warnings.add(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
        );
    }
}

/// What a delete has done.
pub(super) struct Removal {
    object: Object,
    removed: bool,
    /// The object is what the client gets; else a Status.
    shows_object: bool,
}

impl Removal {
    fn answer(self, target: &Target, code: u16) -> Result<Answer, ApiError> {
        if self.shows_object {
            return Ok(Answer::object(code, self.object));
        }
        Answer::success(&target.api.schema, code, &target.group_resource(), self.object.name(), self.object.uid())
    }
}

/// Deletes the target's object, as far as it can be now.
pub(super) async fn remove(
    ctx: &Context,
    target: &Target,
    options: &DeleteOptions,
    caller: Caller<'_>,
) -> Result<Removal, ApiError> {
    let mut mark = Mark { ctx, target, options, caller, outcome: Outcome::Gone };
    let marked = write::apply(ctx, target, options.dry_run, &mut mark).await?;
    let outcome = mark.outcome;
    let mut removal =
        Removal { object: marked.shown.into_object(target)?, removed: marked.removed, shows_object: true };
    match outcome {
        // A grace period of zero: it was announced, now it happens.
        Outcome::Graceful { seconds: 0, pending: false } if !options.dry_run => {
            let mut last = Last { uid: removal.object.uid().to_owned(), target };
            let gone = write::apply(ctx, target, false, &mut last).await;
            if let Ok(gone) = gone {
                removal.object = gone.shown.into_object(target)?;
            }
            removal.removed = true;
        }
        _ => {}
    }
    if removal.removed || matches!(outcome, Outcome::AlreadyDeleting) {
        removal.shows_object = strategy::shows_deleted(target.row());
    }
    Ok(removal)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Gone,
    Graceful { seconds: i64, pending: bool },
    Finalizing,
    AlreadyDeleting,
}

struct Mark<'a> {
    ctx: &'a Context,
    target: &'a Target,
    options: &'a DeleteOptions,
    caller: Caller<'a>,
    outcome: Outcome,
}

impl Rewrite for Mark<'_> {
    /// What a webhook makes of an object is asked anew before the object goes.
    fn first_look(&self) -> FirstLook {
        if self.target.is_converted() { FirstLook::Store } else { FirstLook::Cache }
    }

    fn rewrite<'a>(&'a mut self, current: Option<&'a Current>) -> BoxFuture<'a, Result<Step, ApiError>> {
        Box::pin(async move {
            let current = write::existing(current, self.target)?;
            check_preconditions(self.target, self.options, &current.object)?;
            self.caller.validate(self.ctx, self.target, None, Some(&current.object)).await?;
            let mut object = current.object.clone();
            if let Some(keep) = strategy::keeps_for_deletion(self.target, &object, &defaults::now(self.ctx)) {
                self.outcome = if current.object.deletion_timestamp().is_some() {
                    Outcome::AlreadyDeleting
                } else {
                    Outcome::Finalizing
                };
                object = keep;
                if current.object.deletion_timestamp().is_none() && strategy::heeds_options(self.target.row()) {
                    set_finalizers(self.target, &mut object, self.options);
                }
                return Ok(Step::write(object));
            }
            let graceful = match self.begin_grace(&mut object)? {
                Begun::Pending => {
                    self.outcome = Outcome::AlreadyDeleting;
                    return Ok(Step::write(current.object.clone()));
                }
                Begun::Graceful(seconds) => Some(seconds),
                Begun::Immediate => None,
            };
            set_finalizers(self.target, &mut object, self.options);
            let pending = object.finalizers().next().is_some();
            if let Some(seconds) = graceful {
                self.outcome = Outcome::Graceful { seconds, pending };
                return Ok(Step::write(object));
            }
            if pending {
                self.outcome = Outcome::Finalizing;
                self.mark_as_deleting(&mut object);
                return Ok(Step::write(object));
            }
            self.outcome = Outcome::Gone;
            Ok(Step::remove(self.target, current.object.clone()))
        })
    }
}

enum Begun {
    Immediate,
    Graceful(i64),
    /// It is being deleted already, and not later than asked for.
    Pending,
}

impl Mark<'_> {
    /// The part of resources that are deleted gracefully (pods).
    fn begin_grace(&self, object: &mut Object) -> Result<Begun, ApiError> {
        let Grace::Seconds(seconds) = strategy::grace(self.target.row(), object, self.options.grace_period_seconds)
        else {
            return Ok(Begun::Immediate);
        };
        let now = self.ctx.cluster.clock.now();
        let Some(deleted_at) = object.deletion_timestamp() else {
            object.set_deletion_timestamp(Some(&later(now, seconds)));
            object.set_deletion_grace_period_seconds(Some(seconds));
            if object.generation() > 0 {
                object.set_generation(object.generation() + 1);
            }
            return Ok(Begun::Graceful(seconds));
        };
        let granted = object.deletion_grace_period_seconds().unwrap_or(0);
        if granted == 0 {
            return Ok(Begun::Immediate);
        }
        let Some(wish) = self.options.grace_period_seconds.filter(|wish| *wish < granted) else {
            return Ok(Begun::Pending);
        };
        let begun = deleted_at.parse::<jiff::Timestamp>().unwrap_or(now) - jiff::SignedDuration::from_secs(granted);
        let shortened = begun + jiff::SignedDuration::from_secs(wish);
        let (at, seconds) = if shortened < now { (now, wish.min(1)) } else { (shortened, wish) };
        object.set_deletion_timestamp(Some(&time_text(at)));
        object.set_deletion_grace_period_seconds(Some(seconds));
        Ok(Begun::Graceful(seconds))
    }

    fn mark_as_deleting(&self, object: &mut Object) {
        if object.deletion_timestamp().is_none() {
            if object.generation() > 0 {
                object.set_generation(object.generation() + 1);
            }
            object.set_deletion_timestamp(Some(&defaults::now(self.ctx)));
        }
        object.set_deletion_grace_period_seconds(Some(0));
    }
}

fn later(now: jiff::Timestamp, seconds: i64) -> String {
    time_text(now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now))
}

/// The second half of a grace period of zero.
struct Last<'a> {
    uid: String,
    target: &'a Target,
}

impl Rewrite for Last<'_> {
    fn rewrite<'a>(&'a mut self, current: Option<&'a Current>) -> BoxFuture<'a, Result<Step, ApiError>> {
        Box::pin(async move {
            match current {
                Some(current) if current.object.uid() == self.uid => {
                    Ok(Step::remove(self.target, current.object.clone()))
                }
                _ => Err(ApiError::not_found(&self.target.group_resource(), &self.target.name)),
            }
        })
    }
}

pub(super) fn check_preconditions(target: &Target, options: &DeleteOptions, object: &Object) -> Result<(), ApiError> {
    let by_kind = GroupResource::new(target.stored_group().to_owned(), target.resource.kind.clone());
    if let Some(uid) = options.precondition_uid.as_ref().filter(|uid| *uid != object.uid()) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            object.uid()
        );
        return Err(ApiError::conflict(&by_kind, object.name(), why));
    }
    if let Some(version) = options.precondition_revision.as_ref().filter(|v| *v != object.resource_version()) {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
            object.resource_version()
        );
        return Err(ApiError::conflict(&by_kind, object.name(), why));
    }
    Ok(())
}

/// Leaves to the garbage collector what is its part, by its finalizers.
fn set_finalizers(target: &Target, object: &mut Object, options: &DeleteOptions) {
    let policy = strategy::collection(target.row(), &target.resource.version);
    if policy == Collection::Unsupported {
        return;
    }
    let propagation = match options.orphan_dependents {
        Some(true) => Some(Propagation::Orphan),
        Some(false) => Some(Propagation::Background),
        None => options.propagation,
    };
    let marked = object.finalizers().find_map(|f| match f {
        ORPHAN => Some(Propagation::Orphan),
        FOREGROUND => Some(Propagation::Foreground),
        _ => None,
    });
    let effective = propagation.or(marked).or((policy == Collection::Orphan).then_some(Propagation::Orphan));
    let before: Vec<String> = object.finalizers().map(str::to_owned).collect();
    let mut after: Vec<&str> = before.iter().map(String::as_str).filter(|f| *f != ORPHAN && *f != FOREGROUND).collect();
    match effective {
        Some(Propagation::Orphan) => after.push(ORPHAN),
        Some(Propagation::Foreground) => after.push(FOREGROUND),
        Some(Propagation::Background) | None => {}
    }
    let same = after.len() == before.len() && after.iter().all(|f| before.iter().any(|b| b == f));
    if !same {
        object.set_finalizers(after);
    }
}
