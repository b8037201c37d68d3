//! Flow schemas and priority levels that every cluster has, with specs that nobody changes.

use std::sync::LazyLock;

use super::super::{
    error_list::ErrorList,
    field_path::FieldPath,
    print::printed_struct,
    rule::{Rule, with},
};
use crate::{
    api::schema::{Object, Schema, Value, codec},
    object::equality::same_at,
};

pub(super) static RULES: &[Rule] = &[
    with("flowcontrol.v1.FlowSchema", mandatory, &[]),
    with("flowcontrol.v1.PriorityLevelConfiguration", mandatory, &[]),
];

const EVERYTHING: &str = r#""resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"clusterScope":true,
    "namespaces":["*"]}],"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["*"]}]"#;

/// Kind, name, and all of the spec but what it covers.
const FIXED: [(&str, &str, &str); 4] = [
    (
        "FlowSchema",
        "exempt",
        r#"{"priorityLevelConfiguration":{"name":"exempt"},"matchingPrecedence":1,"rules":[{"subjects":
            [{"kind":"Group","group":{"name":"system:masters"}}],EVERYTHING}]}"#,
    ),
    (
        "FlowSchema",
        "catch-all",
        r#"{"priorityLevelConfiguration":{"name":"catch-all"},"matchingPrecedence":10000,"distinguisherMethod":
            {"type":"ByUser"},"rules":[{"subjects":[{"kind":"Group","group":{"name":"system:unauthenticated"}},
            {"kind":"Group","group":{"name":"system:authenticated"}}],EVERYTHING}]}"#,
    ),
    ("PriorityLevelConfiguration", "exempt", r#"{"type":"Exempt"}"#),
    (
        "PriorityLevelConfiguration",
        "catch-all",
        r#"{"type":"Limited","limited":{"nominalConcurrencyShares":5,"limitResponse":{"type":"Reject"},
            "lendablePercent":0}}"#,
    ),
];

static OBJECTS: LazyLock<Vec<Object>> = LazyLock::new(|| {
    let read = |(kind, name, spec): &(&str, &str, &str)| {
        let spec = spec.replace("EVERYTHING", EVERYTHING);
        let json = format!(
            r#"{{"kind":"{kind}","apiVersion":"flowcontrol.apiserver.k8s.io/v1","metadata":{{"name":"{name}"}},"spec":{spec}}}"#
        );
        Some(codec::decode_json(&Schema::builtin(), json.as_bytes(), None).ok()?.object)
    };
    FIXED.iter().filter_map(read).collect()
});

fn mandatory<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let name = path.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    let fixed = OBJECTS.iter().find(|fixed| fixed.name() == name && fixed.root().def() == path.fields.def());
    let (Some(fixed), Some(spec)) = (fixed, path.child("spec")) else { return };
    let mut found = Object::new(fixed.ty());
    found.set(&["spec"], Value::Struct(spec.clone()));
    // An operator may say how much is lent of what has no limit.
    let has_no_limit = path.name() == "PriorityLevelConfiguration" && name == "exempt";
    if has_no_limit {
        found.remove(&["spec", "exempt"]);
    }
    if !same_at(&found, fixed, &["spec"]) {
        let but = if has_no_limit { " except the 'spec.exempt' field" } else { "" };
        let detail = format!("spec of '{name}'{but} must equal the fixed value");
        errors.invalid_as(path, "spec", printed_struct(spec), detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_can_be_read() {
        assert_eq!(OBJECTS.len(), FIXED.len());
    }
}
