//! Asks a service of the operator's whether the images of a pod may run.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crate::{
    admission::{Admitted, Attributes, Made, Parts, Plugin},
    api::schema::{Object, Value},
    client::Hook,
    cluster::{Cluster, objects::text},
};

const ANNOTATIONS: &str = "imagepolicywebhook.image-policy.k8s.io/";
/// Keys of a pod's annotations with this in them are told to the service.
const TOLD: &str = ".image-policy.k8s.io/";
/// So many answers are kept; another one makes all be asked for anew.
const ANSWERS_MAX: usize = 1024;
/// That one call may take.
const TIME: Duration = Duration::from_secs(30);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    image_policy: Settings,
}

/// Times of the file: seconds that an answer counts, milliseconds until a call is made again.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Settings {
    kube_config_file: PathBuf,
    #[serde(rename = "allowTTL")]
    allow_ttl: i64,
    #[serde(rename = "denyTTL")]
    deny_ttl: i64,
    retry_backoff: i64,
    default_allow: bool,
}

pub(in crate::admission) struct ImagePolicyWebhook {
    hook: Hook,
    allowed_for: Duration,
    denied_for: Duration,
    default_allow: bool,
    answers: Mutex<HashMap<String, (Answer, Instant)>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    allowed: bool,
    reason: String,
    audit_annotations: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Review {
    #[serde(default)]
    status: Answer,
}

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    let text = parts.config.as_deref().ok_or("no config specified")?;
    let File { image_policy: settings } = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let second = Duration::from_secs(1);
    let allowed_for = within("allow TTL", settings.allow_ttl, second, 300, (second, 1800 * second))?;
    let denied_for = within("deny TTL", settings.deny_ttl, second, 30, (second, 1800 * second))?;
    let milli = Duration::from_millis(1);
    let pause = within("backoff", settings.retry_backoff, milli, 500, (milli, 300 * second))?;
    Ok(Arc::new(ImagePolicyWebhook {
        hook: Hook::open(&settings.kube_config_file, TIME, pause)?,
        allowed_for,
        denied_for,
        default_allow: settings.default_allow,
        answers: Mutex::default(),
    }))
}

/// A time of the file, with its default, between two others.
fn within(
    what: &str,
    given: i64,
    unit: Duration,
    default: u32,
    (least, most): (Duration, Duration),
) -> Result<Duration, String> {
    let time = match given {
        0 => Some(unit * default),
        given => u32::try_from(given).ok().and_then(|given| unit.checked_mul(given)),
    };
    let found = time.filter(|time| (least..=most).contains(time));
    found.ok_or_else(|| format!("valid value is between {least:?} and {most:?} for {what}, got {given}"))
}

impl Plugin for ImagePolicyWebhook {
    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(pod) = attributes.object.as_deref().filter(|_| attributes.row() == ("", "pods")) else {
                return Ok(());
            };
            let lists: &[&str] = match attributes.subresource {
                "" => &["containers", "initContainers"],
                "ephemeralcontainers" => &["ephemeralContainers"],
                _ => return Ok(()),
            };
            self.review(attributes, pod, lists).await.map_err(|why| attributes.forbidden(why))
        })
    }
}

impl ImagePolicyWebhook {
    async fn review(&self, attributes: &Attributes<'_>, pod: &Object, lists: &[&str]) -> Result<(), String> {
        let spec = spec(attributes.namespace, pod, lists);
        let key = spec.to_string();
        let known = self.known(&key);
        let answer = match known {
            Some(answer) => answer,
            None => match self.ask(spec).await {
                Ok(answer) => self.keep(key, answer),
                Err(why) if self.default_allow => {
                    tracing::warn!(why, "the image policy service cannot be asked: the pod passes");
                    attributes.annotations.add(format!("{ANNOTATIONS}failed-open"), "true");
                    return Ok(());
                }
                Err(why) => return Err(why),
            },
        };
        for (key, value) in &answer.audit_annotations {
            attributes.annotations.add(format!("{ANNOTATIONS}{key}"), value);
        }
        match (answer.allowed, answer.reason.as_str()) {
            (true, _) => Ok(()),
            (false, "") => Err("one or more images rejected by webhook backend".to_owned()),
            (false, why) => Err(format!("image policy webhook backend denied one or more images: {why}")),
        }
    }

    fn known(&self, key: &str) -> Option<Answer> {
        let answers = self.answers.lock();
        answers.get(key).filter(|(_, until)| Instant::now() < *until).map(|(answer, _)| answer.clone())
    }

    fn keep(&self, key: String, answer: Answer) -> Answer {
        let time = if answer.allowed { self.allowed_for } else { self.denied_for };
        let mut answers = self.answers.lock();
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(key, (answer.clone(), Instant::now() + time));
        answer
    }

    async fn ask(&self, spec: Json) -> Result<Answer, String> {
        let review = json!({"kind": "ImageReview", "apiVersion": "imagepolicy.k8s.io/v1alpha1", "metadata": {},
                            "spec": spec, "status": {"allowed": false}});
        let reply = self.hook.ask(Bytes::from(review.to_string())).await.map_err(|error| error.0)?;
        let review: Review = serde_json::from_slice(&reply).map_err(|error| error.to_string())?;
        Ok(review.status)
    }
}

/// What the service is told of a pod.
fn spec(namespace: &str, pod: &Object, lists: &[&str]) -> Json {
    let mut spec = json!({});
    let containers = lists.iter().flat_map(|name| pod.get_list(&["spec", name]).unwrap_or_default());
    let images: Vec<Json> = containers
        .map(|container| match text(container, "image") {
            "" => json!({}),
            image => json!({"image": image}),
        })
        .collect();
    if !images.is_empty() {
        spec["containers"] = images.into();
    }
    let annotations = pod.get(&["metadata", "annotations"]).and_then(Value::as_map);
    let told: serde_json::Map<String, Json> = annotations
        .into_iter()
        .flat_map(|map| map.iter())
        .filter(|(key, _)| key.contains(TOLD))
        .map(|(key, value)| (key.to_owned(), value.as_str().into()))
        .collect();
    if !told.is_empty() {
        spec["annotations"] = told.into();
    }
    if !namespace.is_empty() {
        spec["namespace"] = namespace.into();
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_defaults_and_bounds() {
        let second = Duration::from_secs(1);
        let ttl = |given| within("allow TTL", given, second, 300, (second, 1800 * second));
        assert_eq!(ttl(0), Ok(300 * second));
        assert_eq!(ttl(7), Ok(7 * second));
        assert!(ttl(-1).is_err() && ttl(1801).is_err());
    }
}
