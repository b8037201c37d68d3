//! Quotas, limits, budgets of disruption, runtime classes, nodes, and other kinds of few rules.

use super::{
    super::{
        check::{
            Check::{AlwaysForm, AtLeast, GivenOneOf, Labels, OneOf},
            NOT_NEGATIVE, POSITIVE,
        },
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, names,
        print::{printed, printed_struct},
        rule::{Rule, rule, with},
    },
    resources::{self, NameOf},
    scheduling, workloads,
};
use crate::api::schema::{MapValue, Struct, Value, scalar::quantity::Quantity};

pub(super) static RULES: &[Rule] = &[
    with("core.v1.ResourceQuotaSpec", quota, &[]),
    with("core.v1.ResourceQuotaStatus", quota_status, &[]),
    with("core.v1.LimitRangeSpec", limit_types, &[]),
    with("core.v1.LimitRangeItem", limit, &[]),
    with(
        "policy.v1.PodDisruptionBudgetSpec",
        budget,
        &[("unhealthyPodEvictionPolicy", OneOf(&["AlwaysAllow", "IfHealthyBudget"]))],
    ),
    with("node.v1.RuntimeClass", runtime_class, &[("handler", AlwaysForm(names::dns_1123_label))]),
    with("node.v1.Scheduling", runtime_scheduling, &[("nodeSelector", Labels)]),
    with("core.v1.Node", node, &[]),
    with("core.v1.Namespace", namespace, &[]),
    with(
        "scheduling.v1.PriorityClass",
        priority_class,
        &[("preemptionPolicy", GivenOneOf(&["PreemptLowerPriority", "Never"]))],
    ),
    with("apps.v1.ControllerRevision", revision, &[]),
    with("coordination.v1.LeaseSpec", lease, &[]),
    rule("core.v1.NodeSwapStatus", &[("capacity", AtLeast(1, POSITIVE))]),
];

fn entries(map: Option<&MapValue>) -> impl Iterator<Item = (&str, &Value)> {
    map.into_iter().flat_map(MapValue::iter)
}

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "VolumeAttributesClass",
    "CrossNamespacePodAffinity",
];

/// Whether a scope says something of a resource.
fn applies(scope: &str, resource: &str) -> bool {
    const COMPUTE: [&str; 6] = ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
    match scope {
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            resource == "pods" || COMPUTE.contains(&resource)
        }
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    }
}

const CONTRADICTIONS: [(&str, &str); 2] = [("BestEffort", "NotBestEffort"), ("NotTerminating", "Terminating")];

fn quota<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let hard = path.map("hard");
    resources::list(NameOf::Quota, path, "hard", hard, errors);
    let scopes: Vec<&str> = path.texts("scopes").collect();
    let shown = printed(path.get("scopes"));
    let misfits =
        |scope: &str| entries(hard).filter(|(name, _)| resources::is_quota(name) && !applies(scope, name)).count();
    for scope in &scopes {
        if !SCOPES.contains(scope) {
            errors.invalid_as(path, "scopes", &shown, "unsupported scope");
        }
        for _ in 0..misfits(scope) {
            errors.invalid_as(path, "scopes", &shown, "unsupported scope applied to resource");
        }
    }
    let mut conflicts = |scopes: &[&str], field: &str| {
        for (a, b) in CONTRADICTIONS {
            if scopes.contains(&a) && scopes.contains(&b) {
                errors.invalid_as(path, field, &shown, "conflicting scopes");
            }
        }
    };
    conflicts(&scopes, "scopes");
    let Some(selector) = path.child("scopeSelector") else { return };
    let requirements = selector.get("matchExpressions").and_then(Value::as_list).unwrap_or_default();
    let text = |item: &'t Value, name: &str| item.child(name).and_then(Value::as_str).unwrap_or_default();
    let named: Vec<&str> = requirements.iter().map(|item| text(item, "scopeName")).collect();
    conflicts(&named, "scopeSelector.matchExpressions");
    for item in requirements {
        let scope = text(item, "scopeName");
        if !SCOPES.contains(&scope) {
            errors.invalid(path, "scopeSelector.matchExpressions.scopeName", scope, "unsupported scope");
        }
        for _ in 0..misfits(scope) {
            let shown = printed_struct(selector);
            let detail = "unsupported scope applied to resource";
            errors.invalid_as(path, "scopeSelector.matchExpressions", shown, detail);
        }
        scope_requirement(path, scope, text(item, "operator"), item.child("values"), errors);
    }
}

