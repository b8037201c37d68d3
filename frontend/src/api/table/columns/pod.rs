//! Pods: the one kind whose state is told by many fields at once.

use super::super::{
    column::{AGE, Cell, CellValue, Doc, NAME, Printer, RowCondition, containers, images, printer, text},
    row::{Row, parse_time},
    value::{bool_in, condition, int_in, text_in},
};
use crate::api::schema::Value;

pub(super) static POD: Printer = Printer {
    condition: Some(completed),
    ..printer(&[
        NAME,
        text(
            "Ready",
            Doc::Text("The aggregate readiness state of this pod for accepting traffic."),
            Cell::With(|row| State::of(row).ready().into()),
        ),
        text(
            "Status",
            Doc::Text("The aggregate status of the containers in this pod."),
            Cell::With(|row| State::of(row).reason.into()),
        ),
        text(
            "Restarts",
            Doc::Text(
                "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
            ),
            Cell::With(|row| State::of(row).restarts(row).into()),
        ),
        AGE,
        text("IP", Doc::Field(&["status", "podIP"]), Cell::With(pod_ip)).wide(),
        text("Node", Doc::Field(&["spec", "nodeName"]), Cell::With(|row| or_none(row.text(&["spec", "nodeName"]))))
            .wide(),
        text(
            "Nominated Node",
            Doc::Field(&["status", "nominatedNodeName"]),
            Cell::With(|row| or_none(row.text(&["status", "nominatedNodeName"]))),
        )
        .wide(),
        text("Readiness Gates", Doc::Field(&["spec", "readinessGates"]), Cell::With(readiness_gates)).wide(),
    ])
};

const TEMPLATE_CONTAINERS: &[&str] = &["template", "spec", "containers"];

pub(super) static POD_TEMPLATE: Printer = printer(&[
    NAME,
    super::super::column::Column { priority: 0, ..containers(TEMPLATE_CONTAINERS) },
    super::super::column::Column { priority: 0, ..images(TEMPLATE_CONTAINERS) },
    text(
        "Pod Labels",
        Doc::Text("The labels for the pod template."),
        Cell::Labels(&["template", "metadata", "labels"]),
    ),
]);

fn or_none(text: &str) -> CellValue {
    super::super::format::or_none(text.to_owned()).into()
}

fn completed(row: &Row<'_>) -> Option<RowCondition> {
    let (reason, message) = match row.text(&["status", "phase"]) {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(RowCondition { kind: "Completed", status: "True", reason, message })
}

fn pod_ip(row: &Row<'_>) -> CellValue {
    or_none(row.list(&["status", "podIPs"]).first().map_or("", |ip| text_in(ip, &["ip"])))
}

fn readiness_gates(row: &Row<'_>) -> CellValue {
    let gates = row.list(&["spec", "readinessGates"]);
    if gates.is_empty() {
        return "<none>".into();
    }
    let conditions = row.list(&["status", "conditions"]);
    let is_true = |gate: &&Value| {
        condition(conditions, text_in(gate, &["conditionType"])).is_some_and(|c| text_in(c, &["status"]) == "True")
    };
    format!("{}/{}", gates.iter().filter(is_true).count(), gates.len()).into()
}

/// What the containers' statuses add up to.
struct State {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    /// RFC 3339; empty when no container ended before.
    last_restart: String,
}

/// Restarts counted so far, and when the latest ended.
#[derive(Clone, Default)]
struct Restarts {
    count: i64,
    last: String,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += int_in(status, &["restartCount"]);
        let finished = text_in(status, &["lastState", "terminated", "finishedAt"]);
        // Times are canonical, so that their texts compare as the times do.
        if parse_time(finished).is_some() && finished > self.last.as_str() {
            self.last = finished.to_owned();
        }
    }
}

/// An init container that goes on running beside the others.
fn is_sidecar(spec: Option<&Value>) -> bool {
    spec.is_some_and(|container| text_in(container, &["restartPolicy"]) == "Always")
}

