//! What the status endpoints take: counts, addresses, conditions.

use super::{
    super::{
        check::{
            Check::{self, AtLeast},
            NOT_NEGATIVE,
        },
        forms,
        judge::Judge,
        names,
        place::{Nth, Place},
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
        |_, judge| judge.settle("currentMetrics"),
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
fn replica_counts<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let number = |field: &str| place.number(field).unwrap_or(0);
    for field in ["fullyLabeledReplicas", "updatedReplicas", "currentReplicas", "readyReplicas", "availableReplicas"] {
        if place.fields.def().field(field).is_some() && number(field) > number("replicas") {
            judge.invalid_as(place, field, number(field), "cannot be greater than status.replicas");
        }
    }
    if number("availableReplicas") > number("readyReplicas") {
        let detail = match place.name() {
            "StatefulSetStatus" => "cannot be greater than status.readyReplicas",
            _ => "cannot be greater than readyReplicas",
        };
        judge.invalid_as(place, "availableReplicas", number("availableReplicas"), detail);
    }
    collisions(place, judge);
}

/// Collisions are only ever counted up.
fn collisions<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let before = judge.old.and_then(|old| old.get_i64(&["status", "collisionCount"]));
    if before.is_some_and(|before| place.number("collisionCount").is_none_or(|count| count < before)) {
        let count = place.number("collisionCount").unwrap_or(0);
        judge.invalid_as(place, "collisionCount", count, "cannot be decremented");
    }
}

/// Conditions of the common form.
pub(super) fn conditions<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in place.structs("conditions").enumerate() {
        let condition = place.below("conditions", Nth::At(at), item);
        let (kind, reason) = (condition.text("type"), condition.text("reason"));
        if seen.contains(&kind) {
            judge.duplicate(&condition, "type", kind);
        }
        seen.push(kind);
        judge.complain(&condition, "type", kind, names::label_key(kind));
        Check::Exactly(&STATUSES).apply(&condition, "status", judge);
        AtLeast(0, "must be greater than or equal to zero").apply(&condition, "observedGeneration", judge);
        if condition.text("lastTransitionTime").is_empty() {
            judge.required(&condition, "lastTransitionTime", "");
        }
        if reason.is_empty() {
            judge.required(&condition, "reason", "");
        } else if !is_reason(reason) {
            let message = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
            let detail = names::regex_error(
                message,
                "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
                &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"],
            );
            judge.invalid(&condition, "reason", reason, detail);
        }
        Check::Bytes(1024).apply(&condition, "reason", judge);
        Check::Bytes(32 * 1024).apply(&condition, "message", judge);
    }
}

fn is_reason(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = text.as_bytes();
    bytes[0].is_ascii_alphabetic()
        && bytes.iter().all(|b| word(*b) || matches!(b, b',' | b':'))
        && (bytes.len() == 1 || word(bytes[bytes.len() - 1]))
}

fn typed_conditions<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let kinds: Vec<&str> = place.structs("conditions").map(|item| text(item, "type")).collect();
    for (at, kind) in kinds.iter().enumerate() {
        let field = format!("conditions[{at}].type");
        if kinds[..at].contains(kind) {
            judge.duplicate(place, &field, kind);
        }
        if kind.is_empty() {
            judge.required(place, &field, "");
        }
    }
}

fn balancer<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let kind = place.above("Service").and_then(|service| service.at(&["spec", "type"])).and_then(Value::as_str);
    if kind != Some("LoadBalancer") && !place.list("ingress").is_empty() {
        return judge.forbidden(place, "ingress", "may only be used when `spec.type` is 'LoadBalancer'");
    }
    for (at, item) in place.structs("ingress").enumerate() {
        let ingress = place.below("ingress", Nth::At(at), item);
        super::networking::balancer_status(&ingress, judge);
        let ip = ingress.text("ip");
        match ingress.optional_text("ipMode") {
            None if !ip.is_empty() => judge.required(&ingress, "ipMode", "must be specified when `ip` is set"),
            Some(_) if ip.is_empty() => {
                judge.forbidden(&ingress, "ipMode", "may not be specified when `ip` is not set");
            }
            Some(mode) if !["Proxy", "VIP"].contains(&mode) => {
                judge.unsupported(&ingress, "ipMode", mode, &["Proxy", "VIP"]);
            }
            _ => {}
        }
    }
}

