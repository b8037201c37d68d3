//! Jobs and what makes them.

use super::super::{
    check::{
        Check::{self, AtLeast, NeedsOneOf, OneOf},
        NOT_NEGATIVE,
    },
    cron, forms,
    judge::Judge,
    names,
    place::{Nth, Place},
    print::printed_struct,
    rule::{Rule, with},
    selecting,
};
use crate::api::schema::Value;

pub(super) static RULES: &[Rule] = &[
    with("batch.v1.Job", job, &[]),
    with("batch.v1.JobSpec", job_spec, NUMBERS),
    with("batch.v1.PodFailurePolicyRule", failure_rule, &[]),
    with("batch.v1.PodFailurePolicyOnExitCodesRequirement", exit_codes, &[]),
    with(
        "batch.v1.PodFailurePolicyOnPodConditionsPattern",
        condition,
        &[("type", Check::AlwaysForm(names::label_key))],
    ),
    with("batch.v1.SuccessPolicyRule", success_rule, &[]),
    with("batch.v1.CronJob", cron_job_name, &[]),
    with(
        "batch.v1.CronJobSpec",
        cron_job,
        &[
            ("startingDeadlineSeconds", AtLeast(0, NOT_NEGATIVE)),
            ("concurrencyPolicy", NeedsOneOf(&["Allow", "Forbid", "Replace"])),
            ("successfulJobsHistoryLimit", AtLeast(0, NOT_NEGATIVE)),
            ("failedJobsHistoryLimit", AtLeast(0, NOT_NEGATIVE)),
        ],
    ),
];

const NUMBERS: &[(&str, Check)] = &[
    ("parallelism", AtLeast(0, NOT_NEGATIVE)),
    ("completions", AtLeast(0, NOT_NEGATIVE)),
    ("activeDeadlineSeconds", AtLeast(0, NOT_NEGATIVE)),
    ("backoffLimit", AtLeast(0, NOT_NEGATIVE)),
    ("ttlSecondsAfterFinished", AtLeast(0, NOT_NEGATIVE)),
    ("backoffLimitPerIndex", AtLeast(0, NOT_NEGATIVE)),
    ("maxFailedIndexes", AtLeast(0, NOT_NEGATIVE)),
    ("completionMode", OneOf(&["NonIndexed", "Indexed"])),
];

const INDEXES_MAX: i64 = 100_000;
const INDEXES_HIGH_MAX: i64 = 10_000;

fn job<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(spec) = place.child("spec") else { return };
    let spec = place.below("spec", Nth::Only, spec);
    let name = place.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    generated_selector(place, &spec, name, judge);
    let completions = spec.number("completions").filter(|count| *count > 0);
    if let Some(count) = completions.filter(|_| spec.text("completionMode") == "Indexed") {
        let host = format!("{name}-{}", count - 1);
        if !names::dns_1123_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            judge.invalid(place, "metadata.name", name, detail);
        }
    }
}

/// Labels and selector that a new job gets from the server.
fn generated_selector<'t>(job: &Place<'_, 't>, spec: &Place<'_, 't>, name: &str, judge: &mut Judge<'t>) {
    if spec.is("manualSelector") {
        return;
    }
    let Some(selector) = spec.child("selector") else { return };
    let uid = job.at(&["metadata", "uid"]).and_then(Value::as_str).unwrap_or_default();
    let wanted = [
        ("controller-uid", uid),
        ("job-name", name),
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", name),
    ];
    const LABELS: [&str; 4] = ["spec", "template", "metadata", "labels"];
    let labels = spec.at(&LABELS[1..]);
    // Jobs from before the prefixed labels go on without them.
    let had =
        |key: &str| judge.old.is_none_or(|old| old.get(&LABELS).is_some_and(|labels| labels.child(key).is_some()));
    let prefixed = wanted[2..].iter().all(|(key, _)| had(key));
    for (key, value) in wanted.into_iter().filter(|(key, _)| prefixed || !key.contains('/')) {
        let field = format!("template.metadata.labels[{key}]");
        match labels.and_then(|labels| labels.child(key)).and_then(Value::as_str) {
            None => judge.required(spec, &field, format!("must be '{value}'")),
            Some(found) if found != value => {
                judge.invalid_value(spec, &field, labels, format!("must be '{value}'"));
            }
            Some(_) => {}
        }
    }
    let mut expected = crate::api::schema::MapValue::new();
    for (key, value) in wanted {
        expected.insert(key, value);
    }
    if selecting::parse(selector).is_ok_and(|selector| !selector.matches(Some(&expected))) {
        judge.invalid_as(spec, "selector", printed_struct(selector), "`selector` not auto-generated");
    }
}

