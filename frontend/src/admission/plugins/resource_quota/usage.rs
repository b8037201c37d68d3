//! What an object uses of a quota, resource by resource; a row for each kind that has more to count than itself.

use jiff::Timestamp;

use super::super::claim_resize::class_of;
use crate::{
    admission::{
        Attributes, Operation,
        amounts::{self, Amounts},
        plugins::{extended_resource_toleration::is_extended, list},
    },
    api::schema::{Object, Value, scalar::quantity::Quantity},
    cluster::objects::text,
    object::{equality::same, qos::quality_of_service},
};

/// How the objects of a resource are counted.
pub(super) struct Counting {
    /// Group and plural of a resource of its own kind; every other resource is counted by number alone.
    row: (&'static str, &'static str),
    /// Whether an operation can change what is used.
    pub(super) handles: fn(&Attributes<'_>) -> bool,
    /// Whether a quota for this resource is about such objects.
    matches: fn(&str) -> bool,
    /// What one object uses, now.
    pub(super) usage: fn(&Object, Timestamp) -> Amounts,
    /// Whether an object is in a scope; none where scopes mean nothing.
    pub(super) in_scope: fn(&Scope<'_>, &Object) -> bool,
    /// What an object must say to be counted.
    pub(super) missing: fn(&[String], &Object) -> Option<String>,
}

/// A condition of a quota: its scopes are conditions that exist.
pub(super) struct Scope<'a> {
    pub(super) name: &'a str,
    pub(super) operator: &'a str,
    pub(super) values: Vec<&'a str>,
}

static COUNTINGS: &[Counting] = &[
    Counting {
        row: ("", "pods"),
        handles: handles_pod,
        matches: is_pods,
        usage: pod_usage,
        in_scope: pod_in_scope,
        missing: pod_misses,
    },
    Counting {
        row: ("", "services"),
        handles: handles_writes,
        matches: |name| SERVICES.contains(&name),
        usage: service_usage,
        in_scope: |_, _| false,
        missing: |_, _| None,
    },
    Counting {
        row: ("", "persistentvolumeclaims"),
        handles: handles_claim,
        matches: is_claims,
        usage: claim_usage,
        in_scope: claim_in_scope,
        missing: |_, _| None,
    },
    Counting {
        row: ("resource.k8s.io", "resourceclaims"),
        handles: handles_writes,
        matches: |name| name == DEVICE_CLAIMS || name.ends_with(PER_DEVICE_CLASS),
        usage: device_usage,
        in_scope: |_, _| false,
        missing: |_, _| None,
    },
];

/// By number alone.
static BY_NUMBER: Counting = Counting {
    row: ("", ""),
    handles: |a| a.subresource.is_empty() && a.operation == Operation::Create,
    matches: |_| false,
    usage: |_, _| Amounts::default(),
    in_scope: |_, _| false,
    missing: |_, _| None,
};

/// Resources whose number has a second, older name.
const ALIASES: [&str; 4] = ["configmaps", "resourcequotas", "replicationcontrollers", "secrets"];

/// The counting of one resource.
pub(super) struct Counted<'a> {
    pub(super) counting: &'static Counting,
    group: &'a str,
    plural: &'a str,
}

impl<'a> Counted<'a> {
    pub(super) fn of((group, plural): (&'a str, &'a str)) -> Counted<'a> {
        let counting = COUNTINGS.iter().find(|counting| counting.row == (group, plural)).unwrap_or(&BY_NUMBER);
        Counted { counting, group, plural }
    }

    /// `count/deployments.apps`
    fn number(&self) -> String {
        match self.group {
            "" => format!("count/{}", self.plural),
            group => format!("count/{}.{group}", self.plural),
        }
    }

    fn is_by_number(&self) -> bool {
        self.counting.row == BY_NUMBER.row
    }

    fn has_alias(&self) -> bool {
        self.group.is_empty() && ALIASES.contains(&self.plural)
    }

    /// Whether a quota for this resource is about such objects.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self.is_by_number() {
            true => name == self.number() || (self.has_alias() && name == self.plural),
            false => (self.counting.matches)(name),
        }
    }

    pub(super) fn usage(&self, object: &Object, now: Timestamp) -> Amounts {
        if !self.is_by_number() {
            return (self.counting.usage)(object, now);
        }
        let mut usage = Amounts::count(self.number(), 1);
        if self.has_alias() {
            usage.set(self.plural, Quantity::from_units(1));
        }
        usage
    }
}

