//! Names and quantities of resources.

use super::super::{
    check::NOT_NEGATIVE,
    error_list::ErrorList,
    field_path::{FieldPath, Nth},
    names,
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
pub(super) fn name<'t>(name: &str, of: NameOf, path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
    let form = names::label_key(name);
    let odd = !form.is_empty();
    errors.invalid_each(path, field, name, form);
    let plain = name.split('/').count() == 1;
    let unknown = !odd && plain && !is_standard(name);
    if unknown {
        errors.invalid(path, field, name, "must be a standard resource type or fully qualified");
    }
    match of {
        NameOf::Container if plain && !CONTAINER.contains(&name) && !is_huge(name) => {
            errors.invalid(path, field, name, "must be a standard resource for containers");
        }
        NameOf::Container if !plain && !is_native(name) && !is_extended(name) => {
            errors.invalid(path, field, name, "doesn't follow extended resource name standard");
        }
        NameOf::Pod if !odd && !unknown && !["cpu", "memory"].contains(&name) && !is_huge(name) => {
            errors.unsupported(path, field, name, &POD_LEVEL);
        }
        NameOf::Quota if plain && !is_quota(name) => {
            errors.invalid(path, field, name, "must be a standard resource for quota");
        }
        _ => {}
    }
}

pub(super) fn parsed(value: &Value) -> Option<Quantity> {
    value.as_str().and_then(|text| Quantity::parse(text).ok())
}

/// What is wrong with how much there is of a resource.
pub(super) fn amount<'t>(name: &str, value: &Value, path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
    let Some(quantity) = parsed(value) else { return };
    let text = value.as_str().unwrap_or_default();
    if quantity.is_negative() {
        errors.invalid(path, field, text, NOT_NEGATIVE);
    }
    if (COUNTED.contains(&name) || is_extended(name)) && quantity.milli_units() % 1000 != 0 {
        // Counted in thousandths, as far as these reach.
        errors.invalid(path, field, text, "must be an integer");
    }
}

fn huge_pages<'t>(name: &str, value: &Value, path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
    let Some(quantity) = parsed(value).filter(|_| is_huge(name)) else { return };
    let page = name.strip_prefix(HUGE_PAGES).and_then(|size| Quantity::parse(size).ok());
    let fits = page.is_some_and(|page| {
        page.is_whole() && !page.is_negative() && !page.is_zero() && quantity.units() % page.units() == 0
    });
    if !fits {
        let text = value.as_str().unwrap_or_default();
        errors.invalid(path, field, text, format!("{text} is not positive integer multiple of {name}"));
    }
}

fn container_requirements<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let holder = path.up.map_or("", |up| up.name());
    if matches!(holder, "Container" | "EphemeralContainer") {
        requirements(path, NameOf::Container, errors);
    }
}

/// Requests and limits beside one another.
pub(in crate::object::validation) fn requirements<'t>(
    path: &FieldPath<'_, 't>,
    of: NameOf,
    errors: &mut ErrorList<'t>,
) {
    let (limits, requests) = (path.map("limits"), path.map("requests"));
    let entries = |map: Option<&'t MapValue>| map.into_iter().flat_map(MapValue::iter);
    for (resource, value) in entries(limits) {
        let field = format!("limits[{resource}]");
        name(resource, of, path, &field, errors);
        amount(resource, value, path, &field, errors);
        huge_pages(resource, value, path, &field, errors);
    }
    for (resource, value) in entries(requests) {
        let field = format!("requests[{resource}]");
        name(resource, of, path, &field, errors);
        amount(resource, value, path, &field, errors);
        request_within(resource, value, limits, path, errors);
        huge_pages(resource, value, path, &field, errors);
    }
    let any = |wanted: fn(&str) -> bool| entries(limits).chain(entries(requests)).any(|(name, _)| wanted(name));
    if any(is_huge) && !any(|name| matches!(name, "cpu" | "memory")) {
        errors.forbidden(path, "", "HugePages require cpu or memory");
    }
    claim_names(path, errors);
}

fn request_within<'t>(
    name: &str,
    value: &Value,
    limits: Option<&MapValue>,
    path: &FieldPath<'_, 't>,
    errors: &mut ErrorList<'t>,
) {
    let limit = limits.and_then(|limits| limits.get(name));
    let Some(limit) = limit else {
        if !may_overcommit(name) {
            errors.required(path, "limits", "Limit must be set for non overcommitable resources");
        }
        return;
    };
    let (Some(asked), Some(most)) = (parsed(value), parsed(limit)) else { return };
    let (text, shown) = (value.as_str().unwrap_or_default(), limit.as_str().unwrap_or_default());
    let differs = asked.partial_cmp(&most) != Some(std::cmp::Ordering::Equal);
    if differs && !may_overcommit(name) {
        errors.invalid(path, "requests", text, format!("must be equal to {name} limit of {shown}"));
    } else if asked > most {
        errors.invalid(path, "requests", text, format!("must be less than or equal to {name} limit of {shown}"));
    }
}

