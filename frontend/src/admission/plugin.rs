//! What a plugin is, and what it is made from.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{attributes::Attributes, webhook};
use crate::{access::Access, cluster::Cluster, config::AdmissionFlags, request::status::ApiError};

/// What a plugin says: nothing, or a refusal.
pub type Admitted<'a> = BoxFuture<'a, Result<(), ApiError>>;

/// One plugin. The default of both halves is to let everything pass.
pub trait Plugin: Send + Sync {
    /// May change the object.
    fn admit<'a>(&'a self, _: &'a Cluster, _: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move { Ok(()) })
    }

    /// May refuse the object as it will be stored.
    fn validate<'a>(&'a self, _: &'a Cluster, _: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move { Ok(()) })
    }
}

/// What plugins are made from.
pub(super) struct Parts<'a> {
    pub(super) access: Arc<Access>,
    pub(super) flags: &'a AdmissionFlags,
    /// The plugin's own part of the configuration file.
    pub(super) config: Option<String>,
    pub(super) webhooks: webhook::Metrics,
}

/// A plugin, or what keeps it from being made.
pub(super) type Made = Result<Arc<dyn Plugin>, String>;

/// Several messages as one text, each once.
pub(super) fn aggregate(messages: Vec<String>) -> Option<String> {
    let mut once: Vec<String> = Vec::with_capacity(messages.len());
    for message in messages {
        if !once.contains(&message) {
            once.push(message);
        }
    }
    match once.len() {
        0 => None,
        1 => once.pop(),
        _ => Some(format!("[{}]", once.join(", "))),
    }
}
