//! Pods run as a service account: its name, its pull secrets, and a volume with its token, root certificate and
//! namespace, mounted where the client mounted nothing.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{PODS, Resource, list};
use crate::{
    admission::{Admitted, Attributes, Operation, Plugin},
    api::schema::{Object, Value},
    cluster::{
        Cluster,
        objects::{append, sample, text},
    },
    object::{generate_name, validation::names},
    request::status::ApiError,
};

const ACCOUNTS: Resource = ("", "serviceaccounts");
const DEFAULT: &str = "default";
const MIRROR: &str = "kubernetes.io/config.mirror";
const MOUNTABLE_SECRETS: &str = "kubernetes.io/enforce-mountable-secrets";
const VOLUME_PREFIX: &str = "kube-api-access-";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_SECONDS: i64 = 3607;
/// The default account is made by a controller soon after its namespace: it is looked for this often.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(in crate::admission) struct ServiceAccount;

impl Plugin for ServiceAccount {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "pods") || attributes.operation != Operation::Create {
                return Ok(());
            }
            let Some(pod) = &mut attributes.object else { return Ok(()) };
            // A mirror of what a node runs already must stay what it is.
            if pod.annotation(MIRROR).is_some() {
                return self.validate(cluster, attributes).await;
            }
            let named = pod.get_str(&["spec", "serviceAccountName"]).unwrap_or_default();
            let name = if named.is_empty() { DEFAULT } else { named }.to_owned();
            for field in ["serviceAccountName", "serviceAccount"] {
                pod.set(&["spec", field], name.as_str());
            }
            let account = find(cluster, attributes, &name).await?;
            let Some(pod) = &mut attributes.object else { return Ok(()) };
            let wish = |object: &Object, path: &[&str]| object.get_bool(path);
            let mounts = wish(pod, &["spec", "automountServiceAccountToken"])
                .or_else(|| wish(&account, &["automountServiceAccountToken"]))
                .unwrap_or(true);
            if mounts {
                mount_token(pod)?;
            }
            if pod.get_list(&["spec", "imagePullSecrets"]).unwrap_or_default().is_empty() {
                let secrets = account.get_list(&["imagePullSecrets"]).unwrap_or_default();
                let names: Vec<_> = secrets.iter().map(|secret| json!({"name": text(secret, "name")})).collect();
                let path = ["spec", "imagePullSecrets"];
                let values = sample(pod, &json!({"spec": {"imagePullSecrets": names}}), &path)?;
                append(pod, &path, values);
            }
            self.validate(cluster, attributes).await
        })
    }

    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(pod) = attributes.object.as_ref().filter(|_| attributes.row() == PODS) else { return Ok(()) };
            match (attributes.operation, attributes.subresource) {
                (Operation::Create, "") => {}
                (Operation::Update, "ephemeralcontainers") => return admit_ephemeral(cluster, attributes, pod).await,
                _ => return Ok(()),
            }
            if pod.annotation(MIRROR).is_some() {
                return check_mirror(pod).map_or(Ok(()), |why| Err(attributes.forbidden(why)));
            }
            let name = pod.get_str(&["spec", "serviceAccountName"]).unwrap_or_default();
            if name.is_empty() {
                let why = format!("no service account specified for pod {}/{}", attributes.namespace, pod.name());
                return Err(attributes.forbidden(why));
            }
            let account = find(cluster, attributes, name).await?;
            if limits_secrets(&account)
                && let Some(why) = foreign_secret(&account, pod)
            {
                return Err(attributes.forbidden(why));
            }
            Ok(())
        })
    }
}

