//! What is asked of authorization, and the 403 that says it was refused.

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

    /// The fault where nobody forbids it and somebody could not be asked.
    pub fn undecided(&self, error: &str) -> ApiError {
        let text = format!("Internal Server Error: {}: {error}", go_quote(&self.path));
        ApiError { plain_text: true, nosniff: true, ..ApiError::new(500, "InternalError", text) }
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
