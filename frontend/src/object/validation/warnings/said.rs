//! The warnings so far, and the way to the structs that they are about.

use super::super::field_path::{FieldPath, Nth};
use crate::api::schema::scalar::quantity::Quantity;

/// The warnings so far.
#[derive(Default)]
pub(super) struct Said(pub(super) Vec<String>);

impl Said {
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    pub(super) fn at(&mut self, path: &FieldPath<'_, '_>, field: &str, text: impl std::fmt::Display) {
        self.0.push(format!("{}: {text}", path.to(field)));
    }

    /// An amount of bytes that is none.
    pub(super) fn fraction(&mut self, path: &FieldPath<'_, '_>, amounts: &str, resource: &str, shown: &str) {
        let amount = path.at(&[amounts, resource]).and_then(|value| value.as_str()).unwrap_or_default();
        if Quantity::parse(amount).is_ok_and(|quantity| quantity.milli_units() % 1000 != 0) {
            self.at(path, shown, format_args!("fractional byte value \"{amount}\" is invalid, must be an integer"));
        }
    }
}

/// Calls with the struct behind each field in turn, if all are there.
pub(super) fn inside<'t>(path: &FieldPath<'_, 't>, fields: &[&'static str], then: &mut dyn FnMut(&FieldPath<'_, 't>)) {
    match fields.split_first() {
        None => then(path),
        Some((field, rest)) => {
            if let Some(child) = path.child(field) {
                inside(&path.below(field, Nth::Only, child), rest, then);
            }
        }
    }
}

/// Calls with every struct of a list.
pub(super) fn each<'t>(path: &FieldPath<'_, 't>, field: &'static str, then: &mut dyn FnMut(&FieldPath<'_, 't>)) {
    for (at, child) in path.structs(field).enumerate() {
        then(&path.below(field, Nth::Index(at), child));
    }
}
