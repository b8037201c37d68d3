//! Deployments, replica sets, stateful sets, daemon sets, replication controllers.

use super::super::{
    check::{
        Check::{self, AtLeast, Exactly},
        NOT_NEGATIVE,
    },
    error_list::ErrorList,
    field_path::{FieldPath, Nth},
    forms, names,
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
fn selector<'t>(path: &FieldPath<'_, 't>, kind: &str, errors: &mut ErrorList<'t>) {
    match path.child("selector") {
        None => errors.required(path, "selector", ""),
        Some(selector) if selecting::is_empty(selector) => {
            let detail = format!("empty selector is invalid for {kind}");
            errors.invalid_as(path, "selector", printed_struct(selector), detail);
        }
        Some(_) => {}
    }
}

fn labels_of<'t>(path: &FieldPath<'_, 't>) -> Option<&'t Value> {
    path.at(&["template", "metadata", "labels"])
}

const NOT_SELECTED: &str = "`selector` does not match template `labels`";

/// Pods that are started again for ever.
fn template<'t>(path: &FieldPath<'_, 't>, what: &str, errors: &mut ErrorList<'t>) {
    let policy = path.at(&["template", "spec", "restartPolicy"]).and_then(Value::as_str).unwrap_or_default();
    if policy != "Always" {
        errors.unsupported(path, "template.spec.restartPolicy", policy, &["Always"]);
    }
    if path.at(&["template", "spec", "activeDeadlineSeconds"]).is_some() {
        let detail = format!("activeDeadlineSeconds in {what} is not Supported");
        errors.forbidden(path, "template.spec.activeDeadlineSeconds", detail);
    }
}

/// What a deployment and its replica sets share. `odd` is what is said of a selector that cannot be read.
fn replicated<'t>(path: &FieldPath<'_, 't>, odd: &str, errors: &mut ErrorList<'t>) {
    selector(path, "deployment", errors);
    let parsed = path.child("selector").map(selecting::parse);
    if let Some(Err(())) = parsed {
        errors.invalid_value(path, "selector", path.get("selector"), odd);
        return errors.skip("template");
    }
    selected(path, parsed.and_then(Result::ok), errors);
    template(path, "ReplicaSet", errors);
}

/// The pods that are made are those that are looked for. No selector selects nothing, an empty one is not asked.
fn selected<'t>(path: &FieldPath<'_, 't>, selector: Option<selecting::Selector>, errors: &mut ErrorList<'t>) {
    let labels = labels_of(path);
    let fits = selector.is_some_and(|selector| selector.matches(labels.and_then(Value::as_map)));
    if !fits {
        errors.invalid_value(path, "template.metadata.labels", labels, NOT_SELECTED);
    }
}

fn deployment<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    replicated(path, "invalid label selector", errors);
    AtLeast(0, NOT_NEGATIVE).apply(path, "revisionHistoryLimit", errors);
    AtLeast(0, NOT_NEGATIVE).apply(path, "progressDeadlineSeconds", errors);
    let least = path.number("minReadySeconds").unwrap_or(0);
    if let Some(deadline) = path.number("progressDeadlineSeconds").filter(|deadline| *deadline <= least) {
        errors.invalid_as(path, "progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }
}

fn replica_set<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    replicated(path, "invalid label selector", errors);
}

fn deployment_strategy<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let update = path.child("rollingUpdate");
    match (path.text("type"), update) {
        ("Recreate", Some(_)) => {
            errors.forbidden(path, "rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        }
        ("Recreate", None) => {}
        ("RollingUpdate", None) => {
            errors.required(path, "rollingUpdate", "this should be defaulted and never be nil");
        }
        ("RollingUpdate", Some(update)) => {
            let here = path.below("rollingUpdate", Nth::Only, update);
            positive_or_percent(&here, "maxUnavailable", errors);
            positive_or_percent(&here, "maxSurge", errors);
            if share(here.get("maxUnavailable")) == 0 && share(here.get("maxSurge")) == 0 {
                let detail = "may not be 0 when `maxSurge` is 0";
                errors.invalid_value(&here, "maxUnavailable", here.get("maxUnavailable"), detail);
            }
            not_more_than_all(&here, "maxUnavailable", errors);
        }
        _ => strategy_unsupported(path, "", &["Recreate", "RollingUpdate"], errors),
    }
}

/// The whole strategy is printed.
fn strategy_unsupported<'t>(path: &FieldPath<'_, 't>, field: &str, supported: &[&str], errors: &mut ErrorList<'t>) {
    let quoted: Vec<String> = supported.iter().map(|word| crate::request::status::go_quote(word)).collect();
    let detail = format!("supported values: {}", quoted.join(", "));
    let shown = printed_struct(path.fields);
    errors.with_detail(crate::request::status::FieldErrorKind::NotSupported, path, field, shown, detail);
}

