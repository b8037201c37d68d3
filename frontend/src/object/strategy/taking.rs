//! What a write takes of others, and what a removal gives up: addresses and ports of Services.
//!
//! In: a target and its objects. Out: what was taken, as a value that must be committed or undone. Not here: how it is
//! taken, which the resource's own file knows.

use super::{rows, services};
use crate::{
    api::schema::Object,
    cluster::{Cluster, Target},
    request::status::ApiError,
};

/// Whether a write through this endpoint takes what others may want too.
fn takes(target: &Target) -> bool {
    target.subresource.is_none() && rows::find(target).claims
}

/// Completes what an object has of others before anything else is done with it, and refuses what nobody could give.
pub fn begin(
    cluster: &Cluster,
    target: &Target,
    object: &mut Object,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<(), ApiError> {
    if takes(target) { services::begin(cluster, object, old, dry_run) } else { Ok(()) }
}

/// Takes what an object needs of others, writing it into the object.
pub async fn claim(
    cluster: &Cluster,
    target: &Target,
    object: &mut Object,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<services::Claims, ApiError> {
    if !takes(target) {
        return Ok(services::Claims::default());
    }
    services::claim(cluster, target, object, old, dry_run).await
}

/// What a removed object gives up.
pub fn claims_of(target: &Target, object: &Object) -> services::Claims {
    if rows::find(target).claims { services::claims_of(target, object) } else { services::Claims::default() }
}
