//! Horizontal autoscalers.

use super::{
    super::{
        check::{
            Check::{self, Exactly, NeedsForm, NotEmpty, OneOf},
            POSITIVE,
        },
        error_list::ErrorList,
        field_path::FieldPath,
        names,
        rule::{Rule, rule, with},
    },
    networking::segment,
    resources::{self, NameOf},
};
use crate::api::schema::{Struct, Value};

pub(super) static RULES: &[Rule] = &[
    with("autoscaling.v2.HorizontalPodAutoscalerSpec", autoscaler, &[]),
    with("autoscaling.v1.HorizontalPodAutoscalerSpec", autoscaler, &[]),
    with("autoscaling.v2.CrossVersionObjectReference", reference, REFERENCE),
    with("autoscaling.v1.CrossVersionObjectReference", reference, REFERENCE),
    with("autoscaling.v2.MetricSpec", metric, &[]),
    with("autoscaling.v2.MetricIdentifier", identifier, &[("name", NotEmpty("must specify a metric name"))]),
    with("autoscaling.v2.MetricTarget", target, &[("type", NotEmpty("must specify a metric target type"))]),
    with("autoscaling.v2.ObjectMetricSource", object_source, &[]),
    with("autoscaling.v2.ExternalMetricSource", external_source, &[]),
    with("autoscaling.v2.PodsMetricSource", pods_source, &[]),
    with("autoscaling.v2.ResourceMetricSource", resource_source, &[("name", NotEmpty("must specify a resource name"))]),
    with(
        "autoscaling.v2.ContainerResourceMetricSource",
        container_source,
        &[("name", NotEmpty("must specify a resource name")), ("container", NotEmpty("must specify a container"))],
    ),
    with(
        "autoscaling.v2.HPAScalingRules",
        scaling,
        &[
            ("selectPolicy", OneOf(&["Disabled", "Max", "Min"])),
            ("policies", NotEmpty("must specify at least one Policy")),
        ],
    ),
    rule(
        "autoscaling.v2.HPAScalingPolicy",
        &[
            ("type", Exactly(&["Percent", "Pods"])),
            ("value", Check::AtLeast(1, POSITIVE)),
            ("periodSeconds", Check::AtLeast(1, POSITIVE)),
            ("periodSeconds", Check::Within(i64::MIN, 1800, "must be less than or equal to 1800")),
        ],
    ),
];

const REFERENCE: &[(&str, Check)] = &[("kind", NeedsForm(segment)), ("name", NeedsForm(segment))];

fn autoscaler<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (least, most) = (path.number("minReplicas"), path.number("maxReplicas").unwrap_or(0));
    let was_zero = errors.old.is_some_and(|old| old.get_i64(&["spec", "minReplicas"]) == Some(0));
    let bound = if was_zero { 0 } else { 1 };
    if let Some(least) = least.filter(|least| *least < bound) {
        errors.invalid_as(path, "minReplicas", least, format!("must be greater than or equal to {bound}"));
    }
    if most < 1 {
        errors.invalid_as(path, "maxReplicas", most, "must be greater than 0");
    }
    if least.is_some_and(|least| most < least) {
        errors.invalid_as(path, "maxReplicas", most, "must be greater than or equal to `minReplicas`");
    }
    let from_outside = |metric: &Struct| matches!(resources::text(metric, "type"), "Object" | "External");
    if least == Some(0) && !path.structs("metrics").any(from_outside) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.forbidden(path, "metrics", detail);
    }
}

/// Group and version of what is scaled; what a metric describes may be of the core group.
fn reference<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let version = path.text("apiVersion");
    let scaled = path.field == "scaleTargetRef";
    let before = |field: &str| errors.old.and_then(|old| old.get_str(&["spec", "scaleTargetRef", field]));
    let kept = errors.old.is_some()
        && before("apiVersion").unwrap_or_default() == version
        && before("kind").unwrap_or_default() == path.text("kind");
    if scaled && kept {
        return;
    }
    let needs_group = scaled && path.text("kind") != "ReplicationController";
    if version.matches('/').count() > 1 {
        let detail = format!("unexpected GroupVersion string: {version}");
        errors.invalid(path, "apiVersion", version, detail);
    } else if needs_group && version.split_once('/').is_none_or(|(group, _)| group.is_empty()) {
        errors.invalid(path, "apiVersion", version, "apiVersion must specify API group");
    }
}

