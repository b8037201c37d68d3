//! Devices that pods claim: claims, their templates and their status, and classes.

use super::{
    super::{
        check::{
            Check::{self, NeedsForm},
            POSITIVE,
        },
        forms,
        judge::Judge,
        names,
        place::{Nth, Place},
        rule::{Rule, rule, with},
    },
    device_parts::{bounded, by_text, pool_name, qualified, set},
    resources::text,
};
use crate::api::schema::{Struct, Value};

pub(super) static RULES: &[Rule] = &[
    with("resource.v1.DeviceClaim", device_claim, &[]),
    with("resource.v1.DeviceRequest", device_request, &[("name", Check::AlwaysForm(names::dns_1123_label))]),
    with("resource.v1.ExactDeviceRequest", requested, &[]),
    with("resource.v1.DeviceSubRequest", requested, &[("name", Check::AlwaysForm(names::dns_1123_label))]),
    with("resource.v1.DeviceToleration", toleration, &[]),
    with("resource.v1.OpaqueDeviceConfiguration", opaque, &[]),
    with("resource.v1.DeviceClassSpec", class, &[]),
    rule("resource.v1.DeviceClassConfiguration", OPAQUE),
    rule("resource.v1.DeviceClaimConfiguration", OPAQUE),
    with("resource.v1.ResourceClaimTemplateSpec", template, &[]),
    with("resource.v1.ResourceClaimStatus", claim_status, &[]),
    rule(
        "resource.v1.ResourceClaimConsumerReference",
        &[("resource", Check::Required), ("name", Check::Required), ("uid", Check::Required)],
    ),
    with("resource.v1.DeviceRequestAllocationResult", allocated, &[]),
    with("resource.v1.DeviceAllocationResult", allocation, &[]),
    with("resource.v1.DeviceAllocationConfiguration", allocation_configuration, OPAQUE),
    with("resource.v1.AllocatedDeviceStatus", device_status, &[]),
    with("resource.v1.NetworkDeviceData", network, &[]),
];

const OPAQUE: &[(&str, Check)] = &[("opaque", Check::Present)];

const REQUESTS_MAX: usize = 32;
const CONSTRAINTS_MAX: usize = 32;
const CONFIGURATIONS_MAX: usize = 32;
const ALTERNATIVES_MAX: usize = 8;
const SELECTORS_MAX: usize = 32;
const PARAMETERS_BYTES_MAX: usize = 10 * 1024;
const CONSUMERS_MAX: usize = 256;
const CONDITIONS_MAX: usize = 8;
const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];

fn device_claim<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    set(place, "requests", REQUESTS_MAX, by_text("name"), judge);
    if bounded(place, "constraints", CONSTRAINTS_MAX, judge) {
        judge.settle("constraints");
        for (at, item) in place.structs("constraints").enumerate() {
            let constraint = place.below("constraints", Nth::At(at), item);
            references(&constraint, "requests", place.fields, judge);
            match (constraint.optional_text("matchAttribute"), constraint.optional_text("distinctAttribute")) {
                (Some(name), _) => fully_qualified(&constraint, "matchAttribute", name, judge),
                (None, Some(name)) => fully_qualified(&constraint, "distinctAttribute", name, judge),
                (None, None) => judge.required(&constraint, "matchAttribute", ""),
            }
        }
    }
    if bounded(place, "config", CONFIGURATIONS_MAX, judge) {
        judge.settle("config");
        for (at, item) in place.structs("config").enumerate() {
            let configuration = place.below("config", Nth::At(at), item);
            references(&configuration, "requests", place.fields, judge);
            judge.visit(&configuration);
        }
    }
}

/// Names of requests of a claim, each once.
fn references<'t>(place: &Place<'_, 't>, field: &'static str, claim: &'t Struct, judge: &mut Judge<'t>) {
    if !bounded(place, field, REQUESTS_MAX, judge) {
        return;
    }
    let names: Vec<&str> = place.texts(field).collect();
    for (at, name) in names.iter().enumerate() {
        reference(place, &format!("{field}[{at}]"), name, claim, judge);
    }
    for (at, name) in names.iter().enumerate().filter(|(at, name)| names[..*at].contains(name)) {
        judge.duplicate(place, &format!("{field}[{at}]"), name);
    }
}

