//! Where pods may run: affinity, tolerations, spreading, gates; and the selectors of labels and nodes.

use super::super::{
    check::{
        Check::{AlwaysForm, AtLeast, Exactly, Labels, NotEmpty, OneOf, Within},
        POSITIVE,
    },
    error_list::ErrorList,
    field_path::{FieldPath, Nth},
    names,
    rule::{Rule, rule, with},
};
use crate::api::schema::{Struct, Value};

pub(super) static RULES: &[Rule] = &[
    rule("apimachinery.pkg.apis.meta.v1.LabelSelector", &[("matchLabels", Labels)]),
    with(
        "apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement",
        label_requirement,
        &[("key", AlwaysForm(names::label_key))],
    ),
    rule("core.v1.NodeSelector", &[("nodeSelectorTerms", NotEmpty("must have at least one node selector term"))]),
    with("core.v1.NodeSelectorRequirement", node_requirement, &[]),
    rule("core.v1.PreferredSchedulingTerm", &[("weight", Within(1, 100, WEIGHT))]),
    rule("core.v1.WeightedPodAffinityTerm", &[("weight", Within(1, 100, WEIGHT))]),
    with(
        "core.v1.PodAffinityTerm",
        affinity_term,
        &[("topologyKey", NotEmpty("can not be empty")), ("topologyKey", AlwaysForm(names::label_key))],
    ),
    with("core.v1.Toleration", toleration, &[]),
    with(
        "core.v1.TopologySpreadConstraint",
        spread_constraint,
        &[
            ("maxSkew", AtLeast(1, POSITIVE)),
            ("topologyKey", NotEmpty("can not be empty")),
            ("whenUnsatisfiable", Exactly(&["DoNotSchedule", "ScheduleAnyway"])),
            ("minDomains", AtLeast(1, POSITIVE)),
            ("nodeAffinityPolicy", OneOf(&["Honor", "Ignore"])),
            ("nodeTaintsPolicy", OneOf(&["Honor", "Ignore"])),
        ],
    ),
    with("core.v1.TopologySelectorTerm", topology_term, &[]),
];

const WEIGHT: &str = "must be in the range 1-100";

/// How many values an operator takes, of those that are `known`.
fn operator<'t>(path: &FieldPath<'_, 't>, known: &[&str], errors: &mut ErrorList<'t>) {
    let count = path.list("values").len();
    match path.text("operator") {
        other if !known.contains(&other) => errors.invalid(path, "operator", other, "not a valid selector operator"),
        "In" | "NotIn" if count == 0 => {
            errors.required(path, "values", "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            errors.forbidden(path, "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "Gt" | "Lt" if count != 1 => {
            errors.required(path, "values", "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        _ => {}
    }
}

fn label_values<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (at, value) in path.texts("values").enumerate() {
        errors.invalid_each(path, &format!("values[{at}]"), value, names::label_value(value));
    }
}

/// Values by operator, and their form. Selectors that were stored before are validated by their own rules.
fn label_requirement<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    operator(path, &["In", "NotIn", "Exists", "DoesNotExist"], errors);
    label_values(path, errors);
}

fn node_requirement<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.field == "matchFields" {
        return node_field_requirement(path, errors);
    }
    operator(path, &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"], errors);
    let key = path.text("key");
    errors.invalid_each(path, "key", key, names::label_key(key));
    // What is only preferred has always been allowed to name impossible values.
    if path.above("PreferredSchedulingTerm").is_none() {
        label_values(path, errors);
    }
}

fn node_field_requirement<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    match path.text("operator") {
        "In" | "NotIn" => {
            if path.list("values").len() != 1 {
                let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                errors.required(path, "values", detail);
            }
        }
        other => errors.invalid(path, "operator", other, "not a valid selector operator"),
    }
    match path.text("key") {
        "metadata.name" => {
            for (at, value) in path.texts("values").enumerate() {
                errors.invalid_each(path, &format!("values[{at}]"), value, names::dns_1123_subdomain(value));
            }
        }
        other => errors.invalid(path, "key", other, "not a valid field selector key"),
    }
}

/// Errors of namespaces name a field that there is not.
fn affinity_term<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for namespace in path.texts("namespaces") {
        errors.invalid_each(path, "namespace", namespace, names::dns_1123_label(namespace));
    }
    match_label_keys(path, errors);
}

/// Keys that are added to the selector from the pod's labels.
fn match_label_keys<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let selector = path.child("labelSelector");
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        if path.list(field).is_empty() {
            continue;
        }
        if selector.is_none() {
            errors.forbidden(path, field, "must not be specified when labelSelector is not set");
            continue;
        }
        for (at, key) in path.texts(field).enumerate() {
            errors.invalid_each(path, &format!("{field}[{at}]"), key, names::label_key(key));
        }
    }
    if let Some(selector) = selector {
        selected_twice(path, selector, errors);
    }
    for (at, key) in path.texts("matchLabelKeys").enumerate() {
        if path.texts("mismatchLabelKeys").any(|other| other == key) {
            let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
            errors.invalid(path, &format!("matchLabelKeys[{at}]"), key, detail);
        }
    }
}

