//! Where a request is handed on to: which kubelet, pod or service, at which path, with which query.
//!
//! In: the name in the request's path and its options. Out: a [`Location`], or the refusal of the real server. Not
//! here: calling it.

use std::{net::IpAddr, sync::Arc};

use http::Uri;

use super::url::{clean, escape_path, join_host_port, query};
use crate::{
    api::schema::{Object, Value},
    client::Client,
    cluster::{ResourceName, Target},
    request::status::{ApiError, go_quote},
    verbs::Context,
};

const PODS: ResourceName<'static> = ("", "pods");
const NODES: ResourceName<'static> = ("", "nodes");
const SERVICES: ResourceName<'static> = ("", "services");
const ENDPOINTS: ResourceName<'static> = ("", "endpoints");
/// Where kubelets listen that do not say where.
const KUBELET_PORT: i64 = 10250;

/// A URL in parts, and who calls it.
pub(super) struct Location {
    pub(super) client: Client,
    pub(super) scheme: &'static str,
    /// host:port
    pub(super) authority: String,
    /// Decoded.
    pub(super) path: String,
    pub(super) query: String,
}

impl Location {
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.path_and_query())
    }

    pub(super) fn path_and_query(&self) -> String {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        match self.query.as_str() {
            "" => escape_path(path),
            query => format!("{}?{query}", escape_path(path)),
        }
    }

    pub(super) fn uri(&self) -> Result<Uri, ApiError> {
        let url = self.url();
        url.parse().map_err(|error| ApiError::unknown(format!("invalid URL {url:?}: {error}")))
    }

    /// The same with what a client asks for below a proxy.
    pub(super) fn below(self, path: &str) -> Location {
        Location { path: clean(path), ..self }
    }
}

/// An object as it is now. One that is missing is called by the resource that was asked for, as the original calls it.
async fn get(ctx: &Context, target: &Target, of: ResourceName<'static>, name: &str) -> Result<Arc<Object>, ApiError> {
    let namespace = if of == NODES { "" } else { &target.namespace };
    let found = ctx.cluster.informer().read(of, namespace, name).await?;
    found.ok_or_else(|| ApiError::not_found(&target.group_resource(), name))
}

/// The text of a field; empty if absent.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.child(field).and_then(Value::as_str).unwrap_or_default()
}

/// A pod and, where it has one, its node.
pub(super) struct Pod(Arc<Object>);

impl Pod {
    pub(super) async fn get(ctx: &Context, target: &Target) -> Result<Pod, ApiError> {
        get(ctx, target, PODS, &target.name).await.map(Pod)
    }

    fn containers(&self, fields: &[&str]) -> Vec<&str> {
        let lists = fields.iter().filter_map(|field| self.0.get_list(&["spec", field]));
        lists.flatten().map(|container| text(container, "name")).collect()
    }

    /// The container that is meant: the named one, or the only one.
    pub(super) fn container(&self, asked: &str) -> Result<String, ApiError> {
        let name = self.0.name();
        let all = self.containers(&["initContainers", "containers", "ephemeralContainers"]);
        let refuse = |why: String| Err(ApiError::bad_request(why));
        if !asked.is_empty() {
            return match all.contains(&asked) {
                true => Ok(asked.to_owned()),
                false => refuse(format!("container {asked} is not valid for pod {name}")),
            };
        }
        match self.containers(&["containers"]).as_slice() {
            [only] => Ok((*only).to_owned()),
            [] => refuse(format!("a container name must be specified for pod {name}")),
            _ => {
                refuse(format!("a container name must be specified for pod {name}, choose one of: [{}]", all.join(" ")))
            }
        }
    }

    /// The kubelet that runs the pod; none before it is scheduled.
    pub(super) async fn kubelet(&self, ctx: &Context, target: &Target) -> Result<Option<Kubelet>, ApiError> {
        match self.0.get_str(&["spec", "nodeName"]) {
            None | Some("") => Ok(None),
            Some(node) => Kubelet::of(ctx, target, node).await.map(Some),
        }
    }

    /// `/KIND/NAMESPACE/POD` as kubelets spell it.
    pub(super) fn path(&self, kind: &str) -> String {
        format!("/{kind}/{}/{}", self.0.namespace(), self.0.name())
    }
}

