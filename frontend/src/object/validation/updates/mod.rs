//! What an update may not change, as rows by resource: fields that never change, and functions for changes that depend
//! on more. In: an object and what it replaces. Out: complaints. Not here: metadata (`meta`), what holds for new
//! objects too (`rules`).

mod core;
mod jobs;
mod roles;
mod rows;
mod services;
mod subresources;

use super::{
    diff,
    judge::Judge,
    meta::IMMUTABLE,
    place::Place,
    print::{printed, printed_field},
    walk::Part,
};
use crate::{
    api::schema::{Object, Value},
    object::equality::same_at,
    request::status::FieldError,
};

pub(super) use rows::find;

/// Judges a change; the object is at the place's root.
pub(super) type Change = for<'t> fn(&Place<'_, 't>, &'t Object, &'t Object, &mut Judge<'t>);

/// One resource, or one of its subresources.
pub(super) struct Row {
    group: &'static str,
    plural: &'static str,
    subresource: &'static str,
    /// Which parts are judged by the rules for new objects. The real server asks some rules twice; its causes show it.
    pub(super) judged: &'static [Part],
    /// How often the kind's own rules judge metadata as that of a new object.
    pub(super) metadata_again: u8,
    pub(super) changes: Changes,
    pub(super) first: First,
    frozen: &'static [Frozen],
    function: Option<Change>,
}

/// What causes name first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// What holds for new objects too.
    Object,
    /// What has changed.
    Change,
}

/// How the kind's own rules judge changes of metadata, beside the generic ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    Unjudged,
    /// By the API machinery's rules.
    ByMachinery,
    /// By those and the names of finalizers.
    WithFinalizers,
}

/// A field that never changes.
enum Frozen {
    /// Path in the object.
    Field(&'static [&'static str]),
    /// Path in the object, and what errors call it.
    Called(&'static [&'static str], &'static str),
    /// Path in the object, and why it may not.
    Forbidden(&'static [&'static str], &'static str),
}

use Frozen::{Called, Field, Forbidden};

/// Judges what has changed.
pub(super) fn judge_change<'t>(row: &Row, object: &'t Object, old: &'t Object, judge: &mut Judge<'t>) {
    for frozen in row.frozen {
        let path = match frozen {
            Field(path) | Called(path, _) | Forbidden(path, _) => path,
        };
        if same_at(object, old, path) {
            continue;
        }
        judge.push(match frozen {
            Field(path) => FieldError::invalid_value(path.join("."), shown(object, path), IMMUTABLE),
            Called(_, name) => FieldError::invalid_value(*name, shown(object, path), IMMUTABLE),
            Forbidden(path, why) => FieldError::forbidden(path.join("."), *why),
        });
    }
    if let Some(function) = row.function {
        function(&Place::root(object.root()), object, old, judge);
    }
}

/// A value as it is printed; of a plain field that is not there, Go's zero.
fn shown(object: &Object, path: &[&str]) -> String {
    let value = object.get(path);
    let mut def = object.root().def();
    let Some((last, parents)) = path.split_last() else { return printed(value) };
    for name in parents {
        match def.field(name).and_then(|field| field.struct_ref()) {
            Some(inner) => def = inner,
            None => return printed(value),
        }
    }
    def.field(last).map_or_else(|| printed(value), |field| printed_field(field, value))
}

/// Texts of a list.
fn texts(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str).collect()
}
