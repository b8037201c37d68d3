//! Single answers that clients compare word for word, over the wire: each row is a request to a fresh cluster, in
//! order, with the status and a part of the text that a real server answers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tests::{
    cluster::{Cluster, HttpsClient, Spec},
    process::eventually,
};

const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const SETS: &str = "/apis/apps/v1/namespaces/default/daemonsets";
const SCALERS: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const THINGS: &str = "/apis/example.org/v1/things";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";
const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const SCHEMAS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";

struct Row {
    method: &'static str,
    path: String,
    media: &'static str,
    accept: &'static str,
    body: serde_json::Value,
    status: u16,
    /// Parts of the answer or, behind `not`, of none.
    says: &'static [&'static str],
    not: &'static [&'static str],
}

fn row(method: &'static str, path: impl Into<String>, media: &'static str, body: serde_json::Value) -> Row {
    Row { method, path: path.into(), media, accept: JSON, body, status: 200, says: &[], not: &[] }
}

impl Row {
    fn is(self, status: u16, says: &'static [&'static str]) -> Row {
        Row { status, says, ..self }
    }

    fn without(self, not: &'static [&'static str]) -> Row {
        Row { not, ..self }
    }

    fn accepting(self, accept: &'static str) -> Row {
        Row { accept, ..self }
    }
}

