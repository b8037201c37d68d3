//! Client certificates: the common name is the user, the organizations are the groups.
//!
//! TLS lets any certificate in whose key the client holds, so that a bad one is answered with a 401 as the real server
//! does; whether an authority signed it is verified here, and remembered for a while. The file of authorities is read
//! anew when it changes, and then nothing is remembered.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
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
use crate::{
    access::kept::{self, Kept},
    request::{Request, User},
};

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
    /// What was found of the chains that these authorities signed: a signature takes longer than most requests.
    verified: Kept<Result<Arc<Leaf>, BadCredentials>>,
}

/// Chains that are remembered.
const VERIFIED_MAX: usize = 4096;
/// A chain is verified again after this, and when one of its certificates has ended.
const VERIFIED_FOR: Duration = Duration::from_secs(300);

/// Whom a certificate names.
pub(super) struct Leaf {
    pub(super) common_name: String,
    user: Result<Option<User>, BadCredentials>,
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
    Ok(Loaded { pem, verifier, verified: Kept::new(VERIFIED_MAX) })
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
    pub(super) async fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<Leaf>, BadCredentials> {
        let loaded = self.loaded.load_full();
        let key = kept::key(chain.iter().map(AsRef::as_ref));
        let verify = async { loaded.verify(chain) };
        let time = |found: &Result<_, _>| found.is_ok().then(|| VERIFIED_FOR.min(time_left(chain)));
        loaded.verified.get_or_ask(key, verify, time).await
    }
}

impl Loaded {
    fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<Leaf>, BadCredentials> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(BadCredentials("no certificate was shown".to_owned()));
        };
        let now = UnixTime::since_unix_epoch(since_epoch());
        let verified = self.verifier.verify_client_cert(leaf, intermediates, now);
        verified.map_err(|error| BadCredentials(format!("verifying certificate failed: x509: {error}")))?;
        Ok(Arc::new(Leaf { common_name: last_common_name(&parse(leaf)?), user: user_of(leaf) }))
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Until the first of the certificates ends; nothing where one cannot be read.
fn time_left(chain: &[CertificateDer<'_>]) -> Duration {
    let ends = chain.iter().map(|certificate| {
        let end = parse(certificate).map(|certificate| certificate.validity().not_after.timestamp());
        end.ok().and_then(|end| u64::try_from(end).ok()).unwrap_or_default()
    });
    Duration::from_secs(ends.min().unwrap_or_default()).saturating_sub(since_epoch())
}

/// Believes certificates that one of the authorities signed for client authentication.
pub struct CertificateAuthenticator(pub Arc<Authority>);

impl Authenticator for CertificateAuthenticator {
    fn authenticate<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Option<User>, BadCredentials>> {
        Box::pin(async move {
            if request.peer.certificates.is_empty() {
                return Ok(None);
            }
            self.0.verify(&request.peer.certificates).await?.user.clone()
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

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        date_time_ymd,
    };

    use super::*;

    pub(in crate::access::authn) fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// Of a client, until the first day of a year.
    pub(in crate::access::authn) fn leaf(
        name: &str,
        signer: &CertifiedIssuer<'static, KeyPair>,
        ends_in: i32,
    ) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(ends_in, 1, 1);
        params.signed_by(&KeyPair::generate().unwrap(), signer).unwrap().der().clone()
    }

    #[tokio::test]
    async fn a_chain_is_remembered_until_it_ends_or_the_authorities_change() {
        let (first, second) = (authority(), authority());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), first.pem()).unwrap();
        let authority = Authority::read("client-ca-file", file.path()).unwrap();
        let (good, ended) = ([leaf("ann", &first, 4000)], [leaf("ann", &first, 2001)]);
        assert_eq!((time_left(&good) > VERIFIED_FOR, time_left(&ended)), (true, Duration::ZERO));
        let found = authority.verify(&good).await.unwrap();
        assert_eq!(found.user.as_ref().unwrap().as_ref().unwrap().name, "ann");
        let again = authority.verify(&good).await.unwrap();
        assert!(Arc::ptr_eq(&found, &again), "it is remembered");
        assert!(authority.verify(&ended).await.is_err());
        assert!(authority.verify(&[leaf("ann", &second, 4000)]).await.is_err(), "of another authority");
        std::fs::write(file.path(), second.pem()).unwrap();
        assert!(authority.reload());
        assert!(authority.verify(&good).await.is_err(), "its authority is gone");
    }
}
