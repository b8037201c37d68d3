//! ValidatingAdmissionPolicy: validates what will be stored by expressions that an operator wrote.
//!
//! In: a request, and the policies and bindings of the cluster, compiled once for each of their revisions. Out: a
//! refusal, warnings, annotations for the audit. Not here: what is wrong with a policy itself (`object::validation`).

mod compiled;
mod evaluation;
mod params;

use std::sync::Arc;

use self::{
    compiled::{Binding, Hook, Hooks, Policy},
    evaluation::{AuditAnnotation, Decision},
};
use super::{
    Attributes, Made, Parts, Plugin,
    asking::{Asking, about},
    expressions::Inputs,
    matching::Matched,
    subject::{self, Versions},
};
use crate::{
    access::Access,
    admission::Admitted,
    api::schema::{Object, Value},
    cluster::{Cluster, Target},
    request::status::{ApiError, Cause, GroupResource},
};

/// What no policy is asked about: the questions that decide whether somebody may do something.
const EXCLUDED: &[(&str, &str)] = &[
    // No policy keeps anybody from mending or removing policies.
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authentication.k8s.io", "tokenreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
];
const ANNOTATION_BYTES_MAX: usize = 10 * 1024;

struct ValidatingAdmissionPolicy {
    access: Arc<Access>,
    hooks: Hooks,
}

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    Ok(Arc::new(ValidatingAdmissionPolicy { access: Arc::clone(&parts.access), hooks: Hooks::default() }))
}

impl Plugin for ValidatingAdmissionPolicy {
    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if EXCLUDED.contains(&attributes.row()) {
                return Ok(());
            }
            let asking = Asking::new(&self.access.authorization, attributes.user);
            let mut denials = Vec::new();
            for hook in self.hooks.get(cluster)?.iter() {
                run(cluster, attributes, hook, &asking, &mut denials).await?;
            }
            match denials.into_iter().next() {
                Some(denial) => Err(denial.error(attributes)),
                None => Ok(()),
            }
        })
    }
}

/// One refusal.
struct Denial {
    policy: String,
    binding: Option<String>,
    message: String,
    reason: &'static str,
}

impl Denial {
    fn new(hook: &Hook, binding: Option<&Binding>, message: String) -> Denial {
        let binding = binding.map(|binding| binding.name.clone());
        Denial { policy: hook.policy.name.clone(), binding, message, reason: "Invalid" }
    }

    fn error(self, attributes: &Attributes<'_>) -> ApiError {
        let Denial { policy, binding, message, reason } = self;
        let with = binding.map(|binding| format!(" with binding '{binding}'")).unwrap_or_default();
        let message = format!("ValidatingAdmissionPolicy '{policy}'{with} denied request: {message}");
        let mut error = attributes.forbidden(&message);
        error.reason = reason.into();
        error.code = match reason {
            "Forbidden" => 403,
            "Unauthorized" => 401,
            "RequestEntityTooLarge" => 413,
            _ => 422,
        };
        let details = error.details.get_or_insert_default();
        details.causes.push(Cause { message, ..Cause::default() });
        error
    }
}

fn misconfigured(hook: &Hook, binding: Option<&Binding>, why: &str) -> Option<Denial> {
    let what = if binding.is_some() { "binding" } else { "policy" };
    let denial = || Denial::new(hook, binding, format!("failed to configure {what}: {why}"));
    hook.policy.fails.then(denial)
}

/// One policy with all its bindings.
async fn run(
    cluster: &Cluster,
    attributes: &Attributes<'_>,
    hook: &Hook,
    asking: &Asking<'_>,
    denials: &mut Vec<Denial>,
) -> Result<(), ApiError> {
    let matched = match hook.policy.constraints.matches(cluster, attributes).await {
        Ok(Some(matched)) => matched,
        Ok(None) => return Ok(()),
        Err(error) => {
            denials.extend(misconfigured(hook, None, &error.message));
            return Ok(());
        }
    };
    let source = match params::source(attributes.api, hook.policy.param_kind.as_ref()) {
        Ok(source) => source,
        Err(why) => {
            denials.extend(misconfigured(hook, None, &why));
            return Ok(());
        }
    };
    let mut subject = None;
    let mut audit_annotations = AuditAnnotations::default();
    for binding in &hook.bindings {
        let params = match concerned(cluster, attributes, binding, source.as_ref()).await {
            Ok(params) => params,
            Err(why) => {
                denials.extend(misconfigured(hook, Some(binding), &why));
                continue;
            }
        };
        for params in params {
            if subject.is_none() {
                subject = Some(Subject::of(cluster, attributes, &matched).await?);
            }
            let Some(subject) = &subject else { continue };
            let validate = |asking: &Asking<'_>| {
                let inputs = subject.inputs(attributes, &hook.policy, params.as_deref());
                evaluation::validate(&hook.policy, &inputs, asking)
            };
            let validated = asking.settle(validate).await;
            denials.extend(act(attributes, hook, binding, validated.decisions));
            let failed =
                validated.audit_annotations.into_iter().filter_map(|annotation| audit_annotations.take(annotation));
            denials.extend(failed.map(|why| Denial::new(hook, Some(binding), why)));
        }
    }
    audit_annotations.publish(attributes, &hook.policy.name);
    Ok(())
}

