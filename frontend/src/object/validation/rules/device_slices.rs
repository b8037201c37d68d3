//! What a driver offers: slices of a pool of devices.

use super::{
    super::{
        check::{Check, POSITIVE},
        forms,
        judge::Judge,
        names,
        place::{Nth, Place},
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
fn set_or_absent<'t>(place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) -> bool {
    let flag = place.truth(field);
    if flag == Some(false) {
        judge.invalid_as(place, field, false, "must be either unset or set to true");
    }
    flag == Some(true)
}

fn slice<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    Check::NeedsForm(forms::driver).apply(place, "driver", judge);
    Check::Bytes(63).apply(place, "driver", judge);
    let mut chosen: Vec<&str> = Vec::new();
    match place.optional_text("nodeName") {
        None => {}
        Some("") => judge.invalid(place, "nodeName", "", "must be either unset or set to a non-empty string"),
        Some(name) => {
            chosen.push("`nodeName`");
            judge.complain(place, "nodeName", name, names::dns_1123_subdomain(name));
        }
    }
    if let Some(selector) = place.child("nodeSelector") {
        chosen.push("`nodeSelector`");
        let terms = selector.get("nodeSelectorTerms");
        if terms.and_then(Value::as_list).unwrap_or_default().len() != 1 {
            let detail = "must have exactly one node selector term";
            judge.invalid_value(place, "nodeSelector.nodeSelectorTerms", terms, detail);
        }
    }
    for (field, shown) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        if set_or_absent(place, field, judge) {
            chosen.push(shown);
        }
    }
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match chosen.len() {
        0 => judge.required(place, "", ONE),
        1 => {}
        _ => judge.invalid(
            place,
            "",
            &format!("{{{}}}", chosen.join(", ")),
            format!("{ONE}, but multiple fields are set"),
        ),
    }
    if place.has("sharedCounters") && place.has("devices") {
        judge.invalid(place, "", "", "only one of `sharedCounters` or `devices` is allowed");
    }
    let some = |field: &str| {
        place
            .structs("devices")
            .any(|device| device.get(field).and_then(Value::as_list).is_some_and(|list| !list.is_empty()))
    };
    let max = if some("taints") || some("consumesCounters") { COUNTED_DEVICES_MAX } else { DEVICES_MAX };
    set(place, "devices", max, by_text("name"), judge);
    set(place, "sharedCounters", COUNTER_SETS_MAX, by_text("name"), judge);
}

fn pool<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    pool_name(place, "name", judge);
    let number = |field: &str| place.number(field).unwrap_or(0);
    if number("resourceSliceCount") <= 0 {
        judge.invalid_as(place, "resourceSliceCount", number("resourceSliceCount"), POSITIVE);
    }
    if number("generation") < 0 {
        let detail = "must be greater than or equal to zero";
        judge.invalid_as(place, "generation", number("generation"), detail);
    }
}

/// The keys of a map, each with how errors show it.
fn keys<'t>(place: &Place<'_, 't>, field: &str) -> Vec<(&'t str, String)> {
    let map = place.map(field);
    map.into_iter().flat_map(MapValue::iter).map(|(key, _)| (key, format!("{field}[{key}]"))).collect()
}

fn device<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let count: usize = ["attributes", "capacity"].iter().filter_map(|field| place.map(field)).map(MapValue::len).sum();
    if count > ATTRIBUTES_MAX {
        let detail = format!("the total number of attributes and capacities must not exceed {ATTRIBUTES_MAX}");
        judge.invalid_as(place, "", count, detail);
    }
    for field in ["attributes", "capacity"] {
        for (key, path) in keys(place, field) {
            let path = if key.len() <= KEY_BYTES_MAX { path } else { format!("{field}[{}]", shortened(key)) };
            qualified(place, &path, key, judge);
        }
    }
    if !place.is("allowMultipleAllocations") {
        let capacities = place.map("capacity").into_iter().flat_map(MapValue::iter);
        for (key, _) in capacities.filter(|(_, capacity)| capacity.child("requestPolicy").is_some()) {
            judge.forbidden(place, &format!("capacity[{key}].requestPolicy"), "allowMultipleAllocations must be true");
        }
        judge.settle("capacity");
    }
    taints(place, judge);
    set(place, "consumesCounters", CONSUMPTIONS_MAX, by_text("counterSet"), judge);
    nodes_of_device(place, judge);
    binding(place, judge);
}

