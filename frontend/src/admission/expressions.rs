//! Expressions of policies and webhooks, compiled once, and their runs over one request.
//!
//! In: the expressions of an object of admissionregistration.k8s.io, and the values of the variables that they may
//! speak of (`object::scope` says which). Out: what each comes to, within a budget of costs. Not here: what follows
//! from it.

use std::cell::{Cell, RefCell};

use super::plugin::aggregate;
use crate::{
    api::{
        cel::{
            Activation, CALL_COST_MAX, EvalError, Evaluated, LazyFields, Outcome, Program, Val,
            authorizer::{Authorizer, Authz, Check},
            tree,
        },
        schema::{Object, Value},
    },
    cluster::objects::text,
    object::scope::{CONDITIONS_BUDGET, Fault, REQUEST_TYPE, Scope, Wanted},
};

const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// An expression, or why it is none.
#[derive(Debug)]
pub(super) struct Expression {
    /// Of a variable or a condition, or the key of an annotation.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) program: Result<Program, Fault>,
}

impl Expression {
    pub(super) fn compile(scope: &Scope, name: &str, text: &str, wanted: Wanted) -> Expression {
        Expression { name: name.to_owned(), text: text.to_owned(), program: scope.compile(text, wanted) }
    }
}

/// The values of variables.
pub(super) struct Inputs<'i> {
    pub(super) object: Option<&'i Object>,
    pub(super) old: Option<&'i Object>,
    pub(super) params: Option<&'i Object>,
    pub(super) namespace: Option<&'i Object>,
    pub(super) request: &'i Value,
    /// What the request is about, as authorization asks.
    pub(super) resource: Check,
    /// Variables of a policy's own.
    pub(super) variables: &'i [Expression],
}

/// Conditions under which a policy or webhook is about a request at all.
#[derive(Debug, Default)]
pub(super) struct Conditions(Vec<Expression>);

impl Conditions {
    pub(super) fn of(list: &[Value], scope: &Scope) -> Conditions {
        let one = |of: &Value| Expression::compile(scope, text(of, "name"), text(of, "expression"), Wanted::Truth);
        Conditions(list.iter().map(one).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all hold. One that does not decides, whatever is wrong with others; an error: nobody knows.
    pub(super) fn hold(&self, inputs: &Inputs<'_>, authorizer: &dyn Authorizer) -> Result<bool, String> {
        if self.0.is_empty() {
            return Ok(true);
        }
        // The namespace is not told here, as in the original.
        let run = Run::new(&Inputs { namespace: None, resource: inputs.resource.clone(), ..*inputs }, Some(authorizer));
        let (answers, _) = run.all(self.0.iter().map(Some), CONDITIONS_BUDGET)?;
        let mut errors = Vec::new();
        for answer in answers.into_iter().flatten() {
            match answer {
                Ok(Val::Bool(false)) => return Ok(false),
                Ok(_) => {}
                Err(why) => errors.push(why),
            }
        }
        aggregate(errors).map_or(Ok(true), Err)
    }
}

/// What an expression came to; none where there is no expression.
pub(super) type Answer<'a> = Option<Result<Val<'a>, String>>;

/// Expressions over the same values; variables of a policy's own are computed once.
pub(super) struct Run<'a> {
    variables: &'a [Expression],
    values: Vec<(&'static str, Val<'a>)>,
    own: RefCell<Vec<Option<Evaluated<'a>>>>,
    /// What variables have cost and nobody has counted yet.
    cost: Cell<u64>,
}

impl<'a> Run<'a> {
    /// Without an authorizer expressions cannot ask.
    pub(super) fn new(inputs: &Inputs<'a>, authorizer: Option<&'a dyn Authorizer>) -> Run<'a> {
        let object = |of: Option<&'a Object>| of.map_or(Val::Null, |object| tree::object(object.root()));
        let mut values = vec![
            ("object", object(inputs.object)),
            ("oldObject", object(inputs.old)),
            ("params", object(inputs.params)),
            ("namespaceObject", object(inputs.namespace)),
            ("request", tree::declared(inputs.request, &REQUEST_TYPE).unwrap_or(Val::Null)),
        ];
        if let Some(of) = authorizer {
            let resource = Authz::of_resource(of, inputs.resource.clone());
            values.push(("authorizer", Val::Authz(Authz::new(of).into())));
            values.push(("authorizer.requestResource", Val::Authz(resource.into())));
        }
        let own = RefCell::new(vec![None; inputs.variables.len()]);
        Run { variables: inputs.variables, values, own, cost: Cell::new(0) }
    }

    /// All expressions in order, and what is left of the budget.
    pub(super) fn all(
        &self,
        expressions: impl Iterator<Item = Option<&'a Expression>>,
        mut budget: u64,
    ) -> Result<(Vec<Answer<'a>>, u64), String> {
        let mut answers = Vec::new();
        for expression in expressions {
            let Some(expression) = expression else {
                answers.push(None);
                continue;
            };
            answers.push(Some(match &expression.program {
                Err(fault) => Err(format!("compilation error: {fault}")),
                Ok(program) => {
                    let Outcome { result, cost } = self.eval(program);
                    for cost in [self.cost.take(), cost] {
                        budget = budget.checked_sub(cost).ok_or(OUT_OF_BUDGET)?;
                    }
                    result.map_err(|error| format!("expression '{}' resulted in error: {error}", expression.text))
                }
            }));
        }
        Ok((answers, budget))
    }