/// Why a container ended: its reason, else signal, else exit code.
fn termination(terminated: &Value) -> String {
    match (text_in(terminated, &["reason"]), int_in(terminated, &["signal"])) {
        ("", 0) => format!("ExitCode:{}", int_in(terminated, &["exitCode"])),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

impl State {
    fn of(row: &Row<'_>) -> State {
        let init_specs = row.list(&["spec", "initContainers"]);
        let sidecars = init_specs.iter().filter(|c| is_sidecar(Some(c))).count();
        let mut state = State {
            reason: initial_reason(row),
            ready: 0,
            total: row.list(&["spec", "containers"]).len() + sidecars,
            restarts: 0,
            last_restart: String::new(),
        };
        let conditions = row.list(&["status", "conditions"]);
        let (restarts, of_sidecars, initializing) = state.initialize(row, init_specs);
        let initialized = condition(conditions, "Initialized").is_some_and(|c| text_in(c, &["status"]) == "True");
        let mut counted = restarts;
        if !initializing || initialized {
            counted = of_sidecars;
            state.run(row, conditions, &mut counted);
        }
        (state.restarts, state.last_restart) = (counted.count, counted.last);
        if row.is_deleting() {
            if row.text(&["status", "reason"]) == "NodeLost" {
                state.reason = "Unknown".to_owned();
            } else if !matches!(row.text(&["status", "phase"]), "Succeeded" | "Failed") {
                state.reason = "Terminating".to_owned();
            }
        }
        state
    }

    /// Walks the init containers up to the first that is not done. Says whether there is such a one.
    fn initialize(&mut self, row: &Row<'_>, specs: &[Value]) -> (Restarts, Restarts, bool) {
        let (mut restarts, mut of_sidecars) = (Restarts::default(), Restarts::default());
        for (index, status) in row.list(&["status", "initContainerStatuses"]).iter().enumerate() {
            let name = text_in(status, &["name"]);
            let sidecar = is_sidecar(specs.iter().rfind(|c| text_in(c, &["name"]) == name));
            restarts.add(status);
            if sidecar {
                of_sidecars.add(status);
            }
            let terminated = status.at(&["state", "terminated"]);
            if terminated.is_some_and(|t| int_in(t, &["exitCode"]) == 0) {
                continue;
            }
            if sidecar && bool_in(status, &["started"]) {
                self.ready += usize::from(bool_in(status, &["ready"]));
                continue;
            }
            let waiting = text_in(status, &["state", "waiting", "reason"]);
            self.reason = match terminated {
                Some(terminated) => format!("Init:{}", termination(terminated)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{index}/{}", specs.len()),
            };
            return (restarts, of_sidecars, true);
        }
        (restarts, of_sidecars, false)
    }

    /// Walks the containers, the last one first, so that the first one's reason wins.
    fn run(&mut self, row: &Row<'_>, conditions: &[Value], restarts: &mut Restarts) {
        let mut running = false;
        let mut error = String::new();
        for status in row.list(&["status", "containerStatuses"]).iter().rev() {
            restarts.add(status);
            let waiting = text_in(status, &["state", "waiting", "reason"]);
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if let Some(terminated) = status.at(&["state", "terminated"]) {
                self.reason = termination(terminated);
                if int_in(terminated, &["exitCode"]) != 0 {
                    error.clone_from(&self.reason);
                }
            } else if bool_in(status, &["ready"]) && status.at(&["state", "running"]).is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            let ready =
                conditions.iter().any(|c| text_in(c, &["type"]) == "Ready" && text_in(c, &["status"]) == "True");
            if running && ready {
                self.reason = "Running".to_owned();
            } else if !error.is_empty() {
                self.reason = error;
            } else if running {
                self.reason = "NotReady".to_owned();
            }
        }
    }

    fn ready(&self) -> String {
        format!("{}/{}", self.ready, self.total)
    }

    fn restarts(&self, row: &Row<'_>) -> String {
        if self.restarts != 0 && !self.last_restart.is_empty() {
            return format!("{} ({} ago)", self.restarts, row.since(Some(&self.last_restart)));
        }
        self.restarts.to_string()
    }
}

/// The phase, unless the pod itself gives a reason or waits behind a scheduling gate.
fn initial_reason(row: &Row<'_>) -> String {
    let gated = |c: &Value| text_in(c, &["type"]) == "PodScheduled" && text_in(c, &["reason"]) == "SchedulingGated";
    if row.list(&["status", "conditions"]).iter().any(gated) {
        return "SchedulingGated".to_owned();
    }
    match row.text(&["status", "reason"]) {
        "" => row.text(&["status", "phase"]).to_owned(),
        reason => reason.to_owned(),
    }
}
