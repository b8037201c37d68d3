//! Where pods may run: affinity, tolerations, spreading, gates; and the selectors of labels and nodes.

use super::super::{
    check::{
        Check::{AlwaysForm, AtLeast, Exactly, Labels, NotEmpty, OneOf, Within},
        POSITIVE,
    },
    judge::Judge,
    names,
    place::{Nth, Place},
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

/// Values by operator, and their form. Selectors that were stored before judge by their own rules.
fn label_requirement<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let count = place.list("values").len();
    match place.text("operator") {
        "In" | "NotIn" if count == 0 => {
            judge.required(place, "values", "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            judge.forbidden(place, "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => judge.invalid(place, "operator", other, "not a valid selector operator"),
    }
    for (at, value) in place.texts("values").enumerate() {
        judge.complain(place, &format!("values[{at}]"), value, names::label_value(value));
    }
}

fn node_requirement<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.field == "matchFields" {
        return node_field_requirement(place, judge);
    }
    let count = place.list("values").len();
    match place.text("operator") {
        "In" | "NotIn" if count == 0 => {
            judge.required(place, "values", "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            judge.forbidden(place, "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "Gt" | "Lt" if count != 1 => {
            judge.required(place, "values", "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => judge.invalid(place, "operator", other, "not a valid selector operator"),
    }
    let key = place.text("key");
    judge.complain(place, "key", key, names::label_key(key));
    // What is only preferred has always been allowed to name impossible values.
    if place.above("PreferredSchedulingTerm").is_some() {
        return;
    }
    for (at, value) in place.texts("values").enumerate() {
        judge.complain(place, &format!("values[{at}]"), value, names::label_value(value));
    }
}

fn node_field_requirement<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    match place.text("operator") {
        "In" | "NotIn" => {
            if place.list("values").len() != 1 {
                let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                judge.required(place, "values", detail);
            }
        }
        other => judge.invalid(place, "operator", other, "not a valid selector operator"),
    }
    match place.text("key") {
        "metadata.name" => {
            for (at, value) in place.texts("values").enumerate() {
                judge.complain(place, &format!("values[{at}]"), value, names::dns_1123_subdomain(value));
            }
        }
        other => judge.invalid(place, "key", other, "not a valid field selector key"),
    }
}

/// Errors of namespaces name a field that there is not.
fn affinity_term<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for namespace in place.texts("namespaces") {
        judge.complain(place, "namespace", namespace, names::dns_1123_label(namespace));
    }
    match_label_keys(place, judge);
}

/// Keys that are added to the selector from the pod's labels.
fn match_label_keys<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let selector = place.child("labelSelector");
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        if place.list(field).is_empty() {
            continue;
        }
        if selector.is_none() {
            judge.forbidden(place, field, "must not be specified when labelSelector is not set");
            continue;
        }
        for (at, key) in place.texts(field).enumerate() {
            judge.complain(place, &format!("{field}[{at}]"), key, names::label_key(key));
        }
    }
    if let Some(selector) = selector {
        selected_twice(place, selector, judge);
    }
    for (at, key) in place.texts("matchLabelKeys").enumerate() {
        if place.texts("mismatchLabelKeys").any(|other| other == key) {
            let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
            judge.invalid(place, &format!("matchLabelKeys[{at}]"), key, detail);
        }
    }
}

fn selected_twice<'t>(place: &Place<'_, 't>, selector: &'t Struct, judge: &mut Judge<'t>) {
    let labels = selector.get("matchLabels").and_then(Value::as_map);
    let mut seen: Vec<&str> = labels.into_iter().flat_map(|map| map.iter()).map(|(key, _)| key).collect();
    for expression in selector.get("matchExpressions").and_then(Value::as_list).unwrap_or_default() {
        let key = expression.child("key").and_then(Value::as_str).unwrap_or_default();
        let at = place.texts("matchLabelKeys").collect::<Vec<_>>().iter().rposition(|own| *own == key);
        if let Some(at) = at.filter(|_| seen.contains(&key)) {
            judge.invalid(place, &format!("[{at}]"), key, "exists in both matchLabelKeys and labelSelector");
        }
        seen.push(key);
    }
}

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