/// Errors name the list, not the item.
fn scope_requirement<'t>(
    path: &FieldPath<'_, 't>,
    scope: &str,
    operator: &str,
    values: Option<&Value>,
    errors: &mut ErrorList<'t>,
) {
    const FIELD: &str = "scopeSelector.matchExpressions";
    let plain = ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];
    let count = values.and_then(Value::as_list).map_or(0, <[Value]>::len);
    if plain.contains(&scope) && operator != "Exists" {
        let detail = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        errors.invalid(path, &format!("{FIELD}.operator"), operator, detail);
    }
    match operator {
        "In" | "NotIn" if count == 0 => {
            let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.required(path, &format!("{FIELD}.values"), detail);
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.invalid_value(path, &format!("{FIELD}.values"), values, detail);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => errors.invalid(path, &format!("{FIELD}.operator"), other, "not a valid selector operator"),
    }
}

fn quota_status<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for field in ["hard", "used"] {
        resources::list(NameOf::Quota, path, field, path.map(field), errors);
    }
}

fn limit_types<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let kinds: Vec<&str> = path.structs("limits").map(|item| resources::text(item, "type")).collect();
    errors.skip("limits");
    for (at, item) in path.structs("limits").enumerate() {
        if kinds[..at].contains(&kinds[at]) {
            errors.duplicate(path, &format!("limits[{at}].type"), kinds[at]);
        }
        errors.visit(&path.below("limits", Nth::Index(at), item));
    }
}