/// A patched object that lost its version has lost all fields with it.
fn patches() -> Vec<Row> {
    let one = format!("{MAPS}/one");
    let linked = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two", "selfLink": "/x"}});
    vec![
        row("POST", MAPS, JSON, json!({"metadata": {"name": "one"}, "data": {"a": "b"}})).is(201, &[]),
        row("PATCH", &*one, JSON_PATCH, json!([{"op": "remove", "path": "/apiVersion"}]))
            .is(400, &["the name of the object (one based on URL) was undeterminable: name must be provided"]),
        row("PATCH", format!("{one}?fieldValidation=Strict"), MERGE, json!({"apiVersion": null}))
            .is(422, &[r#"strict decoding error: unknown field \"data\", unknown field \"metadata\""#]),
        row("PATCH", &*one, JSON_PATCH, json!([{"op": "remove", "path": "/kind"}])).is(200, &[]),
        row("PATCH", format!("{MAPS}/two?fieldManager=m"), APPLY, linked).is(201, &[]).without(&["selfLink"]),
        // A refused document is shown as Go writes it, and that text is written into JSON once more.
        row("PATCH", &*one, MERGE, json!({"data": {"a": ["<&>"]}})).is(422, &[r"\\\\u003c\\\\u0026\\\\u003e"]),
    ]
}

/// What others have is refused before anything else is validated.
fn services() -> Vec<Row> {
    let service = |name: &str, more: serde_json::Value| {
        let mut spec = json!({"ports": [{"port": 80}]});
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        json!({"metadata": {"name": name}, "spec": spec})
    };
    let address = "10.0.0.77";
    let port = json!([{"port": 80, "nodePort": 30077}]);
    let bad = json!({"": "x"});
    let taken = &["provided IP is already allocated"];
    vec![
        row("POST", SERVICES, JSON, service("a", json!({"clusterIP": address}))).is(201, &[]),
        row("POST", SERVICES, JSON, service("b", json!({"clusterIP": address, "selector": bad})))
            .is(422, taken)
            .without(&["spec.selector"]),
        row("POST", format!("{SERVICES}?dryRun=All"), JSON, service("b", json!({"clusterIP": address}))).is(201, &[]),
        row("POST", SERVICES, JSON, service("c", json!({"type": "NodePort", "ports": port}))).is(201, &[]),
        row("POST", SERVICES, JSON, service("d", json!({"type": "NodePort", "ports": port, "selector": bad})))
            .is(422, &["provided port is already allocated"])
            .without(&["spec.selector"]),
    ]
}

/// Parts of an object that a version keeps in annotations belong to the endpoint of that part.
fn annotated() -> Vec<Row> {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let conditions = r#"[{"type":"AbleToScale","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]"#;
    let annotations = json!({"autoscaling.alpha.kubernetes.io/conditions": conditions});
    let target = json!({"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"});
    vec![
        row(
            "POST",
            SETS,
            JSON,
            json!({
            "metadata": {"name": "s", "annotations": {"deprecated.daemonset.template.generation": "3"}},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}),
        )
        .is(201, &[r#""deprecated.daemonset.template.generation":"3""#]),
        row(
            "POST",
            SCALERS,
            JSON,
            json!({
            "metadata": {"name": "h", "annotations": annotations},
            "spec": {"maxReplicas": 3, "scaleTargetRef": target}, "status": {"currentCPUUtilizationPercentage": 1}}),
        )
        .is(201, &[r#""targetCPUUtilizationPercentage":80"#])
        .without(&[r#""autoscaling.alpha.kubernetes.io/conditions":"["#, r#""currentCPUUtilizationPercentage":1"#]),
    ]
}

fn refusals() -> Vec<Row> {
    let pod = |account: &str| json!({"metadata": {"name": "p"}, "spec": {"serviceAccountName": account, "containers": [{"name": "c", "image": "i"}]}});
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": {
        "metadata": {"labels": {"job-name": "k"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
    }}});
    let names = json!({"plural": "ts", "kind": "T"});
    let version =
        json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}});
    let event = "/apis/events.k8s.io/v1/namespaces/default/events";
    vec![
        row("POST", "/api/v1/namespaces/default/pods", JSON, pod("a/b")).is(
            403,
            &[r#"error looking up service account default/a/b: invalid resource name \"a/b\": [may not contain '/']"#],
        ),
        row("POST", ACCOUNTS, JSON, json!({"metadata": {"name": "nameless"}, "secrets": [{}]})).is(201, &[]),
        row(
            "PATCH",
            format!("{ACCOUNTS}/nameless?fieldManager=m"),
            APPLY,
            json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nameless"}}),
        )
        .is(
            500,
            &["failed to create manager for existing fields: failed to convert new object (default/nameless; /v1, \
             Kind=ServiceAccount) to smd typed: .secrets: element 0: associative list with keys has an element"],
        ),
        row("POST", JOBS, JSON, job).is(422, &["must be 'j'"]),
        row(
            "POST",
            DEFINITIONS,
            JSON,
            json!({
            "metadata": {"name": "ts.example.com"},
            "spec": {"group": "example.com", "names": names, "scope": "Cluster", "versions": [version]}}),
        )
        .is(201, &[]),
        row("DELETE", format!("{DEFINITIONS}/ts.example.com"), JSON, json!({"propagationPolicy": "Orphan"}))
            .is(200, &[])
            .without(&[r#""orphan""#]),
        row(
            "POST",
            "/api/v1/namespaces/default/events",
            JSON,
            json!({
            "metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}}),
        )
        .is(201, &[]),
        row("DELETE", format!("{event}/e"), JSON, json!({"preconditions": {"uid": "x"}}))
            .is(409, &[r#"cannot be fulfilled on Event \"e\""#]),
    ]
}

/// What is not stored is shown in columns too.
fn tables() -> Vec<Row> {
    let components = "/api/v1/componentstatuses";
    let columns = &[r#""kind":"Table""#, r#""name":"Status""#, r#""cells":["etcd-0","Healthy","ok",""]"#];
    let one = format!("{components}/etcd-0");
    vec![
        row("GET", components, JSON, json!(null)).accepting(TABLE).is(200, columns),
        row("GET", one, JSON, json!(null)).accepting(TABLE).is(200, columns),
        row("GET", components, JSON, json!(null)).is(200, &[r#""kind":"ComponentStatusList""#]),
    ]
}

/// Somebody says of every flow schema whether its level exists.
fn flow_schemas() -> Vec<Row> {
    let body = json!({
        "metadata": {"name": "mine"},
        "spec": {"priorityLevelConfiguration": {"name": "gone"}, "matchingPrecedence": 9000}});
    vec![row("POST", SCHEMAS, JSON, body).is(201, &[])]
}

/// What is applied to custom resources keeps its nulls, and what the schema calls an object is one.
fn applied() -> Vec<Row> {
    let apply = |name: &str, spec: serde_json::Value| {
        let body = json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": name}, "spec": spec});
        row("PATCH", format!("{THINGS}/{name}?fieldManager=m&force=true"), APPLY, body)
    };
    vec![
        apply("a", json!({"number": null})).is(422, &["spec.number in body must be of type integer"]),
        apply("b", json!({"open": {"x": 1}})).is(201, &[]),
        apply("b", json!({"open": {}})).is(422, &["spec.open in body must be of type object"]),
        apply("c", json!({"open": []})).is(
            500,
            &["failed to create typed patch object (/c; example.org/v1, Kind=Thing): .spec.open: expected map, got"],
        ),
        apply("d", json!({"list": [[]]})).is(500, &[".spec.list[0]: expected map, got"]),
        row(
            "POST",
            THINGS,
            JSON,
            json!({
            "apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "e"}, "spec": {"number": null}}),
        )
        .is(201, &[])
        .without(&[r#""number":null"#]),
    ]
}

/// A policy against everything in its own group, its binding, and what it refuses.
fn policy() -> ([Row; 2], Row) {
    let rule = json!({"operations": ["*"], "apiGroups": ["admissionregistration.k8s.io"], "apiVersions": ["*"], "resources": ["*"]});
    let spec = json!({"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "false"}]});
    let bound = json!({"policyName": "own", "validationActions": ["Deny"]});
    let made = [
        row("POST", POLICIES, JSON, json!({"metadata": {"name": "own"}, "spec": spec})).is(201, &[]),
        row("POST", BINDINGS, JSON, json!({"metadata": {"name": "own"}, "spec": bound})).is(201, &[]),
    ];
    let refused = row("POST", format!("{HOOKS}?dryRun=All"), JSON, json!({"metadata": {"name": "h"}}));
    (made, refused.is(422, &["denied request"]))
}

/// No policy keeps anybody from mending or removing policies.
fn policies_of_policies() -> [Row; 3] {
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    [
        row("PATCH", format!("{POLICIES}/own"), MERGE, labels),
        row("DELETE", format!("{BINDINGS}/own"), JSON, json!({})),
        row("DELETE", format!("{POLICIES}/own"), JSON, json!({})),
    ]
}

/// The definition of what [`applied`] is about.
fn definition() -> Row {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let spec = json!({"type": "object", "properties": {
        "number": {"type": "integer"}, "open": open, "list": {"type": "array", "items": open}}});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": schema});
    let names = json!({"plural": "things", "kind": "Thing"});
    let body = json!({
        "metadata": {"name": "things.example.org"},
        "spec": {"group": "example.org", "names": names, "scope": "Cluster", "versions": [version]}});
    row("POST", DEFINITIONS, JSON, body).is(201, &[])
}

/// A client of one server.
struct Asking {
    client: HttpsClient,
    server: String,
}

impl Asking {
    async fn ask(&self, row: &Row) -> Result<(u16, String)> {
        let request = Request::builder()
            .method(row.method)
            .uri(format!("{}{}", self.server, row.path))
            .header(header::CONTENT_TYPE, row.media)
            .header(header::ACCEPT, row.accept)
            .body(Full::new(Bytes::from(row.body.to_string())))?;
        let response = self.client.request(request).await?;
        let status = response.status().as_u16();
        Ok((status, String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()).into_owned()))
    }

    async fn check(&self, row: &Row) -> Result<()> {
        let (status, text) = self.ask(row).await?;
        let what = format!("{} {} {}", row.method, row.path, row.body);
        ensure!(status == row.status, "{what}: {status} {text}");
        for part in row.says {
            ensure!(text.contains(part), "{what}: no {part} in {text}");
        }
        for part in row.not {
            ensure!(!text.contains(part), "{what}: {part} in {text}");
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_answered_word_for_word() -> Result<()> {
    let cluster = Cluster::start(Spec { endpoint: None, shims: 1, frontends: 1 }).await?;
    let server = cluster.frontends.first().context("no frontend")?.url.clone();
    let asking = Asking { client: cluster.admin_client()?, server };
    asking.ask(&row("POST", ACCOUNTS, JSON, json!({"metadata": {"name": "default"}}))).await?;
    asking.check(&definition()).await?;
    for row in [patches(), services(), annotated(), refusals(), tables(), flow_schemas()].iter().flatten() {
        asking.check(row).await?;
    }
    let things = row("GET", THINGS, JSON, json!(null));
    eventually("custom resources", Duration::from_secs(10), || asking.check(&things)).await?;
    for row in &applied() {
        asking.check(row).await?;
    }
    let (made, refused) = policy();
    for row in &made {
        asking.check(row).await?;
    }
    eventually("a policy", Duration::from_secs(10), || asking.check(&refused)).await?;
    for row in &policies_of_policies() {
        asking.check(row).await?;
    }
    let mine = row("GET", format!("{SCHEMAS}/mine"), JSON, json!(null)).is(200, &["but there is no such object"]);
    eventually("the condition of a flow schema", Duration::from_secs(10), || asking.check(&mine)).await
}
