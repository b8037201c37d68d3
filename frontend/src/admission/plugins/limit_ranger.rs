//! LimitRanges of a namespace: what containers get that say nothing, and how little or much they may ask for.

use std::sync::Arc;

use super::{PODS, Resource, list};
use crate::{
    admission::{
        Admitted, Attributes, Operation, Plugin, aggregate,
        amounts::{self, Amounts},
    },
    api::schema::{Object, Struct, Value, scalar::quantity::Quantity},
    cluster::{Cluster, objects::text},
    request::status::ApiError,
};

const RANGES: Resource = ("", "limitranges");
/// Tells which values were not the client's.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
/// Beyond this many units thousandths are not compared.
const MILLI_MAX: i64 = i64::MAX / 1000;
const LISTS: [(&str, &str); 2] = [("containers", "container"), ("initContainers", "init container")];

#[derive(Default)]
pub(in crate::admission) struct LimitRanger;

impl Plugin for LimitRanger {
    fn admit<'a>(&'a self, cluster: &'a Cluster, attributes: &'a mut Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            if attributes.row() != PODS {
                return Ok(());
            }
            for range in ranges(cluster, attributes)? {
                if let Some(pod) = &mut attributes.object {
                    fill(pod, &range);
                }
            }
            Ok(())
        })
    }

    fn validate<'a>(&'a self, cluster: &'a Cluster, attributes: &'a Attributes<'_>) -> Admitted<'a> {
        Box::pin(async move {
            let Some(object) = &attributes.object else { return Ok(()) };
            for range in ranges(cluster, attributes)? {
                let violations = match attributes.row() == PODS {
                    true => pod_violations(object, &range),
                    false => claim_violations(object, &range),
                };
                if let Some(why) = aggregate(violations) {
                    return Err(attributes.forbidden(why));
                }
            }
            Ok(())
        })
    }
}

/// The ranges that apply: to new pods and claims, to changed claims, and to pods that are resized.
fn ranges(cluster: &Cluster, attributes: &Attributes<'_>) -> Result<Vec<Arc<Object>>, ApiError> {
    let update = attributes.operation == Operation::Update;
    let concerned = match (attributes.row(), attributes.subresource) {
        (("", "pods"), "resize") => update,
        (("", "pods"), "") => !update,
        (("", "persistentvolumeclaims"), "") => true,
        _ => false,
    };
    if !concerned || attributes.old.is_some_and(|old| old.deletion_timestamp().is_some()) {
        return Ok(Vec::new());
    }
    cluster.informer().list(RANGES, attributes.namespace)
}

fn limits<'a>(range: &'a Object, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    let limits = range.get_list(&["spec", "limits"]).unwrap_or_default().iter();
    limits.filter(move |limit| text(limit, "type") == kind)
}

/// Writes the defaults of the range into the pod's containers.
fn fill(pod: &mut Object, range: &Object) {
    let (mut requests, mut bounds) = (Amounts::default(), Amounts::default());
    for limit in limits(range, "Container") {
        requests.0.extend(Amounts::of(limit.child("defaultRequest")).0);
        bounds.0.extend(Amounts::of(limit.child("default")).0);
    }
    let mut notes = Vec::new();
    for (name, word) in LISTS {
        let Some(Value::List(items)) = pod.get_mut(&["spec", name]) else { continue };
        for container in items.iter_mut() {
            let called = text(container, "name").to_owned();
            for (part, defaults, what) in [("requests", &requests, "request"), ("limits", &bounds, "limit")] {
                let Some(fields) = container.as_struct_mut() else { continue };
                let set = fill_part(fields, part, defaults);
                if !set.is_empty() {
                    notes.push(format!("{} {what} for {word} {called}", set.join(", ")));
                }
            }
        }
    }
    if !notes.is_empty() {
        pod.set_annotation(ANNOTATION, &format!("LimitRanger plugin set: {}", notes.join("; ")));
    }
}

/// Adds what is missing; names it.
fn fill_part(container: &mut Struct, part: &str, defaults: &Amounts) -> Vec<String> {
    let present = Amounts::of(container.get("resources").and_then(|resources| resources.child(part)));
    let missing = defaults.only(|name| present.get(name).is_none());
    for (name, quantity) in missing.iter() {
        let value = quantity.canonical().into();
        crate::api::schema::object::set_in_struct(container, &["resources", part, name], value);
    }
    missing.0.into_keys().collect()
}

