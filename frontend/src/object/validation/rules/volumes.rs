//! Volumes of pods and the sources that persistent volumes share with them.

use super::super::{
    check::Check::{self, Form, NeedsForm, NeedsOneOf, OneOf, Required, Within},
    forms,
    judge::Judge,
    names,
    place::{Nth, Place},
    rule::{Rule, rule, with},
};
use crate::api::schema::{Value, scalar::quantity::Quantity};

pub(super) static RULES: &[Rule] = &[
    with("core.v1.Volume", volume, &[]),
    with("core.v1.EmptyDirVolumeSource", empty_dir, &[]),
    with("core.v1.HostPathVolumeSource", host_path, &[("path", Required)]),
    rule("core.v1.GitRepoVolumeSource", &[("repository", Required), ("directory", Form(forms::descending_path))]),
    rule("core.v1.GCEPersistentDiskVolumeSource", &[("pdName", Required), ("partition", PARTITION)]),
    rule("core.v1.AWSElasticBlockStoreVolumeSource", &[("volumeID", Required), ("partition", PARTITION)]),
    rule("core.v1.SecretVolumeSource", &[("secretName", Required), ("defaultMode", MODE)]),
    rule("core.v1.ConfigMapVolumeSource", &[("name", Required), ("defaultMode", MODE)]),
    rule("core.v1.KeyToPath", &[("key", Required), ("path", NeedsForm(forms::volume_path)), ("mode", MODE)]),
    with("core.v1.NFSVolumeSource", nfs, &[("server", Required), ("path", Required)]),
    with("core.v1.ISCSIVolumeSource", iscsi, ISCSI),
    with("core.v1.ISCSIPersistentVolumeSource", iscsi, ISCSI),
    rule("core.v1.GlusterfsVolumeSource", &[("endpoints", Required), ("path", Required)]),
    with("core.v1.GlusterfsPersistentVolumeSource", glusterfs, &[("endpoints", Required), ("path", Required)]),
    with("core.v1.FlockerVolumeSource", flocker, &[]),
    rule("core.v1.PersistentVolumeClaimVolumeSource", &[("claimName", Required)]),
    rule("core.v1.RBDVolumeSource", &[("monitors", Required), ("image", Required)]),
    rule("core.v1.RBDPersistentVolumeSource", &[("monitors", Required), ("image", Required)]),
    with("core.v1.CinderVolumeSource", secret_name, &[("volumeID", Required)]),
    with("core.v1.CinderPersistentVolumeSource", secret_and_namespace, &[("volumeID", Required)]),
    rule("core.v1.CephFSVolumeSource", &[("monitors", Required)]),
    rule("core.v1.CephFSPersistentVolumeSource", &[("monitors", Required)]),
    with("core.v1.QuobyteVolumeSource", quobyte, &[("volume", Required)]),
    with("core.v1.DownwardAPIVolumeSource", downward_api, &[("defaultMode", MODE)]),
    with("core.v1.DownwardAPIProjection", downward_api, &[]),
    with("core.v1.FCVolumeSource", fibre_channel, &[]),
    with("core.v1.FlexVolumeSource", flex_options, &[("driver", Required)]),
    with("core.v1.FlexPersistentVolumeSource", flex_options, &[("driver", Required)]),
    rule("core.v1.AzureFileVolumeSource", &[("secretName", Required), ("shareName", Required)]),
    with("core.v1.AzureFilePersistentVolumeSource", azure_file, &[("secretName", Required), ("shareName", Required)]),
    rule("core.v1.VsphereVirtualDiskVolumeSource", &[("volumePath", Required)]),
    rule("core.v1.PhotonPersistentDiskVolumeSource", &[("pdID", Required)]),
    rule("core.v1.PortworxVolumeSource", &[("volumeID", Required)]),
    with(
        "core.v1.AzureDiskVolumeSource",
        azure_disk,
        &[
            ("diskName", Required),
            ("diskURI", Required),
            ("cachingMode", OneOf(&["None", "ReadOnly", "ReadWrite"])),
            ("kind", OneOf(&["Dedicated", "Managed", "Shared"])),
        ],
    ),
    with("core.v1.StorageOSVolumeSource", secret_name, STORAGE_OS),
    with("core.v1.StorageOSPersistentVolumeSource", secret_and_namespace, STORAGE_OS),
    with("core.v1.ProjectedVolumeSource", projected, &[("defaultMode", MODE)]),
    rule("core.v1.SecretProjection", &[("name", Required)]),
    rule("core.v1.ConfigMapProjection", &[("name", Required)]),
    rule("core.v1.ScaleIOVolumeSource", SCALE_IO),
    rule("core.v1.ScaleIOPersistentVolumeSource", SCALE_IO),
    with("core.v1.LocalVolumeSource", local, &[("path", Required)]),
    with("core.v1.CSIVolumeSource", csi, DRIVER),
    rule("core.v1.CSIPersistentVolumeSource", CSI_PERSISTENT),
    with("core.v1.EphemeralVolumeSource", ephemeral, &[("volumeClaimTemplate", Required)]),
    with("core.v1.ImageVolumeSource", image, &[("pullPolicy", NeedsOneOf(&["Always", "IfNotPresent", "Never"]))]),
];

