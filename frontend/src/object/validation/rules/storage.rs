//! Persistent volumes, claims, and the classes and drivers behind them.

use super::{
    super::{
        check::{
            Check::{self, AlwaysForm, AtLeast, NotEmpty, OneOf, Present, Required, RequiredBecause},
            NOT_NEGATIVE, POSITIVE,
        },
        forms, internal_types,
        judge::Judge,
        meta, names,
        place::{Nth, Place},
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
    with("core.v1.PersistentVolumeClaimStatus", claim_status, &[]),
    with(
        "core.v1.PersistentVolumeClaimSpec",
        claim,
        &[
            ("accessModes", NotEmpty("at least 1 access mode is required")),
            ("volumeMode", OneOf(&["Block", "Filesystem"])),
        ],
    ),
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

fn access_modes<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let modes: Vec<&str> = place.texts("accessModes").collect();
    for mode in modes.iter().filter(|mode| !MODES.contains(mode)) {
        judge.unsupported(place, "accessModes", mode, &MODES);
    }
    let other = modes.iter().any(|mode| MODES.contains(mode) && *mode != "ReadWriteOncePod");
    if modes.contains(&"ReadWriteOncePod") && other {
        judge.forbidden(place, "accessModes", "may not use ReadWriteOncePod with other access modes");
    }
}

fn volume<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let inline = place.field == "inlineVolumeSpec";
    if place.list("accessModes").is_empty() {
        judge.required(place, "accessModes", "");
    }
    access_modes(place, judge);
    if inline {
        inline_volume(place, judge);
    } else {
        volume_of_cluster(place, judge);
    }
    volume_source(place, judge);
    let root = place
        .at(&["hostPath", "path"])
        .and_then(Value::as_str)
        .is_some_and(|path| path.starts_with('/') && path.split('/').all(|part| matches!(part, "" | "." | "..")));
    if root && place.text("persistentVolumeReclaimPolicy") == "Recycle" {
        let detail = "may not be 'recycle' for a hostPath mount of '/'";
        judge.forbidden(place, "persistentVolumeReclaimPolicy", detail);
    }
}

/// Several options of one kind of volume are told apart by the first; flexible ones are always judged.
fn volume_source<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let given: Vec<_> = internal_types::VOLUME_SOURCES.iter().filter(|(field, _)| place.has(field)).collect();
    if given.is_empty() {
        judge.required(place, "", "must specify a volume type");
    }
    for (field, shown) in given.iter().skip(1).filter(|(_, shown)| !shown.is_empty()) {
        judge.forbidden(place, shown, "may not specify more than 1 volume type");
        judge.settle(field);
    }
    let local = given.first().is_some_and(|(field, _)| *field == "local");
    if local && (!place.has("nodeAffinity") || place.field == "inlineVolumeSpec") {
        judge.required(place, "nodeAffinity", "Local volume requires node affinity");
    }
}

fn volume_of_cluster<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let capacity = place.map("capacity").filter(|map| !map.is_empty());
    if capacity.is_none() {
        judge.required(place, "capacity", "");
    }
    if capacity.is_none_or(|map| map.len() > 1 || !map.contains_key("storage")) {
        let shown = printed(place.get("capacity"));
        let detail = "supported values: \"storage\"".to_owned();
        judge.with_detail(crate::request::status::FieldErrorKind::NotSupported, place, "capacity", shown, detail);
    }
    for (name, value) in capacity.into_iter().flat_map(MapValue::iter) {
        let field = format!("capacity[{name}]");
        let Some(quantity) = resources::parsed(value) else { continue };
        if quantity.units() < 0 {
            judge.invalid_as(place, &field, quantity.units(), "must be a valid resource quantity");
        }
        if quantity.is_negative() || quantity.is_zero() {
            judge.invalid(place, &field, value.as_str().unwrap_or_default(), POSITIVE);
        }
    }
    OneOf(&["Delete", "Recycle", "Retain"]).apply(place, "persistentVolumeReclaimPolicy", judge);
    OneOf(&["Block", "Filesystem"]).apply(place, "volumeMode", judge);
    if !place.text("storageClassName").is_empty() {
        let class = place.text("storageClassName");
        judge.complain(place, "storageClassName", class, names::dns_1123_subdomain(class));
    }
    match place.optional_text("volumeAttributesClassName") {
        Some("") => judge.required(place, "volumeAttributesClassName", "an empty string is disallowed"),
        Some(class) => judge.complain(place, "volumeAttributesClassName", class, names::dns_1123_subdomain(class)),
        None => return,
    }
    if !place.has("csi") {
        judge.required(place, "csi", "has to be specified when using volumeAttributesClassName");
    }
}

