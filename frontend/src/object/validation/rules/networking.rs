//! Policies, ingresses, and the addresses of services.

use super::super::{
    check::{
        Check::{self, Form, Required},
        PORT_RANGE,
    },
    forms,
    judge::Judge,
    names,
    place::Place,
    print::{printed, printed_struct},
    rule::{Rule, rule, with},
};
use crate::api::schema::Value;

pub(super) static RULES: &[Rule] = &[
    with("networking.v1.NetworkPolicySpec", policy_types, &[]),
    with("networking.v1.NetworkPolicyPort", policy_port, &[("protocol", Check::OneOf(&["TCP", "UDP", "SCTP"]))]),
    with("networking.v1.NetworkPolicyPeer", peer, &[]),
    with("networking.v1.IPBlock", block, &[]),
    with("networking.v1.Ingress", ingress_class_annotation, &[]),
    with("networking.v1.IngressSpec", ingress, &[("ingressClassName", Form(names::dns_1123_subdomain))]),
    with("networking.v1.IngressTLS", tls, &[("secretName", Form(names::dns_1123_subdomain))]),
    with("networking.v1.IngressRule", ingress_rule, &[]),
    rule("networking.v1.HTTPIngressRuleValue", &[("paths", Required)]),
    with("networking.v1.HTTPIngressPath", http_path, &[]),
    with("networking.v1.IngressBackend", backend, &[]),
    with("networking.v1.IngressClassSpec", ingress_class, &[("controller", Check::Bytes(250))]),
    with("networking.v1.IngressClassParametersReference", class_parameters, REFERENCE),
    with("networking.v1.IPAddressSpec", parent, &[]),
    rule(
        "networking.v1.ParentReference",
        &[
            ("group", Form(names::dns_1123_subdomain)),
            ("resource", Check::NeedsForm(segment)),
            ("name", Check::NeedsForm(segment)),
            ("namespace", Form(segment)),
        ],
    ),
    with("networking.v1.ServiceCIDRSpec", service_ranges, &[]),
    with("networking.v1.IngressLoadBalancerIngress", balancer_status, &[]),
];

const REFERENCE: &[(&str, Check)] = &[
    ("apiGroup", Form(names::dns_1123_subdomain)),
    ("kind", Check::NeedsForm(segment)),
    ("name", Check::NeedsForm(segment)),
];

/// A text that can stand in a path.
pub(super) fn segment(text: &str) -> Vec<String> {
    names::path_segment_name(text, false)
}

fn policy_types<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const TYPES: [&str; 2] = ["Ingress", "Egress"];
    if place.list("policyTypes").len() > TYPES.len() {
        let detail = "may not specify more than two policyTypes";
        return judge.invalid_value(place, "policyTypes", place.get("policyTypes"), detail);
    }
    for (at, kind) in place.texts("policyTypes").enumerate().filter(|(_, kind)| !TYPES.contains(kind)) {
        judge.unsupported(place, &format!("policyTypes[{at}]"), kind, &TYPES);
    }
}

fn policy_port<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let end = place.number("endPort");
    match (place.get("port"), end) {
        (None, Some(end)) => {
            judge.invalid_as(place, "endPort", end, "may not be specified when `port` is not specified");
        }
        (None, None) => {}
        (Some(Value::Str(name)), end) => {
            if let Some(end) = end {
                judge.invalid_as(place, "endPort", end, "may not be specified when `port` is non-numeric");
            }
            judge.complain(place, "port", name, names::port_name(name));
        }
        (Some(port), end) => {
            let port = port.as_i64().unwrap_or(0);
            if names::port_number(port).is_some() {
                judge.invalid_as(place, "port", port, PORT_RANGE);
            }
            let Some(end) = end else { return };
            if end < port {
                judge.invalid_as(place, "endPort", port, "must be greater than or equal to `port`");
            }
            if names::port_number(end).is_some() {
                judge.invalid_as(place, "endPort", end, PORT_RANGE);
            }
        }
    }
}

fn peer<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let count = place.fields.iter().count();
    if count == 0 {
        judge.required(place, "", "must specify a peer");
    } else if count > 1 && place.has("ipBlock") {
        judge.forbidden(place, "", "may not specify both ipBlock and another peer");
    }
}

/// Ranges that an older object had stay allowed.
fn block<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let range = place.text("cidr");
    if range.is_empty() {
        return judge.required(place, "cidr", "");
    }
    judge.complain(place, "cidr", range, forms::cidr(range));
    let Some((network, length)) = forms::parse_cidr(range) else { return };
    for (at, except) in place.texts("except").enumerate() {
        let field = format!("except[{at}]");
        judge.complain(place, &field, except, forms::cidr(except));
        let Some((address, inner)) = forms::parse_cidr(except) else { continue };
        let same_kind = address.is_ipv4() == network.is_ipv4();
        let inside = same_kind && forms::mask(address, length.min(inner)) == forms::mask(network, length);
        if !inside || length >= inner {
            judge.invalid(place, &field, except, "must be a strict subset of `cidr`");
        }
    }
}

fn ingress_class_annotation<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const KEY: &str = "kubernetes.io/ingress.class";
    let said = place.at(&["metadata", "annotations", KEY]).and_then(Value::as_str);
    let class = place.at(&["spec", "ingressClassName"]).and_then(Value::as_str);
    if let (Some(said), Some(class), None) = (said, class, judge.old)
        && said != class
    {
        let detail = "must match `ingressClassName` when both are specified";
        judge.invalid(place, &format!("annotations.{KEY}"), said, detail);
    }
}

