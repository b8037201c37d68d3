//! Groups of Kubernetes itself, whose definitions must say who approved them.

use crate::{api::schema::Object, request::status::FieldError};

const APPROVED: &str = "api-approved.kubernetes.io";

/// Groups of Kubernetes itself.
pub fn is_protected_group(group: &str) -> bool {
    let own = ["k8s.io", "kubernetes.io"];
    own.iter().any(|own| group == *own || group.strip_suffix(own).is_some_and(|rest| rest.ends_with('.')))
}

/// Status, reason and message of the condition that tells whether a definition in a protected group is approved.
pub fn approval(object: &Object) -> (&'static str, &'static str, String) {
    let annotation = object.annotation(APPROVED).unwrap_or_default();
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    if annotation.is_empty() {
        let message = format!("protected groups must have approval annotation \"{APPROVED}\", {see}");
        return ("False", "MissingAnnotation", message);
    }
    if annotation.starts_with("unapproved") {
        let shown = crate::request::status::go_quote(annotation);
        return ("False", "UnapprovedAnnotation", format!("not approved: {shown}"));
    }
    let url = annotation.split_once("://").filter(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if url.is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(' ')) {
        return ("True", "ApprovedAnnotation", format!("approved in {annotation}"));
    }
    let message = format!(
        "protected groups must have approval annotation \"{APPROVED}\" with either a URL or a reason starting with \"unapproved\", {see}"
    );
    ("False", "InvalidAnnotation", message)
}

/// Errors of what is missing or wrong, unless it was so before.
pub(super) fn validate(object: &Object, old: Option<&Object>) -> Vec<FieldError> {
    if !is_protected_group(object.get_str(&["spec", "group"]).unwrap_or_default()) {
        return Vec::new();
    }
    let (_, reason, message) = approval(object);
    if old.is_some_and(|old| approval(old).1 == reason) {
        return Vec::new();
    }
    let path = format!("metadata.annotations[{APPROVED}]");
    match reason {
        "InvalidAnnotation" => {
            vec![FieldError::invalid(path, object.annotation(APPROVED).unwrap_or_default(), message)]
        }
        "MissingAnnotation" => vec![FieldError::required(path, message)],
        _ => Vec::new(),
    }
}
