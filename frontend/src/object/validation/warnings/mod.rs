//! What clients are warned of: values that are taken, and will not do what they seem to.
//!
//! In: an object that was found valid, and what it replaces. Out: texts. Not here: warnings of decoding.

mod addresses;
mod pods;
mod rows;

use super::place::{Nth, Place};
use crate::api::schema::{Object, Struct, scalar::quantity::Quantity};

/// The warnings so far.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn say(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    fn at(&mut self, place: &Place<'_, '_>, field: &str, text: impl std::fmt::Display) {
        self.0.push(format!("{}: {text}", place.path(field)));
    }

    /// An amount of bytes that is none.
    fn fraction(&mut self, place: &Place<'_, '_>, amounts: &str, resource: &str, shown: &str) {
        let amount = place.at(&[amounts, resource]).and_then(|value| value.as_str()).unwrap_or_default();
        if Quantity::parse(amount).is_ok_and(|quantity| !quantity.is_whole()) {
            self.at(place, shown, format_args!("fractional byte value \"{amount}\" is invalid, must be an integer"));
        }
    }
}

/// Calls with the struct behind each field in turn, if all are there.
fn inside<'t>(place: &Place<'_, 't>, path: &[&'static str], then: &mut dyn FnMut(&Place<'_, 't>)) {
    match path.split_first() {
        None => then(place),
        Some((field, rest)) => {
            if let Some(child) = place.child(field) {
                inside(&place.below(field, Nth::Only, child), rest, then);
            }
        }
    }
}

/// Calls with every struct of a list.
fn each<'t>(place: &Place<'_, 't>, field: &'static str, then: &mut dyn FnMut(&Place<'_, 't>)) {
    for (at, child) in place.structs(field).enumerate() {
        then(&place.below(field, Nth::At(at), child));
    }
}

/// What the client is to be warned of. `row` is the group and plural of the resource.
pub(super) fn warnings(row: (&str, &str), subresource: &str, object: &Object, old: Option<&Object>) -> Vec<String> {
    let mut said = Said::default();
    let before: Option<&Struct> = old.map(Object::root);
    let moved = old.is_none_or(|old| old.generation() != object.generation());
    for entry in rows::ROWS.iter().filter(|entry| entry.concerns(row, subresource)) {
        if entry.when.holds(old.is_some(), moved) {
            inside(&Place::root(object.root()), entry.at, &mut |place| (entry.warn)(place, before, &mut said));
        }
    }
    said.0
}

#[cfg(test)]
mod tests;
