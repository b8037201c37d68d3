//! What a driver offers: slices of a pool of devices.

use super::{
    super::{
        check::{Check, POSITIVE},
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, names,
        print::printed_struct,
        rule::{Rule, with},
    },
    device_parts::{bounded, by_text, pool_name, qualified, set},
    resources,
};
use crate::api::schema::{MapValue, Value};

pub(super) static RULES: &[Rule] = &[
    with("resource.v1.ResourceSliceSpec", slice, &[]),
    with("resource.v1.ResourcePool", pool, &[]),
    with("resource.v1.Device", device, &[("name", Check::AlwaysForm(names::dns_1123_label))]),
    with("resource.v1.DeviceAttribute", attribute, &[]),
    with("resource.v1.CapacityRequestPolicy", request_policy, &[]),
    with("resource.v1.DeviceTaint", taint, &[("key", Check::AlwaysForm(names::label_key))]),
    with("resource.v1.CounterSet", counters, &[("name", Check::NeedsForm(names::dns_1123_label))]),
    with("resource.v1.DeviceCounterConsumption", counters, &[("counterSet", Check::NeedsForm(names::dns_1123_label))]),
];

const DEVICES_MAX: usize = 128;
/// Of devices with taints or counters fewer fit.
const COUNTED_DEVICES_MAX: usize = 64;
const COUNTER_SETS_MAX: usize = 8;
const COUNTERS_MAX: usize = 32;
const CONSUMPTIONS_MAX: usize = 2;
const TAINTS_MAX: usize = 16;
const CONDITIONS_MAX: usize = 4;
const ATTRIBUTES_MAX: usize = 32;
const OPTIONS_MAX: usize = 10;
/// Domain, slash and name.
const KEY_BYTES_MAX: usize = 63 + 1 + 32;
const VALUE_BYTES_MAX: usize = 64;

/// Flags that are set or not there, and never false.
fn set_or_absent<'t>(path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) -> bool {
    let flag = path.truth(field);
    if flag == Some(false) {
        errors.invalid_as(path, field, false, "must be either unset or set to true");
    }
    flag == Some(true)
}

fn slice<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    Check::NeedsForm(forms::driver).apply(path, "driver", errors);
    Check::Bytes(63).apply(path, "driver", errors);
    let mut chosen: Vec<&str> = Vec::new();
    match path.optional_text("nodeName") {
        None => {}
        Some("") => errors.invalid(path, "nodeName", "", "must be either unset or set to a non-empty string"),
        Some(name) => {
            chosen.push("`nodeName`");
            errors.invalid_each(path, "nodeName", name, names::dns_1123_subdomain(name));
        }
    }
    if let Some(selector) = path.child("nodeSelector") {
        chosen.push("`nodeSelector`");
        let terms = selector.get("nodeSelectorTerms");
        if terms.and_then(Value::as_list).unwrap_or_default().len() != 1 {
            let detail = "must have exactly one node selector term";
            errors.invalid_value(path, "nodeSelector.nodeSelectorTerms", terms, detail);
        }
    }
    for (field, shown) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        if set_or_absent(path, field, errors) {
            chosen.push(shown);
        }
    }
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match chosen.len() {
        0 => errors.required(path, "", ONE),
        1 => {}
        _ => errors.invalid(
            path,
            "",
            &format!("{{{}}}", chosen.join(", ")),
            format!("{ONE}, but multiple fields are set"),
        ),
    }
    if path.has("sharedCounters") && path.has("devices") {
        errors.invalid(path, "", "", "only one of `sharedCounters` or `devices` is allowed");
    }
    let some = |field: &str| {
        path.structs("devices")
            .any(|device| device.get(field).and_then(Value::as_list).is_some_and(|list| !list.is_empty()))
    };
    let max = if some("taints") || some("consumesCounters") { COUNTED_DEVICES_MAX } else { DEVICES_MAX };
    set(path, "devices", max, by_text("name"), errors);
    set(path, "sharedCounters", COUNTER_SETS_MAX, by_text("name"), errors);
}