fn claim_names<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let spec = if path.name() == "PodSpec" { Some(path) } else { path.above("PodSpec") };
    let mut known: Vec<&str> = spec.map_or_else(Vec::new, |spec| {
        let names = spec.structs("resourceClaims").filter_map(|claim| claim.get("name")?.as_str());
        names.filter(|name| !name.is_empty()).collect()
    });
    known.sort_unstable();
    known.dedup();
    let mut seen: Vec<String> = Vec::new();
    for (at, item) in path.structs("claims").enumerate() {
        let claim = path.below("claims", Nth::Index(at), item);
        let (name, request) = (claim.text("name"), claim.text("request"));
        if name.is_empty() {
            errors.required(&claim, "", "");
            continue;
        }
        if seen.iter().any(|taken| taken == name) {
            errors.duplicate(&claim, "", name);
        } else {
            let mut key = name.to_owned();
            if !request.is_empty() {
                errors.invalid_each(&claim, "request", request, names::dns_1123_label(request));
                key = format!("{name}/{request}");
            }
            if seen.contains(&key) {
                errors.duplicate(&claim, "", &key);
            } else if request.is_empty() {
                let parts = seen.iter().filter(|taken| taken.split_once('/').is_some_and(|(of, _)| of == name)).count();
                (0..parts).for_each(|_| errors.duplicate(&claim, "", name));
            }
            seen.push(key);
        }
        if !known.contains(&name) {
            let mut detail = "must be one of the names in pod.spec.resourceClaims".to_owned();
            match known.as_slice() {
                [] => detail.push_str(" which is empty"),
                names => detail = format!("{detail}: {}", names.join(", ")),
            }
            errors.with_detail(FieldErrorKind::NotFound, &claim, "", crate::request::status::go_quote(name), detail);
        }
    }
}

/// What a pod asks for as a whole.
pub(super) fn pod_resources<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(resources) = path.child("resources") else { return };
    if is_windows(path) {
        return errors.forbidden(path, "resources", "may not be set for a windows pod");
    }
    let here = path.below("resources", Nth::Only, resources);
    if here.has("claims") {
        errors.forbidden(&here, "claims", "claims may not be set for Resources at pod-level");
    }
    requirements(&here, NameOf::Pod, errors);
    consistent(path, &here, errors);
}

/// Containers together stay within what the pod names.
fn consistent<'t>(spec: &FieldPath<'_, 't>, here: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (list, only_huge) in [("requests", false), ("limits", true)] {
        for (name, sum) in crate::api::schema::defaults::container_sums(spec.fields, list) {
            let Some(own) = here.map(list).and_then(|map| map.get(&name)).filter(|_| !only_huge || is_huge(&name))
            else {
                continue;
            };
            if parsed(own).is_some_and(|own| sum > own) {
                let detail =
                    format!("must be greater than or equal to aggregate container {list} of {}", sum.canonical());
                errors.invalid(here, &format!("{list}[{name}]"), own.as_str().unwrap_or_default(), detail);
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
                errors.invalid(here, &field, value.as_str().unwrap_or_default(), detail);
            }
        }
    }
}

/// Validated as limits are.
pub(super) fn overhead<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (resource, value) in path.map("overhead").into_iter().flat_map(MapValue::iter) {
        limit(path, resource, value, "overhead.limits", errors);
    }
}

/// One limit of a container, in a list that errors call `limits`.
pub(super) fn limit_of_container<'t>(
    path: &FieldPath<'_, 't>,
    resource: &str,
    value: &Value,
    errors: &mut ErrorList<'t>,
) {
    limit(path, resource, value, "limits", errors);
}

fn limit<'t>(path: &FieldPath<'_, 't>, resource: &str, value: &Value, field: &str, errors: &mut ErrorList<'t>) {
    let field = format!("{field}[{resource}]");
    name(resource, NameOf::Container, path, &field, errors);
    amount(resource, value, path, &field, errors);
    huge_pages(resource, value, path, &field, errors);
}

/// A map of resources and amounts.
pub(super) fn list<'t>(
    of: NameOf,
    path: &FieldPath<'_, 't>,
    field: &str,
    map: Option<&MapValue>,
    errors: &mut ErrorList<'t>,
) {
    for (resource, value) in map.into_iter().flat_map(MapValue::iter) {
        let field = format!("{field}[{resource}]");
        name(resource, of, path, &field, errors);
        amount(resource, value, path, &field, errors);
    }
}

/// Text of a struct's field.
pub(super) fn text<'t>(fields: &'t Struct, name: &str) -> &'t str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a pod is one for Windows.
pub(super) fn is_windows(spec: &FieldPath) -> bool {
    spec.at(&["os", "name"]).and_then(Value::as_str) == Some("windows")
}
