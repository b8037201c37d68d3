//! The way back: what the chain came to becomes an HTTP response, is counted, logged, and given its headers.

use std::any::Any;

use http::Response;

use super::{Server, Trace};
use crate::{
    request::{
        body::{self, Body},
        info::Verb,
        status::ApiError,
    },
    server::{audit, metrics::RequestLabels, respond},
};

/// The user and the answer, or what a panic carried.
pub(super) type Outcome = Result<(String, Result<Response<Body>, ApiError>), Box<dyn Any + Send>>;

impl Server {
    pub(super) async fn answer(&self, trace: Trace, outcome: Outcome) -> Response<Body> {
        let (user, mut response) = match outcome {
            Ok((user, Ok(response))) if trace.info.is_long_running() => {
                (user, response.map(|body| self.until_shutdown(body)))
            }
            Ok((user, Ok(response))) => (user, respond::compress(&trace.headers, response).await),
            Ok((user, Err(error))) => {
                if let Some(cause) = &error.internal {
                    tracing::warn!(audit_id = %trace.audit_id, uri = %trace.uri, code = error.code, cause, "refused");
                }
                (user, respond::error(&error, &trace.headers, &trace.query, &self.context.cluster.schema()))
            }
            Err(panic) => {
                let cause = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
                let cause = cause.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                tracing::error!(audit_id = %trace.audit_id, uri = %trace.uri, cause, "a handler panicked");
                let text = "This request caused apiserver to panic. Look in the logs for details.";
                (String::new(), respond::text_error(500, text))
            }
        };
        respond::finish(response.headers_mut(), &trace.audit_id, trace.warnings.take());
        if trace.info.method == http::Method::HEAD {
            // On HTTP/2 a body would break the stream.
            response = response.map(|_| body::empty());
        }
        self.record(&trace, &user, &response);
        response
    }

    /// A stream that ends when the server goes down, so that clients resume elsewhere.
    fn until_shutdown(&self, body: Body) -> Body {
        let frames = http_body_util::BodyStream::new(body);
        let ended = self.context.cluster.shutdown.clone().cancelled_owned();
        let frames = futures::StreamExt::take_until(frames, Box::pin(ended));
        http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(frames))
    }

    fn record(&self, trace: &Trace, user: &str, response: &Response<Body>) {
        let latency = trace.received_at.elapsed();
        let verb = trace.info.verb_name();
        self.audit.record(&audit::Event {
            audit_id: &trace.audit_id,
            user,
            method: &trace.info.method,
            uri: &trace.uri,
            verb: &verb,
            code: response.status(),
            latency,
        });
        let api = self.context.cluster.api.load();
        let info = &trace.info;
        let known = api.registry.get(&info.group, &info.version, &info.resource).filter(|_| info.is_resource);
        let code = response.status().as_u16();
        let labels = match known {
            Some(resource) => RequestLabels {
                verb: verb.to_uppercase(),
                group: info.group.clone(),
                version: info.version.clone(),
                resource: info.resource.clone(),
                subresource: resource.subresource(&info.subresource).map_or_else(String::new, |s| s.name.to_string()),
                code,
            },
            None => RequestLabels {
                verb: if info.verb == Verb::Http { "GET".into() } else { verb.to_uppercase() },
                group: String::new(),
                version: String::new(),
                resource: String::new(),
                subresource: String::new(),
                code,
            },
        };
        self.metrics.answered(labels, latency);
    }
}
