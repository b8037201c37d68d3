//! Conditions in CEL by which a webhook or a policy leaves out requests that its rules match.
//!
//! In: the conditions of an object of admissionregistration.k8s.io, compiled once, and a request. Out: whether all
//! hold. Not here: what expressions may speak of (`object::expressions`).
//!
//! Expressions run without waiting, and a question to the authorizer may have to wait. So a run that asks what nobody
//! has answered yet is thrown away: the answers are fetched, and it runs again.

use parking_lot::Mutex;

use super::{Attributes, matching::Matched};
use crate::{
    access::authz::{self, Authorization, Authorizer as _},
    api::{
        cel::{
            Activation, CALL_COST_MAX, EvalError, Program, Val,
            authorizer::{Authorizer, Authz, Check, Decision},
            tree,
        },
        registry::Resource,
        schema::{Gvk, MapValue, Object, Value},
    },
    cluster::objects::text,
    object::expressions::{
        AUTHORIZER, CONDITIONS, NAMESPACE_OBJECT, OBJECT, OLD_OBJECT, REQUEST, REQUEST_RESOURCE, REQUEST_TYPE,
        compile_condition,
    },
    request::User,
};

/// The limit of all conditions of one webhook.
const COST_MAX: u64 = 2_500_000;
/// A condition whose questions depend on answers asks in several runs; more of them are not made.
const RUNS_MAX: usize = 32;

#[derive(Debug)]
struct Condition {
    expression: String,
    program: Result<Program, String>,
}

/// All of them must hold.
#[derive(Debug, Default)]
pub(super) struct Conditions(Vec<Condition>);

/// Whether they do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    Yes,
    No,
    /// Nobody knows, since some have no value and none is false.
    Failed(String),
}

