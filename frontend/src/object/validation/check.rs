//! Checks of one field that need to know nothing else: the words of which the rules' rows are made.

use super::{error_list::ErrorList, field_path::FieldPath, meta, names};
use crate::api::schema::{Kind, Presence, Value};

pub(super) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
pub(super) const POSITIVE: &str = "must be greater than zero";
pub(super) const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// What is wrong with the form of a text.
pub(super) type Form = fn(&str) -> Vec<String>;

pub(super) enum Check {
    /// Must not be empty.
    Required,
    RequiredBecause(&'static str),
    /// A pointer that must point to something, an empty struct included.
    Present,
    /// One of these, if given at all. A pointer to an empty text counts as given.
    OneOf(&'static [&'static str]),
    /// One of these, if given at all; an empty text that is given is an error of its own.
    GivenOneOf(&'static [&'static str]),
    /// One of these; nothing is an error of its own.
    NeedsOneOf(&'static [&'static str]),
    /// One of these; nothing is none of them.
    Exactly(&'static [&'static str]),
    /// Well formed, if not empty; a pointer to an empty text is validated.
    Form(Form),
    /// Given and well formed.
    NeedsForm(Form),
    /// Well formed, whether given or not.
    AlwaysForm(Form),
    EachForm(Form),
    /// Not less than this.
    AtLeast(i64, &'static str),
    /// Within both, inclusive.
    Within(i64, i64, &'static str),
    /// A list with something in it.
    NotEmpty(&'static str),
    /// At most so many items.
    AtMost(usize),
    /// At most so many bytes.
    Bytes(usize),
    /// A port, by number or by name.
    Port,
    /// Labels: keys and values.
    Labels,
}

impl Check {
    pub(super) fn apply<'t>(&self, path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
        let value = path.get(field);
        match self {
            Check::Required => self.require(value, path, field, errors, ""),
            Check::Present if value.is_none() => errors.required(path, field, ""),
            Check::Present => {}
            Check::RequiredBecause(detail) | Check::NotEmpty(detail) => {
                self.require(value, path, field, errors, detail)
            }
            Check::OneOf(words) => {
                if let Some(text) = given(path, field).filter(|text| !words.contains(text)) {
                    errors.unsupported(path, field, text, words);
                }
            }
            Check::GivenOneOf(_) if value.is_none() => {}
            Check::GivenOneOf(words) | Check::NeedsOneOf(words) => match path.text(field) {
                "" => errors.required(path, field, ""),
                text if !words.contains(&text) => errors.unsupported(path, field, text, words),
                _ => {}
            },
            Check::Exactly(words) => {
                let text = path.text(field);
                if !words.contains(&text) {
                    errors.unsupported(path, field, text, words);
                }
            }
            Check::Form(form) => {
                if let Some(text) = given(path, field) {
                    errors.invalid_each(path, field, text, form(text));
                }
            }
            Check::NeedsForm(form) => match path.text(field) {
                "" => errors.required(path, field, ""),
                text => errors.invalid_each(path, field, text, form(text)),
            },
            Check::AlwaysForm(form) => errors.invalid_each(path, field, path.text(field), form(path.text(field))),
            Check::EachForm(form) => {
                for (at, text) in path.texts(field).enumerate() {
                    errors.invalid_each(path, &format!("{field}[{at}]"), text, form(text));
                }
            }
            Check::AtLeast(least, detail) => {
                if let Some(number) = number(path, field).filter(|number| number < least) {
                    errors.invalid_as(path, field, number, *detail);
                }
            }
            Check::Within(least, most, detail) => {
                if let Some(number) = number(path, field).filter(|number| number < least || number > most) {
                    errors.invalid_as(path, field, number, *detail);
                }
            }
            Check::AtMost(most) => {
                let count = path.list(field).len();
                if count > *most {
                    errors.too_many(path, field, count, *most);
                }
            }
            Check::Bytes(most) => {
                if path.text(field).len() > *most {
                    errors.too_long(path, field, *most);
                }
            }
            Check::Port => port(path, field, errors),
            Check::Labels => errors.extend(meta::labels(path.pairs(field), &path.to(field))),
        }
    }

    fn require<'t>(
        &self,
        value: Option<&Value>,
        path: &FieldPath<'_, 't>,
        field: &str,
        errors: &mut ErrorList<'t>,
        detail: &str,
    ) {
        let empty = value.is_none_or(|value| match value {
            Value::Struct(_) | Value::Bool(_) => false,
            other => other.is_zero(),
        });
        if empty {
            errors.required(path, field, detail);
        }
    }
}

/// A text that a client gave: not empty, or behind a pointer.
fn given<'t>(path: &FieldPath<'_, 't>, field: &str) -> Option<&'t str> {
    let text = path.optional_text(field)?;
    let pointer = path.fields.def().field(field).is_some_and(|f| f.presence == Presence::Pointer);
    (pointer || !text.is_empty()).then_some(text)
}

/// A number; a plain field that is absent is 0.
fn number(path: &FieldPath, field: &str) -> Option<i64> {
    path.number(field).or_else(|| {
        let def = path.fields.def().field(field)?;
        let plain = def.is_plain();
        (plain && matches!(def.kind, Kind::Int32 | Kind::Int64)).then_some(0)
    })
}

/// Everything that is wrong with a port given by number or by name.
fn port<'t>(path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
    match path.get(field) {
        Some(Value::Str(name)) => errors.invalid_each(path, field, name, names::port_name(name)),
        other => {
            let number = other.and_then(Value::as_i64).unwrap_or(0);
            if names::port_number(number).is_some() {
                errors.invalid_as(path, field, number, PORT_RANGE);
            }
        }
    }
}
