//! Counts and times RPCs as they pass, from the path and the trailers alone: no handler knows of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use tonic::Code;

use crate::metrics::{HandledLabels, MethodLabels, Metrics};

const UNARY: &str = "unary";
const SERVER_STREAM: &str = "server_stream";
const BIDI_STREAM: &str = "bidi_stream";

/// Labels are of a closed list: a client cannot make us remember paths of its own.
const METHODS: &[(&str, &str, &[&str])] = &[
    ("etcdserverpb.KV", UNARY, &["Range", "Put", "DeleteRange", "Txn", "Compact"]),
    ("etcdserverpb.KV", SERVER_STREAM, &["RangeStream"]),
    ("etcdserverpb.Watch", BIDI_STREAM, &["Watch"]),
    ("etcdserverpb.Lease", UNARY, &["LeaseGrant", "LeaseRevoke", "LeaseTimeToLive", "LeaseLeases"]),
    ("etcdserverpb.Lease", BIDI_STREAM, &["LeaseKeepAlive"]),
    ("etcdserverpb.Cluster", UNARY, &["MemberList", "MemberAdd", "MemberRemove", "MemberUpdate", "MemberPromote"]),
    (
        "etcdserverpb.Maintenance",
        UNARY,
        &["Alarm", "Status", "Defragment", "Hash", "HashKV", "MoveLeader", "Downgrade"],
    ),
    ("etcdserverpb.Maintenance", SERVER_STREAM, &["Snapshot"]),
    ("etcdserverpb.Auth", UNARY, &["AuthEnable", "AuthDisable", "AuthStatus", "Authenticate", "UserAdd", "UserGet"]),
    ("v3lockpb.Lock", UNARY, &["Lock", "Unlock"]),
    ("v3electionpb.Election", UNARY, &["Campaign", "Proclaim", "Leader", "Resign"]),
    ("v3electionpb.Election", SERVER_STREAM, &["Observe"]),
    ("grpc.health.v1.Health", UNARY, &["Check", "List"]),
    ("grpc.health.v1.Health", SERVER_STREAM, &["Watch"]),
];

const OTHER: MethodLabels = MethodLabels { grpc_service: "other", grpc_method: "other", grpc_type: UNARY };

fn method(path: &str) -> MethodLabels {
    let (service, name) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    let known = METHODS.iter().filter(|(known, ..)| *known == service);
    let found = known.flat_map(|(service, kind, names)| names.iter().map(move |name| (*service, *kind, *name)));
    found
        .into_iter()
        .find(|(_, _, known)| *known == name)
        .map_or(OTHER, |(grpc_service, grpc_type, grpc_method)| MethodLabels { grpc_service, grpc_method, grpc_type })
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

/// One RPC on its way; counted as handled when its status is known, as Canceled when nobody waits for it.
pub(super) struct Observation {
    metrics: Arc<Metrics>,
    method: MethodLabels,
    started: Instant,
    done: bool,
}

impl Observation {
    pub(super) fn start(metrics: Arc<Metrics>, path: &str) -> Self {
        let method = method(path);
        metrics.rpc_started.get_or_create(&method).inc();
        Self { metrics, method, started: Instant::now(), done: false }
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let MethodLabels { grpc_service, grpc_method, grpc_type } = self.method;
        let labels = HandledLabels { grpc_service, grpc_method, grpc_type, grpc_code: code_name(code) };
        self.metrics.rpc_handled.get_or_create(&labels).inc();
        self.metrics.rpc_seconds.get_or_create(&self.method).observe(self.started.elapsed().as_secs_f64());
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
                self.observation.metrics.client_sent_bytes.inc_by(data.len() as u64);
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
    fn paths_become_labels_of_a_closed_list() {
        let range = method("/etcdserverpb.KV/Range");
        assert_eq!((range.grpc_service, range.grpc_method, range.grpc_type), ("etcdserverpb.KV", "Range", "unary"));
        assert_eq!(method("/etcdserverpb.Watch/Watch").grpc_type, "bidi_stream");
        for path in ["/etcdserverpb.KV/Nope", "/x/Range", "", "/"] {
            assert_eq!(method(path), OTHER, "{path}");
        }
    }
}
