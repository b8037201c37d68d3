//! Volumes of pods and the sources that persistent volumes share with them.

use super::super::{
    check::Check::{self, Form, NeedsForm, NeedsOneOf, OneOf, Required, Within},
    error_list::ErrorList,
    field_path::FieldPath,
    forms, names,
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
    rule("core.v1.ScaleIOVolumeSource", SCALE_IO),
    rule("core.v1.ScaleIOPersistentVolumeSource", SCALE_IO),
    with("core.v1.LocalVolumeSource", local, &[("path", Required)]),
    with("core.v1.CSIVolumeSource", csi, DRIVER),
    rule("core.v1.CSIPersistentVolumeSource", CSI_PERSISTENT),
    with("core.v1.EphemeralVolumeSource", ephemeral, &[("volumeClaimTemplate", Required)]),
    with("core.v1.ImageVolumeSource", image, &[("pullPolicy", NeedsOneOf(&["Always", "IfNotPresent", "Never"]))]),
];

const PARTITION: Check = Within(0, 255, "must be between 1 and 255, inclusive");
pub(super) const MODE: Check = Within(0, 0o777, "must be a number between 0 and 0777 (octal), both inclusive");
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
pub(super) fn one_source<'t>(path: &FieldPath<'_, 't>, sources: &[(&'static str, &str)], errors: &mut ErrorList<'t>) {
    let mut given = sources.iter().filter(|(field, _)| path.has(field));
    if given.next().is_none() {
        errors.required(path, "", "must specify a volume type");
    }
    for (field, shown) in given {
        errors.forbidden(path, shown, "may not specify more than 1 volume type");
        errors.skip(field);
    }
}

fn volume<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    one_source(path, SOURCES, errors);
    let name = path.text("name");
    if let Some(iscsi) = path.child("iscsi").filter(|iscsi| iscsi.get("initiatorName").is_some())
        && format!("{name}:{}", super::resources::text(iscsi, "targetPortal")).len() > 64
    {
        errors.invalid(path, "name", name, TOO_LONG_PORTAL);
    }
    let pod = path.above("Pod").and_then(|pod| pod.at(&["metadata", "name"])).and_then(Value::as_str);
    if let Some(pod) = pod.filter(|pod| !pod.is_empty() && !name.is_empty() && path.has("ephemeral")) {
        let claim = format!("{pod}-{name}");
        for message in names::dns_1123_subdomain(&claim) {
            errors.invalid(
                path,
                "name",
                name,
                format!("PVC name {}: {message}", crate::request::status::go_quote(&claim)),
            );
        }
    }
}

const TOO_LONG_PORTAL: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";

fn empty_dir<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let limit = path.optional_text("sizeLimit").and_then(|text| Quantity::parse(text).ok());
    if limit.is_some_and(|limit| limit.is_negative()) {
        errors.forbidden(path, "sizeLimit", "SizeLimit field must be a valid resource quantity");
    }
}

fn host_path<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const TYPES: [&str; 8] =
        ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    let host_path = path.text("path");
    if host_path.is_empty() {
        return;
    }
    errors.invalid_each(path, "path", host_path, forms::no_backsteps(host_path));
    if let Some(kind) = path.optional_text("type").filter(|kind| !TYPES.contains(kind)) {
        errors.unsupported(path, "type", kind, &TYPES);
    }
}

fn nfs<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let export = path.text("path");
    if !export.starts_with('/') {
        errors.invalid(path, "path", export, "must be an absolute path");
    }
}

fn iscsi<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let persistent = path.name() == "ISCSIPersistentVolumeSource";
    let bare = if persistent { "must be valid format" } else { "must be valid format starting with iqn, eui, or naa" };
    let iqn = path.text("iqn");
    if !iqn.is_empty() {
        match initiator_form(iqn) {
            Some(true) => {}
            Some(false) => errors.invalid(path, "iqn", iqn, "must be valid format"),
            None => errors.invalid(path, "iqn", iqn, bare),
        }
    }
    let authenticated = path.is("chapAuthDiscovery") || path.is("chapAuthSession");
    if authenticated && !path.has("secretRef") {
        errors.required(path, "secretRef", "");
    }
    if persistent && path.child("secretRef").is_some_and(|secret| super::resources::text(secret, "name").is_empty()) {
        errors.required(path, "secretRef.name", "");
    }
    let Some(initiator) = path.optional_text("initiatorName") else { return };
    match initiator_form(initiator) {
        Some(true) => {}
        Some(false) => errors.invalid(path, "initiatorname", initiator, "must be valid format"),
        None => errors.invalid(path, "initiatorname", initiator, bare),
    }
    let portal = path.text("targetPortal");
    let volume = path.above("PersistentVolume").and_then(|pv| pv.at(&["metadata", "name"])).and_then(Value::as_str);
    if persistent && format!("{}:{portal}", volume.unwrap_or_default()).len() > 64 {
        errors.invalid(path, "targetportal", portal, TOO_LONG_PORTAL);
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

fn glusterfs<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    match path.optional_text("endpointsNamespace") {
        Some("") => {
            let detail = "if the endpointnamespace is set, it must be a valid namespace name";
            errors.invalid(path, "endpointsNamespace", "", detail);
        }
        Some(name) => errors.invalid_each(path, "endpointsNamespace", name, names::dns_1123_label(name)),
        None => {}
    }
}

