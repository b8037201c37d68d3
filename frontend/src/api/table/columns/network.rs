//! Services, endpoints, ingresses, addresses.

use super::super::{
    column::{AGE, Cell, CellValue, Doc, NAME, Printer, printer, text},
    format::{self, cut, host_port, load_balancer},
    row::Row,
    value::{int_in, text_in},
};
use crate::api::schema::Value;

pub(super) static SERVICE: Printer = printer(&[
    NAME,
    text("Type", Doc::Field(&["spec", "type"]), Cell::Text(&["spec", "type"])),
    text("Cluster-IP", Doc::Field(&["spec", "clusterIP"]), Cell::With(cluster_ip)),
    text("External-IP", Doc::Field(&["spec", "externalIPs"]), Cell::With(external_ip)),
    text("Port(s)", Doc::Field(&["spec", "ports"]), Cell::With(service_ports)),
    AGE,
    text("Selector", Doc::Field(&["spec", "selector"]), Cell::Labels(&["spec", "selector"])).wide(),
]);

pub(super) static ENDPOINTS: Printer =
    printer(&[NAME, text("Endpoints", Doc::Field(&["subsets"]), Cell::With(endpoints)), AGE]);

pub(super) static ENDPOINT_SLICE: Printer = printer(&[
    NAME,
    text("AddressType", Doc::Field(&["addressType"]), Cell::Text(&["addressType"])),
    text("Ports", Doc::Field(&["ports"]), Cell::With(slice_ports)),
    text("Endpoints", Doc::Field(&["endpoints"]), Cell::With(slice_endpoints)),
    AGE,
])
.described_by("discovery.k8s.io", "v1beta1");

pub(super) static INGRESS: Printer = printer(&[
    NAME,
    text(
        "Class",
        Doc::Text("The name of the IngressClass resource that should be used for additional configuration"),
        Cell::TextOr(&["spec", "ingressClassName"], "<none>"),
    ),
    text(
        "Hosts",
        Doc::Text("Hosts that incoming requests are matched against before the ingress rule"),
        Cell::With(hosts),
    ),
    text(
        "Address",
        Doc::Text("Address is a list containing ingress points for the load-balancer"),
        Cell::With(|row| load_balancer(row.list(&["status", "loadBalancer", "ingress"])).into()),
    ),
    text("Ports", Doc::Text("Ports of TLS configurations that open"), Cell::With(ingress_ports)),
    AGE,
]);

pub(super) static INGRESS_CLASS: Printer = printer(&[
    NAME,
    text(
        "Controller",
        Doc::Text("Controller that is responsible for handling this class"),
        Cell::Text(&["spec", "controller"]),
    ),
    text("Parameters", Doc::Text("A reference to a resource with additional parameters"), Cell::With(class_parameters)),
    AGE,
]);

/// The original writes an age that has no column.
pub(super) static IP_ADDRESS: Printer = Printer {
    stray: Some(Cell::Age),
    ..printer(&[NAME, text("ParentRef", Doc::Field(&["spec", "parentRef"]), Cell::With(parent))])
};

pub(super) static NETWORK_POLICY: Printer = printer(&[
    NAME,
    text("Pod-Selector", Doc::Field(&["spec", "podSelector"]), Cell::Selector(&["spec", "podSelector"])),
    AGE,
])
.described_by("extensions", "v1beta1");

pub(super) static SERVICE_CIDR: Printer = printer(&[
    NAME,
    text("CIDRs", Doc::Field(&["spec", "cidrs"]), Cell::With(|row| texts(row.list(&["spec", "cidrs"])).into())),
    AGE,
]);

