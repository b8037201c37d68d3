//! Validation of objects before they are stored, with the exact errors of kube-apiserver.
//!
//! In: an object, and what it replaces. Out: a list of field errors. Not here: decoding errors (schema), admission.

mod check;
mod cron;
pub mod custom;
#[cfg(test)]
mod custom_corpus;
pub mod definitions;
mod diff;
mod error_list;
mod forms;
mod internal_types;
mod kinds;
mod meta;
pub use crate::api::schema::scalar::names;
mod field_path;
mod orders;
mod print;
mod rule;
mod rules;
mod selecting;
mod updates;
mod walk;
mod warnings;

pub use error_list::Options;
pub use meta::field_manager;

use self::{
    error_list::ErrorList,
    field_path::FieldPath,
    kinds::Metadata,
    updates::{Changes, First},
    walk::{Part, validate_object},
};
use crate::{
    api::schema::{MapValue, Object, Value, convert::as_stored},
    request::status::FieldError,
};

const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// Validates a new object. `row` is the group and plural of its resource.
pub fn validate_create(row: (&str, &str), namespaced: bool, object: &Object, options: Options) -> Vec<FieldError> {
    if row == DEFINITIONS {
        return definitions::validate_create(object);
    }
    let stored = as_stored(object);
    let mut errors = ErrorList::new(options, None, walk::visit);
    errors.extend(new_metadata(row, namespaced, object));
    validate_object(stored.as_ref().unwrap_or(object), Part::Main, &mut errors);
    match errors.into_vec() {
        none if none.is_empty() => meta::validate(object, namespaced, names::path_segment_name),
        some => some,
    }
}

/// The metadata of a new object by the rules of its kind.
fn new_metadata(row: (&str, &str), namespaced: bool, object: &Object) -> Vec<FieldError> {
    let kind = kinds::find(row);
    if kind.metadata == Metadata::Unchecked {
        return Vec::new();
    }
    let mut errors = if kind.validates_prefix { meta::prefix(object, kind.name) } else { Vec::new() };
    errors.extend(meta::validate_named(object, namespaced, kind.name));
    if kind.metadata == Metadata::WithFinalizers && object.ty().custom.is_none() {
        errors.extend(kinds::finalizers(object));
    }
    errors
}

/// Validates a changed object. A change of a subresource is validated by that subresource's rules.
pub fn validate_update(
    row: (&str, &str),
    subresource: &str,
    namespaced: bool,
    object: &Object,
    old: &Object,
    options: Options,
) -> Vec<FieldError> {
    match (row, subresource) {
        (DEFINITIONS, "") => return definitions::validate_update(object, old),
        (DEFINITIONS, _) => return definitions::validate_status_update(object, old),
        _ => {}
    }
    let rules = updates::find(row, subresource);
    let (stored, stored_old) = (as_stored(object), as_stored(old));
    let mut errors = ErrorList::new(options, Some(stored_old.as_ref().unwrap_or(old)), walk::visit);
    // First what is asked of every kind, then what the kind itself asks, which is partly the same: causes show it.
    errors.extend(meta::validate(object, namespaced, names::path_segment_name));
    errors.extend(meta::validate_update(object, old));
    if rules.changes != Changes::Unchecked {
        errors.extend(meta::validate_update(object, old));
    }
    if rules.changes == Changes::WithFinalizers && object.ty().custom.is_none() {
        errors.extend(kinds::finalizers(object));
    }
    for _ in 0..rules.metadata_again {
        errors.extend(new_metadata(row, namespaced, object));
    }
    let (object, old) = (stored.as_ref().unwrap_or(object), stored_old.as_ref().unwrap_or(old));
    if rules.first == First::Change {
        updates::validate_change(rules, object, old, &mut errors);
    }
    for part in rules.validated {
        validate_object(object, *part, &mut errors);
    }
    if rules.first == First::Object {
        updates::validate_change(rules, object, old, &mut errors);
    }
    errors.into_vec()
}

/// What is wrong with the addresses and families of a Service, which the rest of it depends on.
pub fn service_addresses(service: &Object, old: Option<&Object>) -> Vec<FieldError> {
    let mut errors = ErrorList::new(Options::default(), old, walk::visit);
    rules::service_addresses(&FieldPath::root(service.root()), &mut errors);
    errors.into_vec()
}

/// An address as Kubernetes has always read it: with leading zeros, and mapped into IPv6.
pub fn parse_address(text: &str) -> Option<std::net::IpAddr> {
    forms::parse_ip(text)
}

/// Whether a label selector of an object selects these labels. None, and one that cannot be read, selects nothing.
pub fn selects(selector: Option<&Value>, labels: &MapValue) -> bool {
    let parsed = selector.and_then(Value::as_struct).map(selecting::parse);
    matches!(parsed, Some(Ok(selector)) if selector.matches(Some(labels)))
}

/// What the client is warned of.
pub fn warnings(row: (&str, &str), subresource: &str, object: &Object, old: Option<&Object>) -> Vec<String> {
    match row {
        DEFINITIONS if subresource.is_empty() => definitions::warnings(object, old),
        _ if is_custom(object) && subresource.is_empty() => custom::warnings(object, old),
        row => warnings::warnings(row, subresource, object, old),
    }
}

fn is_custom(object: &Object) -> bool {
    object.ty().custom.is_some()
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
