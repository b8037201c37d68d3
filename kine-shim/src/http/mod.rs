//! Listeners and connections: gRPC and the plain pages on one port, as etcd has it. In come connections, out go bytes;
//! what is asked is answered by [`Front`].

mod access;
mod endpoints;
mod front;
mod limits;
mod observe;
mod opening;
mod own_task;
mod pages;
mod profile;
mod websocket;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::limits::open_files;
use self::{
    front::Caller,
    opening::Opened,
    own_task::{Connection, OwnTask},
    websocket::Upgraded,
};
pub use self::{
    front::{Front, Ready, Shows, Site},
    limits::raise_open_files,
};
use crate::{
    config::{Address, HttpOptions, Listener},
    grpc::RESET_STREAMS_MAX,
    remedy::remedy,
    tls::Tls,
};

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// How long connections may finish what they do once the server stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// After a failed accept (no file descriptors left, say): not a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is told that no more connections are taken.
const FULL_EVERY: Duration = Duration::from_secs(60);
/// Connections that the kernel keeps waiting.
const BACKLOG: u32 = 4096;
/// Metadata of one request, as Go's HTTP servers take it by default.
const HEADER_BYTES: u32 = 1 << 20;
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

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
    pub async fn bind(listener: Listener, reuse_port: bool) -> io::Result<Self> {
        let socket = match &listener.address {
            Address::Tcp(address) => Socket::Tcp(bound(address, reuse_port).await?),
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

    /// Serves until `stop`, then lets the connections end. `tls` is there when the listener wants it. When as many
    /// connections are open as may be, nobody is accepted until one ends.
    pub async fn serve(self, front: Front, tls: Option<Arc<Tls>>, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let tls = tls.filter(|_| self.listener.tls);
        let slots = match front.shows {
            Shows::Metrics => Arc::new(Semaphore::new(limits::METRICS_CONNECTIONS)),
            _ => front.site.slots.clone(),
        };
        let mut told_full = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.next(&slots, &mut told_full) => accepted,
            };
            match accepted {
                Ok((Stream::Tcp(stream), slot)) => {
                    let _ = stream.set_nodelay(true);
                    let peer = stream.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
                    connections.spawn(connection(stream, peer, front.clone(), tls.clone(), slot, stop.clone()));
                }
                Ok((Stream::Unix(stream), slot)) => {
                    connections.spawn(connection(
                        stream,
                        String::new(),
                        front.clone(),
                        tls.clone(),
                        slot,
                        stop.clone(),
                    ));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Who comes now is refused at once instead of waiting in the kernel's queue.
        drop(self.socket);
        connections.close();
        connections.wait().await;
        if let Address::Unix(path) = &self.listener.address {
            let _ = std::fs::remove_file(path);
        }
    }

    async fn next(
        &self,
        slots: &Arc<Semaphore>,
        told_full: &mut Option<Instant>,
    ) -> io::Result<(Stream, OwnedSemaphorePermit)> {
        if slots.available_permits() == 0 && told_full.is_none_or(|told| told.elapsed() > FULL_EVERY) {
            *told_full = Some(Instant::now());
            tracing::warn!(url = self.url(), "no more connections are taken until others end");
        }
        let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
        Ok((self.accept().await?, slot))
    }

    async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(socket) => socket.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
            Socket::Unix(socket) => socket.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// The first of the name's addresses that can be bound.
async fn bound(address: &str, reuse_port: bool) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host(address).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(reuse_port)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

/// One more is open as long as this lives.
struct Open<'a>(&'a Site);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

async fn connection<S>(
    stream: S,
    peer: String,
    front: Front,
    tls: Option<Arc<Tls>>,
    _slot: OwnedSemaphorePermit,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let site = front.site.clone();
    site.metrics.connections.inc();
    let _open = Open(&site);
    // Boxed: what only the handshake needs is gone when it is done, and idle connections are small.
    match tls {
        None => Box::pin(talk(stream, front, Caller::default(), stop)).await,
        Some(tls) => match Box::pin(tokio::time::timeout(HANDSHAKE_WITHIN, tls.acceptor().accept(stream))).await {
            Ok(Ok(stream)) => {
                let caller = Caller { is_secure: true, name: tls.client_name(stream.get_ref().1) };
                Box::pin(talk(stream, front, caller, stop)).await;
            }
            // Somebody who only looks whether the port is open is no news.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                tracing::debug!(peer, %error, "no TLS handshake")
            }
            Ok(Err(error)) => {
                let remedy = remedy(&error);
                tracing::warn!(peer, %error, remedy, "rejected connection on client endpoint: the TLS handshake failed")
            }
            Err(_) => tracing::warn!(peer, "rejected connection on client endpoint: the TLS handshake took too long"),
        },
    }
}

/// HTTP/1.1 or HTTP/2, as the client begins.
async fn talk<S>(stream: S, front: Front, caller: Caller, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let opened = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        opened = Box::pin(Opened::read(stream, HEADERS_WITHIN)) => opened,
    };
    match opened {
        Ok((stream, is_http2)) => Box::pin(exchange(stream, is_http2, front, caller, stop)).await,
        Err(error) => tracing::debug!(%error, "a connection said nothing"),
    }
}

async fn exchange<S>(stream: Opened<S>, is_http2: bool, front: Front, caller: Caller, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let own_task = OwnTask::default();
    let server = protocol(is_http2, &front.site.options, own_task.clone());
    let upgraded = Upgraded { tasks: TaskTracker::new(), stop: stop.clone() };
    let upgrades = upgraded.clone();
    let answer = service_fn(move |request: Request<Incoming>| {
        let (front, caller, upgraded) = (front.clone(), caller.clone(), upgrades.clone());
        async move { Ok::<_, Infallible>(front.answer(request, caller, &upgraded).await) }
    });
    let serving = server.serve_connection_with_upgrades(TokioIo::new(stream), answer);
    let mut serving = Connection::new(serving, own_task);
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_WITHIN, serving).await.ok()
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection broke");
    }
    upgraded.tasks.close();
    upgraded.tasks.wait().await;
}

/// Go clients cancel streams heavily: with h2's own limits of reset streams a busy connection ends in GOAWAY.
fn protocol(is_http2: bool, options: &HttpOptions, own_task: OwnTask) -> auto::Builder<OwnTask> {
    let server = auto::Builder::new(own_task);
    let mut server = if is_http2 { server.http2_only() } else { server.http1_only() };
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_within)
        .max_header_list_size(HEADER_BYTES)
        .max_concurrent_streams(Some(options.max_concurrent_streams).filter(|streams| *streams < u32::MAX))
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(RESET_STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    server
}
