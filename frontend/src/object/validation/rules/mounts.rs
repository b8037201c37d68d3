//! Volumes and devices as containers mount them.

use super::super::{
    error_list::ErrorList,
    field_path::{FieldPath, Nth},
    forms,
};
use crate::api::schema::{Struct, Value};

fn pairs_of<'t>(path: &FieldPath<'_, 't>, list: &str, value: &str) -> Vec<(&'t str, &'t str)> {
    let text = |item: &'t Struct, name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    path.structs(list).map(|item| (text(item, "name"), text(item, value))).collect()
}

/// Errors of some fields name the list, not the item.
pub(super) fn volumes<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let devices = pairs_of(path, "volumeDevices", "devicePath");
    let mut points: Vec<&str> = Vec::new();
    for (at, item) in path.structs("volumeMounts").enumerate() {
        let mount = path.below("volumeMounts", Nth::Index(at), item);
        let (name, point) = (mount.text("name"), mount.text("mountPath"));
        if name.is_empty() {
            errors.required(&mount, "name", "");
        }
        if !errors.volumes.iter().any(|(known, _)| *known == name) {
            errors.not_found(&mount, "name", name);
        }
        if point.is_empty() {
            errors.required(&mount, "mountPath", "");
        }
        if points.contains(&point) {
            errors.invalid(&mount, "mountPath", point, "must be unique");
        }
        points.push(point);
        if devices.iter().any(|(device, _)| *device == name) {
            errors.invalid(&mount, "name", name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|(_, path)| *path == point) {
            errors.invalid(&mount, "mountPath", point, "must not already exist as a path in volumeDevices");
        }
        sub_paths(path, &mount, errors);
        propagation(path, &mount, errors);
        read_only(path, &mount, errors);
    }
}

fn sub_paths<'t>(path: &FieldPath<'_, 't>, mount: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (sub_path, expression) = (mount.text("subPath"), mount.text("subPathExpr"));
    if !sub_path.is_empty() {
        errors.invalid_each(path, "volumeMounts.subPath", sub_path, forms::descending_path(sub_path));
    }
    if !expression.is_empty() {
        if !sub_path.is_empty() {
            errors.invalid(mount, "subPathExpr", expression, "subPathExpr and subPath are mutually exclusive");
        }
        errors.invalid_each(path, "volumeMounts.subPathExpr", expression, forms::descending_path(expression));
    }
}

fn propagation<'t>(path: &FieldPath<'_, 't>, mount: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(mode) = mount.optional_text("mountPropagation") else { return };
    let field = "volumeMounts.mountPropagation";
    let modes = ["Bidirectional", "HostToContainer", "None"];
    if !modes.contains(&mode) {
        errors.unsupported(path, field, mode, &modes);
    }
    let privileged = path.at(&["securityContext", "privileged"]).and_then(Value::as_bool) == Some(true);
    if mode == "Bidirectional" && !privileged {
        errors.forbidden(path, field, "Bidirectional mount propagation is available only to privileged containers");
    }
}

fn read_only<'t>(path: &FieldPath<'_, 't>, mount: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(mode) = mount.optional_text("recursiveReadOnly") else { return };
    let field = "volumeMounts.recursiveReadOnly";
    match mode {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !mount.is("readOnly") {
                errors.forbidden(path, field, "may only be specified when readOnly is true");
            }
            if mount.optional_text("mountPropagation").is_some_and(|mode| mode != "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                errors.forbidden(path, field, detail);
            }
        }
        other => errors.unsupported(path, field, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

pub(super) fn devices<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let mounts = pairs_of(path, "volumeMounts", "mountPath");
    let (mut seen, mut paths): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (at, item) in path.structs("volumeDevices").enumerate() {
        let device = path.below("volumeDevices", Nth::Index(at), item);
        let (name, device_path) = (device.text("name"), device.text("devicePath"));
        let volume = errors.volumes.iter().find(|(known, _)| *known == name).map(|(_, volume)| *volume);
        if name.is_empty() {
            errors.required(&device, "name", "");
        }
        if seen.contains(&name) {
            errors.invalid(&device, "name", name, "must be unique");
        }
        match volume {
            None => errors.not_found(&device, "name", name),
            Some(Some(volume))
                if volume.get("persistentVolumeClaim").is_none() && volume.get("ephemeral").is_none() =>
            {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.invalid(&device, "name", name, detail);
            }
            Some(_) => {}
        }
        if device_path.is_empty() {
            errors.required(&device, "devicePath", "");
        }
        if paths.contains(&device_path) {
            errors.invalid(&device, "devicePath", device_path, "must be unique");
        }
        if !device_path.is_empty() && !forms::no_backsteps(device_path).is_empty() {
            errors.invalid(&device, "devicePath", device_path, "can not contain backsteps ('..')");
        } else {
            paths.push(device_path);
        }
        if mounts.iter().any(|(mount, _)| *mount == name) {
            errors.invalid(&device, "name", name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|(_, point)| *point == device_path) {
            errors.invalid(&device, "devicePath", device_path, "must not already exist as a path in volumeMounts");
        }
        if !name.is_empty() {
            seen.push(name);
        }
    }
}