/// What something asks for and is limited to.
struct Asked {
    requests: Amounts,
    limits: Amounts,
}

fn pod_violations(pod: &Object, range: &Object) -> Vec<String> {
    let mut violations = Vec::new();
    let Some(spec) = pod.get(&["spec"]) else { return violations };
    for limit in range.get_list(&["spec", "limits"]).unwrap_or_default() {
        match text(limit, "type") {
            "Container" => {
                for container in LISTS.iter().flat_map(|(name, _)| list(spec, &[name])) {
                    let asked = Asked {
                        requests: amounts::of_container(container, "requests"),
                        limits: amounts::of_container(container, "limits"),
                    };
                    check_limit(limit, &asked, &mut violations);
                }
            }
            "Pod" => {
                let whole = |name: &str| matches!(name, "cpu" | "memory");
                let asked = Asked {
                    requests: amounts::of_pod(spec, "requests", whole),
                    limits: amounts::of_pod(spec, "limits", whole),
                };
                check_limit(limit, &asked, &mut violations);
            }
            _ => {}
        }
    }
    violations
}

fn check_limit(limit: &Value, asked: &Asked, violations: &mut Vec<String>) {
    let kind = text(limit, "type");
    let bounds = |part: &str| Amounts::of(limit.child(part)).0.into_iter();
    violations.extend(bounds("min").filter_map(|(name, bound)| below(kind, &name, &bound, asked)));
    violations.extend(bounds("max").filter_map(|(name, bound)| above(kind, &name, &bound, asked)));
    violations.extend(bounds("maxLimitRequestRatio").filter_map(|(name, bound)| ratio(kind, &name, &bound, asked)));
}

fn claim_violations(claim: &Object, range: &Object) -> Vec<String> {
    const KIND: &str = "PersistentVolumeClaim";
    let asked =
        Asked { requests: Amounts::of(claim.get(&["spec", "resources", "requests"])), limits: Amounts::default() };
    let mut violations = Vec::new();
    for limit in limits(range, KIND) {
        let bounds = |part: &str| Amounts::of(limit.child(part)).0.into_iter();
        violations.extend(bounds("min").filter_map(|(name, bound)| below(KIND, &name, &bound, &asked)));
        violations.extend(bounds("max").filter_map(|(name, bound)| {
            let what = format!("maximum {name} usage per {KIND} is {}", bound.canonical());
            match asked.requests.get(&name) {
                None => Some(format!("{what}.  No request is specified")),
                Some(request) if figures(&[request, &bound]) == Some(std::cmp::Ordering::Greater) => {
                    Some(format!("{what}, but request is {}", request.canonical()))
                }
                _ => None,
            }
        }));
    }
    violations
}

/// How the first compares with the second, in the unit in which Kubernetes compares them.
fn figures(pair: &[&Quantity; 2]) -> Option<std::cmp::Ordering> {
    let small = pair.iter().all(|quantity| quantity.units() <= MILLI_MAX);
    let figure = |quantity: &Quantity| if small { quantity.milli_units() } else { quantity.units() };
    figure(pair[0]).partial_cmp(&figure(pair[1]))
}

fn is_less(a: &Quantity, b: &Quantity) -> bool {
    figures(&[a, b]) == Some(std::cmp::Ordering::Less)
}

fn below(kind: &str, name: &str, bound: &Quantity, asked: &Asked) -> Option<String> {
    let what = format!("minimum {name} usage per {kind} is {}", bound.canonical());
    let Some(request) = asked.requests.get(name) else {
        return Some(format!("{what}.  No request is specified"));
    };
    if is_less(request, bound) {
        return Some(format!("{what}, but request is {}", request.canonical()));
    }
    let limit = asked.limits.get(name).filter(|limit| is_less(limit, bound))?;
    Some(format!("{what}, but limit is {}", limit.canonical()))
}

