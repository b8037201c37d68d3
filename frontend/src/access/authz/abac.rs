//! Permissions from a file: a policy a line, each a subject, what it may reach, and whether only to read.

use std::path::Path;

use futures::future::BoxFuture;
use serde::Deserialize;

use super::{Attributes, Authorizer, Decision, Rules, rbac::Rule};
use crate::request::{User, user::AUTHENTICATED_GROUP};

const VERSION: &str = "abac.authorization.kubernetes.io/v1beta1";
const READS: [&str; 3] = ["get", "list", "watch"];

/// A policy file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AbacError {
    #[error("--authorization-policy-file: cannot read {path:?}: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("--authorization-policy-file: error reading policy file {path}, line {line}: {why}")]
    Line { path: String, line: usize, why: String },
}

/// The policies of a file.
pub struct Abac(Vec<Policy>);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Policy {
    user: String,
    group: String,
    readonly: bool,
    api_group: String,
    resource: String,
    namespace: String,
    non_resource_path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versioned {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    spec: Policy,
}

impl Abac {
    pub fn read(path: &Path) -> Result<Abac, AbacError> {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| AbacError::Unreadable { path: shown.clone(), source })?;
        Abac::parse(&text).map_err(|(line, why)| AbacError::Line { path: shown, line, why })
    }

    fn parse(text: &str) -> Result<Abac, (usize, String)> {
        let mut policies = Vec::new();
        for (at, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            policies.push(Policy::parse(line).map_err(|why| (at + 1, why))?);
        }
        Ok(Abac(policies))
    }
}

impl Policy {
    fn parse(line: &str) -> Result<Policy, String> {
        // A list would be read as the fields in their order.
        if !line.starts_with('{') {
            return Err("a policy is an object".to_owned());
        }
        let read: Versioned = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let mut policy = match (read.api_version.as_str(), read.kind.as_str()) {
            (VERSION, "Policy") => read.spec,
            // The oldest form has no version; what it leaves open is everything.
            ("", "") => Policy::oldest(serde_json::from_str(line).map_err(|error| error.to_string())?),
            (version, kind) => return Err(format!("no kind {kind:?} is registered for version {version:?}")),
        };
        if policy.user == "*" || policy.group == "*" {
            policy.user.clear();
            policy.group = AUTHENTICATED_GROUP.to_owned();
        }
        Ok(policy)
    }

    fn oldest(mut policy: Policy) -> Policy {
        let everywhere = |text: &mut String| {
            if text.is_empty() {
                *text = "*".to_owned();
            }
        };
        if policy.user.is_empty() && policy.group.is_empty() {
            policy.group = AUTHENTICATED_GROUP.to_owned();
        }
        if policy.namespace.is_empty() && policy.resource.is_empty() {
            policy.non_resource_path = "*".to_owned();
        }
        everywhere(&mut policy.namespace);
        everywhere(&mut policy.resource);
        policy.api_group = "*".to_owned();
        policy
    }

    fn is_for(&self, user: &User) -> bool {
        let named = self.user.is_empty() || self.user == user.name;
        let grouped = self.group.is_empty() || user.is_in(&self.group);
        !(self.user.is_empty() && self.group.is_empty()) && named && grouped
    }

    fn allows(&self, asked: &Attributes) -> bool {
        let covers = |pattern: &str, text: &str| pattern == "*" || pattern == text;
        if !self.is_for(&asked.user) || (self.readonly && !READS.contains(&asked.verb.as_str())) {
            return false;
        }
        if asked.is_resource {
            return covers(&self.namespace, &asked.namespace)
                && covers(&self.resource, &asked.resource)
                && covers(&self.api_group, &asked.group);
        }
        let path = self.non_resource_path.as_str();
        path == asked.path
            || path.strip_suffix('*').is_some_and(|prefix| asked.path.starts_with(prefix.trim_end_matches('*')))
    }
}

impl Authorizer for Abac {
    fn authorize<'a>(&'a self, asked: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            match self.0.iter().any(|policy| policy.allows(asked)) {
                true => Decision::allow(""),
                false => Decision::no_opinion("No policy matched."),
            }
        })
    }

    fn rules(&self, user: &User, namespace: &str) -> Option<Rules> {
        let mut rules = Vec::new();
        let here = |policy: &&Policy| policy.is_for(user) && (policy.namespace == "*" || policy.namespace == namespace);
        for policy in self.0.iter().filter(here) {
            let verbs: &[&str] = if policy.readonly { &READS } else { &["*"] };
            let verbs: Vec<String> = verbs.iter().map(|verb| (*verb).to_owned()).collect();
            if !policy.resource.is_empty() {
                let (groups, resources) = (vec![policy.api_group.clone()], vec![policy.resource.clone()]);
                rules.push(Rule { groups, resources, verbs: verbs.clone(), ..Rule::default() });
            }
            if !policy.non_resource_path.is_empty() {
                rules.push(Rule { urls: vec![policy.non_resource_path.clone()], verbs, ..Rule::default() });
            }
        }
        Some(Rules { rules, ..Rules::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(spec: &str) -> String {
        format!(r#"{{"apiVersion": "{VERSION}", "kind": "Policy", "spec": {spec}}}"#)
    }

    #[test]
    fn lines_permit_what_they_say() {
        let text = [
            "# a comment".to_owned(),
            policy(r#"{"user": "ann", "namespace": "*", "resource": "*", "apiGroup": "*", "nonResourcePath": "*"}"#),
            policy(r#"{"group": "devs", "namespace": "x", "resource": "pods", "readonly": true}"#),
            policy(r#"{"user": "*", "nonResourcePath": "/version"}"#),
            r#"{"user": "old", "readonly": true}"#.to_owned(),
        ];
        let abac = Abac::parse(&text.join("\n")).unwrap();
        let asks = |user: &str, verb: &str, namespace: &str, resource: &str| Attributes {
            user: User {
                name: user.into(),
                groups: vec!["devs".into(), AUTHENTICATED_GROUP.into()],
                ..User::default()
            },
            verb: verb.into(),
            is_resource: !resource.starts_with('/'),
            namespace: namespace.into(),
            resource: resource.into(),
            path: resource.into(),
            ..Attributes::default()
        };
        for (user, verb, namespace, resource, allowed) in [
            ("ann", "delete", "y", "secrets", true),
            ("ann", "post", "", "/metrics", true),
            ("bob", "list", "x", "pods", true),
            ("bob", "delete", "x", "pods", false),
            ("bob", "list", "y", "pods", false),
            ("bob", "get", "", "/version", true),
            ("bob", "get", "", "/versions", false),
            ("old", "get", "y", "secrets", true),
            ("old", "update", "y", "secrets", false),
        ] {
            let asked = asks(user, verb, namespace, resource);
            assert_eq!(abac.0.iter().any(|p| p.allows(&asked)), allowed, "{user} {verb} {namespace} {resource}");
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let other = r#"{"apiVersion": "v1", "kind": "Pod"}"#;
        for (text, line) in [("{", 1), ("\n# x\n[]", 3), (other, 1)] {
            assert_eq!(Abac::parse(text).map(|_| ()).unwrap_err().0, line, "{text}");
        }
    }
}
