//! Which resources have warnings, and when they are given.

use super::{
    super::{field_path::FieldPath, names},
    Said, addresses, each, inside, pods,
};
use crate::{
    api::schema::{Struct, scalar::quantity::Quantity},
    request::status::go_quote,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Created,
    Changed,
    Always,
    /// With a new object, and with a change that moves its generation.
    Moved,
}

impl When {
    pub(super) fn holds(self, changed: bool, moved: bool) -> bool {
        match self {
            When::Created => !changed,
            When::Changed => changed,
            When::Always => true,
            When::Moved => moved,
        }
    }
}

/// Warns of the struct at a path of an object; the root of what the object replaces comes along.
type Warn = for<'t> fn(&FieldPath<'_, 't>, Option<&Struct>, &mut Said);

pub(super) struct Row {
    group: &'static str,
    plural: &'static str,
    subresource: &'static str,
    pub(super) when: When,
    pub(super) at: &'static [&'static str],
    pub(super) warn: Warn,
}

impl Row {
    pub(super) fn concerns(&self, (group, plural): (&str, &str), subresource: &str) -> bool {
        self.group == group && self.plural == plural && self.subresource == subresource
    }
}

const fn row(group: &'static str, plural: &'static str, when: When, at: &'static [&'static str], warn: Warn) -> Row {
    Row { group, plural, subresource: "", when, at, warn }
}

const fn status(group: &'static str, plural: &'static str, at: &'static [&'static str], warn: Warn) -> Row {
    Row { group, plural, subresource: "status", when: When::Always, at, warn }
}

const TEMPLATE: &[&str] = &["spec", "template"];

pub(super) static ROWS: &[Row] = &[
    row("", "endpoints", When::Always, &[], deprecated_endpoints),
    row("", "endpoints", When::Always, &[], endpoints),
    row("", "nodes", When::Always, &["spec"], node),
    row("", "persistentvolumeclaims", When::Always, &[], claim),
    row("", "persistentvolumes", When::Always, &[], volume),
    row("", "pods", When::Created, &[], pod_name),
    row("", "pods", When::Created, &[], pods::pod),
    status("", "pods", &["status"], pod_addresses),
    row("", "podtemplates", When::Always, &["template"], pods::pod),
    row("", "replicationcontrollers", When::Created, &[], workload_name),
    row("", "replicationcontrollers", When::Moved, TEMPLATE, pods::pod),
    row("", "resourcequotas", When::Created, &["spec"], quota),
    row("", "secrets", When::Always, &[], secret),
    row("", "serviceaccounts", When::Always, &["metadata"], account),
    row("", "services", When::Always, &[], service),
    status("", "services", &["status", "loadBalancer"], balanced),
    row("apps", "daemonsets", When::Moved, TEMPLATE, pods::pod),
    row("apps", "deployments", When::Created, &[], workload_name),
    row("apps", "deployments", When::Moved, TEMPLATE, pods::pod),
    row("apps", "replicasets", When::Created, &[], workload_name),
    row("apps", "replicasets", When::Moved, TEMPLATE, pods::pod),
    row("apps", "statefulsets", When::Moved, TEMPLATE, pods::pod),
    row("apps", "statefulsets", When::Always, &["spec"], stateful),
    row("batch", "cronjobs", When::Created, &[], workload_name),
    row("batch", "cronjobs", When::Moved, &["spec", "jobTemplate", "spec"], job),
    row("batch", "cronjobs", When::Changed, &["spec"], zone_in_schedule),
    row("batch", "jobs", When::Created, &[], workload_name),
    row("batch", "jobs", When::Moved, &["spec"], job),
    row("discovery.k8s.io", "endpointslices", When::Created, &[], deprecated_type),
    row("discovery.k8s.io", "endpointslices", When::Always, &[], slice),
    row("networking.k8s.io", "ingresses", When::Created, &[], ingress),
    status("networking.k8s.io", "ingresses", &["status", "loadBalancer"], balanced),
    row("networking.k8s.io", "networkpolicies", When::Always, &["spec"], policy),
    row("node.k8s.io", "runtimeclasses", When::Always, &["scheduling"], old_node_labels),
    row("resource.k8s.io", "resourceslices", When::Always, &["spec"], device_slice),
    row("storage.k8s.io", "csidrivers", When::Always, &[], storage_driver),
    row("storage.k8s.io", "csistoragecapacities", When::Always, &["nodeTopology"], old_topology),
    row("storage.k8s.io", "storageclasses", When::Always, &[], old_topologies),
];

