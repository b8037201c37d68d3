//! HorizontalPodAutoscaler: version 1 has a field for one metric, the share of the requested CPU; version 2, in which
//! it is stored, has a list, behaviour and conditions. What version 1 has no field for it shows in annotations, as
//! JSON, and takes from there: a round through version 1 loses nothing.
//!
//! The annotations and the shapes within are those of pkg/apis/autoscaling/v1/conversion.go of Kubernetes.

use serde_json::{Map, Value as Json, json};

use crate::api::schema::{
    codec::{decode_json_as, encode_struct_json},
    object::set_in_struct,
    tables::Type,
    value::{Struct, Value},
};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
/// Never set, always dropped.
const FORMER: [&str; 2] =
    ["autoscaling.alpha.kubernetes.io/scale-down-tolerance", "autoscaling.alpha.kubernetes.io/scale-up-tolerance"];

/// All of them.
pub(super) const ANNOTATIONS: [&str; 6] = [METRICS, CURRENT_METRICS, BEHAVIOR, CONDITIONS, FORMER[0], FORMER[1]];

/// What is applied where no metric is given.
const CPU_SHARE: i64 = 80;

/// Field of version 1 in its order, path in version 2, and what stands for nothing.
type Row = (&'static str, &'static [&'static str], Option<&'static str>);

/// A type of metric by its field's name: the rows of its target, and of what is measured.
const SOURCES: &[(&str, &[Row], &[Row])] = &[
    (
        "object",
        &[
            ("target", &["describedObject"], None),
            ("metricName", &["metric", "name"], Some("")),
            ("targetValue", &["target", "value"], Some("0")),
            ("selector", &["metric", "selector"], None),
            ("averageValue", &["target", "averageValue"], None),
        ],
        &[
            ("target", &["describedObject"], None),
            ("metricName", &["metric", "name"], Some("")),
            ("currentValue", &["current", "value"], Some("0")),
            ("selector", &["metric", "selector"], None),
            ("averageValue", &["current", "averageValue"], None),
        ],
    ),
    (
        "pods",
        &[
            ("metricName", &["metric", "name"], Some("")),
            ("targetAverageValue", &["target", "averageValue"], Some("0")),
            ("selector", &["metric", "selector"], None),
        ],
        &[
            ("metricName", &["metric", "name"], Some("")),
            ("currentAverageValue", &["current", "averageValue"], Some("0")),
            ("selector", &["metric", "selector"], None),
        ],
    ),
    ("resource", RESOURCE, CURRENT_RESOURCE),
    ("containerResource", RESOURCE, CURRENT_RESOURCE),
    (
        "external",
        &[
            ("metricName", &["metric", "name"], Some("")),
            ("metricSelector", &["metric", "selector"], None),
            ("targetValue", &["target", "value"], None),
            ("targetAverageValue", &["target", "averageValue"], None),
        ],
        &[
            ("metricName", &["metric", "name"], Some("")),
            ("metricSelector", &["metric", "selector"], None),
            ("currentValue", &["current", "value"], Some("0")),
            ("currentAverageValue", &["current", "averageValue"], None),
        ],
    ),
];

const RESOURCE: &[Row] = &[
    ("name", &["name"], Some("")),
    ("targetAverageUtilization", &["target", "averageUtilization"], None),
    ("targetAverageValue", &["target", "averageValue"], None),
    ("container", &["container"], None),
];

const CURRENT_RESOURCE: &[Row] = &[
    ("name", &["name"], Some("")),
    ("currentAverageUtilization", &["current", "averageUtilization"], None),
    ("currentAverageValue", &["current", "averageValue"], Some("0")),
    ("container", &["container"], None),
];

/// Fields of the behaviour as the annotation calls them, below them those of its parts.
const BEHAVIOR_FIELDS: &[&str] = &["ScaleUp", "ScaleDown"];
const RULES_FIELDS: &[&str] = &["StabilizationWindowSeconds", "SelectPolicy", "Policies", "Tolerance"];
const POLICY_FIELDS: &[&str] = &["Type", "Value", "PeriodSeconds"];

pub(super) fn to_v1(from: &Struct, to: &mut Struct, _: &Type) {
    drop_annotations(to);
    let list = |owner: &str, name: &str| {
        from.get(owner).and_then(|owner| owner.child(name)).and_then(Value::as_list).unwrap_or_default()
    };
    let metrics = list("spec", "metrics");
    if let Some(share) = metrics.iter().find_map(|metric| cpu_share(metric, "target")) {
        set_in_struct(to, &["spec", "targetCPUUtilizationPercentage"], share.clone());
    }
    let current = list("status", "currentMetrics");
    if let Some(share) = current.iter().rev().find_map(|metric| cpu_share(metric, "current")) {
        set_in_struct(to, &["status", "currentCPUUtilizationPercentage"], share.clone());
    }

    let others = metrics.iter().filter(|metric| cpu_share(metric, "target").is_none());
    annotate(to, METRICS, others.map(|metric| metric_to_v1(&to_json(metric), false)).collect());
    annotate(to, CURRENT_METRICS, current.iter().map(|metric| metric_to_v1(&to_json(metric), true)).collect());
    if let Some(behavior) = from.get("spec").and_then(|spec| spec.child("behavior")) {
        annotate(to, BEHAVIOR, behavior_to_v1(&to_json(behavior)));
    }
    annotate(to, CONDITIONS, list("status", "conditions").iter().map(to_json).collect());
}

pub(super) fn to_v2(from: &Struct, to: &mut Struct, kind: &Type) {
    drop_annotations(to);
    let share = |owner: &str, name: &str| from.get(owner)?.child(name)?.as_i64();
    let annotation = |name: &str| from.get("metadata")?.at(&["annotations", name])?.as_str();

    let cpu = share("spec", "targetCPUUtilizationPercentage").map(cpu_target);
    let others = annotation(METRICS).and_then(|text| metrics_to_v2(text, false));
    let read = others.and_then(|mut metrics| {
        metrics.extend(cpu.clone());
        decoded(kind, "spec", "metrics", metrics.into())
    });
    let metrics = read.or_else(|| decoded(kind, "spec", "metrics", cpu.into_iter().collect()));
    let metrics = metrics.filter(|metrics| metrics.as_list().is_some_and(|metrics| !metrics.is_empty()));
    let metrics = metrics.or_else(|| decoded(kind, "spec", "metrics", json!([cpu_target(CPU_SHARE)])));
    set(to, "spec", "metrics", metrics);

    let behavior = annotation(BEHAVIOR).and_then(|text| serde_json::from_str(text).ok()).map(behavior_to_v2);
    let behavior = behavior.filter(|behavior| behavior.as_object().is_some_and(|parts| !parts.is_empty()));
    set(to, "spec", "behavior", behavior.and_then(|behavior| decoded(kind, "spec", "behavior", behavior)));

    let current = share("status", "currentCPUUtilizationPercentage").map(
        |share| json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": share}}}]),
    );
    let kept = annotation(CURRENT_METRICS).and_then(|text| metrics_to_v2(text, true)).map(Json::from);
    let kept = kept.and_then(|metrics| decoded(kind, "status", "currentMetrics", metrics));
    let current = kept.or_else(|| current.and_then(|current| decoded(kind, "status", "currentMetrics", current)));
    set(to, "status", "currentMetrics", current);

    let conditions = annotation(CONDITIONS).and_then(|text| serde_json::from_str(text).ok());
    set(to, "status", "conditions", conditions.and_then(|list| decoded(kind, "status", "conditions", list)));
}

fn cpu_share<'a>(metric: &'a Value, part: &str) -> Option<&'a Value> {
    let text = |path: &[&str]| metric.at(path).and_then(Value::as_str);
    let cpu = text(&["type"]) == Some("Resource") && text(&["resource", "name"]) == Some("cpu");
    metric.at(&["resource", part, "averageUtilization"]).filter(|_| cpu)
}