fn limit<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let kind = path.text("type");
    let messages = names::label_key(kind);
    if messages.is_empty() && !kind.contains('/') && !["Pod", "Container", "PersistentVolumeClaim"].contains(&kind) {
        errors.invalid(path, "type", kind, "must be a standard limit type or fully qualified");
    }
    errors.invalid_each(path, "type", kind, messages);
    let of = if matches!(kind, "Pod" | "Container") { NameOf::Container } else { NameOf::Any };
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        let map = path.map(field);
        if kind == "Pod" && matches!(field, "default" | "defaultRequest") {
            if map.is_some_and(|map| !map.is_empty()) {
                errors.forbidden(path, field, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        for (name, _) in entries(map) {
            resources::name(name, of, path, &format!("{field}[{name}]"), errors);
        }
    }
    let stored = |field: &str| path.map(field).is_some_and(|map| map.contains_key("storage"));
    if kind == "PersistentVolumeClaim" && !stored("min") && !stored("max") {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        errors.required(path, "limits", detail);
    }
    let fields = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
    let mut keys: Vec<&str> = fields.iter().flat_map(|field| entries(path.map(field))).map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().for_each(|key| limits_of(path, kind, key, errors));
}

/// The amounts of one resource beside one another.
fn limits_of<'t>(path: &FieldPath<'_, 't>, kind: &str, key: &str, errors: &mut ErrorList<'t>) {
    let amount = |field: &str| -> Option<(Quantity, &'t str)> {
        let value = path.map(field)?.get(key)?;
        let hidden = kind == "Pod" && matches!(field, "default" | "defaultRequest");
        resources::parsed(value).filter(|_| !hidden).zip(value.as_str())
    };
    let (min, max) = (amount("min"), amount("max"));
    let (default, request, ratio) = (amount("default"), amount("defaultRequest"), amount("maxLimitRequestRatio"));
    /// What is larger than what may not be: both, the field at fault, which of the two is shown, and the words.
    type Pair<'q> = (Option<(Quantity, &'q str)>, Option<(Quantity, &'q str)>, &'static str, bool, [&'static str; 2]);
    let pairs: [Pair; 6] = [
        (min, max, "min", true, ["min value", "max value"]),
        (min, request, "defaultRequest", false, ["min value", "default request value"]),
        (request, max, "defaultRequest", true, ["default request value", "max value"]),
        (request, default, "defaultRequest", true, ["default request value", "default limit value"]),
        (min, default, "default", true, ["min value", "default value"]),
        (default, max, "default", false, ["default value", "max value"]),
    ];
    for (low, high, field, shows_low, [low_word, high_word]) in pairs {
        let (Some((low, low_text)), Some((high, high_text))) = (low, high) else { continue };
        if low > high {
            let shown = if shows_low { low_text } else { high_text };
            let detail = format!("{low_word} {low_text} is greater than {high_word} {high_text}");
            errors.invalid(path, &format!("{field}[{key}]"), shown, detail);
        }
    }
    if let Some((ratio, text)) = ratio {
        let field = format!("maxLimitRequestRatio[{key}]");
        if ratio < Quantity::from_units(1) {
            errors.invalid(path, &field, text, format!("ratio {text} is less than 1"));
        }
        if let (Some((min, _)), Some((max, _))) = (min, max) {
            let small = |quantity: &Quantity| quantity.units() < i64::MAX / 1000;
            let (ratio, least, most) = if [&ratio, &min, &max].into_iter().all(small) {
                (ratio.milli_units() as f64 / 1000.0, min.milli_units(), max.milli_units())
            } else {
                (ratio.units() as f64, min.units(), max.units())
            };
            let limit = most as f64 / least as f64;
            if ratio > limit {
                let limit = if limit.is_infinite() { "+Inf".to_owned() } else { format!("{limit:.6}") };
                errors.invalid(path, &field, text, format!("ratio {text} is greater than max/min = {limit}"));
            }
        }
    }
    if let (Some((default, a)), Some((request, b)), false) = (default, request, resources::may_overcommit(key))
        && default.partial_cmp(&request) != Some(std::cmp::Ordering::Equal)
    {
        let detail = format!("default value {a} must equal to defaultRequest value {b} in {key}");
        errors.invalid(path, &format!("defaultRequest[{key}]"), b, detail);
    }
}

fn budget<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.has("minAvailable") && path.has("maxUnavailable") {
        let shown = printed_struct(path.fields);
        errors.invalid_as(path, "", shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in ["minAvailable", "maxUnavailable"] {
        workloads::positive_or_percent(path, field, errors);
        workloads::not_more_than_all(path, field, errors);
    }
}

/// Validated as limits are.
fn runtime_class<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(overhead) = path.child("overhead") else { return };
    let fixed = overhead.get("podFixed").and_then(Value::as_map);
    let here = path.below("overhead", Nth::Only, overhead);
    for (name, value) in entries(fixed) {
        resources::limit_of_container(&here, name, value, errors);
    }
}

fn runtime_scheduling<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let key = |item: &'t Struct| ["key", "operator", "value", "effect"].map(|field| resources::text(item, field));
    let items: Vec<&'t Struct> = path.structs("tolerations").collect();
    for (at, item) in items.iter().enumerate() {
        if items[..at].iter().any(|other| key(other) == key(item)) {
            errors.duplicate_as(path, &format!("tolerations[{at}]"), printed_struct(item));
        }
    }
}

/// Errors of taints stand below metadata.
/// A new node may bring its status.
fn amounts_of_new<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for list in ["capacity", "allocatable"] {
        for (name, value) in entries(path.at(&["status", list]).and_then(Value::as_map)) {
            resources::amount(name, value, path, &format!("status.{list}.{name}"), errors);
        }
    }
}

