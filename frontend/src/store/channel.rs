//! The one gRPC transport under every client stub: chooses an endpoint, keeps a connection to it, fails over.
//!
//! In: HTTP/2 requests of generated stubs and of etcd-client. Out: their responses, from the endpoint that is sticky
//! until it fails. An endpoint that cannot be reached, breaks its connection or answers Unavailable is left alone for a
//! while and the next one is used. A request that provably never left is sent to the next endpoint as it is; anything
//! else fails here, and who made the request decides what that means. Not here: retries, deadlines, meaning.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, header::USER_AGENT};
use tonic::{Code, Status, body::Body};
use tower::BoxError;

use super::{
    config::StoreConfig,
    endpoint::{Endpoint, Tls},
    error::{ChannelFault, StoreError},
};

const AGENT: &str = concat!("frontend/", env!("CARGO_PKG_VERSION"));

/// A cheap handle; clones share connections and health.
#[derive(Clone)]
pub struct EndpointChannel(Arc<Endpoints>);

struct Endpoints {
    all: Vec<Endpoint>,
    /// The endpoint in use, until it fails.
    sticky: AtomicUsize,
}

impl EndpointChannel {
    /// Checks the configuration and connects lazily. `first` chooses where to begin, so that several servers with one
    /// list of endpoints spread over them.
    pub fn new(config: &StoreConfig, first: usize) -> Result<EndpointChannel, StoreError> {
        if config.servers.is_empty() {
            return Err(StoreError::Config("no endpoints".into()));
        }
        let tls = Tls::load(config)?;
        let all = config.servers.iter().map(|server| Endpoint::parse(server, &tls)).collect::<Result<Vec<_>, _>>()?;
        let sticky = AtomicUsize::new(first % all.len());
        Ok(EndpointChannel(Arc::new(Endpoints { all, sticky })))
    }

    /// The endpoint that the next request goes to, for logs.
    pub fn endpoint_in_use(&self) -> &str {
        let endpoints = &self.0;
        endpoints.all[endpoints.sticky.load(Ordering::Relaxed) % endpoints.all.len()].name()
    }

    /// Somebody waited this long in vain: leaves the endpoints that have answered nothing in all that time. A process
    /// that hangs still holds its connections.
    pub(super) fn distrust_silent(&self, limit: Duration) {
        for endpoint in self.0.all.iter().filter(|endpoint| endpoint.is_silent_for(limit.mul_f64(0.9))) {
            endpoint.abandon("did not answer in time");
        }
    }

    /// How many endpoints there are.
    pub fn endpoints(&self) -> usize {
        self.0.all.len()
    }
}

impl Endpoints {
    /// Indexes in the order to be tried: from the sticky one on, those that rest last, the soonest rested first.
    fn order(&self) -> Vec<usize> {
        let count = self.all.len();
        let first = self.sticky.load(Ordering::Relaxed);
        let mut order: Vec<usize> = (0..count).map(|step| (first + step) % count).collect();
        order.sort_by_key(|&index| self.all[index].rests_until());
        order
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, ChannelFault> {
        let mut last = String::new();
        for index in self.order() {
            let endpoint = &self.all[index];
            match endpoint.send(request).await {
                Ok(response) => {
                    if grpc_unavailable(&response) {
                        endpoint.failed("answered Unavailable");
                    } else {
                        endpoint.worked();
                        self.sticky.store(index, Ordering::Relaxed);
                    }
                    return Ok(response);
                }
                Err((cause, Some(unsent))) => {
                    endpoint.failed(&cause);
                    last = format!("{}: {cause}", endpoint.name());
                    request = *unsent;
                }
                Err((cause, None)) => {
                    endpoint.failed(&cause);
                    return Err(ChannelFault::Lost(format!("{}: {cause}", endpoint.name())));
                }
            }
        }
        Err(ChannelFault::NotSent(last))
    }
}

/// A refusal without a body carries its status in the headers.
fn grpc_unavailable(response: &Response<Body>) -> bool {
    response.headers().get("grpc-status").is_some_and(|status| status.as_bytes() == b"14")
}

impl tower_service::Service<Request<Body>> for EndpointChannel {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let endpoints = self.0.clone();
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Box::pin(async move {
            endpoints.send(request).await.map_err(|fault| {
                let mut status = Status::new(Code::Unavailable, fault.to_string());
                status.set_source(Arc::new(fault));
                BoxError::from(status)
            })
        })
    }
}