fn cpu_target(share: i64) -> Json {
    let target = json!({"type": "Utilization", "averageUtilization": share});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

/// A metric of version 2 in version 1's names.
fn metric_to_v1(metric: &Json, measured: bool) -> Json {
    let mut converted = Map::new();
    converted.insert("type".into(), metric["type"].as_str().unwrap_or_default().into());
    for (name, target, current) in SOURCES {
        let Some(source) = metric.get(name) else { continue };
        let mut fields = Map::new();
        for (field, path, absent) in if measured { *current } else { *target } {
            let value = path.iter().try_fold(source, |value, step| value.get(step));
            let value = value.cloned().or_else(|| absent.map(Json::from));
            // An empty reference and the name of a container are never left out.
            let value = value.or_else(|| match *field {
                "target" => Some(json!({"kind": "", "name": ""})),
                "container" if *name == "containerResource" => Some("".into()),
                _ => None,
            });
            fields.extend(value.map(|value| ((*field).to_owned(), value)));
        }
        converted.insert((*name).into(), fields.into());
    }
    converted.into()
}

/// None: not the JSON of metrics.
fn metrics_to_v2(text: &str, measured: bool) -> Option<Vec<Json>> {
    let metrics: Vec<Map<String, Json>> = serde_json::from_str(text).ok()?;
    Some(metrics.into_iter().map(|metric| metric_to_v2(&metric, measured)).collect())
}

fn metric_to_v2(metric: &Map<String, Json>, measured: bool) -> Json {
    let mut converted = json!({"type": metric.get("type").cloned().unwrap_or_default()});
    for (name, target, current) in SOURCES {
        let Some(source) = metric.get(*name).filter(|source| source.is_object()) else { continue };
        let mut fields = json!({});
        for (field, path, absent) in if measured { *current } else { *target } {
            let value = source.get(field).filter(|value| !value.is_null()).cloned();
            if let Some(value) = value.or_else(|| absent.map(Json::from)) {
                *path.iter().fold(&mut fields, |fields, step| &mut fields[*step]) = value;
            }
        }
        if !measured {
            let given = |field: &str| source.get(field).is_some_and(|value| !value.is_null());
            fields["target"]["type"] = match *name {
                "object" if !given("averageValue") => "Value",
                "external" if given("targetValue") => "Value",
                "resource" | "containerResource" if given("targetAverageUtilization") => "Utilization",
                _ => "AverageValue",
            }
            .into();
        }
        converted[*name] = fields;
    }
    converted
}

/// The annotation holds Kubernetes' own struct, every field under its name in Go.
fn behavior_to_v1(behavior: &Json) -> Json {
    renamed(behavior, BEHAVIOR_FIELDS, |_, rules| {
        renamed(rules, RULES_FIELDS, |name, value| match (name, value) {
            ("Policies", Json::Array(policies)) => {
                policies.iter().map(|policy| renamed(policy, POLICY_FIELDS, |_, value| value.clone())).collect()
            }
            _ => value.clone(),
        })
    })
}

fn renamed(from: &Json, fields: &[&str], inner: impl Fn(&str, &Json) -> Json) -> Json {
    let value = |field: &&str| from.get(lower_first(field)).map_or(Json::Null, |value| inner(field, value));
    fields.iter().map(|field| ((*field).to_owned(), value(field))).collect::<Map<_, _>>().into()
}

fn behavior_to_v2(behavior: Json) -> Json {
    match behavior {
        Json::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            fields.map(|(name, value)| (lower_first(&name), behavior_to_v2(value))).collect::<Map<_, _>>().into()
        }
        Json::Array(items) => items.into_iter().map(behavior_to_v2).collect(),
        other => other,
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn to_json(value: &Value) -> Json {
    let mut text = Vec::new();
    if let Some(value) = value.as_struct() {
        encode_struct_json(value, &mut text);
    }
    serde_json::from_slice(&text).unwrap_or_default()
}

/// One field read from JSON; None where it does not fit.
fn decoded(kind: &Type, owner: &str, field: &str, value: Json) -> Option<Value> {
    let document = json!({owner: {field: value}}).to_string();
    let mut object = decode_json_as(kind, document.as_bytes()).ok()?.object;
    object.remove(&[owner, field])
}

fn set(to: &mut Struct, owner: &str, field: &str, value: Option<Value>) {
    if let Some(value) = value {
        set_in_struct(to, &[owner, field], value);
    }
}

pub(super) fn drop_annotations(root: &mut Struct) {
    let metadata = root.get_mut("metadata");
    if let Some(annotations) = metadata.and_then(|meta| meta.child_mut("annotations")).and_then(Value::as_map_mut) {
        for name in ANNOTATIONS {
            annotations.remove(name);
        }
    }
}

/// Sets an annotation that is not empty, in JSON with Go's HTML escapes.
fn annotate(to: &mut Struct, name: &str, value: Json) {
    if value.as_array().is_some_and(Vec::is_empty) {
        return;
    }
    let text = value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let metadata = to.get_mut("metadata").and_then(Value::as_struct_mut);
    let Some(metadata) = metadata else { return };
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_map_mut) {
        annotations.insert(name, text);
        return;
    }
    let mut annotations = crate::api::schema::value::MapValue::new();
    annotations.insert(name, text);
    metadata.set("annotations", annotations);
}
