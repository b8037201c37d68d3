//! What runs pods, and what bounds and ranks them.

use super::super::{
    column::{AGE, Cell, CellValue, Doc, NAME, Printer, boolean, containers, images, integer, printer, text},
    format,
    row::Row,
};

const CONTAINERS: &[&str] = &["spec", "template", "spec", "containers"];
const SELECTOR: &[&str] = &["spec", "selector"];

pub(super) static DEPLOYMENT: Printer = printer(&[
    NAME,
    text("Ready", Doc::Text("Number of the pod with ready state"), Cell::With(ready_of_replicas)),
    text("Up-to-date", Doc::Field(&["status", "updatedReplicas"]), Cell::Int(&["status", "updatedReplicas"])),
    text("Available", Doc::Field(&["status", "availableReplicas"]), Cell::Int(&["status", "availableReplicas"])),
    AGE,
    containers(CONTAINERS),
    images(CONTAINERS),
    text(
        "Selector",
        Doc::Field(SELECTOR),
        Cell::With(|row| format::label_selector(row.value(SELECTOR)).replace("<error>", "<invalid>").into()),
    )
    .wide(),
])
.described_by("extensions", "v1beta1");

pub(super) static REPLICA_SET: Printer = printer(&[
    NAME,
    integer("Desired", Doc::Field(&["spec", "replicas"]), Cell::Int(&["spec", "replicas"])),
    integer("Current", Doc::Field(&["status", "replicas"]), Cell::Int(&["status", "replicas"])),
    integer("Ready", Doc::Field(&["status", "readyReplicas"]), Cell::Int(&["status", "readyReplicas"])),
    AGE,
    containers(CONTAINERS),
    images(CONTAINERS),
    text("Selector", Doc::Field(SELECTOR), Cell::Selector(SELECTOR)).wide(),
])
.described_by("extensions", "v1beta1");

pub(super) static REPLICATION_CONTROLLER: Printer = printer(&[
    NAME,
    integer("Desired", Doc::Field(&["spec", "replicas"]), Cell::Int(&["spec", "replicas"])),
    integer("Current", Doc::Field(&["status", "replicas"]), Cell::Int(&["status", "replicas"])),
    integer("Ready", Doc::Field(&["status", "readyReplicas"]), Cell::Int(&["status", "readyReplicas"])),
    AGE,
    containers(CONTAINERS),
    images(CONTAINERS),
    text("Selector", Doc::Field(SELECTOR), Cell::Labels(SELECTOR)).wide(),
]);

pub(super) static STATEFUL_SET: Printer = printer(&[
    NAME,
    text("Ready", Doc::Text("Number of the pod with ready state"), Cell::With(ready_of_replicas)),
    AGE,
    containers(CONTAINERS),
    images(CONTAINERS),
]);

const NODE_SELECTOR: &[&str] = &["spec", "template", "spec", "nodeSelector"];

pub(super) static DAEMON_SET: Printer = printer(&[
    NAME,
    integer(
        "Desired",
        Doc::Field(&["status", "desiredNumberScheduled"]),
        Cell::Int(&["status", "desiredNumberScheduled"]),
    ),
    integer(
        "Current",
        Doc::Field(&["status", "currentNumberScheduled"]),
        Cell::Int(&["status", "currentNumberScheduled"]),
    ),
    integer("Ready", Doc::Field(&["status", "numberReady"]), Cell::Int(&["status", "numberReady"])),
    integer(
        "Up-to-date",
        Doc::Field(&["status", "updatedNumberScheduled"]),
        Cell::Int(&["status", "updatedNumberScheduled"]),
    ),
    integer("Available", Doc::Field(&["status", "numberAvailable"]), Cell::Int(&["status", "numberAvailable"])),
    text("Node Selector", Doc::Field(NODE_SELECTOR), Cell::Labels(NODE_SELECTOR)),
    AGE,
    containers(CONTAINERS),
    images(CONTAINERS),
    text("Selector", Doc::Field(SELECTOR), Cell::Selector(SELECTOR)).wide(),
])
.described_by("extensions", "v1beta1");

pub(super) static CONTROLLER_REVISION: Printer = printer(&[
    NAME,
    text("Controller", Doc::Text("Controller of the object"), Cell::With(controller)),
    text("Revision", Doc::Field(&["revision"]), Cell::Int(&["revision"])),
    AGE,
])
.described_by("apps", "v1beta1");

pub(super) static DISRUPTION_BUDGET: Printer = printer(&[
    NAME,
    text(
        "Min Available",
        Doc::Text("The minimum number of pods that must be available."),
        Cell::With(|row| bound(row, "minAvailable")),
    ),
    text(
        "Max Unavailable",
        Doc::Text("The maximum number of pods that may be unavailable."),
        Cell::With(|row| bound(row, "maxUnavailable")),
    ),
    integer(
        "Allowed Disruptions",
        Doc::Text("Calculated number of pods that may be disrupted at this time."),
        Cell::Int(&["status", "disruptionsAllowed"]),
    ),
    AGE,
]);

pub(super) static PRIORITY_CLASS: Printer = printer(&[
    NAME,
    integer("Value", Doc::Field(&["value"]), Cell::Int(&["value"])),
    boolean("Global-Default", Doc::Field(&["globalDefault"]), Cell::BoolOr(&["globalDefault"], false)),
    AGE,
    text("PreemptionPolicy", Doc::Field(&["preemptionPolicy"]), Cell::Text(&["preemptionPolicy"])),
]);

pub(super) static RUNTIME_CLASS: Printer = printer(&[NAME, text("Handler", Doc::Empty, Cell::Text(&["handler"])), AGE]);

fn ready_of_replicas(row: &Row<'_>) -> CellValue {
    format!("{}/{}", row.int(&["status", "readyReplicas"]), row.int(&["spec", "replicas"])).into()
}

fn controller(row: &Row<'_>) -> CellValue {
    let Some(owner) = row.object.owner_references().find(|o| o.controller) else { return "<none>".into() };
    let kind = match owner.api_version.split_once('/') {
        Some((group, _)) => format!("{}.{group}", owner.kind),
        None => owner.kind.to_owned(),
    };
    format!("{}/{}", kind.to_lowercase(), owner.name).into()
}

fn bound(row: &Row<'_>, name: &str) -> CellValue {
    row.value(&["spec", name]).map_or_else(|| "N/A".to_owned(), format::int_or_string).into()
}