fn flocker<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (name, uuid) = (path.text("datasetName"), path.text("datasetUUID"));
    if name.is_empty() && uuid.is_empty() {
        errors.required(path, "", "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !uuid.is_empty() {
        errors.invalid(path, "", "resource", "datasetName and datasetUUID can not be specified simultaneously");
    }
    if name.contains('/') {
        errors.invalid(path, "datasetName", name, "must not contain '/'");
    }
}

fn secret_name<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.child("secretRef").is_some_and(|secret| super::resources::text(secret, "name").is_empty()) {
        errors.required(path, "secretRef.name", "");
    }
}

fn secret_and_namespace<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    secret_name(path, errors);
    if path.child("secretRef").is_some_and(|secret| super::resources::text(secret, "namespace").is_empty()) {
        errors.required(path, "secretRef.namespace", "");
    }
}

fn quobyte<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = path.text("registry");
    if registry.is_empty() {
        return errors.required(path, "registry", PAIRS);
    }
    if path.text("tenant").len() >= 65 {
        return errors.required(path, "tenant", "must be a UUID and may not exceed a length of 64 characters");
    }
    for _ in registry.split(',').filter(|pair| !is_host_and_port(pair)) {
        errors.invalid(path, "registry", registry, PAIRS);
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

fn fibre_channel<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (targets, ids) = (path.list("targetWWNs"), path.list("wwids"));
    if targets.is_empty() && ids.is_empty() {
        errors.required(path, "targetWWNs", "must specify either targetWWNs or wwids, but not both");
    }
    if !targets.is_empty() && !ids.is_empty() {
        let detail = "targetWWNs and wwids can not be specified simultaneously";
        errors.invalid_value(path, "targetWWNs", path.get("targetWWNs"), detail);
    }
    if targets.is_empty() {
        return;
    }
    match path.number("lun") {
        None => errors.required(path, "lun", "lun is required if targetWWNs is specified"),
        Some(lun) if !(0..=255).contains(&lun) => {
            errors.invalid_as(path, "lun", lun, "must be between 0 and 255, inclusive");
        }
        Some(_) => {}
    }
}

fn flex_options<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (key, _) in path.pairs("options") {
        let namespace = format!(".{}", key.split('/').next().unwrap_or_default().to_lowercase());
        if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved";
            errors.invalid(path, &format!("options[{key}]"), key, detail);
        }
    }
}

fn azure_file<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.optional_text("secretNamespace") == Some("") {
        errors.required(path, "secretNamespace", "");
    }
}

fn azure_disk<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const MANAGED: &str =
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    let uri = path.text("diskURI");
    match path.optional_text("kind") {
        Some("Managed") if !uri.starts_with("/subscriptions/") => {
            errors.unsupported(path, "diskURI", uri, &[MANAGED]);
        }
        Some(kind) if kind != "Managed" && !uri.starts_with("https://") => {
            errors.unsupported(path, "diskURI", uri, &[BLOB]);
        }
        _ => {}
    }
}

fn local<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    errors.invalid_each(path, "path", path.text("path"), forms::no_backsteps(path.text("path")));
}

/// An error of the secret's name names a field that there is not.
fn csi<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if let Some(secret) = path.child("nodePublishSecretRef") {
        match super::resources::text(secret, "name") {
            "" => errors.required(path, "nodePublishSecretRef.name", ""),
            name => errors.invalid_each(path, "name", name, names::dns_1123_subdomain(name)),
        }
    }
}

fn ephemeral<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(Value::Struct(metadata)) = path.at(&["volumeClaimTemplate", "metadata"]) else { return };
    super::claims::template_metadata(path, "volumeClaimTemplate.metadata", metadata, errors);
}

fn image<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.above("Pod").is_some() && path.text("reference").is_empty() {
        errors.required(path, "reference", "");
    }
}
