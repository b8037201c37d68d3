//! PersistentVolumeClaims: the two spellings of where their content comes from. PersistentVolumes: when their phase
//! last changed. ResourceClaims: what is known of devices that are given back.

use super::writer::Writer;
use crate::{
    api::schema::{Object, Value},
    object::equality::same,
};

pub(super) fn claim_created(claim: &mut Object, _: &Writer) {
    claim.set(&["status", "phase"], "Pending");
    settle_sources(claim, None);
}

pub(super) fn claim_changed(claim: &mut Object, old: &Object, _: &Writer) {
    settle_sources(claim, Some(old));
}

pub(super) fn volume_created(volume: &mut Object, writer: &Writer) {
    volume.set(&["status", "phase"], "Pending");
    volume.set(&["status", "lastPhaseTransitionTime"], writer.now.as_str());
}

/// What is known of a device goes when the device is no longer the claim's.
pub(super) fn drop_devices(claim: &mut Object, old: &Object, _: &Writer) {
    const DEVICES: &[&str] = &["status", "devices"];
    let identity = |item: &Value| ["driver", "pool", "device", "shareID"].map(|field| item.child(field).cloned());
    let given = |claim: &Object| -> Vec<_> {
        let results = claim.get_list(&["status", "allocation", "devices", "results"]).unwrap_or_default();
        results.iter().map(identity).collect()
    };
    let (before, now) = (given(old), given(claim));
    let Some(Value::List(devices)) = claim.get_mut(DEVICES) else { return };
    devices.retain(|device| {
        let device = identity(device);
        now.contains(&device) || !before.contains(&device)
    });
    if devices.is_empty() {
        claim.remove(DEVICES);
    }
}

const SOURCE: [&str; 2] = ["spec", "dataSource"];
const REFERENCE: [&str; 2] = ["spec", "dataSourceRef"];

/// Keeps `dataSource` and `dataSourceRef` saying the same. The older field alone is heeded for claims and snapshots
/// only; an object that had a source keeps what it had.
fn settle_sources(claim: &mut Object, old: Option<&Object>) {
    let namespace = [REFERENCE[0], REFERENCE[1], "namespace"];
    let across = claim.get_str(&namespace).is_some_and(|namespace| !namespace.is_empty());
    if across && old.is_none_or(|old| old.get(&REFERENCE).is_none()) {
        claim.remove(&REFERENCE);
    }
    let had_source = old.is_some_and(|old| old.get(&SOURCE).is_some() || old.get(&REFERENCE).is_some());
    if !had_source && claim.get(&REFERENCE).is_none() && !is_claim_or_snapshot(claim) {
        claim.remove(&SOURCE);
    }
    let across = claim.get_str(&namespace).is_some_and(|namespace| !namespace.is_empty());
    match (claim.get(&SOURCE).is_some(), claim.get(&REFERENCE).is_some()) {
        (true, false) => copy(claim, &SOURCE, &REFERENCE),
        (false, true) if !across => copy(claim, &REFERENCE, &SOURCE),
        _ => {}
    }
}

fn copy(claim: &mut Object, from: &[&str; 2], to: &[&str; 2]) {
    for field in ["apiGroup", "kind", "name"] {
        let value = claim.get(&[from[0], from[1], field]).cloned();
        // Names are plain texts: there, if empty, wherever the reference is.
        if let Some(value) = value.or((field != "apiGroup").then(|| "".into())) {
            claim.set(&[to[0], to[1], field], value);
        }
    }
}

fn is_claim_or_snapshot(claim: &Object) -> bool {
    let text = |field| claim.get_str(&[SOURCE[0], SOURCE[1], field]).unwrap_or_default();
    matches!(
        (text("apiGroup"), text("kind")),
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    )
}

/// A volume whose status says nothing new of the time gets it from the server.
pub(super) fn time_phase(volume: &mut Object, old: &Object, writer: &Writer) {
    const TIME: &[&str] = &["status", "lastPhaseTransitionTime"];
    const PHASE: &[&str] = &["status", "phase"];
    let given = volume.get(TIME).filter(|time| !matches!(time, Value::Null));
    if same(volume.get(PHASE), old.get(PHASE)) {
        if given.is_none() {
            volume.copy_from(old, TIME);
        }
    } else if given.is_none() || given == old.get(TIME) {
        volume.set(TIME, writer.now.as_str());
    }
}
