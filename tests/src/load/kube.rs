//! Load on any Kubernetes API server, over plain REST.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};

use super::{Measured, press};
use crate::https::{HttpsClient, client};

#[derive(Clone)]
pub struct Plan {
    pub server: String,
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
    pub pids: Vec<u32>,
    pub clients: Vec<usize>,
    pub seconds: f64,
    pub objects: usize,
}

struct Session {
    http: HttpsClient,
    server: String,
}

impl Session {
    async fn send(&self, method: Method, path: &str, body: Option<serde_json::Value>) -> Result<Bytes> {
        let content_type = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let body = body.map(|b| Bytes::from(b.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "application/json")
            .body(Full::new(body))?;
        let response = self.http.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
        }
        Ok(body)
    }
}

fn config_map(name: &str) -> serde_json::Value {
    serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"load": "yes"}},
        "data": {"payload": "x".repeat(2000)}})
}

/// Prints a row for each kind of work.
pub async fn run(plan: Plan) -> Result<()> {
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let (ca, cert, key) = (read(&plan.ca)?, read(&plan.cert)?, read(&plan.key)?);
    let namespace = format!("load-{:08x}", rand::random::<u32>());
    let session = || anyhow::Ok(Session { http: client(&ca, Some((&cert, &key)))?, server: plan.server.clone() });
    let first = session()?;
    let body = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    first.send(Method::POST, "/api/v1/namespaces", Some(body)).await?;
    println!("objects in namespace {namespace}");
    println!("{}", Measured::head());
    let duration = Duration::from_secs_f64(plan.seconds);
    let collection = format!("/api/v1/namespaces/{namespace}/configmaps");
    for number in 0..plan.objects {
        first.send(Method::POST, &collection, Some(config_map(&format!("page-{number}")))).await?;
    }
    for &clients in &plan.clients {
        let sessions = (0..clients.div_ceil(16)).map(|_| session()).collect::<Result<Vec<_>>>()?;
        let sessions = std::sync::Arc::new(sessions);
        for work in ["create", "get", "patch", "list"] {
            let (sessions, collection, objects) = (sessions.clone(), collection.clone(), plan.objects.max(1));
            let measured = press(work, clients, duration, &plan.pids, move |client, sequence| {
                let (sessions, collection) = (sessions.clone(), collection.clone());
                let known = format!("{collection}/page-{}", (client * 31 + sequence as usize) % objects);
                async move {
                    let session = &sessions[client % sessions.len()];
                    let name = format!("c-{clients}-{client}-{sequence}");
                    let patch = serde_json::json!({"data": {"sequence": name}});
                    match work {
                        "create" => session.send(Method::POST, &collection, Some(config_map(&name))).await?,
                        "get" => session.send(Method::GET, &known, None).await?,
                        "patch" => session.send(Method::PATCH, &known, Some(patch)).await?,
                        _ => session.send(Method::GET, &format!("{collection}?limit=500"), None).await?,
                    };
                    Ok(())
                }
            });
            println!("{}", measured.await?.row());
        }
    }
    first.send(Method::DELETE, &format!("/api/v1/namespaces/{namespace}"), None).await?;
    Ok(())
}
