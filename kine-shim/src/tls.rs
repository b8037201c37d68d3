//! TLS of the listeners. In go the named files, out come handshakes; changed files are taken over without a restart. What the
//! certificate of a client means is not decided here.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::TlsFiles;
use crate::grpc::ClientName;

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
#[error("--{flag}: {reason}")]
pub struct TlsError {
    flag: &'static str,
    reason: String,
}

fn wrong(flag: &'static str, reason: impl std::fmt::Display) -> TlsError {
    TlsError { flag, reason: reason.to_string() }
}

/// The files' bytes, to notice a change.
#[derive(Clone, PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    trusted_ca: Option<Vec<u8>>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |flag, file: &Path| {
            std::fs::read(file).map_err(|error| wrong(flag, format!("{}: {error}", file.display())))
        };
        Ok(Self {
            cert: read("cert-file", &files.cert)?,
            key: read("key-file", &files.key)?,
            trusted_ca: files.trusted_ca.as_deref().map(|ca| read("trusted-ca-file", ca)).transpose()?,
        })
    }

    fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("cert-file", error))?;
        let builder = match &self.trusted_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("trusted-ca-file", ca)? {
                    roots.add(certificate).map_err(|error| wrong("trusted-ca-file", error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| wrong("trusted-ca-file", error))?)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| wrong("key-file", error))?;
        let chain = certificates("cert-file", &self.cert)?;
        let mut config = builder.with_single_cert(chain, key).map_err(|error| wrong("cert-file", error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certificates(flag: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.map_err(|error| wrong(flag, error))?;
    if certificates.is_empty() { Err(wrong(flag, "no certificate in it")) } else { Ok(certificates) }
}

/// The server's side of TLS, always of the newest good files.
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let config = Contents::read(&files)?.server_config()?;
        Ok(Arc::new(Self { files, current: ArcSwap::from_pointee(config) }))
    }

    /// For one connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// What the client's certificate calls it, where such names mean users. Without a common name in it: nothing.
    pub fn client_name(&self, connection: &ServerConnection) -> Option<ClientName> {
        let certificate = connection.peer_certificates().filter(|_| self.files.client_cert_auth)?.first()?;
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        // The last one counts, as in Go.
        let name = certificate.subject().iter_common_name().last().and_then(|name| name.as_str().ok());
        Some(ClientName(name.unwrap_or_default().into()))
    }

    /// Takes changed files over, for ever. Bad or half-written ones are told once and leave the old ones in force.
    pub async fn keep_fresh(self: Arc<Self>) {
        let mut seen = Contents::read(&self.files).ok();
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            // A few kilobytes from the page cache: no reason to leave this thread.
            let found = match Contents::read(&self.files) {
                Ok(found) if Some(&found) != seen.as_ref() => found,
                _ => continue,
            };
            match found.server_config() {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    tracing::info!("changed certificates are in force");
                }
                Err(error) => tracing::warn!(%error, "changed certificates are not usable; the old ones stay"),
            }
            seen = Some(found);
        }
    }
}
