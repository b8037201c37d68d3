//! The plugin's configuration: what holds where a namespace says nothing, and who is exempt.

use serde::Deserialize;

use super::policy::{Level, Policy, Standard, Version, parse_level, parse_version};
use crate::{
    admission::{aggregate, configuration},
    object::validation::names,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    defaults: Defaults,
    exemptions: Exemptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Defaults {
    enforce: String,
    enforce_version: String,
    audit: String,
    audit_version: String,
    warn: String,
    warn_version: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Exemptions {
    usernames: Vec<String>,
    namespaces: Vec<String>,
    runtime_classes: Vec<String>,
}

/// What was read and checked.
#[derive(Debug)]
pub(super) struct Configuration {
    pub(super) defaults: Policy,
    exemptions: Exemptions,
}

const VERSIONS: &[&str] = &[
    "pod-security.admission.config.k8s.io/v1",
    "pod-security.admission.config.k8s.io/v1beta1",
    "pod-security.admission.config.k8s.io/v1alpha1",
];

impl Configuration {
    pub(super) fn read(text: Option<&str>) -> Result<Configuration, String> {
        let file: File = match text {
            Some(text) => configuration::decode(text, VERSIONS, "PodSecurityConfiguration")?,
            None => File::default(),
        };
        let mut errors = Vec::new();
        let mut standard = |mode: &str, level: &str, version: &str| {
            let level = parse_level(if level.is_empty() { "privileged" } else { level }).unwrap_or_else(|why| {
                errors.push(format!("defaults.{mode}: Invalid value: {level:?}: {why}"));
                Level::Restricted
            });
            let version = parse_version(if version.is_empty() { "latest" } else { version }).unwrap_or_else(|why| {
                errors.push(format!("defaults.{mode}-version: Invalid value: {version:?}: {why}"));
                Version::Latest
            });
            Standard { level, version }
        };
        let defaults = &file.defaults;
        let defaults = Policy {
            enforce: standard("enforce", &defaults.enforce, &defaults.enforce_version),
            warn: standard("warn", &defaults.warn, &defaults.warn_version),
            audit: standard("audit", &defaults.audit, &defaults.audit_version),
        };
        let exempt = &file.exemptions;
        let name = |name: &str| names::label_name(name, false).join(", ");
        let class = |name: &str| names::subdomain_name(name, false).join(", ");
        let user = |name: &str| if name.is_empty() { "username must not be empty".to_owned() } else { String::new() };
        errors.extend(check("namespaces", &exempt.namespaces, name));
        errors.extend(check("runtimeClasses", &exempt.runtime_classes, class));
        errors.extend(check("usernames", &exempt.usernames, user));
        match aggregate(errors) {
            Some(why) => Err(why),
            None => Ok(Configuration { defaults, exemptions: file.exemptions }),
        }
    }

    pub(super) fn exempts_namespace(&self, name: &str) -> bool {
        !name.is_empty() && self.exemptions.namespaces.iter().any(|exempt| exempt == name)
    }

    pub(super) fn exempts_user(&self, name: &str) -> bool {
        !name.is_empty() && self.exemptions.usernames.iter().any(|exempt| exempt == name)
    }

    pub(super) fn exempts_class(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| !name.is_empty() && self.exemptions.runtime_classes.iter().any(|e| e == name))
    }
}

/// Errors of a list of names: `wrong` tells what is wrong with one, and none may come twice.
fn check(list: &str, names: &[String], wrong: impl Fn(&str) -> String) -> Vec<String> {
    let errors = names.iter().enumerate().filter_map(|(at, name)| {
        let path = format!("exemptions.{list}[{at}]");
        match wrong(name) {
            why if !why.is_empty() => Some(format!("{path}: Invalid value: {name:?}: {why}")),
            _ if names[..at].contains(name) => Some(format!("{path}: Duplicate value: {name:?}")),
            _ => None,
        }
    });
    errors.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_exemptions_are_read() {
        let head = "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n";
        let body = "defaults: {enforce: baseline, enforce-version: v1.30}\nexemptions: {namespaces: [kube-system], usernames: [me], runtimeClasses: [kata]}\n";
        let read = Configuration::read(Some(&format!("{head}{body}"))).unwrap();
        assert_eq!(read.defaults.enforce.to_string(), "baseline:v1.30");
        assert!(read.exempts_namespace("kube-system") && read.exempts_user("me") && read.exempts_class(Some("kata")));
        assert!(!read.exempts_namespace("") && !read.exempts_class(None));
        let bad = format!("{head}defaults: {{warn: x}}\nexemptions: {{usernames: ['', a, a]}}\n");
        let why = Configuration::read(Some(&bad)).unwrap_err();
        assert_eq!(
            why,
            "[defaults.warn: Invalid value: \"x\": must be one of privileged, baseline, restricted, exemptions.usernames[0]: Invalid value: \"\": username must not be empty, exemptions.usernames[2]: Duplicate value: \"a\"]"
        );
        assert!(Configuration::read(Some("apiVersion: v1\nkind: Pod\n")).is_err());
    }
}
