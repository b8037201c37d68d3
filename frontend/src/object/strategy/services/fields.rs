//! How the fields of a Service follow from one another and from what it was. In: Services, and the families that the
//! cluster has. Out: the Service completed, or why it is refused. Not here: taking addresses and ports.

use std::collections::BTreeSet;

use super::spec::{
    checks_health, has_node_ports, health_port, is_external, node_ports, refused, set_texts, text, texts,
};
use crate::{
    api::schema::{Object, Value},
    object::{equality::same, strategy::writer::Writer, validation},
    request::status::{ApiError, FieldError, go_quote},
};

const SINGLE: &str = "SingleStack";

fn same_addresses(a: &Object, b: &Object) -> bool {
    text(a, "clusterIP") == text(b, "clusterIP") && texts(a, "clusterIPs") == texts(b, "clusterIPs")
}

/// What a client left out of a changed Service is what it has.
pub(super) fn keep_what_was_given(service: &mut Object, old: &Object) {
    if !is_external(old) && !is_external(service) {
        if text(service, "clusterIP").is_empty() {
            service.copy_from(old, &["spec", "clusterIP"]);
        }
        if texts(service, "clusterIPs").is_empty() {
            service.copy_from(old, &["spec", "clusterIPs"]);
        }
    }
    if has_node_ports(old) && has_node_ports(service) {
        keep_node_ports(service, old);
    }
    if checks_health(old) && checks_health(service) && health_port(service) == 0 {
        service.copy_from(old, &["spec", "healthCheckNodePort"]);
    }
}

