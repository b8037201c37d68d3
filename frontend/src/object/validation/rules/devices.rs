//! Devices that pods claim: claims, their templates and their status, and classes.

use super::{
    super::{
        check::{
            Check::{self, NeedsForm},
            POSITIVE,
        },
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, names,
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

fn device_claim<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    set(path, "requests", REQUESTS_MAX, by_text("name"), errors);
    if bounded(path, "constraints", CONSTRAINTS_MAX, errors) {
        errors.skip("constraints");
        for (at, item) in path.structs("constraints").enumerate() {
            let constraint = path.below("constraints", Nth::Index(at), item);
            references(&constraint, "requests", path.fields, errors);
            match (constraint.optional_text("matchAttribute"), constraint.optional_text("distinctAttribute")) {
                (Some(name), _) => fully_qualified(&constraint, "matchAttribute", name, errors),
                (None, Some(name)) => fully_qualified(&constraint, "distinctAttribute", name, errors),
                (None, None) => errors.required(&constraint, "matchAttribute", ""),
            }
        }
    }
    if bounded(path, "config", CONFIGURATIONS_MAX, errors) {
        errors.skip("config");
        for (at, item) in path.structs("config").enumerate() {
            let configuration = path.below("config", Nth::Index(at), item);
            references(&configuration, "requests", path.fields, errors);
            errors.visit(&configuration);
        }
    }
}

/// Names of requests of a claim, each once.
fn references<'t>(path: &FieldPath<'_, 't>, field: &'static str, claim: &'t Struct, errors: &mut ErrorList<'t>) {
    if !bounded(path, field, REQUESTS_MAX, errors) {
        return;
    }
    let names: Vec<&str> = path.texts(field).collect();
    for (at, name) in names.iter().enumerate() {
        reference(path, &format!("{field}[{at}]"), name, claim, errors);
    }
    for (at, name) in names.iter().enumerate().filter(|(at, name)| names[..*at].contains(name)) {
        errors.duplicate(path, &format!("{field}[{at}]"), name);
    }
}

/// `request`, or `request/subrequest`.
fn reference<'t>(path: &FieldPath<'_, 't>, field: &str, name: &str, claim: &Struct, errors: &mut ErrorList<'t>) {
    const DETAIL: &str =
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() > 2 {
        return errors.invalid(path, field, name, DETAIL);
    }
    for part in &parts {
        errors.invalid_each(path, field, part, names::dns_1123_label(part));
    }
    let named = |list: &'static str, within: &Struct, wanted: &str| -> Option<Struct> {
        let items = within.get(list).and_then(Value::as_list).unwrap_or_default();
        items.iter().rev().filter_map(Value::as_struct).find(|item| text(item, "name") == wanted).cloned()
    };
    let known = named("requests", claim, parts[0])
        .is_some_and(|request| parts.get(1).is_none_or(|sub| named("firstAvailable", &request, sub).is_some()));
    if !known {
        errors.invalid(path, field, name, DETAIL);
    }
}

fn device_request<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const ONE: &str = "exactly one of `exactly` or `firstAvailable` is required";
    match (path.has("exactly"), path.list("firstAvailable").is_empty()) {
        (false, true) => errors.required(path, "", ONE),
        (true, false) => {
            errors.invalid_as(path, "", "null", format!("{ONE}, but multiple fields are set"));
            errors.skip("exactly");
            errors.skip("firstAvailable");
        }
        (false, false) => set(path, "firstAvailable", ALTERNATIVES_MAX, by_text("name"), errors),
        (true, true) => {}
    }
}

/// What a request and each of its alternatives say in the same words.
fn requested<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    NeedsForm(names::dns_1123_subdomain).apply(path, "deviceClassName", errors);
    if bounded(path, "selectors", SELECTORS_MAX, errors) {
        errors.skip("selectors");
        for (at, item) in path.structs("selectors").enumerate() {
            errors.visit(&path.below("selectors", Nth::Index(at), item));
        }
    }
    let count = path.number("count").unwrap_or(0);
    match path.text("allocationMode") {
        "All" if count != 0 => {
            errors.invalid_as(path, "count", count, "must not be specified when allocationMode is 'All'");
        }
        "All" => {}
        "ExactCount" if count <= 0 => errors.invalid_as(path, "count", count, POSITIVE),
        "ExactCount" => {}
        other => errors.unsupported(path, "allocationMode", other, &["All", "ExactCount"]),
    }
}

fn toleration<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    Check::Form(names::label_key).apply(path, "key", errors);
    let value = path.text("value");
    match path.text("operator") {
        "Exists" if !value.is_empty() => {
            errors.invalid(path, "value", value, "must be empty for operator `Exists`");
        }
        "Exists" => {}
        "Equal" => errors.invalid_each(path, "value", value, names::label_value(value)),
        "" => errors.required(path, "operator", ""),
        other => errors.unsupported(path, "operator", other, &["Equal", "Exists"]),
    }
    Check::OneOf(&EFFECTS).apply(path, "effect", errors);
}

fn driver<'t>(path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
    NeedsForm(forms::driver).apply(path, field, errors);
    Check::Bytes(63).apply(path, field, errors);
}

fn opaque<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    driver(path, "driver", errors);
    raw(path, "parameters", PARAMETERS_BYTES_MAX, errors);
}

