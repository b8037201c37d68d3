//! Plain Kubernetes REST for scenarios: JSON in, JSON out, several servers with fail-over.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;

use crate::https::HttpsClient;

/// One identity towards any number of equal servers; a server that does not answer gives way to the next.
#[derive(Clone)]
pub struct Rest {
    http: HttpsClient,
    servers: Vec<String>,
    current: usize,
}

impl Rest {
    pub fn new(http: HttpsClient, servers: Vec<String>) -> Self {
        Self { http, servers, current: 0 }
    }

    /// The status and body of one try at the current server; an error means that no answer came.
    pub async fn once(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        let value = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        Ok((status, value))
    }

    /// The next server from now on.
    pub fn fail_over(&mut self) {
        self.current = (self.current + 1) % self.servers.len();
    }

    /// An answer that must be a success.
    pub async fn must(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, value) = self.once(method.clone(), path, body).await?;
        if !status.is_success() {
            bail!("{method} {path}: {status} {value}");
        }
        Ok(value)
    }

    /// Events of a watch, one at a time.
    pub async fn watch(&self, path: &str) -> Result<Events> {
        let response = self.send(Method::GET, path, None).await?;
        if !response.status().is_success() {
            bail!("watch {path}: {}", response.status());
        }
        Ok(Events { body: response.into_body(), buffered: Vec::new() })
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<http::Response<Incoming>> {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.servers[self.current]))
            .header(header::CONTENT_TYPE, kind)
            .header(header::ACCEPT, "application/json")
            .body(Full::new(body.map(|b| Bytes::from(b.to_string())).unwrap_or_default()))?;
        Ok(self.http.request(request).await?)
    }
}

/// A watch's stream of JSON lines.
pub struct Events {
    body: Incoming,
    buffered: Vec<u8>,
}

impl Events {
    /// `None` when the server ends the watch.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.buffered.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffered.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).context("an event that is not JSON")?));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.buffered.extend_from_slice(&data);
            }
        }
    }
}
