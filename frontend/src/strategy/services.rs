//! What an object takes from others when it is stored: cluster IPs and node ports.

use crate::{context::Context, schema::Object, status::ApiError, verbs::Target};

/// What was taken for an object that is not stored yet.
#[derive(Debug, Default)]
pub struct Claims {
    keys: Vec<String>,
}

impl Claims {
    /// Gives everything back.
    pub async fn release(self, ctx: &Context) {
        for key in self.keys {
            if let Ok(Some(stored)) = ctx.store.get(&key).await {
                let _ = ctx.store.delete(&key, stored.mod_revision).await;
            }
        }
    }
}

/// Takes what an object needs, writing it into the object.
pub async fn claim(
    _ctx: &Context,
    _target: &Target,
    _object: &mut Object,
    _old: Option<&Object>,
    _dry_run: bool,
) -> Result<Claims, ApiError> {
    Ok(Claims::default())
}

/// Gives back what a removed object had taken.
pub async fn removed(_ctx: &Context, _target: &Target, _object: &Object) {}
