//! Who owns the fields of what is written: the bridge from a request to `object::managed_fields`.

use super::caller::Caller;
use crate::{
    api::{
        Api,
        schema::{Gvk, Object, Type, Value, convert},
    },
    cluster::Target,
    object::{
        managed_fields::{ApplyError, FieldManager, Reset, Versions, conflict_text},
        strategy,
    },
    request::status::{ApiError, Cause},
    verbs::Context,
};

/// The versions that this server serves.
pub(super) struct Served<'a>(pub(super) &'a Api);

impl Served<'_> {
    fn kind(&self, object: &Object, api_version: &str) -> Option<Type> {
        let (group, version) = Gvk::split_api_version(api_version)?;
        let kind = &object.gvk().kind;
        self.0.registry.by_kind(group, version, kind)?;
        self.0.schema.kind(group, version, kind)
    }
}

impl Versions for Served<'_> {
    fn serves(&self, object: &Object, api_version: &str) -> bool {
        self.kind(object, api_version).is_some()
    }

    fn convert(&self, object: &Object, api_version: &str) -> Option<Object> {
        Some(convert(object, &self.kind(object, api_version)?))
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
        Ownership { name: caller.field_manager, subresource, now, reset, versions: Served(&target.api) }
    }

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
pub(super) fn update(ctx: &Context, target: &Target, caller: Caller<'_>, live: Option<&Object>, object: &mut Object) {
    Ownership::new(ctx, target, caller).manager().update(live, object);
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
