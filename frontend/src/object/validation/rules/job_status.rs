//! What the status of a Job may become. What does not change is not validated, so that a status that was wrong before
//! can still be written.

use std::cmp::Ordering;

use super::super::{
    check::{Check::AtLeast, NOT_NEGATIVE},
    error_list::ErrorList,
    field_path::FieldPath,
    meta::IMMUTABLE,
    print::printed,
    rule::{Rule, rule},
};
use crate::{
    api::schema::{Object, Value},
    object::equality::same,
    request::status::{FieldError, FieldErrorKind, go_quote},
};

pub(super) static RULES: &[Rule] = &[rule(
    "batch.v1.JobStatus",
    &[
        ("active", AtLeast(0, NOT_NEGATIVE)),
        ("succeeded", AtLeast(0, NOT_NEGATIVE)),
        ("failed", AtLeast(0, NOT_NEGATIVE)),
        ("ready", AtLeast(0, NOT_NEGATIVE)),
        ("terminating", AtLeast(0, NOT_NEGATIVE)),
    ],
)];

/// The old and the new job.
struct Change<'t> {
    new: &'t Object,
    old: &'t Object,
}

impl<'t> Change<'t> {
    fn field(&self, name: &str) -> (Option<&'t Value>, Option<&'t Value>) {
        (self.new.get(&["status", name]), self.old.get(&["status", name]))
    }

    fn changed(&self, names: &[&str]) -> bool {
        names.iter().any(|name| {
            let (new, old) = self.field(name);
            !same(new, old)
        })
    }

    fn number(&self, name: &str) -> i64 {
        self.field(name).0.and_then(Value::as_i64).unwrap_or(0)
    }

    fn old_number(&self, name: &str) -> i64 {
        self.field(name).1.and_then(Value::as_i64).unwrap_or(0)
    }

    /// Whether one of the conditions came or went.
    fn turned(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| holds(self.new, kind) != holds(self.old, kind))
    }
}

fn status_of<'t>(job: &'t Object, kind: &str) -> Option<&'t str> {
    let conditions = job.get_list(&["status", "conditions"]).unwrap_or_default();
    let found = conditions.iter().find(|c| c.child("type").and_then(Value::as_str) == Some(kind))?;
    found.child("status").and_then(Value::as_str)
}

fn holds(job: &Object, kind: &str) -> bool {
    status_of(job, kind) == Some("True")
}

fn finished(job: &Object) -> bool {
    holds(job, "Complete") || holds(job, "Failed")
}

/// An error about conditions shows no value.
fn refuse(errors: &mut ErrorList, detail: impl Into<String>) {
    let (field, detail) = ("status.conditions".to_owned(), detail.into());
    errors.push(FieldError { kind: FieldErrorKind::Invalid, field, bad_value: None, detail });
}

pub(in crate::object::validation) fn changed<'t>(
    path: &FieldPath<'_, 't>,
    new: &'t Object,
    old: &'t Object,
    errors: &mut ErrorList<'t>,
) {
    let change = Change { new, old };
    uncounted(path, errors);
    together(&change, errors);
    times(path, &change, errors);
    when_finished(path, &change, errors);
    indexes(path, &change, errors);
    if change.changed(&["ready", "active"]) && change.number("ready") > change.number("active") {
        errors.invalid_as(path, "status.ready", change.number("ready"), "cannot set more ready pods than active");
    }
    success(&change, errors);
    backwards(path, &change, errors);
}

/// Pods that have ended and are not counted yet, each once.
fn uncounted<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let mut seen: Vec<&str> = Vec::new();
    for list in ["succeeded", "failed"] {
        let pods = path.at(&["status", "uncountedTerminatedPods", list]).and_then(Value::as_list).unwrap_or_default();
        for (at, pod) in pods.iter().filter_map(Value::as_str).enumerate() {
            let field = format!("status.uncountedTerminatedPods.{list}[{at}]");
            if pod.is_empty() {
                errors.invalid(path, &field, pod, "must not be empty");
            } else if seen.contains(&pod) {
                errors.duplicate(path, &field, pod);
            } else {
                seen.push(pod);
            }
        }
    }
}

