//! What a kubelet may do: act on what belongs to its node, and read what the pods on its node refer to.
//!
//! In: attributes of a user `system:node:NAME` in the group `system:nodes`. Out: permission or silence, never a denial.
//! Relations are looked up when they are asked for, among the objects that the informer keeps: a question costs the
//! pods of one namespace. Not here: what a kubelet may write into objects (the plugin NodeRestriction).

mod references;

use std::sync::Arc;

use futures::future::BoxFuture;
use references::{PodPart, claim_of, secrets_of_volume};

use super::{Attributes, Authorizer, Decision, Rules, rbac::Rule};
use crate::{
    api::schema::Object,
    cluster::{Cluster, ResourceName},
    request::User,
};

const NODES_GROUP: &str = "system:nodes";
const PODS: ResourceName<'static> = ("", "pods");
const VOLUMES: ResourceName<'static> = ("", "persistentvolumes");
const ATTACHMENTS: ResourceName<'static> = ("storage.k8s.io", "volumeattachments");
const SLICES: ResourceName<'static> = ("resource.k8s.io", "resourceslices");
const NODE_LEASES: &str = "kube-node-lease";

/// The node that a user is; empty if the user is a node without a name.
pub fn node_of(user: &User) -> Option<&str> {
    user.name.strip_prefix("system:node:").filter(|_| user.is_in(NODES_GROUP))
}

/// Permits what a node needs.
pub struct Node {
    cluster: Arc<Cluster>,
    /// What every node may do, whatever the object.
    rules: Vec<Rule>,
}

