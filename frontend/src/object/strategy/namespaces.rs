//! Namespaces: their finalizer and phase, and whether they take new objects.

use crate::{
    api::schema::{Object, Value},
    cluster::Cluster,
    cluster::Target,
    request::status::{ApiError, Cause, GroupResource},
};

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn prepare_create(object: &mut Object) {
    object.set(&["status", "phase"], "Active");
    let mut finalizers = object.get_list(&["spec", "finalizers"]).unwrap_or_default().to_vec();
    if !finalizers.iter().any(|f| f.as_str() == Some("kubernetes")) {
        finalizers.push(Value::from("kubernetes"));
    }
    object.set(&["spec", "finalizers"], Value::List(finalizers));
    label_with_name(object);
}

pub(super) fn prepare_update(object: &mut Object, old: &Object) {
    object.copy_from(old, &["spec", "finalizers"]);
    label_with_name(object);
}

/// The finalize endpoint changes finalizers alone.
pub(super) fn prepare_finalize(object: &mut Object, old: &Object) {
    object.copy_from(old, &["status"]);
}

/// The label by which namespaces are selected by name.
fn label_with_name(object: &mut Object) {
    let name = object.name().to_owned();
    if !name.is_empty() {
        object.set_label(NAME_LABEL, &name);
    }
}

/// Refuses new objects in a namespace that does not exist, or is going away.
pub async fn namespace_accepts(cluster: &Cluster, target: &Target, name: &str) -> Result<(), ApiError> {
    if !target.resource.namespaced {
        return Ok(());
    }
    let namespaces = GroupResource::new("", "namespaces");
    let key = format!("{}/namespaces/{}", cluster.store.prefix(), target.namespace);
    let cached = cluster.store.cache().get(&key).ok().flatten().map(|entry| entry.stored());
    let stored = match cached {
        Some(stored) => Some(stored),
        None => cluster
            .store
            .get(&key)
            .await
            .map_err(|error| ApiError::internal("the namespace could not be read").with_internal(error))?,
    };
    let Some(stored) = stored else {
        return Err(ApiError::not_found(&namespaces, &target.namespace));
    };
    let terminating = target.decode_any(&stored)?.get_str(&["status", "phase"]) == Some("Terminating");
    if !terminating {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {} because it is being terminated", target.namespace);
    let mut refusal = ApiError::forbidden(&target.group_resource(), name, why);
    if let Some(details) = &mut refusal.details {
        details.causes = vec![Cause {
            reason: "NamespaceTerminating".into(),
            message: format!("namespace {} is being terminated", target.namespace),
            field: "metadata.namespace".into(),
        }];
    }
    Err(refusal)
}
