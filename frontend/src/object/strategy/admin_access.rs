//! ResourceClaims that ask for devices as an administrator: only where the namespace says that its users may.
//!
//! In: a new claim or template, or a claim whose status is written. Out: what the namespace does not allow. Not here:
//! every other rule of claims (`validation`).

use crate::{
    api::schema::{Object, Value},
    cluster::{Cluster, Target},
    request::status::FieldError,
};

const GROUP: &str = "resource.k8s.io";
const LABEL: &str = "resource.kubernetes.io/admin-access";
const REQUESTS: &[&str] = &["spec", "devices", "requests"];
const RESULTS: &[&str] = &["status", "allocation", "devices", "results"];

/// What the namespace forbids of an object that is written.
pub async fn unauthorized(
    cluster: &Cluster,
    target: &Target,
    object: &Object,
    old: Option<&Object>,
) -> Vec<FieldError> {
    let subresource = target.subresource.as_ref().map_or("", |subresource| subresource.name.as_ref());
    let asked = match (target.row(), subresource, old) {
        ((GROUP, "resourceclaims"), "", None) => wanted(object, REQUESTS, REQUESTS),
        ((GROUP, "resourceclaimtemplates"), "", None) => {
            wanted(object, &["spec", "spec", "devices", "requests"], REQUESTS)
        }
        ((GROUP, "resourceclaims"), "status", Some(old)) if wanted(old, RESULTS, RESULTS).is_none() => {
            wanted(object, RESULTS, RESULTS)
        }
        _ => None,
    };
    match asked {
        Some(field) => refusal(cluster, object.namespace(), field).await.into_iter().collect(),
        None => Vec::new(),
    }
}

/// The first item of a list that is wanted as an administrator, as errors name it.
fn wanted(object: &Object, list: &[&str], shown: &[&str]) -> Option<String> {
    let is_set = |value: &Value| value.child("adminAccess").and_then(Value::as_bool) == Some(true);
    let wants = |item: &Value| is_set(item) || item.child("exactly").is_some_and(is_set);
    let at = object.get_list(list)?.iter().position(wants)?;
    Some(format!("{}[{at}].adminAccess", shown.join(".")))
}

async fn refusal(cluster: &Cluster, namespace: &str, field: String) -> Option<FieldError> {
    let Ok(Some(found)) = cluster.informer().find(("", "namespaces"), "", namespace).await else {
        let why = format!("could not retrieve namespace to verify admin access: namespaces {namespace:?} not found");
        return Some(FieldError::internal(field, why));
    };
    let allowed = found.label(LABEL) == Some("true");
    let why = format!("admin access to devices requires the `{LABEL}: true` label on the containing namespace");
    (!allowed).then(|| FieldError::forbidden(field, why))
}
