//! A kubelet may touch its own node and what runs on it, and of that only what kubelets must.
//!
//! Here: what it may do to each resource. Which labels of a node are its own is in [`labels`], and what a token that it
//! asks for must be bound to in [`tokens`].

mod labels;
mod pods;
mod tokens;

use std::sync::Arc;

use self::pods::{node_name, pod_of};
use super::{
    NODES, PODS,
    certificates::Subject,
    list,
    service_account::{secrets_of, uses_secret},
};
use crate::{
    access::Access,
    admission::{Admitted, Attributes, Made, Operation, Parts, Plugin},
    api::schema::{Object, Value},
    cluster::{Cluster, objects::text},
    object::equality::same,
    request::{
        User,
        status::{ApiError, GroupResource},
    },
};

const NODE_USER: &str = "system:node:";
const NODES_GROUP: &str = "system:nodes";
const MIRROR: &str = "kubernetes.io/config.mirror";
const KUBELET_SIGNERS: [&str; 2] = ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];

pub(in crate::admission) struct NodeRestriction {
    access: Arc<Access>,
}

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    Ok(Arc::new(NodeRestriction { access: Arc::clone(&parts.access) }))
}

/// The node that a user is; none for other users.
fn node_of(user: &User) -> Option<&str> {
    user.name.strip_prefix(NODE_USER).filter(|_| user.is_in(NODES_GROUP))
}

impl Plugin for NodeRestriction {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(node) = node_of(attributes.user) else { return Ok(()) };
            let a = &*attributes;
            if node.is_empty() {
                return Err(a.forbidden(format!("could not determine node from user {:?}", a.user.name)));
            }
            match (a.row(), a.subresource) {
                (PODS, "") => admit_pod(cluster, node, a).await,
                (PODS, "status") => admit_pod_status(node, a),
                (PODS, "eviction") => admit_eviction(cluster, node, a).await,
                (PODS, other) => {
                    let allowed = "only 'status' and 'eviction' are allowed";
                    Err(a.forbidden(format!("unexpected pod subresource {other:?}, {allowed}")))
                }
                (NODES, _) => admit_node(node, a),
                (("", "persistentvolumeclaims"), "status") => admit_claim_status(node, a),
                (("", "persistentvolumeclaims"), _) => Err(a.forbidden("may only update PVC status")),
                (("", "serviceaccounts"), "token") if a.operation == Operation::Create => {
                    tokens::admit(&self.access, cluster, node, a).await
                }
                (("certificates.k8s.io", "podcertificaterequests"), _) => {
                    Err(a.forbidden("PodCertificateRequest feature gate is disabled"))
                }
                (("coordination.k8s.io", "leases"), _) => admit_lease(node, a),
                (("storage.k8s.io", "csinodes"), _) if name_of(a) != node => {
                    Err(a.forbidden("can only access CSINode with the same name as the requesting node"))
                }
                (("resource.k8s.io", "resourceslices"), _) => admit_slice(node, a),
                (("certificates.k8s.io", "certificatesigningrequests"), _) if a.operation == Operation::Create => {
                    admit_request(node, a)
                }
                _ => Ok(()),
            }
        })
    }
}

/// On create that in the object counts, else that in the path.
fn name_of<'a>(a: &'a Attributes<'_>) -> &'a str {
    match (&a.object, a.operation) {
        (Some(object), Operation::Create) => object.name(),
        _ => a.name,
    }
}

/// As Go prints an operation.
fn unexpected(a: &Attributes<'_>) -> ApiError {
    a.forbidden(format!("unexpected operation {:?}", a.operation.as_str()))
}

async fn admit_pod(cluster: &Cluster, node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    match a.operation {
        Operation::Create => admit_mirror(cluster, node, a),
        Operation::Delete => match node_name(&*pod_of(cluster, a.namespace, a.name).await?) == node {
            true => Ok(()),
            false => Err(a.forbidden(format!("node {node:?} can only delete pods with spec.nodeName set to itself"))),
        },
        _ => Err(a.forbidden(format!(
            "unexpected operation {:?}, node {node:?} can only create and delete mirror pods",
            a.operation.as_str()
        ))),
    }
}

