//! Client certificates: the common name is the user, the organizations are the groups.
//!
//! TLS lets any certificate in whose key the client holds, so that a bad one is answered with a 401 as the real server
//! does; whether an authority signed it is judged here.

use std::{path::Path, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use rustls::{
    RootCertStore,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Authenticator, BadCredentials};
use crate::request::Request;
use crate::request::User;

/// Believes certificates that one of its authorities signed for client authentication.
pub struct CertificateAuthenticator {
    verifier: Arc<dyn ClientCertVerifier>,
}

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("client CA file {path:?}: {why}")]
    Unreadable { path: String, why: String },
    #[error("client CA file {path:?} contains no certificate")]
    Empty { path: String },
}

impl CertificateAuthenticator {
    pub fn read(path: &Path) -> Result<CertificateAuthenticator, CertificateError> {
        let shown = path.display().to_string();
        let unreadable = |why: String| CertificateError::Unreadable { path: shown.clone(), why };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| unreadable(e.to_string()))? {
            let certificate = certificate.map_err(|e| unreadable(e.to_string()))?;
            roots.add(certificate).map_err(|e| unreadable(e.to_string()))?;
        }
        if roots.is_empty() {
            return Err(CertificateError::Empty { path: shown });
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| unreadable(e.to_string()))?;
        Ok(CertificateAuthenticator { verifier })
    }
}

#[async_trait]
impl Authenticator for CertificateAuthenticator {
    async fn authenticate(&self, request: &Request) -> Result<Option<User>, BadCredentials> {
        let Some((leaf, intermediates)) = request.peer.certificates.split_first() else { return Ok(None) };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.verifier
            .verify_client_cert(leaf, intermediates, UnixTime::since_unix_epoch(now))
            .map_err(|error| BadCredentials(format!("x509: {error}")))?;
        user_of(leaf)
    }
}

fn user_of(leaf: &CertificateDer<'_>) -> Result<Option<User>, BadCredentials> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|e| BadCredentials(format!("x509: {e}")))?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().filter_map(|cn| cn.as_str().ok()).last().unwrap_or_default();
    if name.is_empty() {
        return Ok(None);
    }
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_owned).collect();
    let fingerprint: String = Sha256::digest(leaf).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(User {
        name: name.to_owned(),
        uid: String::new(),
        groups,
        extra: vec![(
            "authentication.kubernetes.io/credential-id".to_owned(),
            vec![format!("X509SHA256={fingerprint}")],
        )],
    }))
}
