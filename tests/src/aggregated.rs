//! A small API server for APIServices to name: it serves one group over TLS, says what it was asked, echoes upgraded
//! connections, and can be slow.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_rustls::TlsAcceptor;

/// Group and version that it serves.
pub const GROUP: &str = "wild.example.com";
/// A type of every server, which this one describes otherwise.
pub const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    Fine,
    Babbling,
}

/// One server; it ends with the runtime that it was started on.
pub struct Aggregated {
    pub address: SocketAddr,
    /// Its certificate, as an APIService's caBundle holds it.
    pub ca: String,
}

impl Aggregated {
    /// Serves on loopback under the name of a Service.
    pub async fn start(service: &str, namespace: &str) -> Result<Aggregated> {
        Aggregated::serve(service, namespace, Manners::Fine).await
    }

    /// The same, but whatever it is asked, it answers something that is no HTTP.
    pub async fn babbling(service: &str, namespace: &str) -> Result<Aggregated> {
        Aggregated::serve(service, namespace, Manners::Babbling).await
    }

    async fn serve(service: &str, namespace: &str, manners: Manners) -> Result<Aggregated> {
        let certified = rcgen::generate_simple_self_signed(vec![format!("{service}.{namespace}.svc")])?;
        let key = PrivateKeyDer::from_pem_slice(certified.signing_key.serialize_pem().as_bytes())?;
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    if manners == Manners::Babbling {
                        let words = "\0\u{1}HTTP/9.9 9999 \r\r\n\n: : :\r\n".repeat(1000);
                        drop(stream.write_all(words.as_bytes()).await);
                        return;
                    }
                    let service = service_fn(|request| async { anyhow::Ok(answer(request).await) });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let served = connection.serve_connection(TokioIo::new(stream), service).with_upgrades();
                    // A client that goes away is none of the test's business.
                    drop(served.await);
                });
            }
        });
        Ok(Aggregated { address, ca: STANDARD.encode(certified.cert.pem()) })
    }
}

async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let root = format!("/apis/{GROUP}/v1");
    let path = request.uri().path().to_owned();
    if request.headers().contains_key(header::UPGRADE) {
        return echo(request);
    }
    match path.strip_prefix(&root) {
        Some("") => json_answer(&json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{GROUP}/v1"),
            "resources": [{"name": "beasts", "singularName": "beast", "namespaced": true, "kind": "Beast", "verbs": ["get", "list"]}],
        })),
        Some("/beasts") => json_answer(&asked(&request)),
        Some("/slow") => std::future::pending().await,
        Some("/moved") => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::FOUND;
            response
                .headers_mut()
                .insert(header::LOCATION, header::HeaderValue::from_static("https://elsewhere.example/"));
            response
        }
        Some("/garbage") => json_answer(&json!("}{")),
        None if path == "/openapi/v2" => json_answer(&openapi_v2(&root)),
        None if path == "/openapi/v3" => {
            let url = format!("/openapi/v3{root}?hash=AB");
            json_answer(&json!({"paths": {root.trim_start_matches('/'): {"serverRelativeURL": url}}}))
        }
        None if path == format!("/openapi/v3{root}") => json_answer(&json!({"openapi": "3.0.0", "paths": {}})),
        _ => {
            let mut response = Response::new(Full::from("404 page not found\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

/// A document that also tells what is none of its business: another's path, and another's definition otherwise.
fn openapi_v2(root: &str) -> Value {
    let answers =
        |name: &str| json!({"get": {"responses": {"200": {"schema": {"$ref": format!("#/definitions/{name}")}}}}});
    json!({
        "swagger": "2.0",
        "paths": {format!("{root}/beasts"): answers("com.example.wild.v1.Beast"), "/api/v1/pods": answers("Wrong")},
        "definitions": {
            "Wrong": {"type": "string"},
            "com.example.wild.v1.Beast": {"properties": {"meta": {"$ref": format!("#/definitions/{META}")}}},
            META: {"type": "object", "properties": {"wild": {"type": "boolean"}}},
        },
    })
}

/// What it was asked, by whom.
fn asked(request: &Request<Incoming>) -> Value {
    let all = |name: &str| -> Vec<String> {
        let values = request.headers().get_all(name).iter();
        values.map(|value| value.to_str().unwrap_or_default().to_owned()).collect()
    };
    json!({
        "kind": "BeastList", "apiVersion": format!("{GROUP}/v1"), "items": [],
        "path": request.uri().to_string(),
        "user": all("x-remote-user"), "groups": all("x-remote-group"), "authorization": all("authorization"),
    })
}

fn json_answer(value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(value.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// Switches protocols and sends back what comes.
fn echo(mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(connection) = upgraded.await else { return };
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(connection));
        drop(tokio::io::copy(&mut reader, &mut writer).await);
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("echo"));
    response
}