fn node<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let taints = path.at(&["spec", "taints"]).and_then(Value::as_list).unwrap_or_default();
    let times = if errors.old.is_some() { 2 } else { 1 };
    for _ in 0..times {
        scheduling::taints(path, "metadata.taints", taints, errors);
    }
    if errors.old.is_none() {
        amounts_of_new(path, errors);
    }
    let ranges: Vec<&str> = path
        .at(&["spec", "podCIDRs"])
        .and_then(Value::as_list)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for (at, range) in ranges.iter().enumerate() {
        errors.invalid_each(path, &format!("spec.podCIDRs[{at}]"), range, forms::cidr(range));
    }
    if ranges.len() > 1 {
        let bad = ranges.iter().enumerate().find(|(_, range)| forms::parse_cidr(range).is_none());
        if let Some((at, range)) = bad {
            let detail = format!(
                "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{at}]: <nil> (invalid CIDR address: {range})"
            );
            errors.push(crate::request::status::FieldError::internal("spec.podCIDRs", detail));
        }
        let four: Vec<bool> =
            ranges.iter().filter_map(|range| forms::parse_cidr(range)).map(|(ip, _)| ip.is_ipv4()).collect();
        let dual = bad.is_none() && four.contains(&true) && four.contains(&false);
        if !dual || ranges.len() > 2 {
            let shown = printed(path.at(&["spec", "podCIDRs"]));
            let detail = "may specify no more than one CIDR for each IP family";
            errors.invalid_as(path, "spec.podCIDRs", shown, detail);
        }
    }
}

fn namespace<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let finalizers = path.at(&["spec", "finalizers"]).and_then(Value::as_list).unwrap_or_default();
    for name in finalizers.iter().filter_map(Value::as_str) {
        finalizer(path, "spec.finalizers", name, errors);
    }
}

/// Finalizers of a namespace, as its own endpoint sets them.
pub(in crate::object::validation) fn finalizers<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let list = path.at(&["spec", "finalizers"]).and_then(Value::as_list).unwrap_or_default();
    for (at, name) in list.iter().enumerate() {
        finalizer(path, &format!("spec.finalizers[{at}]"), name.as_str().unwrap_or_default(), errors);
    }
}

/// A finalizer of a namespace.
fn finalizer<'t>(path: &FieldPath<'_, 't>, field: &str, name: &str, errors: &mut ErrorList<'t>) {
    errors.invalid_each(path, field, name, names::label_key(name));
    if !name.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&name) {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        errors.invalid(path, field, name, detail);
    }
}

fn priority_class<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const USER_MAX: i64 = 1_000_000_000;
    const SYSTEM: [(&str, i64); 2] =
        [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];
    let name = path.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    let value = path.number("value").unwrap_or(0);
    if name.starts_with("system-") {
        let known = SYSTEM.iter().find(|(known, _)| *known == name);
        let why = match known {
            None => format!("{name} is not a known system priority class"),
            Some((_, wanted)) if *wanted != value => {
                format!("value of {name} PriorityClass must be {wanted}")
            }
            Some(_) if path.is("globalDefault") => {
                format!("globalDefault of {name} PriorityClass must be false")
            }
            Some(_) => return,
        };
        let detail =
            format!("priority class names with 'system-' prefix are reserved for system use only. error: {why}");
        errors.forbidden(path, "metadata.name", detail);
    } else if value > USER_MAX {
        let detail = format!("maximum allowed value of a user defined priority is {USER_MAX}");
        errors.forbidden(path, "value", detail);
    }
}

fn revision<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if let Some(detail) = workloads::revision_data(path.get("data")).filter(|_| errors.old.is_none()) {
        errors.required(path, "data", detail);
    }
}

/// Errors of the strategy name a field below it.
fn lease<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    AtLeast(1, "must be greater than 0").apply(path, "leaseDurationSeconds", errors);
    AtLeast(0, NOT_NEGATIVE).apply(path, "leaseTransitions", errors);
    let strategy = path.optional_text("strategy");
    match strategy {
        Some(name) if name.contains('/') => {
            errors.invalid_each(path, "strategy.strategy", name, names::label_key(name));
        }
        Some(name) if name != "OldestEmulationVersion" => {
            errors.unsupported(path, "strategy.strategy", name, &["OldestEmulationVersion"]);
        }
        _ => {}
    }
    if !path.text("preferredHolder").is_empty() && strategy.unwrap_or_default().is_empty() {
        errors.forbidden(path, "preferredHolder", "may only be specified if `strategy` is defined");
    }
}