impl Conditions {
    pub(super) fn of(list: &[Value]) -> Conditions {
        let condition = |value: &Value| {
            let expression = text(value, "expression").to_owned();
            Condition { program: compile_condition(&expression, &CONDITIONS), expression }
        };
        Conditions(list.iter().map(condition).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `object` and `old` are in the version that was matched.
    pub(super) async fn hold(
        &self,
        authorization: &Authorization,
        attributes: &Attributes<'_>,
        matched: &Matched,
        object: Option<&Object>,
        old: Option<&Object>,
    ) -> Held {
        let request = request(attributes, matched);
        let about = about(attributes);
        let answers = Answers::default();
        for _ in 0..RUNS_MAX {
            let held = self.run(&answers, &request, &about, object, old);
            let open = std::mem::take(&mut *answers.open.lock());
            if open.is_empty() {
                return held;
            }
            for check in open {
                let decision = authorization.authorize(&question(&check, attributes.user)).await;
                let decision =
                    Decision { allowed: decision.is_allowed(), reason: decision.reason, error: decision.error };
                answers.known.lock().push((check, decision));
            }
        }
        Held::Failed("too many questions to the authorizer depend on each other".to_owned())
    }

    fn run(
        &self,
        answers: &Answers,
        request: &Value,
        about: &Check,
        object: Option<&Object>,
        old: Option<&Object>,
    ) -> Held {
        // The request is made here, by its type.
        let request = tree::declared(request, &REQUEST_TYPE).unwrap_or(Val::Null);
        let activation = Activation::new()
            .with(OBJECT, seen(object))
            .with(OLD_OBJECT, seen(old))
            .with(NAMESPACE_OBJECT, Val::Null)
            .with(REQUEST, request)
            .with(AUTHORIZER, Val::Authz(Authz::new(answers).into()))
            .with(REQUEST_RESOURCE, Val::Authz(Authz::of_resource(answers, about.clone()).into()));
        let (mut left, mut failures) = (COST_MAX, Vec::new());
        for condition in &self.0 {
            let program = match &condition.program {
                Ok(program) => program,
                Err(why) => {
                    failures.push(why.clone());
                    continue;
                }
            };
            let outcome = program.eval(&activation, left.min(CALL_COST_MAX));
            left = left.saturating_sub(outcome.cost);
            let failure = match outcome.result {
                Ok(Val::Bool(true)) => continue,
                Ok(Val::Bool(false)) => return Held::No,
                Err(EvalError::CostLimit) if left == 0 => return Held::Failed(OVER_BUDGET.to_owned()),
                Err(error) => error.to_string(),
                Ok(_) => "cel expression evaluates to no bool".to_owned(),
            };
            failures.push(format!("expression '{}' resulted in error: {failure}", condition.expression));
        }
        match failures.as_slice() {
            [] => Held::Yes,
            [one] => Held::Failed(one.clone()),
            several => Held::Failed(format!("[{}]", several.join(", "))),
        }
    }
}

fn seen(object: Option<&Object>) -> Val<'_> {
    object.map_or(Val::Null, |object| tree::object(object.root()))
}

const OVER_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// What the authorizer said so far, and what it has yet to be asked.
#[derive(Debug, Default)]
struct Answers {
    known: Mutex<Vec<(Check, Decision)>>,
    open: Mutex<Vec<Check>>,
}

impl Authorizer for Answers {
    fn authorize(&self, check: &Check) -> Decision {
        let known = self.known.lock();
        if let Some((_, decision)) = known.iter().find(|(asked, _)| asked == check) {
            return decision.clone();
        }
        self.open.lock().push(check.clone());
        Decision::default()
    }
}

pub(super) fn question(check: &Check, user: &User) -> authz::Attributes {
    let user = match &check.service_account {
        None => user.clone(),
        Some((namespace, name)) => User {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            ..User::default()
        },
    };
    let is_resource = check.path.is_none();
    authz::Attributes {
        user,
        verb: check.verb.clone(),
        is_resource,
        namespace: check.namespace.clone(),
        group: check.group.clone(),
        version: if is_resource { "*".to_owned() } else { String::new() },
        resource: check.resource.clone(),
        subresource: check.subresource.clone(),
        name: check.name.clone(),
        path: check.path.clone().unwrap_or_default(),
        field_selector: authz::Selector::of_fields(&check.field_selector),
        label_selector: authz::Selector::of_labels(&check.label_selector),
    }
}

/// What the request is about, as authorization asks.
pub(super) fn about(attributes: &Attributes<'_>) -> Check {
    Check {
        group: attributes.resource.group.to_string(),
        resource: attributes.resource.plural.to_string(),
        subresource: attributes.subresource.to_owned(),
        namespace: attributes.namespace.to_owned(),
        name: attributes.name.to_owned(),
        ..Check::default()
    }
}

/// The request as expressions see it.
pub(super) fn request(attributes: &Attributes<'_>, matched: &Matched) -> Value {
    let kind = |gvk: &Gvk| {
        record(&[("group", gvk.group.as_ref()), ("version", gvk.version.as_ref()), ("kind", gvk.kind.as_ref())])
    };
    let resource = |of: &Resource| {
        record(&[("group", of.group.as_ref()), ("version", of.version.as_ref()), ("resource", of.plural.as_ref())])
    };
    let mut fields = vec![
        ("kind", kind(&matched.kind)),
        ("resource", resource(&matched.resource)),
        ("requestKind", kind(&attributes.kind)),
        ("requestResource", resource(attributes.resource)),
        ("operation", Value::from(attributes.operation.as_str())),
        ("userInfo", user(attributes.user)),
        ("dryRun", Value::from(attributes.dry_run)),
    ];
    let texts = [
        ("subResource", attributes.subresource),
        ("requestSubResource", attributes.subresource),
        ("name", attributes.name),
        ("namespace", attributes.namespace),
    ];
    fields.extend(texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, text.into())));
    if let Some(options) = attributes.options {
        fields.push(("options", options.root().clone().into()));
    }
    map(fields)
}

fn user(user: &User) -> Value {
    let mut fields = vec![("username", Value::from(user.name.as_str()))];
    let list = |texts: &[String]| Value::from(texts.iter().map(|text| text.as_str().into()).collect::<Vec<Value>>());
    if !user.uid.is_empty() {
        fields.push(("uid", user.uid.as_str().into()));
    }
    if !user.groups.is_empty() {
        fields.push(("groups", list(&user.groups)));
    }
    if !user.extra.is_empty() {
        fields.push(("extra", map(user.extra.iter().map(|(key, values)| (key.as_str(), list(values))).collect())));
    }
    map(fields)
}

fn record(fields: &[(&str, &str)]) -> Value {
    map(fields.iter().map(|(name, value)| (*name, Value::from(*value))).collect())
}

fn map(fields: Vec<(&str, Value)>) -> Value {
    MapValue::from_entries(fields.into_iter().map(|(name, value)| (name.into(), value)).collect()).into()
}
