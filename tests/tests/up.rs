//! `deploy/up` as an operator runs it: what it hands out, and, where the variables KUBE_CONTROLLER_MANAGER,
//! KUBE_SCHEDULER and KWOK name the programs, a whole cluster in which pods run and nodes join.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{Method, StatusCode};
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use tests::{
    caller::Caller,
    https::client,
    kubectl::Kubectl,
    process::{Process, eventually, free_port, own_program},
    skipped,
};

const PATIENCE: Duration = Duration::from_secs(120);
/// Shims listen so many ports below the frontends.
const BETWEEN_TIERS: u16 = 4064;
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// A running `deploy/up`. It stops what it started when it is told to, and only then.
struct Up {
    script: Process,
    folder: tempfile::TempDir,
    server: String,
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Err(error) = self.script.terminate(Duration::from_secs(60)) {
            eprintln!("deploy/up does not stop: {error:#}");
        }
    }
}

impl Up {
    async fn start(with: Option<&Path>) -> Result<Up> {
        let folder = tempfile::tempdir()?;
        let port = loop {
            let port = free_port()?;
            if port > BETWEEN_TIERS && std::net::TcpListener::bind(("127.0.0.1", port - BETWEEN_TIERS)).is_ok() {
                break port;
            }
        };
        let bin = own_program("frontend")?.parent().context("no folder")?.display().to_string();
        let mut args = vec!["--bin".to_owned(), bin, "--port".to_owned(), port.to_string()];
        args.extend(["--data".to_owned(), folder.path().display().to_string()]);
        args.extend(with.iter().flat_map(|folder| ["--with".to_owned(), folder.display().to_string()]));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/up");
        let script = Process::start("deploy/up", &script, args, folder.path().join("up.log"))?;
        let mut up = Up { script, folder, server: format!("https://127.0.0.1:{port}") };
        while !up.script.output().contains("\nReady.") {
            up.script.check_alive()?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(up)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        std::fs::read(self.file(name)).with_context(|| format!("reading {name}"))
    }

    /// Who calls with a certificate that was handed out.
    fn caller(&self, name: &str) -> Result<Caller> {
        let (certificate, key) = (self.read(&format!("pki/{name}.crt"))?, self.read(&format!("pki/{name}.key"))?);
        Ok(Caller { client: client(&self.read("pki/ca.crt")?, Some((&certificate, &key)))?, headers: Vec::new() })
    }

    fn bearer(&self, token: &str) -> Result<Caller> {
        Ok(Caller::token(&client(&self.read("pki/ca.crt")?, None)?, token))
    }

    async fn get(&self, who: &Caller, path: &str) -> Result<(StatusCode, Value)> {
        who.send(&self.server, Method::GET, path, &Value::Null).await
    }

    async fn make(&self, who: &Caller, path: &str, object: Value) -> Result<()> {
        let (status, answer) = who.send(&self.server, Method::POST, path, &object).await?;
        ensure!(status == StatusCode::CREATED, "{path}: {status} {answer}");
        Ok(())
    }
}

fn role(name: &str, group: &str, resources: Value, verbs: Value) -> Value {
    json!({"metadata": {"name": name}, "rules": [{"apiGroups": [group], "resources": resources, "verbs": verbs}]})
}

fn binding(name: &str, kind: &str, role: &str, subject: (&str, &str)) -> Value {
    json!({"metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
           "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": subject.0, "name": subject.1}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn three_identities_are_handed_out() -> Result<()> {
    let up = Up::start(None).await?;
    let token = String::from_utf8(up.read("token")?)?;
    let (admin, user, account) = (up.caller("admin")?, up.caller("user")?, up.bearer(&token)?);
    for (who, caller, code, name) in [
        ("the administrator", &admin, 200, "admin"),
        ("the user", &user, 403, "user"),
        ("the account", &account, 403, "system:serviceaccount:default:local"),
    ] {
        let (status, answer) = up.get(caller, "/api/v1/nodes").await?;
        ensure!(status == code, "{who}: {status} {answer}");
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let (_, answer) =
            caller.send(&up.server, Method::POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews", &review).await?;
        ensure!(answer["status"]["userInfo"]["username"] == name, "{who}: {answer}");
    }
    for (name, who) in [("user", "user"), ("kubeconfig-token", "account")] {
        let file = if name == "user" { "kubeconfig-user" } else { name };
        ensure!(up.file(file).is_file(), "no kubeconfig of the {who}");
    }
    up.make(&admin, &format!("{RBAC}/clusterroles"), role("nodes", "", json!(["nodes"]), json!(["list"]))).await?;
    let bound = binding("nodes", "ClusterRole", "nodes", ("User", "user"));
    up.make(&admin, &format!("{RBAC}/clusterrolebindings"), bound).await?;
    ensure!(up.get(&user, "/api/v1/nodes").await?.0 == 200, "a binding counts at once");
    Ok(())
}

/// A folder with the originals, where the variables name them all.
fn originals(case: &str) -> Result<Option<tempfile::TempDir>> {
    let folder = tempfile::tempdir()?;
    for (variable, name) in
        [("KUBE_CONTROLLER_MANAGER", "kube-controller-manager"), ("KUBE_SCHEDULER", "kube-scheduler"), ("KWOK", "kwok")]
    {
        let Some(program) = std::env::var_os(variable) else {
            skipped(case, &format!("{variable} names no program"));
            return Ok(None);
        };
        symlink(program, folder.path().join(name))?;
    }
    Ok(Some(folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_originals_pods_run_and_nodes_join() -> Result<()> {
    let case = "with_the_originals_pods_run_and_nodes_join";
    let Some(folder) = originals(case)? else { return Ok(()) };
    let up = Up::start(Some(folder.path())).await?;
    let admin = up.caller("admin")?;
    pods_run(&up, &admin).await?;
    a_node_joins(&up, &admin).await?;
    if let Some(program) = Kubectl::find(case) {
        kubectl_knows_who_may_what(&up, &program)?;
    }
    Ok(())
}

async fn pods_run(up: &Up, admin: &Caller) -> Result<()> {
    let labels = json!({"app": "web"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web"}]}});
    let spec = json!({"replicas": 3, "selector": {"matchLabels": labels}, "template": pod});
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    up.make(admin, deployments, json!({"metadata": {"name": "web"}, "spec": spec})).await?;
    eventually("three pods run", PATIENCE, async || {
        let (_, web) = up.get(admin, &format!("{deployments}/web")).await?;
        ensure!(web["status"]["readyReplicas"] == 3, "{}", web["status"]);
        Ok(())
    })
    .await
}

/// As kubeadm lets nodes join: the cluster is known by a signed ConfigMap, the node asks for a certificate by a
/// bootstrap token, and the controller-manager approves and signs it.
async fn a_node_joins(up: &Up, admin: &Caller) -> Result<()> {
    const GROUP: &str = "system:bootstrappers:join";
    const INFO: &str = "/api/v1/namespaces/kube-public/configmaps";
    up.make(
        admin,
        "/api/v1/namespaces/kube-system/secrets",
        json!({"metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token", "stringData": {
            "token-id": "abcdef", "token-secret": "0123456789abcdef", "auth-extra-groups": GROUP,
            "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
        }}),
    )
    .await?;
    for (name, role) in [
        ("join", "system:node-bootstrapper"),
        ("join-2", "system:certificates.k8s.io:certificatesigningrequests:nodeclient"),
    ] {
        up.make(admin, &format!("{RBAC}/clusterrolebindings"), binding(name, "ClusterRole", role, ("Group", GROUP)))
            .await?;
    }
    up.make(admin, INFO, json!({"metadata": {"name": "cluster-info"}, "data": {"kubeconfig": "of this cluster"}}))
        .await?;
    eventually("the signature of cluster-info", PATIENCE, async || {
        let (_, info) = up.get(admin, &format!("{INFO}/cluster-info")).await?;
        ensure!(info["data"]["jws-kubeconfig-abcdef"].is_string(), "{info}");
        Ok(())
    })
    .await?;

    let newcomer = up.bearer("abcdef.0123456789abcdef")?;
    ensure!(up.get(&newcomer, "/api/v1/nodes/kwok-0").await?.0 == 403, "a bootstrap token is no node");
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(DnType::CommonName, "system:node:joined");
    let request = BASE64_STANDARD.encode(params.serialize_request(&key)?.pem()?);
    let spec = json!({"request": request, "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                      "usages": ["digital signature", "client auth"]});
    up.make(&newcomer, REQUESTS, json!({"metadata": {"name": "joined"}, "spec": spec})).await?;
    let certificate = eventually("the certificate", PATIENCE, async || {
        let (_, request) = up.get(&newcomer, &format!("{REQUESTS}/joined")).await?;
        let certificate = request["status"]["certificate"].as_str().with_context(|| format!("{request}"))?;
        Ok(BASE64_STANDARD.decode(certificate)?)
    })
    .await?;

    let key = key.serialize_pem();
    let https = client(&up.read("pki/ca.crt")?, Some((&certificate, key.as_bytes())))?;
    let node = Caller { client: https, headers: Vec::new() };
    up.make(&node, "/api/v1/nodes", json!({"metadata": {"name": "joined"}})).await?;
    for (path, code) in [
        ("/api/v1/nodes/joined", 200),
        ("/api/v1/nodes/kwok-0", 403),
        ("/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef", 403),
    ] {
        let (status, answer) = up.get(&node, path).await?;
        ensure!(status == code, "{path}: {status} {answer}");
    }
    let (status, answer) =
        node.send(&up.server, Method::POST, "/api/v1/nodes", &json!({"metadata": {"name": "another"}})).await?;
    ensure!(status == 403, "a node makes another: {answer}");
    Ok(())
}

fn kubectl_knows_who_may_what(up: &Up, program: &Path) -> Result<()> {
    let kubectl = |file: &str| Kubectl::new(program, &up.file(file), up.file("home"));
    let (admin, user, account) = (kubectl("kubeconfig"), kubectl("kubeconfig-user"), kubectl("kubeconfig-token"));
    let said = user.run(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])?;
    ensure!(said == "user", "whoami: {said}");
    let said = account.run(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])?;
    ensure!(said == "system:serviceaccount:default:local", "whoami: {said}");
    let refused = user.refused(&["get", "pods"])?;
    ensure!(refused.contains("User \"user\" cannot list resource \"pods\""), "{refused}");

    admin.run(&["create", "role", "reader", "--verb=get,list", "--resource=pods"])?;
    admin.run(&["create", "rolebinding", "reader", "--role=reader", "--user=user"])?;
    user.run(&["get", "pods"])?;
    let list = user.run(&["auth", "can-i", "--list"])?;
    ensure!(list.lines().any(|line| line.starts_with("pods ") && line.contains("[get list]")), "{list}");
    ensure!(admin.run(&["auth", "can-i", "list", "pods", "--as=user"])?.trim() == "yes");
    ensure!(!admin.refused(&["auth", "can-i", "delete", "pods", "--as=user"])?.contains("rror"));
    let refused = user.refused(&["get", "pods", "--as=admin"])?;
    ensure!(refused.contains("cannot impersonate resource \"users\""), "{refused}");
    let refused = admin.refused(&["delete", "pods", "--all", "--as=user"])?;
    ensure!(refused.contains("cannot delete"), "{refused}");

    let wider = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader", "namespace": "default"},
                       "rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}]});
    let said = admin.run_with(&["auth", "reconcile", "-f", "-"], &wider.to_string())?;
    ensure!(said.contains("reconciled"), "{said}");
    user.run(&["get", "services"])?;
    user.run(&["get", "pods"])?;

    let token =
        admin.run(&["create", "token", "local", "--duration=10m", "--audience=https://kubernetes.default.svc"])?;
    let said = admin.run(&["--token", token.trim(), "auth", "whoami"]);
    // A certificate comes before a token: the file's own user stays.
    ensure!(said?.contains("admin"), "a token beside a certificate");
    std::fs::write(up.file("token"), token.trim())?;
    let said = account.run(&["auth", "whoami"])?;
    ensure!(said.contains("authentication.kubernetes.io/credential-id"), "{said}");
    Ok(())
}
