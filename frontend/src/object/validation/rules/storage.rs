//! Persistent volumes, and the classes and drivers behind them.

use super::{
    super::{
        check::{
            Check::{self, AlwaysForm, AtLeast, OneOf, Present, Required, RequiredBecause},
            NOT_NEGATIVE, POSITIVE,
        },
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, internal_types, names,
        print::printed,
        rule::{Rule, rule, with},
    },
    resources,
};
use crate::api::schema::{MapValue, Struct, Value};

pub(super) static RULES: &[Rule] = &[
    with("core.v1.PersistentVolumeSpec", volume, &[]),
    rule("core.v1.VolumeNodeAffinity", &[("required", RequiredBecause("must specify required node constraints"))]),
    with("core.v1.CSIPersistentVolumeSource", secret_references, &[]),
    with(
        "storage.v1.StorageClass",
        class,
        &[("volumeBindingMode", Present), ("volumeBindingMode", OneOf(&["Immediate", "WaitForFirstConsumer"]))],
    ),
    with("storage.v1.VolumeAttributesClass", attributes_class, &[]),
    with("storage.v1.VolumeAttachmentSpec", attachment, &[("nodeName", AlwaysForm(names::dns_1123_subdomain))]),
    with("storage.v1.VolumeAttachmentSource", attachment_source, &[]),
    with("storage.v1.VolumeError", volume_error, &[]),
    with("storage.v1.CSINodeSpec", node_drivers, &[]),
    rule("storage.v1.VolumeNodeResources", &[("count", AtLeast(0, NOT_NEGATIVE))]),
    with(
        "storage.v1.CSIDriverSpec",
        driver,
        &[
            ("podInfoOnMount", Required),
            ("storageCapacity", Required),
            ("fsGroupPolicy", OneOf(&["File", "None", "ReadWriteOnceWithFSType"])),
            ("seLinuxMount", Required),
            ("nodeAllocatableUpdatePeriodSeconds", AtLeast(10, "must be greater than or equal to 10 seconds")),
        ],
    ),
    with("storage.v1.CSIStorageCapacity", capacity, &[("storageClassName", AlwaysForm(names::dns_1123_subdomain))]),
];

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

pub(super) fn access_modes<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let modes: Vec<&str> = path.texts("accessModes").collect();
    for mode in modes.iter().filter(|mode| !MODES.contains(mode)) {
        errors.unsupported(path, "accessModes", mode, &MODES);
    }
    let other = modes.iter().any(|mode| MODES.contains(mode) && *mode != "ReadWriteOncePod");
    if modes.contains(&"ReadWriteOncePod") && other {
        errors.forbidden(path, "accessModes", "may not use ReadWriteOncePod with other access modes");
    }
}

fn volume<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let inline = path.field == "inlineVolumeSpec";
    if path.list("accessModes").is_empty() {
        errors.required(path, "accessModes", "");
    }
    access_modes(path, errors);
    if inline {
        inline_volume(path, errors);
    } else {
        volume_of_cluster(path, errors);
    }
    volume_source(path, errors);
    let root = path
        .at(&["hostPath", "path"])
        .and_then(Value::as_str)
        .is_some_and(|path| path.starts_with('/') && path.split('/').all(|part| matches!(part, "" | "." | "..")));
    if root && path.text("persistentVolumeReclaimPolicy") == "Recycle" {
        let detail = "may not be 'recycle' for a hostPath mount of '/'";
        errors.forbidden(path, "persistentVolumeReclaimPolicy", detail);
    }
}

/// Several options of one kind of volume are told apart by the first; flexible ones are always validated.
fn volume_source<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let given: Vec<_> = internal_types::VOLUME_SOURCES.iter().filter(|(field, _)| path.has(field)).collect();
    if given.is_empty() {
        errors.required(path, "", "must specify a volume type");
    }
    for (field, shown) in given.iter().skip(1).filter(|(_, shown)| !shown.is_empty()) {
        errors.forbidden(path, shown, "may not specify more than 1 volume type");
        errors.skip(field);
    }
    let local = given.first().is_some_and(|(field, _)| *field == "local");
    if local && (!path.has("nodeAffinity") || path.field == "inlineVolumeSpec") {
        errors.required(path, "nodeAffinity", "Local volume requires node affinity");
    }
}

