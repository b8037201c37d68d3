//! Who may talk: each shim makes a certificate when it starts and tells its digest to the database; whoever can write
//! there can write the log itself. In go a certificate's digest, out come both ends of TLS: each end proves that it has
//! the key, and is believed by the digest alone, so that no authority, name or date is needed.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    version::TLS13,
};
use sha2::{Digest, Sha256};

use crate::cryptography;

const NAME: &str = "kine-shim";

/// A certificate with its key.
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    provider: Arc<CryptoProvider>,
}

impl Identity {
    pub(super) fn make() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(vec![NAME.to_owned()])?.self_signed(&key)?;
        let provider = Arc::new(cryptography::provider());
        Ok(Self { certificate: certificate.der().clone(), key: key.serialize_der(), provider })
    }

    pub(super) fn digest(&self) -> Vec<u8> {
        digest(&self.certificate)
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// Takes whoever shows a certificate of his own: which one is looked at afterwards.
    pub(super) fn server(&self) -> Result<ServerConfig, Error> {
        let anybody = Arc::new(Shown { wanted: None, provider: self.provider.clone() });
        ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(anybody)
            .with_single_cert(vec![self.certificate.clone()], self.key())
    }

    /// Takes a server with this certificate alone.
    pub(super) fn client(&self, wanted: &[u8]) -> Result<ClientConfig, Error> {
        let shown = Arc::new(Shown { wanted: Some(wanted.to_owned()), provider: self.provider.clone() });
        ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(shown)
            .with_client_auth_cert(vec![self.certificate.clone()], self.key())
    }

    pub(super) fn server_name() -> Option<ServerName<'static>> {
        ServerName::try_from(NAME).ok()
    }
}

pub(super) fn digest(certificate: &CertificateDer<'_>) -> Vec<u8> {
    Sha256::digest(certificate).to_vec()
}

/// The other end has the key of the certificate that it shows.
#[derive(Debug)]
struct Shown {
    /// The certificate must be this one.
    wanted: Option<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl Shown {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        match &self.wanted {
            Some(wanted) if *wanted != digest(certificate) => {
                Err(Error::General("another certificate than the database names".into()))
            }
            _ => Ok(()),
        }
    }
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Shown {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
