//! Webhooks that change objects, one after the other.
//!
//! Each sees what those before it, and the plugins of this server, have made of the object. When something changed
//! after a webhook that wants to see such changes, the whole chain runs a second time, and this webhook is asked again:
//! see [`Reinvocation`].

use std::{sync::Arc, time::Instant};

use serde_json::{Value as Json, json};

use super::{
    Failure, Sort, Versions, apply_failure_policy, ask, credentials,
    hook::{FailurePolicy, Hook, Hooks},
    is_exempt,
    metrics::{Ended, Metrics},
    review::Response,
    should_call,
};
use crate::{
    access::Access,
    admission::{Admitted, Attributes, Made, Parts, Plugin, Reinvocation, matching::Matched},
    api::schema::{Gvk, apply_defaults, codec},
    cluster::{Cluster, Webhooks},
    object::patch::{JsonPatch, PatchError},
    request::status::{ApiError, FieldError},
};

struct MutatingAdmissionWebhook {
    access: Arc<Access>,
    hooks: Hooks,
    clients: Webhooks,
    metrics: Metrics,
}

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    let plugin = MutatingAdmissionWebhook {
        access: Arc::clone(&parts.access),
        hooks: Hooks::mutating(),
        clients: credentials::webhooks(parts.config.as_deref())?,
        metrics: parts.webhooks.clone(),
    };
    Ok(Arc::new(plugin))
}

impl Plugin for MutatingAdmissionWebhook {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if is_exempt(attributes) {
                return Ok(());
            }
            let hooks = self.hooks.get(cluster)?;
            if hooks.is_empty() {
                return Ok(());
            }
            let mut again = std::mem::take(&mut attributes.reinvocation);
            if again.is_second && again.last != attributes.object.as_deref().cloned() {
                again.require();
            }
            let outcome = self.dispatch(cluster, attributes, &hooks, &mut again).await;
            again.last = attributes.object.as_deref().cloned();
            attributes.reinvocation = again;
            outcome
        })
    }
}

/// The place of a call, for annotations.
#[derive(Clone, Copy)]
struct Turn {
    round: usize,
    index: usize,
}

impl MutatingAdmissionWebhook {
    async fn dispatch(
        &self,
        cluster: &Cluster,
        attributes: &mut Attributes<'_>,
        hooks: &[Arc<Hook>],
        again: &mut Reinvocation,
    ) -> Result<(), ApiError> {
        for (index, hook) in hooks.iter().enumerate() {
            let Some(matched) = should_call(cluster, &self.access, hook, attributes).await? else {
                continue;
            };
            if again.is_second && !again.wanted.contains(&hook.uid) {
                continue;
            }
            let turn = Turn { round: usize::from(again.is_second), index };
            let patched = self.call(cluster, attributes, hook, &matched, turn).await?;
            if patched {
                again.require();
                again.requested = true;
            }
            if hook.reinvocable && !again.invoked.contains(&hook.uid) {
                again.invoked.push(hook.uid.clone());
            }
        }
        Ok(())
    }

    /// Asks one webhook and applies its patch. Says whether there was one.
    async fn call(
        &self,
        cluster: &Cluster,
        attributes: &mut Attributes<'_>,
        hook: &Hook,
        matched: &Matched,
        turn: Turn,
    ) -> Result<bool, ApiError> {
        let started = Instant::now();
        let versions = Versions::of(cluster, attributes, matched).await?;
        let asked = ask(&self.clients, cluster, hook, attributes, matched, &versions, Sort::Mutating).await;
        let outcome = match asked {
            Ok(response) => apply(cluster, attributes, hook, versions, &response, turn).await,
            Err(failure) => Err(failure),
        };
        let ended = match &outcome {
            Ok(_) => Ended::Passed,
            Err(Failure::Refusal(error)) => Ended::Refused(error.code),
            Err(Failure::Call(_)) if hook.failure_policy == FailurePolicy::Ignore => Ended::FailedOpen,
            Err(Failure::Call(_)) => Ended::FailedClosed,
        };
        self.metrics.called(&hook.name, "admit", attributes.operation.as_str(), started.elapsed(), ended);
        let Turn { round, index } = turn;
        let key = |prefix: &str| format!("{prefix}mutation.webhook.admission.k8s.io/round_{round}_index_{index}");
        let mutated = matches!(outcome, Ok(Patched { changed: true, .. }));
        let told = json!({"configuration": hook.configuration, "webhook": hook.name, "mutated": mutated});
        attributes.annotations.add(key(""), told.to_string());
        if ended == Ended::FailedOpen {
            attributes.annotations.add(key("failed-open."), &hook.name);
        }
        match outcome {
            Ok(patched) => Ok(patched.applied),
            Err(failure) => apply_failure_policy(hook, failure).map(|()| false),
        }
    }
}

/// What became of an answer's patch: one that changes nothing counts as a change all the same, for other webhooks.
#[derive(Clone, Copy, Default)]
struct Patched {
    applied: bool,
    changed: bool,
}