/// The middle of a key that is too long is left out.
fn shortened(key: &str) -> String {
    let kept = KEY_BYTES_MAX - "...".len();
    let head = key.get(..kept.div_ceil(2)).unwrap_or_default();
    let tail = key.get(key.len() - kept / 2..).unwrap_or_default();
    format!("{head}...{tail}")
}

/// Taints that were there before are not judged again.
fn taints<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let before = judge.old.and_then(|old| old.get_list(&["spec", "devices"])).unwrap_or_default();
    let name = place.text("name");
    let old = before.iter().find(|device| device.child("name").and_then(Value::as_str).unwrap_or_default() == name);
    if old.is_some_and(|old| crate::object::equality::same(old.child("taints"), place.get("taints"))) {
        judge.settle("taints");
    } else {
        bounded(place, "taints", TAINTS_MAX, judge);
    }
}

fn nodes_of_device<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    if !place.up.is_some_and(|spec| spec.is("perDeviceNodeSelection")) {
        if ["nodeName", "nodeSelector", "allNodes"].iter().any(|field| place.has(field)) {
            let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
            judge.invalid_as(place, "", "null", detail);
        }
        return judge.settle("nodeSelector");
    }
    let mut chosen: Vec<&str> = Vec::new();
    match place.optional_text("nodeName") {
        None => {}
        Some("") => judge.invalid(place, "nodeName", "", "must not be empty"),
        Some(name) => {
            chosen.push("`nodeName`");
            judge.complain(place, "nodeName", name, names::dns_1123_subdomain(name));
        }
    }
    if place.has("nodeSelector") {
        chosen.push("`nodeSelector`");
    }
    if set_or_absent(place, "allNodes", judge) {
        chosen.push("`allNodes`");
    }
    match chosen.len() {
        0 => judge.required(place, "", ONE),
        1 => {}
        _ => judge.invalid(place, "", &format!("{{{}}}", chosen.join(", ")), ONE),
    }
}

/// Conditions on which a device is bound, and on which binding has failed.
pub(super) fn binding<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const WHEN: &str = "bindingConditions";
    const FAILED: &str = "bindingFailureConditions";
    let of = |field: &str| -> Vec<&'t str> { place.texts(field).collect() };
    let (when, failed) = (of(WHEN), of(FAILED));
    for (field, items) in [(WHEN, &when), (FAILED, &failed)] {
        if items.len() > CONDITIONS_MAX {
            judge.too_many(place, field, items.len(), CONDITIONS_MAX);
        } else {
            Check::EachForm(names::label_key).apply(place, field, judge);
        }
    }
    for (field, items) in [(WHEN, &when), (FAILED, &failed)] {
        for (at, item) in items.iter().enumerate() {
            if items[..at].contains(item) {
                judge.duplicate(place, &format!("{field}[{at}]"), item);
            }
            if field == FAILED && when.contains(item) {
                let detail = "bindingFailureConditions must not overlap with bindingConditions";
                judge.invalid(place, &format!("{field}[{at}]"), item, detail);
            }
        }
    }
    if when.is_empty() && !failed.is_empty() {
        let detail = "bindingConditions are required to use bindingFailureConditions";
        judge.invalid_value(place, WHEN, place.get(WHEN), detail);
    }
    if failed.is_empty() && !when.is_empty() {
        let detail = "bindingFailureConditions are required to use bindingConditions";
        judge.invalid_value(place, FAILED, place.get(FAILED), detail);
    }
}

fn attribute<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const DETAIL: &str = "exactly one value must be specified";
    Check::Bytes(VALUE_BYTES_MAX).apply(place, "string", judge);
    if let Some(version) = place.optional_text("version") {
        if !is_semantic_version(version) {
            judge.invalid(place, "version", version, "must be a string compatible with semver.org spec 2.0.0");
        }
        Check::Bytes(VALUE_BYTES_MAX).apply(place, "version", judge);
    }
    match ["bool", "int", "string", "version"].iter().filter(|field| place.has(field)).count() {
        0 => judge.invalid(place, "", "", DETAIL),
        1 => {}
        _ => judge.invalid_as(place, "", printed_struct(place.fields), DETAIL),
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

fn counters<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let count = place.map("counters").map_or(0, MapValue::len);
    if count == 0 {
        return judge.required(place, "counters", "");
    }
    if count > COUNTERS_MAX {
        return judge.too_many(place, "counters", count, COUNTERS_MAX);
    }
    for (key, path) in keys(place, "counters") {
        judge.complain(place, &path, key, names::dns_1123_label(key));
    }
}