/// The parameters with which a binding asks for validation; none where it is not about the request.
async fn concerned(
    cluster: &Cluster,
    attributes: &Attributes<'_>,
    binding: &Binding,
    source: Option<&Target>,
) -> Result<Vec<Option<Arc<Object>>>, String> {
    if let Some(constraints) = &binding.constraints
        && constraints.matches(cluster, attributes).await.map_err(|error| error.message)?.is_none()
    {
        return Ok(Vec::new());
    }
    params::collect(cluster, source, binding.params.as_ref(), attributes.namespace).await
}

/// Does what the binding says about failures.
fn act(attributes: &Attributes<'_>, hook: &Hook, binding: &Binding, decisions: Vec<Decision>) -> Vec<Denial> {
    let mut denials = Vec::new();
    for (at, decision) in decisions.into_iter().enumerate().filter(|(_, decision)| decision.denies) {
        let (policy, name, message) = (&hook.policy.name, &binding.name, &decision.message);
        for action in &binding.actions {
            match action.as_str() {
                "Warn" => attributes.warnings.add(format!(
                    "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{name}': {message}"
                )),
                "Audit" => {
                    let failure = serde_json::json!([{
                        "message": message,
                        "policy": policy,
                        "binding": name,
                        "expressionIndex": at,
                        "validationActions": binding.actions,
                    }]);
                    let key = "validation.policy.admission.k8s.io/validation_failure";
                    attributes.annotations.add(key, failure.to_string());
                }
                _ => {
                    let denial = Denial::new(hook, Some(binding), message.clone());
                    denials.push(Denial { reason: decision.reason, ..denial });
                }
            }
        }
    }
    denials
}

/// Audit annotations by their keys, each once.
#[derive(Default)]
struct AuditAnnotations(Vec<(String, Vec<String>)>);

impl AuditAnnotations {
    /// Keeps a value; what is none is told.
    fn take(&mut self, annotation: AuditAnnotation) -> Option<String> {
        let AuditAnnotation { key, value } = annotation;
        let mut value = match value {
            Ok(value) => value,
            Err(why) => return Some(why),
        };
        let mut end = value.len().min(ANNOTATION_BYTES_MAX);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        value.truncate(end);
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => self.0.push((key, vec![value])),
        }
        None
    }

    fn publish(self, attributes: &Attributes<'_>, policy: &str) {
        for (key, values) in self.0 {
            attributes.annotations.add(format!("{policy}/{key}"), values.join(", "));
        }
    }
}

/// What is validated, in the version that the policy is about.
struct Subject {
    versions: Versions,
    namespace: Option<Arc<Object>>,
    request: Value,
}

impl Subject {
    async fn of(cluster: &Cluster, attributes: &Attributes<'_>, matched: &Matched) -> Result<Subject, ApiError> {
        let namespace = match attributes.namespace {
            "" => None,
            _ if attributes.is_namespace() => None,
            name => {
                let found = cluster.informer().find(("", "namespaces"), "", name).await?;
                Some(found.ok_or_else(|| ApiError::not_found(&GroupResource::new("", "namespaces"), name))?)
            }
        };
        let request = subject::request(attributes, matched);
        Ok(Subject { versions: Versions::of(cluster, attributes, matched).await?, namespace, request })
    }

    fn inputs<'a>(&'a self, attributes: &Attributes<'_>, policy: &'a Policy, params: Option<&'a Object>) -> Inputs<'a> {
        Inputs {
            object: self.versions.object.as_ref(),
            old: self.versions.old.as_ref(),
            params,
            namespace: self.namespace.as_deref(),
            request: &self.request,
            resource: about(attributes),
            variables: &policy.variables,
        }
    }
}