fn handles_writes(a: &Attributes<'_>) -> bool {
    a.subresource.is_empty()
}

// Pods.

const POD_COUNT: &str = "count/pods";
const REQUESTS: &str = "requests.";
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const HUGE_PAGES: &str = "hugepages-";
/// What every container must say when a quota is about it.
const REQUIRED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
const DEVICE_REQUESTS: &str = "requests.deviceclass.resource.kubernetes.io/";

fn is_pods(name: &str) -> bool {
    let plain = name.strip_prefix(REQUESTS).or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    matches!(name, POD_COUNT | "pods")
        || COMPUTE.contains(&plain)
        || name.starts_with(HUGE_PAGES)
        || name.strip_prefix(REQUESTS).is_some_and(|rest| rest.starts_with(HUGE_PAGES) || !native)
        || name.starts_with(DEVICE_REQUESTS)
}

fn handles_pod(a: &Attributes<'_>) -> bool {
    match (a.subresource, a.operation) {
        ("", Operation::Create) | ("resize", Operation::Update) => true,
        ("", Operation::Update) => match (&a.object, a.old) {
            (Some(pod), Some(old)) => is_terminating(pod) != is_terminating(old),
            _ => false,
        },
        _ => false,
    }
}

/// Such as are meant to end.
fn is_terminating(pod: &Object) -> bool {
    pod.get_i64(&["spec", "activeDeadlineSeconds"]).is_some_and(|seconds| seconds >= 0)
}

/// Whether the pod still uses anything: it has not ended, and is not past its grace.
fn is_alive(pod: &Object, now: Timestamp) -> bool {
    if matches!(pod.get_str(&["status", "phase"]), Some("Failed" | "Succeeded")) {
        return false;
    }
    let deleted: Option<Timestamp> = pod.deletion_timestamp().and_then(|text| text.parse().ok());
    match (deleted, pod.deletion_grace_period_seconds()) {
        (Some(at), Some(grace)) => now.as_second() <= at.as_second().saturating_add(grace),
        _ => true,
    }
}

fn pod_usage(pod: &Object, now: Timestamp) -> Amounts {
    let mut usage = Amounts::count(POD_COUNT, 1);
    if let Some(spec) = pod.get(&["spec"]).filter(|_| is_alive(pod, now)) {
        let whole = |name: &str| matches!(name, "cpu" | "memory") || name.starts_with(HUGE_PAGES);
        let mut requests = amounts::of_pod(spec, "requests", whole);
        let mut limits = amounts::of_pod(spec, "limits", whole);
        let overhead = Amounts::of(spec.child("overhead"));
        limits.add(&overhead.only(|name| limits.get(name).is_some_and(|limit| !limit.is_zero())));
        requests.add(&overhead);
        usage.add(&compute(&requests, &limits));
    }
    usage
}

/// Requests and limits under the names of quotas.
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut usage = Amounts::count("pods", 1);
    for name in COMPUTE {
        if let Some(request) = requests.get(name) {
            usage.set(name, *request);
            usage.set(format!("{REQUESTS}{name}"), *request);
        }
        if let Some(limit) = limits.get(name) {
            usage.set(format!("limits.{name}"), *limit);
        }
    }
    for (name, request) in requests.iter() {
        if name.starts_with(HUGE_PAGES) {
            usage.set(name, *request);
            usage.set(format!("{REQUESTS}{name}"), *request);
        } else if is_extended(name) {
            usage.set(format!("{REQUESTS}{name}"), *request);
        }
    }
    usage
}

