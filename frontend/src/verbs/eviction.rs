//! Deleting a pod on behalf of somebody who asks politely: budgets of disruption are heeded.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{
    caller::Caller,
    defaults, delete,
    delete_options::{DeleteOptions, Wish},
    input,
    options::{OptionsKind, WriteOptions},
    respond::Answer,
    write::{self, Current, Rewrite, Step},
};
use crate::{
    api::schema::{Object, Struct, Type, Value, codec},
    cluster::{Target, known_kind},
    object::validation::selects,
    request::{
        Request, User,
        negotiate::{self, MediaType, Offer},
        status::{ApiError, Cause, FieldError, GroupResource, Reason},
    },
    verbs::Context,
};

const BUDGETS: (&str, &str) = ("policy", "poddisruptionbudgets");
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
/// More evictions than this wait for their budget's controller at most.
const DISRUPTED_MAX: usize = 2000;
/// How long the memory of budgets may need to become as new as this request.
const FRESHNESS_LIMIT: Duration = Duration::from_secs(3);
/// How often the pod may change while it is evicted.
const ATTEMPTS: usize = 8;

pub(super) async fn evict(ctx: &Context, target: &Target, request: Request, user: &User) -> Result<Answer, ApiError> {
    let media = negotiate::input(&request.headers, &Offer::OBJECTS)?;
    let body = request.body.read().await?;
    let options = WriteOptions::parse(&request.query, &request.headers, OptionsKind::Create)?;
    let kind = known_kind(&target.api.schema, "policy", "v1", "Eviction")?;
    let mut eviction = match beta(&kind, media, &body)? {
        Some(eviction) => eviction,
        None => {
            input::decode(&target.api.schema, &kind, media, &body, options.field_validation, &request.notes.warnings)?
        }
    };
    defaults::settle_namespace(target, &mut eviction)?;
    if eviction.name() != target.name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let asked: Vec<&str> = request.query.all("dryRun").collect();
    let deletion = deletion_of(&eviction, &asked)?;
    let caller = Caller::writes(user, &request.notes, &options);
    caller.admit(ctx, target, &mut eviction, None).await?;
    // Options that are there tell those who validate what the query says.
    if !asked.is_empty() && eviction.get(&["deleteOptions"]).is_some() {
        let texts = asked.iter().map(|text| Value::from(*text)).collect();
        eviction.set(&["deleteOptions", "dryRun"], Value::List(texts));
    }
    caller.validate(ctx, target, Some(&mut eviction), None).await?;
    let caller = caller.admitted().deleting(&deletion);
    let pods = Target { subresource: None, ..target.clone() };
    Evict { ctx, pods: &pods, deletion, caller }.run().await?;
    Answer::done(&target.api.schema, 201)
}

/// An eviction of version v1beta1, which has the same form and which this endpoint alone still takes.
fn beta(kind: &Type, media: MediaType, body: &[u8]) -> Result<Option<Object>, ApiError> {
    let is_beta = media == MediaType::Json
        && codec::find_kind(body, codec::Until::End)
            .is_ok_and(|(version, found)| version == "policy/v1beta1" && found == kind.gvk.kind);
    if !is_beta {
        return Ok(None);
    }
    let decoded = codec::decode_json_as(kind, body);
    decoded.map(|decoded| Some(decoded.object)).map_err(|error| ApiError::bad_request(error.to_string()))
}

/// What the eviction says of the deletion; it and the query must agree on a dry run.
fn deletion_of(eviction: &Object, asked: &[&str]) -> Result<DeleteOptions, ApiError> {
    const READ_ERRORS: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";
    let at = |path: &[&str]| eviction.get(&["deleteOptions"])?.at(path).cloned();
    let text = |path: &[&str]| at(path)?.as_str().map(str::to_owned);
    if at(&[READ_ERRORS]).and_then(|flag| flag.as_bool()) == Some(true) {
        let detail = "can not be set for pod eviction, try after removing the option";
        let error = FieldError::invalid_value(format!("deleteOptions.{READ_ERRORS}"), true, detail);
        return Err(ApiError::invalid("policy", "Eviction", eviction.name(), vec![error]));
    }
    let own = at(&["dryRun"]);
    let own: Vec<String> = own
        .iter()
        .flat_map(|list| list.as_list().unwrap_or_default())
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if !own.is_empty() && !asked.is_empty() && own != asked {
        return Err(ApiError::unknown(format!(
            "Non-matching dry-run options in request and content: [{}] and [{}]",
            asked.join(" "),
            own.join(" ")
        )));
    }
    Wish {
        grace_period_seconds: at(&["gracePeriodSeconds"]).and_then(|seconds| seconds.as_i64()),
        uid: text(&["preconditions", "uid"]),
        resource_version: text(&["preconditions", "resourceVersion"]),
        orphan_dependents: at(&["orphanDependents"]).and_then(|flag| flag.as_bool()),
        propagation_policy: text(&["propagationPolicy"]),
        dry_run: if own.is_empty() { asked.iter().map(|text| (*text).to_owned()).collect() } else { own },
    }
    .validated()
}

