//! Listeners and connections: gRPC and the plain pages on one port, as etcd has it. In come connections, out go bytes; what is
//! asked is answered by `grpc` and by [`endpoints`].

mod endpoints;
mod observe;

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt;

use self::observe::Observation;
use crate::config::{Address, Listener};
use crate::grpc::{ClientName, RESET_STREAMS_MAX};
use crate::metrics::Metrics;
use crate::shim::Shim;
use crate::tls::Tls;

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(20);
/// How long connections may finish what they do once the server stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// After a failed accept (no file descriptors left, say): not a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// What every connection answers with.
#[derive(Clone)]
pub struct Front {
    pub shim: Shim,
    /// `None` on the listeners that only show metrics and health.
    pub grpc: Option<Routes>,
    pub metrics: Arc<Metrics>,
    pub quota_backend_bytes: i64,
}

/// A socket that is bound, so that a taken port is known before anything else starts.
pub struct Bound {
    listener: Listener,
    socket: Socket,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Bound {
    pub async fn bind(listener: Listener) -> io::Result<Self> {
        let socket = match &listener.address {
            Address::Tcp(address) => Socket::Tcp(TcpListener::bind(address).await?),
            Address::Unix(path) => {
                // One left behind by a process that was killed. A living one answers.
                if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
                    std::fs::remove_file(path)?;
                }
                Socket::Unix(UnixListener::bind(path)?)
            }
        };
        Ok(Self { listener, socket })
    }

    /// The URL with the port really taken.
    pub fn url(&self) -> String {
        match &self.socket {
            Socket::Tcp(socket) => match socket.local_addr() {
                Ok(address) => format!("{}://{address}", if self.listener.tls { "https" } else { "http" }),
                Err(_) => self.listener.to_string(),
            },
            Socket::Unix(_) => self.listener.to_string(),
        }
    }

    /// Serves until `stop`, then lets the connections end. `tls` is there when the listener wants it.
    pub async fn serve(self, front: Front, tls: Option<Arc<Tls>>, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let tls = tls.filter(|_| self.listener.tls);
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok(Stream::Tcp(stream)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection(stream, front.clone(), tls.clone(), stop.clone()));
                }
                Ok(Stream::Unix(stream)) => {
                    connections.spawn(connection(stream, front.clone(), tls.clone(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        connections.close();
        connections.wait().await;
        if let Address::Unix(path) = &self.listener.address {
            let _ = std::fs::remove_file(path);
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(socket) => socket.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
            Socket::Unix(socket) => socket.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn connection<S>(stream: S, front: Front, tls: Option<Arc<Tls>>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let metrics = front.metrics.clone();
    metrics.connections.inc();
    match tls {
        None => talk(stream, front, None, stop).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_WITHIN, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => {
                let client = tls.client_name(stream.get_ref().1);
                talk(stream, front, client, stop).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
    metrics.connections.dec();
}

/// HTTP/1.1 or HTTP/2, as the client begins.
async fn talk<S>(stream: S, front: Front, client: Option<ClientName>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_WITHIN)
        .max_concurrent_streams(None)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(RESET_STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let front = front.clone();
        if let Some(client) = &client {
            request.extensions_mut().insert(client.clone());
        }
        async move { Ok::<_, Infallible>(front.answer(request).await) }
    });
    let mut serving = pin!(server.serve_connection(TokioIo::new(stream), answer));
    let ended = tokio::select! {
        ended = serving.as_mut() => Some(ended),
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_WITHIN, serving).await.ok()
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

impl Front {
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let is_grpc =
            request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let Some(grpc) = self.grpc.clone().filter(|_| is_grpc) else { return self.plain(&request).await };
        let observation = Observation::start(self.metrics.clone(), request.uri().path());
        let received = self.metrics.client_received_bytes.clone();
        let request = request.map(|body| {
            body.map_frame(move |frame| {
                received.inc_by(frame.data_ref().map_or(0, |data| data.len() as u64));
                frame
            })
        });
        match grpc.oneshot(request).await {
            Ok(response) => observation.follow(response),
            Err(never) => match never {},
        }
    }
}
