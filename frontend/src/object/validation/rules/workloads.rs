//! Deployments, replica sets, stateful sets, daemon sets, replication controllers.

use super::super::{
    check::{
        Check::{self, AtLeast, Exactly},
        NOT_NEGATIVE,
    },
    forms,
    judge::Judge,
    names,
    place::{Nth, Place},
    print::printed_struct,
    rule::{Rule, rule, with},
    selecting,
};
use crate::api::schema::Value;

pub(super) static RULES: &[Rule] = &[
    with("apps.v1.DeploymentSpec", deployment, REPLICATED),
    with("apps.v1.DeploymentStrategy", deployment_strategy, &[]),
    with("apps.v1.ReplicaSetSpec", replica_set, REPLICATED),
    with("apps.v1.StatefulSetSpec", stateful_set, REPLICATED),
    rule(
        "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy",
        &[("whenDeleted", Exactly(&["Retain", "Delete"])), ("whenScaled", Exactly(&["Retain", "Delete"]))],
    ),
    with("apps.v1.DaemonSetSpec", daemon_set, REPLICATED),
    with("apps.v1.DaemonSetUpdateStrategy", daemon_set_strategy, &[]),
    with("core.v1.ReplicationControllerSpec", replication_controller, REPLICATED),
    rule("apps.v1.ControllerRevision", &[("revision", AtLeast(0, NOT_NEGATIVE))]),
];

const REPLICATED: &[(&str, Check)] =
    &[("replicas", AtLeast(0, NOT_NEGATIVE)), ("minReadySeconds", AtLeast(0, NOT_NEGATIVE))];

/// A selector that selects something, and the pods that are made.
fn selector<'t>(place: &Place<'_, 't>, kind: &str, judge: &mut Judge<'t>) {
    match place.child("selector") {
        None => judge.required(place, "selector", ""),
        Some(selector) if selecting::is_empty(selector) => {
            let detail = format!("empty selector is invalid for {kind}");
            judge.invalid_as(place, "selector", printed_struct(selector), detail);
        }
        Some(_) => {}
    }
}

fn labels_of<'t>(place: &Place<'_, 't>) -> Option<&'t Value> {
    place.at(&["template", "metadata", "labels"])
}

const NOT_SELECTED: &str = "`selector` does not match template `labels`";

/// Pods that are started again for ever.
fn template<'t>(place: &Place<'_, 't>, what: &str, judge: &mut Judge<'t>) {
    let policy = place.at(&["template", "spec", "restartPolicy"]).and_then(Value::as_str).unwrap_or_default();
    if policy != "Always" {
        judge.unsupported(place, "template.spec.restartPolicy", policy, &["Always"]);
    }
    if place.at(&["template", "spec", "activeDeadlineSeconds"]).is_some() {
        let detail = format!("activeDeadlineSeconds in {what} is not Supported");
        judge.forbidden(place, "template.spec.activeDeadlineSeconds", detail);
    }
}

/// What a deployment and its replica sets share. `odd` is what is said of a selector that cannot be read.
fn replicated<'t>(place: &Place<'_, 't>, odd: &str, judge: &mut Judge<'t>) {
    selector(place, "deployment", judge);
    let parsed = place.child("selector").map(selecting::parse);
    if let Some(Err(())) = parsed {
        judge.invalid_value(place, "selector", place.get("selector"), odd);
        return judge.settle("template");
    }
    selected(place, parsed.and_then(Result::ok), judge);
    template(place, "ReplicaSet", judge);
}

/// The pods that are made are those that are looked for. No selector selects nothing, an empty one is not asked.
fn selected<'t>(place: &Place<'_, 't>, selector: Option<selecting::Selector>, judge: &mut Judge<'t>) {
    let labels = labels_of(place);
    let fits = selector.is_some_and(|selector| selector.matches(labels.and_then(Value::as_map)));
    if !fits {
        judge.invalid_value(place, "template.metadata.labels", labels, NOT_SELECTED);
    }
}