/// A volume that stands in an attachment says less.
fn inline_volume<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const DETAIL: &str = "may not be specified in the context of inline volumes";
    for field in ["claimRef", "nodeAffinity"].into_iter().filter(|field| place.has(field)) {
        judge.forbidden(place, field, DETAIL);
    }
    judge.settle("nodeAffinity");
    if place.map("capacity").is_some_and(|map| !map.is_empty()) {
        judge.forbidden(place, "capacity", DETAIL);
    }
    if !place.has("csi") {
        judge.required(place, "csi", "has to be specified in the context of inline volumes");
    }
    if !matches!(place.text("persistentVolumeReclaimPolicy"), "" | "Retain") {
        let detail = "may only be Retain in the context of inline volumes";
        judge.forbidden(place, "persistentVolumeReclaimPolicy", detail);
    }
    if !place.text("storageClassName").is_empty() {
        judge.forbidden(place, "storageClassName", DETAIL);
    }
    if place.optional_text("volumeMode").is_some_and(|mode| mode != "Filesystem") {
        let detail = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        judge.forbidden(place, "volumeMode", detail);
    }
}

fn secret_references<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const FIELDS: [&str; 4] =
        ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"];
    for field in FIELDS {
        let Some(secret) = place.child(field) else { continue };
        let here = place.below(field, Nth::Only, secret);
        Check::NeedsForm(names::dns_1123_subdomain).apply(&here, "name", judge);
        Check::NeedsForm(names::dns_1123_label).apply(&here, "namespace", judge);
    }
}

/// What is granted to a claim, and what is being done about it.
fn claim_status<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const STATES: [&str; 5] = [
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
        "NodeResizePending",
    ];
    // A template of a claim may say what it likes of a status.
    if place.up.is_some_and(|claim| claim.up.is_some()) {
        return;
    }
    let negative = |value: &Value| resources::parsed(value).filter(|amount| amount.is_negative());
    for (name, value) in place.map("capacity").into_iter().flat_map(MapValue::iter) {
        if let Some(amount) = negative(value) {
            judge.invalid_as(place, &format!("capacity[{name}]"), amount.units(), "must be a valid resource quantity");
        }
    }
    for (name, state) in place.pairs("allocatedResourceStatuses") {
        claim_resource(place, "allocatedResourceStatuses", name, judge);
        if !STATES.contains(&state) {
            judge.unsupported(place, "allocatedResourceStatuses", name, &STATES);
        }
    }
    for (name, value) in place.map("allocatedResources").into_iter().flat_map(MapValue::iter) {
        let field = format!("allocatedResources[{name}]");
        if !claim_resource(place, "allocatedResources", name, judge) {
            continue;
        }
        match negative(value) {
            Some(amount) => judge.invalid_as(place, &field, amount.units(), "must be a valid resource quantity"),
            None => resources::amount("storage", value, place, &field, judge),
        }
    }
}

/// Whether a claim may have this resource: storage, or one of somebody else's.
fn claim_resource<'t>(place: &Place<'_, 't>, field: &str, name: &str, judge: &mut Judge<'t>) -> bool {
    let complaints = names::label_key(name);
    let native = resources::is_native(name) && name != "storage";
    if native && complaints.is_empty() {
        judge.unsupported(place, field, name, &["storage"]);
    }
    let good = !native && complaints.is_empty();
    judge.complain(place, field, name, complaints);
    good
}