fn pod_misses(resources: &[String], pod: &Object) -> Option<String> {
    let spec = pod.get(&["spec"])?;
    let whole = |part: &str| !Amounts::of(spec.at(&["resources", part])).is_empty();
    if whole("requests") || whole("limits") {
        return None;
    }
    let mut parts = Vec::new();
    for required in REQUIRED.iter().filter(|name| resources.iter().any(|resource| resource == *name)) {
        let containers = list(spec, &["containers"]).iter().chain(list(spec, &["initContainers"]));
        let silent = containers.filter(|container| {
            let of = |part| amounts::of_container(container, part);
            compute(&of("requests"), &of("limits")).get(required).is_none()
        });
        let mut names: Vec<&str> = silent.map(|container| text(container, "name")).collect();
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() {
            parts.push(format!("{required} for: {}", names.join(",")));
        }
    }
    parts.sort_unstable();
    (!parts.is_empty()).then(|| format!("must specify {}", parts.join("; ")))
}

fn pod_in_scope(scope: &Scope<'_>, pod: &Object) -> bool {
    match scope.name {
        "Terminating" => is_terminating(pod),
        "NotTerminating" => !is_terminating(pod),
        "BestEffort" => quality_of_service(pod) == "BestEffort",
        "NotBestEffort" => quality_of_service(pod) != "BestEffort",
        "PriorityClass" => {
            let class = pod.get_str(&["spec", "priorityClassName"]).filter(|class| !class.is_empty());
            scope.selects(class.as_slice())
        }
        "CrossNamespacePodAffinity" => reaches_over(pod),
        _ => false,
    }
}

/// Whether the pod wants to be near to or far from pods of other namespaces.
fn reaches_over(pod: &Object) -> bool {
    let over = |term: &Value| !list(term, &["namespaces"]).is_empty() || term.child("namespaceSelector").is_some();
    let of = |kind: &str| {
        let Some(affinity) = pod.get(&["spec", "affinity", kind]) else { return false };
        let preferred = list(affinity, &["preferredDuringSchedulingIgnoredDuringExecution"]).iter();
        list(affinity, &["requiredDuringSchedulingIgnoredDuringExecution"]).iter().any(over)
            || preferred.filter_map(|weighted| weighted.child("podAffinityTerm")).any(over)
    };
    of("podAffinity") || of("podAntiAffinity")
}

impl Scope<'_> {
    /// Whether one of the names, or their absence, is what the condition wants.
    fn selects(&self, names: &[&str]) -> bool {
        let one = |name: Option<&str>| match self.operator {
            "In" => name.is_some_and(|name| self.values.contains(&name)),
            "NotIn" => !name.is_some_and(|name| self.values.contains(&name)),
            "Exists" => name.is_some(),
            _ => name.is_none(),
        };
        if names.is_empty() { one(None) } else { names.iter().any(|name| one(Some(name))) }
    }
}

// Services.

const SERVICES: [&str; 4] = ["count/services", "services", "services.nodeports", "services.loadbalancers"];

fn service_usage(service: &Object, _: Timestamp) -> Amounts {
    let ports = service.get_list(&["spec", "ports"]).unwrap_or_default();
    let given = ports.iter().filter(|port| port.child("nodePort").and_then(Value::as_i64).unwrap_or(0) != 0).count();
    let allocates = service.get_bool(&["spec", "allocateLoadBalancerNodePorts"]) != Some(false);
    let (node_ports, balancers) = match service.get_str(&["spec", "type"]) {
        Some("NodePort") => (ports.len(), 0),
        Some("LoadBalancer") => (if allocates { ports.len() } else { given }, 1),
        _ => (0, 0),
    };
    let counts = [1, 1, i64::try_from(node_ports).unwrap_or(i64::MAX), balancers];
    Amounts(SERVICES.iter().zip(counts).map(|(name, n)| ((*name).to_owned(), Quantity::from_units(n))).collect())
}

