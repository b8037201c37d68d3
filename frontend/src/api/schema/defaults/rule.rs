//! What a row of defaults says, and how its functions look into a struct.

use crate::api::schema::{
    codec::Message,
    value::{Struct, Value},
};

/// One row. `at` is "core.v1.PodSpec": package without "api.", struct.
pub(super) struct Rule {
    pub(super) at: &'static str,
    /// Path from the struct, value when unset.
    pub(super) values: &'static [(&'static [&'static str], Default)],
    /// Runs before the values.
    pub(super) function: Option<fn(&mut Struct)>,
    /// Tells of a stored message that the function would change nothing; without it nobody can.
    pub(super) is_settled: Option<fn(&Message<'_>) -> bool>,
}

impl Rule {
    pub(super) const fn settled_if(self, is_settled: fn(&Message<'_>) -> bool) -> Rule {
        Rule { is_settled: Some(is_settled), ..self }
    }
}

pub(super) enum Default {
    Text(&'static str),
    Number(i64),
    Truth(bool),
    /// A pointer to an empty struct.
    Empty,
    Texts(&'static [&'static str]),
}

/// Text of a field, "" when unset.
pub(super) fn text<'a>(target: &'a Struct, path: &[&str]) -> &'a str {
    let first = path.first().and_then(|name| target.get(name));
    first.and_then(|first| first.at(&path[1..])).and_then(Value::as_str).unwrap_or("")
}

pub(super) fn is_set(target: &Struct, path: &[&str]) -> bool {
    path.first().and_then(|name| target.get(name)).is_some_and(|first| first.at(&path[1..]).is_some())
}

/// The structs of a list field.
pub(super) fn each<'a>(target: &'a mut Struct, path: &[&str]) -> impl Iterator<Item = &'a mut Struct> {
    let first = path.first().and_then(|name| target.get_mut(name));
    let list = first.and_then(|first| first.at_mut(&path[1..])).and_then(Value::as_list_mut);
    list.into_iter().flatten().filter_map(Value::as_struct_mut)
}
