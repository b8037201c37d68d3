//! One policy's word on one request. In: the compiled policy and the values of its variables. Out: verdicts and notes.

use std::cell::{Cell, RefCell};

use super::compiled::{Expression, Policy, Validation};
use crate::{
    api::{
        cel::{
            Activation, CALL_COST_MAX, EvalError, Evaluated, LazyFields, Outcome, Program, Val,
            authorizer::{Authorizer, Authz, Check},
            tree,
        },
        schema::{Object, Value},
    },
    object::{
        expressions::REQUEST_TYPE,
        scope::{BUDGET, CONDITIONS_BUDGET},
    },
};

const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";
/// Longer messages give way to the ones that are written down.
const MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// The values of variables.
pub(super) struct Inputs<'i> {
    pub(super) object: Option<&'i Object>,
    pub(super) old: Option<&'i Object>,
    pub(super) params: Option<&'i Object>,
    pub(super) namespace: Option<&'i Object>,
    pub(super) request: &'i Value,
    /// What the request is about, as authorization asks.
    pub(super) resource: Check,
}

/// What one validation comes to.
pub(super) struct Verdict {
    pub(super) denies: bool,
    pub(super) message: String,
    pub(super) reason: &'static str,
}

/// A value for the audit, or why it is none.
pub(super) struct Note {
    pub(super) key: String,
    pub(super) value: Result<String, String>,
}

#[derive(Default)]
pub(super) struct Judged {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) notes: Vec<Note>,
}

impl Policy {
    /// Something could not be evaluated: the failure policy decides.
    fn failure(&self, message: String) -> Verdict {
        Verdict { denies: self.fails, message, reason: "Invalid" }
    }

    fn failed(&self, message: String) -> Judged {
        Judged { verdicts: vec![self.failure(message)], notes: Vec::new() }
    }
}

pub(super) fn judge(policy: &Policy, inputs: &Inputs<'_>, authorizer: &dyn Authorizer) -> Judged {
    match holds(policy, inputs, authorizer) {
        Ok(true) => {}
        Ok(false) => return Judged::default(),
        Err(_) if !policy.fails => return Judged::default(),
        Err(why) => return policy.failed(why),
    }
    let checks = policy.validations.iter().map(|validation| Some(&validation.check));
    let run = Run::new(policy, inputs, Some(authorizer), inputs.namespace);
    let (checked, left) = match run.all(checks, BUDGET) {
        Ok(done) => done,
        Err(why) => return policy.failed(why),
    };
    let run = Run::new(policy, inputs, None, inputs.namespace);
    let said = run.all(policy.validations.iter().map(|validation| validation.said.as_ref()), left);
    let verdict = |(at, answer): (usize, Answer<'_>)| {
        let validation = &policy.validations[at];
        match (answer, &said) {
            (Some(Err(why)), _) => policy.failure(why),
            (_, Err(why)) => policy.failure(format!("failed messageExpression: {why}")),
            (Some(Ok(Val::Bool(true))), _) => Verdict { denies: false, message: String::new(), reason: "" },
            (_, Ok((said, _))) => {
                let message = message(validation, said.get(at).and_then(Option::as_ref));
                Verdict { denies: true, message, reason: validation.reason }
            }
        }
    };
    let verdicts = checked.into_iter().enumerate().map(verdict).collect();
    let run = Run::new(policy, inputs, None, inputs.namespace);
    match run.all(policy.notes.iter().map(Some), BUDGET) {
        Ok((values, _)) => {
            let notes = policy.notes.iter().zip(values).filter_map(|(of, value)| note(policy, of, value?));
            Judged { verdicts, notes: notes.collect() }
        }
        Err(why) => policy.failed(why),
    }
}

/// Whether all conditions hold. One that does not decides, whatever is wrong with others.
fn holds(policy: &Policy, inputs: &Inputs<'_>, authorizer: &dyn Authorizer) -> Result<bool, String> {
    if policy.conditions.is_empty() {
        return Ok(true);
    }
    let run = Run::new(policy, inputs, Some(authorizer), None);
    let (answers, _) = run.all(policy.conditions.iter().map(Some), CONDITIONS_BUDGET)?;
    let mut errors = Vec::new();
    for answer in answers.into_iter().flatten() {
        match answer {
            Ok(Val::Bool(false)) => return Ok(false),
            Ok(_) => {}
            Err(why) => errors.push(why),
        }
    }
    super::super::aggregate(errors).map_or(Ok(true), Err)
}

fn message(validation: &Validation, said: Option<&Result<Val<'_>, String>>) -> String {
    let said = match said {
        Some(Ok(said)) => said.as_str().map(str::trim),
        _ => None,
    };
    match said.filter(|said| !said.is_empty() && said.len() <= MESSAGE_BYTES_MAX && !said.contains('\n')) {
        Some(said) => said.to_owned(),
        None if !validation.message.is_empty() => validation.message.clone(),
        None => format!("failed expression: {}", validation.check.text.trim()),
    }
}

/// None where there is nothing to note.
fn note(policy: &Policy, of: &Expression, value: Result<Val<'_>, String>) -> Option<Note> {
    let value = match value {
        Ok(Val::Null) => return None,
        Ok(value) => match value.as_str().map(str::trim) {
            Some("") => return None,
            Some(text) => Ok(text.to_owned()),
            None => Err(format!(
                "valueExpression '{}' resulted in unsupported return type: {}. Return type must be either string or null.",
                of.text,
                value.type_name()
            )),
        },
        Err(_) if !policy.fails => return None,
        Err(why) => Err(why),
    };
    Some(Note { key: of.name.clone(), value })
}

type Answer<'a> = Option<Result<Val<'a>, String>>;

/// Expressions over the same values; the policy's own variables are computed once.
struct Run<'a> {
    policy: &'a Policy,
    values: Vec<(&'static str, Val<'a>)>,
    own: RefCell<Vec<Option<Evaluated<'a>>>>,
    /// What the policy's own variables have cost and nobody has counted yet.
    cost: Cell<u64>,
}

impl<'a> Run<'a> {
    fn new(
        policy: &'a Policy,
        inputs: &'a Inputs<'_>,
        authorizer: Option<&'a dyn Authorizer>,
        namespace: Option<&'a Object>,
    ) -> Run<'a> {
        let object = |of: Option<&'a Object>| of.map_or(Val::Null, |object| tree::object(object.root()));
        let mut values = vec![
            ("object", object(inputs.object)),
            ("oldObject", object(inputs.old)),
            ("params", object(inputs.params)),
            ("namespaceObject", object(namespace)),
            ("request", tree::declared(inputs.request, &REQUEST_TYPE).unwrap_or(Val::Null)),
        ];
        if let Some(of) = authorizer {
            let resource = Authz::of_resource(of, inputs.resource.clone());
            values.push(("authorizer", Val::Authz(Authz::new(of).into())));
            values.push(("authorizer.requestResource", Val::Authz(resource.into())));
        }
        let own = RefCell::new(vec![None; policy.variables.len()]);
        Run { policy, values, own, cost: Cell::new(0) }
    }

    /// All expressions in order, and what is left of the budget.
    fn all(
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
        let policy = self.policy;
        let at = policy.variables.iter().rposition(|variable| variable.name == name)?;
        if let Some(known) = &self.own.borrow()[at] {
            return Some(known.clone());
        }
        let failed = |why: String| EvalError::Failed(format!("composited variable {name:?} fails to {why}").into());
        let value = match &policy.variables[at].program {
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
