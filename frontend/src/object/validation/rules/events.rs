//! Events, as the core group and as events.k8s.io name their fields.

use super::super::{
    error_list::ErrorList,
    field_path::FieldPath,
    names,
    rule::{Rule, with},
};
use crate::api::schema::{Object, Value};

pub(super) static RULES: &[Rule] = &[with("core.v1.Event", core_event, &[]), with("events.v1.Event", event, &[])];

const WORDS_BYTES_MAX: usize = 128;
const NOTE_BYTES_MAX: usize = 1024;

/// How a version calls what events say. Errors call most of it as the core group does.
struct Words {
    about: &'static str,
    controller: &'static str,
    note: &'static str,
}

fn core_event<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const WORDS: Words = Words { about: "involvedObject", controller: "reportingComponent", note: "message" };
    common(path, &WORDS, errors);
}

fn event<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const WORDS: Words = Words { about: "regarding", controller: "reportingController", note: "note" };
    common(path, &WORDS, errors);
    if errors.old.is_none() {
        new_event(path, errors);
    }
}

fn has_time(path: &FieldPath, field: &str) -> bool {
    !path.text(field).is_empty()
}

fn common<'t>(path: &FieldPath<'_, 't>, words: &Words, errors: &mut ErrorList<'t>) {
    let own = path.at(&["metadata", "namespace"]).and_then(Value::as_str).unwrap_or_default();
    let about = path.at(&[words.about, "namespace"]).and_then(Value::as_str).unwrap_or_default();
    let recent = has_time(path, "eventTime");
    let fits = match (recent, about) {
        (false, "") => matches!(own, "" | "default"),
        (true, "") => matches!(own, "default" | "kube-system"),
        (false, about) => own == about,
        (true, _) => true,
    };
    if !fits {
        errors.invalid(path, "involvedObject.namespace", about, "does not match event.namespace");
    }
    if recent {
        recent_event(path, words, errors);
    }
    errors.invalid_each(path, "namespace", own, names::dns_1123_subdomain(own));
}

/// An event that says when it happened says more than older ones do.
fn recent_event<'t>(path: &FieldPath<'_, 't>, words: &Words, errors: &mut ErrorList<'t>) {
    let controller = path.text(words.controller);
    if controller.is_empty() {
        errors.required(path, words.controller, "");
    }
    errors.invalid_each(path, words.controller, controller, names::label_key(controller));
    for field in ["reportingInstance", "action", "reason"] {
        if path.text(field).is_empty() {
            errors.required(path, field, "");
        }
        at_most(path, field, field, WORDS_BYTES_MAX, errors);
    }
    at_most(path, words.note, "message", NOTE_BYTES_MAX, errors);
}

fn at_most<'t>(path: &FieldPath<'_, 't>, field: &str, shown: &str, bytes_max: usize, errors: &mut ErrorList<'t>) {
    if path.text(field).len() > bytes_max {
        errors.invalid(path, shown, "", format!("can have at most {bytes_max} characters"));
    }
}

fn new_event<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    series(path, errors);
    if !has_time(path, "eventTime") {
        errors.required(path, "eventTime", "");
    }
    let kind = path.text("type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.invalid(path, "type", "", format!("has invalid value: {kind}"));
    }
    let source = |field: &str| path.at(&["deprecatedSource", field]).is_some_and(|value| !value.is_zero());
    for (set, shown) in [
        (has_time(path, "deprecatedFirstTimestamp"), "firstTimestamp"),
        (has_time(path, "deprecatedLastTimestamp"), "lastTimestamp"),
        (path.number("deprecatedCount").unwrap_or(0) != 0, "count"),
        (source("component") || source("host"), "source"),
    ] {
        if set {
            errors.invalid(path, shown, "", "needs to be unset");
        }
    }
}

fn series<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(series) = path.child("series") else { return };
    if series.get("count").and_then(Value::as_i64).unwrap_or(0) < 2 {
        errors.invalid(path, "series.count", "", "should be at least 2");
    }
    if series.get("lastObservedTime").is_none_or(Value::is_zero) {
        errors.required(path, "series.lastObservedTime", "");
    }
}

/// A series that has changed is validated; everything else of an event stays (`updates`).
pub(in crate::object::validation) fn changed<'t>(
    path: &FieldPath<'_, 't>,
    _new: &'t Object,
    old: &'t Object,
    errors: &mut ErrorList<'t>,
) {
    if path.get("series") != old.get(&["series"]) {
        series(path, errors);
    }
}
