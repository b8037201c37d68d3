//! What users of kube-apiserver reported about authentication, authorization, admission and audit: each case does what
//! the report did, and asks for what the original does today. The number is that of the report in the repository of
//! Kubernetes, where none is named.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    caller::Caller,
    cluster::{Cluster, Spec},
};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const PODS: &str = "/api/v1/namespaces/default/pods";
const POLICY: &str =
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: RequestResponse}]\n";

struct Bed {
    cluster: Cluster,
    server: String,
    admin: Caller,
}

impl Bed {
    async fn start() -> Result<Bed> {
        let mut cluster = Cluster::start(Spec { endpoint: None, shims: 1, frontends: 0 }).await?;
        std::fs::write(cluster.path("policy.yaml"), POLICY)?;
        let flags = [
            format!("--audit-policy-file={}", cluster.path("policy.yaml").display()),
            format!("--audit-log-path={}", cluster.path("audit.log").display()),
            "--request-timeout=3s".to_owned(),
        ];
        let server = cluster.start_frontend("RBAC", &flags).await?;
        let admin = Caller { client: cluster.admin_client()?, headers: Vec::new() };
        Ok(Bed { cluster, server, admin })
    }

    async fn ask(&self, who: &Caller, method: Method, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        who.send(&self.server, method, path, &body).await
    }

    async fn make(&self, path: &str, object: Value) -> Result<Value> {
        let (status, answer) = self.ask(&self.admin, Method::POST, path, object).await?;
        ensure!(status == StatusCode::CREATED, "{path}: {status} {answer}");
        Ok(answer)
    }

    /// Makes one object after the other until the server, which hears of what was configured after a moment, gives this
    /// code.
    async fn until(&self, code: u16, path: &str, object: impl Fn(usize) -> Value) -> Result<Value> {
        let mut last = Value::Null;
        for number in 0..20 {
            let (status, answer) = self.ask(&self.admin, Method::POST, path, object(number)).await?;
            if status == code {
                return Ok(answer);
            }
            last = answer;
        }
        anyhow::bail!("{path} never answers {code}: {last}")
    }

    fn acting_as(&self, name: &str) -> Caller {
        Caller { headers: vec![("impersonate-user".to_owned(), name.to_owned())], ..self.admin.clone() }
    }

