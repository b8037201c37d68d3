//! Services and endpoints.

use std::net::IpAddr;

use super::super::{
    check::{
        Check::{self, AlwaysForm, Form, Labels, NeedsOneOf, OneOf, Port},
        PORT_RANGE,
    },
    forms,
    judge::Judge,
    names,
    place::{Nth, Place},
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
    with("core.v1.EndpointSubset", subset, &[]),
    rule(
        "core.v1.EndpointAddress",
        &[
            ("ip", AlwaysForm(forms::ip)),
            ("ip", AlwaysForm(forms::endpoint_ip)),
            ("hostname", Form(names::dns_1123_label)),
            ("nodeName", Form(names::dns_1123_subdomain)),
        ],
    ),
    rule(
        "core.v1.EndpointPort",
        &[
            ("name", Form(names::dns_1123_label)),
            ("port", Check::Within(1, 65535, PORT_RANGE)),
            ("protocol", NeedsOneOf(PROTOCOLS)),
            ("appProtocol", Form(names::label_key)),
        ],
    ),
    with("discovery.v1.EndpointSlice", slice, &[("addressType", NeedsOneOf(&["FQDN", "IPv4", "IPv6"]))]),
    with(
        "discovery.v1.Endpoint",
        slice_endpoint,
        &[
            ("nodeName", Form(names::dns_1123_subdomain)),
            ("deprecatedTopology", Labels),
            ("hostname", Form(names::dns_1123_label)),
        ],
    ),
    with("discovery.v1.EndpointHints", hints, &[]),
    rule(
        "discovery.v1.EndpointPort",
        &[("protocol", Check::Required), ("protocol", OneOf(PROTOCOLS)), ("appProtocol", Form(names::label_key))],
    ),
];

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

pub(super) fn is_headless(spec: &Place) -> bool {
    let addresses = spec.list("clusterIPs");
    addresses.len() == 1 && addresses[0].as_str() == Some("None")
}

fn service<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    const MODE: &str = "service.kubernetes.io/topology-mode";
    const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let annotation = |key: &str| place.at(&["metadata", "annotations", key]).and_then(Value::as_str);
    if let (Some(hints), Some(mode)) = (annotation(HINTS), annotation(MODE))
        && hints != mode
    {
        let detail = format!("must match annotations[{HINTS}] when both are specified");
        judge.invalid(place, &format!("metadata.annotations[{MODE}]"), mode, detail);
    }
    let Some(spec) = place.child("spec") else { return };
    let balanced = spec.get("type").and_then(Value::as_str) == Some("LoadBalancer");
    let listed = spec.get("loadBalancerSourceRanges").is_some_and(|list| !list.is_zero());
    if let Some(ranges) = annotation(RANGES).filter(|_| !listed) {
        let field = format!("metadata.annotations[{RANGES}]");
        if !balanced {
            judge.forbidden(place, &field, "may only be used when `type` is 'LoadBalancer'");
        }
        let before = judge.old.and_then(|old| old.annotation(RANGES));
        for range in
            ranges.trim().split(',').map(str::trim).filter(|_| before != Some(ranges) && !ranges.trim().is_empty())
        {
            judge.complain(place, &field, range, forms::cidr(range));
        }
    }
}

fn spec<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (kind, headless) = (place.text("type"), is_headless(place));
    if place.list("ports").is_empty() && !headless && kind != "ExternalName" {
        judge.required(place, "ports", "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            judge.invalid(place, "clusterIPs[0]", "None", detail);
        }
        "ExternalName" => external_name(place, judge),
        _ => {}
    }
    ports(place, judge);
    affinity(place, judge);
    addresses(place, judge);
    let known: Vec<&str> = judge.old.map_or_else(Vec::new, |old| {
        old.get_list(&["spec", "externalIPs"]).unwrap_or_default().iter().filter_map(Value::as_str).collect()
    });
    for (at, ip) in place.texts("externalIPs").enumerate() {
        let complaints = if known.contains(&ip) { Vec::new() } else { forms::ip(ip) };
        let complaints = if complaints.is_empty() { forms::endpoint_ip(ip) } else { complaints };
        judge.complain(place, &format!("externalIPs[{at}]"), ip, complaints);
    }
    balancer(place, judge);
    traffic(place, judge);
}

