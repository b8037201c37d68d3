//! So many events a second, and no more: for the server, a namespace, a user, or a source and its object.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    admission::{Admitted, Attributes, Made, Parts, Plugin, aggregate, configuration},
    cluster::Cluster,
    request::status::{ApiError, Reason},
};

/// Buckets kept of one limit when its configuration does not say; the one used longest ago makes room.
const BUCKETS: usize = 4096;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration {
    limits: Vec<Limit>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limit {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    qps: i32,
    #[serde(default)]
    burst: i32,
    #[serde(default)]
    cache_size: i32,
}

const KINDS: [&str; 4] = ["Namespace", "Server", "SourceAndObject", "User"];

pub(in crate::admission) struct EventRateLimit {
    limits: Vec<(Limit, Mutex<HashMap<String, Bucket>>)>,
}

/// Tokens that fill up with time.
struct Bucket {
    tokens: f64,
    at: Instant,
}

pub(in crate::admission) fn make(parts: &Parts<'_>) -> Made {
    const VERSIONS: &[&str] = &["eventratelimit.admission.k8s.io/v1alpha1"];
    let configuration: Configuration = match &parts.config {
        Some(text) => configuration::decode(text, VERSIONS, "Configuration")?,
        None => Configuration::default(),
    };
    if let Some(why) = errors(&configuration) {
        return Err(why);
    }
    let limits = configuration.limits.into_iter().map(|limit| (limit, Mutex::default()));
    Ok(Arc::new(EventRateLimit { limits: limits.collect() }))
}

fn errors(configuration: &Configuration) -> Option<String> {
    let mut found = Vec::new();
    if configuration.limits.is_empty() {
        found.push("limits: Invalid value: null: must not be empty".to_owned());
    }
    for (at, limit) in configuration.limits.iter().enumerate() {
        let path = format!("limits[{at}]");
        if !KINDS.contains(&limit.kind.as_str()) {
            let supported = KINDS.map(|kind| format!("{kind:?}")).join(", ");
            found.push(format!("{path}.type: Unsupported value: {:?}: supported values: {supported}", limit.kind));
        }
        for (field, value) in [("burst", limit.burst), ("qps", limit.qps)] {
            if value <= 0 {
                found.push(format!("{path}.{field}: Invalid value: {value}: must be positive"));
            }
        }
        if limit.kind != "Server" && limit.cache_size < 0 {
            found.push(format!("{path}.cacheSize: Invalid value: {}: must not be negative", limit.cache_size));
        }
    }
    aggregate(found)
}

impl Plugin for EventRateLimit {
    fn validate<'a>(&'a self, _: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let is_event = attributes.kind.kind == "Event" && matches!(&*attributes.kind.group, "" | "events.k8s.io");
            if !is_event || attributes.dry_run {
                return Ok(());
            }
            let now = Instant::now();
            let reached = self.limits.iter().filter_map(|(limit, buckets)| {
                let key = key(limit, attributes);
                let message = format!("limit reached on type {} for key {key}", limit.kind);
                (!take(limit, &mut buckets.lock(), key, now)).then_some(message)
            });
            match aggregate(reached.collect()) {
                Some(why) => Err(ApiError::new(429, Reason::TooManyRequests, why)),
                None => Ok(()),
            }
        })
    }
}

fn key(limit: &Limit, attributes: &Attributes<'_>) -> String {
    match limit.kind.as_str() {
        "Namespace" => attributes.namespace.to_owned(),
        "User" => attributes.user.name.clone(),
        "SourceAndObject" => {
            let Some(event) = &attributes.object else { return String::new() };
            // The older and the newer version of events name the same things differently.
            let (source, object) = match &*attributes.kind.group {
                "" => ("source", "involvedObject"),
                _ => ("deprecatedSource", "regarding"),
            };
            let parts = [
                (source, "component"),
                (source, "host"),
                (object, "kind"),
                (object, "namespace"),
                (object, "name"),
                (object, "uid"),
                (object, "apiVersion"),
            ];
            parts.iter().map(|(part, field)| event.get_str(&[part, field]).unwrap_or_default()).collect()
        }
        _ => String::new(),
    }
}

/// Takes a token, if there is one.
fn take(limit: &Limit, buckets: &mut HashMap<String, Bucket>, key: String, now: Instant) -> bool {
    let size = usize::try_from(limit.cache_size).ok().filter(|size| *size > 0).unwrap_or(BUCKETS);
    if buckets.len() >= size && !buckets.contains_key(&key) {
        let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(key, _)| key.clone());
        oldest.map(|key| buckets.remove(&key));
    }
    let most = f64::from(limit.burst);
    let bucket = buckets.entry(key).or_insert(Bucket { tokens: most, at: now });
    let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * f64::from(limit.qps);
    bucket.tokens = (bucket.tokens + gained).min(most);
    bucket.at = now;
    let some = bucket.tokens >= 1.0;
    if some {
        bucket.tokens -= 1.0;
    }
    some
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limit(kind: &str, qps: i32, burst: i32, cache_size: i32) -> Limit {
        Limit { kind: kind.into(), qps, burst, cache_size }
    }

    #[test]
    fn a_bucket_is_empty_after_its_burst_and_fills_with_time() {
        let (limit, mut buckets, start) = (limit("Namespace", 2, 3, 1), HashMap::new(), Instant::now());
        let taken: Vec<bool> = (0..4).map(|_| take(&limit, &mut buckets, "a".into(), start)).collect();
        assert_eq!(taken, [true, true, true, false]);
        assert!(take(&limit, &mut buckets, "a".into(), start + Duration::from_millis(500)));
        assert!(!take(&limit, &mut buckets, "a".into(), start + Duration::from_millis(500)));
        // There is room for one bucket only: another key pushes the first one out.
        assert!(take(&limit, &mut buckets, "b".into(), start));
        assert_eq!(buckets.len(), 1);
    }

    #[test]
    fn limits_are_checked() {
        let text = errors(&Configuration { limits: vec![limit("Odd", 0, 1, 0)] }).unwrap();
        assert!(text.contains("limits[0].type: Unsupported value: \"Odd\"") && text.contains("limits[0].qps"));
        assert_eq!(errors(&Configuration { limits: vec![limit("Server", 1, 1, -1)] }), None);
        assert!(errors(&Configuration::default()).is_some());
    }
}
