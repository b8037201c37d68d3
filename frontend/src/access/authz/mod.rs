//! Whether a user may make a request.
//!
//! In: [`Attributes`]. Out: a [`Decision`], or the 403 of the real server. Not here: who the user is (authn), what an
//! object may contain (admission).

mod builtin;
mod impersonation;

use std::sync::Arc;

use async_trait::async_trait;
pub use builtin::{BootstrapPolicy, Masters, readable_paths};
pub use impersonation::impersonate;

use crate::request::{
    User,
    info::RequestInfo,
    status::{ApiError, GroupResource, go_quote},
};

/// What is asked. The review APIs build these from a body, the pipeline from a request.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    pub user: User,
    pub verb: String,
    pub is_resource: bool,
    pub namespace: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub name: String,
    /// For what is no resource.
    pub path: String,
}

impl Attributes {
    pub fn of_request(user: &User, info: &RequestInfo) -> Attributes {
        Attributes {
            user: user.clone(),
            verb: info.verb_name(),
            is_resource: info.is_resource,
            namespace: info.namespace.clone(),
            group: info.group.clone(),
            version: info.version.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            name: info.authorized_name().to_owned(),
            path: info.path.clone(),
        }
    }

    /// The 403, with what the user tried in it.
    pub fn forbidden(&self, reason: &str) -> ApiError {
        let mut why = self.sentence().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        if !reason.is_empty() {
            why = format!("{why}: {reason}");
        }
        let resource = match self.is_resource {
            true => GroupResource::new(self.group.clone(), self.resource.clone()),
            false => GroupResource::default(),
        };
        let name = if self.is_resource { self.name.as_str() } else { "" };
        ApiError { nosniff: true, ..ApiError::forbidden(&resource, name, why) }
    }

    fn sentence(&self) -> String {
        let user = go_quote(&self.user.name);
        if !self.is_resource {
            return format!("User {user} cannot {} path {}", self.verb, go_quote(&self.path));
        }
        let resource = match self.subresource.as_str() {
            "" => self.resource.clone(),
            subresource => format!("{}/{subresource}", self.resource),
        };
        let scope = match self.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {}", go_quote(namespace)),
        };
        let (resource, group) = (go_quote(&resource), go_quote(&self.group));
        format!("User {user} cannot {} resource {resource} in API group {group} {scope}", self.verb)
    }
}

/// One authorizer's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow { reason: String },
    Deny { reason: String },
    NoOpinion { reason: String },
}

/// One source of permissions.
#[async_trait]
pub trait Authorizer: Send + Sync {
    async fn authorize(&self, attributes: &Attributes) -> Decision;
}

/// Authorizers in order; the first one with an opinion decides. No opinion at all is a refusal.
pub struct Authorization {
    authorizers: Vec<Arc<dyn Authorizer>>,
}

impl Authorization {
    pub fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Authorization {
        Authorization { authorizers }
    }

    /// What is enforced until roles are: the masters group, and what everybody may read.
    pub fn builtin() -> Authorization {
        Authorization::new(vec![Arc::new(Masters), Arc::new(BootstrapPolicy)])
    }

    /// Refuses what may not be done.
    pub async fn check(&self, attributes: &Attributes) -> Result<(), ApiError> {
        match self.authorize(attributes).await {
            Decision::Allow { .. } => Ok(()),
            Decision::Deny { reason } | Decision::NoOpinion { reason } => Err(attributes.forbidden(&reason)),
        }
    }
}

#[async_trait]
impl Authorizer for Authorization {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let mut reasons = Vec::new();
        for authorizer in &self.authorizers {
            match authorizer.authorize(attributes).await {
                Decision::NoOpinion { reason } if reason.is_empty() => {}
                Decision::NoOpinion { reason } => reasons.push(reason),
                opinion => return opinion,
            }
        }
        Decision::NoOpinion { reason: reasons.join("\n") }
    }
}

#[cfg(test)]
mod tests;
