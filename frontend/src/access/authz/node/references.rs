//! What a pod, and a volume, refers to by name.

use crate::api::schema::{Object, Value};

/// Kinds of objects in the namespace of a pod that it may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PodPart {
    ServiceAccount,
    Secret,
    ConfigMap,
    Claim,
    ResourceClaim,
}

const MIRROR: &str = "kubernetes.io/config.mirror";

/// Paths from one volume of a pod to the name of a secret.
const VOLUME_SECRETS: [&[&str]; 10] = [
    &["secret", "secretName"],
    &["azureFile", "secretName"],
    &["cephfs", "secretRef", "name"],
    &["cinder", "secretRef", "name"],
    &["flexVolume", "secretRef", "name"],
    &["rbd", "secretRef", "name"],
    &["scaleIO", "secretRef", "name"],
    &["iscsi", "secretRef", "name"],
    &["storageos", "secretRef", "name"],
    &["csi", "nodePublishSecretRef", "name"],
];

/// Paths in the spec of a persistent volume to secrets that the kubelet needs.
const PERSISTENT_SECRETS: [&[&str]; 10] = [
    &["cephfs", "secretRef"],
    &["cinder", "secretRef"],
    &["csi", "nodePublishSecretRef"],
    &["csi", "nodeStageSecretRef"],
    &["csi", "nodeExpandSecretRef"],
    &["flexVolume", "secretRef"],
    &["rbd", "secretRef"],
    &["scaleIO", "secretRef"],
    &["iscsi", "secretRef"],
    &["storageos", "secretRef"],
];

/// Whether a pod names an object. A mirror pod, which a kubelet makes up itself, names nothing.
pub(super) fn has(pod: &Object, part: PodPart, name: &str) -> bool {
    if name.is_empty() || pod.get_map(&["metadata", "annotations"]).is_some_and(|all| all.contains_key(MIRROR)) {
        return false;
    }
    match part {
        PodPart::ServiceAccount => pod.get_str(&["spec", "serviceAccountName"]) == Some(name),
        PodPart::Secret => {
            items(pod, &["spec", "imagePullSecrets"]).iter().any(|s| text(s, &["name"]) == name)
                || in_environment(pod, "secretKeyRef", "secretRef", name)
                || volumes(pod).any(|v| {
                    VOLUME_SECRETS.iter().any(|path| text(v, path) == name)
                        || projected(v).any(|source| text(source, &["secret", "name"]) == name)
                })
        }
        PodPart::ConfigMap => {
            in_environment(pod, "configMapKeyRef", "configMapRef", name)
                || volumes(pod).any(|v| {
                    text(v, &["configMap", "name"]) == name
                        || projected(v).any(|source| text(source, &["configMap", "name"]) == name)
                })
        }
        PodPart::Claim => volumes(pod).any(|v| {
            text(v, &["persistentVolumeClaim", "claimName"]) == name
                || (v.child("ephemeral").is_some() && format!("{}-{}", pod.name(), text(v, &["name"])) == name)
        }),
        PodPart::ResourceClaim => {
            let made = items(pod, &["status", "resourceClaimStatuses"]);
            items(pod, &["spec", "resourceClaims"]).iter().any(|claim| {
                let given = made.iter().find(|m| text(m, &["name"]) == text(claim, &["name"]));
                text(claim, &["resourceClaimName"]) == name
                    || given.is_some_and(|given| text(given, &["resourceClaimName"]) == name)
            }) || pod.get_str(&["status", "extendedResourceClaimStatus", "resourceClaimName"]) == Some(name)
        }
    }
}

fn in_environment(pod: &Object, key_reference: &str, reference: &str, name: &str) -> bool {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    lists.iter().flat_map(|list| items(pod, &["spec", list])).any(|container| {
        let list = |field: &str| container.child(field).and_then(Value::as_list).unwrap_or_default();
        list("env").iter().any(|e| text(e, &["valueFrom", key_reference, "name"]) == name)
            || list("envFrom").iter().any(|e| text(e, &[reference, "name"]) == name)
    })
}

fn volumes(pod: &Object) -> impl Iterator<Item = &Value> {
    items(pod, &["spec", "volumes"]).iter()
}

fn projected(volume: &Value) -> impl Iterator<Item = &Value> {
    volume.at(&["projected", "sources"]).and_then(Value::as_list).unwrap_or_default().iter()
}

fn items<'a>(object: &'a Object, path: &[&str]) -> &'a [Value] {
    object.get_list(path).unwrap_or_default()
}

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    value.at(path).and_then(Value::as_str).unwrap_or_default()
}

/// Namespace and name of the claim that a persistent volume is bound to.
pub(super) fn claim_of(volume: &Object) -> Option<(&str, &str)> {
    let field = |name| volume.get_str(&["spec", "claimRef", name]);
    Some((field("namespace")?, field("name")?))
}

/// Namespaces and names of the secrets by which a kubelet mounts a persistent volume.
pub(super) fn secrets_of_volume(volume: &Object) -> Vec<(&str, &str)> {
    let Some((of_claim, _)) = claim_of(volume) else { return Vec::new() };
    let Some(spec) = volume.get(&["spec"]) else { return Vec::new() };
    let or_claim = |namespace: &'static str, value: &Value| -> bool { text(value, &[namespace]).is_empty() };
    let mut found = Vec::new();
    for reference in PERSISTENT_SECRETS.iter().filter_map(|path| spec.at(path)) {
        let namespace = if or_claim("namespace", reference) { of_claim } else { text(reference, &["namespace"]) };
        found.push((namespace, text(reference, &["name"])));
    }
    if let Some(share) = spec.child("azureFile") {
        let namespace = if or_claim("secretNamespace", share) { of_claim } else { text(share, &["secretNamespace"]) };
        found.push((namespace, text(share, &["secretName"])));
    }
    found
}