fn pool<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    pool_name(path, "name", errors);
    let number = |field: &str| path.number(field).unwrap_or(0);
    if number("resourceSliceCount") <= 0 {
        errors.invalid_as(path, "resourceSliceCount", number("resourceSliceCount"), POSITIVE);
    }
    if number("generation") < 0 {
        let detail = "must be greater than or equal to zero";
        errors.invalid_as(path, "generation", number("generation"), detail);
    }
}

/// The keys of a map, each with how errors show it.
fn keys<'t>(path: &FieldPath<'_, 't>, field: &str) -> Vec<(&'t str, String)> {
    let map = path.map(field);
    map.into_iter().flat_map(MapValue::iter).map(|(key, _)| (key, format!("{field}[{key}]"))).collect()
}

fn device<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let count: usize = ["attributes", "capacity"].iter().filter_map(|field| path.map(field)).map(MapValue::len).sum();
    if count > ATTRIBUTES_MAX {
        let detail = format!("the total number of attributes and capacities must not exceed {ATTRIBUTES_MAX}");
        errors.invalid_as(path, "", count, detail);
    }
    for field in ["attributes", "capacity"] {
        for (key, shown) in keys(path, field) {
            let shown = if key.len() <= KEY_BYTES_MAX { shown } else { format!("{field}[{}]", shortened(key)) };
            qualified(path, &shown, key, errors);
        }
    }
    if !path.is("allowMultipleAllocations") {
        let capacities = path.map("capacity").into_iter().flat_map(MapValue::iter);
        for (key, _) in capacities.filter(|(_, capacity)| capacity.child("requestPolicy").is_some()) {
            errors.forbidden(path, &format!("capacity[{key}].requestPolicy"), "allowMultipleAllocations must be true");
        }
        errors.skip("capacity");
    }
    taints(path, errors);
    set(path, "consumesCounters", CONSUMPTIONS_MAX, by_text("counterSet"), errors);
    nodes_of_device(path, errors);
    binding(path, errors);
}

/// The middle of a key that is too long is left out.
fn shortened(key: &str) -> String {
    let kept = KEY_BYTES_MAX - "...".len();
    let head = key.get(..kept.div_ceil(2)).unwrap_or_default();
    let tail = key.get(key.len() - kept / 2..).unwrap_or_default();
    format!("{head}...{tail}")
}

/// Taints that were there before are not validated again.
fn taints<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let before = errors.old.and_then(|old| old.get_list(&["spec", "devices"])).unwrap_or_default();
    let name = path.text("name");
    let old = before.iter().find(|device| device.child("name").and_then(Value::as_str).unwrap_or_default() == name);
    if old.is_some_and(|old| crate::object::equality::same(old.child("taints"), path.get("taints"))) {
        errors.skip("taints");
    } else {
        bounded(path, "taints", TAINTS_MAX, errors);
    }
}

fn nodes_of_device<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    if !path.up.is_some_and(|spec| spec.is("perDeviceNodeSelection")) {
        if ["nodeName", "nodeSelector", "allNodes"].iter().any(|field| path.has(field)) {
            let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
            errors.invalid_as(path, "", "null", detail);
        }
        return errors.skip("nodeSelector");
    }
    let mut chosen: Vec<&str> = Vec::new();
    match path.optional_text("nodeName") {
        None => {}
        Some("") => errors.invalid(path, "nodeName", "", "must not be empty"),
        Some(name) => {
            chosen.push("`nodeName`");
            errors.invalid_each(path, "nodeName", name, names::dns_1123_subdomain(name));
        }
    }
    if path.has("nodeSelector") {
        chosen.push("`nodeSelector`");
    }
    if set_or_absent(path, "allNodes", errors) {
        chosen.push("`allNodes`");
    }
    match chosen.len() {
        0 => errors.required(path, "", ONE),
        1 => {}
        _ => errors.invalid(path, "", &format!("{{{}}}", chosen.join(", ")), ONE),
    }
}

