//! The question as the service reads it.

use serde_json::{Map, Value, json};

use crate::{
    access::authz::Attributes,
    object::selector::{FieldTerm, Operator, Requirement},
};

/// A SubjectAccessReview, in a version.
pub(super) fn of(asked: &Attributes, version: &str) -> Value {
    let mut spec = Map::new();
    match asked.is_resource {
        true => spec.insert("resourceAttributes".to_owned(), resource(asked)),
        false => spec.insert("nonResourceAttributes".to_owned(), texts([("path", &asked.path), ("verb", &asked.verb)])),
    };
    let user = &asked.user;
    let groups = if version == "v1" { "groups" } else { "group" };
    let mut add = |name: &str, given: bool, value: Value| {
        if given {
            spec.insert(name.to_owned(), value);
        }
    };
    add("user", !user.name.is_empty(), json!(user.name));
    add(groups, !user.groups.is_empty(), json!(user.groups));
    let extra: Map<String, Value> = user.extra.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
    add("extra", !extra.is_empty(), Value::Object(extra));
    add("uid", !user.uid.is_empty(), json!(user.uid));
    json!({"kind": "SubjectAccessReview", "apiVersion": format!("authorization.k8s.io/{version}"), "metadata": {},
           "spec": spec, "status": {"allowed": false}})
}

/// Texts that are not empty.
fn texts<const N: usize>(fields: [(&str, &String); N]) -> Value {
    let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
    Value::Object(given.map(|(name, text)| (name.to_owned(), json!(text))).collect())
}

fn resource(asked: &Attributes) -> Value {
    let mut fields = texts([
        ("namespace", &asked.namespace),
        ("verb", &asked.verb),
        ("group", &asked.group),
        ("version", &asked.version),
        ("resource", &asked.resource),
        ("subresource", &asked.subresource),
        ("name", &asked.name),
    ]);
    for (name, requirements) in
        [("fieldSelector", field_requirements(asked)), ("labelSelector", label_requirements(asked))]
    {
        if !requirements.is_empty() {
            fields[name] = json!({"requirements": requirements});
        }
    }
    fields
}

/// What is selected by fields.
pub(super) fn field_requirements(asked: &Attributes) -> Vec<Value> {
    let one = |term: &FieldTerm| {
        let operator = if term.negated { "NotIn" } else { "In" };
        json!({"key": term.field, "operator": operator, "values": [term.value]})
    };
    asked.field_selector.terms.iter().map(one).collect()
}

/// What is selected by labels. Terms that reviews have no word for are left out: what remains asks for more.
pub(super) fn label_requirements(asked: &Attributes) -> Vec<Value> {
    let one = |requirement: &Requirement| {
        let operator = match requirement.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => "In",
            Operator::NotIn | Operator::NotEquals => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            Operator::GreaterThan | Operator::LessThan => return None,
        };
        let mut fields = json!({"key": requirement.key, "operator": operator});
        if !requirement.values.is_empty() {
            fields["values"] = json!(requirement.values);
        }
        Some(fields)
    };
    asked.label_selector.terms.iter().filter_map(one).collect()
}
