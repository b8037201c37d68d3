//! The Pod Security Standards: pods are refused by the labels of their namespace; of workloads that would make such
//! pods the client is warned, and so it is of pods that a namespace has already when its labels become stricter.

mod baseline;
mod checks;
mod config;
mod pod;
mod policy;
mod restricted;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use self::{
    checks::{details, reasons, violations},
    config::Configuration,
    pod::Pod,
    policy::{Level, Policy, Standard},
};
use super::{CONTAINER_LISTS, NAMESPACES, PODS, list};
use crate::{
    admission::{Admitted, Attributes, Made, Operation, Parts, Plugin},
    api::schema::{Object, Value},
    cluster::{Cluster, objects::text},
    request::status::{ApiError, FieldError, aggregate},
};

/// The path of the pod template in each workload.
const TEMPLATES: &[((&str, &str), &[&str])] = &[
    (("", "replicationcontrollers"), &["spec", "template"]),
    (("", "podtemplates"), &["template"]),
    (("apps", "replicasets"), &["spec", "template"]),
    (("apps", "deployments"), &["spec", "template"]),
    (("apps", "statefulsets"), &["spec", "template"]),
    (("apps", "daemonsets"), &["spec", "template"]),
    (("batch", "jobs"), &["spec", "template"]),
    (("batch", "cronjobs"), &["spec", "jobTemplate", "spec", "template"]),
];
/// Subresources of pods that do not change what runs.
const IGNORED: [&str; 8] = ["attach", "binding", "eviction", "exec", "log", "portforward", "proxy", "status"];
/// When a namespace becomes stricter, so many of its pods are looked at, for so long.
const PODS_MAX: usize = 3000;
const LOOK_MAX: Duration = Duration::from_secs(1);
const ANNOTATIONS: &str = "pod-security.kubernetes.io/";

pub(in crate::admission) struct PodSecurity(Configuration);

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    Ok(Arc::new(PodSecurity(Configuration::read(parts.config.as_deref())?)))
}

impl Plugin for PodSecurity {
    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let row = attributes.row();
            if row == NAMESPACES {
                return self.validate_namespace(cluster, attributes);
            }
            if row == PODS {
                return self.validate_pod(cluster, attributes).await;
            }
            match TEMPLATES.iter().find(|(workload, _)| *workload == row) {
                Some((_, path)) => self.validate_workload(cluster, attributes, path).await,
                None => Ok(()),
            }
        })
    }
}

fn annotate(attributes: &Attributes<'_>, key: &str, value: impl Into<String>) {
    attributes.annotations.add(format!("{ANNOTATIONS}{key}"), value);
}

impl PodSecurity {
    fn policy(&self, namespace: &Object) -> (Policy, Vec<FieldError>) {
        Policy::of_labels(|key| namespace.label(key), &self.0.defaults)
    }

    fn validate_namespace(&self, cluster: &Cluster, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        let Some(namespace) = attributes.object.as_ref().filter(|_| attributes.subresource.is_empty()) else {
            return Ok(());
        };
        let (policy, errors) = self.policy(namespace);
        let refuse = |errors| Err(ApiError::invalid("", "Namespace", attributes.name, errors));
        let exempt = self.0.exempts_namespace(attributes.namespace) || self.0.exempts_namespace(attributes.name);
        let Some(old) = attributes.old else {
            if !errors.is_empty() {
                return refuse(errors);
            }
            if exempt {
                self.warn_exempt(attributes, namespace, &policy);
            }
            return Ok(());
        };
        let (before, old_errors) = self.policy(old);
        if !errors.is_empty() && errors != old_errors {
            return refuse(errors);
        }
        let (now, then) = (policy.enforce, before.enforce);
        let milder = now.version == then.version && now.level <= then.level;
        if now == then || now.level == Level::Privileged || milder {
            return Ok(());
        }
        if exempt {
            self.warn_exempt(attributes, namespace, &policy);
            return Ok(());
        }
        for warning in self.look_at_pods(cluster, namespace.name(), now) {
            attributes.warnings.add(warning);
        }
        Ok(())
    }

