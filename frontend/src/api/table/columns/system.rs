//! What configures the server itself, and leases.

use super::super::{
    column::{AGE, Cell, CellValue, Doc, NAME, Printer, integer, printer, text},
    row::Row,
    value::{condition, text_in},
};
use crate::api::schema::Value;

pub(super) static LEASE: Printer = printer(&[
    NAME,
    text("Holder", Doc::Field(&["spec", "holderIdentity"]), Cell::Text(&["spec", "holderIdentity"])),
    AGE,
]);

pub(super) static API_SERVICE: Printer = printer(&[
    NAME,
    text("Service", Doc::Text("The reference to the service that hosts this API endpoint."), Cell::With(service)),
    text("Available", Doc::Text("Whether this service is available."), Cell::With(available)),
    AGE,
]);

pub(super) static WEBHOOKS: Printer = printer(&[
    NAME,
    integer(
        "Webhooks",
        Doc::Text("Webhooks indicates the number of webhooks registered in this configuration"),
        Cell::Count(&["webhooks"]),
    ),
    AGE,
]);

pub(super) static ADMISSION_POLICY: Printer = printer(&[
    NAME,
    integer(
        "Validations",
        Doc::Text("Validations indicates the number of validation rules defined in this configuration"),
        Cell::Count(&["spec", "validations"]),
    ),
    text(
        "ParamKind",
        Doc::Text("ParamKind specifies the kind of resources used to parameterize this policy"),
        Cell::With(param_kind),
    ),
    AGE,
]);

pub(super) static ADMISSION_POLICY_BINDING: Printer = printer(&[
    NAME,
    text(
        "PolicyName",
        Doc::Text("PolicyName indicates the policy definition which the policy binding binded to"),
        Cell::Text(&["spec", "policyName"]),
    ),
    text(
        "ParamRef",
        Doc::Text("ParamRef indicates the param resource which sets the configuration param"),
        Cell::With(param_ref),
    ),
    AGE,
]);

pub(super) static FLOW_SCHEMA: Printer = Printer {
    order: Some(|row| (row.int(&["spec", "matchingPrecedence"]), row.object.name().to_owned())),
    ..printer(&[
        NAME,
        text(
            "PriorityLevel",
            Doc::Field(&["spec", "priorityLevelConfiguration", "name"]),
            Cell::Text(&["spec", "priorityLevelConfiguration", "name"]),
        ),
        text(
            "MatchingPrecedence",
            Doc::Field(&["spec", "matchingPrecedence"]),
            Cell::Int(&["spec", "matchingPrecedence"]),
        ),
        text(
            "DistinguisherMethod",
            Doc::Field(&["spec", "distinguisherMethod"]),
            Cell::TextOr(&["spec", "distinguisherMethod", "type"], "<none>"),
        ),
        AGE,
        text(
            "MissingPL",
            Doc::Text("references a broken or non-existent PriorityLevelConfiguration"),
            Cell::With(dangling),
        ),
    ])
};

const QUEUING: &[&str] = &["spec", "limited", "limitResponse", "queuing"];
const SHARES: &[&str] = &["spec", "limited", "nominalConcurrencyShares"];

pub(super) static PRIORITY_LEVEL: Printer = printer(&[
    NAME,
    text("Type", Doc::Field(&["spec", "type"]), Cell::Text(&["spec", "type"])),
    text("NominalConcurrencyShares", Doc::Field(SHARES), Cell::With(shares)),
    text(
        "Queues",
        Doc::Field(&["spec", "limited", "limitResponse", "queuing", "queues"]),
        Cell::With(|r| queuing(r, "queues")),
    ),
    text(
        "HandSize",
        Doc::Field(&["spec", "limited", "limitResponse", "queuing", "handSize"]),
        Cell::With(|r| queuing(r, "handSize")),
    ),
    text(
        "QueueLengthLimit",
        Doc::Field(&["spec", "limited", "limitResponse", "queuing", "queueLengthLimit"]),
        Cell::With(|r| queuing(r, "queueLengthLimit")),
    ),
    AGE,
]);

fn service(row: &Row<'_>) -> CellValue {
    match row.value(&["spec", "service"]) {
        Some(service) => format!("{}/{}", text_in(service, &["namespace"]), text_in(service, &["name"])).into(),
        None => "Local".into(),
    }
}

fn available(row: &Row<'_>) -> CellValue {
    let Some(condition) = condition(row.list(&["status", "conditions"]), "Available") else { return "Unknown".into() };
    match (text_in(condition, &["status"]), text_in(condition, &["reason"])) {
        ("True", _) => "True".into(),
        (status, "") => status.into(),
        (status, reason) => format!("{status} ({reason})").into(),
    }
}

fn param_kind(row: &Row<'_>) -> CellValue {
    match row.value(&["spec", "paramKind"]) {
        Some(kind) => format!("{}/{}", text_in(kind, &["apiVersion"]), text_in(kind, &["kind"])).into(),
        None => "<unset>".into(),
    }
}

/// By name, else by selector. Without a namespace it may be in any.
fn param_ref(row: &Row<'_>) -> CellValue {
    let Some(reference) = row.value(&["spec", "paramRef"]) else { return "<unset>".into() };
    match (text_in(reference, &["namespace"]), text_in(reference, &["name"]), reference.child("selector")) {
        (_, "", None) => "<unset>".into(),
        (_, "", Some(selector)) => go_selector(selector).into(),
        ("", name, _) => format!("*/{name}").into(),
        (namespace, name, _) => format!("{namespace}/{name}").into(),
    }
}

/// A label selector as Go's protobuf types print themselves.
fn go_selector(selector: &Value) -> String {
    let labels = selector.child("matchLabels").and_then(Value::as_map).into_iter().flat_map(|map| map.iter());
    let labels: String = labels.map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or(""))).collect();
    let expressions = selector.child("matchExpressions").and_then(Value::as_list).unwrap_or(&[]).iter();
    let expression = |e: &Value| {
        let values = e.child("values").and_then(Value::as_list).unwrap_or(&[]);
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        format!(
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
            text_in(e, &["key"]),
            text_in(e, &["operator"]),
            values.join(" ")
        )
    };
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        expressions.map(expression).collect::<String>()
    )
}

fn dangling(row: &Row<'_>) -> CellValue {
    condition(row.list(&["status", "conditions"]), "Dangling").map_or("?", |c| text_in(c, &["status"])).into()
}

fn shares(row: &Row<'_>) -> CellValue {
    match row.value(&["spec", "limited"]) {
        Some(_) => row.int(SHARES).into(),
        None => "<none>".into(),
    }
}

fn queuing(row: &Row<'_>, name: &str) -> CellValue {
    match row.value(QUEUING) {
        Some(queuing) => super::super::value::int_in(queuing, &[name]).into(),
        None => "<none>".into(),
    }
}
