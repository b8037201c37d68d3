//! What claims of devices and slices of them have in common: bounded lists, sets, names of pools and of attributes.

use super::{
    super::{
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, names,
    },
    resources::text,
};
use crate::{api::schema::Struct, request::status::go_quote};

/// Whether a list is short enough to be looked into; one that is not is not looked into at all.
pub(super) fn bounded<'t>(
    path: &FieldPath<'_, 't>,
    field: &'static str,
    max: usize,
    errors: &mut ErrorList<'t>,
) -> bool {
    let count = path.list(field).len();
    if count > max {
        errors.too_many(path, field, count, max);
        errors.skip(field);
    }
    count <= max
}

/// Validates the items of a list, then says which of them are there twice.
pub(super) fn set<'t>(
    path: &FieldPath<'_, 't>,
    field: &'static str,
    max: usize,
    key: impl Fn(&'t Struct) -> String,
    errors: &mut ErrorList<'t>,
) {
    if !bounded(path, field, max, errors) {
        return;
    }
    errors.skip(field);
    let mut seen: Vec<String> = Vec::new();
    let mut twice = Vec::new();
    for (at, item) in path.structs(field).enumerate() {
        errors.visit(&path.below(field, Nth::Index(at), item));
        let key = key(item);
        if seen.contains(&key) {
            twice.push((at, key));
        } else {
            seen.push(key);
        }
    }
    for (at, key) in twice {
        errors.duplicate_as(path, &format!("{field}[{at}]"), key);
    }
}

/// The key of items that are told apart by their name.
pub(super) fn by_text(field: &'static str) -> impl for<'t> Fn(&'t Struct) -> String {
    move |item| go_quote(text(item, field))
}

fn c_identifier<'t>(path: &FieldPath<'_, 't>, field: &str, name: &str, errors: &mut ErrorList<'t>) {
    const BYTES_MAX: usize = 32;
    if name.len() > BYTES_MAX {
        errors.too_long(path, field, BYTES_MAX);
    }
    errors.invalid_each(path, field, name, forms::c_identifier(name));
}

/// `name`, or `domain/name`. More slashes are let pass, as the real server lets them.
pub(super) fn qualified<'t>(path: &FieldPath<'_, 't>, field: &str, name: &str, errors: &mut ErrorList<'t>) {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [name] => c_identifier(path, field, name, errors),
        [domain, name] => {
            if domain.is_empty() {
                errors.invalid(path, field, "", "the domain must not be empty");
            } else {
                if domain.len() > 63 {
                    errors.too_long(path, field, 63);
                }
                errors.invalid_each(path, field, domain, forms::driver(domain));
            }
            if name.is_empty() {
                errors.invalid(path, field, "", "the name must not be empty");
            } else {
                c_identifier(path, field, name, errors);
            }
        }
        _ => {}
    }
}

pub(super) fn pool_name<'t>(path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
    const BYTES_MAX: usize = 253;
    let name = path.text(field);
    if name.is_empty() {
        return errors.required(path, field, "");
    }
    if name.len() > BYTES_MAX {
        errors.too_long(path, field, BYTES_MAX);
    }
    for part in name.split('/') {
        errors.invalid_each(path, field, part, names::dns_1123_subdomain(part));
    }
}