    fn eval(&self, program: &'a Program) -> Outcome<'a> {
        let mut activation = Activation::new().lazy(self);
        for (name, value) in &self.values {
            activation = activation.with(name, value.clone());
        }
        program.eval(&activation, CALL_COST_MAX)
    }
}

impl<'a> LazyFields<'a> for Run<'a> {
    fn field(&self, name: &str) -> Option<Evaluated<'a>> {
        let at = self.variables.iter().rposition(|variable| variable.name == name)?;
        if let Some(known) = &self.own.borrow()[at] {
            return Some(known.clone());
        }
        let failed = |why: String| EvalError::Failed(format!("composited variable {name:?} fails to {why}").into());
        let value = match &self.variables[at].program {
            Err(fault) => Err(failed(format!("compile: {fault}"))),
            Ok(program) => {
                let outcome = self.eval(program);
                self.cost.set(self.cost.get().saturating_add(outcome.cost));
                outcome.result.map_err(|error| failed(format!("evaluate: {error}")))
            }
        };
        self.own.borrow_mut()[at] = Some(value.clone());
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{
            cel::authorizer::Decision,
            schema::{Schema, codec},
        },
        object::scope::BUDGET,
    };

    /// Allows to get.
    #[derive(Debug)]
    struct Getting;

    impl Authorizer for Getting {
        fn authorize(&self, check: &Check) -> Decision {
            Decision { allowed: check.verb == "get", ..Decision::default() }
        }
    }

    fn value(json: serde_json::Value) -> Value {
        let text = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": json}).to_string();
        let decoded = codec::decode_json(&Schema::builtin(), text.as_bytes(), None).unwrap();
        decoded.object.get(&["data"]).cloned().unwrap()
    }

    fn object() -> Object {
        let text = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}"#;
        codec::decode_json(&Schema::builtin(), text.as_bytes(), None).unwrap().object
    }

    fn with_inputs<T>(variables: &[Expression], use_them: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let (object, request) = (object(), value(json!({"operation": "CREATE", "name": "a"})));
        use_them(&Inputs {
            object: Some(&object),
            old: None,
            params: None,
            namespace: Some(&object),
            request: &request,
            resource: Check::default(),
            variables,
        })
    }

    #[test]
    fn one_condition_that_does_not_hold_decides() {
        let scope = Scope::new(false);
        let held = |texts: &[&str]| {
            let list = texts.iter().map(|text| Expression::compile(&scope, "c", text, Wanted::Truth));
            let conditions = Conditions(list.collect());
            with_inputs(&[], |inputs| conditions.hold(inputs, &Getting))
        };
        let missing = "expression 'object.data.x == '1'' resulted in error: no such key: x";
        for (texts, expected) in [
            (&[][..], Ok(true)),
            (&["object.data.k == 'v'", "request.operation == 'CREATE'"], Ok(true)),
            (&["oldObject != null"], Ok(false)),
            (&["namespaceObject == null"], Ok(true)),
            (&["authorizer.requestResource.check('get').allowed()"], Ok(true)),
            (&["authorizer.requestResource.check('list').allowed()"], Ok(false)),
            (&["object.data.x == '1'"], Err(missing)),
            (&["object.data.x == '1'", "false"], Ok(false)),
            (&["1"], Err("compilation error: must evaluate to bool but got int")),
        ] {
            assert_eq!(held(texts), expected.map_err(str::to_owned), "{texts:?}");
        }
        let dear = "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, \
                    [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, a + b + c + d + e > 0)))))";
        assert!(held(&[dear]).is_err(), "conditions have a budget");
    }

    #[test]
    fn variables_are_computed_when_they_are_asked_for_and_once() {
        let mut scope = Scope::composed(false);
        let mut variables = Vec::new();
        for (name, text) in [("k", "object.data.k"), ("both", "variables.k + variables.k"), ("bad", "object.data.x")] {
            let program = scope.add(name, text);
            variables.push(Expression { name: name.to_owned(), text: text.to_owned(), program });
        }
        let check = |text: &str| Expression::compile(&scope, "", text, Wanted::Truth);
        let checks =
            [check("variables.both == 'vv'"), check("true || variables.bad == ''"), check("variables.bad == ''")];
        with_inputs(&variables, |inputs| {
            let run = Run::new(inputs, None);
            let (answers, left) = run.all(checks.iter().map(Some), BUDGET).unwrap();
            let shown: Vec<_> = answers.iter().flatten().map(|answer| answer.as_ref().map(Val::as_bool)).collect();
            assert_eq!(shown[..2], [Ok(Some(true)), Ok(Some(true))]);
            assert!(shown[2].is_err_and(|why| why.contains("composited variable \"bad\" fails to evaluate")));
            assert!(left < BUDGET);
            assert_eq!(run.own.borrow().iter().flatten().count(), 3);
            assert_eq!(run.all(checks.iter().map(Some), 1).err().as_deref(), Some(OUT_OF_BUDGET));
        });
    }
}
