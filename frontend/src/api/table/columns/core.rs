//! Namespaces, nodes, configuration, quotas, events.

use std::collections::BTreeMap;

use super::super::{
    column::{AGE, Cell, CellValue, Doc, NAME, Printer, printer, text},
    row::Row,
    value::{condition, text_in},
};
use crate::api::schema::Value;

pub(super) static NAMESPACE: Printer =
    printer(&[NAME, text("Status", Doc::Text("The status of the namespace"), Cell::Text(&["status", "phase"])), AGE]);

pub(super) static CONFIG_MAP: Printer =
    printer(&[NAME, text("Data", Doc::Field(&["data"]), Cell::With(config_map_size)), AGE]);

pub(super) static SECRET: Printer = printer(&[
    NAME,
    text("Type", Doc::Field(&["type"]), Cell::Text(&["type"])),
    text("Data", Doc::Field(&["data"]), Cell::Count(&["data"])),
    AGE,
]);

const ADDRESSES: Doc = Doc::Field(&["status", "addresses"]);

pub(super) static NODE: Printer = printer(&[
    NAME,
    text("Status", Doc::Text("The status of the node"), Cell::With(node_status)),
    text("Roles", Doc::Text("The roles of the node"), Cell::With(node_roles)),
    AGE,
    text(
        "Version",
        Doc::Field(&["status", "nodeInfo", "kubeletVersion"]),
        Cell::Text(&["status", "nodeInfo", "kubeletVersion"]),
    ),
    text("Internal-IP", ADDRESSES, Cell::With(|row| node_address(row, "InternalIP"))).wide(),
    text("External-IP", ADDRESSES, Cell::With(|row| node_address(row, "ExternalIP"))).wide(),
    text("OS-Image", Doc::Field(&["status", "nodeInfo", "osImage"]), Cell::With(|row| node_info(row, "osImage")))
        .wide(),
    text(
        "Kernel-Version",
        Doc::Field(&["status", "nodeInfo", "kernelVersion"]),
        Cell::With(|row| node_info(row, "kernelVersion")),
    )
    .wide(),
    text(
        "Container-Runtime",
        Doc::Field(&["status", "nodeInfo", "containerRuntimeVersion"]),
        Cell::With(|row| node_info(row, "containerRuntimeVersion")),
    )
    .wide(),
]);

pub(super) static COMPONENT_STATUS: Printer = printer(&[
    NAME,
    text("Status", Doc::Text("Status of the component conditions"), Cell::With(component_health)),
    text("Message", Doc::Text("Message of the component conditions"), Cell::With(|row| component(row, "message"))),
    text("Error", Doc::Text("Error of the component conditions"), Cell::With(|row| component(row, "error"))),
]);

pub(super) static RESOURCE_QUOTA: Printer = printer(&[
    NAME,
    text(
        "Request",
        Doc::Text("Request represents a minimum amount of cpu/memory that a container may consume."),
        Cell::With(|row| quota(row, false)),
    ),
    text(
        "Limit",
        Doc::Text(
            "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.",
        ),
        Cell::With(|row| quota(row, true)),
    ),
    AGE,
]);

pub(super) static EVENT: Printer = printer(&[
    text("Last Seen", Doc::Field(&["lastTimestamp"]), Cell::With(last_seen)),
    text("Type", Doc::Field(&["type"]), Cell::Text(&["type"])),
    text("Reason", Doc::Field(&["reason"]), Cell::Text(&["reason"])),
    text("Object", Doc::Field(&["involvedObject"]), Cell::With(event_object)),
    text("Subobject", Doc::Field(&["involvedObject", "fieldPath"]), Cell::Text(&["involvedObject", "fieldPath"]))
        .wide(),
    text("Source", Doc::Field(&["source"]), Cell::With(event_source)).wide(),
    text("Message", Doc::Field(&["message"]), Cell::With(|row| row.text(&["message"]).trim().into())),
    text("First Seen", Doc::Field(&["firstTimestamp"]), Cell::With(|row| first_seen(row).into())).wide(),
    text("Count", Doc::Field(&["count"]), Cell::With(event_count)).wide(),
    NAME.wide(),
]);