/// Where a kubelet listens.
pub(super) struct Kubelet {
    host: String,
    port: String,
}

impl Kubelet {
    async fn of(ctx: &Context, target: &Target, node: &str) -> Result<Kubelet, ApiError> {
        let node = get(ctx, target, NODES, node).await?;
        let addresses = node.get_list(&["status", "addresses"]).unwrap_or_default();
        let of_kind = |kind: &String| addresses.iter().find(|address| text(address, "type") == kind);
        let Some(found) = ctx.backends.preferred_addresses().iter().find_map(of_kind) else {
            let known: Vec<String> = addresses
                .iter()
                .map(|address| format!("{{{} {}}}", text(address, "type"), text(address, "address")))
                .collect();
            let why = format!("no preferred addresses found; known addresses: [{}]", known.join(" "));
            return Err(ApiError::unknown(why));
        };
        let port = node.get_i64(&["status", "daemonEndpoints", "kubeletEndpoint", "Port"]).filter(|port| *port > 0);
        Ok(Kubelet { host: text(found, "address").to_owned(), port: port.unwrap_or(KUBELET_PORT).to_string() })
    }

    /// A path of the kubelet's API.
    pub(super) fn at(&self, client: Client, path: String, parameters: Vec<(&str, String)>) -> Location {
        let authority = join_host_port(&self.host, &self.port);
        Location { client, scheme: "https", authority, path, query: query(parameters) }
    }
}

/// A name in a proxy's path: `name`, `name:port` or `scheme:name:port`.
struct Named<'a> {
    scheme: &'static str,
    name: &'a str,
    port: &'a str,
}

impl<'a> Named<'a> {
    fn parse(id: &'a str) -> Option<Named<'a>> {
        let parts: Vec<&str> = id.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return None,
        };
        let scheme = match scheme {
            "" | "http" => "http",
            "https" => "https",
            _ => return None,
        };
        (!name.is_empty()).then_some(Named { scheme, name, port })
    }

    fn of(id: &'a str, what: &str) -> Result<Named<'a>, ApiError> {
        Named::parse(id).ok_or_else(|| ApiError::bad_request(format!("invalid {what} request {}", go_quote(id))))
    }

    /// Where it is found under plain HTTP or TLS, whoever answers there.
    fn at(&self, ctx: &Context, authority: String) -> Location {
        let client = ctx.backends.proxied();
        Location { client, scheme: self.scheme, authority, path: String::new(), query: String::new() }
    }
}

fn not_allowed() -> ApiError {
    ApiError::bad_request("address not allowed")
}

/// Addresses that a proxy may reach: not this host's own, nor those of a link, where clouds keep credentials.
fn is_global_unicast(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => return is_global_unicast(IpAddr::V4(mapped)),
            None => address.is_unicast_link_local(),
        },
    };
    !link_local && !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

/// A port of a pod: the named one, else the first that a container declares.
pub(super) async fn pod_proxy(ctx: &Context, target: &Target) -> Result<Location, ApiError> {
    let named = Named::of(&target.name, "pod")?;
    let pod = get(ctx, target, PODS, named.name).await?;
    let mut port = named.port.to_owned();
    if port.is_empty() {
        let containers = pod.get_list(&["spec", "containers"]).unwrap_or_default();
        let first = containers.iter().find_map(|container| container.child("ports")?.as_list()?.first());
        let first = first.and_then(|declared| declared.child("containerPort")?.as_i64());
        port = first.map_or_else(String::new, |port| port.to_string());
    }
    let addresses = pod.get_list(&["status", "podIPs"]).unwrap_or_default();
    let address = addresses.first().map(|address| text(address, "ip"));
    let address = address.or(pod.get_str(&["status", "podIP"])).unwrap_or_default();
    if !address.parse().is_ok_and(is_global_unicast) {
        return Err(not_allowed());
    }
    let default_port = if named.scheme == "https" { "443" } else { "80" };
    let port = if port.is_empty() { default_port } else { &port };
    Ok(named.at(ctx, join_host_port(address, port)))
}

