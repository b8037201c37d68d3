//! Horizontal autoscalers.

use super::{
    super::{
        check::{
            Check::{self, Exactly, NeedsForm, NotEmpty, OneOf},
            POSITIVE,
        },
        judge::Judge,
        names,
        place::Place,
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

fn autoscaler<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (least, most) = (place.number("minReplicas"), place.number("maxReplicas").unwrap_or(0));
    let was_zero = judge.old.is_some_and(|old| old.get_i64(&["spec", "minReplicas"]) == Some(0));
    let bound = if was_zero { 0 } else { 1 };
    if let Some(least) = least.filter(|least| *least < bound) {
        judge.invalid_as(place, "minReplicas", least, format!("must be greater than or equal to {bound}"));
    }
    if most < 1 {
        judge.invalid_as(place, "maxReplicas", most, "must be greater than 0");
    }
    if least.is_some_and(|least| most < least) {
        judge.invalid_as(place, "maxReplicas", most, "must be greater than or equal to `minReplicas`");
    }
    let from_outside = |metric: &Struct| matches!(resources::text(metric, "type"), "Object" | "External");
    if least == Some(0) && !place.structs("metrics").any(from_outside) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        judge.forbidden(place, "metrics", detail);
    }
}

/// Group and version of what is scaled; what a metric describes may be of the core group.
fn reference<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let version = place.text("apiVersion");
    let scaled = place.field == "scaleTargetRef";
    let before = |field: &str| judge.old.and_then(|old| old.get_str(&["spec", "scaleTargetRef", field]));
    let kept = judge.old.is_some()
        && before("apiVersion").unwrap_or_default() == version
        && before("kind").unwrap_or_default() == place.text("kind");
    if scaled && kept {
        return;
    }
    let needs_group = scaled && place.text("kind") != "ReplicationController";
    if version.matches('/').count() > 1 {
        let detail = format!("unexpected GroupVersion string: {version}");
        judge.invalid(place, "apiVersion", version, detail);
    } else if needs_group && version.split_once('/').is_none_or(|(group, _)| group.is_empty()) {
        judge.invalid(place, "apiVersion", version, "apiVersion must specify API group");
    }
}

/// In the order in which the real server meets them: only the first is judged.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];

fn metric<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
    let kind = place.text("type");
    if kind.is_empty() {
        judge.required(place, "type", "must specify a metric source type");
    }
    let expected = SOURCES.iter().find(|(name, _)| *name == kind).map(|(_, field)| *field);
    match expected {
        // The real server asks twice.
        None => (0..2).for_each(|_| judge.unsupported(place, "type", kind, &TYPES)),
        Some(field) if !place.has(field) => {
            judge.required(place, field, "must populate information for the given metric source");
        }
        Some(_) => {}
    }
    let given: Vec<&'static str> = SOURCES.iter().map(|(_, field)| *field).filter(|field| place.has(field)).collect();
    given.iter().skip(1).for_each(|field| judge.settle(field));
    if given.len() != 1 {
        for field in given.iter().filter(|field| Some(**field) != expected) {
            judge.forbidden(place, field, "must populate the given metric source only");
        }
    }
}

fn identifier<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    // Selectors of metrics are whoever's serve the metrics.
    judge.settle("selector");
    judge.complain(place, "name", place.text("name"), segment(place.text("name")));
}

fn target<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let kind = place.text("type");
    if !["Utilization", "Value", "AverageValue"].contains(&kind) {
        judge.invalid(place, "type", kind, "must be either Utilization, Value, or AverageValue");
    }
    for field in ["value", "averageValue"] {
        let Some(quantity) = place.get(field).and_then(resources::parsed) else { continue };
        if quantity.is_negative() || quantity.is_zero() {
            judge.invalid(place, field, place.text(field), "must be positive");
        }
    }
    if let Some(share) = place.number("averageUtilization").filter(|share| *share < 1) {
        judge.invalid_as(place, "averageUtilization", share, "must be greater than 0");
    }
}

fn has<'t>(place: &Place<'_, 't>, field: &str) -> bool {
    place.at(&["target", field]).is_some()
}

fn object_source<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if !has(place, "value") && !has(place, "averageValue") {
        judge.required(place, "target.averageValue", "must set either a target value or averageValue");
    }
}

fn external_source<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    match (has(place, "value"), has(place, "averageValue")) {
        (false, false) => {
            let detail = "must set either a target value for metric or a per-pod target";
            judge.required(place, "target.averageValue", detail);
        }
        (true, true) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            judge.forbidden(place, "target.value", detail);
        }
        _ => {}
    }
}

fn pods_source<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if !has(place, "averageValue") {
        judge.required(place, "target.averageValue", "must specify a positive target averageValue");
    }
}

fn resource_source<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    match (has(place, "averageUtilization"), has(place, "averageValue")) {
        (false, false) => {
            let detail = "must set either a target raw value or a target utilization";
            judge.required(place, "target.averageUtilization", detail);
        }
        (true, true) => {
            let detail = "may not set both a target raw value and a target utilization";
            judge.forbidden(place, "target.averageValue", detail);
        }
        _ => {}
    }
}

fn container_source<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (resource, container) = (place.text("name"), place.text("container"));
    if !resource.is_empty() {
        resources::name(resource, NameOf::Container, place, "name", judge);
    }
    if !container.is_empty() {
        judge.complain(place, "container", container, names::dns_1123_label(container));
    }
    resource_source(place, judge);
}

fn scaling<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const WINDOW: &str = "stabilizationWindowSeconds";
    const SECONDS_MAX: i64 = 3600;
    if let Some(seconds) = place.number(WINDOW) {
        if seconds < 0 {
            judge.invalid_as(place, WINDOW, seconds, "must be greater than or equal to zero");
        }
        if seconds > SECONDS_MAX {
            judge.invalid_as(place, WINDOW, seconds, format!("must be less than or equal to {SECONDS_MAX}"));
        }
    }
    let tolerance = place.get("tolerance");
    if tolerance.and_then(resources::parsed).is_some_and(|tolerance| tolerance.is_negative()) {
        let text = tolerance.and_then(Value::as_str).unwrap_or_default();
        judge.invalid(place, "tolerance", text, super::super::check::NOT_NEGATIVE);
    }
}
