//! The errors of one validation, as apimachinery's field.ErrorList gathers them. In: paths and what is wrong there.
//! Out: field errors. Not here: which rules there are.

use std::fmt;

use super::{field_path::FieldPath, print::printed};
use crate::{
    api::schema::{Object, Struct, Value},
    request::status::{FieldError, FieldErrorKind},
};

/// What the operator's flags decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub allow_privileged: bool,
}

/// Validates a struct and what is below it.
pub(super) type Visit = for<'t> fn(&FieldPath<'_, 't>, &mut ErrorList<'t>);

/// The errors so far, and what the rules must know beside the struct that they look at.
pub(super) struct ErrorList<'t> {
    list: Vec<FieldError>,
    pub(super) options: Options,
    /// The object that is replaced, if any.
    pub(super) old: Option<&'t Object>,
    /// Fields of the struct at hand that its function has validated itself: the walk leaves them out.
    pub(super) skipped: Vec<&'t str>,
    /// Names of the good volumes of the pod at hand.
    pub(super) volumes: Vec<(&'t str, Option<&'t Struct>)>,
    /// The walk itself: rules that lead into a struct of their own choice are among those that it applies.
    visit: Visit,
}

impl<'t> ErrorList<'t> {
    pub(super) fn new(options: Options, old: Option<&'t Object>, visit: Visit) -> ErrorList<'t> {
        ErrorList { list: Vec::new(), options, old, skipped: Vec::new(), volumes: Vec::new(), visit }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The errors after the first `count`.
    pub(super) fn since(&mut self, count: usize) -> &mut [FieldError] {
        &mut self.list[count..]
    }

    pub(super) fn into_vec(self) -> Vec<FieldError> {
        self.list
    }

    /// Validates a struct by the rules of its type, and what is below it.
    pub(super) fn visit(&mut self, path: &FieldPath<'_, 't>) {
        (self.visit)(path, self);
    }

    /// The walk does not go below this field of the struct at hand.
    pub(super) fn skip(&mut self, field: &'t str) {
        self.skipped.push(field);
    }

    pub(super) fn push(&mut self, error: FieldError) {
        self.list.push(error);
    }

    pub(super) fn extend(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        self.list.extend(errors);
    }

    pub(super) fn required(&mut self, path: &FieldPath<'_, 't>, field: &str, detail: impl Into<String>) {
        self.push(FieldError::required(path.to(field), detail));
    }

    /// An invalid text.
    pub(super) fn invalid(&mut self, path: &FieldPath<'_, 't>, field: &str, text: &str, detail: impl Into<String>) {
        self.push(FieldError::invalid(path.to(field), text, detail));
    }

    /// A text and everything that is wrong with its form.
    pub(super) fn invalid_each(&mut self, path: &FieldPath<'_, 't>, field: &str, text: &str, details: Vec<String>) {
        for detail in details {
            self.invalid(path, field, text, detail);
        }
    }

    /// An invalid value that prints itself: a number, a flag, JSON.
    pub(super) fn invalid_as(
        &mut self,
        path: &FieldPath<'_, 't>,
        field: &str,
        shown: impl fmt::Display,
        detail: impl Into<String>,
    ) {
        self.push(FieldError::invalid_value(path.to(field), shown, detail));
    }

    /// An invalid value, printed as the real server's internal type prints.
    pub(super) fn invalid_value(
        &mut self,
        path: &FieldPath<'_, 't>,
        field: &str,
        value: Option<&Value>,
        detail: impl Into<String>,
    ) {
        self.invalid_as(path, field, printed(value), detail);
    }

    /// An invalid value that is not shown.
    pub(super) fn invalid_without_value(&mut self, path: &FieldPath<'_, 't>, field: &str, detail: impl Into<String>) {
        let (field, detail) = (path.to(field), detail.into());
        self.push(FieldError { kind: FieldErrorKind::Invalid, field, bad_value: None, detail });
    }

    pub(super) fn forbidden(&mut self, path: &FieldPath<'_, 't>, field: &str, detail: impl Into<String>) {
        self.push(FieldError::forbidden(path.to(field), detail));
    }

    pub(super) fn unsupported(&mut self, path: &FieldPath<'_, 't>, field: &str, text: &str, supported: &[&str]) {
        self.push(FieldError::not_supported(path.to(field), text, supported));
    }

    pub(super) fn duplicate(&mut self, path: &FieldPath<'_, 't>, field: &str, text: &str) {
        self.push(FieldError::duplicate(path.to(field), text));
    }

    pub(super) fn duplicate_as(&mut self, path: &FieldPath<'_, 't>, field: &str, shown: impl fmt::Display) {
        self.push(FieldError::duplicate_value(path.to(field), shown));
    }

    pub(super) fn not_found(&mut self, path: &FieldPath<'_, 't>, field: &str, text: &str) {
        self.push(FieldError::not_found(path.to(field), text));
    }

    pub(super) fn too_long(&mut self, path: &FieldPath<'_, 't>, field: &str, max_bytes: usize) {
        self.push(FieldError::too_long(path.to(field), max_bytes));
    }

    pub(super) fn too_many(&mut self, path: &FieldPath<'_, 't>, field: &str, actual: usize, max: usize) {
        self.push(FieldError::too_many(path.to(field), actual, max));
    }

    /// An error that was made elsewhere, with a detail of its own.
    pub(super) fn with_detail(
        &mut self,
        kind: FieldErrorKind,
        path: &FieldPath<'_, 't>,
        field: &str,
        shown: String,
        detail: String,
    ) {
        self.push(FieldError { kind, field: path.to(field), bad_value: Some(shown), detail });
    }
}
