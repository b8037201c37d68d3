//! The plain HTTP pages that stand beside gRPC on the same port, as etcd has them: health, version, metrics.

use std::time::Duration;

use http::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, HeaderValue},
};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tonic::body::Body;

use super::{
    front::{Front, Shows},
    pages::{TEXT, not_found, page, query},
};
use crate::{
    grpc::{self, ETCD_VERSION},
    metrics::Subject,
    shim::Consistency,
    state::CORRUPT,
};

const CHECK_WITHIN: Duration = Duration::from_secs(5);
/// Whoever asks before he sends requests here wants to know soon.
const READY_WITHIN: Duration = Duration::from_millis(1500);
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
/// etcd's checks, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    /// What goes before the slash, for the metrics.
    fn kinds(path: &str) -> Option<(&'static str, &'static [Self])> {
        [("livez", Self::LIVEZ), ("readyz", Self::READYZ)].into_iter().find(|(kind, _)| {
            path.strip_prefix('/')
                .and_then(|path| path.strip_prefix(*kind))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

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

impl Front {
    pub(super) async fn plain(&self, request: Request<Incoming>) -> Response<Body> {
        let (path, parameters) = (request.uri().path(), request.uri().query());
        let is_whole = self.shows != Shows::Metrics;
        let is_get = request.method() == Method::GET;
        match path {
            "/metrics" => page(StatusCode::OK, METRICS_TYPE, self.metrics().await),
            "/health" if !is_get => not_allowed("GET"),
            "/health" => self.health(parameters).await,
            "/version" if is_whole && !is_get => not_allowed("GET"),
            "/version" if is_whole => page(StatusCode::OK, "application/json", version()),
            "/debug/vars" if is_whole => page(StatusCode::OK, "application/json; charset=utf-8", self.variables()),
            "/config/local/log" if is_whole => self.log_level(request).await,
            _ => match Check::kinds(path) {
                Some(_) if !is_get => not_allowed("GET"),
                Some((kind, checks)) => self.probed(kind, checks, path, parameters).await,
                None => not_found(),
            },
        }
    }

    /// The root with all checks, or one check by its own path.
    async fn probed(
        &self,
        kind: &'static str,
        checks: &[Check],
        path: &str,
        parameters: Option<&str>,
    ) -> Response<Body> {
        let is_verbose = query(parameters, "verbose").next().is_some();
        let single = path.trim_start_matches('/').strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
        let chosen: Vec<Check> = match single {
            Some(name) => checks.iter().copied().filter(|check| check.name() == name).collect(),
            None => {
                let excluded: Vec<_> = query(parameters, "exclude").collect();
                checks.iter().copied().filter(|check| !excluded.contains(&check.name())).collect()
            }
        };
        match single {
            Some(_) if chosen.is_empty() => not_found(),
            _ => self.checked(kind, &chosen, is_verbose).await,
        }
    }

    async fn metrics(&self) -> String {
        let site = &self.site;
        let ready = site.ready().map(|ready| Subject {
            shim: &ready.shim,
            quota_backend_bytes: ready.quota_backend_bytes,
            is_leader: ready.members.leader(ready.member_id) == ready.member_id,
        });
        site.metrics.page(ready, site.options.extensive_metrics).await
    }

    /// What Go's expvar shows, as far as it is the same here. The settings hide passwords.
    fn variables(&self) -> String {
        let limit = super::limits::open_files();
        let position = self.site.ready().map(|ready| ready.shim.snapshot().head().position.0);
        serde_json::json!({"cmdline": ["kine-shim", self.site.settings], "file_descriptor_limit": limit, "applied": position})
            .to_string()
    }

    /// GET tells the level of the log, PUT sets it, as etcd did before 3.6.
    async fn log_level(&self, request: Request<Incoming>) -> Response<Body> {
        let level = &self.site.log_level;
        match *request.method() {
            Method::GET => {
                let level = serde_json::json!({"Level": level.get().to_uppercase()});
                page(StatusCode::OK, "application/json", level.to_string())
            }
            Method::PUT => {
                let body = Limited::new(request.into_body(), 1024).collect();
                let body = match tokio::time::timeout(CHECK_WITHIN, body).await {
                    Ok(Ok(body)) => body.to_bytes(),
                    _ => return page(StatusCode::BAD_REQUEST, TEXT, "Invalid json body\n"),
                };
                let asked: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                match asked["Level"].as_str() {
                    Some(name) if level.set(name) => {
                        tracing::warn!(level = level.get(), "the level of the log was changed");
                        page(StatusCode::NO_CONTENT, TEXT, "")
                    }
                    Some(name) => page(StatusCode::BAD_REQUEST, TEXT, format!("Invalid log level {name:?}\n")),
                    None => page(StatusCode::BAD_REQUEST, TEXT, "Invalid json body\n"),
                }
            }
            _ => not_allowed("GET, PUT"),
        }
    }

    async fn read(&self, consistency: Consistency, within: Duration) -> Result<(), String> {
        let Some(ready) = self.site.ready() else { return Err(self.site.progress()) };
        match tokio::time::timeout(within, ready.shim.read(consistency)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(fault)) => Err(grpc::fault_text(&fault).to_owned()),
            // Of our own waiting; the shim is more patient.
            Err(_) => Err("context deadline exceeded".into()),
        }
    }

    async fn health(&self, parameters: Option<&str>) -> Response<Body> {
        let excluded: Vec<_> = query(parameters, "exclude").collect();
        let alarms = self.alarms();
        let alarm = alarms.iter().map(|(name, _)| name.to_uppercase()).find(|name| !excluded.contains(&name.as_str()));
        let serializable = query(parameters, "serializable").any(|value| value == "true");
        let consistency = if serializable { Consistency::Serializable } else { Consistency::Linearizable };
        let outcome = match alarm {
            Some(alarm) => Err(format!("ALARM {alarm}")),
            None if !serializable && self.site.ready().is_some_and(|ready| !ready.shim.health().is_serving) => {
                Err("RAFT NO LEADER".into())
            }
            None => self.read(consistency, CHECK_WITHIN).await.map_err(|reason| format!("RANGE ERROR:{reason}")),
        };
        let health = |health: &str, reason: &str| serde_json::json!({"health": health, "reason": reason}).to_string();
        match outcome {
            Ok(()) => {
                self.site.metrics.health_success.inc();
                page(StatusCode::OK, TEXT, health("true", ""))
            }
            Err(reason) => {
                self.site.metrics.health_failures.inc();
                tracing::warn!(%reason, "/health is false");
                page(StatusCode::SERVICE_UNAVAILABLE, TEXT, health("false", &reason) + "\n")
            }
        }
    }

    fn alarms(&self) -> Vec<(String, u64)> {
        self.site.ready().map(|ready| ready.shim.snapshot().alarms()).unwrap_or_default()
    }

    async fn checked(&self, kind: &'static str, checks: &[Check], verbose: bool) -> Response<Body> {
        let (mut failed, mut report) = (false, String::new());
        for check in checks {
            let outcome = match check {
                Check::DataCorruption => match self.alarms().iter().any(|(name, _)| name == CORRUPT) {
                    true => Err("alarm activated: CORRUPT".to_owned()),
                    false => Ok(()),
                },
                // Whoever loads its log is alive, and not ready.
                Check::SerializableRead if kind == "livez" && self.site.ready().is_none() => Ok(()),
                Check::SerializableRead => self.read(Consistency::Serializable, CHECK_WITHIN).await,
                Check::LinearizableRead => self.read(Consistency::Linearizable, READY_WITHIN).await,
                // There are no learners here.
                Check::NonLearner => Ok(()),
            };
            self.site.metrics.checked(kind, check.name(), outcome.is_ok());
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

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Allowed\n");
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}

fn version() -> String {
    let minor = ETCD_VERSION.rsplit_once('.').map_or(ETCD_VERSION, |(minor, _)| minor);
    let cluster = format!("{minor}.0");
    serde_json::json!({"etcdserver": ETCD_VERSION, "etcdcluster": cluster, "storage": cluster}).to_string()
}
