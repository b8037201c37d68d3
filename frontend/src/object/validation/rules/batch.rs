//! Jobs and what makes them.

use super::super::{
    check::{
        Check::{self, AtLeast, NeedsOneOf, OneOf},
        NOT_NEGATIVE,
    },
    cron,
    error_list::ErrorList,
    field_path::{FieldPath, Nth},
    forms, names,
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

fn job<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(spec) = path.child("spec") else { return };
    let spec = path.below("spec", Nth::Only, spec);
    let name = path.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    generated_selector(path, &spec, name, errors);
    let completions = spec.number("completions").filter(|count| *count > 0);
    if let Some(count) = completions.filter(|_| spec.text("completionMode") == "Indexed") {
        let host = format!("{name}-{}", count - 1);
        if !names::dns_1123_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            errors.invalid(path, "metadata.name", name, detail);
        }
    }
}

/// Labels and selector that a new job gets from the server.
fn generated_selector<'t>(job: &FieldPath<'_, 't>, spec: &FieldPath<'_, 't>, name: &str, errors: &mut ErrorList<'t>) {
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
        |key: &str| errors.old.is_none_or(|old| old.get(&LABELS).is_some_and(|labels| labels.child(key).is_some()));
    let prefixed = wanted[2..].iter().all(|(key, _)| had(key));
    for (key, value) in wanted.into_iter().filter(|(key, _)| prefixed || !key.contains('/')) {
        let field = format!("template.metadata.labels[{key}]");
        match labels.and_then(|labels| labels.child(key)).and_then(Value::as_str) {
            None => errors.required(spec, &field, format!("must be '{value}'")),
            Some(found) if found != value => {
                errors.invalid_value(spec, &field, labels, format!("must be '{value}'"));
            }
            Some(_) => {}
        }
    }
    let mut expected = crate::api::schema::MapValue::new();
    for (key, value) in wanted {
        expected.insert(key, value);
    }
    if selecting::parse(selector).is_ok_and(|selector| !selector.matches(Some(&expected))) {
        errors.invalid_as(spec, "selector", printed_struct(selector), "`selector` not auto-generated");
    }
}

/// The pods that are made are those that are looked for.
fn selected<'t>(spec: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if !spec.has("selector") {
        errors.required(spec, "selector", "");
    }
    let labels = spec.at(&["template", "metadata", "labels"]);
    let fits = match spec.child("selector").map(selecting::parse) {
        None => false,
        Some(Err(())) => true,
        Some(Ok(selector)) => selector.matches(labels.and_then(Value::as_map)),
    };
    if !fits {
        let detail = "`selector` does not match template `labels`";
        errors.invalid_value(spec, "template.metadata.labels", labels, detail);
    }
}

fn job_spec<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    // What makes jobs leaves their selectors open.
    if path.up.is_some_and(|up| up.name() == "Job") {
        selected(path, errors);
    }
    managed_by(path, errors);
    if path.has("maxFailedIndexes") && !path.has("backoffLimitPerIndex") {
        errors.required(path, "backoffLimitPerIndex", "when maxFailedIndexes is specified");
    }
    match path.optional_text("completionMode") {
        Some("Indexed") => indexed(path, errors),
        None | Some("NonIndexed") => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let Some(number) = path.number(field) {
                    errors.invalid_as(path, field, number, "requires indexed completion mode");
                }
            }
        }
        Some(_) => {}
    }
    policies(path, errors);
    restart_policy(path, errors);
    if path.up.is_some_and(|up| up.name() == "JobTemplateSpec") {
        if path.has("selector") {
            errors.invalid_value(path, "selector", path.get("selector"), "`selector` will be auto-generated");
            errors.skip("selector");
        }
        if path.is("manualSelector") {
            let detail = "supported values: \"nil\", \"false\"".to_owned();
            let kind = crate::request::status::FieldErrorKind::NotSupported;
            errors.with_detail(kind, path, "manualSelector", "true".to_owned(), detail);
        }
    }
}

fn managed_by<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(manager) = path.optional_text("managedBy") else { return };
    forms::domain_path(path, "managedBy", manager, errors);
    if manager.len() > 63 {
        errors.too_long(path, "managedBy", 63);
    }
}

