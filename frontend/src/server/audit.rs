//! What happened, for those who must be able to tell later.
//!
//! In: one [`Event`] for each request that was answered. Out: whatever the sink does. Not here: policies and formats.

use std::time::Duration;

use http::{Method, StatusCode};

/// One answered request.
#[derive(Debug)]
pub struct Event<'a> {
    pub audit_id: &'a str,
    pub user: &'a str,
    pub method: &'a Method,
    pub uri: &'a http::Uri,
    pub verb: &'a str,
    pub code: StatusCode,
    pub latency: Duration,
}

/// Where events go. A sink may not block: it is called on the way of the answer.
pub trait Sink: Send + Sync {
    fn record(&self, event: &Event<'_>);
}

/// The log of the process, at debug level.
#[derive(Debug, Default)]
pub struct LogSink;

impl Sink for LogSink {
    fn record(&self, event: &Event<'_>) {
        tracing::debug!(
            audit_id = event.audit_id,
            user = event.user,
            method = %event.method,
            uri = %event.uri,
            verb = event.verb,
            code = event.code.as_u16(),
            latency_ms = event.latency.as_millis() as u64,
            "request"
        );
    }
}
