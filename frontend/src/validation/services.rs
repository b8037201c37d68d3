//! Services: ports, type, and the address that stays.

use super::{meta::json, names};
use crate::{
    schema::{Object, Value},
    status::FieldError,
    strategy::same,
};

pub(super) fn validate(service: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let kind = service.get_str(&["spec", "type"]).unwrap_or_default();
    let headless = service.get_str(&["spec", "clusterIP"]) == Some("None");
    let ports = service.get_list(&["spec", "ports"]).unwrap_or_default();
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid("spec.clusterIPs[0]", "None", detail));
        }
        "ExternalName" => errors.extend(external_name(service)),
        _ => {}
    }
    let mut seen: Vec<&str> = Vec::new();
    for (at, port) in ports.iter().enumerate() {
        let here = format!("spec.ports[{at}]");
        let text = |name| port.child(name).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(format!("{here}.name"), ""));
        } else if !name.is_empty() {
            let field = format!("{here}.name");
            errors
                .extend(names::dns_1123_label(name).into_iter().map(|c| FieldError::invalid(field.as_str(), name, c)));
            if seen.contains(&name) {
                errors.push(FieldError::duplicate(field, name));
            }
            seen.push(name);
        }
        let number = port.child("port").and_then(Value::as_i64).unwrap_or(0);
        if let Some(detail) = names::port_number(number) {
            errors.push(FieldError::invalid_value(format!("{here}.port"), number, detail));
        }
        let protocol = text("protocol");
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            errors.push(FieldError::not_supported(format!("{here}.protocol"), protocol, &["SCTP", "TCP", "UDP"]));
        }
        let node = port.child("nodePort").and_then(Value::as_i64).unwrap_or(0);
        if kind == "ClusterIP" && node != 0 {
            errors
                .push(FieldError::forbidden(format!("{here}.nodePort"), "may not be used when `type` is 'ClusterIP'"));
        }
    }
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !types.contains(&kind) {
        errors.push(FieldError::not_supported("spec.type", kind, &types));
    }
    errors
}

fn external_name(service: &Object) -> Vec<FieldError> {
    let name = service.get_str(&["spec", "externalName"]).unwrap_or_default();
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.is_empty() {
        return vec![FieldError::required("spec.externalName", "")];
    }
    names::dns_1123_subdomain(bare).into_iter().map(|c| FieldError::invalid("spec.externalName", name, c)).collect()
}

/// The first address stays as long as the Service has one.
pub(super) fn validate_update(service: &Object, old: &Object) -> Vec<FieldError> {
    let external = |s: &Object| s.get_str(&["spec", "type"]) == Some("ExternalName");
    if external(service) || external(old) {
        return Vec::new();
    }
    let (new, before) = (service.get(&["spec", "clusterIP"]), old.get(&["spec", "clusterIP"]));
    if same(new, before) || before.is_none() {
        return Vec::new();
    }
    let printed = format!("[{}]", new.map_or("null".to_owned(), json));
    vec![FieldError::invalid_value("spec.clusterIPs[0]", printed, "may not change once set")]
}
