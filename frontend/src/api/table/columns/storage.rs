//! Volumes, claims, classes, drivers, devices.

use super::super::{
    column::{AGE, Cell, CellValue, Column, Doc, NAME, Printer, boolean, integer, printer, text},
    format::access_modes,
    row::{Row, join},
};

pub(super) static PERSISTENT_VOLUME: Printer = printer(&[
    NAME,
    text("Capacity", Doc::Field(&["spec", "capacity"]), Cell::TextOr(&["spec", "capacity", "storage"], "0")),
    text(
        "Access Modes",
        Doc::Field(&["spec", "accessModes"]),
        Cell::With(|row| access_modes(row.list(&["spec", "accessModes"])).into()),
    ),
    text(
        "Reclaim Policy",
        Doc::Field(&["spec", "persistentVolumeReclaimPolicy"]),
        Cell::Text(&["spec", "persistentVolumeReclaimPolicy"]),
    ),
    text("Status", Doc::Field(&["status", "phase"]), Cell::With(phase)),
    text("Claim", Doc::Field(&["spec", "claimRef"]), Cell::With(claim)),
    text("StorageClass", Doc::Text("StorageClass of the pv"), Cell::With(class)),
    text(
        "VolumeAttributesClass",
        Doc::Text("VolumeAttributesClass of the pv"),
        Cell::TextOr(&["spec", "volumeAttributesClassName"], "<unset>"),
    ),
    text("Reason", Doc::Field(&["status", "reason"]), Cell::Text(&["status", "reason"])),
    AGE,
    text("VolumeMode", Doc::Field(&["spec", "volumeMode"]), Cell::TextOr(&["spec", "volumeMode"], "<unset>")).wide(),
]);

pub(super) static PERSISTENT_VOLUME_CLAIM: Printer = printer(&[
    NAME,
    text("Status", Doc::Field(&["status", "phase"]), Cell::With(phase)),
    text("Volume", Doc::Field(&["spec", "volumeName"]), Cell::Text(&["spec", "volumeName"])),
    text("Capacity", Doc::Field(&["status", "capacity"]), Cell::With(bound_capacity)),
    text("Access Modes", Doc::Field(&["status", "accessModes"]), Cell::With(bound_modes)),
    text("StorageClass", Doc::Text("StorageClass of the pvc"), Cell::With(class)),
    text(
        "VolumeAttributesClass",
        Doc::Text("VolumeAttributesClass of the pvc"),
        Cell::TextOr(&["spec", "volumeAttributesClassName"], "<unset>"),
    ),
    AGE,
    text("VolumeMode", Doc::Field(&["spec", "volumeMode"]), Cell::TextOr(&["spec", "volumeMode"], "<unset>")).wide(),
]);

pub(super) static STORAGE_CLASS: Printer = printer(&[
    Column { cell: Cell::With(class_name), ..NAME },
    text("Provisioner", Doc::Field(&["provisioner"]), Cell::Text(&["provisioner"])),
    text("ReclaimPolicy", Doc::Field(&["reclaimPolicy"]), Cell::TextOr(&["reclaimPolicy"], "Delete")),
    text("VolumeBindingMode", Doc::Field(&["volumeBindingMode"]), Cell::TextOr(&["volumeBindingMode"], "Immediate")),
    text("AllowVolumeExpansion", Doc::Field(&["allowVolumeExpansion"]), Cell::BoolOr(&["allowVolumeExpansion"], false)),
    AGE,
]);

pub(super) static VOLUME_ATTRIBUTES_CLASS: Printer =
    printer(&[NAME, text("DriverName", Doc::Field(&["driverName"]), Cell::Text(&["driverName"])), AGE]);

pub(super) static VOLUME_ATTACHMENT: Printer = printer(&[
    NAME,
    text("Attacher", Doc::Field(&["spec", "attacher"]), Cell::Text(&["spec", "attacher"])).name_format(),
    text(
        "PV",
        Doc::Field(&["spec", "source", "persistentVolumeName"]),
        Cell::Text(&["spec", "source", "persistentVolumeName"]),
    ),
    text("Node", Doc::Field(&["spec", "nodeName"]), Cell::Text(&["spec", "nodeName"])),
    boolean("Attached", Doc::Field(&["status", "attached"]), Cell::BoolOr(&["status", "attached"], false)),
    AGE,
]);

pub(super) static CSI_NODE: Printer = printer(&[
    NAME,
    integer(
        "Drivers",
        Doc::Text("Drivers indicates the number of CSI drivers registered on the node"),
        Cell::Count(&["spec", "drivers"]),
    ),
    AGE,
]);