fn above(kind: &str, name: &str, bound: &Quantity, asked: &Asked) -> Option<String> {
    let what = format!("maximum {name} usage per {kind} is {}", bound.canonical());
    let Some(limit) = asked.limits.get(name) else {
        return Some(format!("{what}.  No limit is specified"));
    };
    if is_less(bound, limit) {
        return Some(format!("{what}, but limit is {}", limit.canonical()));
    }
    let request = asked.requests.get(name).filter(|request| is_less(bound, request))?;
    Some(format!("{what}, but request is {}", request.canonical()))
}

fn ratio(kind: &str, name: &str, bound: &Quantity, asked: &Asked) -> Option<String> {
    let what = format!("{name} max limit to request ratio per {kind} is {}", bound.canonical());
    let given = |amounts: &Amounts| amounts.get(name).filter(|quantity| !quantity.is_zero()).copied();
    let Some(request) = given(&asked.requests) else {
        return Some(format!("{what}, but no request is specified or request is 0"));
    };
    let Some(limit) = given(&asked.limits) else {
        return Some(format!("{what}, but no limit is specified or limit is 0"));
    };
    let small = [&request, &limit, bound].iter().all(|quantity| quantity.units() <= MILLI_MAX);
    let figure = |quantity: &Quantity| if small { quantity.milli_units() } else { quantity.units() } as f64;
    let observed = figure(&limit) / figure(&request);
    let (scaled, most) = match bound.units() <= MILLI_MAX {
        true => (observed * 1000.0, bound.milli_units() as f64),
        false => (observed, bound.units() as f64),
    };
    (scaled > most).then(|| format!("{what}, but provided ratio is {observed:.6}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::schema::{Schema, codec};

    fn object(kind: &str, spec: serde_json::Value) -> Object {
        let kind = Schema::builtin().kind("", "v1", kind).unwrap();
        codec::decode_json_as(&kind, json!({"spec": spec}).to_string().as_bytes()).unwrap().object
    }

    #[test]
    fn missing_values_are_filled_in_and_told_of() {
        let range = object(
            "LimitRange",
            json!({"limits": [{"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}]}),
        );
        let mut pod = object(
            "Pod",
            json!({"containers": [{"name": "a"}, {"name": "b", "resources": {"limits": {"cpu": "2"}}}],
                   "initContainers": [{"name": "i", "resources": {"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1"}}}]}),
        );
        fill(&mut pod, &range);
        let note = "LimitRanger plugin set: cpu request for container a; cpu, memory limit for container a; \
                    cpu request for container b; memory limit for container b";
        assert_eq!(pod.annotation(ANNOTATION), Some(note));
        let containers = pod.get_list(&["spec", "containers"]).unwrap();
        assert_eq!(amounts::of_container(&containers[1], "limits").print(), "cpu=2,memory=1Gi");
    }

    #[test]
    fn bounds_are_refused_in_their_own_words() {
        for (limit, resources, violation) in [
            (json!({"min": {"cpu": "1"}}), json!({}), "minimum cpu usage per Container is 1.  No request is specified"),
            (
                json!({"min": {"cpu": "1"}}),
                json!({"requests": {"cpu": "500m"}}),
                "minimum cpu usage per Container is 1, but request is 500m",
            ),
            (
                json!({"max": {"memory": "1Gi"}}),
                json!({"limits": {"memory": "2Gi"}}),
                "maximum memory usage per Container is 1Gi, but limit is 2Gi",
            ),
            (json!({"max": {"cpu": "1"}}), json!({}), "maximum cpu usage per Container is 1.  No limit is specified"),
            (
                json!({"maxLimitRequestRatio": {"cpu": "2"}}),
                json!({"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}),
                "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
            ),
            (
                json!({"maxLimitRequestRatio": {"cpu": "2"}}),
                json!({"limits": {"cpu": "3"}}),
                "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
            ),
        ] {
            let mut limit = limit;
            limit["type"] = json!("Container");
            let range = object("LimitRange", json!({"limits": [limit]}));
            let pod = object("Pod", json!({"containers": [{"name": "a", "resources": resources}]}));
            assert_eq!(pod_violations(&pod, &range), [violation]);
        }
        let range =
            object("LimitRange", json!({"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]}));
        let claim = object("PersistentVolumeClaim", json!({"resources": {"requests": {"storage": "2Gi"}}}));
        let violation = "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi";
        assert_eq!(claim_violations(&claim, &range), [violation]);
    }
}