fn indexed<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let number = |field| path.number(field);
    let (parallelism, completions) = (number("parallelism"), number("completions"));
    let failed = number("maxFailedIndexes");
    if completions.is_none() {
        errors.required(path, "completions", "when completion mode is Indexed");
    }
    let mut limit = |field: &str, value: Option<i64>, most: i64, detail: String| {
        if let Some(value) = value.filter(|value| *value > most) {
            errors.invalid_as(path, field, value, detail);
        }
    };
    let most = format!("must be less than or equal to {INDEXES_MAX}");
    limit("parallelism", parallelism, INDEXES_MAX, format!("{most} when completion mode is Indexed"));
    if let Some(completions) = completions {
        limit("maxFailedIndexes", failed, completions, "must be less than or equal to completions".to_owned());
    }
    limit("maxFailedIndexes", failed, INDEXES_MAX, most);
    if completions.is_some_and(|count| count > INDEXES_MAX) && path.has("backoffLimitPerIndex") {
        let high = format!(
            "must be less than or equal to {INDEXES_HIGH_MAX} when completions are above {INDEXES_MAX} and used with backoff limit per index"
        );
        limit("parallelism", parallelism, INDEXES_HIGH_MAX, high.clone());
        limit("maxFailedIndexes", failed, INDEXES_HIGH_MAX, high);
        if failed.is_none() {
            let detail = format!("must be specified when completions is above {INDEXES_MAX}");
            errors.required(path, "maxFailedIndexes", detail);
        }
    }
}

const RULES_MAX: usize = 20;

fn policies<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let failure = path.child("podFailurePolicy");
    if let Some(policy) = failure {
        Check::AtMost(RULES_MAX).apply(&path.below("podFailurePolicy", Nth::Only, policy), "rules", errors);
    }
    if let Some(policy) = path.child("successPolicy") {
        let here = path.below("successPolicy", Nth::Only, policy);
        if path.text("completionMode") != "Indexed" {
            errors.invalid_as(&here, "", printed_struct(policy), "requires indexed completion mode");
            errors.skip("successPolicy");
        } else {
            if here.list("rules").is_empty() {
                let detail = "at least one rules must be specified when the successPolicy is specified";
                errors.required(&here, "rules", detail);
            }
            Check::AtMost(RULES_MAX).apply(&here, "rules", errors);
        }
    }
    match path.optional_text("podReplacementPolicy") {
        Some(policy) if failure.is_some() && policy != "Failed" => {
            errors.unsupported(path, "podReplacementPolicy", policy, &["Failed"]);
        }
        Some(policy) if !["Failed", "TerminatingOrFailed"].contains(&policy) => {
            errors.unsupported(path, "podReplacementPolicy", policy, &["Failed", "TerminatingOrFailed"]);
        }
        _ => {}
    }
}

fn restart_policy<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const FIELD: &str = "template.spec.restartPolicy";
    let policy = path.at(&["template", "spec", "restartPolicy"]).and_then(Value::as_str).unwrap_or_default();
    match policy {
        "Always" | "" => errors.required(path, FIELD, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" | "Never" => {
            if path.has("podFailurePolicy") && policy != "Never" {
                let detail = "only \"Never\" is supported when podFailurePolicy is specified";
                errors.invalid(path, FIELD, policy, detail);
            }
        }
        other => errors.unsupported(path, FIELD, other, &["OnFailure", "Never"]),
    }
}

/// Go's %q of a list of words.
fn valid_values(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| crate::request::status::go_quote(word)).collect();
    format!("valid values: [{}]", quoted.join(" "))
}

fn failure_rule<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let per_index = path.above("JobSpec").is_some_and(|spec| spec.has("backoffLimitPerIndex"));
    match path.text("action") {
        "" => errors.required(path, "action", valid_values(&ACTIONS)),
        "FailIndex" if !per_index => {
            errors.invalid(path, "action", "FailIndex", "requires the backoffLimitPerIndex to be set");
        }
        action if !ACTIONS.contains(&action) => errors.unsupported(path, "action", action, &ACTIONS),
        _ => {}
    }
    Check::AtMost(RULES_MAX).apply(path, "onPodConditions", errors);
    let detail = match (path.has("onExitCodes"), path.list("onPodConditions").is_empty()) {
        (true, false) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, true) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    errors.invalid_without_value(path, "", detail);
}

