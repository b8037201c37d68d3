//! What is recorded of a request: the rules of a policy file, the first that matches decides.

use std::path::Path;

use serde::Deserialize;

use crate::access::authz::Attributes;

/// How much of a request is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Level {
    #[default]
    None,
    Metadata,
    Request,
    RequestResponse,
}

/// When an event is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Stage {
    RequestReceived,
    ResponseStarted,
    ResponseComplete,
    Panic,
}

impl Stage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::RequestReceived => "RequestReceived",
            Stage::ResponseStarted => "ResponseStarted",
            Stage::ResponseComplete => "ResponseComplete",
            Stage::Panic => "Panic",
        }
    }
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Level::None => "None",
            Level::Metadata => "Metadata",
            Level::Request => "Request",
            Level::RequestResponse => "RequestResponse",
        }
    }
}

/// A policy file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    #[serde(default)]
    omit_managed_fields: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    level: Level,
    users: Vec<String>,
    user_groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<GroupResources>,
    namespaces: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    paths: Vec<String>,
    omit_stages: Vec<Stage>,
    omit_managed_fields: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GroupResources {
    group: String,
    resources: Vec<String>,
    resource_names: Vec<String>,
}

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("--audit-policy-file: cannot read {path:?}: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("--audit-policy-file: {path:?}: {why}")]
    Malformed { path: String, why: String },
}

/// What is recorded of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub level: Level,
    pub omit_stages: Vec<Stage>,
    pub omit_managed_fields: bool,
}

impl Policy {
    pub fn read(path: &Path) -> Result<Policy, PolicyError> {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| PolicyError::Unreadable { path: shown.clone(), source })?;
        Policy::parse(&text).map_err(|why| PolicyError::Malformed { path: shown, why })
    }

    fn parse(text: &str) -> Result<Policy, String> {
        let policy: Policy = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if policy.kind != "Policy" || policy.api_version != "audit.k8s.io/v1" {
            return Err(format!(
                "no kind \"Policy\" of audit.k8s.io/v1, but {:?} of {}",
                policy.kind, policy.api_version
            ));
        }
        if policy.rules.is_empty() {
            return Err("loaded illegal policy with 0 rules".to_owned());
        }
        for (at, rule) in policy.rules.iter().enumerate() {
            rule.check().map_err(|why| format!("rules[{at}]{why}"))?;
        }
        Ok(policy)
    }

    pub fn recorded(&self, asked: &Attributes) -> Recorded {
        let rule = self.rules.iter().find(|rule| rule.matches(asked));
        let mut omit_stages = self.omit_stages.clone();
        omit_stages.extend(rule.into_iter().flat_map(|rule| rule.omit_stages.iter().copied()));
        Recorded {
            level: rule.map_or(Level::None, |rule| rule.level),
            omit_stages,
            omit_managed_fields: rule.and_then(|rule| rule.omit_managed_fields).unwrap_or(self.omit_managed_fields),
        }
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        if !self.paths.is_empty() && (!self.resources.is_empty() || !self.namespaces.is_empty()) {
            return Err(".nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs".into());
        }
        if let Some(path) = self.paths.iter().find(|path| *path != "*" && !path.starts_with('/')) {
            return Err(format!(".nonResourceURLs: {path:?}: non-resource URL rules must begin with a '/' character"));
        }
        if let Some(path) = self.paths.iter().find(|p| *p != "*" && p.trim_end_matches('*').contains('*')) {
            return Err(format!(
                ".nonResourceURLs: {path:?}: non-resource URL wildcards '*' must be the final character"
            ));
        }
        let unnamed = |group: &&GroupResources| !group.resource_names.is_empty() && group.resources.is_empty();
        if self.resources.iter().find(unnamed).is_some() {
            return Err(".resources: using resourceNames requires at least one resource".into());
        }
        Ok(())
    }

    fn matches(&self, asked: &Attributes) -> bool {
        let lists = |list: &[String], text: &str| list.is_empty() || list.iter().any(|item| item == text);
        let in_groups = || self.user_groups.iter().any(|group| asked.user.is_in(group));
        if !lists(&self.users, &asked.user.name)
            || !(self.user_groups.is_empty() || in_groups())
            || !lists(&self.verbs, &asked.verb)
        {
            return false;
        }
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            return asked.is_resource
                && lists(&self.namespaces, &asked.namespace)
                && (self.resources.is_empty() || self.resources.iter().any(|group| group.matches(asked)));
        }
        self.paths.is_empty() || (!asked.is_resource && self.paths.iter().any(|path| path_matches(path, &asked.path)))
    }
}