fn texts(items: &[Value]) -> String {
    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

fn cluster_ip(row: &Row<'_>) -> CellValue {
    row.list(&["spec", "clusterIPs"]).first().and_then(Value::as_str).unwrap_or("<none>").into()
}

fn external_ip(row: &Row<'_>) -> CellValue {
    let external = texts(row.list(&["spec", "externalIPs"]));
    match row.text(&["spec", "type"]) {
        "ClusterIP" | "NodePort" => format::or_none(external).into(),
        "LoadBalancer" => {
            let balancer = load_balancer(row.list(&["status", "loadBalancer", "ingress"]));
            match (balancer.as_str(), external.as_str()) {
                ("", "") => "<pending>".into(),
                ("", only) | (only, "") => only.into(),
                (balancer, external) => format!("{balancer},{external}").into(),
            }
        }
        "ExternalName" => row.text(&["spec", "externalName"]).into(),
        _ => "<unknown>".into(),
    }
}

fn service_ports(row: &Row<'_>) -> CellValue {
    let port = |port: &Value| {
        let (number, node, protocol) =
            (int_in(port, &["port"]), int_in(port, &["nodePort"]), text_in(port, &["protocol"]));
        if node > 0 { format!("{number}:{node}/{protocol}") } else { format!("{number}/{protocol}") }
    };
    let ports: Vec<String> = row.list(&["spec", "ports"]).iter().map(port).collect();
    format::or_none(ports.join(",")).into()
}

fn children<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.child(name).and_then(Value::as_list).unwrap_or(&[])
}

fn endpoints(row: &Row<'_>) -> CellValue {
    let subsets = row.list(&["subsets"]);
    if subsets.is_empty() {
        return "<none>".into();
    }
    let mut list = Vec::new();
    for subset in subsets {
        let addresses: Vec<&str> = children(subset, "addresses").iter().map(|a| text_in(a, &["ip"])).collect();
        match children(subset, "ports") {
            // A headless service may have no ports.
            [] => list.extend(addresses.iter().map(|ip| (*ip).to_owned())),
            ports => {
                for port in ports {
                    list.extend(addresses.iter().map(|ip| host_port(ip, int_in(port, &["port"]))));
                }
            }
        }
    }
    cut(&list, list.len(), 3, ",").into()
}

fn or_unset(text: String) -> CellValue {
    if text.is_empty() { "<unset>".into() } else { text.into() }
}

fn slice_ports(row: &Row<'_>) -> CellValue {
    let port =
        |port: &Value| match (port.child("port").and_then(Value::as_i64), port.child("name").and_then(Value::as_str)) {
            (Some(number), _) => number.to_string(),
            (None, Some(name)) => name.to_owned(),
            (None, None) => "*".to_owned(),
        };
    let ports: Vec<String> = row.list(&["ports"]).iter().map(port).collect();
    or_unset(cut(&ports, ports.len(), 3, ","))
}

fn slice_endpoints(row: &Row<'_>) -> CellValue {
    let endpoints = row.list(&["endpoints"]).iter();
    let addresses: Vec<String> = endpoints
        .flat_map(|endpoint| children(endpoint, "addresses"))
        .map(|address| address.as_str().unwrap_or("").to_owned())
        .collect();
    or_unset(cut(&addresses, addresses.len(), 3, ","))
}

/// At most three hosts; how many more is counted by rules, hosts or not.
fn hosts(row: &Row<'_>) -> CellValue {
    let rules = row.list(&["spec", "rules"]);
    let mut list: Vec<&str> = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= list.len() == 3;
        let host = text_in(rule, &["host"]);
        if !more && !host.is_empty() {
            list.push(host);
        }
    }
    match list.join(",") {
        none if none.is_empty() => "*".into(),
        shown if more => format!("{shown} + {} more...", rules.len() - 3).into(),
        shown => shown.into(),
    }
}

fn ingress_ports(row: &Row<'_>) -> CellValue {
    if row.list(&["spec", "tls"]).is_empty() { "80".into() } else { "80, 443".into() }
}

fn class_parameters(row: &Row<'_>) -> CellValue {
    let Some(parameters) = row.value(&["spec", "parameters"]) else { return "<none>".into() };
    let kind = text_in(parameters, &["kind"]);
    let name = text_in(parameters, &["name"]);
    match parameters.child("apiGroup").and_then(Value::as_str) {
        Some(group) => format!("{kind}.{group}/{name}").into(),
        None => format!("{kind}/{name}").into(),
    }
}

fn parent(row: &Row<'_>) -> CellValue {
    let Some(parent) = row.value(&["spec", "parentRef"]) else { return "<none>".into() };
    let part = |name| text_in(parent, &[name]);
    let mut text = match part("group") {
        "" => part("resource").to_lowercase(),
        group => format!("{}.{group}", part("resource")).to_lowercase(),
    };
    for piece in [part("namespace"), part("name")] {
        if !piece.is_empty() {
            text.push('/');
            text.push_str(piece);
        }
    }
    text.into()
}
