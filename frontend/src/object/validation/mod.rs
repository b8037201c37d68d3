//! Judgements of objects before they are stored, with the exact complaints of kube-apiserver.
//!
//! In: an object, and what it replaces. Out: a list of field errors. Not here: decoding errors (schema), admission.

mod check;
mod cron;
pub mod custom;
#[cfg(test)]
mod custom_corpus;
pub mod definitions;
mod diff;
mod forms;
mod internal_types;
mod judge;
mod kinds;
mod meta;
pub use crate::api::schema::scalar::names;
mod orders;
mod place;
mod print;
mod rule;
mod rules;
mod selecting;
mod updates;
mod walk;
mod warnings;

pub use judge::Options;
pub use meta::field_manager;

use self::{
    judge::Judge,
    kinds::Metadata,
    updates::{Changes, First},
    walk::{Part, judge_object},
};
use crate::{
    api::schema::{MapValue, Object, Value, convert::as_stored},
    request::status::FieldError,
};

const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// Judges a new object. `row` is the group and plural of its resource.
pub fn validate_create(row: (&str, &str), namespaced: bool, object: &Object, options: Options) -> Vec<FieldError> {
    if row == DEFINITIONS {
        return definitions::validate_create(object);
    }
    let mut errors = new_metadata(row, namespaced, object);
    let stored = as_stored(object);
    let mut judge = Judge::new(options, None, walk::visit);
    judge_object(stored.as_ref().unwrap_or(object), Part::Main, &mut judge);
    errors.append(&mut judge.errors);
    if errors.is_empty() {
        errors = meta::validate(object, namespaced, names::path_segment_name);
    }
    errors
}

/// The metadata of a new object by the rules of its kind.
fn new_metadata(row: (&str, &str), namespaced: bool, object: &Object) -> Vec<FieldError> {
    let kind = kinds::find(row);
    if kind.metadata == Metadata::Unjudged {
        return Vec::new();
    }
    let mut errors = if kind.judges_prefix { meta::prefix(object, kind.name) } else { Vec::new() };
    errors.extend(meta::validate_named(object, namespaced, kind.name));
    if kind.metadata == Metadata::WithFinalizers && object.ty().custom.is_none() {
        errors.extend(kinds::finalizers(object));
    }
    errors
}

/// Judges a changed object. A change of a subresource is judged by that subresource's rules.
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
    // First what is asked of every kind, then what the kind itself asks, which is partly the same: causes show it.
    let mut errors = meta::validate(object, namespaced, names::path_segment_name);
    errors.extend(meta::validate_update(object, old));
    let rules = updates::find(row, subresource);
    if rules.changes != Changes::Unjudged {
        errors.extend(meta::validate_update(object, old));
    }
    if rules.changes == Changes::WithFinalizers && object.ty().custom.is_none() {
        errors.extend(kinds::finalizers(object));
    }
    for _ in 0..rules.metadata_again {
        errors.extend(new_metadata(row, namespaced, object));
    }
    let (stored, stored_old) = (as_stored(object), as_stored(old));
    let (object, old) = (stored.as_ref().unwrap_or(object), stored_old.as_ref().unwrap_or(old));
    let mut judge = Judge::new(options, Some(old), walk::visit);
    if rules.first == First::Change {
        updates::judge_change(rules, object, old, &mut judge);
    }
    for part in rules.judged {
        judge_object(object, *part, &mut judge);
    }
    if rules.first == First::Object {
        updates::judge_change(rules, object, old, &mut judge);
    }
    errors.append(&mut judge.errors);
    errors
}

/// What is wrong with the addresses and families of a Service, which the rest of it depends on.
pub fn service_addresses(service: &Object, old: Option<&Object>) -> Vec<FieldError> {
    let mut judge = Judge::new(Options::default(), old, walk::visit);
    rules::service_addresses(&place::Place::root(service.root()), &mut judge);
    judge.errors
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
