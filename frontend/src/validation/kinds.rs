//! The rules of single kinds, chosen by the row of their resource.

use super::names::{self, NameRule};
use crate::{schema::Object, status::FieldError};

/// The form of names.
pub(super) fn name_rule(row: (&str, &str)) -> NameRule {
    match row {
        ("", "namespaces") | ("apps", "statefulsets") => names::label_name,
        ("", "services") => names::label_1035_name,
        ("rbac.authorization.k8s.io", _) | ("apiregistration.k8s.io", _) => names::path_segment_name,
        ("certificates.k8s.io", _) | ("", "events") | ("events.k8s.io", _) => names::any_name,
        _ => names::subdomain_name,
    }
}

/// Events are judged by rules of their own alone.
pub(super) fn replaces_metadata_check(row: (&str, &str)) -> bool {
    matches!(row, ("", "events") | ("events.k8s.io", "events"))
}

pub(super) fn validate(_row: (&str, &str), _object: &Object) -> Vec<FieldError> {
    Vec::new()
}

pub(super) fn validate_update(_row: (&str, &str), _object: &Object, _old: &Object) -> Vec<FieldError> {
    Vec::new()
}

pub(super) fn warnings(_row: (&str, &str), _object: &Object) -> Vec<String> {
    Vec::new()
}
