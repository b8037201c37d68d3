//! Services.

use super::super::{
    check::{
        Check::{self, Form, Labels, NeedsOneOf, OneOf, Port},
        PORT_RANGE,
    },
    error_list::ErrorList,
    field_path::{FieldPath, Nth},
    forms, names,
    print::printed,
    rule::{Rule, rule, with},
};
use crate::api::schema::{Struct, Value};

pub(super) static RULES: &[Rule] = &[
    with("core.v1.Service", service, &[]),
    with(
        "core.v1.ServiceSpec",
        spec,
        &[
            ("selector", Labels),
            ("sessionAffinity", NeedsOneOf(&["ClientIP", "None"])),
            ("type", NeedsOneOf(&["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"])),
            ("internalTrafficPolicy", OneOf(&["Cluster", "Local"])),
            ("trafficDistribution", OneOf(&["PreferClose", "PreferSameZone", "PreferSameNode"])),
        ],
    ),
    rule(
        "core.v1.ServicePort",
        &[
            ("protocol", NeedsOneOf(PROTOCOLS)),
            ("port", Check::Within(1, 65535, PORT_RANGE)),
            ("targetPort", Port),
            ("appProtocol", Form(names::label_key)),
        ],
    ),
];

pub(super) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

pub(super) fn is_headless(spec: &FieldPath) -> bool {
    let addresses = spec.list("clusterIPs");
    addresses.len() == 1 && addresses[0].as_str() == Some("None")
}

fn service<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    const MODE: &str = "service.kubernetes.io/topology-mode";
    const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let annotation = |key: &str| path.at(&["metadata", "annotations", key]).and_then(Value::as_str);
    if let (Some(hints), Some(mode)) = (annotation(HINTS), annotation(MODE))
        && hints != mode
    {
        let detail = format!("must match annotations[{HINTS}] when both are specified");
        errors.invalid(path, &format!("metadata.annotations[{MODE}]"), mode, detail);
    }
    let Some(spec) = path.child("spec") else { return };
    let balanced = spec.get("type").and_then(Value::as_str) == Some("LoadBalancer");
    let listed = spec.get("loadBalancerSourceRanges").is_some_and(|list| !list.is_zero());
    if let Some(ranges) = annotation(RANGES).filter(|_| !listed) {
        let field = format!("metadata.annotations[{RANGES}]");
        if !balanced {
            errors.forbidden(path, &field, "may only be used when `type` is 'LoadBalancer'");
        }
        let before = errors.old.and_then(|old| old.annotation(RANGES));
        for range in
            ranges.trim().split(',').map(str::trim).filter(|_| before != Some(ranges) && !ranges.trim().is_empty())
        {
            errors.invalid_each(path, &field, range, forms::cidr(range));
        }
    }
}

fn spec<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (kind, headless) = (path.text("type"), is_headless(path));
    if path.list("ports").is_empty() && !headless && kind != "ExternalName" {
        errors.required(path, "ports", "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            errors.invalid(path, "clusterIPs[0]", "None", detail);
        }
        "ExternalName" => external_name(path, errors),
        _ => {}
    }
    ports(path, errors);
    affinity(path, errors);
    addresses(path, errors);
    let known: Vec<&str> = errors.old.map_or_else(Vec::new, |old| {
        old.get_list(&["spec", "externalIPs"]).unwrap_or_default().iter().filter_map(Value::as_str).collect()
    });
    for (at, ip) in path.texts("externalIPs").enumerate() {
        let messages = if known.contains(&ip) { Vec::new() } else { forms::ip(ip) };
        let messages = if messages.is_empty() { forms::endpoint_ip(ip) } else { messages };
        errors.invalid_each(path, &format!("externalIPs[{at}]"), ip, messages);
    }
    balancer(path, errors);
    traffic(path, errors);
}

fn external_name<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for field in ["clusterIPs", "ipFamilies"].into_iter().filter(|field| !path.list(field).is_empty()) {
        errors.forbidden(path, field, "may not be set for ExternalName services");
    }
    if path.has("ipFamilyPolicy") {
        errors.forbidden(path, "ipFamilyPolicy", "may not be set for ExternalName services");
    }
    let name = path.text("externalName");
    match name.strip_suffix('.').unwrap_or(name) {
        "" => errors.required(path, "externalName", ""),
        name => errors.invalid_each(path, "externalName", name, names::dns_1123_subdomain(name)),
    }
}

