//! Horizontal pod autoscalers, printed in their version 2, and scales.

use super::super::{
    column::{AGE, Cell, CellValue, Column, Doc, NAME, Printer, integer, printer, text},
    format::cut,
    row::Row,
    value::text_in,
};
use crate::api::schema::Value;

pub(super) static AUTOSCALER: Printer = printer(&[
    NAME,
    text("Reference", Doc::Field(&["spec", "scaleTargetRef"]), Cell::With(reference)),
    text("Targets", Doc::Field(&["spec", "metrics"]), Cell::With(targets)),
    text("MinPods", Doc::Field(&["spec", "minReplicas"]), Cell::With(min_pods)),
    text("MaxPods", Doc::Field(&["spec", "maxReplicas"]), Cell::Int(&["spec", "maxReplicas"])),
    text("Replicas", Doc::Field(&["status", "currentReplicas"]), Cell::Int(&["status", "currentReplicas"])),
    AGE,
])
.described_by("autoscaling", "v2beta1");

pub(super) static SCALE: Printer = printer(&[
    Column { format: "", ..NAME },
    integer("Desired", Doc::Field(&["spec", "replicas"]), Cell::Int(&["spec", "replicas"])),
    integer("Available", Doc::Field(&["status", "replicas"]), Cell::Int(&["status", "replicas"])),
    AGE,
]);

fn reference(row: &Row<'_>) -> CellValue {
    let target = |name| row.text(&["spec", "scaleTargetRef", name]);
    format!("{}/{}", target("kind"), target("name")).into()
}

fn min_pods(row: &Row<'_>) -> CellValue {
    row.object.get_i64(&["spec", "minReplicas"]).map_or_else(|| "<unset>".to_owned(), |n| n.to_string()).into()
}

fn targets(row: &Row<'_>) -> CellValue {
    let specs = row.list(&["spec", "metrics"]);
    if specs.is_empty() {
        return "<none>".into();
    }
    let statuses = row.list(&["status", "currentMetrics"]);
    let metrics: Vec<String> = specs.iter().enumerate().map(|(i, spec)| metric(spec, statuses.get(i))).collect();
    cut(&metrics, metrics.len(), 2, ", ").into()
}

const UNKNOWN: &str = "<unknown>";

/// Current value over target of one metric.
fn metric(spec: &Value, status: Option<&Value>) -> String {
    let source = match text_in(spec, &["type"]) {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let target = |name: &str| spec.at(&[source, "target", name]);
    let status = status.filter(|s| s.child(source).is_some());
    let current = |name: &str| status.and_then(|s| s.at(&[source, "current", name]));
    let quantity = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("0").to_owned();
    let average = target("averageValue").map(|t| quantity(Some(t)));
    match source {
        "resource" | "containerResource" => {
            let name = text_in(spec, &[source, "name"]);
            let (now, wanted) = match average {
                Some(average) => (status.map(|_| quantity(current("averageValue"))), average),
                None => {
                    let percent = |v: Option<&Value>| v.and_then(Value::as_i64).map(|n| format!("{n}%"));
                    let wanted = percent(target("averageUtilization")).unwrap_or_else(|| "<auto>".to_owned());
                    (percent(current("averageUtilization")), wanted)
                }
            };
            format!("{name}: {}/{wanted}", now.unwrap_or_else(|| UNKNOWN.to_owned()))
        }
        "pods" => {
            let now = status.map_or_else(|| UNKNOWN.to_owned(), |_| quantity(current("averageValue")));
            format!("{now}/{}", average.unwrap_or_else(|| "0".to_owned()))
        }
        _ => match average {
            Some(average) => {
                let now = current("averageValue").map_or_else(|| UNKNOWN.to_owned(), |v| quantity(Some(v)));
                format!("{now}/{average} (avg)")
            }
            None => {
                let now = status.map_or_else(|| UNKNOWN.to_owned(), |_| quantity(current("value")));
                format!("{now}/{}", quantity(target("value")))
            }
        },
    }
}
