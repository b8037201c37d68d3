//! Somebody who calls an API server over HTTPS, and what they show of themselves.

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::https::HttpsClient;

/// A patch with this is an apply.
pub const APPLY: &str = "?fieldManager=tests";

/// What a caller shows.
#[derive(Clone)]
pub struct Caller {
    pub client: HttpsClient,
    pub headers: Vec<(String, String)>,
}

impl Caller {
    pub fn token(client: &HttpsClient, token: impl std::fmt::Display) -> Caller {
        Caller { client: client.clone(), headers: vec![("authorization".to_owned(), format!("Bearer {token}"))] }
    }

    pub async fn send(&self, server: &str, method: Method, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let content = match method {
            Method::PATCH if path.contains(APPLY) => "application/apply-patch+yaml",
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let mut request = Request::builder().method(method).uri(format!("{server}{path}"));
        request = request.header("content-type", content);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = self.client.request(request.body(Full::new(Bytes::from(text)))?).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// The code of a GET.
    pub async fn get(&self, server: &str, path: &str) -> Result<u16> {
        Ok(self.send(server, Method::GET, path, &Value::Null).await?.0.as_u16())
    }

    /// The text of a path.
    pub async fn text(&self, server: &str, path: &str) -> Result<String> {
        let mut request = Request::builder().uri(format!("{server}{path}"));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = self.client.request(request.body(Full::new(Bytes::new()))?).await?;
        Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().into())?)
    }
}
