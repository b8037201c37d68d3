//! Who gets in and what they may do, over the wire: every way to prove an identity with good and bad credentials, at
//! servers with each authorizer.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    caller::Caller,
    cluster::{Cluster, HttpsClient, Spec},
    https,
    pki::{self, Leaf},
    stand_in::StandIn,
};

const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

fn client_of(ca: &Path, folder: &Path, leaf: &str) -> Result<HttpsClient> {
    let read = |end: &str| std::fs::read(folder.join(format!("{leaf}.{end}")));
    https::client(&std::fs::read(ca)?, Some((&read("crt")?, &read("key")?)))
}

/// What the callers need to be there.
async fn prepare(admin: &Caller, server: &str) -> Result<()> {
    let role = |kind: &str, name: &str, more: Value| {
        let mut object =
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}});
        object.as_object_mut().into_iter().for_each(|o| o.extend(more.as_object().cloned().unwrap_or_default()));
        object
    };
    let reference = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    let group = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}]);
    let rules = json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]});
    let secret = json!({
        "metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
        },
    });
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    for (path, object) in [
        (format!("{rbac}/clusterroles"), role("ClusterRole", "reader", rules)),
        (
            format!("{rbac}/clusterrolebindings"),
            role("ClusterRoleBinding", "reader", json!({"roleRef": reference("reader"), "subjects": group})),
        ),
        ("/api/v1/namespaces/kube-system/secrets".to_owned(), secret),
        ("/api/v1/namespaces/default/serviceaccounts".to_owned(), json!({"metadata": {"name": "ann"}})),
    ] {
        let (status, answer) = admin.send(server, Method::POST, &path, &object).await?;
        ensure!(status == StatusCode::CREATED, "{path}: {answer}");
    }
    Ok(())
}

/// Each way by its name: what is good, what is bad, and what bad credentials lead to.
async fn ways(
    cluster: &Cluster,
    stand_in: &StandIn,
    foreign: &Path,
    admin: &Caller,
) -> Result<Vec<(&'static str, Caller, Caller, u16)>> {
    let (pki, ca) = (cluster.path("pki"), cluster.path("pki/ca.crt"));
    let server = cluster.frontends[0].url.clone();
    let bare = cluster.https_client()?;
    let token = |token: &str| Caller::token(&bare, token);
    let certificate =
        |folder: &Path, leaf| anyhow::Ok(Caller { client: client_of(&ca, folder, leaf)?, headers: vec![] });
    let as_ann = |shown: Caller| Caller { headers: vec![("x-remote-user".to_owned(), "ann".to_owned())], ..shown };
    let request = json!({"spec": {"expirationSeconds": 3600}});
    let path = "/api/v1/namespaces/default/serviceaccounts/ann/token";
    let (_, answer) = admin.send(&server, Method::POST, path, &request).await?;
    let of_account = answer["status"]["token"].as_str().context("no token")?.to_owned();
    let mut forged = of_account.clone();
    forged.replace_range(forged.len() - 6..forged.len() - 4, "AA");
    let now = jiff::Timestamp::now().as_second();
    let claims = |exp: i64| json!({"iss": stand_in.url, "aud": "us", "sub": "ann", "exp": exp});
    let (good, late) = (stand_in.token(&claims(now + 600))?, stand_in.token(&claims(now - 600))?);
    Ok(vec![
        ("certificate", certificate(&pki, "nobody")?, certificate(foreign, "nobody")?, 401),
        ("token file", token("ann-token"), token("a-guess"), 401),
        (
            "request header",
            as_ann(certificate(foreign, "proxy")?),
            as_ann(Caller { client: bare.clone(), headers: vec![] }),
            403,
        ),
        ("service account", token(&of_account), token(&forged), 401),
        ("bootstrap token", token("abcdef.0123456789abcdef"), token("abcdef.0123456789abcdee"), 401),
        ("issuer", token(&good), token(&late), 401),
        ("token webhook", token("hook-ann"), token("unknown"), 401),
    ])
}