/// `request`, or `request/subrequest`.
fn reference<'t>(place: &Place<'_, 't>, field: &str, name: &str, claim: &Struct, judge: &mut Judge<'t>) {
    const DETAIL: &str =
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() > 2 {
        return judge.invalid(place, field, name, DETAIL);
    }
    for part in &parts {
        judge.complain(place, field, part, names::dns_1123_label(part));
    }
    let named = |list: &'static str, within: &Struct, wanted: &str| -> Option<Struct> {
        let items = within.get(list).and_then(Value::as_list).unwrap_or_default();
        items.iter().rev().filter_map(Value::as_struct).find(|item| text(item, "name") == wanted).cloned()
    };
    let known = named("requests", claim, parts[0])
        .is_some_and(|request| parts.get(1).is_none_or(|sub| named("firstAvailable", &request, sub).is_some()));
    if !known {
        judge.invalid(place, field, name, DETAIL);
    }
}

fn device_request<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const ONE: &str = "exactly one of `exactly` or `firstAvailable` is required";
    match (place.has("exactly"), place.list("firstAvailable").is_empty()) {
        (false, true) => judge.required(place, "", ONE),
        (true, false) => {
            judge.invalid_as(place, "", "null", format!("{ONE}, but multiple fields are set"));
            judge.settle("exactly");
            judge.settle("firstAvailable");
        }
        (false, false) => set(place, "firstAvailable", ALTERNATIVES_MAX, by_text("name"), judge),
        (true, true) => {}
    }
}

/// What a request and each of its alternatives say in the same words.
fn requested<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    NeedsForm(names::dns_1123_subdomain).apply(place, "deviceClassName", judge);
    if bounded(place, "selectors", SELECTORS_MAX, judge) {
        judge.settle("selectors");
        for (at, item) in place.structs("selectors").enumerate() {
            judge.visit(&place.below("selectors", Nth::At(at), item));
        }
    }
    let count = place.number("count").unwrap_or(0);
    match place.text("allocationMode") {
        "All" if count != 0 => {
            judge.invalid_as(place, "count", count, "must not be specified when allocationMode is 'All'");
        }
        "All" => {}
        "ExactCount" if count <= 0 => judge.invalid_as(place, "count", count, POSITIVE),
        "ExactCount" => {}
        other => judge.unsupported(place, "allocationMode", other, &["All", "ExactCount"]),
    }
}

fn toleration<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    Check::Form(names::label_key).apply(place, "key", judge);
    let value = place.text("value");
    match place.text("operator") {
        "Exists" if !value.is_empty() => {
            judge.invalid(place, "value", value, "must be empty for operator `Exists`");
        }
        "Exists" => {}
        "Equal" => judge.complain(place, "value", value, names::label_value(value)),
        "" => judge.required(place, "operator", ""),
        other => judge.unsupported(place, "operator", other, &["Equal", "Exists"]),
    }
    Check::OneOf(&EFFECTS).apply(place, "effect", judge);
}

fn driver<'t>(place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
    NeedsForm(forms::driver).apply(place, field, judge);
    Check::Bytes(63).apply(place, field, judge);
}

fn opaque<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    driver(place, "driver", judge);
    raw(place, "parameters", PARAMETERS_BYTES_MAX, judge);
}

/// A JSON object that is kept as it came.
fn raw<'t>(place: &Place<'_, 't>, field: &str, bytes_max: usize, judge: &mut Judge<'t>) {
    let bytes = place.get(field).and_then(Value::as_bytes).unwrap_or_default();
    if bytes.is_empty() {
        judge.required(place, field, "");
    } else if bytes.len() > bytes_max {
        judge.too_long(place, field, bytes_max);
    } else {
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => {}
            Some(b'n') => judge.required(place, field, ""),
            _ => judge.invalid(place, field, "<value omitted>", "must be a valid JSON object"),
        }
    }
}

fn fully_qualified<'t>(place: &Place<'_, 't>, field: &str, name: &str, judge: &mut Judge<'t>) {
    qualified(place, field, name, judge);
    if !name.contains('/') {
        let detail = "a fully qualified name must be a domain and a name separated by a slash";
        judge.invalid(place, field, name, detail);
    }
}

fn class<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    bounded(place, "selectors", SELECTORS_MAX, judge);
    bounded(place, "config", CONFIGURATIONS_MAX, judge);
    if let Some(name) = place.optional_text("extendedResourceName").filter(|name| !super::resources::is_extended(name))
    {
        judge.invalid(place, "extendedResourceName", name, "must be a valid extended resource name");
    }
}

fn template<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if let Some(metadata) = place.child("metadata") {
        super::storage::template_metadata(place, "metadata", metadata, judge);
    }
}

/// The devices that a claim asks for, seen from its status.
fn asked<'t>(place: &Place<'_, 't>) -> Option<&'t Struct> {
    let root = std::iter::successors(Some(*place), |place| place.up.copied()).last()?;
    root.at(&["spec", "devices"])?.as_struct()
}