/// The pods that are made are those that are looked for.
fn selected<'t>(spec: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if !spec.has("selector") {
        judge.required(spec, "selector", "");
    }
    let labels = spec.at(&["template", "metadata", "labels"]);
    let fits = match spec.child("selector").map(selecting::parse) {
        None => false,
        Some(Err(())) => true,
        Some(Ok(selector)) => selector.matches(labels.and_then(Value::as_map)),
    };
    if !fits {
        let detail = "`selector` does not match template `labels`";
        judge.invalid_value(spec, "template.metadata.labels", labels, detail);
    }
}

fn job_spec<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    // What makes jobs leaves their selectors open.
    if place.up.is_some_and(|up| up.name() == "Job") {
        selected(place, judge);
    }
    managed_by(place, judge);
    if place.has("maxFailedIndexes") && !place.has("backoffLimitPerIndex") {
        judge.required(place, "backoffLimitPerIndex", "when maxFailedIndexes is specified");
    }
    match place.optional_text("completionMode") {
        Some("Indexed") => indexed(place, judge),
        None | Some("NonIndexed") => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let Some(number) = place.number(field) {
                    judge.invalid_as(place, field, number, "requires indexed completion mode");
                }
            }
        }
        Some(_) => {}
    }
    policies(place, judge);
    restart_policy(place, judge);
    if place.up.is_some_and(|up| up.name() == "JobTemplateSpec") {
        if place.has("selector") {
            judge.invalid_value(place, "selector", place.get("selector"), "`selector` will be auto-generated");
            judge.settle("selector");
        }
        if place.is("manualSelector") {
            let detail = "supported values: \"nil\", \"false\"".to_owned();
            let kind = crate::request::status::FieldErrorKind::NotSupported;
            judge.with_detail(kind, place, "manualSelector", "true".to_owned(), detail);
        }
    }
}

fn managed_by<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(manager) = place.optional_text("managedBy") else { return };
    forms::domain_path(place, "managedBy", manager, judge);
    if manager.len() > 63 {
        judge.too_long(place, "managedBy", 63);
    }
}

fn indexed<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let number = |field| place.number(field);
    let (parallelism, completions) = (number("parallelism"), number("completions"));
    let failed = number("maxFailedIndexes");
    if completions.is_none() {
        judge.required(place, "completions", "when completion mode is Indexed");
    }
    let mut limit = |field: &str, value: Option<i64>, most: i64, detail: String| {
        if let Some(value) = value.filter(|value| *value > most) {
            judge.invalid_as(place, field, value, detail);
        }
    };
    let most = format!("must be less than or equal to {INDEXES_MAX}");
    limit("parallelism", parallelism, INDEXES_MAX, format!("{most} when completion mode is Indexed"));
    if let Some(completions) = completions {
        limit("maxFailedIndexes", failed, completions, "must be less than or equal to completions".to_owned());
    }
    limit("maxFailedIndexes", failed, INDEXES_MAX, most);
    if completions.is_some_and(|count| count > INDEXES_MAX) && place.has("backoffLimitPerIndex") {
        let high = format!(
            "must be less than or equal to {INDEXES_HIGH_MAX} when completions are above {INDEXES_MAX} and used with backoff limit per index"
        );
        limit("parallelism", parallelism, INDEXES_HIGH_MAX, high.clone());
        limit("maxFailedIndexes", failed, INDEXES_HIGH_MAX, high);
        if failed.is_none() {
            let detail = format!("must be specified when completions is above {INDEXES_MAX}");
            judge.required(place, "maxFailedIndexes", detail);
        }
    }
}

const RULES_MAX: usize = 20;

