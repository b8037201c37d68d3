//! Conditions in CEL under which a service is asked at all.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use super::{
    review::{field_requirements, label_requirements},
    settings::MatchCondition,
};
use crate::{
    access::authz::{Attributes, aggregate},
    api::cel::{self, Activation, DeclType, Env, Program, Type, Val, decl::ListKind, tree},
};

const REQUEST: &str = "request";
/// The most that one condition may cost.
const COST_MAX: u64 = 10_000_000;

static ENV: LazyLock<Env> = LazyLock::new(|| {
    let texts = || DeclType::list(DeclType::text(), ListKind::Atomic, None).unbounded();
    let selector = |name: &'static str| {
        let fields = [("key", DeclType::text()), ("operator", DeclType::text()), ("values", texts())];
        let requirement = DeclType::record("kubernetes.SelectorRequirement", fields);
        let requirements = DeclType::list(requirement, ListKind::Atomic, None).unbounded();
        DeclType::record(name, [("rawSelector", DeclType::text()), ("requirements", requirements)])
    };
    let named = |names: &[&'static str]| names.iter().map(|name| (*name, DeclType::text())).collect::<Vec<_>>();
    let mut resource = named(&["namespace", "verb", "group", "version", "resource", "subresource", "name"]);
    resource.push(("fieldSelector", selector("kubernetes.FieldSelectorAttributes")));
    resource.push(("labelSelector", selector("kubernetes.LabelSelectorAttributes")));
    let fields = [
        ("resourceAttributes", DeclType::record("kubernetes.ResourceAttributes", resource)),
        ("nonResourceAttributes", DeclType::record("kubernetes.NonResourceAttributes", named(&["path", "verb"]))),
        ("user", DeclType::text()),
        ("groups", texts()),
        ("extra", DeclType::map(texts(), None).unbounded()),
        ("uid", DeclType::text()),
    ];
    Env::new().declare(REQUEST, &Arc::new(DeclType::record("kubernetes.SubjectAccessReviewSpec", fields)))
});

/// All of them must hold.
#[derive(Debug, Default)]
pub(super) struct Conditions(Vec<(String, Program)>);

impl Conditions {
    /// The error says which condition is wrong, and why.
    pub(super) fn compile(conditions: &[MatchCondition]) -> Result<Conditions, (usize, String)> {
        let all = conditions.iter().enumerate().map(|(at, condition)| {
            let program = program(&condition.expression).map_err(|why| (at, why))?;
            Ok((condition.expression.clone(), program))
        });
        all.collect::<Result<_, _>>().map(Conditions)
    }

    /// An error: one has no value, and none is false.
    pub(super) fn hold(&self, asked: &Attributes) -> Result<bool, String> {
        if self.0.is_empty() {
            return Ok(true);
        }
        let request = tree::from_json(&described(asked)).map_err(|error| error.to_string())?;
        let activation = Activation::new().with(REQUEST, request);
        let mut failures = Vec::new();
        for (expression, program) in &self.0 {
            match program.eval(&activation, COST_MAX).result {
                Ok(Val::Bool(true)) => {}
                Ok(Val::Bool(false)) => return Ok(false),
                Ok(other) => failures.push(format!(
                    "cel evaluation error: expression '{expression}' eval result type should be bool but got {}",
                    other.type_name()
                )),
                Err(error) => {
                    failures.push(format!("cel evaluation error: expression '{expression}' resulted in error: {error}"))
                }
            }
        }
        aggregate(failures).map_or(Ok(true), Err)
    }
}

/// A condition that is ready to run, or what is wrong with it.
pub(super) fn program(expression: &str) -> Result<Program, String> {
    let compiled = cel::compile(expression, &ENV).map_err(|issues| format!("compilation failed: {issues}"))?;
    match compiled.output_type() {
        Type::Bool => compiled.program().map_err(|why| format!("program instantiation failed: {why}")),
        other => Err(format!("must evaluate to bool but got {other}")),
    }
}

/// The question as expressions see it: every text is there, and be it empty.
fn described(asked: &Attributes) -> Value {
    let user = &asked.user;
    let extra: Map<String, Value> = user.extra.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
    let mut request = json!({"user": user.name, "groups": user.groups, "uid": user.uid, "extra": extra});
    if !asked.is_resource {
        request["nonResourceAttributes"] = json!({"path": asked.path, "verb": asked.verb});
        return request;
    }
    let mut resource = json!({
        "namespace": asked.namespace, "verb": asked.verb, "group": asked.group, "version": asked.version,
        "resource": asked.resource, "subresource": asked.subresource, "name": asked.name,
    });
    for (name, requirements) in
        [("fieldSelector", field_requirements(asked)), ("labelSelector", label_requirements(asked))]
    {
        if !requirements.is_empty() {
            resource[name] = json!({"requirements": requirements});
        }
    }
    request["resourceAttributes"] = resource;
    request
}
