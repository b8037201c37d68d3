//! Services: addresses and families that stay.

use crate::{
    api::schema::{Object, Value},
    object::validation::{error_list::ErrorList, field_path::FieldPath, names, print::printed},
};

pub(super) fn service<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    let kind = |spec: Option<&'t Value>| spec.and_then(|s| s.child("type")).and_then(Value::as_str).unwrap_or_default();
    let (new, before) = (path.get("spec"), old.get(&["spec"]));
    let (kind_new, kind_old) = (kind(new), kind(before));
    if kind_new != "ExternalName" && kind_old != "ExternalName" {
        addresses(path, new, before, errors);
        families(path, new, before, errors);
    }
    let class = |spec: Option<&'t Value>| spec.and_then(|s| s.child("loadBalancerClass"));
    if kind_new == "LoadBalancer" && kind_old == "LoadBalancer" && class(new) != class(before) {
        errors.invalid_value(path, "spec.loadBalancerClass", class(new), CHANGED);
    }
    // The form of the class is asked twice.
    match class(new).and_then(Value::as_str) {
        Some(text) if kind_new == "LoadBalancer" => {
            errors.invalid_each(path, "spec.loadBalancerClass", text, names::label_key(text));
        }
        Some(_) => errors.forbidden(path, "spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"),
        None => {}
    }
    let checked = |spec: Option<&'t Value>| {
        let local = spec.and_then(|s| s.child("externalTrafficPolicy")).and_then(Value::as_str) == Some("Local");
        kind(spec) == "LoadBalancer" && local
    };
    let port = |spec: Option<&'t Value>| spec.and_then(|s| s.child("healthCheckNodePort"));
    if checked(new) && checked(before) && port(new) != port(before) {
        errors.forbidden(path, "spec.healthCheckNodePort", "field is immutable");
    }
}

const CHANGED: &str = "may not change once set";

fn texts<'t>(spec: Option<&'t Value>, name: &str) -> Vec<&'t str> {
    let list = spec.and_then(|spec| spec.child(name)).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

fn is_headless(spec: Option<&Value>) -> bool {
    texts(spec, "clusterIPs") == ["None"]
}

/// One policy for letting the second go.
fn released<'t>(path: &FieldPath<'_, 't>, new: Option<&Value>, what: &str, errors: &mut ErrorList<'t>) {
    let policy = new.and_then(|spec| spec.child("ipFamilyPolicy"));
    if policy.and_then(Value::as_str) != Some("SingleStack") {
        let detail = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        errors.invalid_value(path, "spec.ipFamilyPolicy", policy, detail);
    }
}

fn addresses<'t>(
    path: &FieldPath<'_, 't>,
    new: Option<&'t Value>,
    before: Option<&'t Value>,
    errors: &mut ErrorList<'t>,
) {
    if is_headless(new) && is_headless(before) {
        return;
    }
    let (now, was) = (texts(new, "clusterIPs"), texts(before, "clusterIPs"));
    let shown = printed(new.and_then(|spec| spec.child("clusterIPs")));
    let first_differs = now.first().is_some_and(|first| was.first().is_some_and(|other| other != first));
    if now.len() == was.len() {
        for at in (0..now.len()).filter(|at| now[*at] != was[*at]) {
            errors.invalid_as(path, &format!("spec.clusterIPs[{at}]"), &shown, CHANGED);
        }
        return;
    }
    if now.is_empty() {
        errors.invalid_as(path, "spec.clusterIPs[0]", &shown, "primary clusterIP can not be unset");
    }
    if first_differs {
        errors.invalid_as(path, "spec.clusterIPs[0]", &shown, CHANGED);
    }
    if was.len() > now.len() && now.len() == 1 {
        released(path, new, "clusterIP", errors);
    }
}

fn families<'t>(
    path: &FieldPath<'_, 't>,
    new: Option<&'t Value>,
    before: Option<&'t Value>,
    errors: &mut ErrorList<'t>,
) {
    if is_headless(new) || is_headless(before) {
        return;
    }
    let (now, was) = (texts(new, "ipFamilies"), texts(before, "ipFamilies"));
    let list = |name: &str| printed(new.and_then(|spec| spec.child(name)));
    const FIELD: &str = "spec.ipFamilies[0]";
    if now.len() == was.len() {
        for _ in (0..now.len()).filter(|at| now[*at] != was[*at]) {
            errors.invalid_as(path, FIELD, list("ipFamilies"), CHANGED);
        }
        return;
    }
    if was.len() > now.len() && texts(new, "clusterIPs").is_empty() {
        errors.invalid_as(path, FIELD, list("ipFamilies"), "primary ipFamily can not be unset");
    }
    if now.first().is_some_and(|first| was.first().is_some_and(|other| other != first)) {
        errors.invalid_as(path, FIELD, list("clusterIPs"), CHANGED);
    }
    if was.len() > now.len() && now.len() == 1 {
        released(path, new, "ipFamily", errors);
    }
}

/// Ranges of services stay; a second one may be added.
pub(super) fn ranges<'t>(path: &FieldPath<'_, 't>, _new: &'t Object, old: &'t Object, errors: &mut ErrorList<'t>) {
    const FIELD: &str = "spec.cidrs";
    let immutable = super::IMMUTABLE;
    let (now, was) = (texts(path.get("spec"), "cidrs"), texts(old.get(&["spec"]), "cidrs"));
    match (was.len(), now.len()) {
        (a, b) if a == b => {
            for at in (0..now.len()).filter(|at| now[*at] != was[*at]) {
                errors.invalid(path, &format!("{FIELD}[{at}]"), now[at], immutable);
            }
        }
        (1, 2) => {
            if now[0] != was[0] {
                errors.invalid(path, &format!("{FIELD}[0]"), now[0], immutable);
            }
            if let Some(spec) = path.child("spec") {
                let here = path.below("spec", crate::object::validation::field_path::Nth::Only, spec);
                errors.visit(&here);
            }
        }
        _ => errors.invalid_value(path, FIELD, path.at(&["spec", "cidrs"]), immutable),
    }
}