fn deployment<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    replicated(place, "invalid label selector", judge);
    AtLeast(0, NOT_NEGATIVE).apply(place, "revisionHistoryLimit", judge);
    AtLeast(0, NOT_NEGATIVE).apply(place, "progressDeadlineSeconds", judge);
    let least = place.number("minReadySeconds").unwrap_or(0);
    if let Some(deadline) = place.number("progressDeadlineSeconds").filter(|deadline| *deadline <= least) {
        judge.invalid_as(place, "progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }
}

fn replica_set<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    replicated(place, "invalid label selector", judge);
}

fn deployment_strategy<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let update = place.child("rollingUpdate");
    match (place.text("type"), update) {
        ("Recreate", Some(_)) => {
            judge.forbidden(place, "rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        }
        ("Recreate", None) => {}
        ("RollingUpdate", None) => {
            judge.required(place, "rollingUpdate", "this should be defaulted and never be nil");
        }
        ("RollingUpdate", Some(update)) => {
            let here = place.below("rollingUpdate", Nth::Only, update);
            positive_or_percent(&here, "maxUnavailable", judge);
            positive_or_percent(&here, "maxSurge", judge);
            if share(here.get("maxUnavailable")) == 0 && share(here.get("maxSurge")) == 0 {
                let detail = "may not be 0 when `maxSurge` is 0";
                judge.invalid_value(&here, "maxUnavailable", here.get("maxUnavailable"), detail);
            }
            not_more_than_all(&here, "maxUnavailable", judge);
        }
        _ => strategy_unsupported(place, "", &["Recreate", "RollingUpdate"], judge),
    }
}

/// The whole strategy is printed.
fn strategy_unsupported<'t>(place: &Place<'_, 't>, field: &str, supported: &[&str], judge: &mut Judge<'t>) {
    let quoted: Vec<String> = supported.iter().map(|word| crate::request::status::go_quote(word)).collect();
    let detail = format!("supported values: {}", quoted.join(", "));
    let shown = printed_struct(place.fields);
    judge.with_detail(crate::request::status::FieldErrorKind::NotSupported, place, field, shown, detail);
}

/// A number that is not negative, or a percentage.
pub(super) fn positive_or_percent<'t>(place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
    match place.get(field) {
        Some(Value::Str(text)) => judge.complain(place, field, text, forms::percent(text)),
        Some(Value::Int(number)) if *number < 0 => judge.invalid_as(place, field, number, NOT_NEGATIVE),
        _ => {}
    }
}

fn percentage(value: Option<&Value>) -> Option<i64> {
    let text = value?.as_str().filter(|text| forms::percent(text).is_empty())?;
    Some(text.trim_end_matches('%').parse().unwrap_or(i64::MAX))
}

/// Of the number or the percentage, the number.
fn share(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::Int(number)) => *number,
        Some(Value::Str(text)) => percentage(value).unwrap_or_else(|| text.parse().unwrap_or(0)),
        _ => 0,
    }
}

pub(super) fn not_more_than_all<'t>(place: &Place<'_, 't>, field: &str, judge: &mut Judge<'t>) {
    let value = place.get(field);
    if percentage(value).is_some_and(|percent| percent > 100) {
        judge.invalid_value(place, field, value, "must not be greater than 100%");
    }
}

fn stateful_set<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    match place.text("podManagementPolicy") {
        "" => judge.required(place, "podManagementPolicy", ""),
        "OrderedReady" | "Parallel" => {}
        other => judge.invalid(place, "podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'"),
    }
    stateful_set_strategy(place, judge);
    if let Some(start) = place.at(&["ordinals", "start"]).and_then(Value::as_i64).filter(|start| *start < 0) {
        judge.invalid_as(place, "ordinals.start", start, NOT_NEGATIVE);
    }
    if judge.old.is_none() {
        let name = place.text("serviceName");
        if !name.is_empty() {
            judge.complain(place, "serviceName", name, names::dns_1123_label(name));
        }
    } else {
        judge.settle("volumeClaimTemplates");
    }
    selector(place, "statefulset", judge);
    let parsed = place.child("selector").map(selecting::parse);
    if let Some(Err(())) = parsed {
        judge.invalid_value(place, "selector", place.get("selector"), "");
        judge.settle("template");
    } else {
        selected(place, parsed.and_then(Result::ok), judge);
        // The real server judges the template's metadata twice.
        super::pods::template_metadata(place, judge);
    }
    template(place, "StatefulSet", judge);
}

