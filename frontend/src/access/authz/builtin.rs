//! Permissions that need no stored policy.

use async_trait::async_trait;

use super::{Attributes, Authorizer, Decision};
use crate::request::user::{AUTHENTICATED_GROUP, MASTERS_GROUP, UNAUTHENTICATED_GROUP};

/// Members of `system:masters` may do everything.
pub struct Masters;

#[async_trait]
impl Authorizer for Masters {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        decide(attributes.user.is_in(MASTERS_GROUP))
    }
}

/// What the bootstrap roles give to everybody: `system:public-info-viewer` to all, `system:discovery` and
/// `system:basic-user` to the authenticated.
pub struct BootstrapPolicy;

const PUBLIC_PATHS: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
const DISCOVERY_PATHS: [&str; 6] = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];

/// What the authenticated may read, as patterns in order.
pub fn readable_paths() -> Vec<&'static str> {
    let mut paths: Vec<&str> = DISCOVERY_PATHS.into_iter().chain(PUBLIC_PATHS).collect();
    paths.sort_unstable();
    paths
}

#[async_trait]
impl Authorizer for BootstrapPolicy {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let authenticated = attributes.user.is_in(AUTHENTICATED_GROUP);
        if attributes.is_resource {
            return decide(authenticated && is_about_oneself(attributes));
        }
        let known = authenticated || attributes.user.is_in(UNAUTHENTICATED_GROUP);
        let path = attributes.path.as_str();
        let readable = (known && PUBLIC_PATHS.contains(&path))
            || (authenticated && DISCOVERY_PATHS.iter().any(|pattern| covers(pattern, path)));
        decide(attributes.verb == "get" && readable)
    }
}

fn is_about_oneself(attributes: &Attributes) -> bool {
    let resource = (attributes.group.as_str(), attributes.resource.as_str());
    attributes.verb == "create"
        && attributes.subresource.is_empty()
        && matches!(
            resource,
            ("authorization.k8s.io", "selfsubjectaccessreviews" | "selfsubjectrulesreviews")
                | ("authentication.k8s.io", "selfsubjectreviews")
        )
}

fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == pattern,
    }
}

fn decide(allowed: bool) -> Decision {
    let reason = String::new();
    if allowed { Decision::Allow { reason } } else { Decision::NoOpinion { reason } }
}
