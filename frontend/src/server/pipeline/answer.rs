//! The way back: what the chain came to becomes an HTTP response, is counted, logged, and given its headers.

use std::{any::Any, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};

use super::{Server, Trace};
use crate::{
    api::schema::{Schema, codec},
    request::{
        body::{self, Body, BodyError},
        info::Verb,
        status::ApiError,
    },
    server::{
        audit::{Level, Record},
        metrics::RequestLabels,
        respond,
    },
};

/// A request that takes longer is explained in the log.
const SLOW: Duration = Duration::from_millis(500);

/// The user and the answer, or what a panic carried.
pub(super) type Outcome = Result<(String, Result<Response<Body>, ApiError>), Box<dyn Any + Send>>;

/// A body in JSON, if it is one that can be.
fn as_json(schema: &Schema, content_type: Option<&HeaderValue>, bytes: &Bytes) -> Option<Vec<u8>> {
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    match content_type.split(';').next().unwrap_or_default().trim() {
        _ if bytes.is_empty() => None,
        "application/vnd.kubernetes.protobuf" => {
            let decoded = codec::decode_protobuf(schema, bytes, None).ok()?;
            let mut json = Vec::new();
            codec::encode_json(&decoded.object, &mut json);
            Some(json)
        }
        media if media.contains("yaml") => codec::yaml_to_json(bytes).ok().map(|read| read.json),
        media if media.contains("json") => Some(bytes.to_vec()),
        _ => None,
    }
}

/// Tells the audit what is answered, where its policy wants to know.
async fn audited(schema: &Schema, record: &Record, response: Response<Body>) -> Response<Body> {
    if record.level() < Level::RequestResponse {
        return response;
    }
    let (parts, body) = response.into_parts();
    // What could not be read to its end could not be sent either.
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if let Some(json) = as_json(schema, parts.headers.get(header::CONTENT_TYPE), &bytes) {
        record.response_object(&json);
    }
    Response::from_parts(parts, body::full(bytes))
}

/// The verb of a request in figures: that of HTTP, but that lists, watches and applies are told apart.
fn counted_as(trace: &Trace) -> &'static str {
    let content = trace.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (trace.info.verb, trace.info.method.as_str()) {
        (Verb::List, _) => "LIST",
        (Verb::Watch, _) => "WATCH",
        (Verb::Patch, _) if content.starts_with("application/apply-patch+") => "APPLY",
        (_, "GET" | "HEAD") => "GET",
        (_, "POST") => "POST",
        (_, "PUT") => "PUT",
        (_, "PATCH") => "PATCH",
        (_, "DELETE") => "DELETE",
        _ => "other",
    }
}

/// Writes the last event of a stream when it ends, whoever ends it.
struct Last(Record, u16);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.completed(self.1);
    }
}

fn when_it_ends(body: Body, record: Record, code: u16) -> Body {
    let last = Last(record, code);
    body.map_frame(move |frame| {
        let _held = &last;
        frame
    })
    .boxed_unsync()
}

impl Server {
    pub(super) async fn answer(&self, trace: Trace, outcome: Outcome) -> Response<Body> {
        let schema = self.context.cluster.schema();
        if trace.record.level() >= Level::Request {
            let bytes = trace.body.bytes();
            if let Some(json) = as_json(&schema, trace.headers.get(header::CONTENT_TYPE), &bytes) {
                trace.record.request_object(&json);
            }
        }
        let (user, mut response) = match outcome {
            Ok((user, Ok(response))) if trace.info.is_long_running() => {
                trace.record.started(response.status().as_u16());
                (user, response.map(|body| self.until_shutdown(body, trace.info.verb)))
            }
            Ok((user, Ok(response))) => {
                let response = audited(&schema, &trace.record, response).await;
                (user, respond::compress(&trace.headers, response).await)
            }
            Ok((user, Err(error))) => {
                if let Some(cause) = &error.internal {
                    tracing::warn!(audit_id = %trace.audit_id, uri = %trace.uri, code = error.code, cause, "refused");
                }
                trace.record.failed(&error);
                (user, respond::error(&error, &trace.headers, &trace.query, &schema))
            }
            Err(panic) => {
                let cause = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
                let cause = cause.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                tracing::error!(audit_id = %trace.audit_id, uri = %trace.uri, cause, "a handler panicked");
                trace.record.panicked(&cause);
                let text = "This request caused apiserver to panic. Look in the logs for details.";
                (String::new(), respond::text_error(500, text))
            }
        };
        // What answers in another protocol is the other end's, as it stands.
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            respond::finish(response.headers_mut(), &trace.audit_id, trace.notes.warnings.take());
        }
        if trace.info.method == http::Method::HEAD {
            // On HTTP/2 a body would break the stream.
            response = response.map(|_| body::empty());
        }
        self.record(&trace, &user, &response);
        for (key, value) in trace.notes.annotations.take() {
            trace.record.annotate(&key, value);
        }
        let code = response.status().as_u16();
        if let Some(session) = trace.session.take() {
            let (last, ended) = (Last(trace.record, code), self.context.cluster.shutdown.clone());
            self.tasks.spawn(async move {
                let _last = last;
                ended.run_until_cancelled(session).await;
            });
            return response;
        }
        match trace.info.is_long_running() && response.status().is_success() {
            true => response.map(|body| when_it_ends(body, trace.record, code)),
            false => {
                trace.record.completed(code);
                response
            }
        }
    }

    /// A stream that ends when the server goes down, so that clients resume elsewhere. A watch ends in order; the body
    /// of another server must not look whole when it is not.
    fn until_shutdown(&self, body: Body, verb: Verb) -> Body {
        let frames = http_body_util::BodyStream::new(body);
        let ended = self.context.cluster.shutdown.clone();
        let frames = frames.take_until(Box::pin(ended.clone().cancelled_owned()));
        let cut = futures::stream::once(async move { Err(BodyError::from("the server is going down")) });
        let cut = cut.take_while(move |_| futures::future::ready(verb != Verb::Watch && ended.is_cancelled()));
        StreamBody::new(frames.chain(cut)).boxed_unsync()
    }

    fn record(&self, trace: &Trace, user: &str, response: &Response<Body>) {
        let latency = trace.received_at.elapsed();
        let verb = trace.info.verb_name();
        tracing::debug!(
            target: "http",
            verb,
            URI = %trace.uri,
            latency = ?latency,
            userAgent = trace.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default(),
            audit_ID = trace.audit_id,
            srcIP = trace.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            user,
            resp = response.status().as_u16(),
            "HTTP"
        );
        if latency >= SLOW && !trace.info.is_long_running() {
            tracing::info!(
                target: "trace",
                verb,
                URI = %trace.uri,
                audit_ID = trace.audit_id,
                user,
                "Trace: (total time: {}ms):{}",
                latency.as_millis(),
                trace.notes.steps.told(latency)
            );
        }
        let api = self.context.cluster.api.load();
        let info = &trace.info;
        let known = api.registry.get(&info.group, &info.version, &info.resource).filter(|_| info.is_resource);
        let code = response.status().as_u16();
        let labels = match known {
            Some(resource) => RequestLabels {
                verb: counted_as(trace).to_owned(),
                group: info.group.clone(),
                version: info.version.clone(),
                resource: info.resource.clone(),
                subresource: resource.subresource(&info.subresource).map_or_else(String::new, |s| s.name.to_string()),
                code,
            },
            None => RequestLabels {
                verb: counted_as(trace).to_owned(),
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