fn toleration<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let text = |name| place.text(name);
    let (key, operator, value, effect) = (text("key"), text("operator"), text("value"), text("effect"));
    if !key.is_empty() {
        judge.complain(place, "key", key, names::label_key(key));
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        judge.invalid(place, "operator", operator, detail);
    }
    if place.has("tolerationSeconds") && effect != "NoExecute" {
        judge.invalid(place, "effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    match operator {
        "Equal" | "" => {
            let complaints = names::label_value(value);
            if !complaints.is_empty() {
                judge.invalid(place, "operator", value, complaints.join(";"));
            }
        }
        "Exists" if !value.is_empty() => {
            judge.invalid(place, "operator", value, "value must be empty when `operator` is 'Exists'");
        }
        "Exists" => {}
        "Lt" | "Gt" => judge.unsupported(place, "operator", operator, &["Equal", "Exists", "Lt", "Gt"]),
        other => judge.unsupported(place, "operator", other, &["Equal", "Exists"]),
    }
    if !effect.is_empty() && !EFFECTS.contains(&effect) {
        judge.unsupported(place, "effect", effect, &EFFECTS);
    }
}

/// Taints of a node.
pub(super) fn taints<'t>(place: &Place<'_, 't>, shown: &str, items: &'t [Value], judge: &mut Judge<'t>) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let text = |name| item.child(name).and_then(Value::as_str).unwrap_or_default();
        let (key, value, effect) = (text("key"), text("value"), text("effect"));
        let here = format!("{shown}[{at}]");
        judge.complain(place, &format!("{here}.key"), key, names::label_key(key));
        let complaints = names::label_value(value);
        if !complaints.is_empty() {
            judge.invalid(place, &format!("{here}.value"), value, complaints.join(";"));
        }
        match effect {
            "" => judge.required(place, &format!("{here}.effect"), ""),
            effect if !EFFECTS.contains(&effect) => {
                judge.unsupported(place, &format!("{here}.effect"), effect, &EFFECTS);
            }
            _ => {}
        }
        if seen.contains(&(key, effect)) {
            let shown = super::super::print::printed(Some(item));
            let detail = "taints must be unique by key and effect pair".to_owned();
            judge.with_detail(crate::request::status::FieldErrorKind::Duplicate, place, &here, shown, detail);
        } else {
            seen.push((key, effect));
        }
    }
}

pub(super) fn gates<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, gate) in place.structs("schedulingGates").enumerate() {
        let (name, field) = (super::resources::text(gate, "name"), format!("schedulingGates[{at}]"));
        judge.complain(place, &field, name, names::label_key(name));
        if seen.contains(&name) {
            judge.duplicate(place, &field, name);
        }
        seen.push(name);
    }
}

/// Constraints are unique by key and consequence.
pub(super) fn spread<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let pairs: Vec<(&str, &str)> = place
        .structs("topologySpreadConstraints")
        .map(|item| (super::resources::text(item, "topologyKey"), super::resources::text(item, "whenUnsatisfiable")))
        .collect();
    for (at, (key, action)) in pairs.iter().enumerate() {
        if pairs[at + 1..].contains(&(key, action)) {
            let field = format!("topologySpreadConstraints[{at}].{{topologyKey, whenUnsatisfiable}}");
            judge.duplicate(place, &field, &format!("{{{key}, {action}}}"));
        }
    }
}

fn spread_constraint<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let action = place.text("whenUnsatisfiable");
    if let Some(domains) = place.number("minDomains").filter(|_| action != "DoNotSchedule") {
        let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        judge.invalid_as(place, "minDomains", domains, detail);
    }
    match_label_keys(place, judge);
}

fn topology_term<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let mut keys: Vec<&str> = Vec::new();
    for (at, item) in place.structs("matchLabelExpressions").enumerate() {
        let expression = place.below("matchLabelExpressions", Nth::At(at), item);
        let (key, values) = (expression.text("key"), expression.texts("values").collect::<Vec<_>>());
        if values.is_empty() {
            judge.required(&expression, "values", "");
        }
        for (nth, value) in values.iter().enumerate() {
            if values[..nth].contains(value) {
                judge.duplicate(&expression, &format!("values[{nth}]"), value);
            }
        }
        judge.complain(&expression, "key", key, names::label_key(key));
        if keys.contains(&key) {
            judge.duplicate(&expression, "key", key);
        }
        keys.push(key);
    }
}