/// Conditions that exclude or need one another.
fn together(change: &Change, errors: &mut ErrorList) {
    let new = |kind: &str| holds(change.new, kind);
    if change.turned(&["Complete", "Failed"]) && new("Complete") && new("Failed") {
        refuse(errors, "cannot set Complete=True and Failed=true conditions");
    }
    if change.turned(&["Complete", "FailureTarget"]) && new("Complete") && new("FailureTarget") {
        refuse(errors, "cannot set Complete=True and FailureTarget=true conditions");
    }
    let failed = change.turned(&["Failed"]) || change.changed(&["failedIndexes"]);
    if failed && new("Failed") && !new("FailureTarget") {
        refuse(errors, "cannot set Failed=True condition without the FailureTarget=true condition");
    }
    if change.turned(&["Complete", "SuccessCriteriaMet"]) && new("Complete") && !new("SuccessCriteriaMet") {
        refuse(errors, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
    }
}

fn times<'t>(path: &FieldPath<'_, 't>, change: &Change<'t>, errors: &mut ErrorList<'t>) {
    const COMPLETION: &str = "status.completionTime";
    let (start, end) = (change.field("startTime").0, change.field("completionTime").0);
    let complete = holds(change.new, "Complete");
    if change.turned(&["Complete"]) || change.changed(&["completionTime"]) {
        if end.is_some() && !complete {
            let detail = "cannot set completionTime when there is no Complete=True condition";
            errors.invalid_as(path, COMPLETION, printed(end), detail);
        }
        if end.is_none() && complete {
            errors.required(path, COMPLETION, "completionTime is required for Complete jobs");
        }
    }
    // Times are kept in one form, in which the order of texts is the order of times.
    let before = start.and_then(Value::as_str).zip(end.and_then(Value::as_str)).map(|(start, end)| end.cmp(start));
    if change.changed(&["startTime", "completionTime"]) && before == Some(Ordering::Less) {
        errors.invalid_as(path, COMPLETION, printed(end), "must be equal to or after `startTime`");
    }
}

fn when_finished<'t>(path: &FieldPath<'_, 't>, change: &Change<'t>, errors: &mut ErrorList<'t>) {
    let now = finished(change.new);
    let turned = now != finished(change.old);
    let spec = |name: &str| path.at(&["spec", name]);
    let (active, terminating) = (change.number("active"), change.number("terminating"));
    if now && (turned || change.changed(&["active"])) && active > 0 {
        errors.invalid_as(path, "status.active", active, "active>0 is invalid for finished job");
    }
    let never_ran = spec("suspend").and_then(Value::as_bool) == Some(true)
        && spec("completions").and_then(Value::as_i64) == Some(0);
    if now && (turned || change.changed(&["startTime"])) && !never_ran && change.field("startTime").0.is_none() {
        errors.required(path, "status.startTime", "startTime is required for finished job");
    }
    let pods = change.field("uncountedTerminatedPods").0;
    let some = |list| pods.and_then(|pods| pods.child(list)).is_some_and(|list| !list.is_zero());
    if now && (turned || change.changed(&["uncountedTerminatedPods"])) && (some("failed") || some("succeeded")) {
        errors.invalid_value(path, "status.uncountedTerminatedPods", pods, "must be empty for finished job");
    }
    if now && (turned || change.changed(&["terminating"])) && terminating > 0 {
        errors.invalid_as(path, "status.terminating", terminating, "terminating>0 is invalid for finished job");
    }
}

/// The indexes that are done, "1,3-5", below a count.
fn parse_indexes(text: &str, count: i64) -> Result<Vec<(i64, i64)>, String> {
    let index = |text: &str| -> Result<i64, String> {
        let number: i64 =
            text.parse().map_err(|_| format!("cannot convert string to integer for index: {}", go_quote(text)))?;
        if number >= count { Err(format!("too large index: {}", go_quote(text))) } else { Ok(number) }
    };
    let order = |last: i64, next: i64| format!("non-increasing order, previous: {last}, current: {next}");
    let mut intervals: Vec<(i64, i64)> = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = match part.split('-').collect::<Vec<_>>().as_slice() {
            [one] => (index(one)?, index(one)?),
            [first, last] => {
                let (first, last) = (index(first)?, index(last)?);
                if first >= last {
                    return Err(order(first, last));
                }
                (first, last)
            }
            _ => {
                let part = go_quote(part);
                return Err(format!(
                    "the fragment {part} violates the requirement that an index interval can have at most two parts separated by '-'"
                ));
            }
        };
        if let Some((_, before)) = intervals.last().filter(|(_, before)| *before >= first) {
            return Err(order(*before, first));
        }
        intervals.push((first, last));
    }
    Ok(intervals)
}