fn ports<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let items: Vec<FieldPath> =
        path.structs("ports").enumerate().map(|(at, item)| path.below("ports", Nth::Index(at), item)).collect();
    let number = |port: &FieldPath, field: &str| port.number(field).unwrap_or(0);
    let mut seen: Vec<&str> = Vec::new();
    let (mut taken, mut used) = (Vec::new(), Vec::new());
    for port in &items {
        let (name, protocol) = (port.text("name"), port.text("protocol"));
        if name.is_empty() && items.len() > 1 {
            errors.required(port, "name", "");
        } else if !name.is_empty() {
            errors.invalid_each(port, "name", name, names::dns_1123_label(name));
            if seen.contains(&name) {
                errors.duplicate(port, "name", name);
            } else {
                seen.push(name);
            }
        }
        let node = number(port, "nodePort");
        if node != 0 {
            if path.text("type") == "ClusterIP" {
                errors.forbidden(port, "nodePort", "may not be used when `type` is 'ClusterIP'");
            }
            if taken.contains(&(protocol, node)) {
                errors.duplicate_as(port, "nodePort", node);
            }
            taken.push((protocol, node));
        }
        let key = (protocol, number(port, "port"));
        if used.contains(&key) {
            let mut shown = Struct::new(port.fields.def());
            shown.set("protocol", key.0);
            shown.set("port", key.1);
            errors.duplicate_as(port, "", super::super::print::printed_struct(&shown));
        }
        used.push(key);
    }
}

fn affinity<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const SECONDS_MAX: i64 = 86_400;
    const FIELD: &str = "sessionAffinityConfig";
    let config = path.get(FIELD);
    match path.text("sessionAffinity") {
        "None" if config.is_some() => {
            errors.forbidden(path, FIELD, "must not be set when session affinity is None");
        }
        "ClientIP" => {
            let missing = "when session affinity type is ClientIP";
            let Some(config) = config else { return errors.required(path, FIELD, missing) };
            let Some(client) = config.child("clientIP") else {
                return errors.required(path, &format!("{FIELD}.clientIP"), missing);
            };
            let field = format!("{FIELD}.clientIP.timeoutSeconds");
            match client.child("timeoutSeconds").and_then(Value::as_i64) {
                None => errors.required(path, &field, missing),
                Some(seconds) if seconds <= 0 || seconds > SECONDS_MAX => {
                    let detail = format!("must be greater than 0 and less than {SECONDS_MAX}");
                    errors.invalid_as(path, &field, seconds, detail);
                }
                Some(_) => {}
            }
        }
        _ => {}
    }
}

/// Addresses and families alone, of a whole Service.
pub(in crate::object::validation) fn service_addresses<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if let Some(spec) = path.child("spec") {
        addresses(&path.below("spec", Nth::Only, spec), errors);
    }
}