fn deprecated_endpoints(_: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    said.say("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");
}

/// Controllers put right what they take over, so nothing of theirs is looked at.
fn is_of(path: &FieldPath<'_, '_>, label: &str, controllers: &[&str]) -> bool {
    let manager = path.at(&["metadata", "labels", label]).and_then(|value| value.as_str());
    manager.is_some_and(|manager| controllers.contains(&manager))
}

fn endpoints(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    if is_of(path, "endpoints.kubernetes.io/managed-by", &["endpoint-controller"]) {
        return;
    }
    each(path, "subsets", &mut |subset| {
        for field in ["addresses", "notReadyAddresses"] {
            each(subset, field, &mut |path| addresses::address(path, "ip", path.text("ip"), said));
        }
    });
}

fn slice(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    let controllers = ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];
    if !is_of(path, "endpointslice.kubernetes.io/managed-by", &controllers) {
        each(path, "endpoints", &mut |path| addresses::addresses(path, "addresses", said));
    }
}

fn deprecated_type(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    if path.text("addressType") == "FQDN" {
        said.say("spec.addressType: FQDN endpoints are deprecated");
    }
}

fn node(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    if path.has("configSource") {
        said.at(path, "configSource", "the feature is removed");
    }
    if !path.text("externalID").is_empty() {
        said.at(path, "externalID", "this field is deprecated, and is unused by Kubernetes");
    }
    addresses::ranges(path, "podCIDRs", said);
}

const STORAGE_CLASS: &str = "deprecated since v1.8; use \"storageClassName\" attribute instead";

fn annotation(path: &FieldPath<'_, '_>, key: &str, text: &str, said: &mut Said) {
    if path.at(&["metadata", "annotations", key]).is_some() {
        said.at(path, &format!("metadata.annotations[{key}]"), text);
    }
}

fn claim(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    annotation(path, "volume.beta.kubernetes.io/storage-class", STORAGE_CLASS, said);
    inside(path, &["spec"], &mut |spec| pods::claimed(spec, "resources", said));
}

fn volume(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    annotation(path, "volume.beta.kubernetes.io/storage-class", STORAGE_CLASS, said);
    let options = "deprecated since v1.31; use \"mountOptions\" attribute instead";
    annotation(path, "volume.beta.kubernetes.io/mount-options", options, said);
    inside(path, &["spec"], &mut |spec| {
        if spec.text("persistentVolumeReclaimPolicy") == "Recycle" {
            let text = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.";
            said.at(spec, "persistentVolumeReclaimPolicy", text);
        }
        inside(spec, &["nodeAffinity", "required"], &mut |required| {
            each(required, "nodeSelectorTerms", &mut |term| pods::term(term, said));
        });
        let known = ["cephfs", "photonPersistentDisk", "scaleIO", "storageOS", "glusterfs", "rbd"];
        pods::old_plugins(spec, &known, said);
    });
}

fn labels_wanted(path: &FieldPath<'_, '_>, of: &str, said: &mut Said) {
    let messages = names::dns_1123_label(path.at(&["metadata", "name"]).and_then(|v| v.as_str()).unwrap_or_default());
    if !messages.is_empty() {
        let surprise = "which can result in surprising behavior; a DNS label is recommended";
        said.say(format!("metadata.name: this is used in {of}, {surprise}: [{}]", messages.join(" ")));
    }
}

