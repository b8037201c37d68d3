//! What authentication, authorization and admission take of a request's time, by the servers' own figures: the
//! histograms that a kube-apiserver and a frontend show under the same names on `/metrics`. The load is one client,
//! so that nothing waits for anything else.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use http::Method;
use serde_json::{Value, json};

use crate::{caller::Caller, https::client};

/// Objects are laid down by so many requests at a time.
const AT_ONCE: usize = 16;
/// Tokens that are shown once each.
const TOKENS: usize = 200;
const POLICIES: usize = 10;
const WEBHOOKS: usize = 100;
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";

const AUTHENTICATION: &str = "authentication_duration_seconds";
const AUTHORIZATION: &str = "authorization_duration_seconds";
const ADMISSION: &str = "apiserver_admission_step_admission_duration_seconds";

#[derive(Clone)]
pub struct Plan {
    pub servers: Vec<String>,
    pub ca: PathBuf,
    /// An administrator's.
    pub token: String,
    /// Of the servers, in their order: their threads are counted.
    pub pids: Vec<u32>,
    pub bindings: usize,
    pub requests: usize,
}

struct Bench {
    server: String,
    admin: Caller,
    namespace: String,
    requests: usize,
}

/// Sum and count of histograms by their whole names.
type Figures = BTreeMap<String, f64>;

/// Prints a row for each thing that was measured at each server.
pub async fn run(plan: Plan) -> Result<()> {
    let ca = std::fs::read(&plan.ca).with_context(|| format!("reading {}", plan.ca.display()))?;
    println!("{:<32} {:<44} {:>8} {:>10}", "server", "what", "count", "mean us");
    for (number, server) in plan.servers.iter().enumerate() {
        let admin = Caller::token(&client(&ca, None)?, &plan.token);
        let namespace = format!("access-{:08x}", rand::random::<u32>());
        let bench = Bench { server: server.clone(), admin, namespace, requests: plan.requests };
        bench.make("/api/v1/namespaces", json!({"metadata": {"name": bench.namespace}})).await?;
        bench.who(plan.bindings).await?;
        bench.chain().await?;
        bench.webhooks(plan.pids.get(number).copied()).await?;
        bench.clean().await?;
    }
    Ok(())
}

impl Bench {
    async fn ask(&self, who: &Caller, method: Method, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = who.send(&self.server, method, path, body).await?;
        ensure!(status.is_success(), "{path}: {status} {answer}");
        Ok(answer)
    }

    async fn make(&self, path: &str, object: Value) -> Result<Value> {
        self.ask(&self.admin, Method::POST, path, &object).await
    }

    async fn make_all(&self, path: &str, objects: impl Iterator<Item = Value>) -> Result<()> {
        futures::stream::iter(objects.map(Ok))
            .try_for_each_concurrent(AT_ONCE, |object| async { self.make(path, object).await.map(drop) })
            .await
    }

    fn here(&self, resource: &str) -> String {
        format!("/api/v1/namespaces/{}/{resource}", self.namespace)
    }

    /// Tokens of an account, the first time and again, and RBAC with many bindings.
    async fn who(&self, bindings: usize) -> Result<()> {
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"});
        let bound =
            |name: String, subject: Value| json!({"metadata": {"name": name}, "roleRef": role, "subjects": [subject]});
        let user =
            |n: usize| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": format!("user-{n}")});
        let here = |resource: &str| format!("{RBAC}/namespaces/{}/{resource}", self.namespace);
        let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create"]});
        self.make(&here("roles"), json!({"metadata": {"name": "reader"}, "rules": [rule]})).await?;
        let all = (0..bindings).map(|n| bound(format!("binding-{n}"), user(n)));
        self.make_all(&here("rolebindings"), all).await?;
        self.make(&self.here("serviceaccounts"), json!({"metadata": {"name": "load"}})).await?;
        let account = json!({"kind": "ServiceAccount", "namespace": self.namespace, "name": "load"});
        self.make(&here("rolebindings"), bound("own".to_owned(), account)).await?;
        self.make(&self.here("configmaps"), json!({"metadata": {"name": "one"}})).await?;
        let path = self.here("configmaps/one");
        let mut tokens = Vec::new();
        for _ in 0..TOKENS {
            let request = json!({"spec": {"expirationSeconds": 3600}});
            let answer = self.make(&self.here("serviceaccounts/load/token"), request).await?;
            tokens.push(Caller::token(&self.admin.client, answer["status"]["token"].as_str().context("no token")?));
        }
        let first = tokens.first().context("no token")?;
        // Bindings count when the server has heard of them.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = self.figures().await?;
        for token in &tokens[1..] {
            self.ask(token, Method::GET, &path, &Value::Null).await?;
        }
        let after = self.figures().await?;
        self.tell("token of an account, first time", AUTHENTICATION, "result=\"success\"", &before, &after);
        self.ask(first, Method::GET, &path, &Value::Null).await?;
        let before = self.figures().await?;
        for _ in 0..self.requests {
            self.ask(first, Method::GET, &path, &Value::Null).await?;
        }
        let after = self.figures().await?;
        self.tell("token of an account, again", AUTHENTICATION, "result=\"success\"", &before, &after);
        self.tell(&format!("RBAC, {bindings} bindings"), AUTHORIZATION, "result=\"allowed\"", &before, &after);
        Ok(())
    }