/// Containers that are added later may use no secret that the account does not list, either.
async fn admit_ephemeral(cluster: &Cluster, attributes: &Attributes<'_>, pod: &Object) -> Result<(), ApiError> {
    let name = pod.get_str(&["spec", "serviceAccountName"]).unwrap_or_default();
    if name.is_empty() {
        let why = format!("no service account specified for pod {}/{}", attributes.namespace, pod.name());
        return Err(attributes.forbidden(why));
    }
    let account = find(cluster, attributes, name).await?;
    let foreign = limits_secrets(&account).then(|| foreign_in(&account, pod, &[EPHEMERAL])).flatten();
    foreign.map_or(Ok(()), |why| Err(ApiError::unknown(why)))
}

fn limits_secrets(account: &Object) -> bool {
    matches!(account.annotation(MOUNTABLE_SECRETS), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
}

async fn find(cluster: &Cluster, attributes: &Attributes<'_>, name: &str) -> Result<Arc<Object>, ApiError> {
    let namespace = attributes.namespace;
    let looks = if name == DEFAULT { LOOKS } else { 1 };
    for look in 0..looks {
        if look > 0 {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        if let Some(account) = cluster.informer().find(ACCOUNTS, namespace, name).await? {
            return Ok(account);
        }
    }
    // Such a name cannot be asked for.
    let messages = names::path_segment_name(name, false).join(" ");
    let why = if messages.is_empty() {
        format!("serviceaccount {name:?} not found")
    } else {
        format!("invalid resource name {name:?}: [{messages}]")
    };
    let why = format!("error looking up service account {namespace}/{name}: {why}");
    Err(attributes.forbidden(why))
}

fn containers<'a>(pod: &'a Object, field: &str) -> &'a [Value] {
    pod.get_list(&["spec", field]).unwrap_or_default()
}

/// Mounts the account's volume in every container that has nothing there yet.
fn mount_token(pod: &mut Object) -> Result<(), ApiError> {
    let present = containers(pod, "volumes").iter().map(|v| text(v, "name")).find(|n| n.starts_with(VOLUME_PREFIX));
    let has_volume = present.is_some();
    let volume = present.map_or_else(|| generate_name(VOLUME_PREFIX), str::to_owned);
    let mount = json!({"spec": {"containers": [
        {"volumeMounts": [{"name": volume, "readOnly": true, "mountPath": MOUNT_PATH}]},
    ]}});
    let made = sample(pod, &mount, &["spec", "containers"])?;
    let mount = made.first().map(|container| list(container, &["volumeMounts"]).to_vec()).unwrap_or_default();
    let mut needed = false;
    for field in ["initContainers", "containers"] {
        let Some(Value::List(items)) = pod.get_mut(&["spec", field]) else { continue };
        for container in items.iter_mut() {
            if list(container, &["volumeMounts"]).iter().any(|m| text(m, "mountPath") == MOUNT_PATH) {
                continue;
            }
            needed = true;
            match container.child_mut("volumeMounts") {
                Some(Value::List(mounts)) => mounts.extend(mount.iter().cloned()),
                _ => {
                    let Some(fields) = container.as_struct_mut() else { continue };
                    fields.set("volumeMounts", Value::List(mount.clone()));
                }
            }
        }
    }
    if needed && !has_volume {
        let path = ["spec", "volumes"];
        let values = sample(pod, &token_volume(&volume), &path)?;
        append(pod, &path, values);
    }
    Ok(())
}

fn token_volume(name: &str) -> serde_json::Value {
    let namespace = json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
    let sources = json!([
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]);
    json!({"spec": {"volumes": [{"name": name, "projected": {"sources": sources, "defaultMode": 0o644}}]}})
}

/// Why a mirror pod is refused.
fn check_mirror(pod: &Object) -> Option<&'static str> {
    if pod.get_str(&["spec", "serviceAccountName"]).is_some_and(|name| !name.is_empty()) {
        return Some("a mirror pod may not reference service accounts");
    }
    let volumes = containers(pod, "volumes");
    let references = volumes.iter().any(uses_secret)
        || ["initContainers", "containers", "ephemeralContainers"]
            .iter()
            .flat_map(|field| containers(pod, field))
            .any(|container| !secrets_of(container).is_empty())
        || !containers(pod, "imagePullSecrets").is_empty();
    if references {
        return Some("a mirror pod may not reference secrets");
    }
    let projects = volumes
        .iter()
        .flat_map(|volume| list(volume, &["projected", "sources"]))
        .any(|source| source.child("serviceAccountToken").is_some());
    projects.then_some("a mirror pod may not use ServiceAccountToken volume projections")
}

