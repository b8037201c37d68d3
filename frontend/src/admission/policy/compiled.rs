//! Policies and bindings, read and compiled once for each of their revisions.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::super::{
    Attributes,
    expressions::{Conditions, Expression},
    matching::{self, Equivalents, Matched, Rule, Selector},
};
use crate::{
    api::schema::{Object, Value},
    cluster::{Cluster, Derived, ResourceName, objects::text},
    object::scope::{Scope, Wanted},
    request::status::ApiError,
};

const POLICIES: ResourceName<'static> = ("admissionregistration.k8s.io", "validatingadmissionpolicies");
const BINDINGS: ResourceName<'static> = ("admissionregistration.k8s.io", "validatingadmissionpolicybindings");

/// A policy that is bound.
pub(super) struct Hook {
    pub(super) policy: Arc<Policy>,
    pub(super) bindings: Vec<Binding>,
}

pub(super) struct Validation {
    pub(super) check: Expression,
    pub(super) message: String,
    pub(super) said: Option<Expression>,
    pub(super) reason: &'static str,
}

pub(super) struct ParamKind {
    pub(super) api_version: String,
    pub(super) kind: String,
}

pub(super) struct Policy {
    pub(super) name: String,
    /// What cannot be evaluated is refused.
    pub(super) fails: bool,
    pub(super) param_kind: Option<ParamKind>,
    pub(super) constraints: Constraints,
    pub(super) conditions: Conditions,
    pub(super) variables: Vec<Expression>,
    pub(super) validations: Vec<Validation>,
    pub(super) audit_annotations: Vec<Expression>,
}

pub(super) struct ParamReference {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) selector: Option<Selector>,
    /// That there are none is a failure.
    pub(super) denies: bool,
}

pub(super) struct Binding {
    pub(super) name: String,
    pub(super) params: Option<ParamReference>,
    pub(super) constraints: Option<Constraints>,
    pub(super) actions: Vec<String>,
}

/// Which requests a policy or binding is about.
pub(super) struct Constraints {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    equivalents: Equivalents,
    namespaces: Selector,
    objects: Selector,
}

fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.child(field).and_then(Value::as_list).unwrap_or_default()
}

impl Constraints {
    fn of(value: &Value) -> Constraints {
        let rules = |field| list(value, field).iter().map(Rule::of).collect();
        Constraints {
            rules: rules("resourceRules"),
            excluded: rules("excludeResourceRules"),
            equivalents: match text(value, "matchPolicy") {
                "Exact" => Equivalents::Differ,
                _ => Equivalents::Match,
            },
            namespaces: Selector::of(value.child("namespaceSelector")),
            objects: Selector::of(value.child("objectSelector")),
        }
    }

    pub(super) async fn matches(
        &self,
        cluster: &Cluster,
        attributes: &Attributes<'_>,
    ) -> Result<Option<Matched>, ApiError> {
        let namespaces = self.namespaces.selects_namespace(cluster, attributes).await;
        if matches!(namespaces, Ok(false)) {
            return Ok(None);
        }
        let objects = self.objects.selects_object(attributes.object.as_deref(), attributes.old);
        let excluded = || matching::matched(&self.excluded, self.equivalents, attributes).is_some();
        if matches!(objects, Ok(false)) || excluded() {
            return Ok(None);
        }
        let matched = match self.rules.is_empty() {
            true => Some(Matched { resource: Arc::clone(attributes.resource), kind: attributes.kind.clone() }),
            false => matching::matched(&self.rules, self.equivalents, attributes),
        };
        // What is wrong with a selector matters only to requests that the rules are about.
        if matched.is_some() {
            namespaces?;
            objects?;
        }
        Ok(matched)
    }
}

