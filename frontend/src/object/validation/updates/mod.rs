//! What an update may not change, as rows by resource: fields that never change, and functions for changes that depend
//! on more. In: an object and what it replaces. Out: errors. Not here: metadata (`meta`), what holds for new
//! objects too (`rules`).

mod core;
mod jobs;
mod roles;
mod rows;
mod services;
mod subresources;

use super::{
    diff,
    error_list::ErrorList,
    field_path::FieldPath,
    meta::IMMUTABLE,
    print::{printed, printed_field},
    walk::Part,
};
use crate::{
    api::schema::{Object, Value},
    object::equality::same_at,
    request::status::FieldError,
};

pub(super) use rows::find;

/// Validates a change; the path is that of the whole object.
pub(super) type Change = for<'t> fn(&FieldPath<'_, 't>, &'t Object, &'t Object, &mut ErrorList<'t>);

/// One resource, or one of its subresources.
pub(super) struct Row {
    group: &'static str,
    plural: &'static str,
    subresource: &'static str,
    /// Which parts are validated by the rules for new objects. The real server asks some rules twice; its causes show
    /// it.
    pub(super) validated: &'static [Part],
    /// How often the kind's own rules validate metadata as that of a new object.
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

/// How the kind's own rules validate changes of metadata, beside the generic ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    Unchecked,
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

/// Validates what has changed.
pub(super) fn validate_change<'t>(row: &Row, object: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    for frozen in row.frozen {
        let path = match frozen {
            Field(path) | Called(path, _) | Forbidden(path, _) => path,
        };
        if same_at(object, old, path) {
            continue;
        }
        errors.push(match frozen {
            Field(path) => FieldError::invalid_value(path.join("."), shown(object, path), IMMUTABLE),
            Called(_, name) => FieldError::invalid_value(*name, shown(object, path), IMMUTABLE),
            Forbidden(path, why) => FieldError::forbidden(path.join("."), *why),
        });
    }
    if let Some(function) = row.function {
        function(&FieldPath::root(object.root()), object, old, errors);
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
