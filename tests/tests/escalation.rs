//! Nobody gains rights: a user who may write roles and bindings, by every verb, and other ways to rights of others.

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    caller::{APPLY, Caller},
    cluster::{Cluster, Spec},
    https,
};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ATTEMPTS: &str = include_str!("../data/escalations.txt");

fn reference(role: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role})
}

fn people() -> Value {
    json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "people"}])
}

/// The words that stand in attempts for longer things.
fn spelled_out(text: &str) -> String {
    let words = [
        ("ALL", json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])),
        ("MAY", json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}])),
        ("ANY", json!({"clusterRoleSelectors": [{"matchLabels": {"any": "one"}}]})),
        ("PEOPLE", people()),
        ("ADMIN", reference("cluster-admin")),
        ("NEW", reference("new")),
        ("PROXIER", reference("system:node-proxier")),
        ("NODE", reference("system:node")),
    ];
    let text = text.replace("GROUP", "rbac.authorization.k8s.io");
    words.iter().fold(text, |text, (word, meaning)| text.replace(word, &meaning.to_string()))
}

/// What those who try have: they may write roles and bindings, and read ConfigMaps; one may also widen one role, and
/// bind another.
async fn prepare(admin: &Caller, server: &str) -> Result<()> {
    let rule = |resources: &[&str], verbs: &[&str], names: &[&str]| json!({"apiGroups": ["", "rbac.authorization.k8s.io"], "resources": resources, "verbs": verbs, "resourceNames": names});
    let own = json!([
        rule(
            &["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
            &["create", "get", "update", "patch"],
            &[]
        ),
        rule(&["configmaps", "serviceaccounts", "nodes"], &["get"], &[]),
    ]);
    let wider = json!([
        rule(&["clusterroles"], &["escalate"], &["small"]),
        rule(&["clusterroles"], &["bind"], &["system:node-proxier"])
    ]);
    let widener = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "widener"}]);
    let role = |name: &str, rules: Value| json!({"metadata": {"name": name}, "rules": rules});
    let binding = |name: &str, role: &str, subjects: Value| json!({"metadata": {"name": name}, "roleRef": reference(role), "subjects": subjects});
    for (path, object) in [
        ("clusterroles", role("own", own)),
        ("clusterrolebindings", binding("own", "own", people())),
        ("clusterroles", role("small", json!([]))),
        ("namespaces/default/roles", role("small", json!([]))),
        ("clusterroles", role("widener", wider)),
        ("clusterrolebindings", binding("widener", "widener", widener.clone())),
        ("clusterrolebindings", binding("widener-too", "own", widener)),
    ] {
        let (status, answer) = admin.send(server, Method::POST, &format!("{RBAC}/{path}"), &object).await?;
        ensure!(status == StatusCode::CREATED, "{path}: {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gains_rights() -> Result<()> {
    let cluster = Cluster::start(Spec { endpoint: None, shims: 1, frontends: 1 }).await?;
    let server = cluster.frontends[0].url.clone();
    let admin = Caller { client: cluster.admin_client()?, headers: Vec::new() };
    prepare(&admin, &server).await?;
    let read = |name: &str| std::fs::read(cluster.path(&format!("pki/{name}")));
    let own = https::client(&read("ca.crt")?, Some((&read("nobody.crt")?, &read("nobody.key")?)))?;
    let nobody = Caller { client: own, headers: Vec::new() };
    let widener = Caller { headers: vec![("impersonate-user".to_owned(), "widener".to_owned())], ..admin.clone() };
    for attempt in ATTEMPTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = attempt.split_whitespace();
        let mut word = || words.next().with_context(|| format!("{attempt}: too short"));
        let (who, verb, path, code) = (word()?, word()?, word()?, word()?.parse::<u16>()?);
        let object = attempt.find('{').map_or("null".to_owned(), |at| spelled_out(&attempt[at..]));
        let who = match who.split_once('+') {
            None if who == "widener" => widener.clone(),
            None => nobody.clone(),
            Some((_, header)) => {
                let (name, value) = header.split_once('=').with_context(|| format!("{attempt}: no header"))?;
                Caller { headers: vec![(name.to_owned(), value.to_owned())], ..nobody.clone() }
            }
        };
        let path = match path {
            "SECRETS" => "/api/v1/namespaces/default/secrets".to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path if verb == "APPLY" => format!("{RBAC}/{path}{APPLY}"),
            path => format!("{RBAC}/{path}"),
        };
        let method = if verb == "APPLY" { Method::PATCH } else { verb.parse()? };
        let (status, answer) = who.send(&server, method, &path, &serde_json::from_str(&object)?).await?;
        ensure!(status == code, "{attempt}: {status} {answer}");
    }
    Ok(())
}
