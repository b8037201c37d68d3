//! Tokens that a kubelet asks for: only for pods on its node, and for whom these pods or its rights name.

use super::{
    super::Resource,
    list,
    pods::{node_name, pod_of},
};
use crate::{
    access::{Access, authz},
    admission::Attributes,
    api::schema::{Object, Value},
    cluster::{Cluster, objects::text},
    request::status::ApiError,
};

const CLAIMS: Resource = ("", "persistentvolumeclaims");
const VOLUMES: Resource = ("", "persistentvolumes");
const DRIVERS: Resource = ("storage.k8s.io", "csidrivers");

/// Volumes of old that a driver of this name serves today.
const MIGRATED: [(&str, &str); 7] = [
    ("awsElasticBlockStore", "ebs.csi.aws.com"),
    ("azureDisk", "disk.csi.azure.com"),
    ("azureFile", "file.csi.azure.com"),
    ("cinder", "cinder.csi.openstack.org"),
    ("gcePersistentDisk", "pd.csi.storage.gke.io"),
    ("portworxVolume", "pxd.portworx.com"),
    ("vsphereVolume", "csi.vsphere.vmware.com"),
];

pub(super) async fn admit(access: &Access, cluster: &Cluster, node: &str, a: &Attributes<'_>) -> Result<(), ApiError> {
    let Some(request) = &a.object else { return Ok(()) };
    let bound = |field: &str| request.get_str(&["spec", "boundObjectRef", field]).unwrap_or_default();
    if bound("apiVersion") != "v1" || bound("kind") != "Pod" || bound("name").is_empty() {
        return Err(a.forbidden("node requested token not bound to a pod"));
    }
    let uid = bound("uid");
    if uid.is_empty() {
        return Err(a.forbidden("node requested token with a pod binding without a uid"));
    }
    let pod = pod_of(cluster, a.namespace, bound("name")).await?;
    if uid != pod.uid() {
        return Err(a.forbidden(format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        )));
    }
    if node_name(&pod) != node {
        return Err(a.forbidden("node requested token bound to a pod scheduled on a different node"));
    }
    let audiences = request.get_list(&["spec", "audiences"]).unwrap_or_default();
    let audience = match audiences {
        [] => "",
        [one] => one.as_str().unwrap_or_default(),
        _ => return Err(a.forbidden("node may only request 0 or 1 audiences")),
    };
    let named = names_audience(cluster, &pod, audience)
        .map_err(|why| a.forbidden(format!("error validating audience {audience:?}: {why}")))?;
    if named || may_ask(access, a, audience).await {
        return Ok(());
    }
    let user = &a.user.name;
    Err(a.forbidden(format!(
        "audience {audience:?} not found in pod spec volume, {user} is not authorized to request tokens for this audience"
    )))
}

async fn may_ask(access: &Access, a: &Attributes<'_>, audience: &str) -> bool {
    let asked = authz::Attributes {
        user: a.user.clone(),
        verb: "request-serviceaccounts-token-audience".to_owned(),
        is_resource: true,
        namespace: a.namespace.to_owned(),
        version: "v1".to_owned(),
        resource: audience.to_owned(),
        name: a.name.to_owned(),
        ..authz::Attributes::default()
    };
    access.authorization.allows(&asked).await
}

/// Whether a volume of the pod, or the driver behind it, has to do with the audience.
fn names_audience(cluster: &Cluster, pod: &Object, audience: &str) -> Result<bool, String> {
    let mut messages = Vec::new();
    let Some(spec) = pod.get(&["spec"]) else { return Ok(false) };
    for volume in list(spec, &["volumes"]) {
        let mut tokens =
            list(volume, &["projected", "sources"]).iter().filter_map(|source| source.child("serviceAccountToken"));
        if tokens.any(|token| text(token, "audience") == audience) {
            return Ok(true);
        }
        let driver = driver_of(cluster, pod, volume);
        let serves = driver.and_then(|driver| match driver {
            Some(driver) => driver_serves(cluster, &driver, audience),
            None => Ok(false),
        });
        match serves {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(why) => messages.push(why),
        }
    }
    crate::admission::aggregate(messages).map_or(Ok(false), Err)
}

fn driver_of(cluster: &Cluster, pod: &Object, volume: &Value) -> Result<Option<String>, String> {
    let claim = if volume.at(&["ephemeral", "volumeClaimTemplate"]).is_some() {
        Some(format!("{}-{}", pod.name(), text(volume, "name")))
    } else {
        volume.child("persistentVolumeClaim").map(|claim| text(claim, "claimName").to_owned())
    };
    let Some(claim) = claim else { return Ok(driver_in(volume).map(str::to_owned)) };
    let find = |of: Resource, namespace: &str, name: &str| {
        let found = cluster.informer().get(of, namespace, name).map_err(|error| error.message)?;
        found.ok_or_else(|| format!("{} {name:?} not found", of.1.trim_end_matches('s')))
    };
    let claim = find(CLAIMS, pod.namespace(), &claim)?;
    let volume = find(VOLUMES, "", claim.get_str(&["spec", "volumeName"]).unwrap_or_default())?;
    Ok(volume.get(&["spec"]).and_then(driver_in).map(str::to_owned))
}

fn driver_in(source: &Value) -> Option<&str> {
    if let Some(csi) = source.child("csi") {
        return Some(text(csi, "driver"));
    }
    MIGRATED.iter().find(|(kind, _)| source.child(kind).is_some()).map(|(_, driver)| *driver)
}

fn driver_serves(cluster: &Cluster, driver: &str, audience: &str) -> Result<bool, String> {
    let found = cluster.informer().get(DRIVERS, "", driver).map_err(|error| error.message)?;
    let Some(found) = found else { return Err(format!("csidriver.storage.k8s.io {driver:?} not found")) };
    let requests = found.get_list(&["spec", "tokenRequests"]).unwrap_or_default();
    Ok(requests.iter().any(|request| text(request, "audience") == audience))
}
