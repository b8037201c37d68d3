//! Subresources that are not simply a part of their object: scale, binding, eviction.

use super::{binding, eviction, respond::Answer, scale, token};
use crate::{
    cluster::Target,
    request::{
        Request, User,
        status::{ApiError, Reason},
    },
    verbs::Context,
};

/// Parts of the object itself: read and written as the object, each changing its own part.
pub(super) fn is_part(name: &str) -> bool {
    matches!(name, "status" | "finalize" | "approval" | "ephemeralcontainers" | "resize")
}

pub(super) async fn read(ctx: &Context, target: &Target, request: &Request) -> Result<Answer, ApiError> {
    match target.subresource.as_ref().map(|s| s.name.as_ref()) {
        Some(name) if is_part(name) => super::get::get(ctx, target, request).await,
        Some("scale") => scale::get(ctx, target, request).await,
        _ => Err(not_built(target)),
    }
}

pub(super) async fn change(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    match target.subresource.as_ref().map(|s| s.name.as_ref()) {
        Some("scale") => scale::change(ctx, target, request, user).await,
        Some("binding") => binding::create(ctx, target, request, user).await,
        Some("eviction") => eviction::evict(ctx, target, request, user).await,
        Some("token") => token::create(ctx, target, request, user).await,
        _ => Err(not_built(target)),
    }
}

fn not_built(target: &Target) -> ApiError {
    let name = target.subresource.as_ref().map_or("", |s| s.name.as_ref());
    ApiError::new(
        501,
        Reason::NotImplemented,
        format!("{}/{name} is not implemented by this server", target.resource.plural),
    )
}
