//! Custom resources validated by their schemas, with the errors of the original.
//!
//! In: an object of a custom kind, and what it replaces. Out: field errors. What an update leaves as it was is not held
//! against it (ratcheting). Not here: the schemas themselves (`definitions`).

mod before;
mod embedded;
pub(super) mod formats;
mod limits;
mod lists;
mod outcome;
mod rules;
mod scale;
mod schema;
mod verdict;

pub use self::verdict::Verdict;
pub(super) use self::verdict::shown;
use self::{before::Before, verdict::members};
use std::sync::Arc;

use super::{meta, names};
use crate::{
    api::{
        custom::{RuleTree, Scale, Whole},
        schema::{Object, Value, structural::Node},
    },
    request::status::{FieldError, FieldErrorKind},
};

/// What a version of a definition says about its objects.
#[derive(Clone, Copy)]
pub struct Rules<'r> {
    pub namespaced: bool,
    pub schema: &'r Node,
    pub scale: Option<&'r Scale>,
    /// Expressions; none where there are none.
    pub rules: Option<&'r RuleTree>,
}

/// Validates a new object.
pub fn validate_create(object: &Object, rules: Rules<'_>) -> Verdict {
    let mut errors = meta::validate(object, rules.namespaced, names::subdomain_name);
    errors.extend(schema::validate(object.value(), rules.schema, "", None));
    errors.extend(scale::spec(object, rules.scale));
    errors.extend(scale::status(object, rules.scale));
    errors.extend(embedded::validate(object.value(), rules.schema));
    errors.extend(lists::validate(object.value(), rules.schema));
    ask(object, None, rules, errors)
}

/// Validates a changed object, or its status alone.
pub fn validate_update(object: &Object, old: &Object, subresource: &str, rules: Rules<'_>) -> Verdict {
    let mut errors = meta::validate_update(object, old);
    let known_lists = lists::validate(old.value(), rules.schema).is_empty();
    if subresource == "status" {
        let node = rules.schema.property("status");
        if let (Some(status), Some(node)) = (object.get(&["status"]), node) {
            let before = old.get(&["status"]).map(|old| Before { value: old, node });
            errors.extend(schema::validate(status, node, "status", before));
        }
        errors.extend(scale::status(object, rules.scale));
    } else {
        let before = Before { value: old.value(), node: rules.schema };
        errors.extend(schema::validate(object.value(), rules.schema, "", Some(before)));
        errors.extend(scale::spec(object, rules.scale));
        errors.extend(scale::status(object, rules.scale));
        errors.extend(embedded::validate(object.value(), rules.schema));
    }
    if known_lists {
        errors.extend(lists::validate(object.value(), rules.schema));
    }
    ask(object, Some(old), rules, errors)
}

/// Asks the expressions, unless they could not rely on the types of what they look at.
fn ask(object: &Object, old: Option<&Object>, rules: Rules<'_>, mut errors: Vec<FieldError>) -> Verdict {
    let Some(tree) = rules.rules else { return Verdict { errors, warnings: Vec::new() } };
    if blocks_rules(&errors) {
        let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        errors.push(FieldError::invalid_value("<nil>", "null", detail));
        return Verdict { errors, warnings: Vec::new() };
    }
    let mut verdict = rules::validate(object.value(), tree, old.map(Object::value));
    errors.append(&mut verdict.errors);
    Verdict { errors, ..verdict }
}

/// Validates a default, which stands at a path of a definition.
pub(super) fn validate_default(value: &Value, schema: &Arc<Node>, at: &str) -> Vec<FieldError> {
    let mut errors = embedded::validate(value, schema);
    for error in &mut errors {
        error.field = format!("{at}.{}", error.field.trim_start_matches('.'));
    }
    if errors.is_empty() {
        errors = schema::validate(value, schema, at, None);
    }
    if errors.is_empty() {
        let whole = if schema.embedded { Whole::Object } else { Whole::Part };
        let found = RuleTree::of(schema, whole).map(|tree| rules::validate_default(value, &tree));
        errors.extend(found.unwrap_or_default().into_iter().map(|error| {
            let field = match error.field.as_str() {
                "<nil>" => at.to_owned(),
                below if below.starts_with('[') => format!("{at}{below}"),
                below => format!("{at}.{below}"),
            };
            FieldError { field, ..error }
        }));
    }
    errors
}

/// Errors that keep rules from being asked.
fn blocks_rules(errors: &[FieldError]) -> bool {
    errors.iter().any(|error| {
        matches!(
            error.kind,
            FieldErrorKind::NotSupported
                | FieldErrorKind::Required
                | FieldErrorKind::TooLong
                | FieldErrorKind::TooMany
                | FieldErrorKind::TypeInvalid
        )
    })
}

/// What clients are told of finalizers that they add.
pub fn warnings(object: &Object, old: Option<&Object>) -> Vec<String> {
    const PATH: &str = "metadata.finalizers";
    let had = |name: &str| old.is_some_and(|old| old.finalizers().any(|own| own == name));
    let mut added: Vec<&str> = object.finalizers().filter(|finalizer| !had(finalizer)).collect();
    added.sort_unstable();
    added.dedup();
    let mut warnings = Vec::new();
    for finalizer in added {
        let shown = crate::request::status::go_quote(finalizer);
        warnings.extend(names::label_key(finalizer).into_iter().map(|why| format!("{PATH}: {shown}: {why}")));
        if finalizer.contains('/') || matches!(finalizer, "orphan" | "foregroundDeletion" | "kubernetes") {
            continue;
        }
        let how = if finalizer.contains('.') { " including a path (/)" } else { "" };
        warnings.push(format!(
            "{PATH}: {shown}: prefer a domain-qualified finalizer name{how} to avoid accidental conflicts with other finalizer writers"
        ));
    }
    warnings
}