fn indexes<'t>(path: &FieldPath<'_, 't>, change: &Change<'t>, errors: &mut ErrorList<'t>) {
    const COMPLETED: &str = "status.completedIndexes";
    const FAILED: &str = "status.failedIndexes";
    let spec = |name: &str| path.at(&["spec", name]);
    let done = change.field("completedIndexes").0.and_then(Value::as_str).unwrap_or_default();
    let failed = change.field("failedIndexes").0.and_then(Value::as_str);
    let count = spec("completions").and_then(Value::as_i64);
    let (done_changed, failed_changed) = (change.changed(&["completedIndexes"]), {
        let (new, old) = change.field("failedIndexes");
        new != old
    });
    let parsed = count.map(|count| parse_indexes(done, count));
    if let Some(Err(why)) = parsed.as_ref().filter(|_| done_changed) {
        errors.invalid(path, COMPLETED, done, format!("error parsing completedIndexes: {why}"));
    }
    let lost = failed.zip(count).map(|(failed, count)| parse_indexes(failed, count));
    let limited = spec("backoffLimitPerIndex").is_some();
    if let (Some(Err(why)), Some(failed)) = (lost.as_ref().filter(|_| failed_changed && limited), failed) {
        errors.invalid(path, FAILED, failed, format!("error parsing failedIndexes: {why}"));
    }
    let indexed = spec("completionMode").and_then(Value::as_str) == Some("Indexed");
    if done_changed && !done.is_empty() && !indexed {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        errors.invalid(path, COMPLETED, done, detail);
    }
    let Some(failed) = failed else { return };
    if failed_changed && !limited {
        let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        errors.invalid(path, FAILED, failed, detail);
    }
    if let (Some(Ok(done)), Some(Ok(lost))) = (parsed, lost)
        && (done_changed || failed_changed)
    {
        let both = done.iter().flat_map(|a| lost.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
        if let Some((first, _)) = both.filter(|(first, last)| first <= last).min() {
            let detail = format!("failedIndexes and completedIndexes overlap at index: {first}");
            errors.invalid(path, FAILED, failed, detail);
        }
    }
}

fn success(change: &Change, errors: &mut ErrorList) {
    const MET: &str = "SuccessCriteriaMet";
    let met = holds(change.new, MET);
    if met && holds(change.new, "Failed") {
        refuse(errors, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    }
    if met && holds(change.new, "FailureTarget") {
        refuse(errors, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    }
    if change.new.get(&["spec", "successPolicy"]).is_some() && !met && holds(change.new, "Complete") {
        refuse(errors, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True");
    }
}

/// What never goes back.
fn backwards<'t>(path: &FieldPath<'_, 't>, change: &Change<'t>, errors: &mut ErrorList<'t>) {
    for kind in ["Failed", "Complete", "FailureTarget"] {
        if holds(change.old, kind) && !holds(change.new, kind) {
            refuse(errors, format!("cannot disable the terminal {kind}=True condition"));
        }
    }
    let spec = |name: &str| path.at(&["spec", name]);
    let indexed = spec("completionMode").and_then(Value::as_str) == Some("Indexed");
    // Jobs that run all their indexes at once may be scaled down.
    let scales = indexed && spec("completions") == spec("parallelism");
    for (counter, may_shrink) in [("failed", false), ("succeeded", scales)] {
        if !may_shrink && change.number(counter) < change.old_number(counter) {
            let detail = format!("cannot decrease the {counter} counter");
            errors.invalid_as(path, &format!("status.{counter}"), change.number(counter), detail);
        }
    }
    let (end, ended) = change.field("completionTime");
    if end.is_some() && ended.is_some() && end != ended {
        errors.invalid_as(path, "status.completionTime", printed(end), IMMUTABLE);
    }
    let (start, started) = change.field("startTime");
    let resumed =
        status_of(change.old, "Suspended") == Some("True") && status_of(change.new, "Suspended") == Some("False");
    let suspended = spec("suspend").and_then(Value::as_bool) == Some(true);
    if started.is_some() && start != started && !resumed && !suspended {
        errors.required(path, "status.startTime", "startTime cannot be removed for unsuspended job");
    }
    let met = |job: &Object| holds(job, "SuccessCriteriaMet");
    if met(change.old) && !met(change.new) {
        refuse(errors, "cannot disable the SuccessCriteriaMet=True condition");
    }
    if holds(change.old, "Complete") && !met(change.old) && met(change.new) {
        refuse(errors, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions");
    }
}

#[cfg(test)]
mod tests {
    use super::parse_indexes;

    #[test]
    fn indexes_are_read_in_order_and_below_their_count() {
        assert_eq!(parse_indexes("", 3), Ok(vec![]));
        assert_eq!(parse_indexes("0,2-4", 5), Ok(vec![(0, 0), (2, 4)]));
        for (text, why) in [
            ("x", "cannot convert string to integer for index: \"x\""),
            ("5", "too large index: \"5\""),
            ("3-2", "non-increasing order, previous: 3, current: 2"),
            ("1,1", "non-increasing order, previous: 1, current: 1"),
        ] {
            assert_eq!(parse_indexes(text, 5), Err(why.to_owned()), "{text}");
        }
    }
}