const PARTITION: Check = Within(0, 255, "must be between 1 and 255, inclusive");
const MODE: Check = Within(0, 0o777, "must be a number between 0 and 0777 (octal), both inclusive");
const SCALE_IO: &[(&str, Check)] = &[("gateway", Required), ("system", Required), ("volumeName", Required)];
const ISCSI: &[(&str, Check)] =
    &[("targetPortal", Required), ("iqn", Required), ("lun", Within(0, 255, "must be between 0 and 255, inclusive"))];
const STORAGE_OS: &[(&str, Check)] =
    &[("volumeName", NeedsForm(names::dns_1123_label)), ("volumeNamespace", Form(names::dns_1123_label))];
const DRIVER: &[(&str, Check)] = &[("driver", NeedsForm(forms::driver)), ("driver", Check::Bytes(63))];
const CSI_PERSISTENT: &[(&str, Check)] =
    &[("driver", NeedsForm(forms::driver)), ("driver", Check::Bytes(63)), ("volumeHandle", Required)];

/// In the order in which the real server meets them: the first counts. The second name is what errors say.
pub(super) const SOURCES: &[(&str, &str)] = &[
    ("emptyDir", "emptyDir"),
    ("hostPath", "hostPath"),
    ("gitRepo", "gitRepo"),
    ("gcePersistentDisk", "gcePersistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore"),
    ("secret", "secret"),
    ("nfs", "nfs"),
    ("iscsi", "iscsi"),
    ("glusterfs", "glusterfs"),
    ("flocker", "flocker"),
    ("persistentVolumeClaim", "persistentVolumeClaim"),
    ("rbd", "rbd"),
    ("cinder", "cinder"),
    ("cephfs", "cephFS"),
    ("quobyte", "quobyte"),
    ("downwardAPI", "downwarAPI"),
    ("fc", "fc"),
    ("flexVolume", "flexVolume"),
    ("configMap", "configMap"),
    ("azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk"),
    ("storageos", "storageos"),
    ("projected", "projected"),
    ("scaleIO", "scaleIO"),
    ("csi", "csi"),
    ("ephemeral", "ephemeral"),
    ("image", "image"),
];

/// Exactly one source; what is there besides is not looked at.
pub(super) fn one_source<'t>(place: &Place<'_, 't>, sources: &[(&'static str, &str)], judge: &mut Judge<'t>) {
    let mut given = sources.iter().filter(|(field, _)| place.has(field));
    if given.next().is_none() {
        judge.required(place, "", "must specify a volume type");
    }
    for (field, shown) in given {
        judge.forbidden(place, shown, "may not specify more than 1 volume type");
        judge.settle(field);
    }
}

