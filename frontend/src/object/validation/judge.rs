//! What is wrong with an object, gathered. In: places and complaints. Out: field errors. Not here: which rules there
//! are.

use std::fmt;

use super::{place::Place, print::printed};
use crate::{
    api::schema::{Object, Struct, Value},
    request::status::{FieldError, FieldErrorKind},
};

/// What the operator's flags decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub allow_privileged: bool,
}

/// Judges a struct and what is below it.
pub(super) type Visit = for<'t> fn(&Place<'_, 't>, &mut Judge<'t>);

pub(super) struct Judge<'t> {
    pub(super) errors: Vec<FieldError>,
    pub(super) options: Options,
    /// The object that is replaced, if any.
    pub(super) old: Option<&'t Object>,
    /// Fields of the struct under judgement that its function has settled: the walk leaves them out.
    pub(super) settled: Vec<&'t str>,
    /// Names of the good volumes of the pod under judgement.
    pub(super) volumes: Vec<(&'t str, Option<&'t Struct>)>,
    /// The walk itself: rules that lead into a struct of their own choice are among those that it applies.
    visit: Visit,
}

impl<'t> Judge<'t> {
    pub(super) fn new(options: Options, old: Option<&'t Object>, visit: Visit) -> Judge<'t> {
        Judge { errors: Vec::new(), options, old, settled: Vec::new(), volumes: Vec::new(), visit }
    }

    /// Judges a struct by the rules of its type, and what is below it.
    pub(super) fn visit(&mut self, place: &Place<'_, 't>) {
        (self.visit)(place, self);
    }

    pub(super) fn push(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    pub(super) fn required(&mut self, place: &Place<'_, 't>, field: &str, detail: impl Into<String>) {
        self.push(FieldError::required(place.path(field), detail));
    }

    /// An invalid text.
    pub(super) fn invalid(&mut self, place: &Place<'_, 't>, field: &str, text: &str, detail: impl Into<String>) {
        self.push(FieldError::invalid(place.path(field), text, detail));
    }

    /// An invalid value that prints itself: a number, a flag, JSON.
    pub(super) fn invalid_as(
        &mut self,
        place: &Place<'_, 't>,
        field: &str,
        shown: impl fmt::Display,
        detail: impl Into<String>,
    ) {
        self.push(FieldError::invalid_value(place.path(field), shown, detail));
    }

    /// An invalid value, printed as the real server's internal type prints.
    pub(super) fn invalid_value(
        &mut self,
        place: &Place<'_, 't>,
        field: &str,
        value: Option<&Value>,
        detail: impl Into<String>,
    ) {
        self.invalid_as(place, field, printed(value), detail);
    }

    /// An invalid value that is not shown.
    pub(super) fn invalid_without_value(&mut self, place: &Place<'_, 't>, field: &str, detail: impl Into<String>) {
        let (field, detail) = (place.path(field), detail.into());
        self.push(FieldError { kind: FieldErrorKind::Invalid, field, bad_value: None, detail });
    }

    /// A text and everything that is wrong with its form.
    pub(super) fn complain(&mut self, place: &Place<'_, 't>, field: &str, text: &str, complaints: Vec<String>) {
        for complaint in complaints {
            self.invalid(place, field, text, complaint);
        }
    }

    pub(super) fn forbidden(&mut self, place: &Place<'_, 't>, field: &str, detail: impl Into<String>) {
        self.push(FieldError::forbidden(place.path(field), detail));
    }

    pub(super) fn unsupported(&mut self, place: &Place<'_, 't>, field: &str, text: &str, supported: &[&str]) {
        self.push(FieldError::not_supported(place.path(field), text, supported));
    }

    pub(super) fn duplicate(&mut self, place: &Place<'_, 't>, field: &str, text: &str) {
        self.push(FieldError::duplicate(place.path(field), text));
    }

    pub(super) fn duplicate_as(&mut self, place: &Place<'_, 't>, field: &str, shown: impl fmt::Display) {
        self.push(FieldError::duplicate_value(place.path(field), shown));
    }

    pub(super) fn not_found(&mut self, place: &Place<'_, 't>, field: &str, text: &str) {
        self.push(FieldError::not_found(place.path(field), text));
    }

    pub(super) fn too_long(&mut self, place: &Place<'_, 't>, field: &str, max_bytes: usize) {
        self.push(FieldError::too_long(place.path(field), max_bytes));
    }

    pub(super) fn too_many(&mut self, place: &Place<'_, 't>, field: &str, actual: usize, max: usize) {
        self.push(FieldError::too_many(place.path(field), actual, max));
    }

    /// An error that was made elsewhere, with a detail of its own.
    pub(super) fn with_detail(
        &mut self,
        kind: FieldErrorKind,
        place: &Place<'_, 't>,
        field: &str,
        shown: String,
        detail: String,
    ) {
        self.push(FieldError { kind, field: place.path(field), bad_value: Some(shown), detail });
    }

    /// The walk does not go below this field of the struct under judgement.
    pub(super) fn settle(&mut self, field: &'t str) {
        self.settled.push(field);
    }
}
