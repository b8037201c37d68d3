//! PersistentVolumeClaims: the two spellings of where their content comes from. PersistentVolumes: when their phase last
//! changed.

use super::same;
use crate::api::schema::{Object, Value};

const SOURCE: [&str; 2] = ["spec", "dataSource"];
const REFERENCE: [&str; 2] = ["spec", "dataSourceRef"];

/// Keeps `dataSource` and `dataSourceRef` saying the same. The older field alone is heeded for claims and snapshots
/// only; an object that had a source keeps what it had.
pub(super) fn settle_sources(claim: &mut Object, old: Option<&Object>) {
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
        if let Some(value) = claim.get(&[from[0], from[1], field]).cloned() {
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
pub(super) fn time_phase(volume: &mut Object, old: &Object, now: &str) {
    const TIME: &[&str] = &["status", "lastPhaseTransitionTime"];
    const PHASE: &[&str] = &["status", "phase"];
    let given = volume.get(TIME).filter(|time| !matches!(time, Value::Null));
    if same(volume.get(PHASE), old.get(PHASE)) {
        if given.is_none() {
            volume.copy_from(old, TIME);
        }
    } else if given.is_none() || given == old.get(TIME) {
        volume.set(TIME, now);
    }
}