    /// Admission of a create, without and with policies.
    async fn chain(&self) -> Result<()> {
        for policies in [0, POLICIES] {
            for n in 0..policies {
                let name = format!("{}-{n}", self.namespace);
                let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]);
                let expression = format!("!has(object.data) || object.data.all(k, k != 'forbidden-{n}')");
                let spec =
                    json!({"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": expression}]});
                let path = format!("{REGISTRATION}/validatingadmissionpolicies");
                self.make(&path, json!({"metadata": {"name": name}, "spec": spec})).await?;
                let spec = json!({"policyName": name, "validationActions": ["Deny"]});
                let path = format!("{REGISTRATION}/validatingadmissionpolicybindings");
                self.make(&path, json!({"metadata": {"name": name}, "spec": spec})).await?;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
            let before = self.figures().await?;
            for n in 0..self.requests {
                let object = json!({"metadata": {"name": format!("{policies}-{n}")}, "data": {"a": "b"}});
                self.make(&self.here("configmaps"), object).await?;
            }
            let after = self.figures().await?;
            for half in ["admit", "validate"] {
                let what = format!("admission of a create ({half}), {policies} policies");
                self.tell(
                    &what,
                    ADMISSION,
                    &format!("operation=\"CREATE\",rejected=\"false\",type=\"{half}\""),
                    &before,
                    &after,
                );
            }
        }
        Ok(())
    }

    /// Whether many webhooks cost threads.
    async fn webhooks(&self, pid: Option<u32>) -> Result<()> {
        let Some(pid) = pid else { return Ok(()) };
        let before = threads(pid)?;
        let path = format!("{REGISTRATION}/validatingwebhookconfigurations");
        let hook = |n: usize| {
            json!({"metadata": {"name": format!("{}-{n}", self.namespace)}, "webhooks": [{
                "name": "load.example.org", "clientConfig": {"url": format!("https://127.0.0.1:1/{n}")}, "sideEffects": "None",
                "admissionReviewVersions": ["v1"], "timeoutSeconds": 1, "failurePolicy": "Ignore",
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
            }]})
        };
        self.make_all(&path, (0..WEBHOOKS).map(hook)).await?;
        let objects = (0..100).map(|n| json!({"metadata": {"name": format!("hooked-{n}")}}));
        self.make_all(&self.here("configmaps"), objects).await?;
        println!("{:<32} threads {before} before, {} with {WEBHOOKS} webhooks", self.server, threads(pid)?);
        Ok(())
    }

    async fn clean(&self) -> Result<()> {
        for resource in
            ["validatingadmissionpolicybindings", "validatingadmissionpolicies", "validatingwebhookconfigurations"]
        {
            let listed =
                self.ask(&self.admin, Method::GET, &format!("{REGISTRATION}/{resource}"), &Value::Null).await?;
            let names =
                listed["items"].as_array().into_iter().flatten().filter_map(|item| item["metadata"]["name"].as_str());
            for name in names.filter(|name| name.starts_with(&self.namespace)) {
                self.ask(&self.admin, Method::DELETE, &format!("{REGISTRATION}/{resource}/{name}"), &Value::Null)
                    .await?;
            }
        }
        Ok(())
    }

    async fn figures(&self) -> Result<Figures> {
        let text = self.admin.text(&self.server, "/metrics").await?;
        let lines = text
            .lines()
            .filter(|line| [AUTHENTICATION, AUTHORIZATION, ADMISSION].iter().any(|name| line.starts_with(name)));
        let read = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((sorted(name), value.parse().ok()?))
        });
        Ok(read.collect())
    }

    fn tell(&self, what: &str, name: &str, labels: &str, before: &Figures, after: &Figures) {
        let of = |end: &str| {
            let key = format!("{name}_{end}{{{labels}}}");
            after.get(&key).unwrap_or(&0.0) - before.get(&key).unwrap_or(&0.0)
        };
        let (sum, count) = (of("sum"), of("count"));
        println!("{:<32} {what:<44} {count:>8} {:>10.1}", self.server, sum / count.max(1.0) * 1e6);
    }
}

/// A figure's name with its labels in order: each server has its own.
fn sorted(name: &str) -> String {
    let Some((name, labels)) = name.trim_end_matches('}').split_once('{') else { return name.to_owned() };
    let mut labels: Vec<&str> = labels.split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

fn threads(pid: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("the process {pid}"))?.count())
}