/// Ports keep their node ports by name, unless another port asks for the same one.
fn keep_node_ports(service: &mut Object, old: &Object) {
    let set =
        |service: &Object| -> BTreeSet<i64> { node_ports(service).into_iter().filter(|port| *port != 0).collect() };
    let both: BTreeSet<i64> = set(old).intersection(&set(service)).copied().collect();
    let name = |port: &Value| port.child("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let items = old.get_list(&["spec", "ports"]).unwrap_or_default();
    let before: Vec<(String, i64)> = items.iter().map(name).zip(node_ports(old)).collect();
    let Some(Value::List(ports)) = service.get_mut(&["spec", "ports"]) else { return };
    for port in ports {
        let own = name(port);
        let Some(fields) = port.as_struct_mut() else { continue };
        if fields.get("nodePort").is_some_and(|node| !node.is_zero()) {
            continue;
        }
        let known = before.iter().rev().find(|(name, _)| *name == own).map_or(0, |(_, node)| *node);
        if known != 0 && !both.contains(&known) {
            fields.set("nodePort", known);
        }
    }
}

/// Keeps the one address and the list of addresses saying the same, where it is clear which of them the client means.
pub(super) fn settle_addresses(service: &mut Object, old: Option<&Object>) {
    let Some(old) = old else {
        let single = text(service, "clusterIP").to_owned();
        if !single.is_empty() && texts(service, "clusterIPs").is_empty() {
            set_texts(service, "clusterIPs", [single.as_str()]);
        }
        return;
    };
    let (single, before) = (text(service, "clusterIP").to_owned(), text(old, "clusterIP"));
    if texts(service, "clusterIPs").is_empty() && single == before {
        service.copy_from(old, &["spec", "clusterIPs"]);
    }
    if single == before || texts(service, "clusterIPs") != texts(old, "clusterIPs") {
        return;
    }
    // The list was not touched: it follows.
    let cleared = single.is_empty();
    set_texts(service, "clusterIPs", (!cleared).then_some(single.as_str()));
}

fn policy(service: &Object) -> &str {
    text(service, "ipFamilyPolicy")
}

/// Whether both prefer two families and nothing of it is touched: then the cluster's families do not matter.
fn prefers_as_before(service: &Object, old: &Object) -> bool {
    const PREFER: &str = "PreferDualStack";
    !is_external(service)
        && text(service, "type") == text(old, "type")
        && policy(service) == PREFER
        && matches!(policy(old), PREFER | "")
        && same_addresses(service, old)
        && texts(service, "ipFamilies") == texts(old, "ipFamilies")
}

/// Families and policy that the client leaves open; what the cluster does not have is refused.
pub(super) fn settle_families(
    configured: &[&'static str],
    service: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    if is_external(service) || old.is_some_and(|old| prefers_as_before(service, old)) {
        return Ok(());
    }
    let selectorless = text(service, "clusterIP") == "None"
        && service.get_map(&["spec", "selector"]).is_none_or(|selector| selector.is_empty());
    if service.get(&["spec", "ipFamilyPolicy"]).is_none() {
        let before = old.map(policy).filter(|policy| !policy.is_empty()).map(str::to_owned);
        let default = if selectorless { "RequireDualStack" } else { SINGLE };
        service.set(&["spec", "ipFamilyPolicy"], before.as_deref().unwrap_or(default));
    }
    refused(service, validation::service_addresses(service, old))?;
    let mut errors = Vec::new();
    if let Some(old) = old {
        release_second(service, old, &mut errors);
    }
    fits_policy(service, &mut errors);
    infer_families(configured, service, &mut errors);
    refused(service, errors)?;
    if selectorless {
        complete(&["IPv4", "IPv6"], configured, service);
        return Ok(());
    }
    let mut errors = Vec::new();
    if policy(service) == "RequireDualStack" && configured.len() < 2 {
        errors.push(policy_error(service, "this cluster is not configured for dual-stack services"));
    }
    for (at, family) in texts(service, "ipFamilies").iter().enumerate().filter(|(_, f)| !configured.contains(f)) {
        errors.push(FieldError::invalid(format!("spec.ipFamilies[{at}]"), family, "not configured on this cluster"));
    }
    refused(service, errors)?;
    complete(configured, configured, service);
    Ok(())
}

/// The first family if there is none, and the second one unless the client wants one alone.
fn complete(known: &[&str], configured: &[&'static str], service: &mut Object) {
    let mut families: Vec<String> = texts(service, "ipFamilies").into_iter().map(str::to_owned).collect();
    if families.is_empty() {
        families.extend(configured.first().map(|family| (*family).to_owned()));
    }
    if families.len() == 1 && policy(service) != SINGLE {
        families.extend(known.iter().find(|family| **family != families[0]).map(|family| (*family).to_owned()));
    }
    set_texts(service, "ipFamilies", families.iter().map(String::as_str));
}

fn policy_error(service: &Object, detail: &str) -> FieldError {
    FieldError::invalid("spec.ipFamilyPolicy", policy(service), detail)
}

/// One family is asked for: the second address and family go. Fewer than before need that policy.
fn release_second(service: &mut Object, old: &Object, errors: &mut Vec<FieldError>) {
    if policy(service) == SINGLE {
        let (addresses, families) =
            (same_addresses(service, old), texts(service, "ipFamilies") == texts(old, "ipFamilies"));
        for (field, untouched) in [("clusterIPs", addresses), ("ipFamilies", families)] {
            let first: Vec<String> = texts(service, field).into_iter().take(1).map(str::to_owned).collect();
            if untouched && texts(service, field).len() > 1 {
                set_texts(service, field, first.iter().map(String::as_str));
            }
        }
        return;
    }
    for (field, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let (now, was) = (texts(service, field), texts(old, field));
        if !now.is_empty() && now.len() < was.len() {
            errors.push(policy_error(service, &format!("must be 'SingleStack' to release the secondary {what}")));
        }
    }
}

fn fits_policy(service: &Object, errors: &mut Vec<FieldError>) {
    for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if policy(service) == SINGLE && texts(service, field).len() == 2 {
            let detail = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            errors.push(policy_error(service, &detail));
        }
    }
}

/// Addresses tell their families.
fn infer_families(configured: &[&'static str], service: &mut Object, errors: &mut Vec<FieldError>) {
    let addresses: Vec<String> = texts(service, "clusterIPs").into_iter().map(str::to_owned).collect();
    let mut families: Vec<String> = texts(service, "ipFamilies").into_iter().map(str::to_owned).collect();
    for (at, address) in addresses.iter().take_while(|address| *address != "None").enumerate() {
        if at < families.len() {
            continue;
        }
        let family = if address.contains(':') { "IPv6" } else { "IPv4" };
        if configured.contains(&family) {
            families.push(family.to_owned());
        } else {
            let shown = addresses.iter().map(|address| go_quote(address)).collect::<Vec<_>>().join(",");
            let detail = format!("{family} is not configured on this cluster");
            errors.push(FieldError::invalid_value(format!("spec.clusterIPs[{at}]"), format!("[{shown}]"), detail));
        }
    }
    set_texts(service, "ipFamilies", families.iter().map(String::as_str));
}

/// A Service that changes its type loses what only the old type has, unless the client changed it as well.
pub(in crate::object::strategy) fn drop_fields_of_other_types(service: &mut Object, old: &Object, _: &Writer) {
    let untouched = |service: &Object, field: &str| same(service.get(&["spec", field]), old.get(&["spec", field]));
    let mut dropped: Vec<&str> = Vec::new();
    if !is_external(old) && is_external(service) {
        if same_addresses(service, old) {
            dropped.extend(["clusterIP", "clusterIPs"]);
        }
        dropped.extend(["ipFamilies", "ipFamilyPolicy"].into_iter().filter(|field| untouched(service, field)));
    }
    if checks_health(old) && !checks_health(service) && health_port(old) == health_port(service) {
        dropped.push("healthCheckNodePort");
    }
    let balanced = |service: &Object| text(service, "type") == "LoadBalancer";
    if balanced(old) && !balanced(service) {
        let fields = ["allocateLoadBalancerNodePorts", "loadBalancerClass"];
        dropped.extend(fields.into_iter().filter(|field| untouched(service, field)));
    }
    let outside = |service: &Object| {
        has_node_ports(service) || (text(service, "type") == "ClusterIP" && !texts(service, "externalIPs").is_empty())
    };
    if outside(old) && !outside(service) && untouched(service, "externalTrafficPolicy") {
        dropped.push("externalTrafficPolicy");
    }
    for field in dropped {
        service.remove(&["spec", field]);
    }
    if has_node_ports(old) && !has_node_ports(service) {
        drop_node_ports(service, old);
    }
    if !balanced(service) {
        service.remove(&["status", "loadBalancer"]);
    }
}

fn drop_node_ports(service: &mut Object, old: &Object) {
    let before = node_ports(old);
    if node_ports(service).iter().any(|port| *port != 0 && !before.contains(port)) {
        return;
    }
    let Some(Value::List(ports)) = service.get_mut(&["spec", "ports"]) else { return };
    for port in ports.iter_mut().filter_map(Value::as_struct_mut) {
        port.remove("nodePort");
    }
}
