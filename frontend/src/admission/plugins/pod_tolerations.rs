//! Namespaces say which tolerations their pods get, and which ones they may have.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::NAMESPACES;
use crate::{
    admission::{Admitted, Attributes, Made, Operation, Parts, Plugin, configuration, tolerations},
    api::schema::{Object, Value},
    cluster::{Cluster, objects::sample},
    object::qos::quality_of_service,
    request::status::{ApiError, GroupResource},
};

const DEFAULTS: &str = "scheduler.alpha.kubernetes.io/defaultTolerations";
const ALLOWED: &str = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";
const PATH: &[&str] = &["spec", "tolerations"];

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::admission) struct PodTolerationRestriction {
    default: Vec<Json>,
    whitelist: Vec<Json>,
}

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    const VERSIONS: &[&str] = &["podtolerationrestriction.admission.k8s.io/v1alpha1"];
    let plugin: PodTolerationRestriction = match &parts.config {
        Some(text) => configuration::decode(text, VERSIONS, "Configuration")?,
        None => PodTolerationRestriction::default(),
    };
    Ok(Arc::new(plugin))
}

impl Plugin for PodTolerationRestriction {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "pods") {
                return Ok(());
            }
            let namespace = namespace(cluster, attributes.namespace).await?;
            let Some(pod) = &mut attributes.object else { return Ok(()) };
            let mut more = Vec::new();
            if attributes.operation == Operation::Create {
                more = of_namespace(&namespace, DEFAULTS)?.unwrap_or_else(|| self.default.clone());
            }
            if quality_of_service(pod) != "BestEffort" {
                let key = "node.kubernetes.io/memory-pressure";
                more.push(json!({"key": key, "operator": "Exists", "effect": "NoSchedule"}));
            }
            if !more.is_empty() {
                let more = typed(pod, &more)?;
                let merged = tolerations::merge(pod.get_list(PATH).unwrap_or_default(), &more);
                pod.set(PATH, merged);
            }
            self.check(&namespace, attributes)
        })
    }

    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "pods") {
                return Ok(());
            }
            self.check(&*namespace(cluster, attributes.namespace).await?, attributes)
        })
    }
}

impl PodTolerationRestriction {
    fn check(&self, namespace: &Object, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        let Some(pod) = &attributes.object else { return Ok(()) };
        let present = pod.get_list(PATH).unwrap_or_default();
        if present.is_empty() {
            return Ok(());
        }
        let (allowed, scope) = match of_namespace(namespace, ALLOWED)? {
            Some(allowed) => (allowed, "namespace"),
            None => (self.whitelist.clone(), "cluster"),
        };
        if tolerations::allowed(present, &typed(pod, &allowed)?) {
            return Ok(());
        }
        let what = "pod tolerations (possibly merged with namespace default tolerations)";
        Err(ApiError::unknown(format!("{what} conflict with its {scope} whitelist")))
    }
}

async fn namespace(cluster: &Cluster, name: &str) -> Result<Arc<Object>, ApiError> {
    let found = cluster.informer().find(NAMESPACES, "", name).await?;
    found.ok_or_else(|| ApiError::not_found(&GroupResource::new("", "namespaces"), name))
}

/// The list in an annotation; none if the namespace says nothing.
fn of_namespace(namespace: &Object, key: &str) -> Result<Option<Vec<Json>>, ApiError> {
    match namespace.annotation(key) {
        None => Ok(None),
        Some("") => Ok(Some(Vec::new())),
        Some(text) => serde_json::from_str(text).map(Some).map_err(|error| ApiError::unknown(error.to_string())),
    }
}

fn typed(pod: &Object, list: &[Json]) -> Result<Vec<Value>, ApiError> {
    sample(pod, &json!({"spec": {"tolerations": list}}), PATH)
}