fn policies<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let failure = place.child("podFailurePolicy");
    if let Some(policy) = failure {
        Check::AtMost(RULES_MAX).apply(&place.below("podFailurePolicy", Nth::Only, policy), "rules", judge);
    }
    if let Some(policy) = place.child("successPolicy") {
        let here = place.below("successPolicy", Nth::Only, policy);
        if place.text("completionMode") != "Indexed" {
            judge.invalid_as(&here, "", printed_struct(policy), "requires indexed completion mode");
            judge.settle("successPolicy");
        } else {
            if here.list("rules").is_empty() {
                let detail = "at least one rules must be specified when the successPolicy is specified";
                judge.required(&here, "rules", detail);
            }
            Check::AtMost(RULES_MAX).apply(&here, "rules", judge);
        }
    }
    match place.optional_text("podReplacementPolicy") {
        Some(policy) if failure.is_some() && policy != "Failed" => {
            judge.unsupported(place, "podReplacementPolicy", policy, &["Failed"]);
        }
        Some(policy) if !["Failed", "TerminatingOrFailed"].contains(&policy) => {
            judge.unsupported(place, "podReplacementPolicy", policy, &["Failed", "TerminatingOrFailed"]);
        }
        _ => {}
    }
}

fn restart_policy<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const FIELD: &str = "template.spec.restartPolicy";
    let policy = place.at(&["template", "spec", "restartPolicy"]).and_then(Value::as_str).unwrap_or_default();
    match policy {
        "Always" | "" => judge.required(place, FIELD, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" | "Never" => {
            if place.has("podFailurePolicy") && policy != "Never" {
                let detail = "only \"Never\" is supported when podFailurePolicy is specified";
                judge.invalid(place, FIELD, policy, detail);
            }
        }
        other => judge.unsupported(place, FIELD, other, &["OnFailure", "Never"]),
    }
}

/// Go's %q of a list of words.
fn valid_values(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| crate::request::status::go_quote(word)).collect();
    format!("valid values: [{}]", quoted.join(" "))
}

fn failure_rule<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let per_index = place.above("JobSpec").is_some_and(|spec| spec.has("backoffLimitPerIndex"));
    match place.text("action") {
        "" => judge.required(place, "action", valid_values(&ACTIONS)),
        "FailIndex" if !per_index => {
            judge.invalid(place, "action", "FailIndex", "requires the backoffLimitPerIndex to be set");
        }
        action if !ACTIONS.contains(&action) => judge.unsupported(place, "action", action, &ACTIONS),
        _ => {}
    }
    Check::AtMost(RULES_MAX).apply(place, "onPodConditions", judge);
    let detail = match (place.has("onExitCodes"), place.list("onPodConditions").is_empty()) {
        (true, false) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, true) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    judge.invalid_without_value(place, "", detail);
}

fn exit_codes<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const OPERATORS: [&str; 2] = ["In", "NotIn"];
    const VALUES_MAX: usize = 255;
    let operator = place.text("operator");
    match operator {
        "" => judge.required(place, "operator", valid_values(&OPERATORS)),
        operator if !OPERATORS.contains(&operator) => judge.unsupported(place, "operator", operator, &OPERATORS),
        _ => {}
    }
    if let Some(name) = place.optional_text("containerName") {
        let spec = place.above("JobSpec").and_then(|spec| spec.at(&["template", "spec"]));
        let lists = ["containers", "initContainers"].into_iter();
        let mut known =
            lists.flat_map(|list| spec.and_then(|s| s.child(list)).and_then(Value::as_list).unwrap_or_default());
        if !known.any(|container| container.child("name").and_then(Value::as_str).unwrap_or_default() == name) {
            let detail = "must be one of the container or initContainer names in the pod template";
            judge.invalid(place, "containerName", name, detail);
        }
    }
    let values: Vec<i64> = place.list("values").iter().map(|value| value.as_i64().unwrap_or(0)).collect();
    if values.is_empty() {
        judge.invalid_value(place, "values", place.get("values"), "at least one value is required");
    }
    Check::AtMost(VALUES_MAX).apply(place, "values", judge);
    for (at, value) in values.iter().enumerate() {
        let field = format!("values[{at}]");
        if operator == "In" && *value == 0 {
            judge.invalid_as(place, &field, value, "must not be 0 for the In operator");
        }
        if values[..at].contains(value) {
            judge.duplicate_as(place, &field, value);
        }
    }
    if !values.is_sorted() {
        judge.invalid_value(place, "values", place.get("values"), "must be ordered");
    }
}

fn condition<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
    match place.text("status") {
        "" => judge.required(place, "status", valid_values(&STATUSES)),
        status if !STATUSES.contains(&status) => judge.unsupported(place, "status", status, &STATUSES),
        _ => {}
    }
}

