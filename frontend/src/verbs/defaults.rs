//! What writes have in common: the system's metadata, namespaces of request and object, time to live.

use std::time::Duration;

use crate::{api::schema::Object, cluster::Target, request::status::ApiError, verbs::Context};

/// The time now, as metadata writes it: whole seconds in UTC.
pub(super) fn now(ctx: &Context) -> String {
    ctx.cluster.now_text()
}

/// What a client cannot choose on create.
pub(super) fn wipe_system_fields(object: &mut Object) {
    object.set_creation_timestamp("");
    object.set_uid("");
    object.set_deletion_timestamp(None);
    object.set_deletion_grace_period_seconds(None);
    object.set_self_link("");
}

pub(super) fn fill_system_fields(ctx: &Context, object: &mut Object) {
    object.set_self_link("");
    object.set_creation_timestamp(&now(ctx));
    object.set_uid(&uuid::Uuid::new_v4().to_string());
}

/// The object goes where the request says; a different namespace in it is refused.
pub(super) fn settle_namespace(target: &Target, object: &mut Object) -> Result<(), ApiError> {
    let (wanted, found) = (target.namespace.as_str(), object.namespace());
    if found == wanted {
        return Ok(());
    }
    if found.is_empty() || wanted.is_empty() {
        object.set_namespace(wanted);
        return Ok(());
    }
    Err(ApiError::bad_request("the namespace of the provided object does not match the namespace sent on the request"))
}

/// Only events vanish by themselves.
pub(super) fn ttl(ctx: &Context, target: &Target) -> Option<Duration> {
    let leased = target.resource.storage.as_ref().is_some_and(|s| s.leased);
    leased.then_some(ctx.cluster.settings.event_ttl)
}
