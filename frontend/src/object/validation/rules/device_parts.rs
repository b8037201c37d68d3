//! What claims of devices and slices of them have in common: bounded lists, sets, names of pools and of attributes.

use super::{
    super::{
        forms,
        judge::Judge,
        names,
        place::{Nth, Place},
    },
    resources::text,
};
use crate::{api::schema::Struct, request::status::go_quote};

/// Whether a list is short enough to be looked into; one that is not is not looked into at all.
pub(super) fn bounded<'t>(place: &Place<'_, 't>, field: &'static str, max: usize, judge: &mut Judge<'t>) -> bool {
    let count = place.list(field).len();
    if count > max {
        judge.too_many(place, field, count, max);
        judge.settle(field);
    }
    count <= max
}

/// Judges the items of a list, then says which of them are there twice.
pub(super) fn set<'t>(
    place: &Place<'_, 't>,
    field: &'static str,
    max: usize,
    key: impl Fn(&'t Struct) -> String,
    judge: &mut Judge<'t>,
) {
    if !bounded(place, field, max, judge) {
        return;
    }
    judge.settle(field);
    let mut seen: Vec<String> = Vec::new();
    let mut twice = Vec::new();
    for (at, item) in place.structs(field).enumerate() {
        judge.visit(&place.below(field, Nth::At(at), item));
        let key = key(item);
        if seen.contains(&key) {
            twice.push((at, key));
        } else {
            seen.push(key);
        }
    }
    for (at, key) in twice {
        judge.duplicate_as(place, &format!("{field}[{at}]"), key);
    }
}

/// The key of items that are told apart by their name.
pub(super) fn by_text(field: &'static str) -> impl for<'t> Fn(&'t Struct) -> String {
    move |item| go_quote(text(item, field))
}

fn c_identifier<'t>(place: &Place<'_, 't>, field: &str, name: &str, judge: &mut Judge<'t>) {
    const BYTES_MAX: usize = 32;
    if name.len() > BYTES_MAX {
        judge.too_long(place, field, BYTES_MAX);
    }
    judge.complain(place, field, name, forms::c_identifier(name));
}

/// `name`, or `domain/name`. More slashes are let pass, as the real server lets them.
pub(super) fn qualified<'t>(place: &Place<'_, 't>, field: &str, name: &str, judge: &mut Judge<'t>) {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [name] => c_identifier(place, field, name, judge),
        [domain, name] => {
            if domain.is_empty() {
                judge.invalid(place, field, "", "the domain must not be empty");
            } else {
                if domain.len() > 63 {
                    judge.too_long(place, field, 63);
                }
                judge.complain(place, field, domain, forms::driver(domain));
            }
            if name.is_empty() {
                judge.invalid(place, field, "", "the name must not be empty");
            } else {
                c_identifier(place, field, name, judge);
            }
        }
        _ => {}
    }
}

pub(super) fn pool_name<'t>(place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
    const BYTES_MAX: usize = 253;
    let name = place.text(field);
    if name.is_empty() {
        return judge.required(place, field, "");
    }
    if name.len() > BYTES_MAX {
        judge.too_long(place, field, BYTES_MAX);
    }
    for part in name.split('/') {
        judge.complain(place, field, part, names::dns_1123_subdomain(part));
    }
}