/// Errors of the size name a field that there is not.
fn claim<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    access_modes(place, judge);
    let size = place.at(&["resources", "requests", "storage"]);
    match size.and_then(resources::parsed) {
        None => judge.required(place, "resources[storage]", ""),
        Some(quantity) if quantity.is_negative() || quantity.is_zero() => {
            let text = size.and_then(Value::as_str).unwrap_or_default();
            judge.invalid(place, "resources[storage]", text, POSITIVE);
        }
        Some(_) => {}
    }
    for field in ["storageClassName", "volumeAttributesClassName"] {
        let class = place.text(field);
        if !class.is_empty() {
            judge.complain(place, field, class, names::dns_1123_subdomain(class));
        }
    }
    for field in ["dataSource", "dataSourceRef"] {
        if let Some(source) = place.child(field) {
            data_source(&place.below(field, Nth::Only, source), judge);
        }
    }
    let (Some(source), Some(reference)) = (place.child("dataSource"), place.child("dataSourceRef")) else { return };
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
    judge.invalid_as(place, "", "{}", detail);
}

fn data_source<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (group, kind) = (place.text("apiGroup"), place.text("kind"));
    for field in ["name", "kind"].into_iter().filter(|field| place.text(field).is_empty()) {
        judge.required(place, field, "");
    }
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        judge.invalid(place, "", kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    }
    let known = judge.old.is_some_and(|old| {
        ["dataSource", "dataSourceRef"].iter().any(|field| old.get(&["spec", field, "apiGroup"]).is_some())
    });
    if !group.is_empty() && !known {
        judge.complain(place, "apiGroup", group, names::dns_1123_subdomain(group));
    }
    let namespace = place.text("namespace");
    if !namespace.is_empty() {
        judge.complain(place, "namespace", namespace, names::dns_1123_label(namespace));
    }
}

/// Of metadata in a template only labels and annotations count.
pub(super) fn template_metadata<'t>(place: &Place<'_, 't>, field: &str, metadata: &'t Struct, judge: &mut Judge<'t>) {
    let pairs = |name: &str| {
        let map = metadata.get(name).and_then(Value::as_map);
        map.into_iter().flat_map(MapValue::iter).filter_map(|(key, value)| Some((key, value.as_str()?)))
    };
    judge.errors.extend(meta::annotations(pairs("annotations"), &place.path(&format!("{field}.annotations"))));
    judge.errors.extend(meta::labels(pairs("labels"), &place.path(&format!("{field}.labels"))));
    for (given, value) in metadata.iter().filter(|(f, _)| !matches!(&*f.name, "labels" | "annotations")) {
        if !value.is_zero() {
            judge.forbidden(place, &format!("{field}.{}", go_lower(&given.name)), "cannot be set");
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

/// A driver's name, whose case does not matter.
fn provisioner<'t>(place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
    match place.text(field) {
        "" => judge.required(place, field, ""),
        name => {
            let lower = name.to_lowercase();
            judge.complain(place, field, &lower, names::label_key(&lower));
        }
    }
}

fn parameters<'t>(place: &Place<'_, 't>, may_be_empty: bool, judge: &mut Judge<'t>) {
    const COUNT_MAX: usize = 512;
    const BYTES_MAX: usize = 256 * 1024;
    let pairs: Vec<_> = place.pairs("parameters").collect();
    if pairs.len() > COUNT_MAX {
        return judge.too_long(place, "parameters", COUNT_MAX);
    }
    for _ in pairs.iter().filter(|(key, _)| key.is_empty()) {
        judge.invalid(place, "parameters", "", "field can not be empty.");
    }
    if pairs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > BYTES_MAX {
        judge.too_long(place, "parameters", BYTES_MAX);
    }
    if !may_be_empty && pairs.is_empty() {
        judge.required(place, "parameters", "must contain at least one key/value pair");
    }
}

/// An update is judged by what changes alone.
fn class<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    provisioner(place, "provisioner", judge);
    parameters(place, true, judge);
    if !place.text("reclaimPolicy").is_empty() {
        OneOf(&["Delete", "Retain"]).apply(place, "reclaimPolicy", judge);
    }
    let terms: Vec<Vec<(&str, Vec<&str>)>> = place.structs("allowedTopologies").map(topology).collect();
    for (at, term) in terms.iter().enumerate() {
        // An empty term equals the places that are not filled yet.
        let empty = if term.is_empty() { terms.len() } else { 0 };
        let same = terms[..at].iter().filter(|other| *other == term).count();
        for _ in 0..empty + same {
            judge.duplicate(place, &format!("allowedTopologies[{at}].matchLabelExpressions"), "");
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

fn attributes_class<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    provisioner(place, "driverName", judge);
    parameters(place, false, judge);
}

fn attachment<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let attacher = place.text("attacher");
    if attacher.is_empty() {
        judge.required(place, "attacher", "");
    }
    // Version 1 judges drivers once more, when they are made.
    if judge.old.is_none() {
        match attacher {
            "" => judge.required(place, "attacher", ""),
            name => {
                if name.len() > 63 {
                    judge.too_long(place, "attacher", 63);
                }
                judge.complain(place, "attacher", name, forms::driver(name));
            }
        }
        if let Some(name) = place.at(&["source", "persistentVolumeName"]).and_then(Value::as_str) {
            judge.complain(place, "source.persistentVolumeName", name, names::dns_1123_subdomain(name));
        }
    }
}

