//! Endpoints of services, in slices and in the older form.

use std::net::IpAddr;

use super::{
    super::{
        check::{
            Check::{self, AlwaysForm, Form, Labels, NeedsOneOf, OneOf},
            PORT_RANGE,
        },
        error_list::ErrorList,
        field_path::FieldPath,
        forms, names,
        rule::{Rule, rule, with},
    },
    services::PROTOCOLS,
};
use crate::api::schema::Value;

pub(super) static RULES: &[Rule] = &[
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

fn subset<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.list("addresses").is_empty() && path.list("notReadyAddresses").is_empty() {
        errors.required(path, "", "must specify `addresses` or `notReadyAddresses`");
    }
    let ports = path.structs("ports");
    let named = ports.len() > 1;
    for (at, port) in ports.enumerate().filter(|_| named) {
        if port.get("name").is_none_or(Value::is_zero) {
            errors.required(path, &format!("ports[{at}].name"), "");
        }
    }
}

fn slice<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (field, most) in [("endpoints", 1000), ("ports", 20_000)] {
        if path.list(field).len() > most {
            errors.too_many(path, field, path.list(field).len(), most);
            errors.skip(field);
        }
    }
    let same =
        errors.old.is_some_and(|old| crate::object::equality::same(old.get(&["endpoints"]), path.get("endpoints")));
    if same {
        errors.skip("endpoints");
    }
    let mut seen: Vec<&str> = Vec::new();
    for (at, port) in path.structs("ports").enumerate() {
        let (name, field) = (super::resources::text(port, "name"), format!("ports[{at}].name"));
        if !name.is_empty() {
            errors.invalid_each(path, &field, name, names::dns_1123_label(name));
        }
        if seen.contains(&name) {
            errors.duplicate(path, &field, name);
        } else {
            seen.push(name);
        }
    }
}

fn slice_endpoint<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let addresses: Vec<&str> = path.texts("addresses").collect();
    if addresses.is_empty() {
        errors.required(path, "addresses", "must contain at least 1 address");
    } else if addresses.len() > 100 {
        errors.too_many(path, "addresses", addresses.len(), 100);
    }
    let kind = path.up.map_or("", |slice| slice.text("addressType"));
    for (at, address) in addresses.into_iter().enumerate() {
        let field = format!("addresses[{at}]");
        let parsed = forms::parse_ip(address);
        let (messages, fits) = match kind {
            "IPv4" => (forms::ip(address), parsed.is_some_and(|ip| ip.is_ipv4())),
            "IPv6" => (forms::canonical_ip(address), parsed.is_some_and(|ip: IpAddr| ip.is_ipv6())),
            "FQDN" => {
                full_name(path, &field, address, errors);
                continue;
            }
            _ => continue,
        };
        if messages.is_empty() {
            if !fits {
                errors.invalid(path, "addresses", address, format!("must be an {kind} address"));
            }
            errors.invalid_each(path, &field, address, forms::endpoint_ip(address));
        }
        errors.invalid_each(path, &field, address, messages);
    }
    if path.map("deprecatedTopology").is_some_and(|map| map.len() > 16) {
        errors.too_many(path, "deprecatedTopology", path.map("deprecatedTopology").map_or(0, |map| map.len()), 16);
    }
}

/// A name with at least two parts.
fn full_name<'t>(path: &FieldPath<'_, 't>, field: &str, name: &str, errors: &mut ErrorList<'t>) {
    if name.is_empty() {
        return errors.required(path, field, "");
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let messages = names::dns_1123_subdomain(name);
    if !messages.is_empty() {
        return errors.invalid(path, field, name, messages.join(","));
    }
    if !name.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        return errors.invalid(path, field, name, detail);
    }
    let bad = name.split('.').map(|label| (label, names::dns_1123_label(label))).find(|(_, all)| !all.is_empty());
    if let Some((label, messages)) = bad {
        errors.invalid(path, field, label, messages.join(","));
    }
}

fn hints<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (list, form) in
        [("forZones", names::label_value as fn(&str) -> Vec<String>), ("forNodes", names::dns_1123_subdomain)]
    {
        let count = path.list(list).len();
        if count > 8 {
            return errors.too_many(path, list, count, 8);
        }
        let mut seen: Vec<&str> = Vec::new();
        for (at, item) in path.structs(list).enumerate() {
            let (name, field) = (super::resources::text(item, "name"), format!("{list}[{at}].name"));
            if seen.contains(&name) {
                errors.duplicate(path, &field, name);
            } else {
                seen.push(name);
            }
            errors.invalid_each(path, &field, name, form(name));
        }
    }
}
