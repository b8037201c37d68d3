//! What the status endpoints take: counts, addresses, conditions.

use super::{
    super::{
        check::{
            Check::{self, AtLeast},
            NOT_NEGATIVE,
        },
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, names,
        print::printed,
        rule::{Rule, rule, with},
    },
    resources::text,
};
use crate::api::schema::Value;

pub(super) static RULES: &[Rule] = &[
    with("apps.v1.DeploymentStatus", replica_counts, COUNTS),
    with("apps.v1.ReplicaSetStatus", replica_counts, COUNTS),
    with("core.v1.ReplicationControllerStatus", replica_counts, COUNTS),
    with("apps.v1.StatefulSetStatus", replica_counts, COUNTS),
    with(
        "apps.v1.DaemonSetStatus",
        collisions,
        &[
            ("currentNumberScheduled", AtLeast(0, NOT_NEGATIVE)),
            ("numberMisscheduled", AtLeast(0, NOT_NEGATIVE)),
            ("desiredNumberScheduled", AtLeast(0, NOT_NEGATIVE)),
            ("numberReady", AtLeast(0, NOT_NEGATIVE)),
            ("observedGeneration", AtLeast(0, NOT_NEGATIVE)),
            ("updatedNumberScheduled", AtLeast(0, NOT_NEGATIVE)),
            ("numberAvailable", AtLeast(0, NOT_NEGATIVE)),
            ("numberUnavailable", AtLeast(0, NOT_NEGATIVE)),
            ("collisionCount", AtLeast(0, NOT_NEGATIVE)),
        ],
    ),
    with(
        "autoscaling.v2.HorizontalPodAutoscalerStatus",
        |_, errors| errors.skip("currentMetrics"),
        &[("currentReplicas", AtLeast(0, NOT_NEGATIVE)), ("desiredReplicas", AtLeast(0, NOT_NEGATIVE))],
    ),
    rule(
        "autoscaling.v1.HorizontalPodAutoscalerStatus",
        &[("currentReplicas", AtLeast(0, NOT_NEGATIVE)), ("desiredReplicas", AtLeast(0, NOT_NEGATIVE))],
    ),
    with(
        "policy.v1.PodDisruptionBudgetStatus",
        conditions,
        &[
            ("disruptionsAllowed", AtLeast(0, NOT_NEGATIVE)),
            ("currentHealthy", AtLeast(0, NOT_NEGATIVE)),
            ("desiredHealthy", AtLeast(0, NOT_NEGATIVE)),
            ("expectedPods", AtLeast(0, NOT_NEGATIVE)),
        ],
    ),
    with("core.v1.LoadBalancerStatus", balancer, &[]),
    with("core.v1.PodStatus", pod, &[]),
    with("core.v1.NodeStatus", node, &[]),
    with("flowcontrol.v1.FlowSchemaStatus", typed_conditions, &[]),
    with("flowcontrol.v1.PriorityLevelConfigurationStatus", typed_conditions, &[]),
];

const COUNTS: &[(&str, Check)] = &[
    ("replicas", AtLeast(0, NOT_NEGATIVE)),
    ("updatedReplicas", AtLeast(0, NOT_NEGATIVE)),
    ("currentReplicas", AtLeast(0, NOT_NEGATIVE)),
    ("readyReplicas", AtLeast(0, NOT_NEGATIVE)),
    ("availableReplicas", AtLeast(0, NOT_NEGATIVE)),
    ("unavailableReplicas", AtLeast(0, NOT_NEGATIVE)),
    ("fullyLabeledReplicas", AtLeast(0, NOT_NEGATIVE)),
    ("terminatingReplicas", AtLeast(0, NOT_NEGATIVE)),
    ("observedGeneration", AtLeast(0, NOT_NEGATIVE)),
    ("collisionCount", AtLeast(0, NOT_NEGATIVE)),
];

/// No more are ready than there are, and no more are available than ready.
fn replica_counts<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let number = |field: &str| path.number(field).unwrap_or(0);
    for field in ["fullyLabeledReplicas", "updatedReplicas", "currentReplicas", "readyReplicas", "availableReplicas"] {
        if path.fields.def().field(field).is_some() && number(field) > number("replicas") {
            errors.invalid_as(path, field, number(field), "cannot be greater than status.replicas");
        }
    }
    if number("availableReplicas") > number("readyReplicas") {
        let detail = match path.name() {
            "StatefulSetStatus" => "cannot be greater than status.readyReplicas",
            _ => "cannot be greater than readyReplicas",
        };
        errors.invalid_as(path, "availableReplicas", number("availableReplicas"), detail);
    }
    collisions(path, errors);
}

/// Collisions are only ever counted up.
fn collisions<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let before = errors.old.and_then(|old| old.get_i64(&["status", "collisionCount"]));
    if before.is_some_and(|before| path.number("collisionCount").is_none_or(|count| count < before)) {
        let count = path.number("collisionCount").unwrap_or(0);
        errors.invalid_as(path, "collisionCount", count, "cannot be decremented");
    }
}

