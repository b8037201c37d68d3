//! Who gets in and what they may do, over the wire: every way to prove an identity with good and bad credentials, at
//! servers with each authorizer; and ways in which nobody may gain rights.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tests::{
    cluster::{Cluster, HttpsClient, Spec},
    https,
    pki::{self, Leaf},
    stand_in::StandIn,
};

const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// What a caller shows.
#[derive(Clone)]
struct Shown {
    client: HttpsClient,
    headers: Vec<(&'static str, String)>,
}

impl Shown {
    fn token(client: &HttpsClient, token: impl std::fmt::Display) -> Shown {
        Shown { client: client.clone(), headers: vec![("authorization", format!("Bearer {token}"))] }
    }

    async fn send(&self, server: &str, method: Method, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let content = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let mut request = Request::builder().method(method).uri(format!("{server}{path}"));
        request = request.header("content-type", content);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let response = self.client.request(request.body(Full::new(Bytes::from(text)))?).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    async fn get(&self, server: &str, path: &str) -> Result<u16> {
        Ok(self.send(server, Method::GET, path, &Value::Null).await?.0.as_u16())
    }
}

fn client_of(ca: &Path, folder: &Path, leaf: &str) -> Result<HttpsClient> {
    let read = |end: &str| std::fs::read(folder.join(format!("{leaf}.{end}")));
    https::client(&std::fs::read(ca)?, Some((&read("crt")?, &read("key")?)))
}

/// What the callers need to be there.
async fn prepare(admin: &Shown, server: &str) -> Result<()> {
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
    admin: &Shown,
) -> Result<Vec<(&'static str, Shown, Shown, u16)>> {
    let (pki, ca) = (cluster.path("pki"), cluster.path("pki/ca.crt"));
    let server = cluster.frontends[0].url.clone();
    let bare = cluster.https_client()?;
    let token = |token: &str| Shown::token(&bare, token);
    let certificate =
        |folder: &Path, leaf| anyhow::Ok(Shown { client: client_of(&ca, folder, leaf)?, headers: vec![] });
    let as_ann = |shown: Shown| Shown { headers: vec![("x-remote-user", "ann".to_owned())], ..shown };
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
            as_ann(Shown { client: bare.clone(), headers: vec![] }),
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
    let admin = Shown { client: cluster.admin_client()?, headers: Vec::new() };
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
        let anonymous = Shown { client: cluster.https_client()?, headers: Vec::new() };
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

/// A user who may write roles and bindings, hand out nothing that he does not have, and act as nobody.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gains_rights() -> Result<()> {
    const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
    let cluster = Cluster::start(Spec { endpoint: None, shims: 1, frontends: 1 }).await?;
    let server = cluster.frontends[0].url.clone();
    let admin = Shown { client: cluster.admin_client()?, headers: Vec::new() };
    let people = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "people"}]);
    let rule = |resources: Value, verbs: Value| json!({"apiGroups": ["", "rbac.authorization.k8s.io"], "resources": resources, "verbs": verbs});
    let own = json!([
        rule(
            json!(["roles", "rolebindings", "clusterroles", "clusterrolebindings"]),
            json!(["create", "get", "update", "patch"])
        ),
        rule(json!(["configmaps"]), json!(["get"])),
    ]);
    let reference = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    for (path, object) in [
        ("clusterroles", json!({"metadata": {"name": "own"}, "rules": own})),
        ("clusterrolebindings", json!({"metadata": {"name": "own"}, "roleRef": reference("own"), "subjects": people})),
        ("clusterroles", json!({"metadata": {"name": "small"}, "rules": []})),
    ] {
        let (status, answer) = admin.send(&server, Method::POST, &format!("{RBAC}/{path}"), &object).await?;
        ensure!(status == StatusCode::CREATED, "{answer}");
    }
    let nobody =
        Shown { client: client_of(&cluster.path("pki/ca.crt"), &cluster.path("pki"), "nobody")?, headers: Vec::new() };
    let acting = |name: &'static str, value: &str| Shown { headers: vec![(name, value.to_owned())], ..nobody.clone() };
    let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let may = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]);
    let role = |rules: &Value| json!({"metadata": {"name": "new"}, "rules": rules});
    let binding =
        |to: &str| json!({"metadata": {"name": format!("to-{to}")}, "roleRef": reference(to), "subjects": people});
    let (roles, bindings) = (format!("{RBAC}/clusterroles"), format!("{RBAC}/clusterrolebindings"));
    let local = format!("{RBAC}/namespaces/default/rolebindings");
    let gathered = json!({"metadata": {"name": "gathered"}, "rules": [], "aggregationRule":
                          {"clusterRoleSelectors": [{"matchLabels": {"any": "one"}}]}});
    for (who, method, path, object, code) in [
        (&nobody, Method::POST, roles.clone(), role(&may), 201),
        (&nobody, Method::PUT, format!("{roles}/new"), role(&all), 403),
        (&nobody, Method::PATCH, format!("{roles}/new"), json!({"rules": all}), 403),
        (&nobody, Method::PATCH, format!("{roles}/small"), json!({"rules": may}), 200),
        (&nobody, Method::POST, roles.clone(), json!({"metadata": {"name": "big"}, "rules": all}), 403),
        (&nobody, Method::POST, roles.clone(), gathered, 403),
        (&nobody, Method::POST, bindings.clone(), binding("cluster-admin"), 403),
        (&nobody, Method::POST, local.clone(), binding("cluster-admin"), 403),
        (&nobody, Method::POST, local, binding("new"), 201),
        (&nobody, Method::PATCH, format!("{bindings}/own"), json!({"roleRef": reference("cluster-admin")}), 403),
        (&acting("impersonate-user", "admin"), Method::GET, CONFIGMAPS.to_owned(), Value::Null, 403),
        (&acting("impersonate-group", "system:masters"), Method::GET, CONFIGMAPS.to_owned(), Value::Null, 400),
        (&acting("x-remote-user", "admin"), Method::GET, SECRETS.to_owned(), Value::Null, 403),
        (&acting("x-remote-group", "system:masters"), Method::GET, SECRETS.to_owned(), Value::Null, 403),
    ] {
        let (status, answer) = who.send(&server, method.clone(), &path, &object).await?;
        ensure!(status == code, "{method} {path} {object}: {status}, not {code}: {answer}");
    }
    Ok(())
}
