//! Connections: resolved, dialled, and secured where the URL says so.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    error::{CallError, io_text},
    peer::{Address, Peer},
    tls,
};

#[derive(Clone)]
pub(super) struct Connector {
    tls: Arc<rustls::ClientConfig>,
    server_name: Option<String>,
    address: Option<Address>,
}

impl Connector {
    pub(super) fn new(peer: &Peer) -> Result<Connector, CallError> {
        Ok(Connector {
            tls: Arc::new(tls::config(peer)?),
            server_name: peer.server_name.clone(),
            address: peer.address.clone(),
        })
    }

    pub(super) async fn connect(self, uri: Uri) -> Result<Stream, CallError> {
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let address = self.address.unwrap_or_else(|| Address { host: host.clone(), port });
        let tcp = dial(&address).await?;
        if !secure {
            return Ok(Stream { io: TokioIo::new(Box::new(tcp)) });
        }
        let name = self.server_name.unwrap_or(host);
        let name = ServerName::try_from(name.clone()).map_err(|_| {
            CallError(format!("tls: either ServerName or InsecureSkipVerify must be specified: {name}"))
        })?;
        let handshake = TlsConnector::from(self.tls).connect(name, tcp);
        match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
            Ok(Ok(stream)) => Ok(Stream { io: TokioIo::new(Box::new(stream)) }),
            Ok(Err(error)) => Err(CallError(tls::text(&error))),
            Err(_) => Err(CallError("net/http: TLS handshake timeout".to_owned())),
        }
    }
}

/// As Go's clients in the original wait.
const DIAL_MAX: Duration = Duration::from_secs(30);
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

async fn dial(address: &Address) -> Result<TcpStream, CallError> {
    let shown = match address.host.contains(':') {
        true => format!("[{}]:{}", address.host, address.port),
        false => format!("{}:{}", address.host, address.port),
    };
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let addresses: Vec<_> = match found {
        Ok(addresses) => addresses.collect(),
        Err(_) => return Err(CallError(format!("dial tcp: lookup {}: no such host", address.host))),
    };
    let mut last = None;
    for address in addresses {
        let connected = tokio::time::timeout(DIAL_MAX, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                // Small messages must not wait for others; a socket that cannot promise that works all the same.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some((address, error)),
        }
    }
    Err(CallError(match last {
        Some((address, error)) => format!("dial tcp {address}: {}", io_text("connect", &error)),
        None => format!("dial tcp: lookup {shown}: no such host"),
    }))
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, CallError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, secured or not.
pub(super) struct Stream {
    io: TokioIo<Box<dyn Duplex>>,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
