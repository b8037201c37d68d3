//! Counts and times RPCs as they pass, from the path and the trailers alone: no handler knows of it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tonic::Code;

use crate::metrics::{
    ApiVersion, ClientLabels, HandledLabels, MethodLabels, Metrics, RequestLabels,
    methods::{OTHER, UNARY, code_name, methods},
};

fn method(path: &str) -> MethodLabels {
    let (service, name) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    methods().find(|method| method.grpc_service == service && method.grpc_method == name).unwrap_or(OTHER)
}

/// What clientv3 says of itself, as etcd shows it, if it looks like a version: clients cannot make us remember what
/// they like.
fn api_version(headers: &HeaderMap) -> ApiVersion {
    let Some(said) = headers.get("client-api-version") else { return ApiVersion::Unknown };
    let parts = said.to_str().ok().and_then(|said| said.split_once('.'));
    let number = |digits: &str| digits.parse::<u8>().ok().filter(|number| *number < 100);
    match parts.map(|(major, minor)| (number(major), number(minor))) {
        Some((Some(major), Some(minor))) => ApiVersion::Named(major, minor),
        _ => ApiVersion::Unknown,
    }
}

/// One RPC on its way; counted as handled when its status is known, as Canceled when nobody waits for it.
pub(super) struct Observation {
    metrics: Arc<Metrics>,
    method: MethodLabels,
    started: Instant,
    /// A unary RPC that takes longer is warned of.
    slow: Option<Duration>,
    sent: Traffic,
    done: bool,
}

impl Observation {
    pub(super) fn start<B>(metrics: Arc<Metrics>, request: &Request<B>, slow: Option<Duration>) -> Self {
        let method = method(request.uri().path());
        metrics.rpc_started.get_or_create(&method).inc();
        let client = ClientLabels {
            r#type: if method.grpc_type == UNARY { UNARY } else { "stream" },
            client_api_version: api_version(request.headers()),
        };
        metrics.client_requests.get_or_create(&client).inc();
        let sent = Traffic::new(metrics.client_sent_bytes.clone(), metrics.messages_sent.get_or_create_owned(&method));
        Self { metrics, method, started: Instant::now(), slow, sent, done: false }
    }

    /// Counts what the client sends.
    pub(super) fn received(&self) -> Traffic {
        let messages = self.metrics.messages_received.get_or_create_owned(&self.method);
        Traffic::new(self.metrics.client_received_bytes.clone(), messages)
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let MethodLabels { grpc_service, grpc_method, grpc_type } = self.method;
        let labels = HandledLabels { grpc_service, grpc_method, grpc_type, grpc_code: code_name(code) };
        self.metrics.rpc_handled.get_or_create(&labels).inc();
        let took = self.started.elapsed();
        self.metrics.rpc_seconds.get_or_create(&self.method).observe(took.as_secs_f64());
        if grpc_type == UNARY {
            let request =
                RequestLabels { r#type: grpc_method, success: if code == Code::Ok { "true" } else { "false" } };
            self.metrics.request_seconds.get_or_create(&request).observe(took.as_secs_f64());
            // Whoever campaigns or locks waits for others, not for us.
            let waits = matches!(grpc_method, "Campaign" | "Lock");
            if !waits && self.slow.is_some_and(|slow| took > slow) {
                tracing::warn!(?took, grpc_service, grpc_method, code = code_name(code), "a request took long");
            }
        }
    }

    fn end_by(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.end(Code::from_bytes(status.as_bytes()));
        }
    }

    /// Goes on watching the response.
    pub(super) fn follow(mut self, response: Response<tonic::body::Body>) -> Response<tonic::body::Body> {
        self.end_by(response.headers());
        response.map(|body| tonic::body::Body::new(Observed { body, observation: self }))
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The bytes and messages of one direction of an RPC.
pub(super) struct Traffic {
    bytes: Counter,
    messages: Counter,
    prefix: [u8; 5],
    prefix_bytes: usize,
    /// Of the message under way.
    left_bytes: usize,
}

impl Traffic {
    fn new(bytes: Counter, messages: Counter) -> Self {
        Self { bytes, messages, prefix: [0; 5], prefix_bytes: 0, left_bytes: 0 }
    }

    /// A message is counted when its length is known.
    pub(super) fn take(&mut self, data: &[u8]) {
        self.bytes.inc_by(data.len() as u64);
        let mut data = data;
        while !data.is_empty() {
            let skipped = self.left_bytes.min(data.len());
            self.left_bytes -= skipped;
            data = &data[skipped..];
            let count = (self.prefix.len() - self.prefix_bytes).min(data.len());
            self.prefix[self.prefix_bytes..][..count].copy_from_slice(&data[..count]);
            self.prefix_bytes += count;
            data = &data[count..];
            if self.prefix_bytes == self.prefix.len() {
                let [_, length @ ..] = self.prefix;
                self.left_bytes = u32::from_be_bytes(length) as usize;
                self.prefix_bytes = 0;
                self.messages.inc();
            }
        }
    }
}

struct Observed {
    body: tonic::body::Body,
    observation: Observation,
}

impl Body for Observed {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            if let Some(data) = frame.data_ref() {
                self.observation.sent.take(data);
            }
            if let Some(trailers) = frame.trailers_ref() {
                self.observation.end_by(trailers);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_the_bytes_come() {
        let stream: Vec<u8> = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0, 0, 0, 0, 0], &[0, 0, 0, 1, 0], &[7; 256]].concat();
        for piece in [1, 2, 3, 5, 7, 300] {
            let mut traffic = Traffic::new(Counter::default(), Counter::default());
            stream.chunks(piece).for_each(|data| traffic.take(data));
            assert_eq!((traffic.messages.get(), traffic.bytes.get()), (3, stream.len() as u64), "pieces of {piece}");
        }
    }

    #[test]
    fn only_what_looks_like_a_version_of_a_client_is_shown() {
        let of = |said: &str| {
            api_version(&HeaderMap::from_iter([("client-api-version".parse().unwrap(), said.parse().unwrap())]))
        };
        assert_eq!(of("3.6"), ApiVersion::Named(3, 6));
        for said in ["", "3", "3.", "3.6.1", "3.100", "-3.6", "x.y"] {
            assert_eq!(of(said), ApiVersion::Unknown, "{said}");
        }
        assert_eq!(api_version(&HeaderMap::new()), ApiVersion::Unknown);
    }

    #[test]
    fn paths_become_labels_of_a_closed_list() {
        let range = method("/etcdserverpb.KV/Range");
        assert_eq!((range.grpc_service, range.grpc_method, range.grpc_type), ("etcdserverpb.KV", "Range", "unary"));
        assert_eq!(method("/etcdserverpb.Watch/Watch").grpc_type, "bidi_stream");
        for path in ["/etcdserverpb.KV/Nope", "/x/Range", "", "/"] {
            assert_eq!(method(path), OTHER, "{path}");
        }
    }
}