/// Conditions of the common form.
pub(super) fn conditions<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in path.structs("conditions").enumerate() {
        let condition = path.below("conditions", Nth::Index(at), item);
        let (kind, reason) = (condition.text("type"), condition.text("reason"));
        if seen.contains(&kind) {
            errors.duplicate(&condition, "type", kind);
        }
        seen.push(kind);
        errors.invalid_each(&condition, "type", kind, names::label_key(kind));
        Check::Exactly(&STATUSES).apply(&condition, "status", errors);
        AtLeast(0, "must be greater than or equal to zero").apply(&condition, "observedGeneration", errors);
        if condition.text("lastTransitionTime").is_empty() {
            errors.required(&condition, "lastTransitionTime", "");
        }
        if reason.is_empty() {
            errors.required(&condition, "reason", "");
        } else if !is_reason(reason) {
            let message = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
            let detail = names::regex_error(
                message,
                "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
                &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"],
            );
            errors.invalid(&condition, "reason", reason, detail);
        }
        Check::Bytes(1024).apply(&condition, "reason", errors);
        Check::Bytes(32 * 1024).apply(&condition, "message", errors);
    }
}

fn is_reason(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = text.as_bytes();
    bytes[0].is_ascii_alphabetic()
        && bytes.iter().all(|b| word(*b) || matches!(b, b',' | b':'))
        && (bytes.len() == 1 || word(bytes[bytes.len() - 1]))
}

fn typed_conditions<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let kinds: Vec<&str> = path.structs("conditions").map(|item| text(item, "type")).collect();
    for (at, kind) in kinds.iter().enumerate() {
        let field = format!("conditions[{at}].type");
        if kinds[..at].contains(kind) {
            errors.duplicate(path, &field, kind);
        }
        if kind.is_empty() {
            errors.required(path, &field, "");
        }
    }
}

fn balancer<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let kind = path.above("Service").and_then(|service| service.at(&["spec", "type"])).and_then(Value::as_str);
    if kind != Some("LoadBalancer") && !path.list("ingress").is_empty() {
        return errors.forbidden(path, "ingress", "may only be used when `spec.type` is 'LoadBalancer'");
    }
    for (at, item) in path.structs("ingress").enumerate() {
        let ingress = path.below("ingress", Nth::Index(at), item);
        super::networking::balancer_status(&ingress, errors);
        let ip = ingress.text("ip");
        match ingress.optional_text("ipMode") {
            None if !ip.is_empty() => errors.required(&ingress, "ipMode", "must be specified when `ip` is set"),
            Some(_) if ip.is_empty() => {
                errors.forbidden(&ingress, "ipMode", "may not be specified when `ip` is not set");
            }
            Some(mode) if !["Proxy", "VIP"].contains(&mode) => {
                errors.unsupported(&ingress, "ipMode", mode, &["Proxy", "VIP"]);
            }
            _ => {}
        }
    }
}

fn pod<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const SYSTEM: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];
    const GENERATION: &str = "must be a non-negative integer";
    for (at, item) in path.structs("conditions").enumerate() {
        let condition = path.below("conditions", Nth::Index(at), item);
        AtLeast(0, GENERATION).apply(&condition, "observedGeneration", errors);
        let kind = condition.text("type");
        if !SYSTEM.contains(&kind) {
            errors.invalid_each(&condition, "Type", kind, names::label_key(kind));
        }
    }
    AtLeast(0, GENERATION).apply(path, "observedGeneration", errors);
    let old = |field: &str| errors.old.and_then(|old| old.get_str(&["status", field])).unwrap_or_default();
    let (class, was) = (path.text("qosClass"), old("qosClass"));
    let (node, node_was) = (path.text("nominatedNodeName"), old("nominatedNodeName"));
    let bound = errors.old.is_some_and(|old| old.get(&["spec", "nodeName"]).is_some_and(|name| !name.is_zero()));
    if class != was {
        errors.invalid(path, "qosClass", class, super::super::meta::IMMUTABLE);
    }
    if node != node_was && !node.is_empty() {
        errors.invalid_each(path, "nominatedNodeName", node, names::dns_1123_subdomain(node));
        if bound {
            errors.forbidden(path, "nominatedNodeName", "may not be set on pods that are already bound to a node");
        }
    }
    addresses(path, "podIPs", errors);
    let first = path.structs("hostIPs").next().map(|item| text(item, "ip"));
    if let Some(ip) = first.filter(|ip| *ip != path.text("hostIP")) {
        errors.invalid(path, "hostIPs[0].ip", ip, "must be equal to `hostIP`");
    }
    addresses(path, "hostIPs", errors);
    claims(path, errors);
    users(path, errors);
}

