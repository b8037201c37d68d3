//! The listener: TCP, TLS, HTTP/1.1 and HTTP/2 by ALPN, and an orderly end.
//!
//! In: a [`Listen`] configuration and the [`Server`] that answers. Out: served connections. Not here: who the client is
//! beyond the certificates it showed (authn), what is answered (pipeline).

mod error;
mod gathered;
mod serving_cert;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

pub use error::NetError;
use gathered::Gathered;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{config::Listen, request::Peer, server::pipeline::Server};

/// Connections that may be open at a time; a further one waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 16 * 1024;
/// A client that does not finish its handshake in this time is cut.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// A request's head must arrive in this time on HTTP/1.1.
const HEAD_MAX: Duration = Duration::from_secs(32);
/// Headers of one request, and their bytes: what Go's server allows by default, near enough.
const HEADERS_MAX: usize = 512;
const HEAD_BYTES_MAX: u32 = 1024 * 1024;
/// After the signal to stop, requests that are under way get this long.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// HTTP/2: streams that a client may open and reset at once before the connection counts as an attack. Controllers that
/// restart many watches reset hundreds.
const RESET_STREAMS_MAX: usize = 4096;

/// A bound listener, not serving yet.
pub struct Listener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    http2_streams_max: u32,
}

impl Listener {
    /// Reads or makes the certificate and binds.
    pub async fn bind(listen: &Listen, names: &[String]) -> Result<Listener, NetError> {
        let certified = serving_cert::load_or_make(listen, names)?;
        let config = tls::server_config(certified, listen)?;
        let address = SocketAddr::new(listen.address, listen.port);
        let tcp = TcpListener::bind(address).await.map_err(|source| NetError::Bind { address, source })?;
        Ok(Listener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)), http2_streams_max: listen.http2_streams_max })
    }

    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Accepts until `stop`, then lets requests under way finish, for a bounded time. All tasks have ended on return.
    pub async fn serve(self, server: Arc<Server>, stop: CancellationToken) {
        let (graceful, connections) = (GracefulShutdown::new(), TaskTracker::new());
        let cut = CancellationToken::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let builder = Arc::new(self.http());
        loop {
            let place = tokio::select! {
                () = stop.cancelled() => break,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.tcp.accept() => accepted,
            };
            let (tcp, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: pause instead of spinning.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let connection = connection(
                tcp,
                address,
                self.acceptor.clone(),
                Arc::clone(&builder),
                Arc::clone(&server),
                graceful.watcher(),
            );
            let cut = cut.clone();
            connections.spawn(async move {
                let _place = place;
                cut.run_until_cancelled(connection).await;
            });
        }
        drop(self.tcp);
        connections.close();
        drain(graceful, &server, &connections, &cut).await;
    }

    fn http(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_headers(HEADERS_MAX);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(HEAD_BYTES_MAX)
            .max_concurrent_streams(self.http2_streams_max)
            .max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
            .max_local_error_reset_streams(Some(RESET_STREAMS_MAX))
            .keep_alive_interval(Some(Duration::from_secs(30)))
            .keep_alive_timeout(Duration::from_secs(15));
        builder
    }
}

/// Ends open connections: idle ones at once, others when their request is answered, all of them when time is up.
async fn drain(graceful: GracefulShutdown, server: &Server, connections: &TaskTracker, cut: &CancellationToken) {
    let finished = async {
        graceful.shutdown().await;
        server.tasks.close();
        server.tasks.wait().await;
    };
    if tokio::time::timeout(DRAIN_MAX, finished).await.is_err() {
        tracing::warn!("requests under way did not finish in time and are cut");
    }
    cut.cancel();
    connections.wait().await;
}

/// One connection, from the handshake to its end.
async fn connection(
    tcp: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    builder: Arc<auto::Builder<TokioExecutor>>,
    server: Arc<Server>,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Small answers must not wait for more to send.
    let _ = tcp.set_nodelay(true);
    let tls = match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "TLS handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!(%address, "TLS handshake took too long");
            return;
        }
    };
    let certificates = tls.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|c| c.clone().into_owned()).collect();
    let peer = Peer { address: Some(address), certificates };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (server, peer) = (Arc::clone(&server), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(server.handle(request, peer).await) }
    });
    let io = Gathered::new(tls);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(io.clone()), service);
    if let Err(error) = io.drive(watcher.watch(served)).await {
        tracing::debug!(%address, error, "connection ended");
    }
}