struct Evict<'a> {
    ctx: &'a Context,
    pods: &'a Target,
    deletion: DeleteOptions,
    caller: Caller<'a>,
}

impl Evict<'_> {
    async fn run(&self) -> Result<(), ApiError> {
        let unasked = self.deletion.precondition_revision.is_none();
        let mut attempt = 1;
        loop {
            let pod = self.pod().await?;
            if !heeds_budgets(&pod) {
                // Nothing is disrupted, if the pod is still what it was.
                let ended = matches!(phase(&pod), "Succeeded" | "Failed") || pod.deletion_timestamp().is_some();
                let revision = (unasked && !ended).then(|| pod.resource_version().to_owned());
                match self.delete(revision).await {
                    Err(error) if error.reason == Reason::Conflict && unasked && attempt < ATTEMPTS => {
                        attempt += 1;
                        continue;
                    }
                    done => return done,
                }
            }
            let Some(budget) = self.budget(&pod).await? else { return self.delete(None).await };
            if !is_ready(&pod) && may_go_unready(&budget) {
                let revision = unasked.then(|| pod.resource_version().to_owned());
                return match self.delete(revision).await {
                    Err(error) if error.reason == Reason::Conflict && unasked => Err(still_processed(budget.name())),
                    done => done,
                };
            }
            self.take(&budget).await?;
            return self.delete(None).await;
        }
    }

    async fn pod(&self) -> Result<std::sync::Arc<Object>, ApiError> {
        let found = self.ctx.cluster.informer().read(("", "pods"), &self.pods.namespace, &self.pods.name).await?;
        found.ok_or_else(|| ApiError::not_found(&self.pods.group_resource(), &self.pods.name))
    }

    /// The one budget that guards the pod.
    async fn budget(&self, pod: &Object) -> Result<Option<std::sync::Arc<Object>>, ApiError> {
        let Some(labels) = pod.get_map(&["metadata", "labels"]).filter(|labels| !labels.is_empty()) else {
            return Ok(None);
        };
        let store = &self.ctx.cluster.store;
        let fault = |error| write::store_error(self.pods, error);
        let revision = store.current_revision().await.map_err(fault)?;
        store.cache().wait_for(revision, FRESHNESS_LIMIT).await.map_err(fault)?;
        let budgets = self.ctx.cluster.informer().list(BUDGETS, &self.pods.namespace)?;
        let mut guards = budgets.into_iter().filter(|budget| selects(budget.get(&["spec", "selector"]), labels));
        let first = guards.next();
        if guards.next().is_some() {
            let message =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(ApiError::unknown(message));
        }
        Ok(first)
    }

    /// Takes one disruption from the budget.
    async fn take(&self, budget: &Object) -> Result<(), ApiError> {
        let api = &self.pods.api;
        let row = api.registry.get("policy", "v1", "poddisruptionbudgets").cloned();
        let resource = row.ok_or_else(ApiError::resource_not_found)?;
        let kind = known_kind(&api.schema, "policy", "v1", "PodDisruptionBudget")?;
        let target = Target { resource, kind, name: budget.name().to_owned(), subresource: None, ..self.pods.clone() };
        let mut take = Take { target: &target, pod: &self.pods.name, now: self.ctx.cluster.now_text() };
        write::apply(self.ctx, &target, self.caller.dry_run, &mut take).await.map(|_| ())
    }

    /// Says in the pod why it goes, and deletes it; only as it was at `revision`, if there is one.
    async fn delete(&self, revision: Option<String>) -> Result<(), ApiError> {
        let mut options = self.deletion.clone();
        options.precondition_revision = options.precondition_revision.or(revision);
        if !options.dry_run {
            let mut mark = Mark { pods: self.pods, options: &options, now: self.ctx.cluster.now_text() };
            let marked = write::apply(self.ctx, self.pods, false, &mut mark).await?;
            if options.precondition_revision.is_some() {
                options.precondition_revision =
                    Some(marked.shown.into_object(self.pods)?.resource_version().to_owned());
            }
        }
        delete::remove(self.ctx, self.pods, &options, self.caller).await.map(|_| ())
    }
}

