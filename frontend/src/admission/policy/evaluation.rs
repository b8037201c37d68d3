//! One policy's validation of one request. In: the compiled policy and the values of variables. Out: decisions and
//! audit annotations.

use super::compiled::{Policy, Validation};
use crate::{
    admission::expressions::{Answer, Expression, Inputs, Run},
    api::cel::{Val, authorizer::Authorizer},
    object::scope::BUDGET,
};

/// Longer messages give way to the ones that are written down.
const MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// What one validation comes to.
pub(super) struct Decision {
    pub(super) denies: bool,
    pub(super) message: String,
    pub(super) reason: &'static str,
}

/// A value for the audit, or why it is none.
pub(super) struct AuditAnnotation {
    pub(super) key: String,
    pub(super) value: Result<String, String>,
}

#[derive(Default)]
pub(super) struct Validated {
    pub(super) decisions: Vec<Decision>,
    pub(super) audit_annotations: Vec<AuditAnnotation>,
}

impl Policy {
    /// Something could not be evaluated: the failure policy decides.
    fn failure(&self, message: String) -> Decision {
        Decision { denies: self.fails, message, reason: "Invalid" }
    }

    fn failed(&self, message: String) -> Validated {
        Validated { decisions: vec![self.failure(message)], audit_annotations: Vec::new() }
    }
}

pub(super) fn validate(policy: &Policy, inputs: &Inputs<'_>, authorizer: &dyn Authorizer) -> Validated {
    match policy.conditions.hold(inputs, authorizer) {
        Ok(true) => {}
        Ok(false) => return Validated::default(),
        Err(_) if !policy.fails => return Validated::default(),
        Err(why) => return policy.failed(why),
    }
    let checks = policy.validations.iter().map(|validation| Some(&validation.check));
    let run = Run::new(inputs, Some(authorizer));
    let (checked, left) = match run.all(checks, BUDGET) {
        Ok(done) => done,
        Err(why) => return policy.failed(why),
    };
    let run = Run::new(inputs, None);
    let said = run.all(policy.validations.iter().map(|validation| validation.said.as_ref()), left);
    let decision = |(at, answer): (usize, Answer<'_>)| {
        let validation = &policy.validations[at];
        match (answer, &said) {
            (Some(Err(why)), _) => policy.failure(why),
            (_, Err(why)) => policy.failure(format!("failed messageExpression: {why}")),
            (Some(Ok(Val::Bool(true))), _) => Decision { denies: false, message: String::new(), reason: "" },
            (_, Ok((said, _))) => {
                let message = message(validation, said.get(at).and_then(Option::as_ref));
                Decision { denies: true, message, reason: validation.reason }
            }
        }
    };
    let decisions = checked.into_iter().enumerate().map(decision).collect();
    let run = Run::new(inputs, None);
    match run.all(policy.audit_annotations.iter().map(Some), BUDGET) {
        Ok((values, _)) => {
            let audit_annotations = policy
                .audit_annotations
                .iter()
                .zip(values)
                .filter_map(|(of, value)| audit_annotation(policy, of, value?));
            Validated { decisions, audit_annotations: audit_annotations.collect() }
        }
        Err(why) => policy.failed(why),
    }
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

/// None where there is nothing to annotate.
fn audit_annotation(policy: &Policy, of: &Expression, value: Result<Val<'_>, String>) -> Option<AuditAnnotation> {
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
    Some(AuditAnnotation { key: of.name.clone(), value })
}