/// A device that was given: driver, pool, device, share.
fn identity(item: &Struct) -> [&str; 4] {
    ["driver", "pool", "device", "shareID"].map(|field| text(item, field))
}

fn printed_identity(item: &Struct) -> String {
    let [driver, pool, device, share] = identity(item).map(crate::request::status::go_quote);
    format!("{{\"Driver\":{driver},\"Pool\":{pool},\"Device\":{device},\"ShareID\":{share}}}")
}

fn claim_status<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    set(place, "reservedFor", CONSUMERS_MAX, by_text("uid"), judge);
    set(place, "devices", usize::MAX, printed_identity, judge);
    let before = judge.old.and_then(|old| old.get(&["status"]));
    let consumers = place.list("reservedFor");
    if !consumers.is_empty() {
        if !place.has("allocation") {
            judge.forbidden(place, "reservedFor", "may not be specified when `allocated` is not set");
        } else if judge.old.is_some_and(|old| old.deletion_timestamp().is_some()) {
            let kept = before.and_then(|s| s.child("reservedFor")).and_then(Value::as_list).unwrap_or_default();
            if consumers.iter().any(|consumer| !kept.contains(consumer)) {
                let detail =
                    "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
                judge.forbidden(place, "reservedFor", detail);
            }
        }
    }
    let (new, old) = (place.get("allocation"), before.and_then(|status| status.child("allocation")));
    if let (Some(new), Some(old)) = (new, old) {
        judge.settle("allocation");
        if !crate::object::equality::same(Some(new), Some(old)) {
            judge.invalid_value(place, "allocation", Some(new), super::super::meta::IMMUTABLE);
        }
    }
}

fn allocation<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    bounded(place, "results", REQUESTS_MAX, judge);
    bounded(place, "config", 2 * CONFIGURATIONS_MAX, judge);
}

fn allocated<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if let Some(claim) = asked(place) {
        reference(place, "request", place.text("request"), claim, judge);
    }
    device_identity(place, judge);
    super::device_slices::binding(place, judge);
    share(place, judge);
}

fn device_identity<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    driver(place, "driver", judge);
    pool_name(place, "pool", judge);
    Check::AlwaysForm(names::dns_1123_label).apply(place, "device", judge);
}

fn share<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(share) = place.optional_text("shareID") else { return };
    match uuid::Uuid::parse_str(share) {
        Err(_) => {
            let detail = if matches!(share.len(), 32 | 36 | 38 | 45) {
                "error validating uid: invalid UUID format".to_owned()
            } else {
                format!("error validating uid: invalid UUID length: {}", share.len())
            };
            judge.invalid(place, "shareID", share, detail);
        }
        Ok(_) if share.len() != 36 || share != share.to_lowercase() => {
            let detail = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters";
            judge.invalid(place, "shareID", share, detail);
        }
        Ok(_) => {}
    }
}

fn allocation_configuration<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    Check::NeedsOneOf(&["FromClaim", "FromClass"]).apply(place, "source", judge);
    if let Some(claim) = asked(place) {
        references(place, "requests", claim, judge);
    }
}

fn device_status<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    device_identity(place, judge);
    share(place, judge);
    let given = place.up.and_then(|status| status.at(&["allocation", "devices", "results"])).and_then(Value::as_list);
    if !given
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_struct)
        .any(|result| identity(result) == identity(place.fields))
    {
        judge.invalid_as(place, "", printed_identity(place.fields), "must be an allocated device in the claim");
    }
    let conditions = place.list("conditions").len();
    if conditions > CONDITIONS_MAX {
        judge.too_many(place, "conditions", conditions, CONDITIONS_MAX);
    }
    super::status::conditions(place, judge);
    if place.get("data").and_then(Value::as_bytes).is_some_and(|data| !data.is_empty()) {
        raw(place, "data", PARAMETERS_BYTES_MAX, judge);
    }
}

fn network<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const ADDRESSES_MAX: usize = 16;
    Check::Bytes(256).apply(place, "interfaceName", judge);
    Check::Bytes(128).apply(place, "hardwareAddress", judge);
    let addresses: Vec<&str> = place.texts("ips").collect();
    if addresses.len() > ADDRESSES_MAX {
        return judge.too_many(place, "ips", addresses.len(), ADDRESSES_MAX);
    }
    Check::EachForm(forms::interface_address).apply(place, "ips", judge);
    for (at, address) in addresses.iter().enumerate().filter(|(at, address)| addresses[..*at].contains(address)) {
        judge.duplicate(place, &format!("ips[{at}]"), address);
    }
}