fn ingress<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.list("rules").is_empty() && !place.has("defaultBackend") {
        let detail = "either `defaultBackend` or `rules` must be specified";
        judge.invalid_value(place, "", place.get("rules"), detail);
    }
}

fn host(text: &str) -> Vec<String> {
    if text.contains('*') { names::wildcard_subdomain(text) } else { names::dns_1123_subdomain(text) }
}

fn tls<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (at, name) in place.texts("hosts").enumerate() {
        judge.complain(place, &format!("hosts[{at}]"), name, host(name));
    }
}

fn ingress_rule<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let name = place.text("host");
    if name.is_empty() {
        return;
    }
    if forms::parse_ip(name).is_some() {
        judge.invalid(place, "host", name, "must be a DNS name, not an IP address");
    }
    judge.complain(place, "host", name, host(name));
}

fn http_path<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let path = place.text("path");
    let Some(kind) = place.optional_text("pathType") else {
        judge.settle("backend");
        return judge.required(place, "pathType", "pathType must be specified");
    };
    let absolute = path.starts_with('/');
    match kind {
        "Exact" | "Prefix" => {
            if !absolute {
                judge.invalid(place, "path", path, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| path.contains(part)) {
                judge.invalid(place, "path", path, format!("must not contain '{part}'"));
            }
            for end in ["/..", "/."].into_iter().filter(|end| path.ends_with(end)) {
                judge.invalid(place, "path", path, format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" => {
            if !path.is_empty() && !absolute {
                judge.invalid(place, "path", path, "must be an absolute path");
            }
        }
        other => judge.unsupported(place, "pathType", other, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
}

fn backend<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    match (place.child("service"), place.child("resource")) {
        (Some(_), Some(_)) => judge.invalid(place, "", "", "cannot set both resource and service backends"),
        (None, None) => judge.invalid(place, "", "", "resource or service backend is required"),
        (None, Some(resource)) => {
            let here = place.below("resource", super::super::place::Nth::Only, resource);
            REFERENCE.iter().for_each(|(field, check)| check.apply(&here, field, judge));
        }
        (Some(service), None) => {
            let name = super::resources::text(service, "name");
            match name {
                "" => judge.required(place, "service.name", ""),
                name => judge.complain(place, "service.name", name, names::dns_1035_label(name)),
            }
            let port = service.get("port");
            let name = port.and_then(|p| p.child("name")).and_then(Value::as_str).unwrap_or_default();
            let number = port.and_then(|p| p.child("number")).and_then(Value::as_i64).unwrap_or(0);
            match (name, number) {
                ("", 0) => judge.required(place, "", "port name or number is required"),
                ("", number) if names::port_number(number).is_some() => {
                    judge.invalid_as(place, "service.port.number", number, PORT_RANGE);
                }
                ("", _) => {}
                (name, 0) => judge.complain(place, "service.port.name", name, names::port_name(name)),
                _ => judge.invalid(place, "", "", "cannot set both port name & port number"),
            }
        }
    }
}

fn ingress_class<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    forms::domain_path(place, "controller", place.text("controller"), judge);
}

fn class_parameters<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let namespace = place.optional_text("namespace");
    match place.optional_text("scope") {
        None => judge.required(place, "scope", ""),
        Some("Namespace") => match namespace {
            None => judge.required(place, "namespace", "`parameters.scope` is set to 'Namespace'"),
            Some(name) => judge.complain(place, "namespace", name, names::dns_1123_label(name)),
        },
        Some("Cluster") => {
            if namespace.is_some() {
                judge.forbidden(place, "namespace", "`parameters.scope` is set to 'Cluster'");
            }
        }
        Some(other) => judge.unsupported(place, "scope", other, &["Cluster", "Namespace"]),
    }
}

fn parent<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if !place.has("parentRef") {
        judge.required(place, "parentRef", "");
    }
}

fn service_ranges<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let ranges: Vec<&str> = place.texts("cidrs").collect();
    if ranges.is_empty() {
        return judge.required(place, "cidrs", "at least one CIDR required");
    }
    if ranges.len() > 2 {
        let shown = printed_struct(place.fields);
        return judge.invalid_as(place, "cidrs", shown, "may only hold up to 2 values");
    }
    for (at, range) in ranges.iter().enumerate() {
        judge.complain(place, &format!("cidrs[{at}]"), range, forms::canonical_cidr(range));
    }
    let families: Vec<bool> =
        ranges.iter().filter_map(|range| forms::parse_cidr(range)).map(|(ip, _)| ip.is_ipv4()).collect();
    if families.len() == 2 && families[0] == families[1] {
        let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        judge.invalid_as(place, "cidrs", printed(place.get("cidrs")), detail);
    }
}

/// What a balancer is reached at.
pub(super) fn balancer_status<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (ip, name) = (place.text("ip"), place.text("hostname"));
    if !ip.is_empty() {
        judge.complain(place, "ip", ip, forms::ip(ip));
    }
    if !name.is_empty() {
        judge.complain(place, "hostname", name, names::dns_1123_subdomain(name));
        if forms::parse_ip(name).is_some() {
            judge.invalid(place, "hostname", name, "must be a DNS name, not an IP address");
        }
    }
}

/// The name of an address is the address.
pub(in crate::object::validation) fn address_name(name: &str, _: bool) -> Vec<String> {
    forms::canonical_ip(name)
}