fn volume<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    one_source(place, SOURCES, judge);
    let name = place.text("name");
    if let Some(iscsi) = place.child("iscsi").filter(|iscsi| iscsi.get("initiatorName").is_some())
        && format!("{name}:{}", super::resources::text(iscsi, "targetPortal")).len() > 64
    {
        judge.invalid(place, "name", name, TOO_LONG_PORTAL);
    }
    let pod = place.above("Pod").and_then(|pod| pod.at(&["metadata", "name"])).and_then(Value::as_str);
    if let Some(pod) = pod.filter(|pod| !pod.is_empty() && !name.is_empty() && place.has("ephemeral")) {
        let claim = format!("{pod}-{name}");
        for complaint in names::dns_1123_subdomain(&claim) {
            judge.invalid(
                place,
                "name",
                name,
                format!("PVC name {}: {complaint}", crate::request::status::go_quote(&claim)),
            );
        }
    }
}

const TOO_LONG_PORTAL: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";

fn empty_dir<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let limit = place.optional_text("sizeLimit").and_then(|text| Quantity::parse(text).ok());
    if limit.is_some_and(|limit| limit.is_negative()) {
        judge.forbidden(place, "sizeLimit", "SizeLimit field must be a valid resource quantity");
    }
}

fn host_path<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const TYPES: [&str; 8] =
        ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    let path = place.text("path");
    if path.is_empty() {
        return;
    }
    judge.complain(place, "path", path, forms::no_backsteps(path));
    if let Some(kind) = place.optional_text("type").filter(|kind| !TYPES.contains(kind)) {
        judge.unsupported(place, "type", kind, &TYPES);
    }
}

fn nfs<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let path = place.text("path");
    if !path.starts_with('/') {
        judge.invalid(place, "path", path, "must be an absolute path");
    }
}

fn iscsi<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let persistent = place.name() == "ISCSIPersistentVolumeSource";
    let bare = if persistent { "must be valid format" } else { "must be valid format starting with iqn, eui, or naa" };
    let iqn = place.text("iqn");
    if !iqn.is_empty() {
        match initiator_form(iqn) {
            Some(true) => {}
            Some(false) => judge.invalid(place, "iqn", iqn, "must be valid format"),
            None => judge.invalid(place, "iqn", iqn, bare),
        }
    }
    let authenticated = place.is("chapAuthDiscovery") || place.is("chapAuthSession");
    if authenticated && !place.has("secretRef") {
        judge.required(place, "secretRef", "");
    }
    if persistent && place.child("secretRef").is_some_and(|secret| super::resources::text(secret, "name").is_empty()) {
        judge.required(place, "secretRef.name", "");
    }
    let Some(initiator) = place.optional_text("initiatorName") else { return };
    match initiator_form(initiator) {
        Some(true) => {}
        Some(false) => judge.invalid(place, "initiatorname", initiator, "must be valid format"),
        None => judge.invalid(place, "initiatorname", initiator, bare),
    }
    let portal = place.text("targetPortal");
    let volume = place.above("PersistentVolume").and_then(|pv| pv.at(&["metadata", "name"])).and_then(Value::as_str);
    if persistent && format!("{}:{portal}", volume.unwrap_or_default()).len() > 64 {
        judge.invalid(place, "targetportal", portal, TOO_LONG_PORTAL);
    }
}

/// None for a name of none of the three kinds; else whether it is well formed.
fn initiator_form(name: &str) -> Option<bool> {
    let word = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_alphanumeric());
    // The character between the kind and the rest may be any.
    let rest = |text: &'_ str| text.char_indices().nth(1).map(|(at, _)| text[at..].to_owned()).unwrap_or_default();
    if let Some(text) = name.strip_prefix("eui") {
        return Some(word(&rest(text), 16));
    }
    if let Some(text) = name.strip_prefix("naa") {
        return Some(word(&rest(text), 32));
    }
    name.starts_with("iqn").then(|| is_iqn(name))
}

