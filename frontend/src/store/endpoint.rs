//! One endpoint of the store: its address, its TLS, its one HTTP/2 connection, and how it has been doing.

use std::{io, sync::Arc, time::Duration};

use http::{Request, Response, Uri, uri::PathAndQuery};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex as SyncMutex;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{net::TcpStream, sync::Mutex, time::Instant};
use tokio_rustls::TlsConnector;
use tonic::body::Body;

use super::{config::StoreConfig, error::StoreError};

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// A watch's peer that answers no ping for this long, after being asked, is dead. etcd closes connections that are
/// pinged more often than every 5 s, or at all while nothing is asked of it.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_LIMIT: Duration = Duration::from_secs(5);
const REST_MIN: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(15);
/// Large enough that one list or one burst of events does not wait for window updates.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;

/// The client side of TLS, shared by all https endpoints; None when no endpoint needs it.
pub(super) struct Tls(Option<TlsConnector>);

impl Tls {
    pub(super) fn load(config: &StoreConfig) -> Result<Tls, StoreError> {
        let Some(ca) = &config.ca else {
            if config.cert.is_some() || config.key.is_some() {
                return Err(StoreError::Config("a client certificate needs a CA for the server's".into()));
            }
            return Ok(Tls(None));
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca)? {
            roots.add(certificate).map_err(|error| bad(ca, error))?;
        }
        if roots.is_empty() {
            return Err(StoreError::Config(format!("{}: holds no certificate", ca.display())));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| StoreError::Config(error.to_string()))?
            .with_root_certificates(roots);
        let mut client = match (&config.cert, &config.key) {
            (Some(cert), Some(key)) => {
                let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error))?;
                builder.with_client_auth_cert(certificates(cert)?, key_der).map_err(|error| bad(cert, error))?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err(StoreError::Config("a client certificate and its key belong together".into())),
        };
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Tls(Some(TlsConnector::from(Arc::new(client)))))
    }
}

fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(path, error))
}

fn bad(path: &std::path::Path, error: impl std::fmt::Display) -> StoreError {
    StoreError::Config(format!("{}: {error}", path.display()))
}

pub(super) struct Endpoint {
    origin: Uri,
    name: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Held while connecting, so that a burst of requests makes one connection.
    connection: Mutex<Option<SendRequest<Body>>>,
    health: SyncMutex<Health>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
    in_flight: u32,
    /// Since when it has answered nothing that it was asked, and when the last who asked gave up.
    silent_since: Option<Instant>,
    given_up_at: Option<Instant>,
}

/// A request that waits for its answer; dropped with it.
struct InFlight<'e>(&'e Endpoint);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut health = self.0.health.lock();
        health.in_flight -= 1;
        if health.in_flight == 0 {
            health.given_up_at = Some(Instant::now());
        }
    }
}

/// A request that got no response: the cause, and the request itself when it provably never left.
pub(super) type Unanswered = (String, Option<Box<Request<Body>>>);