fn phase(pod: &Object) -> &str {
    pod.get_str(&["status", "phase"]).unwrap_or_default()
}

/// Pods that have ended, that never ran or that are going already disrupt nothing.
fn heeds_budgets(pod: &Object) -> bool {
    !matches!(phase(pod), "Succeeded" | "Failed" | "Pending") && pod.deletion_timestamp().is_none()
}

fn condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    let conditions = object.get_list(&["status", "conditions"]).unwrap_or_default();
    conditions.iter().find(|condition| text(condition, "type") == kind)
}

fn text<'a>(condition: &'a Value, field: &str) -> &'a str {
    condition.child(field).and_then(Value::as_str).unwrap_or_default()
}

fn is_ready(pod: &Object) -> bool {
    condition(pod, "Ready").is_some_and(|ready| text(ready, "status") == "True")
}

fn number(budget: &Object, field: &str) -> i64 {
    budget.get_i64(&["status", field]).unwrap_or(0)
}

/// Whether a pod that does not serve may go without being counted.
fn may_go_unready(budget: &Object) -> bool {
    let (current, desired) = (number(budget, "currentHealthy"), number(budget, "desiredHealthy"));
    budget.get_str(&["spec", "unhealthyPodEvictionPolicy"]) == Some("AlwaysAllow")
        || (current >= desired && desired > 0)
}

fn too_many(retry_after: i32, why: String) -> ApiError {
    let mut error = ApiError::too_many_requests(REFUSED, retry_after);
    if let Some(details) = &mut error.details {
        details.causes = vec![Cause { reason: "DisruptionBudget".into(), message: why, field: String::new() }];
    }
    error
}

fn still_processed(budget: &str) -> ApiError {
    too_many(10, format!("The disruption budget {budget} is still being processed by the server."))
}

/// Takes one disruption from a budget, if it has one left.
struct Take<'a> {
    target: &'a Target,
    pod: &'a str,
    now: String,
}

impl Rewrite for Take<'_> {
    fn rewrite<'a>(&'a mut self, current: Option<&'a Current>) -> BoxFuture<'a, Result<Step, ApiError>> {
        Box::pin(async move {
            let current = write::existing(current, self.target)?;
            let mut budget = current.object.clone();
            check(&budget)?;
            let left = number(&budget, "disruptionsAllowed") - 1;
            budget.set(&["status", "disruptionsAllowed"], left);
            if left == 0 {
                tell_of_none(&mut budget, &self.now);
            }
            budget.set(&["status", "disruptedPods", self.pod], self.now.as_str());
            Ok(Step::write(budget))
        })
    }
}

fn check(budget: &Object) -> Result<(), ApiError> {
    let name = budget.name();
    let refuse = |why: &str| ApiError::forbidden(&GroupResource::new("policy", "poddisruptionbudget"), name, why);
    if number(budget, "observedGeneration") < budget.generation() {
        return Err(still_processed(name));
    }
    let allowed = number(budget, "disruptionsAllowed");
    if allowed < 0 {
        return Err(refuse("pdb disruptions allowed is negative"));
    }
    if budget.get_map(&["status", "disruptedPods"]).is_some_and(|pods| pods.len() > DISRUPTED_MAX) {
        return Err(refuse("DisruptedPods map too big - too many evictions not confirmed by PDB controller"));
    }
    if allowed > 0 {
        return Ok(());
    }
    let (current, desired) = (number(budget, "currentHealthy"), number(budget, "desiredHealthy"));
    let refusal = condition(budget, "DisruptionAllowed")
        .filter(|condition| text(condition, "status") == "False" && !text(condition, "message").is_empty())
        .map(|condition| (text(condition, "reason"), text(condition, "message")));
    Err(too_many(
        0,
        match refusal {
            Some(("SyncFailed", message)) => format!(
                "The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}"
            ),
            _ if current <= desired => {
                format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently")
            }
            Some((reason, message)) => {
                format!("The disruption budget {name} does not allow evicting pods currently ({reason}): {message}")
            }
            None => format!("The disruption budget {name} does not allow evicting pods currently"),
        },
    ))
}