/// Conditions on which a device is bound, and on which binding has failed.
pub(super) fn binding<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const WHEN: &str = "bindingConditions";
    const FAILED: &str = "bindingFailureConditions";
    let of = |field: &str| -> Vec<&'t str> { path.texts(field).collect() };
    let (when, failed) = (of(WHEN), of(FAILED));
    for (field, items) in [(WHEN, &when), (FAILED, &failed)] {
        if items.len() > CONDITIONS_MAX {
            errors.too_many(path, field, items.len(), CONDITIONS_MAX);
        } else {
            Check::EachForm(names::label_key).apply(path, field, errors);
        }
    }
    for (field, items) in [(WHEN, &when), (FAILED, &failed)] {
        for (at, item) in items.iter().enumerate() {
            if items[..at].contains(item) {
                errors.duplicate(path, &format!("{field}[{at}]"), item);
            }
            if field == FAILED && when.contains(item) {
                let detail = "bindingFailureConditions must not overlap with bindingConditions";
                errors.invalid(path, &format!("{field}[{at}]"), item, detail);
            }
        }
    }
    if when.is_empty() && !failed.is_empty() {
        let detail = "bindingConditions are required to use bindingFailureConditions";
        errors.invalid_value(path, WHEN, path.get(WHEN), detail);
    }
    if failed.is_empty() && !when.is_empty() {
        let detail = "bindingFailureConditions are required to use bindingConditions";
        errors.invalid_value(path, FAILED, path.get(FAILED), detail);
    }
}

fn attribute<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const DETAIL: &str = "exactly one value must be specified";
    Check::Bytes(VALUE_BYTES_MAX).apply(path, "string", errors);
    if let Some(version) = path.optional_text("version") {
        if !is_semantic_version(version) {
            errors.invalid(path, "version", version, "must be a string compatible with semver.org spec 2.0.0");
        }
        Check::Bytes(VALUE_BYTES_MAX).apply(path, "version", errors);
    }
    match ["bool", "int", "string", "version"].iter().filter(|field| path.has(field)).count() {
        0 => errors.invalid(path, "", "", DETAIL),
        1 => {}
        _ => errors.invalid_as(path, "", printed_struct(path.fields), DETAIL),
    }
}

/// `1.2.3-pre.1+build.2`.
fn is_semantic_version(text: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let number = |part: &str| digits(part) && (part == "0" || !part.starts_with('0'));
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, before) = rest.split_once('-').map_or((rest, None), |(core, before)| (core, Some(before)));
    let parts: Vec<&str> = core.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| number(part))
        && before.is_none_or(|before| before.split('.').all(|part| word(part) && (!digits(part) || number(part))))
        && build.is_none_or(|build| build.split('.').all(word))
}

fn counters<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let count = path.map("counters").map_or(0, MapValue::len);
    if count == 0 {
        return errors.required(path, "counters", "");
    }
    if count > COUNTERS_MAX {
        return errors.too_many(path, "counters", count, COUNTERS_MAX);
    }
    for (key, shown) in keys(path, "counters") {
        errors.invalid_each(path, &shown, key, names::dns_1123_label(key));
    }
}

fn taint<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    Check::Form(names::label_value).apply(path, "value", errors);
    Check::NeedsOneOf(&["NoExecute", "NoSchedule", "None"]).apply(path, "effect", errors);
}

fn amount(value: Option<&Value>) -> crate::api::schema::scalar::quantity::Quantity {
    value.and_then(resources::parsed).unwrap_or(crate::api::schema::scalar::quantity::Quantity::from_units(0))
}

fn shown(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or("0")
}

