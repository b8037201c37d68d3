//! An aggregated API server behind two frontends: its group is found, answered and refused as the original's aggregator
//! does it, and harms nothing else when it is slow or gone.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use http::Method;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use tests::{
    aggregated::{Aggregated, GROUP, META},
    cluster::{Cluster, Spec},
    process::eventually,
    rest::Rest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const WITHIN: Duration = Duration::from_secs(20);

fn api_service(port: u16, ca: &str) -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": format!("v1.{GROUP}")},
        "spec": {"group": GROUP, "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 10, "caBundle": ca,
            "service": {"namespace": "default", "name": "beasts", "port": port}},
    })
}

async fn condition(rest: &Rest) -> Result<Value> {
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/v1.{GROUP}");
    let service = rest.must(Method::GET, &path, None).await?;
    Ok(service["status"]["conditions"][0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregated_server_answers_for_its_group_and_harms_no_other() -> Result<()> {
    let cluster = Cluster::start(Spec { endpoint: None, shims: 1, frontends: 2 }).await?;
    let urls: Vec<String> = cluster.frontends.iter().map(|frontend| frontend.url.clone()).collect();
    let rest = Rest::new(cluster.admin_client()?, urls.clone());
    let server = Aggregated::start("beasts", "default").await?;
    let root = format!("/apis/{GROUP}/v1");

    // Nothing is there yet: the group is known and refused.
    let service = api_service(server.address.port(), &server.ca);
    rest.must(Method::POST, "/apis/apiregistration.k8s.io/v1/apiservices", Some(&service)).await?;
    eventually("the missing Service is noticed", WITHIN, || async {
        let found = condition(&rest).await?;
        ensure!(found["reason"] == "ServiceNotFound", "{found}");
        ensure!(found["message"] == "service/beasts in \"default\" is not present", "{found}");
        let (status, body) = rest.once(Method::GET, &format!("{root}/beasts"), None).await?;
        ensure!((status.as_u16(), body.as_str()) == (503, Some("service unavailable\n")), "{status} {body}");
        Ok(())
    })
    .await?;

    let named = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "beasts"},
        "spec": {"type": "ExternalName", "externalName": "localhost"}});
    rest.must(Method::POST, "/api/v1/namespaces/default/services", Some(&named)).await?;
    for url in &urls {
        let rest = Rest::new(cluster.admin_client()?, vec![url.clone()]);
        eventually("the server answers", WITHIN, || async {
            let answer = rest.must(Method::GET, &format!("{root}/beasts?limit=5"), None).await?;
            ensure!(answer["path"] == format!("{root}/beasts?limit=5"), "{answer}");
            ensure!(answer["user"] == json!(["admin"]) && answer["authorization"] == json!([]), "{answer}");
            ensure!(
                answer["groups"].as_array().is_some_and(|groups| groups.contains(&json!("system:masters"))),
                "{answer}"
            );
            ensure!(condition(&rest).await?["message"] == "all checks passed");
            let groups = rest.must(Method::GET, "/apis", None).await?;
            ensure!(
                groups["groups"].as_array().is_some_and(|all| all.iter().any(|group| group["name"] == GROUP)),
                "{groups}"
            );
            let index = rest.must(Method::GET, "/openapi/v3", None).await?;
            ensure!(index["paths"][root.trim_start_matches('/')].is_object(), "{index}");
            let document = rest.must(Method::GET, &format!("/openapi/v3{root}"), None).await?;
            ensure!(document["openapi"] == "3.0.0", "{document}");
            let whole = rest.must(Method::GET, "/openapi/v2", None).await?;
            ensure!(whole["paths"][format!("{root}/beasts")].is_object(), "version 2 lacks the path");
            let definitions = &whole["definitions"];
            let reference = &definitions["com.example.wild.v1.Beast"]["properties"]["meta"]["$ref"];
            ensure!(reference == &json!(format!("#/definitions/{META}_v2")), "{reference}");
            ensure!(definitions[META]["properties"]["name"].is_object() && definitions["Wrong"].is_null());
            Ok(())
        })
        .await?;
    }
    let (status, body) = rest.once(Method::GET, &format!("{root}/moved"), None).await?;
    ensure!(
        status == 502 && body.as_str().is_some_and(|text| text.contains("attempted to redirect")),
        "{status} {body}"
    );

    // A request that hangs holds nobody up.
    let path = format!("{root}/slow");
    let slow = rest.once(Method::GET, &path, None);
    tokio::select! {
        answer = slow => anyhow::bail!("the slow request was answered: {answer:?}"),
        others = async {
            for _ in 0..50 {
                rest.must(Method::GET, "/api/v1/namespaces/default", None).await?;
            }
            anyhow::Ok(())
        } => others?,
    }
    upgrades(&cluster, &urls[0], &root).await?;

    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/v1.{GROUP}");
    rest.must(Method::DELETE, &path, None).await?;
    eventually("the group is gone", WITHIN, || async {
        let (status, _) = rest.once(Method::GET, &root, None).await?;
        ensure!(status == 404, "{status}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_talks_nonsense_makes_its_own_group_unavailable_and_nothing_else() -> Result<()> {
    let cluster = Cluster::start(Spec { endpoint: Some("memory:".to_owned()), shims: 1, frontends: 1 }).await?;
    let rest = Rest::new(cluster.admin_client()?, vec![cluster.frontends[0].url.clone()]);
    let server = Aggregated::babbling("beasts", "default").await?;
    let named = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "beasts"},
        "spec": {"type": "ExternalName", "externalName": "localhost"}});
    rest.must(Method::POST, "/api/v1/namespaces/default/services", Some(&named)).await?;
    let service = api_service(server.address.port(), &server.ca);
    rest.must(Method::POST, "/apis/apiregistration.k8s.io/v1/apiservices", Some(&service)).await?;
    eventually("the server is found to be no API server", WITHIN, || async {
        let found = condition(&rest).await?;
        ensure!(found["status"] == "False" && found["reason"] == "FailedDiscoveryCheck", "{found}");
        Ok(())
    })
    .await?;
    let (status, body) = rest.once(Method::GET, &format!("/apis/{GROUP}/v1/beasts"), None).await?;
    ensure!(status == 503, "{status} {body}");
    for path in ["/apis", "/openapi/v2", "/openapi/v3", "/api/v1/namespaces", "/apis/apps/v1/deployments"] {
        rest.must(Method::GET, path, None).await?;
    }
    Ok(())
}

/// A connection that is upgraded carries bytes both ways.
async fn upgrades(cluster: &Cluster, url: &str, root: &str) -> Result<()> {
    let pem = |name: &str| std::fs::read(cluster.path(name));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem("pki/ca.crt")?)?)?;
    let chain = vec![CertificateDer::from_pem_slice(&pem("pki/admin.crt")?)?];
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&pem("pki/admin.key")?)?)?;
    let authority = url.trim_start_matches("https://");
    let tcp = tokio::net::TcpStream::connect(authority).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from("127.0.0.1")?, tcp).await?;
    let request =
        format!("GET {root}/echo HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream.write_all(b"there and back").await?;
    let mut back = [0; 14];
    stream.read_exact(&mut back).await?;
    ensure!(&back == b"there and back");
    Ok(())
}
