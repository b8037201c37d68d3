//! Policies, ingresses, and the addresses of services.

use super::super::{
    check::{
        Check::{self, Form, Required},
        PORT_RANGE,
    },
    error_list::ErrorList,
    field_path::FieldPath,
    forms, names,
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

fn policy_types<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const TYPES: [&str; 2] = ["Ingress", "Egress"];
    if path.list("policyTypes").len() > TYPES.len() {
        let detail = "may not specify more than two policyTypes";
        return errors.invalid_value(path, "policyTypes", path.get("policyTypes"), detail);
    }
    for (at, kind) in path.texts("policyTypes").enumerate().filter(|(_, kind)| !TYPES.contains(kind)) {
        errors.unsupported(path, &format!("policyTypes[{at}]"), kind, &TYPES);
    }
}

fn policy_port<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let end = path.number("endPort");
    match (path.get("port"), end) {
        (None, Some(end)) => {
            errors.invalid_as(path, "endPort", end, "may not be specified when `port` is not specified");
        }
        (None, None) => {}
        (Some(Value::Str(name)), end) => {
            if let Some(end) = end {
                errors.invalid_as(path, "endPort", end, "may not be specified when `port` is non-numeric");
            }
            errors.invalid_each(path, "port", name, names::port_name(name));
        }
        (Some(port), end) => {
            let port = port.as_i64().unwrap_or(0);
            if names::port_number(port).is_some() {
                errors.invalid_as(path, "port", port, PORT_RANGE);
            }
            let Some(end) = end else { return };
            if end < port {
                errors.invalid_as(path, "endPort", port, "must be greater than or equal to `port`");
            }
            if names::port_number(end).is_some() {
                errors.invalid_as(path, "endPort", end, PORT_RANGE);
            }
        }
    }
}

fn peer<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let count = path.fields.iter().count();
    if count == 0 {
        errors.required(path, "", "must specify a peer");
    } else if count > 1 && path.has("ipBlock") {
        errors.forbidden(path, "", "may not specify both ipBlock and another peer");
    }
}

/// Ranges that an older object had stay allowed.
fn block<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let range = path.text("cidr");
    if range.is_empty() {
        return errors.required(path, "cidr", "");
    }
    errors.invalid_each(path, "cidr", range, forms::cidr(range));
    let Some((network, length)) = forms::parse_cidr(range) else { return };
    for (at, except) in path.texts("except").enumerate() {
        let field = format!("except[{at}]");
        errors.invalid_each(path, &field, except, forms::cidr(except));
        let Some((address, inner)) = forms::parse_cidr(except) else { continue };
        let same_kind = address.is_ipv4() == network.is_ipv4();
        let inside = same_kind && forms::mask(address, length.min(inner)) == forms::mask(network, length);
        if !inside || length >= inner {
            errors.invalid(path, &field, except, "must be a strict subset of `cidr`");
        }
    }
}

fn ingress_class_annotation<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const KEY: &str = "kubernetes.io/ingress.class";
    let said = path.at(&["metadata", "annotations", KEY]).and_then(Value::as_str);
    let class = path.at(&["spec", "ingressClassName"]).and_then(Value::as_str);
    if let (Some(said), Some(class), None) = (said, class, errors.old)
        && said != class
    {
        let detail = "must match `ingressClassName` when both are specified";
        errors.invalid(path, &format!("annotations.{KEY}"), said, detail);
    }
}

fn ingress<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.list("rules").is_empty() && !path.has("defaultBackend") {
        let detail = "either `defaultBackend` or `rules` must be specified";
        errors.invalid_value(path, "", path.get("rules"), detail);
    }
}

fn host(text: &str) -> Vec<String> {
    if text.contains('*') { names::wildcard_subdomain(text) } else { names::dns_1123_subdomain(text) }
}

fn tls<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (at, name) in path.texts("hosts").enumerate() {
        errors.invalid_each(path, &format!("hosts[{at}]"), name, host(name));
    }
}

fn ingress_rule<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let name = path.text("host");
    if name.is_empty() {
        return;
    }
    if forms::parse_ip(name).is_some() {
        errors.invalid(path, "host", name, "must be a DNS name, not an IP address");
    }
    errors.invalid_each(path, "host", name, host(name));
}

