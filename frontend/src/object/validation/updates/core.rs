//! Pods, nodes, volumes, claims, quotas, stateful sets.

use super::{IMMUTABLE, texts};
use crate::{
    api::schema::{Object, Struct, Value, scalar::quantity::Quantity},
    object::{
        equality::same,
        validation::{
            error_list::ErrorList,
            field_path::FieldPath,
            print::{indented_source, printed},
        },
    },
};

const POD_MAY_CHANGE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Of a running pod little may change.
pub(super) fn pod<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    let (Some(spec), Some(before)) = (path.child("spec"), old.get(&["spec"]).and_then(Value::as_struct)) else {
        return;
    };
    annotations(path, old, errors);
    for list in ["containers", "initContainers"] {
        if !same_containers(path, list, before, errors) {
            return;
        }
    }
    if !deadline(path, old, errors) {
        return;
    }
    tolerations(path, before, errors);
    let (new_gates, old_gates) = (names(spec, "schedulingGates"), names(before, "schedulingGates"));
    for (at, gate) in new_gates.iter().enumerate().filter(|(_, gate)| !old_gates.contains(gate)) {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{gate}'");
        errors.forbidden(path, &format!("spec.schedulingGates[{at}].name"), detail);
    }
    let mut reverted = spec.clone();
    allow(&mut reverted, before);
    if !old_gates.is_empty() {
        gated(path, &mut reverted, before, errors);
    }
    if !same(Some(&Value::Struct(reverted.clone())), old.get(&["spec"])) {
        let diff = super::diff::of(old.get(&["spec"]), Some(&Value::Struct(reverted)));
        errors.forbidden(path, "spec", format!("{POD_MAY_CHANGE}\n{diff}"));
    }
}

fn names<'t>(fields: &'t Struct, list: &str) -> Vec<&'t str> {
    let items = fields.get(list).and_then(Value::as_list).unwrap_or_default();
    items.iter().map(|item| item.child("name").and_then(Value::as_str).unwrap_or_default()).collect()
}

fn annotations<'t>(path: &FieldPath<'_, 't>, old: &'t Object, errors: &mut ErrorList<'t>) {
    const MIRROR: &str = "kubernetes.io/config.mirror";
    const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
    let new = path.at(&["metadata", "annotations"]).and_then(Value::as_map);
    let before = old.get_map(&["metadata", "annotations"]);
    let keys = before.into_iter().chain(new).flat_map(|map| map.iter()).map(|(key, _)| key);
    let mut keys: Vec<&str> = keys.filter(|key| *key == MIRROR || key.starts_with(APP_ARMOR)).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let (is, was) = (new.and_then(|map| map.get(key)), before.and_then(|map| map.get(key)));
        let what = if key == MIRROR { "mirror pod annotation" } else { "AppArmor annotations" };
        let field = format!("metadata.annotations[{key}]");
        match (is, was) {
            (is, Some(was)) if is != Some(was) => {
                errors.forbidden(path, &field, format!("may not remove or update {what}"));
            }
            (Some(_), None) => errors.forbidden(path, &field, format!("may not add {what}")),
            _ => {}
        }
    }
}

/// Whether the containers are as many as before.
fn same_containers<'t>(path: &FieldPath<'_, 't>, list: &str, before: &Struct, errors: &mut ErrorList<'t>) -> bool {
    let new = path.at(&["spec", list]).and_then(Value::as_list).unwrap_or_default();
    let old = before.get(list).and_then(Value::as_list).unwrap_or_default();
    if new.len() != old.len() {
        errors.forbidden(path, &format!("spec.{list}"), "pod updates may not add or remove containers");
        return false;
    }
    for (at, container) in new.iter().enumerate() {
        let image = container.child("image").and_then(Value::as_str).unwrap_or_default();
        let field = format!("spec.{list}[{at}].image");
        if image.is_empty() {
            errors.required(path, &field, "");
        }
        if image.trim() != image {
            errors.invalid(path, &field, image, "must not have leading or trailing whitespace");
        }
    }
    true
}

/// A deadline only comes nearer. False when nothing else is to be said.
fn deadline<'t>(path: &FieldPath<'_, 't>, old: &Object, errors: &mut ErrorList<'t>) -> bool {
    const FIELD: &str = "spec.activeDeadlineSeconds";
    let new = path.at(&["spec", "activeDeadlineSeconds"]).and_then(Value::as_i64);
    let before = old.get_i64(&["spec", "activeDeadlineSeconds"]);
    match (new, before) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            errors.invalid_as(path, FIELD, new, "must be between 0 and 2147483647, inclusive");
            return false;
        }
        (Some(new), Some(before)) if before < new => {
            errors.invalid_as(path, FIELD, new, "must be less than or equal to previous value");
            return false;
        }
        (None, Some(_)) => {
            errors.invalid_as(path, FIELD, "null", "must not update from a positive integer to nil value");
        }
        _ => {}
    }
    true
}

