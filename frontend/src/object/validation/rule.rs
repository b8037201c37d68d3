//! One row of the rules.

use super::{check::Check, error_list::ErrorList, field_path::FieldPath};

/// One row. `at` is "core.v1.PodSpec": package without "api.", struct.
pub(super) struct Rule {
    pub(super) at: &'static str,
    pub(super) checks: &'static [(&'static str, Check)],
    /// What needs more than one field.
    pub(super) function: Option<Function>,
}

pub(super) type Function = for<'t> fn(&FieldPath<'_, 't>, &mut ErrorList<'t>);

/// A row of checks alone.
pub(super) const fn rule(at: &'static str, checks: &'static [(&'static str, Check)]) -> Rule {
    Rule { at, checks, function: None }
}

/// A row with a function.
pub(super) const fn with(at: &'static str, function: Function, checks: &'static [(&'static str, Check)]) -> Rule {
    Rule { at, checks, function: Some(function) }
}
