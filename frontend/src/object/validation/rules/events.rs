//! Events, as the core group and as events.k8s.io name their fields.

use super::super::{
    judge::Judge,
    names,
    place::Place,
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

fn core_event<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const WORDS: Words = Words { about: "involvedObject", controller: "reportingComponent", note: "message" };
    common(place, &WORDS, judge);
}

fn event<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const WORDS: Words = Words { about: "regarding", controller: "reportingController", note: "note" };
    common(place, &WORDS, judge);
    if judge.old.is_none() {
        new_event(place, judge);
    }
}

fn has_time(place: &Place, field: &str) -> bool {
    !place.text(field).is_empty()
}

fn common<'t>(place: &Place<'_, 't>, words: &Words, judge: &mut Judge<'t>) {
    let own = place.at(&["metadata", "namespace"]).and_then(Value::as_str).unwrap_or_default();
    let about = place.at(&[words.about, "namespace"]).and_then(Value::as_str).unwrap_or_default();
    let recent = has_time(place, "eventTime");
    let fits = match (recent, about) {
        (false, "") => matches!(own, "" | "default"),
        (true, "") => matches!(own, "default" | "kube-system"),
        (false, about) => own == about,
        (true, _) => true,
    };
    if !fits {
        judge.invalid(place, "involvedObject.namespace", about, "does not match event.namespace");
    }
    if recent {
        recent_event(place, words, judge);
    }
    judge.complain(place, "namespace", own, names::dns_1123_subdomain(own));
}

/// An event that says when it happened says more than older ones do.
fn recent_event<'t>(place: &Place<'_, 't>, words: &Words, judge: &mut Judge<'t>) {
    let controller = place.text(words.controller);
    if controller.is_empty() {
        judge.required(place, words.controller, "");
    }
    judge.complain(place, words.controller, controller, names::label_key(controller));
    for field in ["reportingInstance", "action", "reason"] {
        if place.text(field).is_empty() {
            judge.required(place, field, "");
        }
        at_most(place, field, field, WORDS_BYTES_MAX, judge);
    }
    at_most(place, words.note, "message", NOTE_BYTES_MAX, judge);
}

fn at_most<'t>(place: &Place<'_, 't>, field: &str, shown: &str, bytes_max: usize, judge: &mut Judge<'t>) {
    if place.text(field).len() > bytes_max {
        judge.invalid(place, shown, "", format!("can have at most {bytes_max} characters"));
    }
}

fn new_event<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    series(place, judge);
    if !has_time(place, "eventTime") {
        judge.required(place, "eventTime", "");
    }
    let kind = place.text("type");
    if !matches!(kind, "Normal" | "Warning") {
        judge.invalid(place, "type", "", format!("has invalid value: {kind}"));
    }
    let source = |field: &str| place.at(&["deprecatedSource", field]).is_some_and(|value| !value.is_zero());
    for (set, shown) in [
        (has_time(place, "deprecatedFirstTimestamp"), "firstTimestamp"),
        (has_time(place, "deprecatedLastTimestamp"), "lastTimestamp"),
        (place.number("deprecatedCount").unwrap_or(0) != 0, "count"),
        (source("component") || source("host"), "source"),
    ] {
        if set {
            judge.invalid(place, shown, "", "needs to be unset");
        }
    }
}

fn series<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(series) = place.child("series") else { return };
    if series.get("count").and_then(Value::as_i64).unwrap_or(0) < 2 {
        judge.invalid(place, "series.count", "", "should be at least 2");
    }
    if series.get("lastObservedTime").is_none_or(Value::is_zero) {
        judge.required(place, "series.lastObservedTime", "");
    }
}

/// A series that has changed is judged; everything else of an event stays (`updates`).
pub(in crate::object::validation) fn changed<'t>(
    place: &Place<'_, 't>,
    _new: &'t Object,
    old: &'t Object,
    judge: &mut Judge<'t>,
) {
    if place.get("series") != old.get(&["series"]) {
        series(place, judge);
    }
}