/// Old tolerations stay, but for how long they tolerate; all are validated once more.
fn tolerations<'t>(path: &FieldPath<'_, 't>, before: &Struct, errors: &mut ErrorList<'t>) {
    const FIELDS: [&str; 4] = ["key", "operator", "value", "effect"];
    let list = |value: Option<&'t Value>| value.and_then(Value::as_list).unwrap_or_default();
    let new = list(path.at(&["spec", "tolerations"]));
    let old = before.get("tolerations").and_then(Value::as_list).unwrap_or_default();
    let kept = |old: &Value| new.iter().any(|new| FIELDS.iter().all(|field| same(new.child(field), old.child(field))));
    if !old.iter().all(kept) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        return errors.forbidden(path, "spec.tolerations", detail);
    }
    let Some(spec) = path.child("spec") else { return };
    let spec = path.below("spec", crate::object::validation::field_path::Nth::Only, spec);
    for (at, item) in spec.structs("tolerations").enumerate() {
        let nth = crate::object::validation::field_path::Nth::Index(at);
        errors.visit(&spec.below("tolerations", nth, item));
    }
}

/// Puts back what may change.
fn allow(reverted: &mut Struct, before: &Struct) {
    for list in ["containers", "initContainers"] {
        let images: Vec<Option<Value>> = before
            .get(list)
            .and_then(Value::as_list)
            .unwrap_or_default()
            .iter()
            .map(|container| container.child("image").cloned())
            .collect();
        let Some(items) = reverted.get_mut(list).and_then(Value::as_list_mut) else { continue };
        for (item, image) in items.iter_mut().filter_map(Value::as_struct_mut).zip(images) {
            put(item, "image", image);
        }
    }
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put(reverted, field, before.get(field).cloned());
    }
    let grace = |fields: &Struct| fields.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    if grace(before).is_some_and(|seconds| seconds < 0) && grace(reverted) == Some(1) {
        put(reverted, "terminationGracePeriodSeconds", before.get("terminationGracePeriodSeconds").cloned());
    }
}

fn put(fields: &mut Struct, name: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(fields.set(name, value)),
        None => drop(fields.remove(name)),
    }
}

/// A pod that waits at a gate may still be told more of where it runs.
fn gated<'t>(path: &FieldPath<'_, 't>, reverted: &mut Struct, before: &Struct, errors: &mut ErrorList<'t>) {
    let (new, old) = (reverted.get("nodeSelector").cloned(), before.get("nodeSelector").cloned());
    if !same(new.as_ref(), old.as_ref()) {
        let kept = old.as_ref().and_then(Value::as_map).is_none_or(|old| {
            old.iter().all(|(key, value)| new.as_ref().and_then(|new| new.child(key)) == Some(value))
        });
        if !kept {
            let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
            errors.invalid_as(path, "spec.nodeSelector", printed(new.as_ref()), detail);
        }
        put(reverted, "nodeSelector", old);
    }
    let affinity = |fields: &Struct| fields.get("affinity").and_then(|a| a.child("nodeAffinity")).cloned();
    let (new, old) = (affinity(reverted), affinity(before));
    if same(new.as_ref(), old.as_ref()) {
        return;
    }
    node_affinity(path, new.as_ref(), old.as_ref(), errors);
    let others = |fields: &Struct, name: &str| fields.get("affinity").and_then(|a| a.child(name)).is_some();
    let alone = !others(reverted, "podAffinity") && !others(reverted, "podAntiAffinity");
    if before.get("affinity").is_none() && alone {
        reverted.remove("affinity");
    } else if reverted.get("affinity").is_none() {
        put(reverted, "affinity", before.get("affinity").cloned());
    } else if let Some(affinity) = reverted.get_mut("affinity").and_then(Value::as_struct_mut) {
        put(affinity, "nodeAffinity", old);
    }
}