fn volume_of_cluster<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let capacity = path.map("capacity").filter(|map| !map.is_empty());
    if capacity.is_none() {
        errors.required(path, "capacity", "");
    }
    if capacity.is_none_or(|map| map.len() > 1 || !map.contains_key("storage")) {
        let shown = printed(path.get("capacity"));
        let detail = "supported values: \"storage\"".to_owned();
        errors.with_detail(crate::request::status::FieldErrorKind::NotSupported, path, "capacity", shown, detail);
    }
    for (name, value) in capacity.into_iter().flat_map(MapValue::iter) {
        let field = format!("capacity[{name}]");
        let Some(quantity) = resources::parsed(value) else { continue };
        if quantity.units() < 0 {
            errors.invalid_as(path, &field, quantity.units(), "must be a valid resource quantity");
        }
        if quantity.is_negative() || quantity.is_zero() {
            errors.invalid(path, &field, value.as_str().unwrap_or_default(), POSITIVE);
        }
    }
    OneOf(&["Delete", "Recycle", "Retain"]).apply(path, "persistentVolumeReclaimPolicy", errors);
    OneOf(&["Block", "Filesystem"]).apply(path, "volumeMode", errors);
    if !path.text("storageClassName").is_empty() {
        let class = path.text("storageClassName");
        errors.invalid_each(path, "storageClassName", class, names::dns_1123_subdomain(class));
    }
    match path.optional_text("volumeAttributesClassName") {
        Some("") => errors.required(path, "volumeAttributesClassName", "an empty string is disallowed"),
        Some(class) => errors.invalid_each(path, "volumeAttributesClassName", class, names::dns_1123_subdomain(class)),
        None => return,
    }
    if !path.has("csi") {
        errors.required(path, "csi", "has to be specified when using volumeAttributesClassName");
    }
}

/// A volume that stands in an attachment says less.
fn inline_volume<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const DETAIL: &str = "may not be specified in the context of inline volumes";
    for field in ["claimRef", "nodeAffinity"].into_iter().filter(|field| path.has(field)) {
        errors.forbidden(path, field, DETAIL);
    }
    errors.skip("nodeAffinity");
    if path.map("capacity").is_some_and(|map| !map.is_empty()) {
        errors.forbidden(path, "capacity", DETAIL);
    }
    if !path.has("csi") {
        errors.required(path, "csi", "has to be specified in the context of inline volumes");
    }
    if !matches!(path.text("persistentVolumeReclaimPolicy"), "" | "Retain") {
        let detail = "may only be Retain in the context of inline volumes";
        errors.forbidden(path, "persistentVolumeReclaimPolicy", detail);
    }
    if !path.text("storageClassName").is_empty() {
        errors.forbidden(path, "storageClassName", DETAIL);
    }
    if path.optional_text("volumeMode").is_some_and(|mode| mode != "Filesystem") {
        let detail = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.forbidden(path, "volumeMode", detail);
    }
}

fn secret_references<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const FIELDS: [&str; 4] =
        ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"];
    for field in FIELDS {
        let Some(secret) = path.child(field) else { continue };
        let here = path.below(field, Nth::Only, secret);
        Check::NeedsForm(names::dns_1123_subdomain).apply(&here, "name", errors);
        Check::NeedsForm(names::dns_1123_label).apply(&here, "namespace", errors);
    }
}

/// A driver's name, whose case does not matter.
fn provisioner<'t>(path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
    match path.text(field) {
        "" => errors.required(path, field, ""),
        name => {
            let lower = name.to_lowercase();
            errors.invalid_each(path, field, &lower, names::label_key(&lower));
        }
    }
}

fn parameters<'t>(path: &FieldPath<'_, 't>, may_be_empty: bool, errors: &mut ErrorList<'t>) {
    const COUNT_MAX: usize = 512;
    const BYTES_MAX: usize = 256 * 1024;
    let pairs: Vec<_> = path.pairs("parameters").collect();
    if pairs.len() > COUNT_MAX {
        return errors.too_long(path, "parameters", COUNT_MAX);
    }
    for _ in pairs.iter().filter(|(key, _)| key.is_empty()) {
        errors.invalid(path, "parameters", "", "field can not be empty.");
    }
    if pairs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > BYTES_MAX {
        errors.too_long(path, "parameters", BYTES_MAX);
    }
    if !may_be_empty && pairs.is_empty() {
        errors.required(path, "parameters", "must contain at least one key/value pair");
    }
}

/// An update is validated by what changes alone.
fn class<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    provisioner(path, "provisioner", errors);
    parameters(path, true, errors);
    if !path.text("reclaimPolicy").is_empty() {
        OneOf(&["Delete", "Retain"]).apply(path, "reclaimPolicy", errors);
    }
    let terms: Vec<Vec<(&str, Vec<&str>)>> = path.structs("allowedTopologies").map(topology).collect();
    for (at, term) in terms.iter().enumerate() {
        // An empty term equals the slots that are not filled yet.
        let empty = if term.is_empty() { terms.len() } else { 0 };
        let same = terms[..at].iter().filter(|other| *other == term).count();
        for _ in 0..empty + same {
            errors.duplicate(path, &format!("allowedTopologies[{at}].matchLabelExpressions"), "");
        }
    }
}