fn pod<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const SYSTEM: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];
    const GENERATION: &str = "must be a non-negative integer";
    for (at, item) in place.structs("conditions").enumerate() {
        let condition = place.below("conditions", Nth::At(at), item);
        AtLeast(0, GENERATION).apply(&condition, "observedGeneration", judge);
        let kind = condition.text("type");
        if !SYSTEM.contains(&kind) {
            judge.complain(&condition, "Type", kind, names::label_key(kind));
        }
    }
    AtLeast(0, GENERATION).apply(place, "observedGeneration", judge);
    let old = |field: &str| judge.old.and_then(|old| old.get_str(&["status", field])).unwrap_or_default();
    let (class, was) = (place.text("qosClass"), old("qosClass"));
    let (node, node_was) = (place.text("nominatedNodeName"), old("nominatedNodeName"));
    let bound = judge.old.is_some_and(|old| old.get(&["spec", "nodeName"]).is_some_and(|name| !name.is_zero()));
    if class != was {
        judge.invalid(place, "qosClass", class, super::super::meta::IMMUTABLE);
    }
    if node != node_was && !node.is_empty() {
        judge.complain(place, "nominatedNodeName", node, names::dns_1123_subdomain(node));
        if bound {
            judge.forbidden(place, "nominatedNodeName", "may not be set on pods that are already bound to a node");
        }
    }
    addresses(place, "podIPs", judge);
    let first = place.structs("hostIPs").next().map(|item| text(item, "ip"));
    if let Some(ip) = first.filter(|ip| *ip != place.text("hostIP")) {
        judge.invalid(place, "hostIPs[0].ip", ip, "must be equal to `hostIP`");
    }
    addresses(place, "hostIPs", judge);
    claims(place, judge);
    users(place, judge);
}

/// One address of each family.
fn addresses<'t>(place: &Place<'_, 't>, list: &str, judge: &mut Judge<'t>) {
    let ips: Vec<&str> = place.structs(list).map(|item| text(item, "ip")).collect();
    let known: Vec<&str> = judge.old.map_or_else(Vec::new, |old| {
        let items = old.get_list(&["status", list]).unwrap_or_default();
        items.iter().filter_map(|item| item.child("ip")?.as_str()).collect()
    });
    for (at, ip) in ips.iter().enumerate().filter(|(_, ip)| !known.contains(ip)) {
        judge.complain(place, &format!("{list}[{at}]"), ip, forms::ip(ip));
    }
    if ips.len() < 2 {
        return;
    }
    let parsed: Vec<_> = ips.iter().map(|ip| forms::parse_ip(ip)).collect();
    if let Some(at) = parsed.iter().position(Option::is_none) {
        let detail = format!("failed to check for dual stack with error:invalid IP[{at}]: {}", ips[at]);
        judge.push(crate::request::status::FieldError::internal(place.path(list), detail));
    }
    let has = |four: bool| parsed.iter().flatten().any(|ip| ip.is_ipv4() == four);
    let dual = parsed.iter().all(Option::is_some) && has(true) && has(false);
    if !dual || ips.len() > 2 {
        let detail = "may specify no more than one IP for each IP family";
        judge.invalid_as(place, list, printed(place.get(list)), detail);
    }
}

fn claims<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let spec =
        place.up.and_then(|pod| pod.at(&["spec", "resourceClaims"])).and_then(Value::as_list).unwrap_or_default();
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in place.structs("resourceClaimStatuses").enumerate() {
        let (name, field) = (text(item, "name"), format!("resourceClaimStatuses[{at}].name"));
        if !spec.iter().any(|claim| claim.child("name").and_then(Value::as_str).unwrap_or_default() == name) {
            judge.invalid(place, &field, name, "must match the name of an entry in `spec.resourceClaims`");
        }
        if seen.contains(&name) {
            judge.duplicate(place, &field, name);
        } else {
            seen.push(name);
        }
        if let Some(claim) = item.get("resourceClaimName").and_then(Value::as_str) {
            judge.complain(place, &field, claim, names::dns_1123_subdomain(claim));
        }
    }
}

/// Users and groups of running containers.
fn users<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let system = place.up.and_then(|pod| pod.at(&["spec", "os", "name"])).and_then(Value::as_str).unwrap_or("linux");
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        for (at, item) in place.structs(list).enumerate() {
            let Some(user) = item.get("user").and_then(|user| user.child("linux")) else { continue };
            let field = format!("{list}[{at}].user.linux");
            if system == "windows" {
                judge.forbidden(place, &field, "cannot be set for a windows pod");
                continue;
            }
            let range = "must be between 0 and 2147483647, inclusive";
            let mut check = |field: String, id: i64| {
                if !(0..=i64::from(i32::MAX)).contains(&id) {
                    judge.invalid_as(place, &field, id, range);
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
fn node<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for field in ["capacity", "allocatable"] {
        for (name, value) in place.map(field).into_iter().flat_map(|map| map.iter()) {
            super::resources::amount(name, value, place, &format!("{field}.{name}"), judge);
        }
    }
    let features: Vec<&str> = place.texts("declaredFeatures").collect();
    for (at, feature) in features.iter().enumerate() {
        if let Some(why) = bad_feature(feature) {
            judge.invalid(place, &format!("declaredFeatures[{at}]"), feature, why);
        }
        let Some(next) = features.get(at + 1) else { continue };
        let field = format!("declaredFeatures[{}]", at + 1);
        if feature == next {
            judge.duplicate(place, &field, next);
        } else if feature > next {
            judge.invalid(place, &field, next, "list must be sorted alphabetically");
        }
    }
    let addresses = place.list("addresses");
    for (at, address) in addresses.iter().enumerate().filter(|(at, address)| addresses[..*at].contains(address)) {
        judge.duplicate_as(place, &format!("addresses[{at}]"), printed(Some(address)));
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