fn success_rule<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const BYTES_MAX: usize = 64 * 1024;
    let (count, indexes) = (place.number("succeededCount"), place.optional_text("succeededIndexes"));
    let Some(completions) = place.above("JobSpec").and_then(|spec| spec.number("completions")) else { return };
    if count.is_none() && indexes.is_none() {
        judge.required(place, "", "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut total = 0;
    if let Some(indexes) = indexes {
        if indexes.len() > BYTES_MAX {
            judge.too_long(place, "succeededIndexes", BYTES_MAX);
        }
        match count_indexes(indexes, completions) {
            Ok(counted) => total = counted,
            Err(why) => {
                let detail = format!("error parsing succeededIndexes: {why}");
                judge.invalid(place, "succeededIndexes", indexes, detail);
            }
        }
    }
    let Some(count) = count else { return };
    AtLeast(0, NOT_NEGATIVE).apply(place, "succeededCount", judge);
    if count > completions {
        let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
        judge.invalid_as(place, "succeededCount", count, detail);
    }
    if indexes.is_some() && count > total {
        let detail = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        judge.invalid_as(place, "succeededCount", count, detail);
    }
}

/// How many indexes a text such as `1,3-5` names.
pub(super) fn count_indexes(text: &str, completions: i64) -> Result<i64, String> {
    let (mut total, mut last) = (0, None);
    for interval in text.split(',').filter(|_| !text.is_empty()) {
        let (from, to) = interval_of(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= from) {
            return Err(format!("non-increasing order, previous: {last}, current: {from}"));
        }
        total += to - from + 1;
        last = Some(to);
    }
    Ok(total)
}

fn interval_of(text: &str, completions: i64) -> Result<(i64, i64), String> {
    let quote = crate::request::status::go_quote;
    let parts: Vec<&str> = text.split('-').collect();
    if parts.len() > 2 {
        return Err(format!(
            "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
            quote(text)
        ));
    }
    let bound = |part: &str| -> Result<i64, String> {
        let digits = part.strip_prefix('+').unwrap_or(part);
        let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        match number {
            None => Err(format!("cannot convert string to integer for index: {}", quote(part))),
            Some(number) if number >= completions => Err(format!("too large index: {}", quote(part))),
            Some(number) => Ok(number),
        }
    };
    let from = bound(parts[0])?;
    let Some(to) = parts.get(1) else { return Ok((from, from)) };
    let to = bound(to)?;
    if from >= to {
        return Err(format!("non-increasing order, previous: {from}, current: {to}"));
    }
    Ok((from, to))
}

/// Jobs are named after it and the minute they are for.
fn cron_job_name<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let name = place.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    if judge.old.is_none() && name.len() > 52 {
        judge.invalid(place, "metadata.name", name, "must be no more than 52 characters");
    }
}

fn cron_job<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let schedule = place.text("schedule");
    let zone = place.optional_text("timeZone");
    let old = |field| judge.old.and_then(|old| old.get_str(&["spec", field]));
    let had_zone = old("schedule").is_some_and(|schedule| schedule.contains("TZ"));
    let same_zone = judge.old.is_some() && old("timeZone") == zone;
    if schedule.is_empty() {
        judge.required(place, "schedule", "");
    } else {
        if let Err(why) = cron::parse(schedule) {
            judge.invalid(place, "schedule", schedule, why);
        }
        let names_zone = schedule.contains("TZ");
        if had_zone && names_zone && zone.is_some() {
            let detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
            judge.invalid(place, "schedule", schedule, detail);
        } else if !had_zone && names_zone {
            let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            judge.invalid(place, "schedule", schedule, detail);
        }
    }
    if let Some(zone) = zone.filter(|_| !same_zone) {
        time_zone(place, zone, judge);
    }
}

fn time_zone<'t>(place: &Place<'_, 't>, zone: &str, judge: &mut Judge<'t>) {
    if zone.is_empty() {
        return judge.invalid(place, "timeZone", zone, "timeZone must be nil or non-empty string");
    }
    let part = |part: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_+".contains(letter);
        !matches!(part, "." | "..")
            && !part.starts_with('-')
            && (1..=14).contains(&part.len())
            && part.chars().all(plain)
    };
    if !zone.split('/').all(part) {
        return judge.invalid(place, "timeZone", zone, format!("unknown time zone {zone}"));
    }
    if zone.eq_ignore_ascii_case("Local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        judge.invalid(place, "timeZone", zone, detail);
    }
    if zone != "Local" && zone != "UTC" && !cron::is_zone(zone) {
        judge.invalid(place, "timeZone", zone, format!("unknown time zone {zone}"));
    }
}