impl Endpoint {
    pub(super) fn parse(server: &str, tls: &Tls) -> Result<Endpoint, StoreError> {
        let fault = |why: &str| StoreError::Config(format!("endpoint {server:?}: {why}"));
        let text = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        let origin: Uri = text.trim_end_matches('/').parse().map_err(|_| fault("not a URL"))?;
        let host = origin.host().ok_or_else(|| fault("names no host"))?.trim_matches(['[', ']']).to_owned();
        if origin.path() != "/" || origin.query().is_some() {
            return Err(fault("must not have a path"));
        }
        let tls = match origin.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let connector = tls.0.clone().ok_or_else(|| fault("https needs a CA file"))?;
                let name = ServerName::try_from(host.clone()).map_err(|_| fault("not a host name"))?;
                Some((connector, name))
            }
            _ => return Err(fault("the scheme must be http or https")),
        };
        let port = origin.port_u16().unwrap_or(2379);
        let name = format!("{host}:{port}");
        Ok(Endpoint { origin, name, host, port, tls, connection: Mutex::new(None), health: SyncMutex::default() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// None when it may be used now; otherwise when its rest ends.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        self.health.lock().rests_until.filter(|until| *until > Instant::now())
    }

    pub(super) fn worked(&self) {
        let mut health = self.health.lock();
        health.silent_since = None;
        if health.failures > 0 {
            tracing::info!(endpoint = %self.name, "store endpoint answers again");
            health.failures = 0;
            health.rests_until = None;
        }
    }

    /// Whether it has answered nothing for so long, though asked.
    pub(super) fn is_silent_for(&self, limit: Duration) -> bool {
        let health = self.health.lock();
        let lately = health.given_up_at.is_none_or(|at| at.elapsed() < limit);
        lately && health.silent_since.is_some_and(|since| since.elapsed() >= limit)
    }

    /// Leaves the present connection to the requests that still wait on it.
    pub(super) fn abandon(&self, cause: &str) {
        self.failed(cause);
        self.health.lock().silent_since = None;
        // When it is locked, a new connection is being made already.
        if let Ok(mut kept) = self.connection.try_lock() {
            *kept = None;
        }
    }

    fn in_flight(&self) -> InFlight<'_> {
        let mut health = self.health.lock();
        if health.in_flight == 0 {
            // Whoever gave up before may have done so for reasons of his own.
            health.silent_since = None;
            health.given_up_at = None;
        }
        health.in_flight += 1;
        health.silent_since.get_or_insert_with(Instant::now);
        InFlight(self)
    }

    pub(super) fn failed(&self, cause: &str) {
        let mut health = self.health.lock();
        if health.rests_until.is_some_and(|until| until > Instant::now()) {
            // Asked all the same, because all rest: that proves nothing new.
            tracing::debug!(endpoint = %self.name, cause, "store endpoint still fails");
            return;
        }
        let rest = REST_MIN.saturating_mul(1 << health.failures.min(8)).min(REST_MAX);
        health.failures = health.failures.saturating_add(1);
        health.rests_until = Some(Instant::now() + rest);
        tracing::warn!(endpoint = %self.name, cause, ?rest, "store endpoint failed");
    }

    /// Sends on the kept connection, or on a new one.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Unanswered> {
        *request.uri_mut() = with_origin(request.uri().path_and_query(), &self.origin);
        let mut fresh = false;
        let _waiting = self.in_flight();
        loop {
            let (mut sender, is_new) = match self.connection().await {
                Ok(connection) => connection,
                Err(error) => return Err((error.to_string(), Some(Box::new(request)))),
            };
            fresh |= is_new;
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(response.map(Body::new)),
                Err(mut error) => {
                    let unsent = error.take_message();
                    let cause = chain(error.error());
                    match unsent {
                        // The kept connection had died unnoticed: that says nothing about the endpoint.
                        Some(unsent) if !fresh => request = unsent,
                        unsent => return Err((cause, unsent.map(Box::new))),
                    }
                }
            }
        }
    }

    /// The connection, and whether it is new.
    async fn connection(&self) -> io::Result<(SendRequest<Body>, bool)> {
        let mut kept = self.connection.lock().await;
        if let Some(sender) = kept.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok((sender.clone(), false));
        }
        let sender = tokio::time::timeout(CONNECT_LIMIT, self.connect())
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "connecting took too long")))?;
        *kept = Some(sender.clone());
        Ok((sender, true))
    }

    async fn connect(&self) -> io::Result<SendRequest<Body>> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => handshake(TokioIo::new(tcp)).await,
            Some((connector, name)) => handshake(TokioIo::new(connector.connect(name.clone(), tcp).await?)).await,
        }
    }
}

async fn handshake<T>(io: T) -> io::Result<SendRequest<Body>>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_LIMIT)
        .keep_alive_while_idle(false)
        .handshake(io)
        .await
        .map_err(|error| io::Error::other(chain(&error)))?;
    // Ends by itself when the connection closes or the last sender is dropped; its error reaches every request on it.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(cause = chain(&error), "store connection ended");
        }
    });
    Ok(sender)
}

/// An error with its sources: hyper's own text says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// The request's path under an endpoint's scheme and authority.
fn with_origin(path: Option<&PathAndQuery>, origin: &Uri) -> Uri {
    let mut parts = origin.clone().into_parts();
    parts.path_and_query = Some(path.cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).unwrap_or_else(|_| origin.clone())
}