fn exit_codes<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const OPERATORS: [&str; 2] = ["In", "NotIn"];
    const VALUES_MAX: usize = 255;
    let operator = path.text("operator");
    match operator {
        "" => errors.required(path, "operator", valid_values(&OPERATORS)),
        operator if !OPERATORS.contains(&operator) => errors.unsupported(path, "operator", operator, &OPERATORS),
        _ => {}
    }
    if let Some(name) = path.optional_text("containerName") {
        let spec = path.above("JobSpec").and_then(|spec| spec.at(&["template", "spec"]));
        let lists = ["containers", "initContainers"].into_iter();
        let mut known =
            lists.flat_map(|list| spec.and_then(|s| s.child(list)).and_then(Value::as_list).unwrap_or_default());
        if !known.any(|container| container.child("name").and_then(Value::as_str).unwrap_or_default() == name) {
            let detail = "must be one of the container or initContainer names in the pod template";
            errors.invalid(path, "containerName", name, detail);
        }
    }
    let values: Vec<i64> = path.list("values").iter().map(|value| value.as_i64().unwrap_or(0)).collect();
    if values.is_empty() {
        errors.invalid_value(path, "values", path.get("values"), "at least one value is required");
    }
    Check::AtMost(VALUES_MAX).apply(path, "values", errors);
    for (at, value) in values.iter().enumerate() {
        let field = format!("values[{at}]");
        if operator == "In" && *value == 0 {
            errors.invalid_as(path, &field, value, "must not be 0 for the In operator");
        }
        if values[..at].contains(value) {
            errors.duplicate_as(path, &field, value);
        }
    }
    if !values.is_sorted() {
        errors.invalid_value(path, "values", path.get("values"), "must be ordered");
    }
}

fn condition<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
    match path.text("status") {
        "" => errors.required(path, "status", valid_values(&STATUSES)),
        status if !STATUSES.contains(&status) => errors.unsupported(path, "status", status, &STATUSES),
        _ => {}
    }
}

fn success_rule<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const BYTES_MAX: usize = 64 * 1024;
    let (count, indexes) = (path.number("succeededCount"), path.optional_text("succeededIndexes"));
    let Some(completions) = path.above("JobSpec").and_then(|spec| spec.number("completions")) else { return };
    if count.is_none() && indexes.is_none() {
        errors.required(path, "", "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut total = 0;
    if let Some(indexes) = indexes {
        if indexes.len() > BYTES_MAX {
            errors.too_long(path, "succeededIndexes", BYTES_MAX);
        }
        match count_indexes(indexes, completions) {
            Ok(counted) => total = counted,
            Err(why) => {
                let detail = format!("error parsing succeededIndexes: {why}");
                errors.invalid(path, "succeededIndexes", indexes, detail);
            }
        }
    }
    let Some(count) = count else { return };
    AtLeast(0, NOT_NEGATIVE).apply(path, "succeededCount", errors);
    if count > completions {
        let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
        errors.invalid_as(path, "succeededCount", count, detail);
    }
    if indexes.is_some() && count > total {
        let detail = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        errors.invalid_as(path, "succeededCount", count, detail);
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
fn cron_job_name<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let name = path.at(&["metadata", "name"]).and_then(Value::as_str).unwrap_or_default();
    if errors.old.is_none() && name.len() > 52 {
        errors.invalid(path, "metadata.name", name, "must be no more than 52 characters");
    }
}

fn cron_job<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let schedule = path.text("schedule");
    let zone = path.optional_text("timeZone");
    let old = |field| errors.old.and_then(|old| old.get_str(&["spec", field]));
    let had_zone = old("schedule").is_some_and(|schedule| schedule.contains("TZ"));
    let same_zone = errors.old.is_some() && old("timeZone") == zone;
    if schedule.is_empty() {
        errors.required(path, "schedule", "");
    } else {
        if let Err(why) = cron::parse(schedule) {
            errors.invalid(path, "schedule", schedule, why);
        }
        let names_zone = schedule.contains("TZ");
        if had_zone && names_zone && zone.is_some() {
            let detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
            errors.invalid(path, "schedule", schedule, detail);
        } else if !had_zone && names_zone {
            let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            errors.invalid(path, "schedule", schedule, detail);
        }
    }
    if let Some(zone) = zone.filter(|_| !same_zone) {
        time_zone(path, zone, errors);
    }
}

fn time_zone<'t>(path: &FieldPath<'_, 't>, zone: &str, errors: &mut ErrorList<'t>) {
    if zone.is_empty() {
        return errors.invalid(path, "timeZone", zone, "timeZone must be nil or non-empty string");
    }
    let part = |part: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_+".contains(letter);
        !matches!(part, "." | "..")
            && !part.starts_with('-')
            && (1..=14).contains(&part.len())
            && part.chars().all(plain)
    };
    if !zone.split('/').all(part) {
        return errors.invalid(path, "timeZone", zone, format!("unknown time zone {zone}"));
    }
    if zone.eq_ignore_ascii_case("Local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.invalid(path, "timeZone", zone, detail);
    }
    if zone != "Local" && zone != "UTC" && !cron::is_zone(zone) {
        errors.invalid(path, "timeZone", zone, format!("unknown time zone {zone}"));
    }
}