fn pod_name(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    labels_wanted(path, "the Pod's hostname", said);
}

fn workload_name(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    labels_wanted(path, "Pod names and hostnames", said);
}

fn pod_addresses(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    for field in ["podIPs", "hostIPs"] {
        each(path, field, &mut |path| addresses::address(path, "ip", path.text("ip"), said));
    }
}

fn quota(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    let amount = |name: &str| {
        let text = path.at(&["hard", name])?.as_str()?;
        Some((Quantity::parse(text).ok()?, text))
    };
    for resource in ["cpu", "memory", "storage", "ephemeral-storage"] {
        let (mut requests, limits) = (format!("requests.{resource}"), format!("limits.{resource}"));
        if amount(&requests).is_none() && ["cpu", "memory"].contains(&resource) {
            requests = resource.to_owned();
        }
        let (Some(request), Some(limit)) = (amount(&requests), amount(&limits)) else { continue };
        if request.0 > limit.0 {
            let (least, most) = (request.1, limit.1);
            said.say(format!("ResourceQuota {requests} ({least}) should be less than {limits} ({most})"));
        }
    }
}

/// A pair that TLS could not use. Only what is plainly no PEM is told.
fn secret(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    if path.text("type") != "kubernetes.io/tls" {
        return;
    }
    let holds_pem = |key: &str| {
        let bytes = path.at(&["data", key]).and_then(|value| value.as_bytes()).unwrap_or_default();
        bytes.windows(11).any(|window| window == b"-----BEGIN ")
    };
    if !holds_pem("tls.crt") {
        said.say("tls: failed to find any PEM data in certificate input");
    } else if !holds_pem("tls.key") {
        said.say("tls: failed to find any PEM data in key input");
    }
}

fn account(path: &FieldPath<'_, '_>, old: Option<&Struct>, said: &mut Said) {
    const KEY: &str = "kubernetes.io/enforce-mountable-secrets";
    let had = old.is_some_and(|old| FieldPath::root(old).at(&["metadata", "annotations", KEY]).is_some());
    if !had && path.at(&["annotations", KEY]).is_some() {
        let text = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
        said.at(path, &format!("annotations[{KEY}]"), text);
    }
}

fn service(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    if path.at(&["metadata", "annotations", HINTS]).is_some() {
        let other = "service.kubernetes.io/topology-mode";
        said.say(format!("annotation {HINTS} is deprecated, please use {other} instead"));
    }
    inside(path, &["spec"], &mut |spec| service_spec(spec, said));
}

