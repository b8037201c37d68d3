//! Controllers' objects: values that depend on others.

use super::{
    super::value::{MapValue, Struct, Value},
    each, is_set,
    services::labels_from_template,
    text,
};
use crate::api::schema::object::set_in_struct;

fn set_unless_set(target: &mut Struct, path: &[&str], value: impl Into<Value>) {
    if !is_set(target, path) {
        set_in_struct(target, path, value.into());
    }
}

pub(super) fn deployment(deployment: &mut Struct) {
    set_unless_set(deployment, &["spec", "strategy", "type"], "RollingUpdate");
    if text(deployment, &["spec", "strategy", "type"]) == "RollingUpdate" {
        set_unless_set(deployment, &["spec", "strategy", "rollingUpdate", "maxUnavailable"], "25%");
        set_unless_set(deployment, &["spec", "strategy", "rollingUpdate", "maxSurge"], "25%");
    }
}

pub(super) fn daemon_set(set: &mut Struct) {
    set_unless_set(set, &["spec", "updateStrategy", "type"], "RollingUpdate");
    if text(set, &["spec", "updateStrategy", "type"]) == "RollingUpdate" {
        set_unless_set(set, &["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"], 1i64);
        set_unless_set(set, &["spec", "updateStrategy", "rollingUpdate", "maxSurge"], 0i64);
    }
    // Where the numbers do not count they are zeros, once kube-apiserver has read them.
    if is_set(set, &["spec", "updateStrategy", "rollingUpdate"]) {
        set_unless_set(set, &["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"], 0i64);
        set_unless_set(set, &["spec", "updateStrategy", "rollingUpdate", "maxSurge"], 0i64);
    }
}

pub(super) fn stateful_set(set: &mut Struct) {
    for claim in each(set, &["spec", "volumeClaimTemplates"]) {
        claim.set("kind", "PersistentVolumeClaim");
        claim.set("apiVersion", "v1");
    }
    let rolling = ["spec", "updateStrategy", "rollingUpdate"];
    let partition = ["spec", "updateStrategy", "rollingUpdate", "partition"];
    if text(set, &["spec", "updateStrategy", "type"]).is_empty() {
        set_in_struct(set, &["spec", "updateStrategy", "type"], "RollingUpdate".into());
        set_unless_set(set, &partition, 0i64);
    }
    if text(set, &["spec", "updateStrategy", "type"]) == "RollingUpdate" && is_set(set, &rolling) {
        set_unless_set(set, &partition, 0i64);
    }
}

pub(super) fn replication_controller(controller: &mut Struct) {
    if let Some(labels) = labels_from_template(controller) {
        let selector = controller.get("spec").and_then(|spec| spec.child("selector")).and_then(Value::as_map);
        if selector.is_none_or(MapValue::is_empty) {
            set_in_struct(controller, &["spec", "selector"], labels.into());
        }
    }
}

pub(super) fn job(job: &mut Struct) {
    if !is_set(job, &["spec", "completions"]) && !is_set(job, &["spec", "parallelism"]) {
        set_in_struct(job, &["spec", "completions"], 1i64.into());
    }
    let limit = if is_set(job, &["spec", "backoffLimitPerIndex"]) { i64::from(i32::MAX) } else { 6 };
    set_unless_set(job, &["spec", "backoffLimit"], limit);
    let replacement = if is_set(job, &["spec", "podFailurePolicy"]) { "Failed" } else { "TerminatingOrFailed" };
    set_unless_set(job, &["spec", "podReplacementPolicy"], replacement);
    labels_from_template(job);
}