pub(super) static CSI_DRIVER: Printer = printer(&[
    NAME,
    boolean("AttachRequired", Doc::Field(&["spec", "attachRequired"]), Cell::BoolOr(&["spec", "attachRequired"], true)),
    boolean(
        "PodInfoOnMount",
        Doc::Field(&["spec", "podInfoOnMount"]),
        Cell::BoolOr(&["spec", "podInfoOnMount"], false),
    ),
    boolean(
        "StorageCapacity",
        Doc::Field(&["spec", "storageCapacity"]),
        Cell::BoolOr(&["spec", "storageCapacity"], false),
    ),
    text("TokenRequests", Doc::Field(&["spec", "tokenRequests"]), Cell::With(audiences)),
    boolean(
        "RequiresRepublish",
        Doc::Field(&["spec", "requiresRepublish"]),
        Cell::BoolOr(&["spec", "requiresRepublish"], false),
    ),
    text("Modes", Doc::Field(&["spec", "volumeLifecycleModes"]), Cell::With(modes)),
    AGE,
]);

pub(super) static RESOURCE_CLAIM: Printer = printer(&[
    NAME,
    text(
        "State",
        Doc::Text("A summary of the current state (allocated, pending, reserved, etc.)."),
        Cell::With(claim_state),
    ),
    AGE,
]);

pub(super) static RESOURCE_SLICE: Printer = printer(&[
    NAME,
    text("Node", Doc::Field(&["spec", "nodeName"]), Cell::Text(&["spec", "nodeName"])),
    text("Driver", Doc::Field(&["spec", "driver"]), Cell::Text(&["spec", "driver"])),
    text("Pool", Doc::Field(&["spec", "pool", "name"]), Cell::Text(&["spec", "pool", "name"])),
    AGE,
]);

fn phase(row: &Row<'_>) -> CellValue {
    if row.is_deleting() { "Terminating".into() } else { row.text(&["status", "phase"]).into() }
}

fn claim(row: &Row<'_>) -> CellValue {
    match row.value(&["spec", "claimRef"]) {
        Some(_) => {
            format!("{}/{}", row.text(&["spec", "claimRef", "namespace"]), row.text(&["spec", "claimRef", "name"]))
                .into()
        }
        None => "".into(),
    }
}

/// The class by the annotation that came before the field, else by the field.
fn class(row: &Row<'_>) -> CellValue {
    let annotated = row.object.annotation("volume.beta.kubernetes.io/storage-class");
    annotated.unwrap_or_else(|| row.text(&["spec", "storageClassName"])).into()
}

fn is_bound(row: &Row<'_>) -> bool {
    !row.text(&["spec", "volumeName"]).is_empty()
}

fn bound_capacity(row: &Row<'_>) -> CellValue {
    if !is_bound(row) {
        return "".into();
    }
    row.object.get_str(&["status", "capacity", "storage"]).unwrap_or("0").into()
}

fn bound_modes(row: &Row<'_>) -> CellValue {
    if is_bound(row) { access_modes(row.list(&["status", "accessModes"])).into() } else { "".into() }
}

fn class_name(row: &Row<'_>) -> CellValue {
    let marks = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    let default = marks.iter().any(|mark| row.object.annotation(mark) == Some("true"));
    format!("{}{}", row.object.name(), if default { " (default)" } else { "" }).into()
}

fn audiences(row: &Row<'_>) -> CellValue {
    match row.object.get_list(&["spec", "tokenRequests"]) {
        Some(requests) => join(requests, "audience").into(),
        None => "<unset>".into(),
    }
}

fn modes(row: &Row<'_>) -> CellValue {
    let modes: Vec<&str> = row.list(&["spec", "volumeLifecycleModes"]).iter().filter_map(|m| m.as_str()).collect();
    super::super::format::or_none(modes.join(",")).into()
}

fn claim_state(row: &Row<'_>) -> CellValue {
    let deleting = row.is_deleting();
    let allocated = row.value(&["status", "allocation"]).is_some();
    let reserved = allocated && !row.list(&["status", "reservedFor"]).is_empty();
    let states =
        [(deleting, "deleted"), (!allocated && !deleting, "pending"), (allocated, "allocated"), (reserved, "reserved")];
    states.into_iter().filter(|(holds, _)| *holds).map(|(_, state)| state).collect::<Vec<_>>().join(",").into()
}