/// `iqn.YYYY-MM.domain:name`, anywhere in the text but at its end.
fn is_iqn(name: &str) -> bool {
    name.match_indices("iqn.").any(|(at, found)| {
        let text = &name[at + found.len()..];
        let bytes = text.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let dated =
            (0..4).all(digit) && bytes.get(4) == Some(&b'-') && digit(5) && digit(6) && bytes.get(7) == Some(&b'.');
        let Some((domain, label)) = text.get(8..).filter(|_| dated).and_then(|rest| rest.split_once(':')) else {
            return false;
        };
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
        let bad = |letter: char| ",;*&$|".contains(letter) || letter.is_ascii_whitespace();
        !domain.is_empty() && domain.chars().all(plain) && !label.is_empty() && !label.contains(bad)
    })
}

fn glusterfs<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    match place.optional_text("endpointsNamespace") {
        Some("") => {
            let detail = "if the endpointnamespace is set, it must be a valid namespace name";
            judge.invalid(place, "endpointsNamespace", "", detail);
        }
        Some(name) => judge.complain(place, "endpointsNamespace", name, names::dns_1123_label(name)),
        None => {}
    }
}

fn flocker<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (name, uuid) = (place.text("datasetName"), place.text("datasetUUID"));
    if name.is_empty() && uuid.is_empty() {
        judge.required(place, "", "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !uuid.is_empty() {
        judge.invalid(place, "", "resource", "datasetName and datasetUUID can not be specified simultaneously");
    }
    if name.contains('/') {
        judge.invalid(place, "datasetName", name, "must not contain '/'");
    }
}

fn secret_name<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.child("secretRef").is_some_and(|secret| super::resources::text(secret, "name").is_empty()) {
        judge.required(place, "secretRef.name", "");
    }
}

fn secret_and_namespace<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    secret_name(place, judge);
    if place.child("secretRef").is_some_and(|secret| super::resources::text(secret, "namespace").is_empty()) {
        judge.required(place, "secretRef.namespace", "");
    }
}

fn quobyte<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = place.text("registry");
    if registry.is_empty() {
        return judge.required(place, "registry", PAIRS);
    }
    if place.text("tenant").len() >= 65 {
        return judge.required(place, "tenant", "must be a UUID and may not exceed a length of 64 characters");
    }
    for _ in registry.split(',').filter(|pair| !is_host_and_port(pair)) {
        judge.invalid(place, "registry", registry, PAIRS);
    }
}

/// As Go's SplitHostPort: one colon, or brackets around an address.
fn is_host_and_port(pair: &str) -> bool {
    match pair.strip_prefix('[') {
        Some(rest) => rest
            .split_once("]:")
            .is_some_and(|(host, port)| !host.contains(['[', ']']) && !port.contains(['[', ']', ':'])),
        None => pair.matches(':').count() == 1 && !pair.contains(['[', ']']),
    }
}

/// Errors name the source, not the file.
fn downward_api<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    judge.settle("items");
    for file in place.structs("items") {
        let text = super::resources::text(file, "path");
        if text.is_empty() {
            judge.required(place, "path", "");
        }
        judge.complain(place, "path", text, forms::volume_path(text));
        let (own, of_resource) = (file.get("fieldRef"), file.get("resourceFieldRef"));
        if let Some(Value::Struct(selector)) = own {
            object_field(&place.below("fieldRef", Nth::Only, selector), &VOLUME_FIELDS, judge);
            if of_resource.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                judge.invalid(place, "", "resource", detail);
            }
        } else if let Some(Value::Struct(selector)) = of_resource {
            resource_field(&place.below("resourceFieldRef", Nth::Only, selector), true, judge);
        } else {
            judge.required(place, "", "one of fieldRef and resourceFieldRef is required");
        }
        if let Some(mode) = file.get("mode").and_then(Value::as_i64).filter(|mode| !(0..=0o777).contains(mode)) {
            let detail = "must be a number between 0 and 0777 (octal), both inclusive";
            judge.invalid_as(place, "mode", mode, detail);
        }
    }
}