fn attachment_source<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const DETAIL: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (place.has("inlineVolumeSpec"), place.optional_text("persistentVolumeName")) {
        (false, None) => judge.required(place, "", DETAIL),
        (true, Some(_)) => {
            judge.forbidden(place, "", DETAIL);
            judge.settle("inlineVolumeSpec");
        }
        (false, Some("")) => {
            judge.required(place, "persistentVolumeName", "must specify non empty persistentVolumeName");
        }
        _ => {}
    }
}

fn volume_error<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.text("message").len() > 1024 {
        judge.too_long(place, "message", 256 * 1024);
    }
    if let Some(code) = place.number("errorCode").filter(|code| *code < 0) {
        judge.invalid_as(place, "errorCode", code, "must be between 0 and 2147483647, inclusive");
    }
}

/// Errors of topology keys name the driver.
fn node_drivers<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const ID_MAX: usize = 256;
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in place.structs("drivers").enumerate() {
        let driver = place.below("drivers", Nth::At(at), item);
        let (name, id) = (driver.text("name"), driver.text("nodeID"));
        Check::NeedsForm(forms::driver).apply(&driver, "name", judge);
        Check::Bytes(63).apply(&driver, "name", judge);
        if id.is_empty() {
            judge.required(&driver, "nodeID", "");
        }
        if id.len() > ID_MAX {
            judge.invalid(&driver, "nodeID", id, format!("must be {ID_MAX} characters or less"));
        }
        if seen.contains(&name) {
            judge.duplicate(&driver, "name", name);
        }
        seen.push(name);
        let keys: Vec<&str> = driver.texts("topologyKeys").collect();
        for (nth, key) in keys.iter().enumerate() {
            if key.is_empty() {
                judge.required(&driver, "", "");
            }
            if keys[..nth].contains(key) {
                judge.duplicate(&driver, "", key);
            }
            judge.complain(&driver, "", key, names::label_key(key));
        }
    }
}

fn driver<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if !place.has("attachRequired") {
        judge.required(place, "attachedRequired", "");
    }
    let mut audiences: Vec<&str> = Vec::new();
    for (at, item) in place.structs("tokenRequests").enumerate() {
        let request = place.below("tokenRequests", Nth::At(at), item);
        let audience = request.text("audience");
        if audiences.contains(&audience) {
            judge.duplicate(&request, "audience", audience);
            continue;
        }
        audiences.push(audience);
        let Some(seconds) = request.number("expirationSeconds") else { continue };
        if seconds < 600 {
            let detail = "may not specify a duration less than 10 minutes";
            judge.invalid_as(&request, "expirationSeconds", seconds, detail);
        }
        if seconds > 1 << 32 {
            let detail = "may not specify a duration larger than 2^32 seconds";
            judge.invalid_as(&request, "expirationSeconds", seconds, detail);
        }
    }
    for mode in place.texts("volumeLifecycleModes").filter(|mode| !["Persistent", "Ephemeral"].contains(mode)) {
        judge.unsupported(place, "volumeLifecycleModes", mode, &["Persistent", "Ephemeral"]);
    }
    if let Some(flag) = place.truth("serviceAccountTokenInSecrets").filter(|_| place.list("tokenRequests").is_empty()) {
        let detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        judge.invalid_as(place, "serviceAccountTokenInSecrets", flag, detail);
    }
}

fn capacity<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let amount = place.get("capacity").and_then(resources::parsed);
    if amount.is_some_and(|amount| amount.is_negative()) {
        judge.invalid(place, "capacity", place.text("capacity"), NOT_NEGATIVE);
    }
}
