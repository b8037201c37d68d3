//! The priority levels and flow schemas that every cluster has.
//!
//! Not here: what they do to a request, and what is said of them (`flow_schemas`).

use serde_json::{Value, json};

use super::SelfClient;
use crate::request::status::ApiError;

const FOLDER: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";
const VERSION: &str = "flowcontrol.apiserver.k8s.io/v1";

/// What happens to requests beyond a level's share.
enum Beyond {
    /// The level has no limit.
    Exempt,
    Reject,
    /// Queues, and how many of them a flow is spread over.
    Queue(i32, i32),
}

/// Name, shares, percent that others may borrow, and what happens beyond.
const LEVELS: [(&str, i32, i32, Beyond); 8] = [
    ("exempt", 0, 0, Beyond::Exempt),
    ("catch-all", 5, 0, Beyond::Reject),
    ("global-default", 20, 50, Beyond::Queue(128, 6)),
    ("leader-election", 10, 0, Beyond::Queue(16, 4)),
    ("node-high", 40, 25, Beyond::Queue(64, 6)),
    ("system", 30, 33, Beyond::Queue(64, 6)),
    ("workload-high", 40, 50, Beyond::Queue(128, 6)),
    ("workload-low", 100, 90, Beyond::Queue(128, 6)),
];
const QUEUE_LENGTH: i32 = 50;

/// What a flow schema covers.
enum Covers {
    Everything,
    /// Verbs, and rows of group, resources, and whether those of the cluster are meant too.
    Resources(&'static [&'static str], &'static [(&'static str, &'static [&'static str], Span)]),
    Health,
}

#[derive(Clone, Copy, PartialEq)]
enum Span {
    Cluster,
    Namespaces,
}

/// Name, level, precedence, how flows are told apart, subjects as `kind:name`, and what is covered.
type Flow = (&'static str, &'static str, i32, Option<&'static str>, &'static [&'static str], Covers);

const EVERYBODY: &[&str] = &["Group:system:unauthenticated", "Group:system:authenticated"];

const FLOWS: [Flow; 11] = [
    ("exempt", "exempt", 1, None, &["Group:system:masters"], Covers::Everything),
    ("probes", "exempt", 2, None, EVERYBODY, Covers::Health),
    (
        "system-leader-election",
        "leader-election",
        100,
        Some("ByUser"),
        &["User:system:kube-controller-manager", "User:system:kube-scheduler", "ServiceAccount:*"],
        Covers::Resources(&["get", "create", "update"], &[("coordination.k8s.io", &["leases"], Span::Namespaces)]),
    ),
    (
        "system-node-high",
        "node-high",
        400,
        Some("ByUser"),
        &["Group:system:nodes"],
        Covers::Resources(
            &["*"],
            &[("", &["nodes", "nodes/status"], Span::Cluster), ("coordination.k8s.io", &["leases"], Span::Namespaces)],
        ),
    ),
    ("system-nodes", "system", 500, Some("ByUser"), &["Group:system:nodes"], Covers::Everything),
    (
        "kube-controller-manager",
        "workload-high",
        800,
        Some("ByNamespace"),
        &["User:system:kube-controller-manager"],
        Covers::Everything,
    ),
    ("kube-scheduler", "workload-high", 800, Some("ByNamespace"), &["User:system:kube-scheduler"], Covers::Everything),
    (
        "kube-system-service-accounts",
        "workload-high",
        900,
        Some("ByNamespace"),
        &["ServiceAccount:*"],
        Covers::Everything,
    ),
    ("service-accounts", "workload-low", 9000, Some("ByUser"), &["Group:system:serviceaccounts"], Covers::Everything),
    ("global-default", "global-default", 9900, Some("ByUser"), EVERYBODY, Covers::Everything),
    ("catch-all", "catch-all", 10000, Some("ByUser"), EVERYBODY, Covers::Everything),
];

/// Makes those that are missing. One that an operator changed is left as it is.
pub(crate) async fn reconcile(client: &SelfClient) -> Result<(), ApiError> {
    let producer = client.named("api-priority-and-fairness-config-producer-v1");
    let levels = format!("{FOLDER}/prioritylevelconfigurations");
    producer.ensure_all(&levels, LEVELS.iter().map(priority_level)).await?;
    producer.ensure_all(&format!("{FOLDER}/flowschemas"), FLOWS.iter().map(flow_schema)).await
}

fn named(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": VERSION,
        "kind": kind,
        "metadata": {"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}},
        "spec": spec,
    })
}

fn priority_level((name, shares, lendable, beyond): &(&str, i32, i32, Beyond)) -> Value {
    let limits = |response: Value| {
        json!({"type": "Limited", "limited": {
            "nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response,
        }})
    };
    let spec = match beyond {
        Beyond::Exempt => json!({"type": "Exempt", "exempt": {
            "nominalConcurrencyShares": shares, "lendablePercent": lendable,
        }}),
        Beyond::Reject => limits(json!({"type": "Reject"})),
        Beyond::Queue(queues, hand) => limits(json!({"type": "Queue", "queuing": {
            "queues": queues, "handSize": hand, "queueLengthLimit": QUEUE_LENGTH,
        }})),
    };
    named("PriorityLevelConfiguration", name, spec)
}

fn flow_schema((name, level, precedence, distinguisher, subjects, covers): &Flow) -> Value {
    let subjects: Vec<Value> = subjects.iter().filter_map(|subject| subject.split_once(':')).map(subject).collect();
    let mut rule = json!({"subjects": subjects});
    let everything = json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}]);
    match covers {
        Covers::Everything => {
            rule["resourceRules"] = json!([resource_rule(&["*"], &("*", &["*"], Span::Cluster))]);
            rule["nonResourceRules"] = everything;
        }
        Covers::Resources(verbs, rows) => {
            rule["resourceRules"] = rows.iter().map(|row| resource_rule(verbs, row)).collect();
        }
        Covers::Health => {
            let paths = ["/healthz", "/readyz", "/livez"];
            rule["nonResourceRules"] = json!([{"verbs": ["get"], "nonResourceURLs": paths}]);
        }
    }
    let mut spec = json!({
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [rule],
    });
    if let Some(distinguisher) = distinguisher {
        spec["distinguisherMethod"] = json!({"type": distinguisher});
    }
    named("FlowSchema", name, spec)
}

fn resource_rule(verbs: &[&str], (group, resources, span): &(&str, &[&str], Span)) -> Value {
    let mut rule = json!({"verbs": verbs, "apiGroups": [group], "resources": resources, "namespaces": ["*"]});
    if *span == Span::Cluster {
        rule["clusterScope"] = json!(true);
    }
    rule
}

fn subject((kind, name): (&str, &str)) -> Value {
    match kind {
        "User" => json!({"kind": kind, "user": {"name": name}}),
        "Group" => json!({"kind": kind, "group": {"name": name}}),
        _ => json!({"kind": kind, "serviceAccount": {"namespace": "kube-system", "name": name}}),
    }
}