/// Whether a volume's source needs a secret, by whichever of its fields.
pub(super) fn uses_secret(volume: &Value) -> bool {
    const REFERENCES: [(&[&str], &str); 10] = [
        (&["azureFile"], "secretName"),
        (&["cephfs", "secretRef"], "name"),
        (&["cinder", "secretRef"], "name"),
        (&["flexVolume", "secretRef"], "name"),
        (&["rbd", "secretRef"], "name"),
        (&["secret"], "secretName"),
        (&["scaleIO", "secretRef"], "name"),
        (&["iscsi", "secretRef"], "name"),
        (&["storageos", "secretRef"], "name"),
        (&["csi", "nodePublishSecretRef"], "name"),
    ];
    let named = |of: Option<&Value>, field: &str| of.is_some_and(|of| !text(of, field).is_empty());
    REFERENCES.iter().any(|(path, field)| named(volume.at(path), field))
        || list(volume, &["projected", "sources"]).iter().any(|source| named(source.child("secret"), "name"))
}

/// How a container uses secrets: in which way, and which.
pub(super) fn secrets_of(container: &Value) -> Vec<(String, &str)> {
    let variables = list(container, &["env"]).iter().filter_map(|variable| {
        let secret = variable.at(&["valueFrom", "secretKeyRef"])?;
        Some((format!("envVar {}", text(variable, "name")), text(secret, "name")))
    });
    let sources = list(container, &["envFrom"])
        .iter()
        .filter_map(|source| Some(("envFrom".to_owned(), text(source.child("secretRef")?, "name"))));
    variables.chain(sources).collect()
}

const EPHEMERAL: (&str, &str) = ("ephemeralContainers", "ephemeral container");

fn lists(account: &Object, field: &str, name: &str) -> bool {
    account.get_list(&[field]).unwrap_or_default().iter().any(|reference| text(reference, "name") == name)
}

/// The first secret in containers of these lists that the account does not list.
fn foreign_in(account: &Object, pod: &Object, kinds: &[(&str, &str)]) -> Option<String> {
    let end = format!("is not allowed because service account {} does not reference that", account.name());
    kinds.iter().flat_map(|(field, word)| containers(pod, field).iter().map(move |c| (word, c))).find_map(
        |(word, c)| {
            let (way, name) = secrets_of(c).into_iter().find(|(_, name)| !lists(account, "secrets", name))?;
            let way = format!("{word} {} with {way}", text(c, "name"));
            Some(format!("{way} referencing secret.secretName=\"{name}\" {end} secret"))
        },
    )
}

/// Why a pod may not use a secret that its account does not list.
fn foreign_secret(account: &Object, pod: &Object) -> Option<String> {
    let of_account = |field: &str, name: &str| lists(account, field, name);
    let end = format!("is not allowed because service account {} does not reference that", account.name());
    for volume in containers(pod, "volumes") {
        let Some(secret) = volume.child("secret") else { continue };
        let name = text(secret, "secretName");
        if !of_account("secrets", name) {
            return Some(format!("volume with secret.secretName=\"{name}\" {end} secret"));
        }
    }
    if let Some(why) = foreign_in(account, pod, &[("initContainers", "init container"), ("containers", "container")]) {
        return Some(why);
    }
    let mut pulls = containers(pod, "imagePullSecrets").iter().map(|secret| text(secret, "name")).enumerate();
    let (at, name) = pulls.find(|(_, name)| !of_account("imagePullSecrets", name))?;
    Some(format!("imagePullSecrets[{at}].name=\"{name}\" {end} imagePullSecret"))
}