const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
pub(super) const VARIABLE_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const POD_FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// A field of the pod, by the names that are known where it is used.
pub(super) fn object_field<'t>(place: &Place<'_, 't>, known: &[&str], judge: &mut Judge<'t>) {
    let (version, path) = (place.text("apiVersion"), place.text("fieldPath"));
    if version.is_empty() {
        return judge.required(place, "apiVersion", "");
    }
    if path.is_empty() {
        return judge.required(place, "fieldPath", "");
    }
    let subscript =
        path.strip_suffix("']").and_then(|rest| rest.split_once("['")).filter(|(field, _)| !field.is_empty());
    let refusal = match subscript {
        _ if version != "v1" => Some(format!("unsupported pod version: {version}")),
        Some(("metadata.annotations" | "metadata.labels", _)) => None,
        Some(_) => Some(format!("field label does not support subscript: {path}")),
        None if POD_FIELDS.contains(&path) || path == "spec.host" => None,
        None => Some(format!("field label not supported: {path}")),
    };
    if let Some(refusal) = refusal {
        return judge.invalid(place, "fieldPath", path, format!("error converting fieldPath: {refusal}"));
    }
    let path = if path == "spec.host" { "spec.nodeName" } else { path };
    match subscript {
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            judge.complain(place, "", &key, names::label_key(&key));
        }
        Some((_, key)) => judge.complain(place, "", key, names::label_key(key)),
        None if !known.contains(&path) => judge.unsupported(place, "fieldPath", path, known),
        None => {}
    }
}

/// A resource of a container and the unit in which it is told.
pub(super) fn resource_field<'t>(place: &Place<'_, 't>, volume: bool, judge: &mut Judge<'t>) {
    const KNOWN: [&str; 6] = [
        "limits.cpu",
        "limits.ephemeral-storage",
        "limits.memory",
        "requests.cpu",
        "requests.ephemeral-storage",
        "requests.memory",
    ];
    let resource = place.text("resource");
    let huge = resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    if volume && place.text("containerName").is_empty() {
        judge.required(place, "containerName", "");
    } else if resource.is_empty() {
        judge.required(place, "resource", "");
    } else if !KNOWN.contains(&resource) && !huge {
        judge.unsupported(place, "resource", resource, &KNOWN);
    }
    let divisor = place.optional_text("divisor").unwrap_or("0");
    if Quantity::parse(divisor).is_ok_and(|quantity| quantity.is_zero()) {
        return;
    }
    const BYTES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let (fits, what) = match resource.split_once('.').map_or("", |(_, of)| of) {
        "cpu" if KNOWN.contains(&resource) => {
            if !["1m", "1"].contains(&divisor) {
                let detail = "only divisor's values 1m and 1 are supported with the cpu resource";
                judge.invalid(place, "divisor", resource, detail);
            }
            return;
        }
        "memory" if KNOWN.contains(&resource) => (BYTES.contains(&divisor), "memory"),
        "ephemeral-storage" if KNOWN.contains(&resource) => (BYTES.contains(&divisor), "local ephemeral storage"),
        _ if huge => (BYTES.contains(&divisor), "hugepages"),
        _ => return,
    };
    if !fits {
        let detail = format!("only divisor's values {} are supported with the {what} resource", BYTES.join(", "));
        judge.invalid(place, "divisor", resource, detail);
    }
}

