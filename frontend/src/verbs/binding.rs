//! Binding a pod to a node.

use futures::future::BoxFuture;

use super::{
    caller::Caller,
    defaults, input,
    options::{OptionsKind, WriteOptions},
    respond::Answer,
    write::{self, Current, Rewrite, Step},
};
use crate::{
    api::schema::{Object, Struct, Value},
    cluster::{Target, known_kind},
    request::{
        Request, User,
        negotiate::{self, Offer},
        status::{ApiError, FieldError, GroupResource, aggregate},
    },
    verbs::Context,
};

/// Assigns a pod to a node.
pub(super) async fn create(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let media = negotiate::input(&request.headers, &Offer::OBJECTS)?;
    let body = request.body.read().await?;
    let options = WriteOptions::parse(&request.query, &request.headers, OptionsKind::Create)?;
    let kind = known_kind(&target.api.schema, "", "v1", "Binding")?;
    let mut binding =
        input::decode(&target.api.schema, &kind, media, &body, options.field_validation, &request.notes.warnings)?;
    defaults::settle_namespace(target, &mut binding)?;
    input::merge_owner_references(&mut binding, &request.notes.warnings);
    let pods = target.api.registry.get("", "v1", "pods").cloned().ok_or_else(ApiError::resource_not_found)?;
    let pod_kind = known_kind(&target.api.schema, "", "v1", "Pod")?;
    let name = if target.name.is_empty() { binding.name().to_owned() } else { target.name.clone() };
    if name != binding.name() {
        return Err(ApiError::bad_request("name in URL does not match name in Binding object"));
    }
    if let Some(error) = binding_error(&binding) {
        return Err(ApiError::unknown(error));
    }
    let pod = Target { resource: pods, kind: pod_kind, name, subresource: None, ..target.clone() };
    let caller = Caller::writes(user, &request.notes, &options);
    caller.admit(ctx, target, &mut binding, None).await?;
    caller.validate(ctx, target, Some(&mut binding), None).await?;
    let key = caller.shown_key(ctx, &pod)?;
    let mut bind = Bind { ctx, key, target: &pod, binding };
    write::apply(ctx, &pod, options.dry_run, &mut bind).await?;
    Answer::done(&target.api.schema, 201)
}

/// What is wrong with a binding, as one text.
fn binding_error(binding: &Object) -> Option<String> {
    let kind = binding.get_str(&["target", "kind"]).unwrap_or_default();
    let mut errors = Vec::new();
    if !matches!(kind, "" | "Node") {
        errors.push(FieldError::not_supported("target.kind", kind, &["Node", "<empty>"]));
    }
    if binding.get_str(&["target", "name"]).unwrap_or_default().is_empty() {
        errors.push(FieldError::required("target.name", ""));
    }
    aggregate(&errors)
}

/// The preconditions of a binding, as the store would say that they fail.
fn check_preconditions(key: &str, target: &Target, binding: &Object, pod: &Object) -> Result<(), ApiError> {
    for (what, wanted, found) in
        [("UID", binding.uid(), pod.uid()), ("ResourceVersion", binding.resource_version(), pod.resource_version())]
    {
        if !wanted.is_empty() && wanted != found {
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            );
            return Err(ApiError::conflict(&GroupResource::new("", "pods"), &target.name, why));
        }
    }
    Ok(())
}

struct Bind<'a> {
    ctx: &'a Context,
    /// Of the pod, as errors show it.
    key: String,
    target: &'a Target,
    binding: Object,
}

impl Rewrite for Bind<'_> {
    fn rewrite<'a>(&'a mut self, current: Option<&'a Current>) -> BoxFuture<'a, Result<Step, ApiError>> {
        Box::pin(async move {
            let Some(current) = current else {
                return Err(ApiError::not_found(&GroupResource::new("", "pods"), &self.target.name));
            };
            let refuse =
                |why: String| Err(ApiError::conflict(&GroupResource::new("", "pods/binding"), &self.target.name, why));
            let mut pod = current.object.clone();
            check_preconditions(&self.key, self.target, &self.binding, &pod)?;
            if pod.deletion_timestamp().is_some() {
                return refuse(format!("pod {} is being deleted, cannot be assigned to a host", pod.name()));
            }
            if let Some(node) = pod.get_str(&["spec", "nodeName"]).filter(|n| !n.is_empty()) {
                return refuse(format!(
                    "pod {} is already assigned to node {}",
                    pod.name(),
                    crate::request::status::go_quote(node)
                ));
            }
            if !pod.get_list(&["spec", "schedulingGates"]).unwrap_or_default().is_empty() {
                return refuse(format!("pod {} has non-empty .spec.schedulingGates", pod.name()));
            }
            let node = self.binding.get_str(&["target", "name"]).unwrap_or_default();
            pod.set(&["spec", "nodeName"], node);
            pod.remove(&["status", "nominatedNodeName"]);
            for (key, value) in self.binding.annotations() {
                pod.set_annotation(key, value);
            }
            // The topology of the node comes with the binding.
            for (key, value) in self.binding.labels() {
                pod.set_label(key, value);
            }
            set_scheduled(&mut pod, &defaults::now(self.ctx));
            Ok(Step::write(pod))
        })
    }
}

/// Writes the condition that a scheduler's decision leaves.
fn set_scheduled(pod: &mut Object, now: &str) {
    let mut conditions = pod.get_list(&["status", "conditions"]).unwrap_or_default().to_vec();
    conditions.retain(|c| c.child("type").and_then(Value::as_str) != Some("PodScheduled"));
    let status = pod.root().def().field("status").and_then(|f| f.struct_ref());
    let def = status.and_then(|s| s.field("conditions")).and_then(|f| f.struct_ref());
    if let Some(def) = def {
        let mut condition = Struct::new(def);
        condition.set("type", "PodScheduled");
        condition.set("status", "True");
        condition.set("lastTransitionTime", now);
        conditions.push(Value::Struct(condition));
    }
    pod.set(&["status", "conditions"], Value::List(conditions));
}
