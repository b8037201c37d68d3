//! Services, namespaces, nodes, policies and other kinds whose defaults depend on other fields.

use super::{
    super::value::{MapValue, Struct, Value},
    each, is_set, text,
};
use crate::api::schema::object::set_in_struct;

pub(super) fn service(service: &mut Struct) {
    if text(service, &["spec", "sessionAffinity"]).is_empty() {
        set_in_struct(service, &["spec", "sessionAffinity"], "None".into());
    }
    match text(service, &["spec", "sessionAffinity"]) {
        "None" => {
            if let Some(spec) = service.get_mut("spec").and_then(Value::as_struct_mut) {
                spec.remove("sessionAffinityConfig");
            }
        }
        "ClientIP" => {
            let timeout = ["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"];
            if !is_set(service, &timeout) {
                set_in_struct(service, &timeout, 10_800i64.into());
            }
        }
        _ => {}
    }
    if text(service, &["spec", "type"]).is_empty() {
        set_in_struct(service, &["spec", "type"], "ClusterIP".into());
    }
    each(service, &["spec", "ports"]).for_each(service_port);
    let kind = text(service, &["spec", "type"]).to_owned();
    let ips = |spec: &Value| spec.child("externalIPs").and_then(Value::as_list).is_some_and(|ips| !ips.is_empty());
    let external =
        matches!(&*kind, "LoadBalancer" | "NodePort") || kind == "ClusterIP" && service.get("spec").is_some_and(ips);
    if external && text(service, &["spec", "externalTrafficPolicy"]).is_empty() {
        set_in_struct(service, &["spec", "externalTrafficPolicy"], "Cluster".into());
    }
    let internal = matches!(&*kind, "LoadBalancer" | "NodePort" | "ClusterIP");
    if internal && !is_set(service, &["spec", "internalTrafficPolicy"]) {
        set_in_struct(service, &["spec", "internalTrafficPolicy"], "Cluster".into());
    }
    if kind == "LoadBalancer" {
        if !is_set(service, &["spec", "allocateLoadBalancerNodePorts"]) {
            set_in_struct(service, &["spec", "allocateLoadBalancerNodePorts"], true.into());
        }
        for ingress in each(service, &["status", "loadBalancer", "ingress"]) {
            if !text(ingress, &["ip"]).is_empty() && !is_set(ingress, &["ipMode"]) {
                ingress.set("ipMode", "VIP");
            }
        }
    }
}

fn service_port(port: &mut Struct) {
    if text(port, &["protocol"]).is_empty() {
        port.set("protocol", "TCP");
    }
    if port.get("targetPort").is_none_or(Value::is_zero) {
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        if number == 0 {
            port.remove("targetPort");
        } else {
            port.set("targetPort", number);
        }
    }
}

/// Every named namespace carries its name as a label.
pub(super) fn namespace(namespace: &mut Struct) {
    let name = text(namespace, &["metadata", "name"]).to_owned();
    if !name.is_empty() {
        set_in_struct(namespace, &["metadata", "labels", "kubernetes.io/metadata.name"], name.into());
    }
}

/// What can be allocated is everything, unless the node says otherwise.
pub(super) fn node_status(status: &mut Struct) {
    if status.get("allocatable").is_none()
        && let Some(capacity) = status.get("capacity").cloned()
    {
        status.set("allocatable", capacity);
    }
}

/// podCIDR is the first of podCIDRs; where they differ, the single one counts.
pub(super) fn node_cidrs(spec: &mut Struct) {
    let list = spec.get("podCIDRs").and_then(Value::as_list);
    let first = list.and_then(|list| list.first()).and_then(Value::as_str).map(str::to_owned);
    let single = text(spec, &["podCIDR"]).to_owned();
    match first {
        Some(first) if single.is_empty() => {
            spec.set("podCIDR", first);
        }
        first if !single.is_empty() && first.as_deref() != Some(&single) => {
            spec.set("podCIDRs", vec![Value::from(single)]);
        }
        _ => {}
    }
}