/// A JSON object that is kept as it came.
fn raw<'t>(path: &FieldPath<'_, 't>, field: &str, bytes_max: usize, errors: &mut ErrorList<'t>) {
    let bytes = path.get(field).and_then(Value::as_bytes).unwrap_or_default();
    if bytes.is_empty() {
        errors.required(path, field, "");
    } else if bytes.len() > bytes_max {
        errors.too_long(path, field, bytes_max);
    } else {
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => {}
            Some(b'n') => errors.required(path, field, ""),
            _ => errors.invalid(path, field, "<value omitted>", "must be a valid JSON object"),
        }
    }
}

fn fully_qualified<'t>(path: &FieldPath<'_, 't>, field: &str, name: &str, errors: &mut ErrorList<'t>) {
    qualified(path, field, name, errors);
    if !name.contains('/') {
        let detail = "a fully qualified name must be a domain and a name separated by a slash";
        errors.invalid(path, field, name, detail);
    }
}

fn class<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    bounded(path, "selectors", SELECTORS_MAX, errors);
    bounded(path, "config", CONFIGURATIONS_MAX, errors);
    if let Some(name) = path.optional_text("extendedResourceName").filter(|name| !super::resources::is_extended(name)) {
        errors.invalid(path, "extendedResourceName", name, "must be a valid extended resource name");
    }
}

fn template<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if let Some(metadata) = path.child("metadata") {
        super::claims::template_metadata(path, "metadata", metadata, errors);
    }
}

/// The devices that a claim asks for, seen from its status.
fn asked<'t>(path: &FieldPath<'_, 't>) -> Option<&'t Struct> {
    let root = std::iter::successors(Some(*path), |path| path.up.copied()).last()?;
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

fn claim_status<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    set(path, "reservedFor", CONSUMERS_MAX, by_text("uid"), errors);
    set(path, "devices", usize::MAX, printed_identity, errors);
    let before = errors.old.and_then(|old| old.get(&["status"]));
    let consumers = path.list("reservedFor");
    if !consumers.is_empty() {
        if !path.has("allocation") {
            errors.forbidden(path, "reservedFor", "may not be specified when `allocated` is not set");
        } else if errors.old.is_some_and(|old| old.deletion_timestamp().is_some()) {
            let kept = before.and_then(|s| s.child("reservedFor")).and_then(Value::as_list).unwrap_or_default();
            if consumers.iter().any(|consumer| !kept.contains(consumer)) {
                let detail =
                    "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
                errors.forbidden(path, "reservedFor", detail);
            }
        }
    }
    let (new, old) = (path.get("allocation"), before.and_then(|status| status.child("allocation")));
    if let (Some(new), Some(old)) = (new, old) {
        errors.skip("allocation");
        if !crate::object::equality::same(Some(new), Some(old)) {
            errors.invalid_value(path, "allocation", Some(new), super::super::meta::IMMUTABLE);
        }
    }
}

fn allocation<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    bounded(path, "results", REQUESTS_MAX, errors);
    bounded(path, "config", 2 * CONFIGURATIONS_MAX, errors);
}

fn allocated<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if let Some(claim) = asked(path) {
        reference(path, "request", path.text("request"), claim, errors);
    }
    device_identity(path, errors);
    super::device_slices::binding(path, errors);
    share(path, errors);
}

fn device_identity<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    driver(path, "driver", errors);
    pool_name(path, "pool", errors);
    Check::AlwaysForm(names::dns_1123_label).apply(path, "device", errors);
}

fn share<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(share) = path.optional_text("shareID") else { return };
    match uuid::Uuid::parse_str(share) {
        Err(_) => {
            let detail = if matches!(share.len(), 32 | 36 | 38 | 45) {
                "error validating uid: invalid UUID format".to_owned()
            } else {
                format!("error validating uid: invalid UUID length: {}", share.len())
            };
            errors.invalid(path, "shareID", share, detail);
        }
        Ok(_) if share.len() != 36 || share != share.to_lowercase() => {
            let detail = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters";
            errors.invalid(path, "shareID", share, detail);
        }
        Ok(_) => {}
    }
}

fn allocation_configuration<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    Check::NeedsOneOf(&["FromClaim", "FromClass"]).apply(path, "source", errors);
    if let Some(claim) = asked(path) {
        references(path, "requests", claim, errors);
    }
}

fn device_status<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    device_identity(path, errors);
    share(path, errors);
    let given = path.up.and_then(|status| status.at(&["allocation", "devices", "results"])).and_then(Value::as_list);
    if !given
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_struct)
        .any(|result| identity(result) == identity(path.fields))
    {
        errors.invalid_as(path, "", printed_identity(path.fields), "must be an allocated device in the claim");
    }
    let conditions = path.list("conditions").len();
    if conditions > CONDITIONS_MAX {
        errors.too_many(path, "conditions", conditions, CONDITIONS_MAX);
    }
    super::status::conditions(path, errors);
    if path.get("data").and_then(Value::as_bytes).is_some_and(|data| !data.is_empty()) {
        raw(path, "data", PARAMETERS_BYTES_MAX, errors);
    }
}

fn network<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const ADDRESSES_MAX: usize = 16;
    Check::Bytes(256).apply(path, "interfaceName", errors);
    Check::Bytes(128).apply(path, "hardwareAddress", errors);
    let addresses: Vec<&str> = path.texts("ips").collect();
    if addresses.len() > ADDRESSES_MAX {
        return errors.too_many(path, "ips", addresses.len(), ADDRESSES_MAX);
    }
    Check::EachForm(forms::interface_address).apply(path, "ips", errors);
    for (at, address) in addresses.iter().enumerate().filter(|(at, address)| addresses[..*at].contains(address)) {
        errors.duplicate(path, &format!("ips[{at}]"), address);
    }
}