/// Keys and values of a term, sorted.
fn topology(term: &Struct) -> Vec<(&str, Vec<&str>)> {
    let items = term.get("matchLabelExpressions").and_then(Value::as_list).unwrap_or_default();
    let mut entries: Vec<(&str, Vec<&str>)> = Vec::new();
    for item in items {
        let key = item.child("key").and_then(Value::as_str).unwrap_or_default();
        let list = item.child("values").and_then(Value::as_list).unwrap_or_default();
        let mut values: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        values.dedup();
        entries.retain(|(known, _)| *known != key);
        entries.push((key, values));
    }
    entries.sort();
    entries
}

fn attributes_class<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    provisioner(path, "driverName", errors);
    parameters(path, false, errors);
}

fn attachment<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let attacher = path.text("attacher");
    if attacher.is_empty() {
        errors.required(path, "attacher", "");
    }
    // Version 1 validates drivers once more, when they are made.
    if errors.old.is_none() {
        match attacher {
            "" => errors.required(path, "attacher", ""),
            name => {
                if name.len() > 63 {
                    errors.too_long(path, "attacher", 63);
                }
                errors.invalid_each(path, "attacher", name, forms::driver(name));
            }
        }
        if let Some(name) = path.at(&["source", "persistentVolumeName"]).and_then(Value::as_str) {
            errors.invalid_each(path, "source.persistentVolumeName", name, names::dns_1123_subdomain(name));
        }
    }
}

fn attachment_source<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const DETAIL: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (path.has("inlineVolumeSpec"), path.optional_text("persistentVolumeName")) {
        (false, None) => errors.required(path, "", DETAIL),
        (true, Some(_)) => {
            errors.forbidden(path, "", DETAIL);
            errors.skip("inlineVolumeSpec");
        }
        (false, Some("")) => {
            errors.required(path, "persistentVolumeName", "must specify non empty persistentVolumeName");
        }
        _ => {}
    }
}

fn volume_error<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.text("message").len() > 1024 {
        errors.too_long(path, "message", 256 * 1024);
    }
    if let Some(code) = path.number("errorCode").filter(|code| *code < 0) {
        errors.invalid_as(path, "errorCode", code, "must be between 0 and 2147483647, inclusive");
    }
}

/// Errors of topology keys name the driver.
fn node_drivers<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const ID_MAX: usize = 256;
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in path.structs("drivers").enumerate() {
        let driver = path.below("drivers", Nth::Index(at), item);
        let (name, id) = (driver.text("name"), driver.text("nodeID"));
        Check::NeedsForm(forms::driver).apply(&driver, "name", errors);
        Check::Bytes(63).apply(&driver, "name", errors);
        if id.is_empty() {
            errors.required(&driver, "nodeID", "");
        }
        if id.len() > ID_MAX {
            errors.invalid(&driver, "nodeID", id, format!("must be {ID_MAX} characters or less"));
        }
        if seen.contains(&name) {
            errors.duplicate(&driver, "name", name);
        }
        seen.push(name);
        let keys: Vec<&str> = driver.texts("topologyKeys").collect();
        for (nth, key) in keys.iter().enumerate() {
            if key.is_empty() {
                errors.required(&driver, "", "");
            }
            if keys[..nth].contains(key) {
                errors.duplicate(&driver, "", key);
            }
            errors.invalid_each(&driver, "", key, names::label_key(key));
        }
    }
}

fn driver<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if !path.has("attachRequired") {
        errors.required(path, "attachedRequired", "");
    }
    let mut audiences: Vec<&str> = Vec::new();
    for (at, item) in path.structs("tokenRequests").enumerate() {
        let request = path.below("tokenRequests", Nth::Index(at), item);
        let audience = request.text("audience");
        if audiences.contains(&audience) {
            errors.duplicate(&request, "audience", audience);
            continue;
        }
        audiences.push(audience);
        let Some(seconds) = request.number("expirationSeconds") else { continue };
        if seconds < 600 {
            let detail = "may not specify a duration less than 10 minutes";
            errors.invalid_as(&request, "expirationSeconds", seconds, detail);
        }
        if seconds > 1 << 32 {
            let detail = "may not specify a duration larger than 2^32 seconds";
            errors.invalid_as(&request, "expirationSeconds", seconds, detail);
        }
    }
    for mode in path.texts("volumeLifecycleModes").filter(|mode| !["Persistent", "Ephemeral"].contains(mode)) {
        errors.unsupported(path, "volumeLifecycleModes", mode, &["Persistent", "Ephemeral"]);
    }
    if let Some(flag) = path.truth("serviceAccountTokenInSecrets").filter(|_| path.list("tokenRequests").is_empty()) {
        let detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        errors.invalid_as(path, "serviceAccountTokenInSecrets", flag, detail);
    }
}

fn capacity<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let amount = path.get("capacity").and_then(resources::parsed);
    if amount.is_some_and(|amount| amount.is_negative()) {
        errors.invalid(path, "capacity", path.text("capacity"), NOT_NEGATIVE);
    }
}
