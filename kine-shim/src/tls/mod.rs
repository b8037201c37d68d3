//! TLS of the listeners. In go the named files, out come handshakes; changed files are taken over without a restart.
//! What the certificate of a client means is not decided here.

mod hostnames;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

use self::hostnames::AllowedHostnames;
use crate::{
    config::{TlsFiles, TlsVersions},
    cryptography,
    grpc::ClientName,
    remedy::with_remedy,
};

const SECONDS_OF_YEAR: u64 = 31_556_952;
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
    client_crl: Option<Vec<u8>>,
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
            client_crl: files.client_crl.as_deref().map(|list| read("client-crl-file", list)).transpose()?,
        })
    }

    fn server_config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(offered(&files.cipher_suites)?);
        let versions: &[&SupportedProtocolVersion] = match files.versions {
            TlsVersions::From12 => &[&TLS13, &TLS12],
            TlsVersions::Only12 => &[&TLS12],
            TlsVersions::Only13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| wrong("cipher-suites", error))?;
        let builder = match &self.trusted_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => builder.with_client_cert_verifier(self.client_verifier(ca, files, provider)?),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| wrong("key-file", error))?;
        let chain = certificates("cert-file", &self.cert)?;
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| wrong("cert-file", with_remedy(&error)))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn client_verifier(
        &self,
        ca: &[u8],
        files: &TlsFiles,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("trusted-ca-file", ca)? {
            roots.add(certificate).map_err(|error| wrong("trusted-ca-file", with_remedy(&error)))?;
        }
        // Only what a list revokes is refused, as in etcd: an authority without a list has revoked nothing.
        let authority = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls(self.revoked()?)
            .only_check_end_entity_revocation()
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| wrong("trusted-ca-file", error))?;
        let names = files.client_hostnames.clone();
        Ok(if names.is_empty() { authority } else { Arc::new(AllowedHostnames { names, authority }) })
    }

    /// Lists in PEM or, as etcd wants them, one in DER.
    fn revoked(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let Some(bytes) = &self.client_crl else { return Ok(Vec::new()) };
        let pem: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(bytes).collect();
        match pem {
            Ok(lists) if !lists.is_empty() => Ok(lists),
            Ok(_) if !bytes.is_empty() => Ok(vec![bytes.clone().into()]),
            Ok(_) => Err(wrong("client-crl-file", "it is empty")),
            Err(error) => Err(wrong("client-crl-file", error)),
        }
    }
}

/// What is safe, cut down to the suites named: IANA's names, as Go has them.
fn offered(suites: &[String]) -> Result<CryptoProvider, TlsError> {
    let mut provider = cryptography::provider();
    if suites.is_empty() {
        return Ok(provider);
    }
    let name = |suite: &SupportedCipherSuite| suite.suite().as_str().unwrap_or_default().replace("TLS13_", "TLS_");
    // Go names the suites with ChaCha20 both ways.
    let wanted = |known: &str| suites.iter().any(|suite| suite == known || format!("{suite}_SHA256") == known);
    for suite in suites {
        let is_known =
            provider.cipher_suites.iter().map(name).any(|known| known == *suite || known == format!("{suite}_SHA256"));
        if !is_known {
            return Err(wrong("cipher-suites", format!("{suite:?} is not known, or not safe")));
        }
    }
    provider.cipher_suites.retain(|suite| wanted(&name(suite)));
    Ok(provider)
}

/// A certificate for `names`, signed by itself, if it is not there from an earlier start.
pub fn make_self_signed(files: &TlsFiles, names: Vec<String>) -> Result<(), TlsError> {
    let Some(years) = files.self_signed_years.filter(|_| !files.cert.exists() || !files.key.exists()) else {
        return Ok(());
    };
    let made = || -> Result<(), Box<dyn std::error::Error>> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new(names)?;
        // Whole calendar years, at least as many as asked for.
        let this_year =
            1970 + i32::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / SECONDS_OF_YEAR)?;
        params.not_before = rcgen::date_time_ymd(this_year - 1, 12, 31);
        params.not_after = rcgen::date_time_ymd(this_year + i32::try_from(years.min(1000))? + 1, 1, 2);
        let certificate = params.self_signed(&key)?;
        if let Some(folder) = files.cert.parent() {
            std::fs::create_dir_all(folder)?;
        }
        write_private(&files.key, &key.serialize_pem())?;
        std::fs::write(&files.cert, certificate.pem())?;
        Ok(())
    };
    made().map_err(|error| wrong("auto-tls", format!("{}: {error}", files.cert.display())))
}

fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
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
        let config = Contents::read(&files)?.server_config(&files)?;
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
            match found.server_config(&self.files) {
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