/// A number that is not negative, or a percentage.
pub(super) fn positive_or_percent<'t>(path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
    match path.get(field) {
        Some(Value::Str(text)) => errors.invalid_each(path, field, text, forms::percent(text)),
        Some(Value::Int(number)) if *number < 0 => errors.invalid_as(path, field, number, NOT_NEGATIVE),
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

pub(super) fn not_more_than_all<'t>(path: &FieldPath<'_, 't>, field: &str, errors: &mut ErrorList<'t>) {
    let value = path.get(field);
    if percentage(value).is_some_and(|percent| percent > 100) {
        errors.invalid_value(path, field, value, "must not be greater than 100%");
    }
}

fn stateful_set<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    match path.text("podManagementPolicy") {
        "" => errors.required(path, "podManagementPolicy", ""),
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid(path, "podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'"),
    }
    stateful_set_strategy(path, errors);
    if let Some(start) = path.at(&["ordinals", "start"]).and_then(Value::as_i64).filter(|start| *start < 0) {
        errors.invalid_as(path, "ordinals.start", start, NOT_NEGATIVE);
    }
    if errors.old.is_none() {
        let name = path.text("serviceName");
        if !name.is_empty() {
            errors.invalid_each(path, "serviceName", name, names::dns_1123_label(name));
        }
    } else {
        errors.skip("volumeClaimTemplates");
    }
    selector(path, "statefulset", errors);
    let parsed = path.child("selector").map(selecting::parse);
    if let Some(Err(())) = parsed {
        errors.invalid_value(path, "selector", path.get("selector"), "");
        errors.skip("template");
    } else {
        selected(path, parsed.and_then(Result::ok), errors);
        // The real server validates the template's metadata twice.
        super::pods::template_metadata(path, errors);
    }
    template(path, "StatefulSet", errors);
}

fn stateful_set_strategy<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(strategy) = path.child("updateStrategy") else { return errors.required(path, "updateStrategy", "") };
    let here = path.below("updateStrategy", Nth::Only, strategy);
    let update = here.child("rollingUpdate");
    match (here.text("type"), update) {
        ("", _) => errors.required(path, "updateStrategy", ""),
        ("OnDelete", Some(update)) => {
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            errors.invalid_as(&here, "rollingUpdate", printed_struct(update), detail);
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        ("RollingUpdate", Some(update)) => {
            let rolling = here.below("rollingUpdate", Nth::Only, update);
            AtLeast(0, NOT_NEGATIVE).apply(&rolling, "partition", errors);
            let most = rolling.get("maxUnavailable");
            if most.is_some() {
                positive_or_percent(&rolling, "maxUnavailable", errors);
                if share(most) == 0 {
                    errors.invalid_value(&rolling, "maxUnavailable", most, "cannot be 0");
                }
                not_more_than_all(&rolling, "maxUnavailable", errors);
            }
        }
        _ => {
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            errors.invalid_as(path, "updateStrategy", printed_struct(strategy), detail);
        }
    }
}

fn daemon_set<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    AtLeast(0, NOT_NEGATIVE).apply(path, "revisionHistoryLimit", errors);
    match path.child("selector").map(selecting::parse) {
        Some(Err(())) => {}
        parsed => selected(path, parsed.and_then(Result::ok), errors),
    }
    if let Some(selector) = path.child("selector").filter(|selector| selecting::is_empty(selector)) {
        let detail = "empty selector is invalid for daemonset";
        errors.invalid_as(path, "selector", printed_struct(selector), detail);
    }
    template(path, "DaemonSet", errors);
}

fn daemon_set_strategy<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    match path.text("type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let Some(update) = path.child("rollingUpdate") else {
                return errors.required(path, "rollingUpdate", "");
            };
            let here = path.below("rollingUpdate", Nth::Only, update);
            for field in ["maxUnavailable", "maxSurge"] {
                positive_or_percent(&here, field, errors);
                not_more_than_all(&here, field, errors);
            }
            let (surge, unavailable) = (share(here.get("maxSurge")), share(here.get("maxUnavailable")));
            if surge != 0 && unavailable != 0 {
                let detail = "may not be set when maxUnavailable is non-zero";
                errors.invalid_value(&here, "maxSurge", here.get("maxSurge"), detail);
            } else if surge == 0 && unavailable == 0 {
                errors.required(&here, "maxUnavailable", "cannot be 0 when maxSurge is 0");
            }
        }
        _ => strategy_unsupported(path, "", &["RollingUpdate", "OnDelete"], errors),
    }
}

fn replication_controller<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let wanted = path.map("selector").filter(|map| !map.is_empty());
    if wanted.is_none() {
        errors.required(path, "selector", "");
    }
    if !path.has("template") {
        return errors.required(path, "template", "");
    }
    let labels = labels_of(path);
    let found = |key: &str| labels.and_then(|labels| labels.child(key));
    if wanted.is_some_and(|wanted| wanted.iter().any(|(key, value)| found(key) != Some(value))) {
        errors.invalid_value(path, "template.metadata.labels", labels, NOT_SELECTED);
    }
    template(path, "ReplicationController", errors);
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