fn admit_mirror(cluster: &Cluster, node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    let Some(pod) = &a.object else { return Ok(()) };
    let refuse = |why: &str| Err(a.forbidden(format!("node {node:?} {why}")));
    if pod.annotation(MIRROR).is_none() {
        let why = format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods");
        return Err(a.forbidden(why));
    }
    if node_name(pod) != node {
        return refuse("can only create pods with spec.nodeName set to itself");
    }
    let mut owners = pod.owner_references();
    let (first, more) = (owners.next(), owners.next().is_some());
    if more {
        return refuse("can only create pods with a single owner reference set to itself");
    }
    let Some(owner) = first.filter(|o| (o.api_version, o.kind, o.name) == ("v1", "Node", node)) else {
        return refuse("can only create pods with an owner reference set to itself");
    };
    if !owner.controller {
        return refuse("can only create pods with a controller owner reference set to itself");
    }
    if owner.block_owner_deletion {
        return refuse("must not set blockOwnerDeletion on an owner reference");
    }
    let Some(own) = cluster.informer().get(NODES, "", node)? else {
        return Err(ApiError::not_found(&GroupResource::new("", "node"), node));
    };
    if owner.uid != own.uid() {
        let why = format!("node {node} UID mismatch: expected {} got {}", owner.uid, own.uid());
        return Err(a.forbidden(why));
    }
    match references(pod) {
        Ok(None) => Ok(()),
        Ok(Some(what)) => refuse(&format!("can not create pods that reference {what}")),
        Err(why) => Err(a.forbidden(format!("error checking mirror pod for API references: {why}"))),
    }
}

/// Volumes that need nothing of the API.
const PLAIN_VOLUMES: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "cephfs",
    "cinder",
    "downwardAPI",
    "emptyDir",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];
const VOLUMES: [(&str, &str); 7] = [
    ("configMap", "configmaps (via configmap volumes)"),
    ("secret", "secrets (via secret volumes)"),
    ("csi", "csidrivers (via CSI volumes)"),
    ("glusterfs", "endpoints (via glusterFS volumes)"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    ("ephemeral", "persistentvolumeclaims (via ephemeral volumes)"),
    ("azureFile", "secrets (via azureFile volumes)"),
];
const SOURCES: [(&str, &str); 5] = [
    ("configMap", "configmaps (via projected volumes)"),
    ("secret", "secrets (via projected volumes)"),
    ("serviceAccountToken", "serviceaccounts (via projected volumes)"),
    ("clusterTrustBundle", "clustertrustbundles"),
    ("podCertificate", "podcertificates"),
];

/// The first kind of objects that a pod needs of the API.
fn references(pod: &Object) -> Result<Option<&'static str>, String> {
    let Some(spec) = pod.get(&["spec"]) else { return Ok(None) };
    let volumes = list(spec, &["volumes"]);
    if !text(spec, "serviceAccountName").is_empty() {
        return Ok(Some("serviceaccounts"));
    }
    let pulls = list(spec, &["imagePullSecrets"]).iter().any(|secret| !text(secret, "name").is_empty());
    let used = super::containers(spec).flat_map(secrets_of).any(|(_, name)| !name.is_empty());
    if pulls || used || volumes.iter().any(uses_secret) {
        return Ok(Some("secrets"));
    }
    if super::containers(spec).any(uses_config_map) || volumes.iter().any(|v| v.child("configMap").is_some()) {
        return Ok(Some("configmaps"));
    }
    if !list(spec, &["resourceClaims"]).is_empty() {
        return Ok(Some("resourceclaims"));
    }
    for volume in volumes {
        if PLAIN_VOLUMES.iter().any(|kind| volume.child(kind).is_some()) {
            continue;
        }
        if let Some((_, what)) = VOLUMES.iter().find(|(kind, _)| volume.child(kind).is_some()) {
            return Ok(Some(what));
        }
        if volume.child("projected").is_none() {
            return Err(format!("unknown volume type for volume  {:?}", text(volume, "name")));
        }
        for source in list(volume, &["projected", "sources"]) {
            if let Some((_, what)) = SOURCES.iter().find(|(kind, _)| source.child(kind).is_some()) {
                return Ok(Some(what));
            }
            if source.child("downwardAPI").is_none() {
                return Err(format!("unknown source for projected volume {:?}", text(volume, "name")));
            }
        }
    }
    Ok(None)
}

fn uses_config_map(container: &Value) -> bool {
    let named = |of: Option<&Value>| of.is_some_and(|of| !text(of, "name").is_empty());
    list(container, &["envFrom"]).iter().any(|source| named(source.child("configMapRef")))
        || list(container, &["env"]).iter().any(|variable| named(variable.at(&["valueFrom", "configMapKeyRef"])))
}

fn admit_pod_status(node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    let (Operation::Update, Some(pod), Some(old)) = (a.operation, &a.object, a.old) else { return Err(unexpected(a)) };
    let refuse = |why: &str| Err(a.forbidden(format!("node {node:?} {why}")));
    let unchanged = |path: &[&str]| same(pod.get(path), old.get(path));
    if node_name(old) != node {
        return refuse("can only update pod status for pods with spec.nodeName set to itself");
    }
    if !unchanged(&["metadata", "labels"]) {
        return refuse("cannot update labels through pod status");
    }
    if !unchanged(&["status", "resourceClaimStatuses"]) {
        return refuse("cannot update resource claim statues");
    }
    if !unchanged(&["status", "extendedResourceClaimStatus"]) {
        return refuse("cannot update extended resource claim status");
    }
    Ok(())
}