fn fibre_channel<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (targets, ids) = (place.list("targetWWNs"), place.list("wwids"));
    if targets.is_empty() && ids.is_empty() {
        judge.required(place, "targetWWNs", "must specify either targetWWNs or wwids, but not both");
    }
    if !targets.is_empty() && !ids.is_empty() {
        let detail = "targetWWNs and wwids can not be specified simultaneously";
        judge.invalid_value(place, "targetWWNs", place.get("targetWWNs"), detail);
    }
    if targets.is_empty() {
        return;
    }
    match place.number("lun") {
        None => judge.required(place, "lun", "lun is required if targetWWNs is specified"),
        Some(lun) if !(0..=255).contains(&lun) => {
            judge.invalid_as(place, "lun", lun, "must be between 0 and 255, inclusive");
        }
        Some(_) => {}
    }
}

fn flex_options<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (key, _) in place.pairs("options") {
        let namespace = format!(".{}", key.split('/').next().unwrap_or_default().to_lowercase());
        if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved";
            judge.invalid(place, &format!("options[{key}]"), key, detail);
        }
    }
}

fn azure_file<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.optional_text("secretNamespace") == Some("") {
        judge.required(place, "secretNamespace", "");
    }
}

fn azure_disk<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const MANAGED: &str =
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    let uri = place.text("diskURI");
    match place.optional_text("kind") {
        Some("Managed") if !uri.starts_with("/subscriptions/") => {
            judge.unsupported(place, "diskURI", uri, &[MANAGED]);
        }
        Some(kind) if kind != "Managed" && !uri.starts_with("https://") => {
            judge.unsupported(place, "diskURI", uri, &[BLOB]);
        }
        _ => {}
    }
}

fn local<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    judge.complain(place, "path", place.text("path"), forms::no_backsteps(place.text("path")));
}

/// An error of the secret's name names a field that there is not.
fn csi<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if let Some(secret) = place.child("nodePublishSecretRef") {
        match super::resources::text(secret, "name") {
            "" => judge.required(place, "nodePublishSecretRef.name", ""),
            name => judge.complain(place, "name", name, names::dns_1123_subdomain(name)),
        }
    }
}

fn ephemeral<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(Value::Struct(metadata)) = place.at(&["volumeClaimTemplate", "metadata"]) else { return };
    super::storage::template_metadata(place, "volumeClaimTemplate.metadata", metadata, judge);
}

fn image<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.above("Pod").is_some() && place.text("reference").is_empty() {
        judge.required(place, "reference", "");
    }
}

/// Several sources in one folder: no two files of one path.
fn projected<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let mut paths: Vec<&str> = Vec::new();
    for (at, item) in place.structs("sources").enumerate() {
        let source = place.below("sources", Nth::At(at), item);
        for field in ["secret", "configMap", "downwardAPI"] {
            let Some(of) = source.child(field) else { continue };
            for file in of.get("items").and_then(Value::as_list).unwrap_or_default() {
                let path = file.child("path").and_then(Value::as_str).unwrap_or_default();
                let shown = if field == "downwardAPI" { path } else { super::resources::text(of, "name") };
                once(place, &mut paths, path, shown, judge);
            }
        }
        token(place, &source, judge);
        trust_bundle(place, &source, &mut paths, judge);
        pod_certificate(place, &source, &mut paths, judge);
        if item.iter().count() > 1 {
            judge.forbidden(&source, "", "may not specify more than 1 volume type per source");
        }
    }
}

fn once<'t>(place: &Place<'_, 't>, paths: &mut Vec<&'t str>, path: &'t str, shown: &str, judge: &mut Judge<'t>) {
    if path.is_empty() {
        return;
    }
    if paths.contains(&path) {
        judge.invalid(place, "", shown, "conflicting duplicate paths");
    } else {
        paths.push(path);
    }
}