/// An object that pods may lead to.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Pod(&'a str),
    Part(PodPart, &'a str),
    Secret(&'a str),
    Volume(&'a str),
    Attachment(&'a str),
    Slice(&'a str),
}

fn silence(reason: impl Into<String>) -> Decision {
    Decision::no_opinion(reason)
}

impl Node {
    pub fn new(cluster: Arc<Cluster>, rules: Vec<Rule>) -> Node {
        Node { cluster, rules }
    }

    fn decide(&self, node: &str, asked: &Attributes) -> Decision {
        if asked.is_resource {
            let name = asked.name.as_str();
            match (asked.group.as_str(), asked.resource.as_str()) {
                ("", "secrets") => return self.read(node, asked, Wanted::Secret(name)),
                ("", "configmaps") => return self.read(node, asked, Wanted::Part(PodPart::ConfigMap, name)),
                ("", "persistentvolumeclaims") => return self.claim(node, asked),
                ("", "persistentvolumes") => return self.get(node, asked, Wanted::Volume(name)),
                ("resource.k8s.io", "resourceclaims") => {
                    return self.get(node, asked, Wanted::Part(PodPart::ResourceClaim, name));
                }
                ("storage.k8s.io", "volumeattachments") => return self.get(node, asked, Wanted::Attachment(name)),
                ("", "serviceaccounts") => return self.service_account(node, asked),
                ("coordination.k8s.io", "leases") => return lease(node, asked),
                ("storage.k8s.io", "csinodes") => return csi_node(node, asked),
                ("resource.k8s.io", "resourceslices") => return self.slice(node, asked),
                ("", "nodes") => return own_node(node, asked),
                ("", "pods") => return self.pod(node, asked),
                ("certificates.k8s.io", "podcertificaterequests") => return silence(""),
                _ => {}
            }
        }
        match self.rules.iter().any(|rule| rule.allows(asked)) {
            true => Decision::allow(""),
            false => silence(""),
        }
    }

    fn related(&self, node: &str, asked: &Attributes, wanted: Wanted<'_>) -> Decision {
        if asked.name.is_empty() {
            return silence("No Object name found");
        }
        match self.leads_to(node, &asked.namespace, wanted) {
            true => Decision::allow(""),
            false => silence(format!("no relationship found between node '{node}' and this object")),
        }
    }

    fn get(&self, node: &str, asked: &Attributes, wanted: Wanted<'_>) -> Decision {
        if asked.verb != "get" {
            return silence("can only get individual resources of this type");
        }
        if !asked.subresource.is_empty() {
            return silence("cannot get subresource");
        }
        self.related(node, asked, wanted)
    }

    fn read(&self, node: &str, asked: &Attributes, wanted: Wanted<'_>) -> Decision {
        if !["get", "list", "watch"].contains(&asked.verb.as_str()) {
            return silence("can only read resources of this type");
        }
        if !asked.subresource.is_empty() {
            return silence("cannot read subresource");
        }
        if asked.namespace.is_empty() {
            return silence("can only read namespaced object of this type");
        }
        self.related(node, asked, wanted)
    }

    fn claim(&self, node: &str, asked: &Attributes) -> Decision {
        let wanted = Wanted::Part(PodPart::Claim, &asked.name);
        if asked.subresource != "status" {
            return self.get(node, asked, wanted);
        }
        match asked.verb.as_str() {
            "update" | "patch" => self.related(node, asked, wanted),
            _ => silence("can only get/update/patch this type"),
        }
    }

    fn service_account(&self, node: &str, asked: &Attributes) -> Decision {
        let wanted = Wanted::Part(PodPart::ServiceAccount, &asked.name);
        if asked.verb == "get" && asked.subresource.is_empty() {
            return self.read(node, asked, wanted);
        }
        if asked.verb != "create" || asked.name.is_empty() {
            return silence("can only create tokens for individual service accounts");
        }
        if asked.subresource != "token" {
            return silence("can only create token subresource of serviceaccount");
        }
        self.related(node, asked, wanted)
    }

    fn slice(&self, node: &str, asked: &Attributes) -> Decision {
        if !asked.subresource.is_empty() {
            return silence("cannot authorize ResourceSlice subresources");
        }
        match asked.verb.as_str() {
            "create" => Decision::allow(""),
            "get" | "update" | "patch" | "delete" => self.related(node, asked, Wanted::Slice(&asked.name)),
            "watch" | "list" | "deletecollection" => match asked.selects("spec.nodeName", node) {
                true => Decision::allow(""),
                false => silence("can only list/watch/deletecollection resourceslices with nodeName field selector"),
            },
            _ => silence(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
            ),
        }
    }

    fn pod(&self, node: &str, asked: &Attributes) -> Decision {
        let wanted = Wanted::Pod(&asked.name);
        match (asked.subresource.as_str(), asked.verb.as_str()) {
            ("", "get") => self.get(node, asked, wanted),
            ("", "list" | "watch") if asked.selects("spec.nodeName", node) => Decision::allow(""),
            ("", "list" | "watch") if !asked.name.is_empty() => self.related(node, asked, wanted),
            ("", "list" | "watch") => silence("can only list/watch pods with spec.nodeName field selector"),
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Decision::allow(""),
            _ => silence(""),
        }
    }

    /// Whether a pod of the node is, or leads to, what is wanted. What cannot be read leads nowhere.
    fn leads_to(&self, node: &str, namespace: &str, wanted: Wanted<'_>) -> bool {
        let informer = self.cluster.informer();
        let object = |of, name| informer.get(of, "", name).ok().flatten();
        match wanted {
            Wanted::Pod(name) => {
                informer.get(PODS, namespace, name).ok().flatten().is_some_and(|pod| runs_on(&pod, node))
            }
            Wanted::Part(part, name) => self.pods(node, namespace).any(|pod| references::has(&pod, part, name)),
            Wanted::Secret(name) => {
                self.pods(node, namespace).any(|pod| references::has(&pod, PodPart::Secret, name))
                    || self.volume_with_secret(node, namespace, name)
            }
            Wanted::Volume(name) => object(VOLUMES, name).is_some_and(|volume| self.uses_volume(node, &volume)),
            Wanted::Attachment(name) => {
                object(ATTACHMENTS, name).is_some_and(|found| found.get_str(&["spec", "nodeName"]) == Some(node))
            }
            Wanted::Slice(name) => {
                object(SLICES, name).is_some_and(|found| found.get_str(&["spec", "nodeName"]) == Some(node))
            }
        }
    }

    fn pods(&self, node: &str, namespace: &str) -> impl Iterator<Item = Arc<Object>> {
        let pods = if namespace.is_empty() { Vec::new() } else { self.all(PODS, namespace) };
        pods.into_iter().filter(move |pod| runs_on(pod, node))
    }

    fn all(&self, of: ResourceName<'_>, namespace: &str) -> Vec<Arc<Object>> {
        self.cluster.informer().list(of, namespace).unwrap_or_default()
    }

    fn uses_volume(&self, node: &str, volume: &Object) -> bool {
        let Some((namespace, claim)) = claim_of(volume) else { return false };
        self.pods(node, namespace).any(|pod| references::has(&pod, PodPart::Claim, claim))
    }

    fn volume_with_secret(&self, node: &str, namespace: &str, name: &str) -> bool {
        let has_secret = |volume: &Arc<Object>| secrets_of_volume(volume).contains(&(namespace, name));
        self.all(VOLUMES, "").iter().filter(|volume| has_secret(volume)).any(|volume| self.uses_volume(node, volume))
    }
}

fn runs_on(pod: &Object, node: &str) -> bool {
    pod.get_str(&["spec", "nodeName"]) == Some(node)
}

const ITS_OWN: [&str; 5] = ["get", "create", "update", "patch", "delete"];

fn lease(node: &str, asked: &Attributes) -> Decision {
    if !ITS_OWN.contains(&asked.verb.as_str()) {
        return silence("can only get, create, update, patch, or delete a node lease");
    }
    if asked.namespace != NODE_LEASES {
        return silence(format!("can only access leases in the \"{NODE_LEASES}\" system namespace"));
    }
    // The name of what is created is known to admission only.
    match asked.verb == "create" || asked.name == node {
        true => Decision::allow(""),
        false => silence("can only access node lease with the same name as the requesting node"),
    }
}

fn csi_node(node: &str, asked: &Attributes) -> Decision {
    if !ITS_OWN.contains(&asked.verb.as_str()) {
        return silence("can only get, create, update, patch, or delete a CSINode");
    }
    if !asked.subresource.is_empty() {
        return silence("cannot authorize CSINode subresources");
    }
    match asked.verb == "create" || asked.name == node {
        true => Decision::allow(""),
        false => silence("can only access CSINode with the same name as the requesting node"),
    }
}

fn own_node(node: &str, asked: &Attributes) -> Decision {
    match (asked.subresource.as_str(), asked.verb.as_str()) {
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Decision::allow(""),
        ("", "get" | "list" | "watch") if asked.name == node => Decision::allow(""),
        ("", "get" | "list" | "watch") if asked.name.is_empty() => {
            silence(format!("node '{node}' cannot read all nodes, only its own Node object"))
        }
        ("", "get" | "list" | "watch") => {
            silence(format!("node '{node}' cannot read '{}', only its own Node object", asked.name))
        }
        _ => silence(""),
    }
}

impl Authorizer for Node {
    fn authorize<'a>(&'a self, asked: &'a Attributes) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            match node_of(&asked.user) {
                None => silence(""),
                Some("") => silence(format!("unknown node for user \"{}\"", asked.user.name)),
                Some(node) => self.decide(node, asked),
            }
        })
    }

    fn rules(&self, user: &User, _: &str) -> Option<Rules> {
        let error = "node authorizer does not support user rule resolution".to_owned();
        node_of(user).map(|_| Rules { rules: Vec::new(), incomplete: true, error: Some(error) })
    }
}