// Claims of volumes.

const CLAIMS: &str = "persistentvolumeclaims";
const STORAGE: &str = "requests.storage";
const PER_CLASS: &str = ".storageclass.storage.k8s.io/";

fn is_claims(name: &str) -> bool {
    let of_class = name.split_once(PER_CLASS).map(|(_, resource)| resource);
    name == "count/persistentvolumeclaims" || matches!(of_class.unwrap_or(name), CLAIMS | STORAGE)
}

fn handles_claim(a: &Attributes<'_>) -> bool {
    match (a.subresource, &a.object, a.old) {
        ("", ..) => true,
        ("status", Some(claim), Some(old)) => {
            let storage = ["status", "allocatedResources", "storage"];
            !same(claim.get(&storage), old.get(&storage)) || attribute_classes(claim) != attribute_classes(old)
        }
        _ => false,
    }
}

fn claim_usage(claim: &Object, _: Timestamp) -> Amounts {
    let mut usage = Amounts::count(CLAIMS, 1);
    usage.set("count/persistentvolumeclaims", Quantity::from_units(1));
    let asked = Amounts::of(claim.get(&["spec", "resources", "requests"])).get("storage").copied();
    let allocated = Amounts::of(claim.get(&["status", "allocatedResources"])).get("storage").copied();
    let storage = asked.map(|asked| allocated.filter(|allocated| *allocated > asked).unwrap_or(asked));
    let class = class_of(claim);
    if !class.is_empty() {
        usage.set(format!("{class}{PER_CLASS}{CLAIMS}"), Quantity::from_units(1));
    }
    if let Some(storage) = storage {
        let storage = if storage.is_whole() { storage } else { Quantity::from_units(storage.units()) };
        usage.set(STORAGE, storage);
        if !class.is_empty() {
            usage.set(format!("{class}{PER_CLASS}{STORAGE}"), storage);
        }
    }
    usage
}

fn attribute_classes(claim: &Object) -> Vec<&str> {
    let paths: [&[&str]; 3] = [
        &["spec", "volumeAttributesClassName"],
        &["status", "currentVolumeAttributesClassName"],
        &["status", "modifyVolumeStatus", "targetVolumeAttributesClassName"],
    ];
    let mut names: Vec<&str> =
        paths.iter().filter_map(|path| claim.get_str(path)).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn claim_in_scope(scope: &Scope<'_>, claim: &Object) -> bool {
    scope.name == "VolumeAttributesClass" && scope.selects(&attribute_classes(claim))
}

// Claims of devices.

const DEVICE_CLAIMS: &str = "count/resourceclaims.resource.k8s.io";
const PER_DEVICE_CLASS: &str = ".deviceclass.resource.k8s.io/devices";
/// As many as one claim can be given.
const DEVICES_MAX: i64 = 32;

fn device_usage(claim: &Object, _: Timestamp) -> Amounts {
    let mut usage = Amounts::count(DEVICE_CLAIMS, 1);
    let asked = |request: &Value| {
        let count = match text(request, "allocationMode") {
            "ExactCount" => request.child("count").and_then(Value::as_i64).unwrap_or(0),
            "All" => DEVICES_MAX,
            _ => 0,
        };
        Amounts::count(format!("{}{PER_DEVICE_CLASS}", text(request, "deviceClassName")), count)
    };
    for request in claim.get_list(&["spec", "devices", "requests"]).unwrap_or_default() {
        let alternatives = list(request, &["firstAvailable"]);
        if let Some(exact) = request.child("exactly").filter(|_| alternatives.is_empty()) {
            usage.add(&asked(exact));
        }
        let mut most = Amounts::default();
        alternatives.iter().for_each(|alternative| most.raise(&asked(alternative)));
        usage.add(&most.only(|name| most.get(name).is_some_and(|count| !count.is_zero())));
    }
    usage
}