fn config_map_size(row: &Row<'_>) -> CellValue {
    let entries = |name| row.value(&[name]).map_or(0, super::super::row::count);
    (entries("data") + entries("binaryData")).into()
}

fn node_status(row: &Row<'_>) -> CellValue {
    let ready = condition(row.list(&["status", "conditions"]), "Ready").map(|c| text_in(c, &["status"]));
    let mut status = match ready {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if row.object.get_bool(&["spec", "unschedulable"]) == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    status.into()
}

fn node_roles(row: &Row<'_>) -> CellValue {
    let role = |(key, value): (&str, &str)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_owned()),
        None if key == "kubernetes.io/role" => Some(value.to_owned()),
        None => None,
    };
    let roles: std::collections::BTreeSet<String> =
        row.object.labels().filter_map(role).filter(|role| !role.is_empty()).collect();
    super::super::format::or_none(roles.into_iter().collect::<Vec<_>>().join(",")).into()
}

fn node_address(row: &Row<'_>, kind: &str) -> CellValue {
    let address = condition(row.list(&["status", "addresses"]), kind);
    address.map_or("<none>", |a| text_in(a, &["address"])).into()
}

fn node_info(row: &Row<'_>, name: &str) -> CellValue {
    match row.text(&["status", "nodeInfo", name]) {
        "" => "<unknown>".into(),
        known => known.into(),
    }
}

fn component_health(row: &Row<'_>) -> CellValue {
    match condition(row.list(&["conditions"]), "Healthy").map(|c| text_in(c, &["status"])) {
        Some("True") => "Healthy",
        Some(_) => "Unhealthy",
        None => "Unknown",
    }
    .into()
}

fn component(row: &Row<'_>, name: &str) -> CellValue {
    condition(row.list(&["conditions"]), "Healthy").map_or("", |c| text_in(c, &[name])).into()
}

/// What is used of what is granted; resources whose name begins with "limits." stand in a column of their own.
fn quota(row: &Row<'_>, limits: bool) -> CellValue {
    let map = |name| row.value(&["status", name]).and_then(Value::as_map);
    let hard: BTreeMap<&str, &str> = map("hard")
        .into_iter()
        .flat_map(|m| m.iter())
        .map(|(key, value)| (key, value.as_str().unwrap_or("0")))
        .collect();
    let used = |key: &str| map("used").and_then(|m| m.get(key)).and_then(Value::as_str).unwrap_or("0");
    let shown = hard.iter().filter(|(key, _)| key.starts_with("limits.") == limits);
    shown.map(|(key, hard)| format!("{key}: {}/{hard}", used(key))).collect::<Vec<_>>().join(", ").into()
}

fn first_seen(row: &Row<'_>) -> String {
    row.since(row.object.get_str(&["firstTimestamp"]).or_else(|| row.object.get_str(&["eventTime"])))
}

fn last_seen(row: &Row<'_>) -> CellValue {
    if row.value(&["series"]).is_some() {
        return row.since(row.object.get_str(&["series", "lastObservedTime"])).into();
    }
    match row.object.get_str(&["lastTimestamp"]) {
        Some(last) => row.since(Some(last)),
        None => first_seen(row),
    }
    .into()
}

fn event_object(row: &Row<'_>) -> CellValue {
    let kind = row.text(&["involvedObject", "kind"]).to_lowercase();
    match row.text(&["involvedObject", "name"]) {
        "" => kind.into(),
        name => format!("{kind}/{name}").into(),
    }
}

fn event_source(row: &Row<'_>) -> CellValue {
    let first = |a: &[&str], b: &[&str]| match row.text(a) {
        "" => row.text(b).to_owned(),
        found => found.to_owned(),
    };
    let component = first(&["source", "component"], &["reportingComponent"]);
    match first(&["source", "host"], &["reportingInstance"]).as_str() {
        "" => component.into(),
        instance => format!("{component}, {instance}").into(),
    }
}

fn event_count(row: &Row<'_>) -> CellValue {
    match row.value(&["series"]) {
        Some(_) => row.int(&["series", "count"]).into(),
        // Single events of the newer API carry no count.
        None => row.int(&["count"]).max(1).into(),
    }
}
