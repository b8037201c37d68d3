//! Judgements of one field that need to know nothing else: the words of which the rules' rows are made.

use super::{judge::Judge, meta, names, place::Place};
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
    /// Well formed, if not empty; a pointer to an empty text is judged.
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
    pub(super) fn apply<'t>(&self, place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
        let value = place.get(field);
        match self {
            Check::Required => self.require(value, place, field, judge, ""),
            Check::Present if value.is_none() => judge.required(place, field, ""),
            Check::Present => {}
            Check::RequiredBecause(detail) | Check::NotEmpty(detail) => {
                self.require(value, place, field, judge, detail)
            }
            Check::OneOf(words) => {
                if let Some(text) = given(place, field).filter(|text| !words.contains(text)) {
                    judge.unsupported(place, field, text, words);
                }
            }
            Check::GivenOneOf(_) if value.is_none() => {}
            Check::GivenOneOf(words) | Check::NeedsOneOf(words) => match place.text(field) {
                "" => judge.required(place, field, ""),
                text if !words.contains(&text) => judge.unsupported(place, field, text, words),
                _ => {}
            },
            Check::Exactly(words) => {
                let text = place.text(field);
                if !words.contains(&text) {
                    judge.unsupported(place, field, text, words);
                }
            }
            Check::Form(form) => {
                if let Some(text) = given(place, field) {
                    judge.complain(place, field, text, form(text));
                }
            }
            Check::NeedsForm(form) => match place.text(field) {
                "" => judge.required(place, field, ""),
                text => judge.complain(place, field, text, form(text)),
            },
            Check::AlwaysForm(form) => judge.complain(place, field, place.text(field), form(place.text(field))),
            Check::EachForm(form) => {
                for (at, text) in place.texts(field).enumerate() {
                    judge.complain(place, &format!("{field}[{at}]"), text, form(text));
                }
            }
            Check::AtLeast(least, detail) => {
                if let Some(number) = number(place, field).filter(|number| number < least) {
                    judge.invalid_as(place, field, number, *detail);
                }
            }
            Check::Within(least, most, detail) => {
                if let Some(number) = number(place, field).filter(|number| number < least || number > most) {
                    judge.invalid_as(place, field, number, *detail);
                }
            }
            Check::AtMost(most) => {
                let count = place.list(field).len();
                if count > *most {
                    judge.too_many(place, field, count, *most);
                }
            }
            Check::Bytes(most) => {
                if place.text(field).len() > *most {
                    judge.too_long(place, field, *most);
                }
            }
            Check::Port => port(place, field, judge),
            Check::Labels => judge.errors.extend(meta::labels(place.pairs(field), &place.path(field))),
        }
    }

    fn require<'t>(
        &self,
        value: Option<&Value>,
        place: &Place<'_, 't>,
        field: &str,
        judge: &mut Judge<'t>,
        detail: &str,
    ) {
        let empty = value.is_none_or(|value| match value {
            Value::Struct(_) | Value::Bool(_) => false,
            other => other.is_zero(),
        });
        if empty {
            judge.required(place, field, detail);
        }
    }
}

/// A text that a client gave: not empty, or behind a pointer.
fn given<'t>(place: &Place<'_, 't>, field: &str) -> Option<&'t str> {
    let text = place.optional_text(field)?;
    let pointer = place.fields.def().field(field).is_some_and(|f| f.presence == Presence::Pointer);
    (pointer || !text.is_empty()).then_some(text)
}

/// A number; a plain field that is absent is 0.
fn number(place: &Place, field: &str) -> Option<i64> {
    place.number(field).or_else(|| {
        let def = place.fields.def().field(field)?;
        let plain = def.is_plain();
        (plain && matches!(def.kind, Kind::Int32 | Kind::Int64)).then_some(0)
    })
}

/// Everything that is wrong with a port given by number or by name.
fn port<'t>(place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
    match place.get(field) {
        Some(Value::Str(name)) => judge.complain(place, field, name, names::port_name(name)),
        other => {
            let number = other.and_then(Value::as_i64).unwrap_or(0);
            if names::port_number(number).is_some() {
                judge.invalid_as(place, field, number, PORT_RANGE);
            }
        }
    }
}
