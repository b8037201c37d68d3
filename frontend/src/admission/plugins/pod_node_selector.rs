//! Namespaces say on which nodes their pods run, and an operator which selectors a namespace may use.

use std::{collections::BTreeMap, sync::Arc};

use super::NAMESPACES;
use crate::{
    admission::{Admitted, Attributes, Made, Parts, Plugin},
    api::schema::{MapValue, Object},
    cluster::Cluster,
    request::status::{ApiError, GroupResource},
};

const ANNOTATION: &str = "scheduler.alpha.kubernetes.io/node-selector";
const DEFAULT: &str = "clusterDefaultNodeSelector";
const PATH: &[&str] = &["spec", "nodeSelector"];

type Labels = BTreeMap<String, String>;

pub(in crate::admission) struct PodNodeSelector {
    /// What the configuration says of each namespace, and of all.
    selectors: BTreeMap<String, String>,
}

/// The configuration never had a version. What cannot be read counts as nothing.
pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    let document: Option<serde_json::Value> =
        parts.config.as_deref().and_then(|text| serde_saphyr::from_str(text).ok());
    let selectors = document.and_then(|d| d.get("podNodeSelectorPluginConfig").cloned());
    let selectors = selectors.and_then(|map| serde_json::from_value(map).ok()).unwrap_or_default();
    Ok(Arc::new(PodNodeSelector { selectors }))
}

impl Plugin for PodNodeSelector {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if !attributes.is_for("", "pods") {
                return Ok(());
            }
            let wanted = self.of_namespace(cluster, attributes.namespace).await?;
            let Some(pod) = &mut attributes.object else { return Ok(()) };
            if conflicts(&wanted, &labels_of(pod)) {
                return Err(refusal(attributes, CONFLICT));
            }
            for (key, value) in wanted {
                pod.set(&[PATH[0], PATH[1], &key], value);
            }
            self.check(cluster, attributes).await
        })
    }

    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            match attributes.is_for("", "pods") {
                true => self.check(cluster, attributes).await,
                false => Ok(()),
            }
        })
    }
}

const CONFLICT: &str = "pod node label selector conflicts with its namespace node label selector";

fn refusal(attributes: &Attributes<'_>, why: &str) -> ApiError {
    let name = attributes.object.as_ref().map_or("", |pod| pod.name());
    ApiError::forbidden(&attributes.group_resource(), name, why)
}

impl PodNodeSelector {
    async fn check(&self, cluster: &Cluster, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        let wanted = self.of_namespace(cluster, attributes.namespace).await?;
        let Some(pod) = &attributes.object else { return Ok(()) };
        let labels = labels_of(pod);
        if conflicts(&wanted, &labels) {
            return Err(refusal(attributes, CONFLICT));
        }
        let allowed = parse(self.selectors.get(attributes.namespace).map_or("", String::as_str))?;
        let within = |(key, value): (&String, &String)| allowed.get(key) == Some(value);
        if !allowed.is_empty() && !labels.iter().all(within) {
            return Err(refusal(attributes, "pod node label selector labels conflict with its namespace whitelist"));
        }
        Ok(())
    }

    async fn of_namespace(&self, cluster: &Cluster, name: &str) -> Result<Labels, ApiError> {
        let Some(namespace) = cluster.informer().find(NAMESPACES, "", name).await? else {
            return Err(ApiError::not_found(&GroupResource::new("", "namespaces"), name));
        };
        match namespace.annotation(ANNOTATION) {
            Some(text) => parse(text),
            None => parse(self.selectors.get(DEFAULT).map_or("", String::as_str)),
        }
    }
}

fn labels_of(pod: &Object) -> Labels {
    let entries = pod.get_map(PATH).into_iter().flat_map(MapValue::iter);
    entries.map(|(key, value)| (key.to_owned(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn conflicts(a: &Labels, b: &Labels) -> bool {
    a.iter().any(|(key, value)| b.get(key).is_some_and(|other| other != value))
}

/// `a=b,c=d`
fn parse(text: &str) -> Result<Labels, ApiError> {
    let mut labels = Labels::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let Some((key, value)) = part.split_once('=').filter(|(_, value)| !value.contains('=')) else {
            return Err(ApiError::unknown(format!("invalid selector: [{part}]")));
        };
        labels.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_pairs() {
        let labels = parse("a=b, c = d").unwrap();
        assert_eq!(labels.into_iter().collect::<Vec<_>>(), [("a".into(), "b".into()), ("c".into(), "d".into())]);
        assert!(parse("").unwrap().is_empty());
        assert_eq!(parse("a").unwrap_err().message, "invalid selector: [a]");
    }
}
