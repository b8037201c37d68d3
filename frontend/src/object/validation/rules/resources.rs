//! Names and quantities of resources.

use super::super::{
    check::NOT_NEGATIVE,
    judge::Judge,
    names,
    place::{Nth, Place},
    rule::{Rule, with},
};
use crate::{
    api::schema::{MapValue, Struct, Value, scalar::quantity::Quantity},
    request::status::FieldErrorKind,
};

pub(super) static RULES: &[Rule] = &[with("core.v1.ResourceRequirements", container_requirements, &[])];

const HUGE_PAGES: &str = "hugepages-";
const CONTAINER: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const POD_LEVEL: [&str; 3] = ["cpu", "hugepages-", "memory"];
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const QUOTA: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

fn is_huge(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

pub(super) fn is_quota(name: &str) -> bool {
    QUOTA.contains(&name) || COUNTED.contains(&name) || is_huge(name) || name.starts_with("requests.hugepages-")
}

fn is_standard(name: &str) -> bool {
    is_quota(name) || name == "storage"
}

pub(super) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

pub(super) fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && names::label_key(&format!("requests.{name}")).is_empty()
}

pub(super) fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge(name)
}

/// Who names resources: each allows others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NameOf {
    Any,
    Container,
    Pod,
    Quota,
}

/// What is wrong with the name of a resource.
pub(super) fn name<'t>(name: &str, of: NameOf, place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
    let form = names::label_key(name);
    let odd = !form.is_empty();
    judge.complain(place, field, name, form);
    let plain = name.split('/').count() == 1;
    let unknown = !odd && plain && !is_standard(name);
    if unknown {
        judge.invalid(place, field, name, "must be a standard resource type or fully qualified");
    }
    match of {
        NameOf::Container if plain && !CONTAINER.contains(&name) && !is_huge(name) => {
            judge.invalid(place, field, name, "must be a standard resource for containers");
        }
        NameOf::Container if !plain && !is_native(name) && !is_extended(name) => {
            judge.invalid(place, field, name, "doesn't follow extended resource name standard");
        }
        NameOf::Pod if !odd && !unknown && !["cpu", "memory"].contains(&name) && !is_huge(name) => {
            judge.unsupported(place, field, name, &POD_LEVEL);
        }
        NameOf::Quota if plain && !is_quota(name) => {
            judge.invalid(place, field, name, "must be a standard resource for quota");
        }
        _ => {}
    }
}

pub(super) fn parsed(value: &Value) -> Option<Quantity> {
    value.as_str().and_then(|text| Quantity::parse(text).ok())
}

/// What is wrong with how much there is of a resource.
pub(super) fn amount<'t>(name: &str, value: &Value, place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
    let Some(quantity) = parsed(value) else { return };
    let text = value.as_str().unwrap_or_default();
    if quantity.is_negative() {
        judge.invalid(place, field, text, NOT_NEGATIVE);
    }
    if (COUNTED.contains(&name) || is_extended(name)) && quantity.milli_units() % 1000 != 0 {
        // Counted in thousandths, as far as these reach.
        judge.invalid(place, field, text, "must be an integer");
    }
}

fn huge_pages<'t>(name: &str, value: &Value, place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
    let Some(quantity) = parsed(value).filter(|_| is_huge(name)) else { return };
    let page = name.strip_prefix(HUGE_PAGES).and_then(|size| Quantity::parse(size).ok());
    let fits = page.is_some_and(|page| {
        page.is_whole() && !page.is_negative() && !page.is_zero() && quantity.units() % page.units() == 0
    });
    if !fits {
        let text = value.as_str().unwrap_or_default();
        judge.invalid(place, field, text, format!("{text} is not positive integer multiple of {name}"));
    }
}

fn container_requirements<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let holder = place.up.map_or("", |up| up.name());
    if matches!(holder, "Container" | "EphemeralContainer") {
        requirements(place, NameOf::Container, judge);
    }
}

/// Requests and limits beside one another.
pub(in crate::object::validation) fn requirements<'t>(place: &Place<'_, 't>, of: NameOf, judge: &mut Judge<'t>) {
    let (limits, requests) = (place.map("limits"), place.map("requests"));
    let entries = |map: Option<&'t MapValue>| map.into_iter().flat_map(MapValue::iter);
    for (resource, value) in entries(limits) {
        let field = format!("limits[{resource}]");
        name(resource, of, place, &field, judge);
        amount(resource, value, place, &field, judge);
        huge_pages(resource, value, place, &field, judge);
    }
    for (resource, value) in entries(requests) {
        let field = format!("requests[{resource}]");
        name(resource, of, place, &field, judge);
        amount(resource, value, place, &field, judge);
        request_within(resource, value, limits, place, judge);
        huge_pages(resource, value, place, &field, judge);
    }
    let any = |wanted: fn(&str) -> bool| entries(limits).chain(entries(requests)).any(|(name, _)| wanted(name));
    if any(is_huge) && !any(|name| matches!(name, "cpu" | "memory")) {
        judge.forbidden(place, "", "HugePages require cpu or memory");
    }
    claim_names(place, judge);
}

fn request_within<'t>(
    name: &str,
    value: &Value,
    limits: Option<&MapValue>,
    place: &Place<'_, 't>,
    judge: &mut Judge<'t>,
) {
    let limit = limits.and_then(|limits| limits.get(name));
    let Some(limit) = limit else {
        if !may_overcommit(name) {
            judge.required(place, "limits", "Limit must be set for non overcommitable resources");
        }
        return;
    };
    let (Some(asked), Some(most)) = (parsed(value), parsed(limit)) else { return };
    let (text, shown) = (value.as_str().unwrap_or_default(), limit.as_str().unwrap_or_default());
    let differs = asked.partial_cmp(&most) != Some(std::cmp::Ordering::Equal);
    if differs && !may_overcommit(name) {
        judge.invalid(place, "requests", text, format!("must be equal to {name} limit of {shown}"));
    } else if asked > most {
        judge.invalid(place, "requests", text, format!("must be less than or equal to {name} limit of {shown}"));
    }
}

