//! What is answered on a connection: gRPC, the JSON gateway, the pages. In comes a request, out goes a response; which
//! of them a listener shows is said here, what they say is not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{
    sync::{Semaphore, SetOnce},
    time::timeout,
};
use tonic::{Code, Status, body::Body};

use super::{
    access::Access,
    limits,
    observe::Observation,
    pages,
    pages::{TEXT, not_found, page},
    profile,
    websocket::{self, Upgraded},
};
use crate::{
    config::HttpOptions,
    gateway::Gateway,
    grpc::{self, ClientName, Services},
    logs::LogLevel,
    members::Members,
    metrics::Metrics,
    shim::Shim,
};

/// A request that comes during the load waits so long for its end: most starts are quick, and a client does not repeat
/// a write.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// The same for every connection of the program.
pub struct Site {
    ready: SetOnce<Ready>,
    /// How far the load is, for who asks meanwhile.
    pub loaded_rows: Arc<AtomicU64>,
    pub metrics: Arc<Metrics>,
    pub(super) options: HttpOptions,
    pub(super) log_level: LogLevel,
    /// The configuration as it may be shown.
    pub(super) settings: String,
    /// One for each connection that clients may have.
    pub(super) slots: Arc<Semaphore>,
    access: Access,
    gateway: Gateway,
}

/// What there is once the log is loaded.
pub struct Ready {
    pub shim: Shim,
    pub grpc: Services,
    pub quota_backend_bytes: i64,
    pub members: Members,
    pub member_id: u64,
}

/// What a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    Everything,
    Grpc,
    Http,
    /// Metrics and health.
    Metrics,
}

/// What the connection tells of who is at its other end.
#[derive(Clone, Default)]
pub(super) struct Caller {
    pub(super) is_secure: bool,
    /// By its certificate. gRPC alone asks for it: in the gateway, as in etcd, only a token names a user.
    pub(super) name: Option<ClientName>,
}

#[derive(Clone)]
pub struct Front {
    pub site: Arc<Site>,
    pub shows: Shows,
}

impl Site {
    pub fn new(
        options: HttpOptions,
        metrics: Arc<Metrics>,
        log_level: LogLevel,
        settings: String,
        max_request_bytes: usize,
    ) -> Self {
        Self {
            ready: SetOnce::new(),
            loaded_rows: Arc::default(),
            metrics,
            access: Access::new(&options.cors, &options.host_whitelist),
            options,
            log_level,
            settings,
            slots: Arc::new(Semaphore::new(limits::connections())),
            gateway: Gateway::new(max_request_bytes),
        }
    }

    /// From now on requests are answered. Once.
    pub fn open(&self, ready: Ready) {
        if self.ready.set(ready).is_err() {
            tracing::error!("opened twice");
        }
    }

    pub(super) fn ready(&self) -> Option<&Ready> {
        self.ready.get()
    }

    /// What a caller is told until then.
    pub(super) fn progress(&self) -> String {
        format!("loading the log: {} rows so far", self.loaded_rows.load(Ordering::Relaxed))
    }
}

impl Front {
    pub(super) async fn answer(
        self,
        mut request: Request<Incoming>,
        caller: Caller,
        upgraded: &Upgraded,
    ) -> Response<Body> {
        let kind = request.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
            if let Some(name) = caller.name {
                request.extensions_mut().insert(name);
            }
            return match self.shows {
                Shows::Everything | Shows::Grpc => self.rpc(request).await,
                Shows::Http | Shows::Metrics => Status::new(Code::Unimplemented, "no gRPC on this port").into_http(),
            };
        }
        if let Some(host) = self.site.access.refused_host(&request).filter(|_| !caller.is_secure) {
            tracing::warn!(%host, "refused a request for a host that is not in --host-whitelist");
            let why = format!("the host {host:?} is not one of this server: see --host-whitelist (CVE-2018-5702)\n");
            return page(StatusCode::MISDIRECTED_REQUEST, TEXT, why);
        }
        let asked = request.headers().clone();
        let mut response = match *request.method() {
            Method::OPTIONS => Response::new(Body::empty()),
            _ => self.http(request, upgraded).await,
        };
        self.site.access.allow(&asked, &mut response);
        response
    }

    async fn http(&self, request: Request<Incoming>, upgraded: &Upgraded) -> Response<Body> {
        let path = request.uri().path();
        if let Some(clean) = pages::cleaned(path) {
            return pages::moved(&clean, request.uri().query());
        }
        let is_gateway = path.starts_with("/v3/") || path.starts_with("/v3beta/");
        match self.shows {
            Shows::Grpc => not_found(),
            Shows::Everything | Shows::Http if is_gateway && self.site.options.gateway => {
                if !websocket::is_asked_for(request.headers()) {
                    return self.gateway(request).await;
                }
                let front = self.clone();
                let bytes_max = self.site.gateway.body_bytes_max();
                websocket::accept(request, upgraded, bytes_max, |inner| async move { front.gateway(inner).await })
            }
            Shows::Everything | Shows::Http if path.starts_with("/debug/pprof/") && self.site.options.pprof => {
                profile::answer(request.uri(), &self.site.settings).await
            }
            _ => self.plain(request).await,
        }
    }

    async fn gateway<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.site.gateway.answer(request, |inner| self.rpc(inner)).await
    }

    /// Counted as it passes.
    async fn rpc<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        let site = &self.site;
        let observation = Observation::start(site.metrics.clone(), &request, site.options.slow_rpc);
        let ready = match site.ready.get() {
            Some(ready) => ready,
            None => match timeout(READY_WITHIN, site.ready.wait()).await {
                Ok(ready) => ready,
                Err(_) => return observation.follow(Status::unavailable(site.progress()).into_http()),
            },
        };
        let requires_leader = request.headers().get("hasleader").is_some_and(|value| value == "true");
        if requires_leader && !ready.shim.is_serving() {
            return observation.follow(grpc::no_leader().into_http());
        }
        let mut received = observation.received();
        let request = request.map(|body| {
            body.map_frame(move |frame| {
                frame.data_ref().inspect(|data| received.take(data));
                frame
            })
        });
        let uri = request.uri().clone();
        let mut response = ready.grpc.answer(request).await;
        grpc::translate(uri.path(), &mut response);
        observation.follow(response)
    }
}