/// Addresses and their families.
fn addresses<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.text("type") == "ExternalName" {
        return;
    }
    let (single, all) = (path.text("clusterIP"), path.texts("clusterIPs").collect::<Vec<_>>());
    let shown = printed(path.get("clusterIPs"));
    if !single.is_empty() && all.is_empty() {
        errors.required(path, "clusterIPs", "");
    } else if !single.is_empty() && all[0] != single {
        errors.invalid_as(path, "clusterIPs", &shown, "first value must match `clusterIP`");
    } else if single.is_empty() && !all.is_empty() {
        errors.invalid_as(path, "clusterIPs", &shown, "must be empty when `clusterIP` is not specified");
    }
    let families: Vec<&str> = path.texts("ipFamilies").collect();
    for (at, family) in families.iter().enumerate() {
        let field = format!("ipFamilies[{at}]");
        if !["IPv4", "IPv6"].contains(family) {
            errors.unsupported(path, &field, family, &["IPv4", "IPv6"]);
        }
        if families[..at].contains(family) {
            errors.duplicate(path, &field, family);
        }
    }
    OneOf(&["PreferDualStack", "RequireDualStack", "SingleStack"]).apply(path, "ipFamilyPolicy", errors);
    if bad_addresses(path, &all, &shown, errors) {
        return;
    }
    let six: Vec<bool> = all.iter().map(|ip| forms::parse_ip(ip).is_some_and(|ip| ip.is_ipv6())).collect();
    if all.len() > 1 && six.iter().all(|is| *is == six[0]) {
        let detail = "may specify no more than one IP for each IP family";
        errors.invalid_as(path, "clusterIPs", &shown, detail);
    }
    if all.first() == Some(&"None") {
        return;
    }
    for (at, (ip, family)) in all.iter().zip(&families).enumerate() {
        if (*family == "IPv4" && six[at]) || (*family == "IPv6" && !six[at]) {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{at}]`");
            errors.invalid(path, &format!("clusterIPs[{at}]"), ip, detail);
        }
    }
}

/// Whether an address cannot be read.
fn bad_addresses<'t>(path: &FieldPath<'_, 't>, all: &[&str], shown: &str, errors: &mut ErrorList<'t>) -> bool {
    let known: Vec<&str> = errors.old.map_or_else(Vec::new, |old| {
        old.get_list(&["spec", "clusterIPs"]).unwrap_or_default().iter().filter_map(Value::as_str).collect()
    });
    let mut bad = false;
    for (at, ip) in all.iter().enumerate() {
        if at == 0 && *ip == "None" {
            if all.len() > 1 {
                bad = true;
                errors.invalid_as(path, "clusterIPs", shown, "'None' must be the first and only value");
            }
            continue;
        }
        let messages = if known.contains(ip) { Vec::new() } else { forms::ip(ip) };
        bad |= !messages.is_empty();
        errors.invalid_each(path, &format!("clusterIPs[{at}]"), ip, messages);
    }
    if all.len() > 2 {
        errors.invalid_as(path, "clusterIPs", shown, "may only hold up to 2 values");
    }
    bad
}

fn balancer<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    const RANGES: &str = "LoadBalancerSourceRanges";
    let balanced = path.text("type") == "LoadBalancer";
    if !path.list("loadBalancerSourceRanges").is_empty() {
        if !balanced {
            errors.forbidden(path, RANGES, ONLY);
        }
        let known: Vec<&str> = errors.old.map_or_else(Vec::new, |old| {
            let list = old.get_list(&["spec", "loadBalancerSourceRanges"]).unwrap_or_default();
            list.iter().filter_map(Value::as_str).map(str::trim).collect()
        });
        for (at, range) in path.texts("loadBalancerSourceRanges").map(str::trim).enumerate() {
            if !known.contains(&range) {
                errors.invalid_each(path, &format!("{RANGES}[{at}]"), range, forms::cidr(range));
            }
        }
    }
    match path.has("allocateLoadBalancerNodePorts") {
        true if !balanced => errors.forbidden(path, "allocateLoadBalancerNodePorts", ONLY),
        false if balanced => {
            let error = crate::request::status::FieldError::required("allocateLoadBalancerNodePorts", "");
            errors.push(error);
        }
        _ => {}
    }
    if let Some(class) = path.optional_text("loadBalancerClass") {
        if balanced {
            errors.invalid_each(path, "loadBalancerClass", class, names::label_key(class));
        } else {
            errors.forbidden(path, "loadBalancerClass", ONLY);
        }
    }
}

fn traffic<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (kind, policy) = (path.text("type"), path.text("externalTrafficPolicy"));
    let outside =
        matches!(kind, "LoadBalancer" | "NodePort") || (kind == "ClusterIP" && !path.list("externalIPs").is_empty());
    if !outside && !policy.is_empty() {
        let detail = "may only be set for externally-accessible services";
        errors.invalid(path, "externalTrafficPolicy", policy, detail);
    } else if outside {
        NeedsOneOf(&["Cluster", "Local"]).apply(path, "externalTrafficPolicy", errors);
    }
    let health = path.number("healthCheckNodePort").unwrap_or(0);
    if !(kind == "LoadBalancer" && policy == "Local") {
        if health != 0 {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.invalid_as(path, "healthCheckNodePort", health, detail);
        }
    } else if health != 0 && names::port_number(health).is_some() {
        errors.invalid_as(path, "healthCheckNodePort", health, PORT_RANGE);
    }
    let inside = matches!(kind, "NodePort" | "LoadBalancer" | "ClusterIP");
    if inside && !path.has("internalTrafficPolicy") {
        errors.required(path, "internalTrafficPolicy", "");
    }
}