fn claim_names<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let spec = if place.name() == "PodSpec" { Some(place) } else { place.above("PodSpec") };
    let mut known: Vec<&str> = spec.map_or_else(Vec::new, |spec| {
        let names = spec.structs("resourceClaims").filter_map(|claim| claim.get("name")?.as_str());
        names.filter(|name| !name.is_empty()).collect()
    });
    known.sort_unstable();
    known.dedup();
    let mut seen: Vec<String> = Vec::new();
    for (at, item) in place.structs("claims").enumerate() {
        let claim = place.below("claims", Nth::At(at), item);
        let (name, request) = (claim.text("name"), claim.text("request"));
        if name.is_empty() {
            judge.required(&claim, "", "");
            continue;
        }
        if seen.iter().any(|taken| taken == name) {
            judge.duplicate(&claim, "", name);
        } else {
            let mut key = name.to_owned();
            if !request.is_empty() {
                judge.complain(&claim, "request", request, names::dns_1123_label(request));
                key = format!("{name}/{request}");
            }
            if seen.contains(&key) {
                judge.duplicate(&claim, "", &key);
            } else if request.is_empty() {
                let parts = seen.iter().filter(|taken| taken.split_once('/').is_some_and(|(of, _)| of == name)).count();
                (0..parts).for_each(|_| judge.duplicate(&claim, "", name));
            }
            seen.push(key);
        }
        if !known.contains(&name) {
            let mut detail = "must be one of the names in pod.spec.resourceClaims".to_owned();
            match known.as_slice() {
                [] => detail.push_str(" which is empty"),
                names => detail = format!("{detail}: {}", names.join(", ")),
            }
            judge.with_detail(FieldErrorKind::NotFound, &claim, "", crate::request::status::go_quote(name), detail);
        }
    }
}

/// What a pod asks for as a whole.
pub(super) fn pod_resources<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(resources) = place.child("resources") else { return };
    if is_windows(place) {
        return judge.forbidden(place, "resources", "may not be set for a windows pod");
    }
    let here = place.below("resources", Nth::Only, resources);
    if here.has("claims") {
        judge.forbidden(&here, "claims", "claims may not be set for Resources at pod-level");
    }
    requirements(&here, NameOf::Pod, judge);
    consistent(place, &here, judge);
}

/// Containers together stay within what the pod names.
fn consistent<'t>(spec: &Place<'_, 't>, here: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (list, only_huge) in [("requests", false), ("limits", true)] {
        for (name, sum) in crate::api::schema::defaults::container_sums(spec.fields, list) {
            let Some(own) = here.map(list).and_then(|map| map.get(&name)).filter(|_| !only_huge || is_huge(&name))
            else {
                continue;
            };
            if parsed(own).is_some_and(|own| sum > own) {
                let detail =
                    format!("must be greater than or equal to aggregate container {list} of {}", sum.canonical());
                judge.invalid(here, &format!("{list}[{name}]"), own.as_str().unwrap_or_default(), detail);
            }
        }
    }
    let limits = here.map("limits");
    for (at, container) in spec.structs("containers").enumerate() {
        let own = container.get("resources").and_then(|r| r.child("limits")).and_then(Value::as_map);
        for (name, value) in own.into_iter().flat_map(MapValue::iter) {
            let Some(most) = limits.and_then(|limits| limits.get(name)) else { continue };
            let (Some(asked), Some(limit)) = (parsed(value), parsed(most)) else { continue };
            if asked > limit {
                let field = format!("containers[{at}][{name}].limits");
                let detail =
                    format!("must be less than or equal to pod limits of {}", most.as_str().unwrap_or_default());
                judge.invalid(here, &field, value.as_str().unwrap_or_default(), detail);
            }
        }
    }
}

/// Judged as limits are.
pub(super) fn overhead<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (resource, value) in place.map("overhead").into_iter().flat_map(MapValue::iter) {
        limit(place, resource, value, "overhead.limits", judge);
    }
}

/// One limit of a container, in a list that errors call `limits`.
pub(super) fn limit_of_container<'t>(place: &Place<'_, 't>, resource: &str, value: &Value, judge: &mut Judge<'t>) {
    limit(place, resource, value, "limits", judge);
}

fn limit<'t>(place: &Place<'_, 't>, resource: &str, value: &Value, field: &str, judge: &mut Judge<'t>) {
    let field = format!("{field}[{resource}]");
    name(resource, NameOf::Container, place, &field, judge);
    amount(resource, value, place, &field, judge);
    huge_pages(resource, value, place, &field, judge);
}

/// A map of resources and amounts.
pub(super) fn list<'t>(of: NameOf, place: &Place<'_, 't>, field: &str, map: Option<&MapValue>, judge: &mut Judge<'t>) {
    for (resource, value) in map.into_iter().flat_map(MapValue::iter) {
        let field = format!("{field}[{resource}]");
        name(resource, of, place, &field, judge);
        amount(resource, value, place, &field, judge);
    }
}

/// Text of a struct's field.
pub(super) fn text<'t>(fields: &'t Struct, name: &str) -> &'t str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a pod is one for Windows.
pub(super) fn is_windows(spec: &Place) -> bool {
    spec.at(&["os", "name"]).and_then(Value::as_str) == Some("windows")
}
