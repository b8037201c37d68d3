//! What clients are warned of: values that are taken, and will not do what they seem to.
//!
//! In: an object that was found valid, and what it replaces. Out: texts. Not here: warnings of decoding.

mod addresses;
mod paths;
mod pods;
mod rows;
mod said;

use self::said::{Said, each, inside};
use super::field_path::FieldPath;
use crate::api::schema::{Object, Struct};

/// What the client is to be warned of. `row` is the group and plural of the resource.
pub(super) fn warnings(row: (&str, &str), subresource: &str, object: &Object, old: Option<&Object>) -> Vec<String> {
    let mut said = Said::default();
    let before: Option<&Struct> = old.map(Object::root);
    let moved = old.is_none_or(|old| old.generation() != object.generation());
    for entry in rows::ROWS.iter().filter(|entry| entry.concerns(row, subresource)) {
        if entry.when.holds(old.is_some(), moved) {
            inside(&FieldPath::root(object.root()), entry.at, &mut |path| (entry.warn)(path, before, &mut said));
        }
    }
    said.0
}

#[cfg(test)]
mod tests;
