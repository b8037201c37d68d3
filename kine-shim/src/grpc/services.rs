//! Which service answers. In comes a request of any RPC, out goes its response; what it means is not known here.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use proto::etcdserverpb::kv_server::{KvServer, SERVICE_NAME};
use tonic::{body::Body, service::Routes};
use tower::{Service, ServiceExt};

use super::wire::Wire;

/// All services of a shim.
#[derive(Clone)]
pub struct Services {
    /// The busiest one is called as it is: the router in front of all costs each request three boxes and a clone of
    /// everything.
    pub(super) kv: KvServer<Wire>,
    pub(super) all: Routes,
}

impl Services {
    /// Dropping the future ends the RPC.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        let method = request.uri().path().strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE_NAME));
        let answered: Result<_, Infallible> = if method.is_some_and(|method| method.starts_with('/')) {
            self.kv.clone().call(request).await
        } else {
            self.all.clone().oneshot(request).await
        };
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// For a server of the gRPC library's own.
    pub fn into_routes(self) -> Routes {
        self.all
    }
}
