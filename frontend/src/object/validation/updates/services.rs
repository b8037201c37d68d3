//! Services: addresses and families that stay.

use crate::{
    api::schema::{Object, Value},
    object::validation::{judge::Judge, names, place::Place, print::printed},
};

pub(super) fn service<'t>(place: &Place<'_, 't>, _new: &'t Object, old: &'t Object, judge: &mut Judge<'t>) {
    let kind = |spec: Option<&'t Value>| spec.and_then(|s| s.child("type")).and_then(Value::as_str).unwrap_or_default();
    let (new, before) = (place.get("spec"), old.get(&["spec"]));
    let (kind_new, kind_old) = (kind(new), kind(before));
    if kind_new != "ExternalName" && kind_old != "ExternalName" {
        addresses(place, new, before, judge);
        families(place, new, before, judge);
    }
    let class = |spec: Option<&'t Value>| spec.and_then(|s| s.child("loadBalancerClass"));
    if kind_new == "LoadBalancer" && kind_old == "LoadBalancer" && class(new) != class(before) {
        judge.invalid_value(place, "spec.loadBalancerClass", class(new), CHANGED);
    }
    // The form of the class is asked twice.
    match class(new).and_then(Value::as_str) {
        Some(text) if kind_new == "LoadBalancer" => {
            judge.complain(place, "spec.loadBalancerClass", text, names::label_key(text));
        }
        Some(_) => judge.forbidden(place, "spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"),
        None => {}
    }
    let checked = |spec: Option<&'t Value>| {
        let local = spec.and_then(|s| s.child("externalTrafficPolicy")).and_then(Value::as_str) == Some("Local");
        kind(spec) == "LoadBalancer" && local
    };
    let port = |spec: Option<&'t Value>| spec.and_then(|s| s.child("healthCheckNodePort"));
    if checked(new) && checked(before) && port(new) != port(before) {
        judge.forbidden(place, "spec.healthCheckNodePort", "field is immutable");
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
fn released<'t>(place: &Place<'_, 't>, new: Option<&Value>, what: &str, judge: &mut Judge<'t>) {
    let policy = new.and_then(|spec| spec.child("ipFamilyPolicy"));
    if policy.and_then(Value::as_str) != Some("SingleStack") {
        let detail = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        judge.invalid_value(place, "spec.ipFamilyPolicy", policy, detail);
    }
}

fn addresses<'t>(place: &Place<'_, 't>, new: Option<&'t Value>, before: Option<&'t Value>, judge: &mut Judge<'t>) {
    if is_headless(new) && is_headless(before) {
        return;
    }
    let (now, was) = (texts(new, "clusterIPs"), texts(before, "clusterIPs"));
    let shown = printed(new.and_then(|spec| spec.child("clusterIPs")));
    let first_differs = now.first().is_some_and(|first| was.first().is_some_and(|other| other != first));
    if now.len() == was.len() {
        for at in (0..now.len()).filter(|at| now[*at] != was[*at]) {
            judge.invalid_as(place, &format!("spec.clusterIPs[{at}]"), &shown, CHANGED);
        }
        return;
    }
    if now.is_empty() {
        judge.invalid_as(place, "spec.clusterIPs[0]", &shown, "primary clusterIP can not be unset");
    }
    if first_differs {
        judge.invalid_as(place, "spec.clusterIPs[0]", &shown, CHANGED);
    }
    if was.len() > now.len() && now.len() == 1 {
        released(place, new, "clusterIP", judge);
    }
}

fn families<'t>(place: &Place<'_, 't>, new: Option<&'t Value>, before: Option<&'t Value>, judge: &mut Judge<'t>) {
    if is_headless(new) || is_headless(before) {
        return;
    }
    let (now, was) = (texts(new, "ipFamilies"), texts(before, "ipFamilies"));
    let list = |name: &str| printed(new.and_then(|spec| spec.child(name)));
    const FIELD: &str = "spec.ipFamilies[0]";
    if now.len() == was.len() {
        for _ in (0..now.len()).filter(|at| now[*at] != was[*at]) {
            judge.invalid_as(place, FIELD, list("ipFamilies"), CHANGED);
        }
        return;
    }
    if was.len() > now.len() && texts(new, "clusterIPs").is_empty() {
        judge.invalid_as(place, FIELD, list("ipFamilies"), "primary ipFamily can not be unset");
    }
    if now.first().is_some_and(|first| was.first().is_some_and(|other| other != first)) {
        judge.invalid_as(place, FIELD, list("clusterIPs"), CHANGED);
    }
    if was.len() > now.len() && now.len() == 1 {
        released(place, new, "ipFamily", judge);
    }
}

/// Ranges of services stay; a second one may be added.
pub(super) fn ranges<'t>(place: &Place<'_, 't>, _new: &'t Object, old: &'t Object, judge: &mut Judge<'t>) {
    const FIELD: &str = "spec.cidrs";
    let immutable = super::IMMUTABLE;
    let (now, was) = (texts(place.get("spec"), "cidrs"), texts(old.get(&["spec"]), "cidrs"));
    match (was.len(), now.len()) {
        (a, b) if a == b => {
            for at in (0..now.len()).filter(|at| now[*at] != was[*at]) {
                judge.invalid(place, &format!("{FIELD}[{at}]"), now[at], immutable);
            }
        }
        (1, 2) => {
            if now[0] != was[0] {
                judge.invalid(place, &format!("{FIELD}[0]"), now[0], immutable);
            }
            if let Some(spec) = place.child("spec") {
                let here = place.below("spec", crate::object::validation::place::Nth::Only, spec);
                judge.visit(&here);
            }
        }
        _ => judge.invalid_value(place, FIELD, place.at(&["spec", "cidrs"]), immutable),
    }
}