/// Applies the patch of an answer to the object of the request.
async fn apply(
    cluster: &Cluster,
    attributes: &mut Attributes<'_>,
    hook: &Hook,
    versions: Versions,
    response: &Response,
    turn: Turn,
) -> Result<Patched, Failure> {
    if response.patch.is_empty() {
        return Ok(Patched::default());
    }
    let undecodable = |why: String| Failure::Call(format!("received undecodable patch in webhook response: {why}"));
    let document: Json = serde_json::from_slice(&response.patch).map_err(|error| undecodable(go_syntax(&error)))?;
    let patch = JsonPatch::from_value(document.clone()).map_err(|error| undecodable(in_library(&error)))?;
    if patch.is_empty() {
        return Ok(Patched::default());
    }
    let fault = |why: String| Failure::Refusal(ApiError::internal(why));
    let (Some(object), Some(current)) = (versions.object, attributes.object.as_deref_mut()) else {
        let name = &hook.name;
        return Err(fault(format!(
            "admission webhook {name:?} attempted to modify the object, which is not supported for this operation"
        )));
    };
    if response.patch_type != "JSONPatch" {
        return Err(Failure::Call(format!("unsupported patch type {:?}", response.patch_type)));
    }
    let mut text = Vec::new();
    codec::encode_json(&object, &mut text);
    let before: Json = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
    let patched = patch.apply(&before).map_err(|error| fault(error.to_string()))?;
    if attributes.resource.custom {
        check_custom_kind(object.gvk(), &patched).map_err(Failure::Refusal)?;
    }
    let decoded = codec::decode_json(&attributes.api.schema, patched.to_string().as_bytes(), Some(object.gvk()));
    let mut patched = decoded.map_err(|error| fault(error.to_string()))?.object;
    if patched.gvk() != object.gvk() {
        let (from, to) = (patched.gvk(), object.gvk());
        let (versions, kinds) = ((&from.version, &to.version), (&from.kind, &to.kind));
        return Err(fault(format!(
            "converting ({}.{}) to ({}.{}): unknown conversion",
            versions.0, kinds.0, versions.1, kinds.1
        )));
    }
    let changed = patched != object;
    apply_defaults(&mut patched);
    let kind = current.ty().clone();
    let converted = cluster.convert(attributes.api, &patched, &attributes.resource.plural, &kind).await;
    *current = converted.map_err(Failure::Refusal)?;
    let Turn { round, index } = turn;
    let told =
        json!({"configuration": hook.configuration, "webhook": hook.name, "patch": document, "patchType": "JSONPatch"});
    let key = format!("patch.webhook.admission.k8s.io/round_{round}_index_{index}");
    attributes.annotations.add(key, told.to_string());
    Ok(Patched { applied: true, changed })
}

/// A custom resource stays of its version and kind; the refusals are those of its converter and of its validation.
fn check_custom_kind(wanted: &Gvk, patched: &Json) -> Result<(), ApiError> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&patched["apiVersion"]), text(&patched["kind"]));
    if version != wanted.api_version() {
        return Err(ApiError::unknown(format!("request to convert CR from an invalid group/version: {version}")));
    }
    if kind != wanted.kind {
        let why = FieldError::invalid("kind", &kind, format!("must be {}", wanted.kind));
        return Err(ApiError::invalid(&wanted.group, &kind, &text(&patched["metadata"]["name"]), vec![why]));
    }
    Ok(())
}

/// The words of the library for JSON patches, which names its types.
fn in_library(error: &PatchError) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error decoding patch: ").unwrap_or(&text);
    text.replace("[]handlers.jsonPatchOp", "jsonpatch.Patch").replace("handlers.jsonPatchOp", "jsonpatch.Operation")
}

fn go_syntax(error: &serde_json::Error) -> String {
    match error.is_eof() {
        true => "unexpected end of JSON input".to_owned(),
        false => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_that_are_none_are_told_of_in_the_words_of_their_library() {
        for (patch, text) in [
            ("{}", "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
            ("[1]", "json: cannot unmarshal number into Go value of type jsonpatch.Operation"),
        ] {
            let error = JsonPatch::from_value(serde_json::from_str(patch).unwrap()).unwrap_err();
            assert_eq!(in_library(&error), text);
        }
    }

    #[test]
    fn custom_resources_stay_of_their_version_and_kind() {
        let wanted = Gvk::new("g.example", "v1", "Gear");
        let outcome = |version: &str, kind: &str| {
            let patched = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "d"}});
            check_custom_kind(&wanted, &patched).map_err(|error| (error.code, error.message))
        };
        assert_eq!(outcome("g.example/v1", "Gear"), Ok(()));
        let why = "request to convert CR from an invalid group/version: g.example/v2".to_owned();
        assert_eq!(outcome("g.example/v2", "Gear"), Err((500, why)));
        let why = "Wheel.g.example \"d\" is invalid: kind: Invalid value: \"Wheel\": must be Gear".to_owned();
        assert_eq!(outcome("g.example/v1", "Wheel"), Err((422, why)));
    }
}