fn node_affinity<'t>(path: &FieldPath<'_, 't>, new: Option<&Value>, old: Option<&Value>, errors: &mut ErrorList<'t>) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const FIELD: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let Some(before) = old.and_then(|old| old.child(REQUIRED)) else { return };
    let terms = |from: Option<&Value>| -> Vec<Value> {
        from.and_then(|from| from.child("nodeSelectorTerms")).and_then(Value::as_list).unwrap_or_default().to_vec()
    };
    let (old, new) = (terms(Some(before)), terms(new.and_then(|new| new.child(REQUIRED))));
    if !old.is_empty() && old.len() != new.len() {
        let shown = if new.is_empty() { "null".to_owned() } else { printed(Some(&Value::List(new))) };
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return errors.invalid_as(path, FIELD, shown, detail);
    }
    for (at, (new, old)) in new.iter().zip(&old).enumerate() {
        let list = |term: &Value, name: &str| -> Vec<Value> {
            term.child(name).and_then(Value::as_list).unwrap_or_default().to_vec()
        };
        let lists = ["matchExpressions", "matchFields"];
        let was_empty = lists.iter().all(|name| list(old, name).is_empty());
        let grown = lists.iter().any(|name| !list(new, name).is_empty());
        let kept = lists.iter().all(|name| list(new, name).starts_with(&list(old, name)));
        if !kept || (was_empty && grown) {
            let detail = "only additions are allowed (no mutations or deletions)";
            errors.invalid_as(path, &format!("{FIELD}[{at}]"), printed(Some(new)), detail);
        }
    }
}

/// The source of a volume stays; a secret for growing it may be added.
pub(super) fn volume<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    const KEPT_APART: [&str; 9] = [
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "mountOptions",
        "volumeMode",
        "nodeAffinity",
        "volumeAttributesClassName",
    ];
    let (Some(spec), Some(before)) = (path.child("spec"), old.get(&["spec"]).and_then(Value::as_struct)) else {
        return;
    };
    let mut reverted = spec.clone();
    const SECRET: &str = "controllerExpandSecretRef";
    let had = before.get("csi").is_some_and(|csi| csi.child(SECRET).is_none());
    if let Some(csi) = reverted.get_mut("csi").and_then(Value::as_struct_mut).filter(|_| had) {
        csi.remove(SECRET);
    }
    for field in KEPT_APART {
        put(&mut reverted, field, before.get(field).cloned());
    }
    if !same(Some(&Value::Struct(reverted)), old.get(&["spec"])) {
        let field = "spec.persistentvolumesource";
        let diff = super::diff::of_texts(&indented_source(before), &indented_source(spec));
        errors.forbidden(path, field, format!("{field} is immutable after creation\n{diff}"));
    }
    let (new, was) = (spec.get("nodeAffinity"), before.get("nodeAffinity"));
    if was.is_some() && !same(new, was) {
        let detail = format!("{IMMUTABLE}, except for updating from beta label to GA");
        errors.push(crate::request::status::FieldError::invalid_value("nodeAffinity", printed(new), detail));
    }
    if before.get("volumeAttributesClassName").is_some() && spec.get("volumeAttributesClassName").is_none() {
        errors.forbidden(path, "spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden");
    }
}

/// A bound claim may grow and change its class of attributes; nothing else changes.
pub(super) fn claim<'t>(path: &FieldPath<'_, 't>, new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    const CLASS: &str = "volumeAttributesClassName";
    const STORAGE_CLASS: &str = "storageClassName";
    const OLD_STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
    let (Some(spec), Some(before)) = (path.child("spec"), old.get(&["spec"]).and_then(Value::as_struct)) else {
        return;
    };
    let (mut reverted, mut was) = (spec.clone(), before.clone());
    if before.get("volumeName").is_none_or(Value::is_zero) {
        put(&mut was, "volumeName", spec.get("volumeName").cloned());
    }
    let (annotated, had) = (new.annotation(OLD_STORAGE_CLASS), old.annotation(OLD_STORAGE_CLASS));
    let named = spec.get(STORAGE_CLASS).and_then(Value::as_str);
    let was_unnamed = before.get(STORAGE_CLASS).is_none();
    // The field may take over what the annotation says; without either, a class may be named once.
    let taken_over = had.is_some() && was_unnamed && named == had && annotated.is_none_or(|now| Some(now) == had);
    if !taken_over && annotated.unwrap_or_default() != had.unwrap_or_default() {
        let field = format!("metadata.annotations.{OLD_STORAGE_CLASS}");
        errors.invalid(path, &field, annotated.unwrap_or_default(), IMMUTABLE);
    }
    if taken_over || (had.is_none() && was_unnamed && named.is_some()) {
        reverted.remove(STORAGE_CLASS);
    }
    let size = |fields: &Struct| fields.get("resources").and_then(|r| r.at(&["requests", "storage"])).cloned();
    if path.at(&["status", "phase"]).and_then(Value::as_str) == Some("Bound") {
        if let (Some(requests), Some(size)) = (
            reverted.get_mut("resources").and_then(|r| r.at_mut(&["requests"])).and_then(Value::as_map_mut),
            size(before),
        ) {
            requests.insert("storage", size);
        }
        put(&mut reverted, CLASS, before.get(CLASS).cloned());
    }
    let (reverted, was) = (Value::Struct(reverted), Value::Struct(was));
    if !same(Some(&reverted), Some(&was)) {
        let diff = super::diff::of(Some(&was), Some(&reverted));
        let what =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.forbidden(path, "spec", format!("{what}\n{diff}"));
    }
    let amount = |value: Option<&Value>| {
        value.and_then(Value::as_str).and_then(|text| Quantity::parse(text).ok()).unwrap_or(Quantity::from_units(0))
    };
    let (new, previous) = (amount(size(spec).as_ref()), amount(size(before).as_ref()));
    let capacity = amount(old.get(&["status", "capacity", "storage"]));
    if new < previous && new <= capacity {
        errors.forbidden(path, "spec.resources.requests.storage", "field can not be less than status.capacity");
    }
    let current = old.get(&["status", "currentVolumeAttributesClassName"]).is_some();
    let (class, was) = (spec.get(CLASS), before.get(CLASS));
    if current && !same(class, was) && class.is_none_or(Value::is_zero) {
        let to = if class.is_none() { "nil" } else { "empty string" };
        let detail = format!("update to {to} is forbidden when status.currentVolumeAttributesClassName is not nil");
        errors.forbidden(path, &format!("spec.{CLASS}"), detail);
    }
}