impl GroupResources {
    fn matches(&self, asked: &Attributes) -> bool {
        if self.group != asked.group {
            return false;
        }
        let named = self.resource_names.is_empty() || self.resource_names.contains(&asked.name);
        let covers = |pattern: &String| match pattern.split_once('/') {
            _ if pattern == "*" => true,
            None => asked.subresource.is_empty() && *pattern == asked.resource,
            Some(("*", part)) => !asked.subresource.is_empty() && part == asked.subresource,
            Some((resource, "*")) => resource == asked.resource,
            Some((resource, part)) => resource == asked.resource && part == asked.subresource,
        };
        self.resources.is_empty() || (named && self.resources.iter().any(covers))
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    pattern == "*" || pattern == path || (pattern.ends_with('*') && path.starts_with(pattern.trim_end_matches('*')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::User;

    const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:kube-proxy"]
  verbs: [watch]
  resources: [{group: "", resources: [endpoints, services]}]
- level: None
  userGroups: ["system:authenticated"]
  nonResourceURLs: ["/api*", "/version"]
- level: Request
  resources: [{group: "", resources: [configmaps], resourceNames: [one]}]
  namespaces: [kube-system]
- level: RequestResponse
  omitStages: [ResponseStarted]
  omitManagedFields: true
  resources: [{group: "apps"}, {group: "", resources: ["pods/*", "*/status"]}]
- level: Metadata
"#;

    fn question(user: &str, text: &str) -> Attributes {
        let user = User { name: user.into(), groups: vec!["system:authenticated".into()], ..User::default() };
        let words: Vec<&str> = text.split(' ').collect();
        if words[1].starts_with('/') {
            return Attributes { user, verb: words[0].into(), path: words[1].into(), ..Attributes::default() };
        }
        let parts: Vec<&str> = words[1].split('.').collect();
        Attributes {
            user,
            verb: words[0].into(),
            is_resource: true,
            group: parts[0].into(),
            resource: parts[1].into(),
            subresource: parts.get(2).copied().unwrap_or_default().into(),
            namespace: words.get(2).copied().unwrap_or_default().into(),
            name: words.get(3).copied().unwrap_or_default().into(),
            ..Attributes::default()
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let policy = Policy::parse(POLICY).unwrap();
        for (user, text, level) in [
            ("system:kube-proxy", "watch .endpoints", Level::None),
            ("system:kube-proxy", "list .endpoints", Level::Metadata),
            ("ann", "get /apis/apps", Level::None),
            ("ann", "get /metrics", Level::Metadata),
            ("ann", "update .configmaps kube-system one", Level::Request),
            ("ann", "update .configmaps kube-system two", Level::Metadata),
            ("ann", "update .configmaps other one", Level::Metadata),
            ("ann", "get apps.deployments.scale x", Level::RequestResponse),
            ("ann", "get .pods.log x", Level::RequestResponse),
            ("ann", "get .nodes.status", Level::RequestResponse),
            ("ann", "get .pods x", Level::RequestResponse),
        ] {
            assert_eq!(policy.recorded(&question(user, text)).level, level, "{user}: {text}");
        }
        let recorded = policy.recorded(&question("ann", "get apps.deployments x"));
        assert_eq!(recorded.omit_stages, [Stage::RequestReceived, Stage::ResponseStarted]);
        assert!(recorded.omit_managed_fields);
    }

    #[test]
    fn bad_policies_are_refused() {
        let head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
        for (text, why) in [
            ("kind: Policy\nrules: [{level: None}]", "audit.k8s.io/v1"),
            (&*format!("{head}rules: []"), "0 rules"),
            (&*format!("{head}rules: [{{level: Everything}}]"), "Everything"),
            (&*format!("{head}rules: [{{level: None, nonResourceURLs: [api]}}]"), "rules[0].nonResourceURLs"),
            (&*format!("{head}rules: [{{level: None, nonResourceURLs: [/a], namespaces: [x]}}]"), "both"),
        ] {
            let error = Policy::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
