//! Judgements of objects before they are stored, with the exact complaints of kube-apiserver.
//!
//! In: an object, and what it replaces. Out: a list of field errors. Not here: decoding errors (schema), admission.

mod check;
mod cron;
pub mod definitions;
mod forms;
mod internal_types;
mod judge;
mod kinds;
mod meta;
pub use crate::api::schema::scalar::names;
mod place;
mod print;
mod rules;
mod selecting;
mod updates;
mod walk;

pub use judge::Options;
pub use meta::field_manager;

use self::{
    judge::Judge,
    place::Place,
    walk::{Part, judge_object},
};
use crate::{api::schema::Object, request::status::FieldError};

/// Judges a new object. `row` is the group and plural of its resource.
pub fn validate_create(row: (&str, &str), namespaced: bool, object: &Object, options: Options) -> Vec<FieldError> {
    let mut errors = kinds::replaces_metadata_check(row)
        .then(Vec::new)
        .unwrap_or_else(|| meta::validate(object, namespaced, kinds::name_rule(row)));
    if !custom(object) {
        errors.extend(kinds::finalizers(object));
    }
    errors.extend(kinds::validate(row, object));
    let mut judge = Judge::new(options, None);
    judge_object(object, Part::Main, &mut judge);
    errors.append(&mut judge.errors);
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
    options: Options,
) -> Vec<FieldError> {
    let mut errors = meta::validate(object, namespaced, names::path_segment_name);
    // Twice: the real server asks both its generic and its specific rules, and causes show it.
    errors.extend(meta::validate_update(object, old));
    errors.extend(meta::validate_update(object, old));
    if subresource.is_empty() {
        let rules = updates::find(row);
        let mut judge = Judge::new(options, Some(old));
        errors.extend(kinds::validate_update(row, object, old));
        for _ in 0..rules.rejudged {
            errors.extend(kinds::validate(row, object));
            judge_object(object, Part::Main, &mut judge);
        }
        updates::judge_change(rules, object, old, &mut judge);
        errors.append(&mut judge.errors);
        return errors;
    }
    let mut judge = Judge::new(options, Some(old));
    let place = Place::root(object.root());
    match subresource {
        "status" => judge_object(object, Part::Status, &mut judge),
        "ephemeralcontainers" => {
            judge_object(object, Part::Main, &mut judge);
            updates::subresources::ephemeral_containers(&place, old, &mut judge);
        }
        "resize" => {
            judge_object(object, Part::Main, &mut judge);
            updates::subresources::resize(&place, object, old, &mut judge);
        }
        "finalize" => rules::finalizers(&place, &mut judge),
        _ => {}
    }
    errors.append(&mut judge.errors);
    errors
}

/// What the client is warned of.
pub fn warnings(row: (&str, &str), object: &Object) -> Vec<String> {
    kinds::warnings(row, object)
}

fn custom(object: &Object) -> bool {
    object.ty().custom.is_some()
}

#[cfg(test)]
mod tests;