fn flags(cluster: &Cluster, stand_in: &StandIn, foreign: &Path) -> Result<Vec<String>> {
    let file = |name: &str| cluster.path(name);
    let ca = file("pki/ca.crt");
    stand_in.kubeconfig(&file("tokens.kubeconfig"), "/tokens", &ca)?;
    stand_in.kubeconfig(&file("access.kubeconfig"), "/access", &ca)?;
    std::fs::write(file("tokens.csv"), "ann-token,ann,1\n")?;
    let line = json!({"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {
        "group": "system:authenticated", "namespace": "*", "resource": "configmaps", "apiGroup": "*", "readonly": true,
    }});
    std::fs::write(file("policy.jsonl"), format!("{line}\n"))?;
    let shown = |path: PathBuf| path.display().to_string();
    Ok(vec![
        format!("--token-auth-file={}", shown(file("tokens.csv"))),
        format!("--requestheader-client-ca-file={}", shown(foreign.join("ca.crt"))),
        "--requestheader-allowed-names=proxy".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--enable-bootstrap-token-auth".to_owned(),
        format!("--oidc-issuer-url={}", stand_in.url),
        "--oidc-client-id=us".to_owned(),
        "--oidc-signing-algs=ES256".to_owned(),
        "--oidc-username-prefix=-".to_owned(),
        format!("--oidc-ca-file={}", shown(ca)),
        format!("--authentication-token-webhook-config-file={}", shown(file("tokens.kubeconfig"))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_meets_every_authorizer() -> Result<()> {
    let mut cluster = Cluster::start(Spec { endpoint: None, shims: 1, frontends: 1 }).await?;
    let foreign = cluster.path("foreign");
    let leaf = |name| Leaf { name, common_name: name, organization: None };
    pki::write(&foreign, &[leaf("proxy"), leaf("nobody")])?;
    let stand_in = StandIn::start(&cluster.path("pki"), "frontend").await?;
    let admin = Caller { client: cluster.admin_client()?, headers: Vec::new() };
    prepare(&admin, &cluster.frontends[0].url).await?;
    let flags = flags(&cluster, &stand_in, &foreign)?;
    let policy = format!("--authorization-policy-file={}", cluster.path("policy.jsonl").display());
    let hook = format!("--authorization-webhook-config-file={}", cluster.path("access.kubeconfig").display());
    for (modes, more, configmaps, secrets) in [
        ("RBAC", None, 200, 403),
        ("ABAC", Some(policy), 200, 403),
        ("Webhook", Some(hook), 200, 403),
        ("Node", None, 403, 403),
        ("AlwaysDeny", None, 403, 403),
        ("AlwaysAllow", None, 200, 200),
    ] {
        let flags: Vec<String> = flags.iter().cloned().chain(more).collect();
        let server = cluster.start_frontend(modes, &flags).await?;
        let anonymous = Caller { client: cluster.https_client()?, headers: Vec::new() };
        // A server that allows everything lets nobody in who does not say who he is.
        let nobody = if modes == "AlwaysAllow" { 401 } else { 403 };
        ensure!(anonymous.get(&server, CONFIGMAPS).await? == nobody, "{modes}: anonymous");
        for (way, good, bad, refusal) in ways(&cluster, &stand_in, &foreign, &admin).await? {
            let refusal = if refusal == 403 { nobody } else { refusal };
            for (path, code) in [(CONFIGMAPS, configmaps), (SECRETS, secrets)] {
                let found = good.get(&server, path).await?;
                ensure!(found == code, "{modes}, {way}: {path} answers {found}, not {code}");
                let found = bad.get(&server, path).await?;
                ensure!(found == refusal, "{modes}, bad {way}: {path} answers {found}, not {refusal}");
            }
        }
    }
    Ok(())
}