async fn admit_eviction(cluster: &Cluster, node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    let (Operation::Create, Some(eviction)) = (a.operation, &a.object) else {
        return Err(a.forbidden(format!("unexpected operation {}", a.operation.as_str())));
    };
    let name = if a.name.is_empty() { eviction.name() } else { a.name };
    if name.is_empty() {
        return Err(a.forbidden("could not determine pod from request data"));
    }
    match node_name(&*pod_of(cluster, a.namespace, name).await?) == node {
        true => Ok(()),
        false => Err(a.forbidden(format!("node {node} can only evict pods with spec.nodeName set to itself"))),
    }
}

fn admit_node(node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    if a.name != node {
        return Err(a.forbidden(format!("node {node:?} is not allowed to modify node {:?}", a.name)));
    }
    let Some(object) = &a.object else { return Ok(()) };
    let refuse = |why: &str| Err(a.forbidden(format!("node {node:?} is not allowed to {why}")));
    let source = ["spec", "configSource"];
    match (a.operation, a.old) {
        (Operation::Create, _) => {
            if object.get(&source).is_some() {
                return refuse("create pods with a non-nil configSource");
            }
            let foreign = labels::foreign(object, None);
            if !foreign.is_empty() {
                return refuse(&format!("set the following labels: {}", foreign.join(", ")));
            }
        }
        (Operation::Update, Some(old)) => {
            let unchanged = |path: &[&str]| same(object.get(path), old.get(path));
            // One that says nothing is another than none.
            if object.get(&source).is_some() && (old.get(&source).is_none() || !unchanged(&source)) {
                return refuse("update configSource to a new non-nil configSource");
            }
            if !unchanged(&["spec", "taints"]) {
                return refuse("modify taints");
            }
            if !unchanged(&["metadata", "ownerReferences"]) {
                return refuse("modify ownerReferences");
            }
            let foreign = labels::foreign(object, Some(old));
            if !foreign.is_empty() {
                return Err(a.forbidden(format!("is not allowed to modify labels: {}", foreign.join(", "))));
            }
        }
        _ => {}
    }
    Ok(())
}

fn admit_claim_status(node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    let (Operation::Update, Some(claim), Some(old)) = (a.operation, &a.object, a.old) else {
        return Err(unexpected(a));
    };
    let rest = |claim: &Object| {
        let mut rest = claim.clone();
        for field in ["resourceVersion", "managedFields"] {
            rest.remove(&["metadata", field]);
        }
        for field in ["capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"] {
            rest.remove(&["status", field]);
        }
        rest
    };
    let (claim, old) = (rest(claim), rest(old));
    let names = claim.root().def().fields.iter().map(|field| &*field.name);
    let changed: Vec<&str> = names.filter(|name| !same(claim.get(&[name]), old.get(&[name]))).collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(a.forbidden(format!(
        "node {node:?} is not allowed to update fields other than status.quantity and status.conditions: {}",
        changed.join(", ")
    )))
}

fn admit_lease(node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    const NAMESPACE: &str = "kube-node-lease";
    if a.namespace != NAMESPACE {
        return Err(a.forbidden(format!("can only access leases in the {NAMESPACE:?} system namespace")));
    }
    match name_of(a) == node {
        true => Ok(()),
        false => Err(a.forbidden("can only access node lease with the same name as the requesting node")),
    }
}

fn admit_slice(node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    let (slice, verb) = match (a.operation, &a.object, a.old) {
        (Operation::Create, Some(slice), _) => (&**slice, "create"),
        (Operation::Delete, _, Some(slice)) => (slice, "delete"),
        _ => return Ok(()),
    };
    match slice.get_str(&["spec", "nodeName"]) == Some(node) {
        true => Ok(()),
        false => {
            Err(a.forbidden(format!("can only {verb} ResourceSlice with the same NodeName as the requesting node")))
        }
    }
}

fn admit_request(node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    let Some(request) = &a.object else { return Ok(()) };
    let signer = request.get_str(&["spec", "signerName"]).unwrap_or_default();
    if !KUBELET_SIGNERS.contains(&signer) {
        return Ok(());
    }
    let subject = Subject::of_request(request.get(&["spec", "request"]))
        .map_err(|why| a.forbidden(format!("unable to parse csr: {why}")))?;
    if subject.common_name == format!("{NODE_USER}{node}") {
        return Ok(());
    }
    Err(a.forbidden(format!("can only create a node CSR with CN={NODE_USER}{node}")))
}
