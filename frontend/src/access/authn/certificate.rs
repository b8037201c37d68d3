//! Client certificates: the common name is the user, the organizations are the groups.
//!
//! TLS lets any certificate in whose key the client holds, so that a bad one is answered with a 401 as the real server
//! does; whether an authority signed it is verified here. The file of authorities is read anew when it changes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use rustls::{
    RootCertStore,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Authenticator, BadCredentials};
use crate::request::{Request, User};

/// The object identifier of a user's uid in the subject.
const UID_OID: &str = "1.3.6.1.4.1.57683.2";

/// A file of authorities, as it was last when it could be used.
pub struct Authority {
    path: PathBuf,
    loaded: ArcSwap<Loaded>,
}

struct Loaded {
    pem: Vec<u8>,
    verifier: Arc<dyn ClientCertVerifier>,
}

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("--{flag}: {path:?}: {why}")]
    Unreadable { flag: &'static str, path: String, why: String },
    #[error("--{flag}: {path:?} contains no certificate")]
    Empty { flag: &'static str, path: String },
}

fn load(flag: &'static str, path: &Path) -> Result<Loaded, CertificateError> {
    let shown = path.display().to_string();
    let unreadable = |why: String| CertificateError::Unreadable { flag, path: shown.clone(), why };
    let pem = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| unreadable(e.to_string()))?;
        roots.add(certificate).map_err(|e| unreadable(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(CertificateError::Empty { flag, path: shown });
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| unreadable(e.to_string()))?;
    Ok(Loaded { pem, verifier })
}

impl Authority {
    /// `flag` names the file in errors.
    pub fn read(flag: &'static str, path: &Path) -> Result<Arc<Authority>, CertificateError> {
        let loaded = ArcSwap::from_pointee(load(flag, path)?);
        Ok(Arc::new(Authority { path: path.to_owned(), loaded }))
    }

    /// Looks whether the file changed. A file that cannot be used changes nothing. True: there are new authorities.
    pub fn reload(&self) -> bool {
        if std::fs::read(&self.path).is_ok_and(|pem| pem == self.loaded.load().pem) {
            return false;
        }
        match load("client-ca-file", &self.path) {
            Ok(loaded) => {
                tracing::info!(path = %self.path.display(), "the file of certificate authorities was read anew");
                self.loaded.store(Arc::new(loaded));
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the file of certificate authorities changed and cannot be used");
                false
            }
        }
    }

    /// The file as it is used.
    pub fn pem(&self) -> String {
        String::from_utf8_lossy(&self.loaded.load().pem).into_owned()
    }

    /// Refuses a chain that none of the authorities signed for client authentication.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), BadCredentials> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(BadCredentials("no certificate was shown".to_owned()));
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let verified =
            self.loaded.load().verifier.verify_client_cert(leaf, intermediates, UnixTime::since_unix_epoch(now));
        verified.map(|_| ()).map_err(|error| BadCredentials(format!("verifying certificate failed: x509: {error}")))
    }
}

/// Believes certificates that one of the authorities signed for client authentication.
pub struct CertificateAuthenticator(pub Arc<Authority>);

impl Authenticator for CertificateAuthenticator {
    fn authenticate<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Option<User>, BadCredentials>> {
        Box::pin(async move {
            let Some(leaf) = request.peer.certificates.first() else { return Ok(None) };
            self.0.verify(&request.peer.certificates)?;
            user_of(leaf)
        })
    }
}

fn parse<'a>(leaf: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, BadCredentials> {
    let parsed = X509Certificate::from_der(leaf).map_err(|e| BadCredentials(format!("x509: {e}")));
    parsed.map(|(_, certificate)| certificate)
}

fn last_common_name(certificate: &X509Certificate<'_>) -> String {
    let names = certificate.subject().iter_common_name().filter_map(|cn| cn.as_str().ok());
    names.last().unwrap_or_default().to_owned()
}

pub(super) fn common_name(leaf: &CertificateDer<'_>) -> Result<String, BadCredentials> {
    Ok(last_common_name(&parse(leaf)?))
}

fn user_of(leaf: &CertificateDer<'_>) -> Result<Option<User>, BadCredentials> {
    let certificate = parse(leaf)?;
    let subject = certificate.subject();
    let name = last_common_name(&certificate);
    if name.is_empty() {
        return Ok(None);
    }
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_owned).collect();
    let fingerprint: String = Sha256::digest(leaf).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(User {
        name,
        uid: uid_of(&certificate)?,
        groups,
        extra: vec![(
            "authentication.kubernetes.io/credential-id".to_owned(),
            vec![format!("X509SHA256={fingerprint}")],
        )],
    }))
}

fn uid_of(certificate: &X509Certificate<'_>) -> Result<String, BadCredentials> {
    let attributes = certificate.subject().iter_attributes();
    let found = attributes.filter(|attribute| attribute.attr_type().to_id_string() == UID_OID);
    let uids: Option<Vec<&str>> = found.map(|attribute| attribute.as_str().ok()).collect();
    match uids.as_deref() {
        None => Err(BadCredentials("unable to parse UID into a string".to_owned())),
        Some([]) => Ok(String::new()),
        Some([""]) => Err(BadCredentials("UID cannot be an empty string".to_owned())),
        Some([uid]) => Ok((*uid).to_owned()),
        Some(uids) => Err(BadCredentials(format!("expected 1 UID, but found multiple: [{}]", uids.join(" ")))),
    }
}