fn service_spec(spec: &FieldPath<'_, '_>, said: &mut Said) {
    let (kind, cluster_ip) = (spec.text("type"), spec.text("clusterIP"));
    let external = spec.texts("externalIPs").next().is_some();
    if !["", "None"].contains(&cluster_ip) {
        addresses::addresses(spec, "clusterIPs", said);
    }
    let headless = kind == "ClusterIP" && cluster_ip == "None";
    let outside = kind == "ExternalName";
    let balancer = spec.text("loadBalancerIP");
    let mut ignored = |is: bool, text: &str| is.then(|| said.say(text));
    ignored(headless && !balancer.is_empty(), "spec.loadBalancerIP is ignored for headless services");
    ignored(headless && external, "spec.externalIPs is ignored for headless services");
    let sticky = spec.text("sessionAffinity") != "None";
    ignored(headless && sticky, "spec.SessionAffinity is ignored for headless services");
    addresses::addresses(spec, "externalIPs", said);
    if !balancer.is_empty() {
        addresses::address(spec, "loadBalancerIP", balancer, said);
    }
    addresses::ranges(spec, "loadBalancerSourceRanges", said);
    let mut ignored = |is: bool, text: &str| is.then(|| said.say(text));
    ignored(outside && external, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    let named = !spec.text("externalName").is_empty();
    ignored(!outside && named, "spec.externalName is ignored when spec.type is not \"ExternalName\"");
    if spec.text("trafficDistribution") == "PreferClose" {
        said.at(spec, "trafficDistribution", "\"PreferClose\" is deprecated; use \"PreferSameZone\"");
    }
}

fn balanced(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    for (at, ingress) in path.structs("ingress").enumerate() {
        let text = ingress.get("ip").and_then(|value| value.as_str()).unwrap_or_default();
        addresses::address(path, &format!("ingress[{at}]"), text, said);
    }
}

fn stateful(path: &FieldPath<'_, '_>, old: Option<&Struct>, said: &mut Said) {
    // The real server names the path in two ways.
    let shown = if old.is_some() { "Spec.resources" } else { "resources" };
    each(path, "volumeClaimTemplates", &mut |template| {
        if let Some(spec) = template.child("spec") {
            pods::claimed_as(&FieldPath::root(spec), template, shown, said);
        }
    });
    if path.number("revisionHistoryLimit").is_some_and(|limit| limit < 0) {
        let text = "a negative value retains all historical revisions; a value >= 0 is recommended";
        said.at(path, "revisionHistoryLimit", text);
    }
}

fn job(path: &FieldPath<'_, '_>, old: Option<&Struct>, said: &mut Said) {
    let more = |field: &str, limit: i64| path.number(field).unwrap_or_default() > limit;
    if path.text("completionMode") == "Indexed" && more("completions", 100_000) && more("parallelism", 10_000) {
        let text = "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
                    Kubernetes might not be able to track completedIndexes when a big number of indexes fail";
        said.at(path, "", text);
    }
    inside(path, &["template"], &mut |path| pods::pod(path, old, said));
}

fn zone_in_schedule(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    if path.text("schedule").contains("TZ") {
        said.say(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details",
        );
    }
}

fn ingress(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    const CLASS: &str = "kubernetes.io/ingress.class";
    let classed = path.at(&["spec", "ingressClassName"]).is_some();
    if !classed && path.at(&["metadata", "annotations", CLASS]).is_some() {
        said.say(format!("annotation \"{CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"));
    }
}

fn policy(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        each(path, rules, &mut |rule| {
            each(rule, peers, &mut |peer| {
                inside(peer, &["ipBlock"], &mut |block| {
                    addresses::range(block, "cidr", block.text("cidr"), said);
                    addresses::ranges(block, "except", said);
                });
            });
        });
    }
}

fn device_slice(path: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    let driver = path.text("driver");
    if driver != driver.to_lowercase() {
        let driver = go_quote(driver);
        said.at(
            path,
            "driver",
            format_args!("driver names should be lowercase; {driver} contains uppercase characters"),
        );
    }
}

fn storage_driver(path: &FieldPath<'_, '_>, old: Option<&Struct>, said: &mut Said) {
    let tokens = path.at(&["spec", "tokenRequests"]);
    let some = tokens.and_then(|value| value.as_list()).is_some_and(|list| !list.is_empty());
    let same = old.is_some_and(|old| FieldPath::root(old).at(&["spec", "tokenRequests"]) == tokens);
    if some && !same && path.at(&["spec", "serviceAccountTokenInSecrets"]).is_none() {
        said.say(
            "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible \
             logging of tokens in volume attributes",
        );
    }
}

fn old_node_labels(scheduling: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    for text in scheduling.pairs("nodeSelector").filter_map(|(key, _)| pods::old_label(key)) {
        said.at(scheduling, "nodeSelector", text);
    }
}

fn old_topology(selector: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    pods::term(selector, said);
    for (key, _) in selector.pairs("matchLabels") {
        if let Some(text) = pods::old_label(key) {
            said.at(selector, &format!("matchLabels.{key}"), text);
        }
    }
}

fn old_topologies(class: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    each(class, "allowedTopologies", &mut |term| {
        each(term, "matchLabelExpressions", &mut |expression| {
            if let Some(text) = pods::old_label(expression.text("key")) {
                said.at(expression, "key", text);
            }
        });
    });
}
