//! Errors of a value, gathered on the way through its schema.

use super::shown;
use crate::{api::schema::Value, request::status::FieldErrorKind};

/// One error.
#[derive(Clone, Debug)]
pub(super) struct Issue {
    /// None: about a whole of several schemas, which the original has no path for.
    pub(super) path: Option<String>,
    pub(super) kind: FieldErrorKind,
    pub(super) shown: Option<String>,
    pub(super) detail: String,
    /// By which equal errors are known.
    pub(super) text: String,
}

/// Errors, and how much was found good: what decides which of several schemas was meant.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) issues: Vec<Issue>,
    pub(super) good: usize,
}

impl Outcome {
    pub(super) fn push(&mut self, issue: Issue) {
        if !self.issues.iter().any(|known| known.text == issue.text) {
            self.issues.push(issue);
        }
    }

    pub(super) fn merge(&mut self, other: Outcome) {
        self.good += other.good;
        other.issues.into_iter().for_each(|issue| self.push(issue));
    }
}

pub(super) fn issue(path: &str, kind: FieldErrorKind, shown: Option<String>, text: &str) -> Issue {
    Issue { path: Some(path.to_owned()), kind, shown, detail: text.to_owned(), text: text.to_owned() }
}

/// The value as an error shows it.
pub(super) fn of_value(value: &Value) -> Option<String> {
    Some(shown(value))
}
