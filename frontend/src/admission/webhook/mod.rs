//! Admission webhooks: others that change or validate objects, called over HTTPS.
//!
//! In: the configurations, as the informer has them, and a request. Out: a changed object, or a refusal: the webhook's
//! own, or that the webhook could not be asked. What a dead or slow webhook may do is what its failure policy says:
//! calls have a time limit, and so many requests wait for one webhook at a time and no more.
//!
//! A webhook is asked when one of its rules matches the request, as it was sent or in another version that is stored as
//! the same, and its selectors and conditions hold. Mutating ones are asked one after the other and see what those
//! before them changed; validating ones all at once. Not called: for configurations of webhooks and policies
//! themselves.

mod credentials;
mod hook;
mod metrics;
mod mutating;
mod review;
mod validating;

pub(super) use metrics::Metrics;
pub(super) use mutating::make as make_mutating;
pub(super) use validating::make as make_validating;

use self::{
    hook::{FailurePolicy, Hook},
    review::{Broken, Expected, Response},
};
use super::{
    Attributes,
    asking::{Asking, about},
    expressions::Inputs,
    matching::{self, Matched},
    subject::{self, Versions},
};
use crate::{
    access::Access,
    cluster::{Cluster, Webhook, Webhooks},
    request::status::ApiError,
};

/// Kinds that webhooks are never asked about: a bad one could not be taken back.
const EXEMPT: [&str; 6] = [
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];

fn is_exempt(attributes: &Attributes<'_>) -> bool {
    attributes.kind.group == "admissionregistration.k8s.io" && EXEMPT.contains(&&*attributes.kind.kind)
}

/// Why a webhook let nothing pass.
enum Failure {
    /// It could not be asked, or its answer is none; the failure policy decides.
    Call(String),
    /// It refuses, or nobody can tell.
    Refusal(ApiError),
}

/// Whether a webhook is to be asked, and as what.
async fn should_call(
    cluster: &Cluster,
    access: &Access,
    hook: &Hook,
    attributes: &Attributes<'_>,
) -> Result<Option<Matched>, ApiError> {
    // What is wrong with a selector matters only to requests that the rules are about.
    let namespaces = hook.namespaces.selects_namespace(cluster, attributes).await;
    if matches!(namespaces, Ok(false)) {
        return Ok(None);
    }
    let objects = hook.objects.selects_object(attributes.object.as_deref(), attributes.old);
    if matches!(objects, Ok(false)) {
        return Ok(None);
    }
    let Some(matched) = matching::matched(&hook.rules, hook.equivalents, attributes) else { return Ok(None) };
    namespaces?;
    objects?;
    if hook.conditions.is_empty() {
        return Ok(Some(matched));
    }
    let (versions, request) =
        (Versions::of(cluster, attributes, &matched).await?, subject::request(attributes, &matched));
    let inputs = || Inputs {
        object: versions.object.as_ref(),
        old: versions.old.as_ref(),
        params: None,
        namespace: None,
        request: &request,
        resource: about(attributes),
        variables: &[],
    };
    let asking = Asking::new(&access.authorization, attributes.user);
    match asking.settle(|asking| hook.conditions.hold(&inputs(), asking)).await {
        Ok(true) => Ok(Some(matched)),
        Ok(false) => Ok(None),
        Err(why) if hook.failure_policy == FailurePolicy::Ignore => {
            tracing::warn!(webhook = hook.name, why, "conditions of a webhook fail: it is not asked");
            Ok(None)
        }
        Err(why) => Err(ApiError::forbidden(&attributes.group_resource(), attributes.name, why)),
    }
}

/// Asks a webhook once.
async fn ask(
    clients: &Webhooks,
    cluster: &Cluster,
    hook: &Hook,
    attributes: &Attributes<'_>,
    matched: &Matched,
    versions: &Versions,
    sort: Sort,
) -> Result<Response, Failure> {
    if attributes.dry_run && !hook.supports_dry_run {
        let why = format!("admission webhook {:?} does not support dry run", hook.name);
        return Err(Failure::Refusal(ApiError::bad_request(why)));
    }
    let Some(version) = review::version(&hook.versions) else {
        let why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)";
        return Err(Failure::Call(format!("could not create admission objects: {why}")));
    };
    let uid = uuid::Uuid::new_v4().to_string();
    let request = review::request(version, &uid, matched, attributes, versions.object.as_ref(), versions.old.as_ref());
    let webhook = Webhook { uid: &hook.uid, endpoint: &hook.endpoint, ca: &hook.ca };
    let reply = cluster.call_webhook(clients, &webhook, request, hook.timeout).await;
    let reply = reply.map_err(|error| Failure::Call(format!("failed to call webhook: {error}")))?;
    let expected = Expected { version, uid: &uid, mutating: sort == Sort::Mutating };
    let response = review::response(&attributes.api.schema, &reply, &expected).map_err(|broken| match broken {
        Broken::Call(why) => Failure::Call(format!("failed to call webhook: {why}")),
        Broken::Answer(why) => Failure::Call(format!("received invalid webhook response: {why}")),
    })?;
    for (key, value) in &response.annotations {
        attributes.annotations.add(format!("{}/{key}", hook.name), value);
    }
    for warning in &response.warnings {
        attributes.warnings.add(warning);
    }
    match response.allowed {
        true => Ok(response),
        false => Err(Failure::Refusal(review::denial(&hook.name, response.status.as_ref()))),
    }
}

/// Which half of admission a webhook belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Mutating,
    Validating,
}

/// What a failed call means: a refusal, or, where the policy is to ignore it, nothing.
fn apply_failure_policy(hook: &Hook, failure: Failure) -> Result<(), ApiError> {
    match failure {
        Failure::Refusal(error) => Err(error),
        Failure::Call(why) if hook.failure_policy == FailurePolicy::Ignore => {
            tracing::warn!(webhook = hook.name, configuration = hook.configuration, why, "a failed webhook is ignored");
            Ok(())
        }
        Failure::Call(why) => Err(ApiError::internal(format!("failed calling webhook {:?}: {why}", hook.name))),
    }
}
