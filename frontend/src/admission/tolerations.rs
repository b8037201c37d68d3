//! Tolerations of pods: lists of them joined, and checked against a list of what is allowed.

use crate::api::schema::Value;

fn text<'a>(toleration: &'a Value, field: &str) -> &'a str {
    toleration.child(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether whatever `narrow` tolerates, `wide` does.
fn covers(wide: &Value, narrow: &Value) -> bool {
    if wide == narrow {
        return true;
    }
    let exists = text(wide, "operator") == "Exists";
    if text(wide, "key") != text(narrow, "key") && !(text(wide, "key").is_empty() && exists) {
        return false;
    }
    let effect = text(wide, "effect");
    if effect != text(narrow, "effect") && !effect.is_empty() {
        return false;
    }
    let seconds = |toleration: &Value| toleration.child("tolerationSeconds").and_then(Value::as_i64);
    if let ("NoExecute", Some(limit)) = (effect, seconds(wide))
        && seconds(narrow).is_none_or(|wish| wish > limit)
    {
        return false;
    }
    match text(wide, "operator") {
        "Exists" => true,
        "Equal" | "" => text(narrow, "operator") == "Equal" && text(narrow, "value") == text(wide, "value"),
        _ => false,
    }
}

/// Both lists, without what others in them cover.
pub(super) fn merge(first: &[Value], second: &[Value]) -> Vec<Value> {
    let all: Vec<&Value> = first.iter().chain(second).collect();
    let mut merged: Vec<Value> = Vec::with_capacity(all.len());
    for (at, toleration) in all.iter().enumerate() {
        let before = merged.iter().any(|other| covers(other, toleration));
        let after = all[at + 1..].iter().any(|other| other != toleration && covers(other, toleration));
        if !before && !after {
            merged.push((*toleration).clone());
        }
    }
    merged
}

/// Whether every toleration is covered by one that is allowed. No list allows everything.
pub(super) fn allowed(tolerations: &[Value], allowed: &[Value]) -> bool {
    allowed.is_empty() || tolerations.iter().all(|toleration| allowed.iter().any(|wide| covers(wide, toleration)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::schema::{Schema, codec};

    fn list(json: serde_json::Value) -> Vec<Value> {
        let pod = Schema::builtin().kind("", "v1", "Pod").unwrap();
        let text = json!({"spec": {"tolerations": json}}).to_string();
        let decoded = codec::decode_json_as(&pod, text.as_bytes()).unwrap();
        decoded.object.get_list(&["spec", "tolerations"]).unwrap_or_default().to_vec()
    }

    #[test]
    fn what_another_covers_is_left_out() {
        let narrow = json!([{"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}]);
        let wide = json!([{"key": "a", "operator": "Exists"}]);
        let short = json!([{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]);
        for (first, second, merged) in
            [(&narrow, &wide, &wide), (&wide, &narrow, &wide), (&narrow, &narrow, &narrow), (&short, &wide, &wide)]
        {
            assert_eq!(merge(&list(first.clone()), &list(second.clone())), list(merged.clone()));
        }
        assert_eq!(merge(&list(narrow.clone()), &list(short.clone())).len(), 2);
        assert!(allowed(&list(narrow.clone()), &list(wide.clone())));
        assert!(!allowed(&list(wide), &list(narrow.clone())));
        assert!(allowed(&list(narrow), &[]));
    }
}
