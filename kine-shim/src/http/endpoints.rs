//! The plain HTTP pages that stand beside gRPC on the same port, as etcd has them: health, version, metrics.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use tonic::body::Body;

use super::Front;
use crate::grpc::{self, ETCD_VERSION};
use crate::shim::Consistency;
use crate::state::CORRUPT;

const CHECK_WITHIN: Duration = Duration::from_secs(5);
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// etcd's checks, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    const LIVEZ: &[Self] = &[Self::SerializableRead];
    const READYZ: &[Self] = &[Self::DataCorruption, Self::SerializableRead, Self::LinearizableRead, Self::NonLearner];

    fn name(self) -> &'static str {
        match self {
            Self::DataCorruption => "data_corruption",
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::NonLearner => "non_learner",
        }
    }
}

fn page(status: StatusCode, kind: &'static str, body: impl Into<String>) -> Response<Body> {
    let body = http_body_util::Full::new(bytes::Bytes::from(body.into()));
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The values of a query parameter, `Some("")` for one without a value.
fn query<'a>(text: Option<&'a str>, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = text.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

impl Front {
    pub(super) async fn plain<B>(&self, request: &Request<B>) -> Response<Body> {
        let (path, parameters) = (request.uri().path(), request.uri().query());
        let checks = match path {
            "/livez" => Some(Check::LIVEZ),
            "/readyz" => Some(Check::READYZ),
            _ => None,
        };
        let single = ["/livez/", "/readyz/"].iter().find_map(|root| path.strip_prefix(root));
        let known = checks.is_some() || ["/health", "/version", "/metrics"].contains(&path) || single.is_some();
        if known && request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Allowed\n");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refusal;
        }
        match (path, checks, single) {
            ("/health", ..) => self.health(parameters).await,
            ("/version", ..) => page(StatusCode::OK, "application/json", version()),
            ("/metrics", ..) => {
                page(StatusCode::OK, METRICS_TYPE, self.metrics.page(&self.shim, self.quota_backend_bytes).await)
            }
            (_, Some(checks), _) => {
                let excluded: Vec<_> = query(parameters, "exclude").collect();
                let checks: Vec<_> = checks.iter().copied().filter(|check| !excluded.contains(&check.name())).collect();
                self.checked(&checks, query(parameters, "verbose").next().is_some()).await
            }
            (_, _, Some(name)) => {
                let of_root = if path.starts_with("/livez") { Check::LIVEZ } else { Check::READYZ };
                match of_root.iter().find(|check| check.name() == name) {
                    Some(check) => self.checked(&[*check], query(parameters, "verbose").next().is_some()).await,
                    None => page(StatusCode::NOT_FOUND, TEXT, "404 page not found\n"),
                }
            }
            _ => page(StatusCode::NOT_FOUND, TEXT, "404 page not found\n"),
        }
    }

    async fn read(&self, consistency: Consistency) -> Result<(), String> {
        match tokio::time::timeout(CHECK_WITHIN, self.shim.read(consistency)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(fault)) => Err(grpc::fault_text(&fault).to_owned()),
            // Of our own waiting; the shim is more patient.
            Err(_) => Err("context deadline exceeded".into()),
        }
    }

    async fn health(&self, parameters: Option<&str>) -> Response<Body> {
        let excluded: Vec<_> = query(parameters, "exclude").collect();
        let alarms = self.shim.snapshot().alarms();
        let alarm = alarms.iter().map(|(name, _)| name.to_uppercase()).find(|name| !excluded.contains(&name.as_str()));
        let serializable = query(parameters, "serializable").any(|value| value == "true");
        let consistency = if serializable { Consistency::Serializable } else { Consistency::Linearizable };
        let outcome = match alarm {
            Some(alarm) => Err(format!("ALARM {alarm}")),
            None if !serializable && !self.shim.health().is_serving => Err("RAFT NO LEADER".into()),
            None => self.read(consistency).await.map_err(|reason| format!("RANGE ERROR:{reason}")),
        };
        let health = |health: &str, reason: &str| serde_json::json!({"health": health, "reason": reason}).to_string();
        match outcome {
            Ok(()) => {
                self.metrics.health_success.inc();
                page(StatusCode::OK, TEXT, health("true", ""))
            }
            Err(reason) => {
                self.metrics.health_failures.inc();
                tracing::warn!(%reason, "/health is false");
                page(StatusCode::SERVICE_UNAVAILABLE, TEXT, health("false", &reason) + "\n")
            }
        }
    }

    async fn checked(&self, checks: &[Check], verbose: bool) -> Response<Body> {
        let (mut failed, mut report) = (false, String::new());
        for check in checks {
            let outcome = match check {
                Check::DataCorruption => match self.shim.snapshot().alarms().iter().any(|(name, _)| name == CORRUPT) {
                    true => Err("alarm activated: CORRUPT".to_owned()),
                    false => Ok(()),
                },
                Check::SerializableRead => self.read(Consistency::Serializable).await,
                Check::LinearizableRead => self.read(Consistency::Linearizable).await,
                // There are no learners here.
                Check::NonLearner => Ok(()),
            };
            match outcome {
                Ok(()) => report += &format!("[+]{} ok\n", check.name()),
                Err(reason) => {
                    failed = true;
                    report += &format!("[-]{} failed: {reason}\n", check.name());
                }
            }
        }
        match (failed, verbose) {
            (true, _) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, report + "\n"),
            (false, true) => page(StatusCode::OK, TEXT, report + "ok\n"),
            (false, false) => page(StatusCode::OK, TEXT, "ok\n"),
        }
    }
}

fn version() -> String {
    let minor = ETCD_VERSION.rsplit_once('.').map_or(ETCD_VERSION, |(minor, _)| minor);
    let cluster = format!("{minor}.0");
    serde_json::json!({"etcdserver": ETCD_VERSION, "etcdcluster": cluster, "storage": cluster}).to_string()
}