fn external_name<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for field in ["clusterIPs", "ipFamilies"].into_iter().filter(|field| !place.list(field).is_empty()) {
        judge.forbidden(place, field, "may not be set for ExternalName services");
    }
    if place.has("ipFamilyPolicy") {
        judge.forbidden(place, "ipFamilyPolicy", "may not be set for ExternalName services");
    }
    let name = place.text("externalName");
    match name.strip_suffix('.').unwrap_or(name) {
        "" => judge.required(place, "externalName", ""),
        name => judge.complain(place, "externalName", name, names::dns_1123_subdomain(name)),
    }
}

fn ports<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let items: Vec<Place> =
        place.structs("ports").enumerate().map(|(at, item)| place.below("ports", Nth::At(at), item)).collect();
    let number = |port: &Place, field: &str| port.number(field).unwrap_or(0);
    let mut seen: Vec<&str> = Vec::new();
    let (mut taken, mut used) = (Vec::new(), Vec::new());
    for port in &items {
        let (name, protocol) = (port.text("name"), port.text("protocol"));
        if name.is_empty() && items.len() > 1 {
            judge.required(port, "name", "");
        } else if !name.is_empty() {
            judge.complain(port, "name", name, names::dns_1123_label(name));
            if seen.contains(&name) {
                judge.duplicate(port, "name", name);
            } else {
                seen.push(name);
            }
        }
        let node = number(port, "nodePort");
        if node != 0 {
            if place.text("type") == "ClusterIP" {
                judge.forbidden(port, "nodePort", "may not be used when `type` is 'ClusterIP'");
            }
            if taken.contains(&(protocol, node)) {
                judge.duplicate_as(port, "nodePort", node);
            }
            taken.push((protocol, node));
        }
        let key = (protocol, number(port, "port"));
        if used.contains(&key) {
            let mut shown = Struct::new(port.fields.def());
            shown.set("protocol", key.0);
            shown.set("port", key.1);
            judge.duplicate_as(port, "", super::super::print::printed_struct(&shown));
        }
        used.push(key);
    }
}

fn affinity<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const SECONDS_MAX: i64 = 86_400;
    const FIELD: &str = "sessionAffinityConfig";
    let config = place.get(FIELD);
    match place.text("sessionAffinity") {
        "None" if config.is_some() => {
            judge.forbidden(place, FIELD, "must not be set when session affinity is None");
        }
        "ClientIP" => {
            let missing = "when session affinity type is ClientIP";
            let Some(config) = config else { return judge.required(place, FIELD, missing) };
            let Some(client) = config.child("clientIP") else {
                return judge.required(place, &format!("{FIELD}.clientIP"), missing);
            };
            let field = format!("{FIELD}.clientIP.timeoutSeconds");
            match client.child("timeoutSeconds").and_then(Value::as_i64) {
                None => judge.required(place, &field, missing),
                Some(seconds) if seconds <= 0 || seconds > SECONDS_MAX => {
                    let detail = format!("must be greater than 0 and less than {SECONDS_MAX}");
                    judge.invalid_as(place, &field, seconds, detail);
                }
                Some(_) => {}
            }
        }
        _ => {}
    }
}

/// Addresses and families alone, of a whole Service.
pub(in crate::object::validation) fn service_addresses<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if let Some(spec) = place.child("spec") {
        addresses(&place.below("spec", Nth::Only, spec), judge);
    }
}