/// In the order in which the real server meets them: only the first is validated.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];

fn metric<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
    let kind = path.text("type");
    if kind.is_empty() {
        errors.required(path, "type", "must specify a metric source type");
    }
    let expected = SOURCES.iter().find(|(name, _)| *name == kind).map(|(_, field)| *field);
    match expected {
        // The real server asks twice.
        None => (0..2).for_each(|_| errors.unsupported(path, "type", kind, &TYPES)),
        Some(field) if !path.has(field) => {
            errors.required(path, field, "must populate information for the given metric source");
        }
        Some(_) => {}
    }
    let given: Vec<&'static str> = SOURCES.iter().map(|(_, field)| *field).filter(|field| path.has(field)).collect();
    given.iter().skip(1).for_each(|field| errors.skip(field));
    if given.len() != 1 {
        for field in given.iter().filter(|field| Some(**field) != expected) {
            errors.forbidden(path, field, "must populate the given metric source only");
        }
    }
}

fn identifier<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    // Selectors of metrics are whoever's serve the metrics.
    errors.skip("selector");
    errors.invalid_each(path, "name", path.text("name"), segment(path.text("name")));
}

fn target<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let kind = path.text("type");
    if !["Utilization", "Value", "AverageValue"].contains(&kind) {
        errors.invalid(path, "type", kind, "must be either Utilization, Value, or AverageValue");
    }
    for field in ["value", "averageValue"] {
        let Some(quantity) = path.get(field).and_then(resources::parsed) else { continue };
        if quantity.is_negative() || quantity.is_zero() {
            errors.invalid(path, field, path.text(field), "must be positive");
        }
    }
    if let Some(share) = path.number("averageUtilization").filter(|share| *share < 1) {
        errors.invalid_as(path, "averageUtilization", share, "must be greater than 0");
    }
}

fn has<'t>(path: &FieldPath<'_, 't>, field: &str) -> bool {
    path.at(&["target", field]).is_some()
}

fn object_source<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if !has(path, "value") && !has(path, "averageValue") {
        errors.required(path, "target.averageValue", "must set either a target value or averageValue");
    }
}

fn external_source<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    match (has(path, "value"), has(path, "averageValue")) {
        (false, false) => {
            let detail = "must set either a target value for metric or a per-pod target";
            errors.required(path, "target.averageValue", detail);
        }
        (true, true) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            errors.forbidden(path, "target.value", detail);
        }
        _ => {}
    }
}

fn pods_source<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if !has(path, "averageValue") {
        errors.required(path, "target.averageValue", "must specify a positive target averageValue");
    }
}

fn resource_source<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    match (has(path, "averageUtilization"), has(path, "averageValue")) {
        (false, false) => {
            let detail = "must set either a target raw value or a target utilization";
            errors.required(path, "target.averageUtilization", detail);
        }
        (true, true) => {
            let detail = "may not set both a target raw value and a target utilization";
            errors.forbidden(path, "target.averageValue", detail);
        }
        _ => {}
    }
}

fn container_source<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (resource, container) = (path.text("name"), path.text("container"));
    if !resource.is_empty() {
        resources::name(resource, NameOf::Container, path, "name", errors);
    }
    if !container.is_empty() {
        errors.invalid_each(path, "container", container, names::dns_1123_label(container));
    }
    resource_source(path, errors);
}

fn scaling<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const WINDOW: &str = "stabilizationWindowSeconds";
    const SECONDS_MAX: i64 = 3600;
    if let Some(seconds) = path.number(WINDOW) {
        if seconds < 0 {
            errors.invalid_as(path, WINDOW, seconds, "must be greater than or equal to zero");
        }
        if seconds > SECONDS_MAX {
            errors.invalid_as(path, WINDOW, seconds, format!("must be less than or equal to {SECONDS_MAX}"));
        }
    }
    let tolerance = path.get("tolerance");
    if tolerance.and_then(resources::parsed).is_some_and(|tolerance| tolerance.is_negative()) {
        let text = tolerance.and_then(Value::as_str).unwrap_or_default();
        errors.invalid(path, "tolerance", text, super::super::check::NOT_NEGATIVE);
    }
}
