//! Figures about requests, under the names that Kubernetes' dashboards read.
//!
//! In: one call when a request starts, one when it was answered. Out: the text of `/metrics`. Labels come from closed
//! sets: unknown resources are counted without a name.

use std::time::Duration;

use http::{HeaderValue, Response, header};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::request::body::{self, Body};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    pub verb: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LatencyLabels {
    verb: String,
    group: String,
    version: String,
    resource: String,
    subresource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    request_kind: &'static str,
}

/// The figures of one server.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<LatencyLabels, Histogram>,
    inflight: Family<KindLabels, Gauge>,
}

const LATENCY_BUCKETS: [f64; 22] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0,
];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::<RequestLabels, Counter>::default();
        let latency = Family::<LatencyLabels, Histogram>::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS));
        let inflight = Family::<KindLabels, Gauge>::default();
        registry.register("apiserver_request", "Answered requests", requests.clone());
        registry.register("apiserver_request_duration_seconds", "Time to the answer's head", latency.clone());
        registry.register("apiserver_current_inflight_requests", "Requests being handled", inflight.clone());
        Metrics { registry, requests, latency, inflight }
    }
}

/// Counts a request as being handled until it is dropped.
pub struct Inflight(Gauge);

impl Drop for Inflight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// With figures that others count.
    #[must_use]
    pub fn with(mut self, register: impl FnOnce(&mut Registry)) -> Metrics {
        register(&mut self.registry);
        self
    }

    pub fn started(&self, mutating: bool) -> Inflight {
        let request_kind = if mutating { "mutating" } else { "readOnly" };
        let gauge = self.inflight.get_or_create(&KindLabels { request_kind }).clone();
        gauge.inc();
        Inflight(gauge)
    }

    pub fn answered(&self, labels: RequestLabels, latency: Duration) {
        let timed = LatencyLabels {
            verb: labels.verb.clone(),
            group: labels.group.clone(),
            version: labels.version.clone(),
            resource: labels.resource.clone(),
            subresource: labels.subresource.clone(),
        };
        self.latency.get_or_create(&timed).observe(latency.as_secs_f64());
        self.requests.get_or_create(&labels).inc();
    }

    /// The exposition. OpenMetrics, which Prometheus reads as well as its own text.
    pub fn answer(&self) -> Response<Body> {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        let mut response = Response::new(body::full(text));
        let openmetrics = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, openmetrics);
        response
    }
}
