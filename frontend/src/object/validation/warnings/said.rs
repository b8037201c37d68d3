//! The warnings so far, and the way to the structs that they are about.

use super::super::place::{Nth, Place};
use crate::api::schema::scalar::quantity::Quantity;

/// The warnings so far.
#[derive(Default)]
pub(super) struct Said(pub(super) Vec<String>);

impl Said {
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    pub(super) fn at(&mut self, place: &Place<'_, '_>, field: &str, text: impl std::fmt::Display) {
        self.0.push(format!("{}: {text}", place.path(field)));
    }

    /// An amount of bytes that is none.
    pub(super) fn fraction(&mut self, place: &Place<'_, '_>, amounts: &str, resource: &str, shown: &str) {
        let amount = place.at(&[amounts, resource]).and_then(|value| value.as_str()).unwrap_or_default();
        if Quantity::parse(amount).is_ok_and(|quantity| quantity.milli_units() % 1000 != 0) {
            self.at(place, shown, format_args!("fractional byte value \"{amount}\" is invalid, must be an integer"));
        }
    }
}

/// Calls with the struct behind each field in turn, if all are there.
pub(super) fn inside<'t>(place: &Place<'_, 't>, path: &[&'static str], then: &mut dyn FnMut(&Place<'_, 't>)) {
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
pub(super) fn each<'t>(place: &Place<'_, 't>, field: &'static str, then: &mut dyn FnMut(&Place<'_, 't>)) {
    for (at, child) in place.structs(field).enumerate() {
        then(&place.below(field, Nth::At(at), child));
    }
}
