//! The wire: etcd's gRPC services on the handle [`Shim`]. In come requests, out go responses, statuses and headers as
//! etcd has them. Each handler validates, delegates, maps the error, fills the header. What the operations mean is not
//! here (see `state`), neither listeners nor TLS.

mod auth;
mod checks;
mod cluster;
mod credentials;
mod election;
mod errors;
mod frames;
pub(crate) mod hash;
mod health;
mod kv;
mod lease;
mod library;
mod lock;
mod maintenance;
mod queue;
mod quota;
mod range_stream;
mod replies;
mod requests;
mod services;
mod snapshot;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use proto::etcdserverpb as pb;
use tonic::{codec::CompressionEncoding, server::NamedService, service::Routes};

use self::wire::Wire;
use crate::{auth::password::Passwords, shim::Shim};

pub use credentials::ClientName;
pub(crate) use errors::{fault_text, no_leader};
pub(crate) use library::translate;
pub use maintenance::ETCD_VERSION;
pub use quota::Quota;
pub(crate) use replies::txn_op as response_of;
pub use services::Services;
pub use wire::GrpcOptions;

/// An operation of a Txn from its wire form.
pub(crate) fn request_read(op: pb::RequestOp) -> Result<crate::model::TxnOp, tonic::Status> {
    Ok(requests::txn_op(op)?)
}

/// What gRPC adds around a request of the largest size, in etcd's reckoning.
const OVERHEAD_BYTES: usize = 512 * 1024;

/// What is served besides reflection and Watch.
macro_rules! services {
    ($of:ident) => {
        $of!(
            pb::kv_server::KvServer<Wire>,
            pb::lease_server::LeaseServer<Wire>,
            pb::cluster_server::ClusterServer<Wire>,
            pb::maintenance_server::MaintenanceServer<Wire>,
            pb::auth_server::AuthServer<Wire>,
            proto::v3lockpb::lock_server::LockServer<Wire>,
            proto::v3electionpb::election_server::ElectionServer<Wire>,
            proto::health::health_server::HealthServer<Wire>
        )
    };
}

macro_rules! names {
    ($($server:ty),*) => {
        &[frames::WatchService::NAME, $(<$server as NamedService>::NAME),*]
    };
}

const SERVICES: &[&str] = services!(names);

/// All services of the shim, with reflection and health.
pub fn services(shim: Shim, options: GrpcOptions) -> Services {
    let max_bytes = options.max_request_bytes.saturating_add(OVERHEAD_BYTES);
    let passwords = Passwords::new(options.bcrypt_cost);
    let wire = Wire { shim, options: Arc::new(options), passwords };
    let mut routes = Routes::default();
    macro_rules! serve {
        ($($server:ty),*) => {$(
            let service = <$server>::new(wire.clone()).accept_compressed(CompressionEncoding::Gzip);
            routes = routes.add_service(service.max_decoding_message_size(max_bytes));
        )*};
    }
    services!(serve);
    routes = routes.add_service(frames::WatchService { wire: wire.clone(), max_request_bytes: max_bytes });
    let kv = pb::kv_server::KvServer::new(wire).accept_compressed(CompressionEncoding::Gzip);
    Services { kv: kv.max_decoding_message_size(max_bytes), all: with_reflection(routes).prepare() }
}

fn with_reflection(mut routes: Routes) -> Routes {
    let builder = || {
        tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
    };
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "no reflection: the descriptors are damaged"),
    }
    routes
}

/// HTTP/2 as etcd's clients need it. Go clients cancel streams heavily: with h2's default limits a busy connection ends
/// in GOAWAY.
pub fn server() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_max_local_error_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .max_concurrent_streams(None)
        .tcp_nodelay(true)
}

/// Streams that a client reset and that still await their end, of one connection.
pub const RESET_STREAMS_MAX: usize = 4096;