impl Policy {
    fn of(object: &Object) -> Policy {
        let empty = Value::Null;
        let spec = object.get(&["spec"]).unwrap_or(&empty);
        let param_kind = spec.child("paramKind").map(|kind| ParamKind {
            api_version: text(kind, "apiVersion").to_owned(),
            kind: text(kind, "kind").to_owned(),
        });
        let mut scope = Scope::composed(param_kind.is_some());
        let mut variables = Vec::new();
        for variable in list(spec, "variables") {
            let (name, text) = (text(variable, "name").to_owned(), text(variable, "expression").to_owned());
            let program = scope.add(&name, &text);
            variables.push(Expression { name, text, program });
        }
        let compile = Expression::compile;
        let said = scope.without_authorizer();
        let validation = |of: &Value| Validation {
            check: compile(&scope, "", text(of, "expression"), Wanted::Truth),
            message: text(of, "message").trim().to_owned(),
            said: match text(of, "messageExpression") {
                "" => None,
                expression => Some(compile(&said, "", expression, Wanted::Text)),
            },
            reason: match text(of, "reason") {
                "Forbidden" => "Forbidden",
                "Unauthorized" => "Unauthorized",
                "RequestEntityTooLarge" => "RequestEntityTooLarge",
                _ => "Invalid",
            },
        };
        let annotation = |of: &Value| compile(&scope, text(of, "key"), text(of, "valueExpression"), Wanted::TextOrNull);
        Policy {
            name: object.name().to_owned(),
            fails: text(spec, "failurePolicy") != "Ignore",
            param_kind,
            constraints: Constraints::of(spec.child("matchConstraints").unwrap_or(&empty)),
            conditions: Conditions::of(list(spec, "matchConditions"), &scope),
            validations: list(spec, "validations").iter().map(validation).collect(),
            audit_annotations: list(spec, "auditAnnotations").iter().map(annotation).collect(),
            variables,
        }
    }
}

impl Binding {
    fn of(object: &Object) -> Binding {
        let reference = object.get(&["spec", "paramRef"]).map(|of| ParamReference {
            name: text(of, "name").to_owned(),
            namespace: text(of, "namespace").to_owned(),
            selector: of.child("selector").map(|selector| Selector::of(Some(selector))),
            denies: text(of, "parameterNotFoundAction") == "Deny",
        });
        let actions = object.get_list(&["spec", "validationActions"]).unwrap_or_default();
        Binding {
            name: object.name().to_owned(),
            params: reference,
            constraints: object.get(&["spec", "matchResources"]).map(Constraints::of),
            actions: actions.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

/// All policies that are bound, in the order of their names.
pub(super) struct Hooks {
    hooks: Derived<Vec<Hook>>,
    /// By name, with the revision that they were compiled from.
    compiled: Mutex<HashMap<String, (String, Arc<Policy>)>>,
}

impl Default for Hooks {
    fn default() -> Hooks {
        Hooks { hooks: Derived::of(&[POLICIES, BINDINGS]), compiled: Mutex::default() }
    }
}

impl Hooks {
    pub(super) fn get(&self, cluster: &Cluster) -> Result<Arc<Vec<Hook>>, ApiError> {
        let informer = cluster.informer();
        self.hooks.get(informer, || {
            let bindings = informer.list(BINDINGS, "")?;
            let bound = |policy: &str| -> Vec<Binding> {
                let own = bindings.iter().filter(|binding| binding.get_str(&["spec", "policyName"]) == Some(policy));
                own.map(|binding| Binding::of(binding)).collect()
            };
            let mut hooks = Vec::new();
            let mut kept = HashMap::new();
            for object in informer.list(POLICIES, "")? {
                let bindings = bound(object.name());
                if !bindings.is_empty() {
                    let policy = self.policy(&object);
                    let revision = object.resource_version().to_owned();
                    kept.insert(object.name().to_owned(), (revision, Arc::clone(&policy)));
                    hooks.push(Hook { policy, bindings });
                }
            }
            *self.compiled.lock() = kept;
            Ok(hooks)
        })
    }

    fn policy(&self, object: &Object) -> Arc<Policy> {
        match self.compiled.lock().get(object.name()) {
            Some((revision, policy)) if revision == object.resource_version() => Arc::clone(policy),
            _ => Arc::new(Policy::of(object)),
        }
    }
}
