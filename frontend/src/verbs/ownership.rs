//! Who owns the fields of what is written: the bridge from a request to `object::managed_fields`.

use std::sync::Arc;

use parking_lot::Mutex;

use super::caller::Caller;
use crate::{
    api::{
        Api,
        custom::Definition,
        schema::{Gvk, Object, Type, Value, convert},
    },
    cluster::{Cluster, Target},
    object::{
        managed_fields::{ApplyError, FieldManager, PATH, Reset, Versions, conflict_text},
        strategy,
    },
    request::status::{ApiError, Cause},
    verbs::Context,
};

/// The versions that objects of a resource can be had in: those of built-in kinds that are served, and all that the
/// definition of a custom resource has. Where a webhook converts, an answer that is not known yet is noted as wanted.
pub(super) struct Served<'a> {
    api: &'a Api,
    definition: Option<&'a Definition>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    answers: Vec<Answer>,
    wanted: Option<(Object, Type)>,
}

struct Answer {
    object: Object,
    to: Type,
    converted: Result<Object, String>,
}

impl<'a> Served<'a> {
    pub(super) fn of(target: &'a Target) -> Served<'a> {
        Served { api: &target.api, definition: target.definition().map(Arc::as_ref), asked: Mutex::default() }
    }

    /// The definition, if the object is of the kind that it defines.
    fn definition(&self, object: &Object) -> Option<&'a Definition> {
        let gvk = object.gvk();
        self.definition.filter(|definition| definition.group == gvk.group && definition.kind == gvk.kind)
    }

    fn kind(&self, object: &Object, api_version: &str) -> Option<Type> {
        let (group, version) = Gvk::split_api_version(api_version)?;
        let kind = &object.gvk().kind;
        let is_had = match self.definition(object) {
            Some(definition) => group == definition.group && definition.version(version).is_some(),
            None => self.api.registry.by_kind(group, version, kind).is_some(),
        };
        if is_had { self.api.schema.kind(group, version, kind) } else { None }
    }

    fn answered(&self, object: &Object, to: Type) -> Result<Object, String> {
        let mut object = object.clone();
        object.remove(&PATH);
        let mut asked = self.asked.lock();
        match asked.answers.iter().find(|answer| answer.to.gvk == to.gvk && answer.object == object) {
            Some(answer) => answer.converted.clone(),
            None => {
                asked.wanted = Some((object, to));
                Err("a webhook has to be asked first".to_owned())
            }
        }
    }
}

impl Versions for Served<'_> {
    fn serves(&self, object: &Object, api_version: &str) -> bool {
        self.kind(object, api_version).is_some()
    }

    fn convert(&self, object: &Object, api_version: &str) -> Result<Option<Object>, String> {
        match (self.kind(object, api_version), self.definition(object)) {
            (Some(to), Some(definition)) if definition.asks_webhook() => self.answered(object, to).map(Some),
            (Some(to), _) => Ok(Some(convert(object, &to))),
            (None, Some(_)) => Err(format!("request to convert CR to an invalid group/version: {api_version}")),
            (None, None) => Ok(None),
        }
    }
}

/// What a field manager is asked with, put together for one write.
pub(super) struct Ownership<'a> {
    name: &'a str,
    subresource: &'a str,
    now: String,
    reset: Reset,
    versions: Served<'a>,
}

impl<'a> Ownership<'a> {
    pub(super) fn new(ctx: &Context, target: &'a Target, caller: Caller<'a>) -> Ownership<'a> {
        let subresource = target.subresource.as_ref().map_or("", |s| s.name.as_ref());
        let resource = &target.resource;
        let reset = if resource.custom {
            strategy::reset_of_custom(resource.has_status(), subresource)
        } else {
            strategy::reset(target.row(), subresource)
        };
        let now = super::defaults::now(ctx);
        Ownership { name: caller.field_manager, subresource, now, reset, versions: Served::of(target) }
    }

    /// Does a write that depends on nothing but its input, and again after each conversion of a webhook that it turned
    /// out to need. A write has a handful of them for each version that managers use.
    pub(super) async fn settle<T>(&self, cluster: &Cluster, mut write: impl FnMut(FieldManager<'_>) -> T) -> T {
        loop {
            let written = write(self.manager());
            let wanted = self.versions.asked.lock().wanted.take();
            let (Some((object, to)), Some(definition)) = (wanted, self.versions.definition) else { return written };
            let converted = cluster.convert(self.versions.api, &object, &definition.plural, &to).await;
            let converted = converted.map_err(|error| error.to_string());
            self.versions.asked.lock().answers.push(Answer { object, to, converted });
        }
    }

    /// For objects that no webhook converts; else see [`Ownership::settle`].
    pub(super) fn manager(&self) -> FieldManager<'_> {
        FieldManager {
            name: self.name,
            subresource: self.subresource,
            now: &self.now,
            reset: self.reset,
            versions: &self.versions,
        }
    }
}

/// What a client sent becomes owned by it, as far as it changes anything. Without a live object it is a create.
pub(super) async fn update(
    ctx: &Context,
    target: &Target,
    caller: Caller<'_>,
    live: Option<&Object>,
    object: &mut Object,
) {
    let ownership = Ownership::new(ctx, target, caller);
    if !target.is_converted() {
        ownership.manager().update(live, object);
        return;
    }
    let sent = object.clone();
    let owned = |manager: FieldManager<'_>| {
        let mut object = sent.clone();
        manager.update(live, &mut object);
        object
    };
    *object = ownership.settle(&ctx.cluster, owned).await;
}

/// Server-side apply: the configuration merged into the live object, and owned by who applies it.
pub(super) fn apply(
    manager: FieldManager<'_>,
    kind: &Type,
    live: Option<&Object>,
    config: &Value,
    force: bool,
) -> Result<Object, ApiError> {
    manager.apply(kind, live, config, force).map_err(|error| match error {
        ApplyError::Conflicts(conflicts) => {
            let cause = |conflict: &crate::object::managed_fields::Conflict| Cause {
                reason: "FieldManagerConflict".into(),
                message: format!("conflict with {}", conflict.manager),
                field: conflict.path.clone(),
            };
            ApiError::apply_conflict(conflicts.iter().map(cause).collect(), conflict_text(&conflicts))
        }
        ApplyError::BadRequest(text) => ApiError::bad_request(text),
        ApplyError::Failed(text) => ApiError::unknown(text),
    })
}