fn taint<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    Check::Form(names::label_value).apply(place, "value", judge);
    Check::NeedsOneOf(&["NoExecute", "NoSchedule", "None"]).apply(place, "effect", judge);
}

fn amount(value: Option<&Value>) -> crate::api::schema::scalar::quantity::Quantity {
    value.and_then(resources::parsed).unwrap_or(crate::api::schema::scalar::quantity::Quantity::from_units(0))
}

fn shown(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or("0")
}

/// How much of a capacity may be asked for.
fn request_policy<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let most = place.up.and_then(|capacity| capacity.get("value"));
    let default = place.get("default");
    match (place.list("validValues"), place.child("validRange")) {
        ([], None) => {}
        ([_, ..], Some(_)) => {
            let detail = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
            judge.forbidden(place, "", detail);
        }
        ([_, ..], None) if default.is_none() => {
            judge.required(place, "default", "required when validValues is defined");
        }
        (values @ [_, ..], None) => valid_values(place, values, default, most, judge),
        ([], Some(_)) if default.is_none() => {
            judge.required(place, "default", "required when validRange is defined");
        }
        ([], Some(range)) => {
            valid_range(&place.below("validRange", Nth::Only, range), default, most, judge);
        }
    }
}

fn valid_values<'t>(
    place: &Place<'_, 't>,
    values: &'t [Value],
    default: Option<&'t Value>,
    most: Option<&'t Value>,
    judge: &mut Judge<'t>,
) {
    let amounts: Vec<_> = values.iter().map(|value| amount(Some(value))).collect();
    for at in (1..values.len()).filter(|at| amounts[at - 1] > amounts[*at]) {
        let detail = "values must be sorted in ascending order";
        judge.invalid(place, &format!("validValues[{at}]"), shown(Some(&values[at])), detail);
    }
    if values.len() > OPTIONS_MAX {
        judge.too_many(place, "validValues", values.len(), OPTIONS_MAX);
    } else {
        for (at, value) in values.iter().enumerate().filter(|(at, _)| amounts[*at] > amount(most)) {
            let detail = format!("option is larger than capacity value: {}", shown(most));
            judge.invalid(place, &format!("validValues[{at}]"), shown(Some(value)), detail);
        }
        let units: Vec<i64> = amounts.iter().map(|amount| amount.units()).collect();
        for (at, unit) in units.iter().enumerate().filter(|(at, unit)| units[..*at].contains(unit)) {
            judge.duplicate(place, &format!("validValues[{at}]"), &unit.to_string());
        }
    }
    let among = values.len() <= OPTIONS_MAX && amounts.contains(&amount(default));
    if !among {
        let detail = "default value is not valid according to the requestPolicy";
        judge.invalid(place, "validValues", shown(default), detail);
    }
}

fn valid_range<'t>(range: &Place<'_, 't>, default: Option<&'t Value>, most: Option<&'t Value>, judge: &mut Judge<'t>) {
    let Some(min) = range.get("min") else {
        return judge.required(range, "min", "required when validRange is defined");
    };
    let max = range.get("max");
    let above = |a: Option<&Value>, b: Option<&Value>| amount(a) > amount(b);
    let min = Some(min);
    if above(min, most) {
        let detail = format!("min is larger than capacity value: {}", shown(most));
        judge.invalid(range, "min", shown(min), detail);
    }
    if above(min, default) {
        judge.invalid(range, "min", shown(default), format!("default is less than min: {}", shown(min)));
    }
    if max.is_some() {
        if above(min, max) {
            judge.invalid(range, "max", shown(min), format!("min is larger than max: {}", shown(max)));
        }
        if above(max, most) {
            judge.invalid(range, "max", shown(max), format!("max is larger than capacity value: {}", shown(most)));
        }
        if above(default, max) {
            judge.invalid(range, "max", shown(default), format!("default is more than max: {}", shown(max)));
        }
    }
    let Some(step) = range.get("step") else { return };
    let first = amount(min).plus(&amount(Some(step)));
    if first > amount(most) {
        let detail = format!("one step {} is larger than capacity value: {}", first.canonical(), shown(most));
        judge.invalid(range, "step", shown(Some(step)), detail);
    }
    for value in [default, max].into_iter().filter(|value| value.is_some()) {
        let distance = amount(value).units() - amount(min).units();
        if distance.checked_rem(amount(Some(step)).units()) != Some(0) {
            let detail =
                format!("value is not a multiple of a given step ({}) from ({})", shown(Some(step)), shown(min));
            judge.invalid(range, "step", shown(value), detail);
        }
    }
}
