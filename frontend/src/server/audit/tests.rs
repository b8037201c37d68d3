use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    access::authz::Attributes,
    cluster::FixedClock,
    request::{Request, User, body::RequestBody, status::ApiError},
};

const POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- {level: None, verbs: [watch]}\n\
                      - {level: RequestResponse, omitManagedFields: true, omitStages: [RequestReceived], verbs: [update]}\n\
                      - {level: Metadata}\n";

/// What was written for one request that `pass` led through the chain.
fn events(verb: &str, pass: impl FnOnce(&Record)) -> Vec<Value> {
    cut_events(verb, None, pass)
}

fn cut_events(verb: &str, truncation: Option<Truncation>, pass: impl FnOnce(&Record)) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let (policy, path) = (folder.path().join("policy.yaml"), folder.path().join("audit.log"));
    std::fs::write(&policy, POLICY).unwrap();
    let rotation = Rotation { bytes_max: 0, backups_max: 0, age_max: std::time::Duration::ZERO, compress: false };
    let clock = Arc::new(FixedClock("2026-01-01T00:00:00Z".parse().unwrap()));
    let file = Backend::Log(parking_lot::Mutex::new(LogFile::open(&path, rotation).unwrap()));
    let metrics = AuditMetrics::default();
    let sink = Sink::new(file, Mode::Blocking, truncation, &tokio_util::task::TaskTracker::new(), &metrics);
    let audit = Arc::new(Audit::new(Policy::read(&policy).unwrap(), vec![sink], clock, metrics));
    let uri = http::Uri::from_static("/api/v1/namespaces/x/pods/p?pretty=true");
    let headers = [(http::header::USER_AGENT, http::HeaderValue::from_static("tester"))].into_iter().collect();
    let request = Request::local(&http::Method::GET, uri, headers, RequestBody::from_bytes("")).unwrap();
    let user = User { name: "ann".into(), groups: vec!["devs".into()], ..User::default() };
    let asked = Attributes { verb: verb.into(), ..Attributes::of_request(&user, &request) };
    let record = Record::default();
    record.begin(&audit, &asked, &request).unwrap();
    pass(&record);
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_request_leaves_its_metadata() {
    let events = events("get", |record| {
        record.acts_as(&User { name: "bob".into(), ..User::default() });
        record.annotate("authorization.k8s.io/decision", "allow");
        record.annotate("authorization.k8s.io/decision", "later");
        record.completed(200);
    });
    let stages: Vec<&str> = events.iter().map(|event| event["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["RequestReceived", "ResponseComplete"]);
    let mut last = events[1].clone();
    last.as_object_mut().unwrap().remove("requestReceivedTimestamp");
    assert_eq!(
        last,
        json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "",
            "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces/x/pods/p?pretty=true", "verb": "get",
            "user": {"username": "ann", "groups": ["devs"]}, "impersonatedUser": {"username": "bob"},
            "userAgent": "tester",
            "objectRef": {"resource": "pods", "namespace": "x", "name": "p", "apiVersion": "v1"},
            "responseStatus": {"metadata": {}, "code": 200},
            "stageTimestamp": "2026-01-01T00:00:00.000000Z",
            "annotations": {"authorization.k8s.io/decision": "allow"},
        })
    );
}

#[test]
fn bodies_are_there_where_the_policy_wants_them() {
    let document = br#"{"metadata":{"name":"p","managedFields":[{}]}}"#;
    let both = |record: &Record| {
        record.request_object(document);
        record.response_object(b"{\n \"kind\": \"Pod\"\n}");
        record.completed(200);
    };
    let events = events("update", both);
    assert_eq!(events.len(), 1, "the receipt is left out");
    assert_eq!(events[0]["requestObject"], json!({"metadata": {"name": "p"}}));
    assert_eq!(events[0]["responseObject"], json!({"kind": "Pod"}));
}

#[test]
fn a_refusal_and_a_panic_say_why() {
    let refused = events("get", |record| {
        record.failed(&ApiError::unauthorized());
        record.completed(401);
    });
    assert_eq!(refused[1]["responseStatus"]["reason"], "Unauthorized");
    let panicked = events("get", |record| record.panicked("on purpose"));
    assert_eq!(panicked[1]["stage"], "Panic");
    assert!(panicked[1]["responseStatus"]["message"].as_str().unwrap().contains("on purpose"));
    assert!(events("watch", |record| record.completed(200)).is_empty());
}

#[test]
fn large_events_lose_their_objects() {
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(5000));
    let with_object = |record: &Record| {
        record.request_object(large.as_bytes());
        record.completed(200);
    };
    let cut = |event_bytes_max| cut_events("update", Some(Truncation { event_bytes_max }), with_object);
    let kept = cut(10_000);
    assert!(kept[0].get("annotations").is_none() && kept[0]["requestObject"].is_object());
    let truncated = cut(2000);
    assert_eq!(truncated[0]["annotations"]["audit.k8s.io/truncated"], "true");
    assert!(truncated[0].get("requestObject").is_none());
    assert!(cut(100).is_empty(), "what is still too large is lost");
}
