//! Claims of persistent volumes, and templates of claims.

use super::{
    super::{
        check::{
            Check::{NotEmpty, OneOf},
            POSITIVE,
        },
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        meta, names,
        rule::{Rule, with},
    },
    resources,
    storage::access_modes,
};
use crate::api::schema::{MapValue, Struct, Value};

pub(super) static RULES: &[Rule] = &[
    with("core.v1.PersistentVolumeClaimStatus", claim_status, &[]),
    with(
        "core.v1.PersistentVolumeClaimSpec",
        claim,
        &[
            ("accessModes", NotEmpty("at least 1 access mode is required")),
            ("volumeMode", OneOf(&["Block", "Filesystem"])),
        ],
    ),
];

/// What is granted to a claim, and what is being done about it.
fn claim_status<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const STATES: [&str; 5] = [
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
        "NodeResizePending",
    ];
    // A template of a claim may say what it likes of a status.
    if path.up.is_some_and(|claim| claim.up.is_some()) {
        return;
    }
    let negative = |value: &Value| resources::parsed(value).filter(|amount| amount.is_negative());
    for (name, value) in path.map("capacity").into_iter().flat_map(MapValue::iter) {
        if let Some(amount) = negative(value) {
            errors.invalid_as(path, &format!("capacity[{name}]"), amount.units(), "must be a valid resource quantity");
        }
    }
    for (name, state) in path.pairs("allocatedResourceStatuses") {
        claim_resource(path, "allocatedResourceStatuses", name, errors);
        if !STATES.contains(&state) {
            errors.unsupported(path, "allocatedResourceStatuses", name, &STATES);
        }
    }
    for (name, value) in path.map("allocatedResources").into_iter().flat_map(MapValue::iter) {
        let field = format!("allocatedResources[{name}]");
        if !claim_resource(path, "allocatedResources", name, errors) {
            continue;
        }
        match negative(value) {
            Some(amount) => errors.invalid_as(path, &field, amount.units(), "must be a valid resource quantity"),
            None => resources::amount("storage", value, path, &field, errors),
        }
    }
}

/// Whether a claim may have this resource: storage, or one of somebody else's.
fn claim_resource<'t>(path: &FieldPath<'_, 't>, field: &str, name: &str, errors: &mut ErrorList<'t>) -> bool {
    let messages = names::label_key(name);
    let native = resources::is_native(name) && name != "storage";
    if native && messages.is_empty() {
        errors.unsupported(path, field, name, &["storage"]);
    }
    let good = !native && messages.is_empty();
    errors.invalid_each(path, field, name, messages);
    good
}

/// Errors of the size name a field that there is not.
fn claim<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    access_modes(path, errors);
    let size = path.at(&["resources", "requests", "storage"]);
    match size.and_then(resources::parsed) {
        None => errors.required(path, "resources[storage]", ""),
        Some(quantity) if quantity.is_negative() || quantity.is_zero() => {
            let text = size.and_then(Value::as_str).unwrap_or_default();
            errors.invalid(path, "resources[storage]", text, POSITIVE);
        }
        Some(_) => {}
    }
    for field in ["storageClassName", "volumeAttributesClassName"] {
        let class = path.text(field);
        if !class.is_empty() {
            errors.invalid_each(path, field, class, names::dns_1123_subdomain(class));
        }
    }
    for field in ["dataSource", "dataSourceRef"] {
        if let Some(source) = path.child(field) {
            data_source(&path.below(field, Nth::Only, source), errors);
        }
    }
    let (Some(source), Some(reference)) = (path.child("dataSource"), path.child("dataSourceRef")) else { return };
    let differs = source.get("apiGroup") != reference.get("apiGroup")
        || ["kind", "name"].iter().any(|field| resources::text(source, field) != resources::text(reference, field));
    let detail = if !resources::text(reference, "namespace").is_empty() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if differs {
        "must match dataSourceRef"
    } else {
        return;
    };
    // The real server prints Go's path, which has nothing in it to print.
    errors.invalid_as(path, "", "{}", detail);
}

fn data_source<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (group, kind) = (path.text("apiGroup"), path.text("kind"));
    for field in ["name", "kind"].into_iter().filter(|field| path.text(field).is_empty()) {
        errors.required(path, field, "");
    }
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        errors.invalid(path, "", kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    }
    let known = errors.old.is_some_and(|old| {
        ["dataSource", "dataSourceRef"].iter().any(|field| old.get(&["spec", field, "apiGroup"]).is_some())
    });
    if !group.is_empty() && !known {
        errors.invalid_each(path, "apiGroup", group, names::dns_1123_subdomain(group));
    }
    let namespace = path.text("namespace");
    if !namespace.is_empty() {
        errors.invalid_each(path, "namespace", namespace, names::dns_1123_label(namespace));
    }
}

/// Of metadata in a template only labels and annotations count.
pub(super) fn template_metadata<'t>(
    path: &FieldPath<'_, 't>,
    field: &str,
    metadata: &'t Struct,
    errors: &mut ErrorList<'t>,
) {
    let pairs = |name: &str| {
        let map = metadata.get(name).and_then(Value::as_map);
        map.into_iter().flat_map(MapValue::iter).filter_map(|(key, value)| Some((key, value.as_str()?)))
    };
    errors.extend(meta::annotations(pairs("annotations"), &path.to(&format!("{field}.annotations"))));
    errors.extend(meta::labels(pairs("labels"), &path.to(&format!("{field}.labels"))));
    for (given, value) in metadata.iter().filter(|(f, _)| !matches!(&*f.name, "labels" | "annotations")) {
        if !value.is_zero() {
            errors.forbidden(path, &format!("{field}.{}", go_lower(&given.name)), "cannot be set");
        }
    }
}

/// Go's name of a field with its first letter made small.
fn go_lower(name: &str) -> &str {
    match name {
        "uid" => "uID",
        other => other,
    }
}