fn http_path<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let url_path = path.text("path");
    let Some(kind) = path.optional_text("pathType") else {
        errors.skip("backend");
        return errors.required(path, "pathType", "pathType must be specified");
    };
    let absolute = url_path.starts_with('/');
    match kind {
        "Exact" | "Prefix" => {
            if !absolute {
                errors.invalid(path, "path", url_path, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| url_path.contains(part)) {
                errors.invalid(path, "path", url_path, format!("must not contain '{part}'"));
            }
            for end in ["/..", "/."].into_iter().filter(|end| url_path.ends_with(end)) {
                errors.invalid(path, "path", url_path, format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" => {
            if !url_path.is_empty() && !absolute {
                errors.invalid(path, "path", url_path, "must be an absolute path");
            }
        }
        other => errors.unsupported(path, "pathType", other, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
}

fn backend<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    match (path.child("service"), path.child("resource")) {
        (Some(_), Some(_)) => errors.invalid(path, "", "", "cannot set both resource and service backends"),
        (None, None) => errors.invalid(path, "", "", "resource or service backend is required"),
        (None, Some(resource)) => {
            let here = path.below("resource", super::super::field_path::Nth::Only, resource);
            REFERENCE.iter().for_each(|(field, check)| check.apply(&here, field, errors));
        }
        (Some(service), None) => {
            let name = super::resources::text(service, "name");
            match name {
                "" => errors.required(path, "service.name", ""),
                name => errors.invalid_each(path, "service.name", name, names::dns_1035_label(name)),
            }
            let port = service.get("port");
            let name = port.and_then(|p| p.child("name")).and_then(Value::as_str).unwrap_or_default();
            let number = port.and_then(|p| p.child("number")).and_then(Value::as_i64).unwrap_or(0);
            match (name, number) {
                ("", 0) => errors.required(path, "", "port name or number is required"),
                ("", number) if names::port_number(number).is_some() => {
                    errors.invalid_as(path, "service.port.number", number, PORT_RANGE);
                }
                ("", _) => {}
                (name, 0) => errors.invalid_each(path, "service.port.name", name, names::port_name(name)),
                _ => errors.invalid(path, "", "", "cannot set both port name & port number"),
            }
        }
    }
}

fn ingress_class<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    forms::domain_path(path, "controller", path.text("controller"), errors);
}

fn class_parameters<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let namespace = path.optional_text("namespace");
    match path.optional_text("scope") {
        None => errors.required(path, "scope", ""),
        Some("Namespace") => match namespace {
            None => errors.required(path, "namespace", "`parameters.scope` is set to 'Namespace'"),
            Some(name) => errors.invalid_each(path, "namespace", name, names::dns_1123_label(name)),
        },
        Some("Cluster") => {
            if namespace.is_some() {
                errors.forbidden(path, "namespace", "`parameters.scope` is set to 'Cluster'");
            }
        }
        Some(other) => errors.unsupported(path, "scope", other, &["Cluster", "Namespace"]),
    }
}

fn parent<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if !path.has("parentRef") {
        errors.required(path, "parentRef", "");
    }
}

fn service_ranges<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let ranges: Vec<&str> = path.texts("cidrs").collect();
    if ranges.is_empty() {
        return errors.required(path, "cidrs", "at least one CIDR required");
    }
    if ranges.len() > 2 {
        let shown = printed_struct(path.fields);
        return errors.invalid_as(path, "cidrs", shown, "may only hold up to 2 values");
    }
    for (at, range) in ranges.iter().enumerate() {
        errors.invalid_each(path, &format!("cidrs[{at}]"), range, forms::canonical_cidr(range));
    }
    let families: Vec<bool> =
        ranges.iter().filter_map(|range| forms::parse_cidr(range)).map(|(ip, _)| ip.is_ipv4()).collect();
    if families.len() == 2 && families[0] == families[1] {
        let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.invalid_as(path, "cidrs", printed(path.get("cidrs")), detail);
    }
}

/// What a balancer is reached at.
pub(super) fn balancer_status<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (ip, name) = (path.text("ip"), path.text("hostname"));
    if !ip.is_empty() {
        errors.invalid_each(path, "ip", ip, forms::ip(ip));
    }
    if !name.is_empty() {
        errors.invalid_each(path, "hostname", name, names::dns_1123_subdomain(name));
        if forms::parse_ip(name).is_some() {
            errors.invalid(path, "hostname", name, "must be a DNS name, not an IP address");
        }
    }
}

/// The name of an address is the address.
pub(in crate::object::validation) fn address_name(name: &str, _: bool) -> Vec<String> {
    forms::canonical_ip(name)
}