fn selected_twice<'t>(path: &FieldPath<'_, 't>, selector: &'t Struct, errors: &mut ErrorList<'t>) {
    let labels = selector.get("matchLabels").and_then(Value::as_map);
    let mut seen: Vec<&str> = labels.into_iter().flat_map(|map| map.iter()).map(|(key, _)| key).collect();
    for expression in selector.get("matchExpressions").and_then(Value::as_list).unwrap_or_default() {
        let key = expression.child("key").and_then(Value::as_str).unwrap_or_default();
        let at = path.texts("matchLabelKeys").collect::<Vec<_>>().iter().rposition(|own| *own == key);
        if let Some(at) = at.filter(|_| seen.contains(&key)) {
            errors.invalid(path, &format!("[{at}]"), key, "exists in both matchLabelKeys and labelSelector");
        }
        seen.push(key);
    }
}

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

fn toleration<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let text = |name| path.text(name);
    let (key, operator, value, effect) = (text("key"), text("operator"), text("value"), text("effect"));
    if !key.is_empty() {
        errors.invalid_each(path, "key", key, names::label_key(key));
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.invalid(path, "operator", operator, detail);
    }
    if path.has("tolerationSeconds") && effect != "NoExecute" {
        errors.invalid(path, "effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    match operator {
        "Equal" | "" => {
            let messages = names::label_value(value);
            if !messages.is_empty() {
                errors.invalid(path, "operator", value, messages.join(";"));
            }
        }
        "Exists" if !value.is_empty() => {
            errors.invalid(path, "operator", value, "value must be empty when `operator` is 'Exists'");
        }
        "Exists" => {}
        "Lt" | "Gt" => errors.unsupported(path, "operator", operator, &["Equal", "Exists", "Lt", "Gt"]),
        other => errors.unsupported(path, "operator", other, &["Equal", "Exists"]),
    }
    if !effect.is_empty() && !EFFECTS.contains(&effect) {
        errors.unsupported(path, "effect", effect, &EFFECTS);
    }
}

/// Taints of a node.
pub(super) fn taints<'t>(path: &FieldPath<'_, 't>, shown: &str, items: &'t [Value], errors: &mut ErrorList<'t>) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let text = |name| item.child(name).and_then(Value::as_str).unwrap_or_default();
        let (key, value, effect) = (text("key"), text("value"), text("effect"));
        let here = format!("{shown}[{at}]");
        errors.invalid_each(path, &format!("{here}.key"), key, names::label_key(key));
        let messages = names::label_value(value);
        if !messages.is_empty() {
            errors.invalid(path, &format!("{here}.value"), value, messages.join(";"));
        }
        match effect {
            "" => errors.required(path, &format!("{here}.effect"), ""),
            effect if !EFFECTS.contains(&effect) => {
                errors.unsupported(path, &format!("{here}.effect"), effect, &EFFECTS);
            }
            _ => {}
        }
        if seen.contains(&(key, effect)) {
            let shown = super::super::print::printed(Some(item));
            let detail = "taints must be unique by key and effect pair".to_owned();
            errors.with_detail(crate::request::status::FieldErrorKind::Duplicate, path, &here, shown, detail);
        } else {
            seen.push((key, effect));
        }
    }
}

pub(super) fn gates<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, gate) in path.structs("schedulingGates").enumerate() {
        let (name, field) = (super::resources::text(gate, "name"), format!("schedulingGates[{at}]"));
        errors.invalid_each(path, &field, name, names::label_key(name));
        if seen.contains(&name) {
            errors.duplicate(path, &field, name);
        }
        seen.push(name);
    }
}

/// Constraints are unique by key and consequence.
pub(super) fn spread<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let pairs: Vec<(&str, &str)> = path
        .structs("topologySpreadConstraints")
        .map(|item| (super::resources::text(item, "topologyKey"), super::resources::text(item, "whenUnsatisfiable")))
        .collect();
    for (at, (key, action)) in pairs.iter().enumerate() {
        if pairs[at + 1..].contains(&(key, action)) {
            let field = format!("topologySpreadConstraints[{at}].{{topologyKey, whenUnsatisfiable}}");
            errors.duplicate(path, &field, &format!("{{{key}, {action}}}"));
        }
    }
}

fn spread_constraint<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let action = path.text("whenUnsatisfiable");
    if let Some(domains) = path.number("minDomains").filter(|_| action != "DoNotSchedule") {
        let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        errors.invalid_as(path, "minDomains", domains, detail);
    }
    match_label_keys(path, errors);
}

fn topology_term<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let mut keys: Vec<&str> = Vec::new();
    for (at, item) in path.structs("matchLabelExpressions").enumerate() {
        let expression = path.below("matchLabelExpressions", Nth::Index(at), item);
        let (key, values) = (expression.text("key"), expression.texts("values").collect::<Vec<_>>());
        if values.is_empty() {
            errors.required(&expression, "values", "");
        }
        for (nth, value) in values.iter().enumerate() {
            if values[..nth].contains(value) {
                errors.duplicate(&expression, &format!("values[{nth}]"), value);
            }
        }
        errors.invalid_each(&expression, "key", key, names::label_key(key));
        if keys.contains(&key) {
            errors.duplicate(&expression, "key", key);
        }
        keys.push(key);
    }
}
