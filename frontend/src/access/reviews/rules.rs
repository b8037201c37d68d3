//! What somebody may do in a namespace, as far as authorizers can tell.

use serde_json::{Value, json};

use crate::{
    access::Access,
    api::schema::Object,
    request::{User, status::ApiError},
};

pub(super) fn answer(access: &Access, review: &Object, asker: &User) -> Result<Value, ApiError> {
    let namespace = review.get_str(&["spec", "namespace"]).unwrap_or_default();
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let all = access.authorization.rules_of(asker, namespace);
    let (mut resource_rules, mut other_rules) = (Vec::new(), Vec::new());
    for rule in &all.rules {
        if !rule.resources.is_empty() {
            let mut shown = json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources});
            if !rule.names.is_empty() {
                shown["resourceNames"] = json!(rule.names);
            }
            resource_rules.push(shown);
        }
        if !rule.urls.is_empty() {
            other_rules.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.urls}));
        }
    }
    let mut status = json!({
        "resourceRules": resource_rules,
        "nonResourceRules": other_rules,
        "incomplete": all.incomplete,
    });
    if let Some(error) = all.error {
        status["evaluationError"] = json!(error);
    }
    Ok(status)
}
