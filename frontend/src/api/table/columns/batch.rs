//! Jobs and what makes them.

use super::super::{
    column::{AGE, Cell, CellValue, Column, Doc, NAME, Printer, containers, images, integer, printer, text},
    format::human_duration,
    row::{Row, parse_time},
    value::{condition, text_in},
};

const CONTAINERS: &[&str] = &["spec", "template", "spec", "containers"];
const SELECTOR: &[&str] = &["spec", "selector"];

pub(super) static JOB: Printer = printer(&[
    NAME,
    text("Status", Doc::Text("Status of the job."), Cell::With(status)),
    text("Completions", Doc::Field(&["status", "succeeded"]), Cell::With(completions)),
    text("Duration", Doc::Text("Time required to complete the job."), Cell::With(duration)),
    AGE,
    containers(CONTAINERS),
    images(CONTAINERS),
    text("Selector", Doc::Field(SELECTOR), Cell::Selector(SELECTOR)).wide(),
]);

const TEMPLATE_CONTAINERS: &[&str] = &["spec", "jobTemplate", "spec", "template", "spec", "containers"];
const TEMPLATE_SELECTOR: &[&str] = &["spec", "jobTemplate", "spec", "selector"];

pub(super) static CRON_JOB: Printer = printer(&[
    NAME,
    text("Schedule", Doc::Field(&["spec", "schedule"]), Cell::Text(&["spec", "schedule"])),
    text("Timezone", Doc::Field(&["spec", "timeZone"]), Cell::TextOr(&["spec", "timeZone"], "<none>")),
    Column { kind: "boolean", ..text("Suspend", Doc::Field(&["spec", "suspend"]), Cell::With(suspended)) },
    integer("Active", Doc::Field(&["status", "active"]), Cell::Count(&["status", "active"])),
    text("Last Schedule", Doc::Field(&["status", "lastScheduleTime"]), Cell::With(last_schedule)),
    AGE,
    containers(TEMPLATE_CONTAINERS),
    images(TEMPLATE_CONTAINERS),
    text("Selector", Doc::Field(TEMPLATE_SELECTOR), Cell::Selector(TEMPLATE_SELECTOR)).wide(),
])
.described_by("batch", "v1beta1");

fn status(row: &Row<'_>) -> CellValue {
    let conditions = row.list(&["status", "conditions"]);
    let holds = |kind: &str| condition(conditions, kind).is_some_and(|c| text_in(c, &["status"]) == "True");
    let ended = ["Complete", "Failed"].into_iter().find(|kind| holds(kind));
    let ending =
        [("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet")];
    match ended {
        Some(kind) => kind,
        None if row.is_deleting() => "Terminating",
        None => ending.into_iter().find(|(kind, _)| holds(kind)).map_or("Running", |(_, shown)| shown),
    }
    .into()
}

fn completions(row: &Row<'_>) -> CellValue {
    let succeeded = row.int(&["status", "succeeded"]);
    if let Some(wanted) = row.object.get_i64(&["spec", "completions"]) {
        return format!("{succeeded}/{wanted}").into();
    }
    match row.int(&["spec", "parallelism"]) {
        parallel if parallel > 1 => format!("{succeeded}/1 of {parallel}").into(),
        _ => format!("{succeeded}/1").into(),
    }
}

fn duration(row: &Row<'_>) -> CellValue {
    let time = |name| row.object.get_str(&["status", name]).and_then(parse_time);
    match (time("startTime"), time("completionTime")) {
        (None, _) => "".into(),
        (Some(start), end) => human_duration(end.unwrap_or(row.now).duration_since(start).as_millis()).into(),
    }
}

/// Text in a column that is declared boolean, as in the original.
fn suspended(row: &Row<'_>) -> CellValue {
    match row.object.get_bool(&["spec", "suspend"]) {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    }
    .into()
}

fn last_schedule(row: &Row<'_>) -> CellValue {
    match row.object.get_str(&["status", "lastScheduleTime"]) {
        Some(time) => row.since(Some(time)).into(),
        None => "<none>".into(),
    }
}