/// stringData is written over data, and never kept.
pub(super) fn secret(secret: &mut Struct) {
    let Some(Value::Map(plain)) = secret.remove("stringData") else { return };
    for (key, value) in plain.iter() {
        let bytes: Box<[u8]> = value.as_str().unwrap_or("").as_bytes().into();
        set_in_struct(secret, &["data", key], Value::Bytes(bytes));
    }
}

pub(super) fn limit_range_item(item: &mut Struct) {
    if text(item, &["type"]) != "Container" {
        return;
    }
    for (target, source) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
        let map = |name| item.get(name).and_then(Value::as_map).cloned().unwrap_or_default();
        let (mut filled, from) = (map(target), map(source));
        for (name, value) in from.iter() {
            if !filled.contains_key(name) {
                filled.insert(name, value.clone());
            }
        }
        if !filled.is_empty() {
            item.set(target, filled);
        }
    }
}

pub(super) fn network_policy(policy: &mut Struct) {
    let length = |name: &str| {
        policy.get("spec").and_then(|spec| spec.child(name)).and_then(Value::as_list).map_or(0, <[Value]>::len)
    };
    if length("policyTypes") == 0 {
        let mut types = vec![Value::from("Ingress")];
        if length("egress") != 0 {
            types.push("Egress".into());
        }
        set_in_struct(policy, &["spec", "policyTypes"], types.into());
    }
}

pub(super) fn subject(subject: &mut Struct) {
    if text(subject, &["apiGroup"]).is_empty() && matches!(text(subject, &["kind"]), "User" | "Group") {
        subject.set("apiGroup", "rbac.authorization.k8s.io");
    }
}

pub(super) fn device_request(request: &mut Struct) {
    const ONE: &str = "ExactCount";
    if text(request, &["allocationMode"]).is_empty() {
        request.set("allocationMode", ONE);
    }
    let count = request.get("count").and_then(Value::as_i64).unwrap_or(0);
    if text(request, &["allocationMode"]) == ONE && count == 0 {
        request.set("count", 1i64);
    }
}

pub(super) fn custom_resource_definition(definition: &mut Struct) {
    let kind = text(definition, &["spec", "names", "kind"]).to_owned();
    if !kind.is_empty() {
        if text(definition, &["spec", "names", "singular"]).is_empty() {
            set_in_struct(definition, &["spec", "names", "singular"], kind.to_lowercase().into());
        }
        if text(definition, &["spec", "names", "listKind"]).is_empty() {
            set_in_struct(definition, &["spec", "names", "listKind"], format!("{kind}List").into());
        }
    }
    if definition.get("spec").is_some_and(|spec| spec.child("conversion").is_none()) {
        set_in_struct(definition, &["spec", "conversion", "strategy"], "None".into());
    }
    let stored = definition.get("status").and_then(|status| status.child("storedVersions"));
    if stored.and_then(Value::as_list).is_none_or(<[Value]>::is_empty) {
        let versions = definition.get("spec").and_then(|spec| spec.child("versions")).and_then(Value::as_list);
        let storage = versions
            .unwrap_or_default()
            .iter()
            .find(|version| version.child("storage").and_then(Value::as_bool).unwrap_or(false));
        if let Some(name) = storage.and_then(|version| version.child("name")).cloned() {
            set_in_struct(definition, &["status", "storedVersions"], vec![name].into());
        }
    }
}

/// The labels of the pod template when the object has none itself.
pub(super) fn labels_from_template(object: &mut Struct) -> Option<MapValue> {
    let template = object.get("spec")?.at(&["template", "metadata", "labels"])?.as_map()?.clone();
    let own = object.get("metadata").and_then(|metadata| metadata.child("labels")).and_then(Value::as_map);
    if own.is_none_or(MapValue::is_empty) {
        set_in_struct(object, &["metadata", "labels"], template.clone().into());
    }
    Some(template)
}
