//! Objects made ready for validation and the store.

use super::{claims, definitions, disabled, endpoints, namespaces, pods, rows, same, services};
use crate::{
    api::schema::{Object, Value},
    cluster::Cluster,
    cluster::Target,
};

/// A new object: what belongs to the server is set, what belongs to others is dropped.
pub fn prepare_create(cluster: &Cluster, target: &Target, object: &mut Object) {
    let row = rows::find(target.row());
    if !target.resource.custom {
        disabled::drop_fields(object, None);
    }
    if row.status && target.row() != ("", "nodes") {
        object.remove(&["status"]);
    }
    if target.resource.custom && target.resource.has_status() {
        object.remove(&["status"]);
    }
    if row.counted || target.resource.custom {
        object.set_generation(1);
    }
    match target.row() {
        ("", "namespaces") => namespaces::prepare_create(object),
        ("", "pods") => pods::prepare_create(object, &cluster.now_text()),
        ("", "services") => services::settle_families(object),
        ("", "secrets") => fold_string_data(object),
        ("", "persistentvolumeclaims") => {
            object.set(&["status", "phase"], "Pending");
            claims::settle_sources(object, None);
        }
        ("", "persistentvolumes") => {
            object.set(&["status", "phase"], "Pending");
            object.set(&["status", "lastPhaseTransitionTime"], cluster.now_text());
        }
        ("batch", "jobs") => generate_selector(object),
        ("discovery.k8s.io", "endpointslices") => endpoints::drop_topology(object, None),
        ("apps", "daemonsets") => object.set_annotation(TEMPLATE_GENERATION, "1"),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definitions::note_stored_version(object),
        _ => {}
    }
}

/// A changed object: the parts of other endpoints are as they were, the generation moves with the spec.
pub fn prepare_update(cluster: &Cluster, target: &Target, object: &mut Object, old: &Object) {
    let row = rows::find(target.row());
    if !target.resource.custom {
        disabled::drop_fields(object, Some(old));
    }
    let has_status = row.status || (target.resource.custom && target.resource.has_status());
    match target.subresource.as_ref().map_or("", |s| s.name.as_ref()) {
        "" => {
            if has_status {
                object.copy_from(old, &["status"]);
            }
            match target.row() {
                ("", "secrets") => fold_string_data(object),
                ("", "pods") => pods::prepare_update(object, old),
                ("", "namespaces") => namespaces::prepare_update(object, old),
                ("", "persistentvolumeclaims") => claims::settle_sources(object, Some(old)),
                ("apps", "daemonsets") => count_template(object, old),
                ("apiextensions.k8s.io", "customresourcedefinitions") => definitions::note_stored_version(object),
                ("discovery.k8s.io", "endpointslices") => endpoints::drop_topology(object, Some(old)),
                _ => {}
            }
            count_generation(target, row, object, old);
        }
        "status" => {
            keep_all_but_status(target, object, old);
            if target.row() == ("", "persistentvolumes") {
                claims::time_phase(object, old, &cluster.now_text());
            }
        }
        "finalize" => namespaces::prepare_finalize(object, old),
        "approval" => {
            let conditions = object.get(&["status", "conditions"]).cloned();
            keep_all_but_status(target, object, old);
            object.copy_from(old, &["status"]);
            match conditions {
                Some(conditions) => drop(object.set(&["status", "conditions"], conditions)),
                None => drop(object.remove(&["status", "conditions"])),
            }
        }
        "ephemeralcontainers" => pods::only_ephemeral_containers(object, old),
        "resize" => {
            pods::only_resources(object, old);
            count_generation(target, row, object, old);
        }
        _ => {}
    }
}

/// How often a DaemonSet's template has changed; the one workload that still shows it.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn count_template(object: &mut Object, old: &Object) {
    let template = ["spec", "template"];
    let before: i64 = old.annotation(TEMPLATE_GENERATION).and_then(|text| text.parse().ok()).unwrap_or(1);
    let changed = !same(object.get(&template), old.get(&template));
    object.set_annotation(TEMPLATE_GENERATION, &(before + i64::from(changed)).to_string());
}

fn count_generation(target: &Target, row: &rows::Row, object: &mut Object, old: &Object) {
    let changed = if target.resource.custom {
        // All but metadata counts; a status with an endpoint of its own is the old one by now.
        let fields = object.root().def().fields.iter().enumerate();
        fields
            .filter(|(_, field)| field.name != "metadata")
            .any(|(slot, _)| !same(object.root().slot(slot), old.root().slot(slot)))
    } else {
        row.spec.iter().any(|field| {
            let path: Vec<&str> = field.split('.').collect();
            !same(object.get(&path), old.get(&path))
        })
    };
    if (row.counted || target.resource.custom) && changed {
        object.set_generation(old.generation() + 1);
    }
}

/// The status endpoint changes status, and of metadata what no other endpoint's row keeps.
fn keep_all_but_status(target: &Target, object: &mut Object, old: &Object) {
    let names: Vec<String> = old.root().def().fields.iter().map(|f| f.name.to_string()).collect();
    for name in names.iter().filter(|n| !matches!(n.as_str(), "kind" | "apiVersion" | "metadata" | "status")) {
        object.copy_from(old, &[name]);
    }
    match target.row() {
        ("", "pods") => {
            object.set_deletion_timestamp(None);
            object.copy_from(old, &["metadata", "ownerReferences"]);
        }
        ("apps", "deployments") => object.copy_from(old, &["metadata", "labels"]),
        _ if target.resource.custom => {
            let managed = object.get(&["metadata", "managedFields"]).cloned();
            let version = object.resource_version().to_owned();
            object.copy_from(old, &["metadata"]);
            if let Some(managed) = managed {
                object.set(&["metadata", "managedFields"], managed);
            }
            object.set_resource_version(&version);
        }
        _ => {}
    }
}

/// stringData is written into data, and not kept.
fn fold_string_data(object: &mut Object) {
    let Some(Value::Map(texts)) = object.remove(&["stringData"]) else { return };
    for (key, value) in texts.iter() {
        if let Some(text) = value.as_str() {
            object.set(&["data", key], Value::Bytes(text.as_bytes().into()));
        }
    }
}

/// A Job finds its pods by its own uid, unless the client says how.
fn generate_selector(object: &mut Object) {
    if object.get_bool(&["spec", "manualSelector"]) == Some(true) {
        return;
    }
    let (uid, name) = (object.uid().to_owned(), object.name().to_owned());
    let labels = ["spec", "template", "metadata", "labels"];
    for (key, value) in [
        ("controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
    ] {
        object.set(&[labels[0], labels[1], labels[2], labels[3], key], value.as_str());
    }
    object.set(&["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"], uid.as_str());
}