fn stateful_set_strategy<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(strategy) = place.child("updateStrategy") else { return judge.required(place, "updateStrategy", "") };
    let here = place.below("updateStrategy", Nth::Only, strategy);
    let update = here.child("rollingUpdate");
    match (here.text("type"), update) {
        ("", _) => judge.required(place, "updateStrategy", ""),
        ("OnDelete", Some(update)) => {
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            judge.invalid_as(&here, "rollingUpdate", printed_struct(update), detail);
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        ("RollingUpdate", Some(update)) => {
            let rolling = here.below("rollingUpdate", Nth::Only, update);
            AtLeast(0, NOT_NEGATIVE).apply(&rolling, "partition", judge);
            let most = rolling.get("maxUnavailable");
            if most.is_some() {
                positive_or_percent(&rolling, "maxUnavailable", judge);
                if share(most) == 0 {
                    judge.invalid_value(&rolling, "maxUnavailable", most, "cannot be 0");
                }
                not_more_than_all(&rolling, "maxUnavailable", judge);
            }
        }
        _ => {
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            judge.invalid_as(place, "updateStrategy", printed_struct(strategy), detail);
        }
    }
}

fn daemon_set<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    AtLeast(0, NOT_NEGATIVE).apply(place, "revisionHistoryLimit", judge);
    match place.child("selector").map(selecting::parse) {
        Some(Err(())) => {}
        parsed => selected(place, parsed.and_then(Result::ok), judge),
    }
    if let Some(selector) = place.child("selector").filter(|selector| selecting::is_empty(selector)) {
        let detail = "empty selector is invalid for daemonset";
        judge.invalid_as(place, "selector", printed_struct(selector), detail);
    }
    template(place, "DaemonSet", judge);
}

fn daemon_set_strategy<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    match place.text("type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let Some(update) = place.child("rollingUpdate") else {
                return judge.required(place, "rollingUpdate", "");
            };
            let here = place.below("rollingUpdate", Nth::Only, update);
            for field in ["maxUnavailable", "maxSurge"] {
                positive_or_percent(&here, field, judge);
                not_more_than_all(&here, field, judge);
            }
            let (surge, unavailable) = (share(here.get("maxSurge")), share(here.get("maxUnavailable")));
            if surge != 0 && unavailable != 0 {
                let detail = "may not be set when maxUnavailable is non-zero";
                judge.invalid_value(&here, "maxSurge", here.get("maxSurge"), detail);
            } else if surge == 0 && unavailable == 0 {
                judge.required(&here, "maxUnavailable", "cannot be 0 when maxSurge is 0");
            }
        }
        _ => strategy_unsupported(place, "", &["RollingUpdate", "OnDelete"], judge),
    }
}

fn replication_controller<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let wanted = place.map("selector").filter(|map| !map.is_empty());
    if wanted.is_none() {
        judge.required(place, "selector", "");
    }
    if !place.has("template") {
        return judge.required(place, "template", "");
    }
    let labels = labels_of(place);
    let found = |key: &str| labels.and_then(|labels| labels.child(key));
    if wanted.is_some_and(|wanted| wanted.iter().any(|(key, value)| found(key) != Some(value))) {
        judge.invalid_value(place, "template.metadata.labels", labels, NOT_SELECTED);
    }
    template(place, "ReplicationController", judge);
}

/// What a new revision holds must be an object.
pub(super) fn revision_data(data: Option<&Value>) -> Option<&'static str> {
    let raw = data.and_then(Value::as_bytes).unwrap_or_default();
    match raw.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => None,
        None | Some(b'n') => Some("data is mandatory"),
        Some(_) => Some("data must be a valid JSON object"),
    }
}
