//! Judgements of objects before they are stored, with the exact complaints of kube-apiserver.
//!
//! In: an object, and what it replaces. Out: a list of field errors. Not here: decoding errors (schema), admission.

mod kinds;
mod meta;
pub mod names;
mod pods;
mod services;
mod workloads;

use crate::{schema::Object, status::FieldError};

/// Judges a new object. `row` is the group and plural of its resource.
pub fn validate_create(row: (&str, &str), namespaced: bool, object: &Object) -> Vec<FieldError> {
    let mut errors = kinds::replaces_metadata_check(row)
        .then(Vec::new)
        .unwrap_or_else(|| meta::validate(object, namespaced, kinds::name_rule(row)));
    if !custom(object) {
        errors.extend(kinds::finalizers(object));
    }
    errors.extend(kinds::validate(row, object));
    if errors.is_empty() {
        errors = meta::validate(object, namespaced, names::path_segment_name);
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
) -> Vec<FieldError> {
    let mut errors = meta::validate(object, namespaced, names::path_segment_name);
    // Twice: the real server asks both its generic and its specific rules, and causes show it.
    errors.extend(meta::validate_update(object, old));
    errors.extend(meta::validate_update(object, old));
    if subresource.is_empty() {
        errors.extend(kinds::validate_update(row, object, old));
    }
    errors
}

/// What the client is warned of.
pub fn warnings(row: (&str, &str), object: &Object) -> Vec<String> {
    kinds::warnings(row, object)
}

fn custom(object: &Object) -> bool {
    object.ty().custom
}