/// How much of a capacity may be asked for.
fn request_policy<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let most = path.up.and_then(|capacity| capacity.get("value"));
    let default = path.get("default");
    match (path.list("validValues"), path.child("validRange")) {
        ([], None) => {}
        ([_, ..], Some(_)) => {
            let detail = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
            errors.forbidden(path, "", detail);
        }
        ([_, ..], None) if default.is_none() => {
            errors.required(path, "default", "required when validValues is defined");
        }
        (values @ [_, ..], None) => valid_values(path, values, default, most, errors),
        ([], Some(_)) if default.is_none() => {
            errors.required(path, "default", "required when validRange is defined");
        }
        ([], Some(range)) => {
            valid_range(&path.below("validRange", Nth::Only, range), default, most, errors);
        }
    }
}

fn valid_values<'t>(
    path: &FieldPath<'_, 't>,
    values: &'t [Value],
    default: Option<&'t Value>,
    most: Option<&'t Value>,
    errors: &mut ErrorList<'t>,
) {
    let amounts: Vec<_> = values.iter().map(|value| amount(Some(value))).collect();
    for at in (1..values.len()).filter(|at| amounts[at - 1] > amounts[*at]) {
        let detail = "values must be sorted in ascending order";
        errors.invalid(path, &format!("validValues[{at}]"), shown(Some(&values[at])), detail);
    }
    if values.len() > OPTIONS_MAX {
        errors.too_many(path, "validValues", values.len(), OPTIONS_MAX);
    } else {
        for (at, value) in values.iter().enumerate().filter(|(at, _)| amounts[*at] > amount(most)) {
            let detail = format!("option is larger than capacity value: {}", shown(most));
            errors.invalid(path, &format!("validValues[{at}]"), shown(Some(value)), detail);
        }
        let units: Vec<i64> = amounts.iter().map(|amount| amount.units()).collect();
        for (at, unit) in units.iter().enumerate().filter(|(at, unit)| units[..*at].contains(unit)) {
            errors.duplicate(path, &format!("validValues[{at}]"), &unit.to_string());
        }
    }
    let among = values.len() <= OPTIONS_MAX && amounts.contains(&amount(default));
    if !among {
        let detail = "default value is not valid according to the requestPolicy";
        errors.invalid(path, "validValues", shown(default), detail);
    }
}

fn valid_range<'t>(
    range: &FieldPath<'_, 't>,
    default: Option<&'t Value>,
    most: Option<&'t Value>,
    errors: &mut ErrorList<'t>,
) {
    let Some(min) = range.get("min") else {
        return errors.required(range, "min", "required when validRange is defined");
    };
    let max = range.get("max");
    let above = |a: Option<&Value>, b: Option<&Value>| amount(a) > amount(b);
    let min = Some(min);
    if above(min, most) {
        let detail = format!("min is larger than capacity value: {}", shown(most));
        errors.invalid(range, "min", shown(min), detail);
    }
    if above(min, default) {
        errors.invalid(range, "min", shown(default), format!("default is less than min: {}", shown(min)));
    }
    if max.is_some() {
        if above(min, max) {
            errors.invalid(range, "max", shown(min), format!("min is larger than max: {}", shown(max)));
        }
        if above(max, most) {
            errors.invalid(range, "max", shown(max), format!("max is larger than capacity value: {}", shown(most)));
        }
        if above(default, max) {
            errors.invalid(range, "max", shown(default), format!("default is more than max: {}", shown(max)));
        }
    }
    let Some(step) = range.get("step") else { return };
    let first = amount(min).plus(&amount(Some(step)));
    if first > amount(most) {
        let detail = format!("one step {} is larger than capacity value: {}", first.canonical(), shown(most));
        errors.invalid(range, "step", shown(Some(step)), detail);
    }
    for value in [default, max].into_iter().filter(|value| value.is_some()) {
        let distance = amount(value).units() - amount(min).units();
        if distance.checked_rem(amount(Some(step)).units()) != Some(0) {
            let detail =
                format!("value is not a multiple of a given step ({}) from ({})", shown(Some(step)), shown(min));
            errors.invalid(range, "step", shown(value), detail);
        }
    }
}
