//! The services through a real client, over a loopback port, on the log in memory.

mod auth;
mod kv;
mod lease;
mod operator;
mod queue;
mod snapshot;
mod txn_checks;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use proto::etcdserverpb as pb;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint};

use super::{GrpcOptions, server, services};
use crate::{log::memory::MemoryLog, settings::ShimConfig, shim::Shim};

pub(super) struct Served {
    pub(super) channel: Channel,
    pub(super) kv: pb::kv_client::KvClient<Channel>,
    pub(super) shim: Shim,
}

pub(super) async fn serve() -> Served {
    serve_with(GrpcOptions::default()).await
}

pub(super) async fn serve_with(options: GrpcOptions) -> Served {
    serve_on(Arc::new(MemoryLog::new()), options).await
}

/// The server lives as long as the test's runtime.
pub(super) async fn serve_on(log: Arc<MemoryLog>, options: GrpcOptions) -> Served {
    serve_shim(Shim::start(log, ShimConfig::default()).await.unwrap(), options).await
}

pub(super) async fn serve_shim(shim: Shim, options: GrpcOptions) -> Served {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server().add_routes(services(shim.clone(), options).into_routes());
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Endpoint::new(format!("http://{address}")).unwrap().connect().await.unwrap();
    let kv = pb::kv_client::KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    Served { channel, kv, shim }
}

impl Served {
    /// The revision written.
    pub(super) async fn put(&mut self, key: &str, value: &str) -> i64 {
        let response = self.kv.put(put(key, value)).await.unwrap().into_inner();
        response.header.unwrap().revision
    }

    pub(super) async fn delete(&mut self, key: &str) -> i64 {
        let request = pb::DeleteRangeRequest { key: bytes(key), ..Default::default() };
        self.kv.delete_range(request).await.unwrap().into_inner().header.unwrap().revision
    }

    pub(super) async fn compact(&mut self, revision: i64) {
        self.kv.compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
    }
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest { key: bytes(key), value: bytes(value), ..Default::default() }
}

pub(super) fn everything() -> pb::RangeRequest {
    pb::RangeRequest { key: bytes("\0"), range_end: bytes("\0"), ..Default::default() }
}

pub(super) fn op(request: pb::request_op::Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

/// Code and text, which is what clients decide by.
pub(super) fn refusal<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> (tonic::Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status.message().to_owned())
}
