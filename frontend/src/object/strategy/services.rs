//! What Services take from others: addresses of the cluster's range and ports of every node.
//!
//! An address belongs to the Service whose name the IPAddress object of that address carries: making it is the claim, so
//! that two servers never give out one address. Node ports are chosen among those that no Service in the cache has; the
//! bitmap of a real server's repair loop is not kept.

use std::{collections::HashSet, net::IpAddr};

use crate::api::schema::codec;
use crate::{
    api::schema::{Object, Value},
    cluster::Cluster,
    cluster::Target,
    request::status::{ApiError, FieldError},
    store::{CreateOutcome, Scope},
};

const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;
/// Random addresses tried before all are tried in turn.
const GUESSES: usize = 32;

/// What was taken for an object that is not stored yet, and what it gives up once it is. Travels with the object to the
/// store, whose answer decides: a dropped value would leave addresses to nobody.
#[must_use = "claims are committed, undone or kept by the answer of the store"]
#[derive(Debug, Default)]
pub struct Claims {
    /// Keys of addresses that were made for the object.
    taken: Vec<String>,
    /// Keys of addresses that the object had before.
    to_release: Vec<String>,
    /// Whose they are: namespace and name of the Service.
    owner: (String, String),
}

impl Claims {
    /// The object is stored: what it had before is free.
    pub async fn commit(self, cluster: &Cluster) {
        for key in &self.to_release {
            give_back(cluster, key, &self.owner).await;
        }
    }

    /// The object is not stored: what was taken for it is free.
    pub async fn undo(self, cluster: &Cluster) {
        for key in &self.taken {
            give_back(cluster, key, &self.owner).await;
        }
    }

    /// Nobody knows whether the object is stored: everything stays as it is.
    pub fn keep(self) {}
}

/// Frees an address, if it still is this Service's.
async fn give_back(cluster: &Cluster, key: &str, owner: &(String, String)) {
    let Ok(Some(stored)) = cluster.store.get(key).await else { return };
    let schema = cluster.schema();
    let Ok(address) = codec::decode_stored(&schema, &stored.value) else { return };
    if !is_owned_by(&address, owner) {
        return;
    }
    if let Err(error) = cluster.store.delete(key, stored.mod_revision).await {
        tracing::warn!(key, %error, "an address stays taken");
    }
}

fn is_owned_by(address: &Object, (namespace, name): &(String, String)) -> bool {
    let part = |field| address.get_str(&["spec", "parentRef", field]);
    part("namespace") == Some(namespace) && part("name") == Some(name)
}

fn text<'a>(object: &'a Object, name: &str) -> &'a str {
    object.get_str(&["spec", name]).unwrap_or_default()
}

fn needs_address(service: &Object) -> bool {
    text(service, "type") != "ExternalName" && text(service, "clusterIP") != "None"
}

fn needs_node_ports(service: &Object) -> bool {
    match text(service, "type") {
        "NodePort" => true,
        "LoadBalancer" => service.get_bool(&["spec", "allocateLoadBalancerNodePorts"]) != Some(false),
        _ => false,
    }
}

/// A changed Service keeps what it has where the client says nothing.
pub fn keep_claims(target: &Target, object: &mut Object, old: &Object) {
    if target.row() != ("", "services") || target.subresource.is_some() {
        return;
    }
    drop_fields_of_other_types(object, old);
    if text(object, "type") == "ExternalName" {
        if text(old, "type") != "ExternalName" {
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                object.remove(&["spec", field]);
            }
        }
        return;
    }
    if text(object, "clusterIP").is_empty() && text(old, "type") != "ExternalName" {
        for field in ["clusterIP", "clusterIPs"] {
            object.copy_from(old, &["spec", field]);
        }
    }
    for field in ["ipFamilies", "ipFamilyPolicy"] {
        if object.get(&["spec", field]).is_none() {
            object.copy_from(old, &["spec", field]);
        }
    }
    settle_node_ports(object, old);
}