/// Sets a condition; since when it holds moves with its status alone.
fn set_condition(object: &mut Object, kind: &str, fields: &[(&str, Value)], now: &str) {
    let path = ["status", "conditions"];
    let status = object.root().def().field("status").and_then(|field| field.struct_ref());
    let Some(def) = status.and_then(|status| status.field("conditions")).and_then(|field| field.struct_ref()).cloned()
    else {
        return;
    };
    let mut conditions = object.get_list(&path).unwrap_or_default().to_vec();
    let at = conditions.iter().position(|condition| text(condition, "type") == kind);
    let mut condition = match at.and_then(|at| conditions[at].as_struct()) {
        Some(known) => known.clone(),
        None => Struct::new(&def),
    };
    let before = condition.get("status").cloned();
    condition.set("type", kind);
    for (field, value) in fields {
        condition.set(field, value.clone());
    }
    if condition.get("lastTransitionTime").is_none() || condition.get("status") != before.as_ref() {
        condition.set("lastTransitionTime", now);
    }
    match at {
        Some(at) => conditions[at] = Value::Struct(condition),
        None => conditions.push(Value::Struct(condition)),
    }
    object.set(&path, Value::List(conditions));
}

fn tell_of_none(budget: &mut Object, now: &str) {
    let fields = [
        ("status", Value::from("False")),
        ("reason", Value::from("InsufficientPods")),
        ("message", Value::from("")),
        ("observedGeneration", Value::from(number(budget, "observedGeneration"))),
    ];
    set_condition(budget, "DisruptionAllowed", &fields, now);
}

/// Says in the pod that it is being evicted.
struct Mark<'a> {
    pods: &'a Target,
    options: &'a DeleteOptions,
    now: String,
}

impl Rewrite for Mark<'_> {
    fn rewrite<'a>(&'a mut self, current: Option<&'a Current>) -> BoxFuture<'a, Result<Step, ApiError>> {
        Box::pin(async move {
            let current = write::existing(current, self.pods)?;
            delete::check_preconditions(self.pods, self.options, &current.object)?;
            let mut pod = current.object.clone();
            let fields = [
                ("status", Value::from("True")),
                ("reason", Value::from("EvictionByEvictionAPI")),
                ("message", Value::from("Eviction API: evicting")),
            ];
            set_condition(&mut pod, "DisruptionTarget", &fields, &self.now);
            Ok(Step::write(pod))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{Schema, codec};

    fn budget(status: &str) -> Object {
        let text = format!(
            r#"{{"kind":"PodDisruptionBudget","apiVersion":"policy/v1","metadata":{{"name":"b","generation":2}},"status":{status}}}"#
        );
        codec::decode_json(&Schema::builtin(), text.as_bytes(), None).unwrap().object
    }

    #[test]
    fn a_budget_says_why_it_refuses() {
        let cases = [
            (
                r#"{"observedGeneration":1,"disruptionsAllowed":1}"#,
                Some("The disruption budget b is still being processed by the server."),
            ),
            (r#"{"observedGeneration":2,"disruptionsAllowed":1}"#, None),
            (
                r#"{"observedGeneration":2,"desiredHealthy":3,"currentHealthy":2}"#,
                Some("The disruption budget b needs 3 healthy pods and has 2 currently"),
            ),
            (
                r#"{"observedGeneration":2,"desiredHealthy":1,"currentHealthy":2}"#,
                Some("The disruption budget b does not allow evicting pods currently"),
            ),
            (
                r#"{"observedGeneration":2,"conditions":[{"type":"DisruptionAllowed","status":"False","reason":"SyncFailed","message":"m"}]}"#,
                Some("The disruption budget b does not allow evicting pods currently because it failed sync: m"),
            ),
        ];
        for (status, wanted) in cases {
            let cause = check(&budget(status)).err().and_then(|error| error.details).map(|details| details.causes);
            assert_eq!(cause.as_ref().map(|causes| causes[0].message.as_str()), wanted, "{status}");
        }
        assert!(may_go_unready(&budget(r#"{"desiredHealthy":1,"currentHealthy":1}"#)));
        assert!(!may_go_unready(&budget("{}")));
    }
}