    fn warn_exempt(&self, attributes: &Attributes<'_>, namespace: &Object, policy: &Policy) {
        if !policy.is_privileged() && !policy.is_equivalent(&self.0.defaults) {
            let (name, ignored) = (namespace.name(), policy.ignored(|key| namespace.label(key)));
            attributes.warnings.add(format!(
                "namespace {name:?} is exempt from Pod Security, and the policy ({ignored}) will be ignored"
            ));
        }
    }

    /// What the pods of a namespace violate of its new standard.
    fn look_at_pods(&self, cluster: &Cluster, namespace: &str, standard: Standard) -> Vec<String> {
        let Ok(pods) = cluster.informer().list(PODS, namespace) else {
            return vec!["failed to list pods while checking new PodSecurity enforce level".to_owned()];
        };
        let pods = self.most_telling_first(pods);
        let (total, until) = (pods.len(), Instant::now() + LOOK_MAX);
        let mut found: BTreeMap<String, (String, usize)> = BTreeMap::new();
        let mut checked = 0;
        for pod in pods.iter().take(PODS_MAX) {
            checked += 1;
            if let Some(spec) = pod.get(&["spec"]) {
                let bad = violations(standard, Pod { metadata: pod.get(&["metadata"]), spec });
                if !bad.is_empty() {
                    let (name, count) = found.entry(reasons(&bad)).or_insert_with(|| (pod.name().to_owned(), 0));
                    if pod.name() < name.as_str() {
                        *name = pod.name().to_owned();
                    }
                    *count += 1;
                }
            }
            if Instant::now() > until {
                break;
            }
        }
        let mut warnings = Vec::new();
        if checked < total {
            warnings.push(format!(
                "new PodSecurity enforce level only checked against the first {checked} of {total} existing pods"
            ));
        }
        if !found.is_empty() {
            let standard = standard.to_string();
            warnings.push(format!(
                "existing pods in namespace {namespace:?} violate the new PodSecurity enforce level {standard:?}"
            ));
        }
        let told = found.into_iter().map(|(reasons, (name, count))| match count {
            1 => format!("{name}: {reasons}"),
            2 => format!("{name} (and 1 other pod): {reasons}"),
            count => format!("{name} (and {} other pods): {reasons}", count - 1),
        });
        let mut told: Vec<String> = told.collect();
        told.sort_unstable();
        warnings.extend(told);
        warnings
    }

    /// One pod of each controller before the rest.
    fn most_telling_first(&self, pods: Vec<Arc<Object>>) -> Vec<Arc<Object>> {
        let (mut first, mut rest, mut controllers) = (Vec::new(), Vec::new(), Vec::new());
        for pod in pods {
            if self.0.exempts_class(pod.get_str(&["spec", "runtimeClassName"])) {
                continue;
            }
            let controller = pod.owner_references().find(|owner| owner.controller).map(|owner| owner.uid.to_owned());
            match controller {
                Some(uid) if controllers.contains(&uid) => rest.push(pod),
                Some(uid) => {
                    controllers.push(uid);
                    first.push(pod);
                }
                None => first.push(pod),
            }
        }
        first.extend(rest);
        first
    }

    /// Whether namespace or user are exempt; notes why.
    fn is_exempt(&self, attributes: &Attributes<'_>) -> bool {
        let why = match attributes {
            a if self.0.exempts_namespace(a.namespace) => "namespace",
            a if self.0.exempts_user(&a.user.name) => "user",
            _ => return false,
        };
        annotate(attributes, "exempt", why);
        true
    }

