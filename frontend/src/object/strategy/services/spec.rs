//! What the spec of a Service says, and how it is refused.

use std::collections::BTreeSet;

use crate::{
    api::schema::{Object, Value},
    request::status::{ApiError, FieldError},
};

pub(super) fn text<'a>(service: &'a Object, name: &str) -> &'a str {
    service.get_str(&["spec", name]).unwrap_or_default()
}

pub(super) fn texts<'a>(service: &'a Object, name: &str) -> Vec<&'a str> {
    service.get_list(&["spec", name]).unwrap_or_default().iter().filter_map(Value::as_str).collect()
}

pub(super) fn set_texts<'a>(service: &mut Object, name: &str, texts: impl IntoIterator<Item = &'a str>) {
    let list: Vec<Value> = texts.into_iter().map(Value::from).collect();
    if list.is_empty() {
        service.remove(&["spec", name]);
    } else {
        service.set(&["spec", name], Value::List(list));
    }
}

pub(super) fn is_external(service: &Object) -> bool {
    text(service, "type") == "ExternalName"
}

pub(super) fn is_headless(service: &Object) -> bool {
    texts(service, "clusterIPs").first() == Some(&"None")
}

pub(super) fn has_node_ports(service: &Object) -> bool {
    matches!(text(service, "type"), "NodePort" | "LoadBalancer")
}

/// Whether a balancer outside asks each node whether it serves.
pub(super) fn checks_health(service: &Object) -> bool {
    text(service, "type") == "LoadBalancer" && text(service, "externalTrafficPolicy") == "Local"
}

pub(super) fn health_port(service: &Object) -> i64 {
    service.get_i64(&["spec", "healthCheckNodePort"]).unwrap_or(0)
}

/// The addresses that a stored Service holds.
pub(super) fn held_addresses(service: &Object) -> Vec<String> {
    if is_external(service) || is_headless(service) {
        return Vec::new();
    }
    texts(service, "clusterIPs").into_iter().map(str::to_owned).collect()
}

/// The node ports that a stored Service holds.
pub(super) fn held_ports(service: &Object) -> BTreeSet<i64> {
    let ports = node_ports(service).into_iter().chain([health_port(service)]);
    ports.filter(|port| *port != 0).collect()
}

pub(super) fn refused(service: &Object, errors: Vec<FieldError>) -> Result<(), ApiError> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("", "Service", service.name(), errors)) }
}

/// The node ports of a Service's ports, 0 where there is none.
pub(super) fn node_ports(service: &Object) -> Vec<i64> {
    numbers(service, "nodePort")
}

pub(super) fn numbers(service: &Object, field: &str) -> Vec<i64> {
    let ports = service.get_list(&["spec", "ports"]).unwrap_or_default();
    ports.iter().map(|port| port.child(field).and_then(Value::as_i64).unwrap_or(0)).collect()
}