/// The scopes of a quota stay.
pub(super) fn quota<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    let set = |list: Option<&Value>| {
        let items = list.and_then(Value::as_list).unwrap_or_default();
        let mut texts: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    };
    let new = path.at(&["spec", "scopes"]);
    if set(new) != set(old.get(&["spec", "scopes"])) {
        errors.invalid_value(path, "spec.scopes", new, IMMUTABLE);
    }
}

/// Most of a StatefulSet is fixed.
pub(super) fn stateful_set<'t>(
    path: &FieldPath<'_, 't>,
    _new: &'t Object,
    old: &'t Object,
    errors: &mut ErrorList<'t>,
) {
    const MAY_CHANGE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let (Some(spec), Some(before)) = (path.child("spec"), old.get(&["spec"]).and_then(Value::as_struct)) else {
        return;
    };
    let mut reverted = spec.clone();
    for field in MAY_CHANGE {
        put(&mut reverted, field, before.get(field).cloned());
    }
    if !same(Some(&Value::Struct(reverted)), old.get(&["spec"])) {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.forbidden(path, "spec", detail);
    }
}

/// A node keeps its ranges and where it came from.
pub(super) fn node<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    let was: Vec<&str> = texts(old.get(&["spec", "podCIDRs"]));
    let is: Vec<&str> = texts(path.at(&["spec", "podCIDRs"]));
    let changes = match was.len() == is.len() {
        true => was.iter().zip(&is).filter(|(was, is)| was != is).count(),
        false => usize::from(!was.is_empty()),
    };
    for _ in 0..changes {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden(path, "spec.podCIDRs", detail);
    }
    let text = |value: Option<&'t Value>| value.and_then(Value::as_str).unwrap_or_default();
    let (new, before) = (text(path.at(&["spec", "providerID"])), text(old.get(&["spec", "providerID"])));
    if !before.is_empty() && before != new {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(path, "spec.providerID", detail);
    }
    if text(path.at(&["spec", "externalID"])) != text(old.get(&["spec", "externalID"])) {
        errors.forbidden(path, "spec.externalID", "may not be updated");
    }
}

/// What a driver says of a node stays, but for how many volumes it takes.
pub(super) fn csi_node<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    let drivers = |list: Option<&'t Value>| list.and_then(Value::as_list).unwrap_or_default();
    let without_count = |driver: &Value| {
        let mut copy = driver.clone();
        if let Some(fields) = copy.as_struct_mut() {
            fields.remove("allocatable");
        }
        copy
    };
    for before in drivers(old.get(&["spec", "drivers"])) {
        for new in drivers(path.at(&["spec", "drivers"])).iter().filter(|d| d.child("name") == before.child("name")) {
            let (new, before) = (without_count(new), without_count(before));
            if !same(Some(&new), Some(&before)) {
                errors.invalid_as(path, "spec.drivers", printed(Some(&new)), IMMUTABLE);
            }
        }
    }
}