/// One address of each family.
fn addresses<'t>(path: &FieldPath<'_, 't>, list: &str, errors: &mut ErrorList<'t>) {
    let ips: Vec<&str> = path.structs(list).map(|item| text(item, "ip")).collect();
    let known: Vec<&str> = errors.old.map_or_else(Vec::new, |old| {
        let items = old.get_list(&["status", list]).unwrap_or_default();
        items.iter().filter_map(|item| item.child("ip")?.as_str()).collect()
    });
    for (at, ip) in ips.iter().enumerate().filter(|(_, ip)| !known.contains(ip)) {
        errors.invalid_each(path, &format!("{list}[{at}]"), ip, forms::ip(ip));
    }
    if ips.len() < 2 {
        return;
    }
    let parsed: Vec<_> = ips.iter().map(|ip| forms::parse_ip(ip)).collect();
    if let Some(at) = parsed.iter().position(Option::is_none) {
        let detail = format!("failed to check for dual stack with error:invalid IP[{at}]: {}", ips[at]);
        errors.push(crate::request::status::FieldError::internal(path.to(list), detail));
    }
    let has = |four: bool| parsed.iter().flatten().any(|ip| ip.is_ipv4() == four);
    let dual = parsed.iter().all(Option::is_some) && has(true) && has(false);
    if !dual || ips.len() > 2 {
        let detail = "may specify no more than one IP for each IP family";
        errors.invalid_as(path, list, printed(path.get(list)), detail);
    }
}

fn claims<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let spec = path.up.and_then(|pod| pod.at(&["spec", "resourceClaims"])).and_then(Value::as_list).unwrap_or_default();
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in path.structs("resourceClaimStatuses").enumerate() {
        let (name, field) = (text(item, "name"), format!("resourceClaimStatuses[{at}].name"));
        if !spec.iter().any(|claim| claim.child("name").and_then(Value::as_str).unwrap_or_default() == name) {
            errors.invalid(path, &field, name, "must match the name of an entry in `spec.resourceClaims`");
        }
        if seen.contains(&name) {
            errors.duplicate(path, &field, name);
        } else {
            seen.push(name);
        }
        if let Some(claim) = item.get("resourceClaimName").and_then(Value::as_str) {
            errors.invalid_each(path, &field, claim, names::dns_1123_subdomain(claim));
        }
    }
}

/// Users and groups of running containers.
fn users<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let system = path.up.and_then(|pod| pod.at(&["spec", "os", "name"])).and_then(Value::as_str).unwrap_or("linux");
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        for (at, item) in path.structs(list).enumerate() {
            let Some(user) = item.get("user").and_then(|user| user.child("linux")) else { continue };
            let field = format!("{list}[{at}].user.linux");
            if system == "windows" {
                errors.forbidden(path, &field, "cannot be set for a windows pod");
                continue;
            }
            let range = "must be between 0 and 2147483647, inclusive";
            let mut check = |field: String, id: i64| {
                if !(0..=i64::from(i32::MAX)).contains(&id) {
                    errors.invalid_as(path, &field, id, range);
                }
            };
            for name in ["uid", "gid"] {
                check(format!("{field}.{name}"), user.child(name).and_then(Value::as_i64).unwrap_or(0));
            }
            let groups = user.child("supplementalGroups").and_then(Value::as_list).unwrap_or_default();
            for (nth, group) in groups.iter().enumerate() {
                check(format!("{field}.supplementalGroups[{nth}]"), group.as_i64().unwrap_or(0));
            }
        }
    }
}

/// Amounts, and the features that a node says it has.
fn node<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for field in ["capacity", "allocatable"] {
        for (name, value) in path.map(field).into_iter().flat_map(|map| map.iter()) {
            super::resources::amount(name, value, path, &format!("{field}.{name}"), errors);
        }
    }
    let features: Vec<&str> = path.texts("declaredFeatures").collect();
    for (at, feature) in features.iter().enumerate() {
        if let Some(why) = bad_feature(feature) {
            errors.invalid(path, &format!("declaredFeatures[{at}]"), feature, why);
        }
        let Some(next) = features.get(at + 1) else { continue };
        let field = format!("declaredFeatures[{}]", at + 1);
        if feature == next {
            errors.duplicate(path, &field, next);
        } else if feature > next {
            errors.invalid(path, &field, next, "list must be sorted alphabetically");
        }
    }
    let addresses = path.list("addresses");
    for (at, address) in addresses.iter().enumerate().filter(|(at, address)| addresses[..*at].contains(address)) {
        errors.duplicate_as(path, &format!("addresses[{at}]"), printed(Some(address)));
    }
}

fn bad_feature(name: &str) -> Option<String> {
    let quoted = crate::request::status::go_quote(name);
    if name.len() > 253 {
        return Some(format!("invalid feature name {quoted}: must be no more than 253 characters"));
    }
    let mut parts = name.split('/');
    let word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    let first = parts.next().is_some_and(|part| part.starts_with(|c: char| c.is_ascii_uppercase()) && word(part));
    let rest = parts.all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()) && word(part));
    (!first || !rest).then(|| {
        format!(
            "invalid feature name {quoted}: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
        )
    })
}