/// Errors of the path name the volume.
fn token<'t>(place: &Place<'_, 't>, source: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(token) = source.child("serviceAccountToken") else { return };
    let here = source.below("serviceAccountToken", Nth::Only, token);
    let seconds = here.number("expirationSeconds").unwrap_or(0);
    if seconds < 600 {
        judge.invalid_as(&here, "expirationSeconds", seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        judge.invalid_as(&here, "expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds");
    }
    match here.text("path") {
        "" => judge.required(place, "path", ""),
        path => judge.complain(place, "path", path, forms::volume_path(path)),
    }
}

fn trust_bundle<'t>(place: &Place<'_, 't>, source: &Place<'_, 't>, paths: &mut Vec<&'t str>, judge: &mut Judge<'t>) {
    let Some(bundle) = source.child("clusterTrustBundle") else { return };
    let here = source.below("clusterTrustBundle", Nth::Only, bundle);
    match (here.optional_text("name"), here.optional_text("signerName")) {
        (Some(_), Some(_)) => {
            let shown = super::super::print::printed_struct(bundle);
            judge.invalid_as(&here, "", shown, "only one of name and signerName may be used");
        }
        (Some(name), None) => {
            if name.is_empty() {
                judge.required(&here, "name", "must be a valid object name");
            }
            for complaint in bundle_name(name) {
                judge.invalid(&here, "name", name, format!("not a valid clustertrustbundlename: {complaint}"));
            }
            if here.has("labelSelector") {
                let detail = "labelSelector must be unset if name is specified";
                judge.invalid_value(&here, "labelSelector", here.get("labelSelector"), detail);
            }
        }
        (None, Some(signer)) => {
            if signer.is_empty() {
                judge.required(&here, "signerName", "must be a valid signer name");
            }
            super::certificates::signer_name(&here, "signerName", signer, judge);
        }
        (None, None) => judge.required(&here, "", "either name or signerName must be specified"),
    }
    let path = here.text("path");
    if path.is_empty() {
        judge.required(&here, "path", "");
    }
    judge.complain(&here, "path", path, forms::volume_path(path));
    if paths.contains(&path) {
        judge.invalid(place, "", path, "conflicting duplicate paths");
    } else {
        paths.push(path);
    }
}

/// A bundle that belongs to a signer is named after it.
fn bundle_name(name: &str) -> Vec<String> {
    match name.rsplit_once(':') {
        None => names::dns_1123_subdomain(name),
        Some((_, rest)) => names::dns_1123_subdomain(rest),
    }
}

fn pod_certificate<'t>(place: &Place<'_, 't>, source: &Place<'_, 't>, paths: &mut Vec<&'t str>, judge: &mut Judge<'t>) {
    const KEYS: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
    const FILES: [&str; 3] = ["credentialBundlePath", "keyPath", "certificateChainPath"];
    let Some(certificate) = source.child("podCertificate") else { return };
    let here = source.below("podCertificate", Nth::Only, certificate);
    super::certificates::signer_name(&here, "signerName", here.text("signerName"), judge);
    if !KEYS.contains(&here.text("keyType")) {
        judge.unsupported(&here, "keyType", here.text("keyType"), &KEYS);
    }
    if let Some(seconds) = here.number("maxExpirationSeconds") {
        let kubernetes = here.text("signerName").split('/').next().unwrap_or_default().ends_with("kubernetes.io");
        let most = if kubernetes { 86_400 } else { 7_862_400 };
        if seconds < 3600 {
            let detail = "if provided, maxExpirationSeconds must be >= 3600";
            judge.invalid_as(&here, "maxExpirationSeconds", seconds, detail);
        }
        if seconds > most {
            let detail = format!("if provided, maxExpirationSeconds must be <= {most}");
            judge.invalid_as(&here, "maxExpirationSeconds", seconds, detail);
        }
    }
    let given = FILES.into_iter().filter(|file| !here.text(file).is_empty());
    if given.clone().next().is_none() {
        let detail = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        judge.required(&here, "", detail);
    }
    for file in given {
        let path = here.text(file);
        judge.complain(&here, file, path, forms::volume_path(path));
        once(place, paths, path, path, judge);
    }
}