/// A Service that changes its type loses what only the old type has, unless the client set it anew.
fn drop_fields_of_other_types(object: &mut Object, old: &Object) {
    let outside = |s: &Object| matches!(text(s, "type"), "NodePort" | "LoadBalancer");
    let mut fields: Vec<&str> = Vec::new();
    if outside(old) && !outside(object) {
        fields.extend(["externalTrafficPolicy", "healthCheckNodePort"]);
    }
    if text(old, "type") == "LoadBalancer" && text(object, "type") != "LoadBalancer" {
        fields.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if text(object, "type") == "ExternalName" && text(old, "type") != "ExternalName" {
        fields.push("internalTrafficPolicy");
    }
    for field in fields {
        if object.get(&["spec", field]) == old.get(&["spec", field]) {
            object.remove(&["spec", field]);
        }
    }
}

/// Ports that stay keep their node port; a type without node ports drops those that it did not choose itself.
fn settle_node_ports(object: &mut Object, old: &Object) {
    let wanted = needs_node_ports(object);
    let before: Vec<(i64, String, i64)> = ports_of(old);
    let Some(Value::List(ports)) = object.get_mut(&["spec", "ports"]) else { return };
    for port in ports.iter_mut().filter_map(Value::as_struct_mut) {
        let (number, protocol) = (
            port.get("port").and_then(Value::as_i64).unwrap_or(0),
            port.get("protocol").and_then(Value::as_str).unwrap_or("TCP").to_owned(),
        );
        let known = before.iter().find(|(n, p, _)| *n == number && *p == protocol).map(|(_, _, node)| *node);
        let given = port.get("nodePort").and_then(Value::as_i64).unwrap_or(0);
        match (wanted, known) {
            (true, Some(node)) if given == 0 && node != 0 => drop(port.set("nodePort", node)),
            (false, Some(node)) if given == node => drop(port.remove("nodePort")),
            _ => {}
        }
    }
}

/// Port, protocol and node port of each.
fn ports_of(service: &Object) -> Vec<(i64, String, i64)> {
    let ports = service.get_list(&["spec", "ports"]).unwrap_or_default();
    let number = |port: &Value, name| port.child(name).and_then(Value::as_i64).unwrap_or(0);
    let protocol = |port: &Value| port.child("protocol").and_then(Value::as_str).unwrap_or("TCP").to_owned();
    ports.iter().map(|port| (number(port, "port"), protocol(port), number(port, "nodePort"))).collect()
}

/// Takes what an object needs, writing it into the object.
pub async fn claim(
    cluster: &Cluster,
    target: &Target,
    object: &mut Object,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<Claims, ApiError> {
    let mut claims = Claims { owner: (target.namespace.clone(), object.name().to_owned()), ..Claims::default() };
    if target.row() != ("", "services") || target.subresource.is_some() {
        return Ok(claims);
    }
    settle_families(object);
    if needs_address(object) {
        let had = old.filter(|old| needs_address(old)).map(|old| text(old, "clusterIP").to_owned()).unwrap_or_default();
        let asked = text(object, "clusterIP").to_owned();
        if asked.is_empty() {
            let address = take_any(cluster, target, dry_run, &mut claims).await?;
            object.set(&["spec", "clusterIP"], address.as_str());
        } else if asked != had && !dry_run {
            take(cluster, target, object, &asked, &mut claims).await?;
        }
        let address = text(object, "clusterIP").to_owned();
        object.set(&["spec", "clusterIPs"], Value::List(vec![Value::from(address.as_str())]));
    } else if text(object, "clusterIP") == "None" {
        object.set(&["spec", "clusterIPs"], Value::List(vec![Value::from("None")]));
    }
    if needs_node_ports(object) {
        choose_node_ports(cluster, target, object)?;
    }
    let checks_health = text(object, "type") == "LoadBalancer" && text(object, "externalTrafficPolicy") == "Local";
    if checks_health && object.get_i64(&["spec", "healthCheckNodePort"]).unwrap_or(0) == 0 {
        let own: Vec<(i64, i64)> = ports_of(object).into_iter().map(|p| (p.0, p.2)).collect();
        let port = free_node_port(&node_ports_in_use(cluster, target, object), &own)?;
        object.set(&["spec", "healthCheckNodePort"], port);
    }
    if let Some(old) = old.filter(|old| needs_address(old) && !dry_run)
        && text(old, "clusterIP") != text(object, "clusterIP")
    {
        claims.to_release.push(address_key(cluster, text(old, "clusterIP")));
    }
    Ok(claims)
}

/// Families and policy that the client leaves open, for a cluster of IPv4; both names of one address.
pub(super) fn settle_families(object: &mut Object) {
    if text(object, "type") == "ExternalName" {
        return;
    }
    if text(object, "clusterIP").is_empty()
        && let Some(first) = object.get_list(&["spec", "clusterIPs"]).and_then(|l| l.first()).and_then(Value::as_str)
    {
        let first = first.to_owned();
        object.set(&["spec", "clusterIP"], first);
    }
    let single = text(object, "clusterIP").to_owned();
    if !single.is_empty() && object.get_list(&["spec", "clusterIPs"]).unwrap_or_default().is_empty() {
        object.set(&["spec", "clusterIPs"], Value::List(vec![Value::from(single)]));
    }
    let selector = object.get_map(&["spec", "selector"]).is_some_and(|m| !m.is_empty());
    let any_family = text(object, "clusterIP") == "None" && !selector;
    if object.get(&["spec", "ipFamilyPolicy"]).is_none() {
        object.set(&["spec", "ipFamilyPolicy"], if any_family { "RequireDualStack" } else { "SingleStack" });
    }
    if object.get_list(&["spec", "ipFamilies"]).unwrap_or_default().is_empty() {
        let names: &[&str] = if any_family { &["IPv4", "IPv6"] } else { &["IPv4"] };
        object.set(&["spec", "ipFamilies"], Value::List(names.iter().map(|n| Value::from(*n)).collect()));
    }
}

fn address_key(cluster: &Cluster, address: &str) -> String {
    format!("{}/ipaddresses/{address}", cluster.store.prefix())
}

/// Takes one address by making its object; false if somebody has it.
async fn make_address(
    cluster: &Cluster,
    target: &Target,
    address: &str,
    claims: &mut Claims,
) -> Result<bool, ApiError> {
    let unavailable = |error: &dyn std::fmt::Display| {
        ApiError::internal("failed to allocate a serviceIP: the address could not be stored").with_internal(error)
    };
    let row = target.api.registry.get("networking.k8s.io", "v1", "ipaddresses").cloned();
    let kind = target.api.schema.kind("networking.k8s.io", "v1", "IPAddress");
    let (Some(resource), Some(kind)) = (row, kind) else { return Err(unavailable(&"no IPAddress kind")) };
    let mut object = Object::new(&kind);
    object.set_name(address);
    object.set_uid(&uuid::Uuid::new_v4().to_string());
    object.set_creation_timestamp(&cluster.now_text());
    let family = if address.contains(':') { "IPv6" } else { "IPv4" };
    object.set_label("ipaddress.kubernetes.io/ip-family", family);
    object.set_label("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io");
    let owner = [("resource", "services"), ("namespace", &target.namespace), ("name", &target.name)];
    for (field, value) in owner {
        object.set(&["spec", "parentRef", field], value);
    }
    let addresses = Target { resource, kind, namespace: String::new(), name: address.to_owned(), ..target.clone() };
    let key = address_key(cluster, address);
    match cluster.store.create(&key, addresses.encode(&object)?, None).await.map_err(|error| unavailable(&error))? {
        CreateOutcome::Created { .. } => {
            claims.taken.push(key);
            Ok(true)
        }
        CreateOutcome::Exists => Ok(false),
    }
}

async fn take_any(cluster: &Cluster, target: &Target, dry_run: bool, claims: &mut Claims) -> Result<String, ApiError> {
    let Some(range) = cluster.settings.service_cidrs.first() else {
        return Err(ApiError::internal("failed to allocate a serviceIP: no range of service addresses is configured"));
    };
    let size: u128 = 1u128.checked_shl(u32::from(range.size_bits())).unwrap_or(u128::MAX);
    // The network's own address and the broadcast address are nobody's.
    let usable = size.saturating_sub(2).clamp(1, 1 << 20);
    let at = |offset: u128| match range.first() {
        IpAddr::V4(first) => IpAddr::V4(u32::from(first).wrapping_add(u32::try_from(offset).unwrap_or(0)).into()),
        IpAddr::V6(first) => IpAddr::V6(u128::from(first).wrapping_add(offset).into()),
    };
    // The lowest addresses are left to those who ask for one by number.
    let reserved = (usable / 16).clamp(0, 256).min(usable - 1);
    let guesses = (0..GUESSES).map(|_| rand::random_range(reserved..usable));
    for offset in guesses.chain(reserved..usable).chain(0..reserved) {
        let address = at(offset).to_string();
        if cluster.store.cache().get(&address_key(cluster, &address)).is_ok_and(|entry| entry.is_some()) {
            continue;
        }
        if dry_run || make_address(cluster, target, &address, claims).await? {
            return Ok(address);
        }
    }
    Err(ApiError::internal("failed to allocate a serviceIP: range is full"))
}

/// Takes the address that the client asks for.
async fn take(
    cluster: &Cluster,
    target: &Target,
    service: &Object,
    address: &str,
    claims: &mut Claims,
) -> Result<(), ApiError> {
    if make_address(cluster, target, address, claims).await? || owned_by(cluster, target, address).await {
        return Ok(());
    }
    let printed = format!("[{}]", crate::request::status::go_quote(address));
    let detail = format!("failed to allocate IP {address}: provided IP is already allocated");
    let error = FieldError::invalid_value("spec.clusterIPs", printed, detail);
    Err(ApiError::invalid("", "Service", service.name(), vec![error]))
}

/// The address may have been made for this very Service by another server that did not get further.
async fn owned_by(cluster: &Cluster, target: &Target, address: &str) -> bool {
    let Ok(Some(stored)) = cluster.store.get(&address_key(cluster, address)).await else { return false };
    target.decode_any(&stored).is_ok_and(|object| {
        object.get_str(&["spec", "parentRef", "namespace"]) == Some(&target.namespace)
            && object.get_str(&["spec", "parentRef", "name"]) == Some(&target.name)
    })
}

/// Gives every port a node port, the same one to a number that is served over several protocols.
fn choose_node_ports(cluster: &Cluster, target: &Target, object: &mut Object) -> Result<(), ApiError> {
    let taken = node_ports_in_use(cluster, target, object);
    let mut own: Vec<(i64, i64)> = ports_of(object).into_iter().filter(|p| p.2 != 0).map(|p| (p.0, p.2)).collect();
    for (at, (_, _, node)) in ports_of(object).into_iter().enumerate() {
        if node != 0 && !NODE_PORTS.contains(&node) {
            let detail = "provided port is not in the valid range. The range of valid ports is 30000-32767";
            let error = FieldError::invalid_value(format!("spec.ports[{at}].nodePort"), node, detail);
            return Err(ApiError::invalid("", "Service", object.name(), vec![error]));
        }
        if node != 0 && taken.contains(&node) {
            let field = format!("spec.ports[{at}].nodePort");
            let error = FieldError::invalid_value(field, node, "provided port is already allocated");
            return Err(ApiError::invalid("", "Service", object.name(), vec![error]));
        }
    }
    let Some(Value::List(ports)) = object.get_mut(&["spec", "ports"]) else { return Ok(()) };
    for port in ports.iter_mut().filter_map(Value::as_struct_mut) {
        if port.get("nodePort").and_then(Value::as_i64).unwrap_or(0) != 0 {
            continue;
        }
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        let node = match own.iter().find(|(n, _)| *n == number) {
            Some((_, node)) => *node,
            None => free_node_port(&taken, &own)?,
        };
        own.push((number, node));
        port.set("nodePort", node);
    }
    Ok(())
}

fn free_node_port(taken: &HashSet<i64>, own: &[(i64, i64)]) -> Result<i64, ApiError> {
    let free = |port: &i64| !taken.contains(port) && !own.iter().any(|(_, node)| node == port);
    let guess = (0..GUESSES).map(|_| rand::random_range(NODE_PORTS)).find(free);
    guess
        .or_else(|| NODE_PORTS.clone().find(free))
        .ok_or_else(|| ApiError::internal("failed to allocate a nodePort: range is full"))
}

fn node_ports_in_use(cluster: &Cluster, target: &Target, object: &Object) -> HashSet<i64> {
    let scope = Scope::resource(&format!("{}/services/specs", cluster.store.prefix()));
    let Ok(snapshot) = cluster.store.cache().snapshot(&scope) else { return HashSet::new() };
    let others = snapshot.iter().filter(|e| e.name() != object.name() || e.namespace() != target.namespace);
    let services = others.filter_map(|entry| target.decode_any(&entry.stored()).ok());
    let ports = |service: Object| {
        let health = service.get_i64(&["spec", "healthCheckNodePort"]).unwrap_or(0);
        ports_of(&service).into_iter().map(|(_, _, node)| node).chain([health])
    };
    services.flat_map(ports).filter(|node| *node != 0).collect()
}

/// What a removed object gives up.
pub fn claims_of(cluster: &Cluster, target: &Target, object: &Object) -> Claims {
    let owner = (target.namespace.clone(), object.name().to_owned());
    let has = target.row() == ("", "services") && needs_address(object) && !text(object, "clusterIP").is_empty();
    let to_release = if has { vec![address_key(cluster, text(object, "clusterIP"))] } else { Vec::new() };
    Claims { taken: Vec::new(), to_release, owner }
}
