//! Workloads: their selector and the template of their pods.

use super::{meta::json, pods};
use crate::{
    schema::{Object, Value},
    status::FieldError,
    strategy::same,
};

pub(super) fn validate(row: (&str, &str), object: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(replicas) = object.get_i64(&["spec", "replicas"]).filter(|n| *n < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid_value("spec.replicas", replicas, detail));
    }
    let selector = object.get(&["spec", "selector"]);
    let template = object.get(&["spec", "template"]);
    let plain = row.0.is_empty();
    match selector {
        None => errors.push(FieldError::required("spec.selector", "")),
        Some(selector) if !plain && is_empty(selector) => {
            let kind = if row.1 == "replicasets" { "deployment" } else { row.1.trim_end_matches('s') };
            let detail = format!("empty selector is invalid for {kind}");
            errors.push(FieldError::invalid_value("spec.selector", json(selector), detail));
        }
        Some(_) => {}
    }
    let labels = template.and_then(|t| t.at(&["metadata", "labels"]));
    let matches = if plain { selects_all(selector, labels) } else { selects(selector, labels) };
    if !matches && !selector.is_some_and(is_empty) {
        let printed = labels.map_or("null".to_owned(), json);
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid_value("spec.template.metadata.labels", printed, detail));
    }
    errors.extend(pods::validate_template(template, "spec.template"));
    let policy = template.and_then(|t| t.at(&["spec", "restartPolicy"])).and_then(Value::as_str);
    if let Some(policy) = policy.filter(|p| *p != "Always") {
        errors.push(FieldError::not_supported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
    errors
}

fn is_empty(selector: &Value) -> bool {
    let has_labels = selector.child("matchLabels").and_then(Value::as_map).is_some_and(|m| !m.is_empty());
    let has_expressions = selector.child("matchExpressions").and_then(Value::as_list).is_some_and(|l| !l.is_empty());
    !has_labels && !has_expressions && !matches!(selector, Value::Map(m) if !m.is_empty())
}

/// The old form: labels that must all be there.
fn selects_all(selector: Option<&Value>, labels: Option<&Value>) -> bool {
    let Some(Value::Map(wanted)) = selector else { return false };
    wanted.iter().all(|(key, value)| labels.and_then(|l| l.child(key)) == Some(value))
}

/// No selector selects nothing.
pub(super) fn selects(selector: Option<&Value>, labels: Option<&Value>) -> bool {
    let Some(selector) = selector else { return false };
    let label = |key: &str| labels.and_then(|l| l.child(key)).and_then(Value::as_str);
    let by_label = selector.child("matchLabels").and_then(Value::as_map);
    let plain = by_label.is_none_or(|m| m.iter().all(|(key, value)| label(key) == value.as_str()));
    let expressions = selector.child("matchExpressions").and_then(Value::as_list).unwrap_or_default();
    plain
        && expressions.iter().all(|e| {
            let text = |name| e.child(name).and_then(Value::as_str).unwrap_or_default();
            let values = e.child("values").and_then(Value::as_list).unwrap_or_default();
            let found = label(text("key"));
            let listed = found.is_some_and(|f| values.iter().any(|v| v.as_str() == Some(f)));
            match text("operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}

/// Most of a StatefulSet is fixed.
pub(super) fn stateful_set_change(object: &Object, old: &Object) -> Vec<FieldError> {
    const MAY_CHANGE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let mut judged = object.clone();
    for field in MAY_CHANGE {
        judged.copy_from(old, &["spec", field]);
    }
    if same(judged.get(&["spec"]), old.get(&["spec"])) {
        return Vec::new();
    }
    let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    vec![FieldError::forbidden("spec", detail)]
}