/// Addresses and their families.
fn addresses<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.text("type") == "ExternalName" {
        return;
    }
    let (single, all) = (place.text("clusterIP"), place.texts("clusterIPs").collect::<Vec<_>>());
    let shown = printed(place.get("clusterIPs"));
    if !single.is_empty() && all.is_empty() {
        judge.required(place, "clusterIPs", "");
    } else if !single.is_empty() && all[0] != single {
        judge.invalid_as(place, "clusterIPs", &shown, "first value must match `clusterIP`");
    } else if single.is_empty() && !all.is_empty() {
        judge.invalid_as(place, "clusterIPs", &shown, "must be empty when `clusterIP` is not specified");
    }
    let families: Vec<&str> = place.texts("ipFamilies").collect();
    for (at, family) in families.iter().enumerate() {
        let field = format!("ipFamilies[{at}]");
        if !["IPv4", "IPv6"].contains(family) {
            judge.unsupported(place, &field, family, &["IPv4", "IPv6"]);
        }
        if families[..at].contains(family) {
            judge.duplicate(place, &field, family);
        }
    }
    OneOf(&["PreferDualStack", "RequireDualStack", "SingleStack"]).apply(place, "ipFamilyPolicy", judge);
    if bad_addresses(place, &all, &shown, judge) {
        return;
    }
    let six: Vec<bool> = all.iter().map(|ip| forms::parse_ip(ip).is_some_and(|ip| ip.is_ipv6())).collect();
    if all.len() > 1 && six.iter().all(|is| *is == six[0]) {
        let detail = "may specify no more than one IP for each IP family";
        judge.invalid_as(place, "clusterIPs", &shown, detail);
    }
    if all.first() == Some(&"None") {
        return;
    }
    for (at, (ip, family)) in all.iter().zip(&families).enumerate() {
        if (*family == "IPv4" && six[at]) || (*family == "IPv6" && !six[at]) {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{at}]`");
            judge.invalid(place, &format!("clusterIPs[{at}]"), ip, detail);
        }
    }
}

/// Whether an address cannot be read.
fn bad_addresses<'t>(place: &Place<'_, 't>, all: &[&str], shown: &str, judge: &mut Judge<'t>) -> bool {
    let known: Vec<&str> = judge.old.map_or_else(Vec::new, |old| {
        old.get_list(&["spec", "clusterIPs"]).unwrap_or_default().iter().filter_map(Value::as_str).collect()
    });
    let mut bad = false;
    for (at, ip) in all.iter().enumerate() {
        if at == 0 && *ip == "None" {
            if all.len() > 1 {
                bad = true;
                judge.invalid_as(place, "clusterIPs", shown, "'None' must be the first and only value");
            }
            continue;
        }
        let complaints = if known.contains(ip) { Vec::new() } else { forms::ip(ip) };
        bad |= !complaints.is_empty();
        judge.complain(place, &format!("clusterIPs[{at}]"), ip, complaints);
    }
    if all.len() > 2 {
        judge.invalid_as(place, "clusterIPs", shown, "may only hold up to 2 values");
    }
    bad
}

fn balancer<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    const RANGES: &str = "LoadBalancerSourceRanges";
    let balanced = place.text("type") == "LoadBalancer";
    if !place.list("loadBalancerSourceRanges").is_empty() {
        if !balanced {
            judge.forbidden(place, RANGES, ONLY);
        }
        let known: Vec<&str> = judge.old.map_or_else(Vec::new, |old| {
            let list = old.get_list(&["spec", "loadBalancerSourceRanges"]).unwrap_or_default();
            list.iter().filter_map(Value::as_str).map(str::trim).collect()
        });
        for (at, range) in place.texts("loadBalancerSourceRanges").map(str::trim).enumerate() {
            if !known.contains(&range) {
                judge.complain(place, &format!("{RANGES}[{at}]"), range, forms::cidr(range));
            }
        }
    }
    match place.has("allocateLoadBalancerNodePorts") {
        true if !balanced => judge.forbidden(place, "allocateLoadBalancerNodePorts", ONLY),
        false if balanced => {
            let error = crate::request::status::FieldError::required("allocateLoadBalancerNodePorts", "");
            judge.push(error);
        }
        _ => {}
    }
    if let Some(class) = place.optional_text("loadBalancerClass") {
        if balanced {
            judge.complain(place, "loadBalancerClass", class, names::label_key(class));
        } else {
            judge.forbidden(place, "loadBalancerClass", ONLY);
        }
    }
}

fn traffic<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (kind, policy) = (place.text("type"), place.text("externalTrafficPolicy"));
    let outside =
        matches!(kind, "LoadBalancer" | "NodePort") || (kind == "ClusterIP" && !place.list("externalIPs").is_empty());
    if !outside && !policy.is_empty() {
        let detail = "may only be set for externally-accessible services";
        judge.invalid(place, "externalTrafficPolicy", policy, detail);
    } else if outside {
        NeedsOneOf(&["Cluster", "Local"]).apply(place, "externalTrafficPolicy", judge);
    }
    let health = place.number("healthCheckNodePort").unwrap_or(0);
    if !(kind == "LoadBalancer" && policy == "Local") {
        if health != 0 {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            judge.invalid_as(place, "healthCheckNodePort", health, detail);
        }
    } else if health != 0 && names::port_number(health).is_some() {
        judge.invalid_as(place, "healthCheckNodePort", health, PORT_RANGE);
    }
    let inside = matches!(kind, "NodePort" | "LoadBalancer" | "ClusterIP");
    if inside && !place.has("internalTrafficPolicy") {
        judge.required(place, "internalTrafficPolicy", "");
    }
}

fn subset<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.list("addresses").is_empty() && place.list("notReadyAddresses").is_empty() {
        judge.required(place, "", "must specify `addresses` or `notReadyAddresses`");
    }
    let ports = place.structs("ports");
    let named = ports.len() > 1;
    for (at, port) in ports.enumerate().filter(|_| named) {
        if port.get("name").is_none_or(Value::is_zero) {
            judge.required(place, &format!("ports[{at}].name"), "");
        }
    }
}

fn slice<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (field, most) in [("endpoints", 1000), ("ports", 20_000)] {
        if place.list(field).len() > most {
            judge.too_many(place, field, place.list(field).len(), most);
            judge.settle(field);
        }
    }
    let same =
        judge.old.is_some_and(|old| crate::object::equality::same(old.get(&["endpoints"]), place.get("endpoints")));
    if same {
        judge.settle("endpoints");
    }
    let mut seen: Vec<&str> = Vec::new();
    for (at, port) in place.structs("ports").enumerate() {
        let (name, field) = (super::resources::text(port, "name"), format!("ports[{at}].name"));
        if !name.is_empty() {
            judge.complain(place, &field, name, names::dns_1123_label(name));
        }
        if seen.contains(&name) {
            judge.duplicate(place, &field, name);
        } else {
            seen.push(name);
        }
    }
}

fn slice_endpoint<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let addresses: Vec<&str> = place.texts("addresses").collect();
    if addresses.is_empty() {
        judge.required(place, "addresses", "must contain at least 1 address");
    } else if addresses.len() > 100 {
        judge.too_many(place, "addresses", addresses.len(), 100);
    }
    let kind = place.up.map_or("", |slice| slice.text("addressType"));
    for (at, address) in addresses.into_iter().enumerate() {
        let field = format!("addresses[{at}]");
        let parsed = forms::parse_ip(address);
        let (complaints, fits) = match kind {
            "IPv4" => (forms::ip(address), parsed.is_some_and(|ip| ip.is_ipv4())),
            "IPv6" => (forms::canonical_ip(address), parsed.is_some_and(|ip: IpAddr| ip.is_ipv6())),
            "FQDN" => {
                full_name(place, &field, address, judge);
                continue;
            }
            _ => continue,
        };
        if complaints.is_empty() {
            if !fits {
                judge.invalid(place, "addresses", address, format!("must be an {kind} address"));
            }
            judge.complain(place, &field, address, forms::endpoint_ip(address));
        }
        judge.complain(place, &field, address, complaints);
    }
    if place.map("deprecatedTopology").is_some_and(|map| map.len() > 16) {
        judge.too_many(place, "deprecatedTopology", place.map("deprecatedTopology").map_or(0, |map| map.len()), 16);
    }
}

/// A name with at least two parts.
fn full_name<'t>(place: &Place<'_, 't>, field: &str, name: &str, judge: &mut Judge<'t>) {
    if name.is_empty() {
        return judge.required(place, field, "");
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let complaints = names::dns_1123_subdomain(name);
    if !complaints.is_empty() {
        return judge.invalid(place, field, name, complaints.join(","));
    }
    if !name.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        return judge.invalid(place, field, name, detail);
    }
    let bad = name.split('.').map(|label| (label, names::dns_1123_label(label))).find(|(_, all)| !all.is_empty());
    if let Some((label, complaints)) = bad {
        judge.invalid(place, field, label, complaints.join(","));
    }
}

fn hints<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (list, form) in
        [("forZones", names::label_value as fn(&str) -> Vec<String>), ("forNodes", names::dns_1123_subdomain)]
    {
        let count = place.list(list).len();
        if count > 8 {
            return judge.too_many(place, list, count, 8);
        }
        let mut seen: Vec<&str> = Vec::new();
        for (at, item) in place.structs(list).enumerate() {
            let (name, field) = (super::resources::text(item, "name"), format!("{list}[{at}].name"));
            if seen.contains(&name) {
                judge.duplicate(place, &field, name);
            } else {
                seen.push(name);
            }
            judge.complain(place, &field, name, form(name));
        }
    }
}
