//! Signers of certificates.

use super::super::{judge::Judge, names, place::Place};

const DOMAIN_MAX: usize = 253;
const PATH_MAX: usize = 253 + 63 + 1;

/// `example.com/signer-name`.
pub(super) fn signer_name<'t>(place: &Place<'_, 't>, field: &str, name: &str, judge: &mut Judge<'t>) {
    if name.is_empty() {
        return judge.required(place, field, "");
    }
    let (domain, path) = match name.split('/').collect::<Vec<_>>().as_slice() {
        [domain, path] => (*domain, *path),
        _ => {
            let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            return judge.invalid(place, field, name, detail);
        }
    };
    if domain.len() > DOMAIN_MAX {
        judge.too_long(place, field, DOMAIN_MAX);
    }
    labels(place, field, domain, names::dns_1123_label, judge);
    if !domain.contains('.') {
        judge.invalid(place, field, domain, "should be a domain with at least two segments separated by dots");
    }
    labels(place, field, path, names::dns_1123_subdomain, judge);
    if name.len() > DOMAIN_MAX + PATH_MAX + 1 {
        judge.too_long(place, field, DOMAIN_MAX + PATH_MAX + 1);
    }
}

/// The first bad label of a dotted text.
fn labels<'t>(place: &Place<'_, 't>, field: &str, text: &str, form: fn(&str) -> Vec<String>, judge: &mut Judge<'t>) {
    let bad = text.split('.').map(|label| (label, form(label))).find(|(_, complaints)| !complaints.is_empty());
    for (label, complaint) in bad.into_iter().flat_map(|(label, all)| all.into_iter().map(move |one| (label, one))) {
        let detail = format!("validating label {}: {complaint}", crate::request::status::go_quote(label));
        judge.invalid(place, field, text, detail);
    }
}