    /// The user gets a role with these rules.
    async fn grant(&self, user: &str, role: &str, rules: Value) -> Result<()> {
        self.make(&format!("{RBAC}/clusterroles"), json!({"metadata": {"name": role}, "rules": rules})).await?;
        let bound = json!({"metadata": {"name": role}, "roleRef": reference(role),
                           "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
        self.make(&format!("{RBAC}/clusterrolebindings"), bound).await.map(drop)
    }

    /// The audit events of a path, once there are any.
    async fn recorded(&self, path: &str, stage: &str) -> Result<Value> {
        let file = self.cluster.path("audit.log");
        tests::process::eventually("the event", Duration::from_secs(10), async || {
            let found = events(&file)?.into_iter().rev().find(|event| {
                event["requestURI"].as_str().is_some_and(|uri| uri.starts_with(path)) && event["stage"] == stage
            });
            found.with_context(|| format!("no {stage} of {path}"))
        })
        .await
    }
}

fn events(file: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(file)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn reference(role: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role})
}

fn rule(resources: Value, verbs: Value) -> Value {
    json!({"apiGroups": ["", "apps", "rbac.authorization.k8s.io"], "resources": resources, "verbs": verbs})
}

fn message(answer: &Value) -> &str {
    answer["message"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_and_reviews() -> Result<()> {
    let bed = Bed::start().await?;
    // 65804: the refusal of a grant says which rights are missing, in a form that one can read.
    bed.grant("binder", "binder", json!([rule(json!(["clusterrolebindings"]), json!(["create"]))])).await?;
    bed.make(
        &format!("{RBAC}/clusterroles"),
        json!({"metadata": {"name": "volumes"}, "rules": [rule(json!(["persistentvolumes"]), json!(["get"]))]}),
    )
    .await?;
    let bound = json!({"metadata": {"name": "volumes"}, "roleRef": reference("volumes"), "subjects": []});
    let path = format!("{RBAC}/clusterrolebindings");
    let (status, answer) = bed.ask(&bed.acting_as("binder"), Method::POST, &path, bound.clone()).await?;
    ensure!(
        status == 403 && message(&answer).contains("is attempting to grant RBAC permissions not currently held:\n"),
        "{answer}"
    );
    ensure!(
        message(&answer).contains("{APIGroups:[\"\"], Resources:[\"persistentvolumes\"], Verbs:[\"get\"]}"),
        "{answer}"
    );

    // 43409: who may escalate by any authorizer, here as a member of the masters' group, needs no rights in RBAC.
    let master = Caller {
        headers: vec![
            ("impersonate-user".to_owned(), "m".into()),
            ("impersonate-group".to_owned(), "system:masters".into()),
        ],
        ..bed.admin.clone()
    };
    let (status, answer) = bed.ask(&master, Method::POST, &path, bound).await?;
    ensure!(status == 201, "{answer}");

    // bridgecrewio/checkov 2938: `*/*` is no wildcard, `*/scale` is, and `*` means subresources too.
    for (user, resource, plain, scale) in [("a", "*/*", 403, 403), ("b", "*/scale", 403, 404), ("c", "*", 200, 404)] {
        bed.grant(user, &format!("wild-{user}"), json!([rule(json!([resource]), json!(["get", "list"]))])).await?;
        for (path, code) in [
            ("/apis/apps/v1/namespaces/default/deployments", plain),
            ("/apis/apps/v1/namespaces/default/deployments/x/scale", scale),
        ] {
            let (status, answer) = bed.ask(&bed.acting_as(user), Method::GET, path, Value::Null).await?;
            ensure!(status == code, "{resource}: {path}: {status} {answer}");
        }
    }

    // 95714: a review decides on rights and not whether a verb exists; the verb itself is refused by the router.
    let review = json!({"spec": {"resourceAttributes": {"group": "authorization.k8s.io", "resource": "selfsubjectaccessreviews", "verb": "get"}}});
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let (_, answer) = bed.ask(&bed.admin, Method::POST, reviews, review).await?;
    ensure!(answer["status"]["allowed"] == true, "{answer}");
    ensure!(bed.ask(&bed.admin, Method::GET, reviews, Value::Null).await?.0 == 405, "GET of a review");

    // 105801: a token that lives an hour and seven seconds is lengthened to a year for pods' use of this server alone.
    bed.make("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "ann"}})).await?;
    let tokens = "/api/v1/namespaces/default/serviceaccounts/ann/token";
    let token = bed.make(tokens, json!({"spec": {"expirationSeconds": 3607, "audiences": ["vault"]}})).await?;
    let expires: jiff::Timestamp = token["status"]["expirationTimestamp"].as_str().context("no time")?.parse()?;
    let lives = expires.duration_since(jiff::Timestamp::now()).as_secs();
    ensure!((3500..=3608).contains(&lives), "it lives {lives} s");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded() -> Result<()> {
    let bed = Bed::start().await?;
    // rancher/rancher 38536: who acts as somebody is recorded with whom, also where the other one is refused.
    for (user, code) in [("stranger", 403), ("admin", 403)] {
        let path = format!("/api/v1/namespaces/default/secrets?who={user}");
        let (status, _) = bed.ask(&bed.acting_as(user), Method::GET, &path, Value::Null).await?;
        ensure!(status == code, "{user}: {status}");
        let event = bed.recorded(&path, "ResponseComplete").await?;
        ensure!(event["user"]["username"] == "admin" && event["impersonatedUser"]["username"] == user, "{event}");
        ensure!(event["annotations"]["authorization.k8s.io/decision"] == "forbid", "{event}");
    }

    // 57829: the options of a deletion are recorded as what they are.
    let maps = "/api/v1/namespaces/default/configmaps";
    bed.make(maps, json!({"metadata": {"name": "a"}})).await?;
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
    bed.ask(&bed.admin, Method::DELETE, &format!("{maps}/a"), options).await?;
    let event = bed.recorded(&format!("{maps}/a"), "ResponseComplete").await?;
    ensure!(event["requestObject"]["kind"] == "DeleteOptions" && event["verb"] == "delete", "{event}");
    ensure!(event["requestObject"]["propagationPolicy"] == "Background", "{event}");

    // 113133: a collection is deleted also where the request has a body, and is recorded as that.
    bed.make(maps, json!({"metadata": {"name": "b", "labels": {"x": "y"}}})).await?;
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0});
    let path = format!("{maps}?labelSelector=x%3Dy");
    let (status, answer) = bed.ask(&bed.admin, Method::DELETE, &path, options).await?;
    ensure!(status == 200, "{answer}");
    let event = bed.recorded(&path, "ResponseComplete").await?;
    ensure!(event["verb"] == "deletecollection" && event["requestObject"]["gracePeriodSeconds"] == 0, "{event}");

    // 126466: a watch is recorded when it begins and when it ends, with one id.
    let path = format!("{maps}?watch=true&timeoutSeconds=1");
    bed.ask(&bed.admin, Method::GET, &path, Value::Null).await?;
    let begun = bed.recorded(&path, "ResponseStarted").await?;
    let ended = bed.recorded(&path, "ResponseComplete").await?;
    ensure!(begun["auditID"] == ended["auditID"] && ended["responseStatus"]["code"] == 200, "{begun} {ended}");
    ensure!(begun["stageTimestamp"].as_str() < ended["stageTimestamp"].as_str(), "{begun} {ended}");
    Ok(())
}

fn hook(name: &str, url: &str, resources: Value, more: Value) -> Value {
    let mut hook = json!({"name": format!("{name}.example.org"), "clientConfig": {"url": url}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "timeoutSeconds": 1, "failurePolicy": "Ignore",
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": resources}]});
    hook.as_object_mut().into_iter().for_each(|fields| fields.extend(more.as_object().cloned().unwrap_or_default()));
    json!({"metadata": {"name": name}, "webhooks": [hook]})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_admission_does_to_a_cluster() -> Result<()> {
    const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    let mut bed = Bed::start().await?;
    // 117676: a quota with a scope, and the same as a selector of that scope, counts pods of that class.
    bed.make("/apis/scheduling.k8s.io/v1/priorityclasses", json!({"metadata": {"name": "p1"}, "value": 100})).await?;
    let selector = json!({"matchExpressions": [{"operator": "In", "scopeName": "PriorityClass", "values": ["p1"]}]});
    let spec = json!({"hard": {"pods": "1"}, "scopes": ["PriorityClass"], "scopeSelector": selector});
    bed.make("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}})).await?;
    let quota =
        bed.make("/api/v1/namespaces/default/resourcequotas", json!({"metadata": {"name": "q"}, "spec": spec})).await?;
    let mut filled = quota.clone();
    filled["status"] = json!({"hard": {"pods": "1"}, "used": {"pods": "0"}});
    let path = "/api/v1/namespaces/default/resourcequotas/q/status";
    let (status, answer) = bed.ask(&bed.admin, Method::PUT, path, filled).await?;
    ensure!(status == 200, "{answer}");
    let pod = |name: &str, class: Value| json!({"metadata": {"name": name}, "spec": {"priorityClassName": class, "containers": [{"name": "c", "image": "i"}]}});
    bed.until(403, PODS, |number| pod(&format!("one-{number}"), json!("p1"))).await?;
    let (status, answer) = bed.ask(&bed.admin, Method::POST, PODS, pod("another", Value::Null)).await?;
    ensure!(status == 201, "a pod of no class: {answer}");

    // Who refuses is asked once: the object that he was shown is what the store holds.
    let refusing = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}/", refusing.local_addr()?);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while refusing.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let asked = json!({"metadata": {"name": "asked"}});
    bed.make("/api/v1/namespaces/default/configmaps", asked.clone()).await?;
    let rules =
        json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}]);
    let more = json!({"failurePolicy": "Fail", "rules": rules});
    bed.make(&HOOKS.replace("mutating", "validating"), hook("refusing", &url, json!([]), more)).await?;
    let mut round = 0;
    let path = "/api/v1/namespaces/default/configmaps/asked";
    loop {
        round += 1;
        let before = calls.load(Ordering::SeqCst);
        let changed = json!({"metadata": {"name": "asked", "labels": {"round": round.to_string()}}});
        let (status, answer) = bed.ask(&bed.admin, Method::PUT, path, changed).await?;
        // Until the server knows the webhook.
        if status == 200 && round < 1000 {
            continue;
        }
        let calls = calls.load(Ordering::SeqCst) - before;
        ensure!(status == 500 && calls == 1, "{calls} calls, then {status}: {answer}");
        break;
    }

    // 128162: webhooks that hang and may be ignored hold a request for the sum of their times; when that is longer than
    // the request may take, it ends there.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}/", silent.local_addr()?);
    bed.make(HOOKS, hook("slow-0", &url, json!(["configmaps"]), json!({}))).await?;
    let maps = "/api/v1/namespaces/default/configmaps";
    let (status, answer) = bed.ask(&bed.admin, Method::POST, maps, json!({"metadata": {"name": "one-hook"}})).await?;
    ensure!(status == 201, "one ignored webhook: {answer}");
    for number in 1..5 {
        bed.make(HOOKS, hook(&format!("slow-{number}"), &url, json!(["configmaps"]), json!({}))).await?;
    }
    bed.until(504, maps, |number| json!({"metadata": {"name": format!("five-hooks-{number}")}})).await?;

    // 56761: a webhook on namespaces that nobody answers and nobody may ignore does not keep a server from starting.
    let gone = "https://127.0.0.1:1/";
    bed.make(HOOKS, hook("namespaces", gone, json!(["namespaces"]), json!({"failurePolicy": "Fail"}))).await?;
    let space = |number| json!({"metadata": {"name": format!("space-{number}")}});
    let answer = bed.until(500, "/api/v1/namespaces", space).await?;
    ensure!(message(&answer).contains("failed calling webhook \"namespaces.example.org\""), "{answer}");
    bed.cluster.start_frontend("RBAC", &[]).await.context("another server starts all the same")?;
    Ok(())
}