    async fn validate_pod(&self, cluster: &Cluster, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        if IGNORED.contains(&attributes.subresource) || self.is_exempt(attributes) {
            return Ok(());
        }
        let name = attributes.namespace;
        let Some(namespace) = cluster.informer().find(NAMESPACES, "", name).await? else {
            let why = format!("failed to lookup namespace {name:?}");
            annotate(attributes, "error", format!("Internal error occurred: {why}: namespaces {name:?} not found"));
            return Err(ApiError::internal(why));
        };
        let (policy, errors) = self.policy(&namespace);
        if errors.is_empty() && policy.is_privileged() {
            annotate(attributes, "enforce-policy", Standard::PRIVILEGED.to_string());
            return Ok(());
        }
        let Some(pod) = &attributes.object else { return Ok(()) };
        let unchanged = |old| !changes_what_runs(pod, old);
        if attributes.operation == Operation::Update && attributes.old.is_some_and(unchanged) {
            return Ok(());
        }
        let Some(spec) = pod.get(&["spec"]) else { return Ok(()) };
        let looked = Pod { metadata: pod.get(&["metadata"]), spec };
        if self.note_errors(attributes, looked, &errors) {
            return Ok(());
        }
        annotate(attributes, "enforce-policy", policy.enforce.to_string());
        let found = violations(policy.enforce, looked);
        self.audit(attributes, looked, policy.audit);
        if !found.is_empty() {
            let why = format!("violates PodSecurity {:?}: {}", policy.enforce.to_string(), details(&found));
            return Err(ApiError::forbidden(&attributes.group_resource(), attributes.name, why));
        }
        warn(attributes, looked, policy.warn);
        Ok(())
    }

    async fn validate_workload(
        &self,
        cluster: &Cluster,
        attributes: &Attributes<'_>,
        template: &[&str],
    ) -> Result<(), ApiError> {
        if !attributes.subresource.is_empty() || self.is_exempt(attributes) {
            return Ok(());
        }
        let name = attributes.namespace;
        let Some(namespace) = cluster.informer().find(NAMESPACES, "", name).await? else {
            let why = format!("failed to lookup namespace {name:?}: namespaces {name:?} not found");
            annotate(attributes, "error", why);
            return Ok(());
        };
        let (policy, errors) = self.policy(&namespace);
        let silent = policy.warn.level == Level::Privileged && policy.audit.level == Level::Privileged;
        let Some(template) = attributes.object.as_ref().and_then(|workload| workload.get(template)) else {
            return Ok(());
        };
        let Some(spec) = template.child("spec").filter(|_| !errors.is_empty() || !silent) else { return Ok(()) };
        let looked = Pod { metadata: template.child("metadata"), spec };
        if !self.note_errors(attributes, looked, &errors) {
            self.audit(attributes, looked, policy.audit);
            warn(attributes, looked, policy.warn);
        }
        Ok(())
    }

    /// Whether the pod's runtime class is exempt. If not, bad labels are noted.
    fn note_errors(&self, attributes: &Attributes<'_>, pod: Pod<'_>, errors: &[FieldError]) -> bool {
        if self.0.exempts_class(pod.spec.child("runtimeClassName").and_then(Value::as_str)) {
            annotate(attributes, "exempt", "runtimeClass");
            return true;
        }
        if let Some(all) = aggregate(errors) {
            annotate(attributes, "error", format!("Failed to parse policy: {all}"));
        }
        false
    }

    fn audit(&self, attributes: &Attributes<'_>, pod: Pod<'_>, standard: Standard) {
        if let Some(text) = would_violate(pod, standard) {
            annotate(attributes, "audit-violations", text);
        }
    }
}

fn would_violate(pod: Pod<'_>, standard: Standard) -> Option<String> {
    let found = violations(standard, pod);
    let standard = standard.to_string();
    (!found.is_empty()).then(|| format!("would violate PodSecurity {standard:?}: {}", details(&found)))
}

fn warn(attributes: &Attributes<'_>, pod: Pod<'_>, standard: Standard) {
    if let Some(text) = would_violate(pod, standard) {
        attributes.warnings.add(text);
    }
}

/// Whether a changed pod has other images, or other containers.
fn changes_what_runs(pod: &Object, old: &Object) -> bool {
    let of = |pod: &Object, name: &str| -> Vec<(String, String)> {
        let spec = pod.get(&["spec"]);
        let containers = spec.map(|spec| list(spec, &[name])).unwrap_or_default().iter();
        containers.map(|c| (text(c, "name").to_owned(), text(c, "image").to_owned())).collect()
    };
    let [first, second, added] = CONTAINER_LISTS;
    let images = |pod, name| -> Vec<String> { of(pod, name).into_iter().map(|(_, image)| image).collect() };
    let before = of(old, added);
    [first, second].iter().any(|name| images(pod, name) != images(old, name))
        || of(pod, added).iter().any(|container| !before.contains(container))
}

#[cfg(test)]
mod tests;