/// The kubelet of a node, or another port of its host.
pub(super) async fn node_proxy(ctx: &Context, target: &Target) -> Result<Location, ApiError> {
    let named = Named::of(&target.name, "node")?;
    let kubelet = Kubelet::of(ctx, target, named.name).await?;
    let found = tokio::net::lookup_host((kubelet.host.as_str(), 0)).await;
    let found = found.map_err(|_| ApiError::bad_request(format!("lookup {}: no such host", kubelet.host)))?;
    if found.map(|address| address.ip()).any(|address| !is_global_unicast(address)) {
        return Err(not_allowed());
    }
    if named.port.is_empty() || named.port == kubelet.port {
        return Ok(kubelet.at(ctx.backends.kubelet(), String::new(), Vec::new()));
    }
    Ok(named.at(ctx, join_host_port(&kubelet.host, named.port)))
}

/// One of the pods behind a service, by chance.
pub(super) async fn service_proxy(ctx: &Context, target: &Target) -> Result<Location, ApiError> {
    let named = Named::of(&target.name, "service")?;
    let mut port_name = named.port.to_owned();
    if let Ok(number) = named.port.parse::<i64>() {
        let service = get(ctx, target, SERVICES, named.name).await?;
        let ports = service.get_list(&["spec", "ports"]).unwrap_or_default();
        let declared = ports.iter().find(|port| port.child("port").and_then(Value::as_i64) == Some(number));
        let declared = declared.ok_or_else(|| {
            ApiError::service_unavailable(format!(
                "no service port {number} found for service {}",
                go_quote(named.name)
            ))
        })?;
        port_name = text(declared, "name").to_owned();
    }
    let none = |of: &str| ApiError::service_unavailable(format!("no endpoints available for service {}", go_quote(of)));
    let endpoints = get(ctx, target, ENDPOINTS, named.name).await?;
    let subsets = endpoints.get_list(&["subsets"]).unwrap_or_default();
    if subsets.is_empty() {
        return Err(none(named.name));
    }
    for subset in from_anywhere(subsets) {
        let list = |field: &str| subset.child(field).and_then(Value::as_list).unwrap_or_default();
        let Some(port) = list("ports").iter().find(|port| text(port, "name") == port_name) else { continue };
        let port = port.child("port").and_then(Value::as_i64).unwrap_or_default().to_string();
        for address in from_anywhere(list("addresses")) {
            if is_of_a_pod(ctx, target, address).await {
                return Ok(named.at(ctx, join_host_port(text(address, "ip"), &port)));
            }
        }
    }
    Err(none(&target.name))
}

/// All items, beginning with any of them.
fn from_anywhere<T>(items: &[T]) -> impl Iterator<Item = &T> {
    let first = if items.is_empty() { 0 } else { rand::random_range(0..items.len()) };
    items[first..].iter().chain(&items[..first])
}

/// Whether an address of endpoints is that of a pod: whoever may write endpoints must not choose where to this server
/// connects.
async fn is_of_a_pod(ctx: &Context, target: &Target, address: &Value) -> bool {
    let Some(pod) = address.child("targetRef") else { return false };
    if text(pod, "namespace") != target.namespace {
        return false;
    }
    let Ok(pod) = get(ctx, target, PODS, text(pod, "name")).await else { return false };
    let known = pod.get_list(&["status", "podIPs"]).unwrap_or_default();
    known.iter().any(|each| text(each, "ip") == text(address, "ip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_a_port_and_a_scheme() {
        let parsed = |id| Named::parse(id).map(|named| (named.scheme, named.name, named.port));
        for (id, want) in [
            ("a", Some(("http", "a", ""))),
            ("a:80", Some(("http", "a", "80"))),
            ("https:a:web", Some(("https", "a", "web"))),
            (":a:", Some(("http", "a", ""))),
            ("ftp:a:1", None),
            ("", None),
            (":80", None),
            ("a:b:c:d", None),
        ] {
            assert_eq!(parsed(id), want, "{id}");
        }
    }

    #[test]
    fn this_host_and_its_link_are_out_of_reach() {
        for (address, may) in [
            ("10.0.0.1", true),
            ("127.0.0.1", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("fd00::1", true),
            ("::1", false),
            ("fe80::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(is_global_unicast(address.parse().unwrap()), may, "{address}");
        }
    }
}
