//! Who is trusted at the other end. A certificate that is itself among the trusted ones is enough, as in Go: webhooks
//! are often given a self-signed one.

use std::sync::{Arc, LazyLock};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};

use super::{
    error::{CallError, io_text},
    peer::Peer,
};

/// Where systems keep the authorities that they trust.
const SYSTEM_AUTHORITIES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// Refuses what is no bundle of certificates.
pub fn check_authorities(pem: &[u8]) -> Result<(), String> {
    match certificates(pem).is_empty() {
        true => Err("data does not contain any valid RSA or ECDSA certificates".to_owned()),
        false => Ok(()),
    }
}

/// Why no certificate could be trusted by this bundle, in the words of Go's client; none: one could.
pub fn ca_error(pem: &[u8]) -> Option<String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect();
    let parses = |der: &CertificateDer<'_>| x509_parser::parse_x509_certificate(der).is_ok();
    if found.iter().flatten().any(parses) {
        return None;
    }
    let why = match found.first() {
        Some(Ok(_)) => "failed to parse certificate: x509: malformed certificate",
        None if pem.windows(10).any(|text| text == b"-----BEGIN") => "no valid certificate authority data seen",
        _ => "unable to parse bytes as PEM block",
    };
    Some(format!("unable to load root certificates: {why}"))
}

pub(super) fn config(peer: &Peer) -> Result<ClientConfig, CallError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier { trusted: Trusted::by(peer)?, provider: Arc::clone(&provider) };
    let bad = |error: &dyn std::fmt::Display| CallError(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &peer.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|error| bad(&error))?;
            builder.with_client_auth_cert(certificates(&identity.certificates), key).map_err(|error| bad(&error))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Authorities, and servers that are trusted themselves.
#[derive(Debug)]
struct Trust {
    certificates: Vec<CertificateDer<'static>>,
    /// None: none of them is an authority.
    by_authority: Option<Arc<WebPkiServerVerifier>>,
}

impl Trust {
    fn of(pem: &[u8]) -> Trust {
        let certificates = certificates(pem);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Trust { certificates, by_authority: built.ok() }
    }
}

/// Whom the system trusts, read when the first server is to be judged by it and, as in Go, once.
static SYSTEM: LazyLock<Trust> = LazyLock::new(|| {
    let found = SYSTEM_AUTHORITIES.iter().find_map(|path| std::fs::read(path).ok());
    Trust::of(&found.unwrap_or_default())
});

#[derive(Debug)]
enum Trusted {
    Everybody,
    System,
    Given(Trust),
}

impl Trusted {
    fn by(peer: &Peer) -> Result<Trusted, CallError> {
        if peer.ca.is_empty() {
            return Ok(if peer.insecure { Trusted::Everybody } else { Trusted::System });
        }
        let trust = Trust::of(&peer.ca);
        if trust.certificates.is_empty() {
            return Err(CallError("unable to load root certificates: unable to parse bytes as PEM block".to_owned()));
        }
        Ok(if peer.insecure { Trusted::Everybody } else { Trusted::Given(trust) })
    }
}

#[derive(Debug)]
struct Verifier {
    trusted: Trusted,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let trust = match &self.trusted {
            Trusted::Everybody => return Ok(ServerCertVerified::assertion()),
            Trusted::System => &*SYSTEM,
            Trusted::Given(trust) => trust,
        };
        if trust.certificates.iter().any(|trusted| trusted.as_ref() == end_entity.as_ref()) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        match &trust.by_authority {
            Some(verifier) => verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What Go says of a handshake that failed.
pub(super) fn text(error: &std::io::Error) -> String {
    let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return io_text("read", error);
    };
    match cause {
        Error::InvalidCertificate(why) => format!("tls: failed to verify certificate: x509: {}", refusal(why)),
        Error::InvalidMessage(_) => "http: server gave HTTP response to HTTPS client".to_owned(),
        Error::AlertReceived(alert) => {
            let words: String = format!("{alert:?}")
                .chars()
                .flat_map(|c| if c.is_uppercase() { vec![' ', c.to_ascii_lowercase()] } else { vec![c] })
                .collect();
            format!("remote error: tls:{words}")
        }
        other => format!("tls: {other}"),
    }
}

fn refusal(why: &CertificateError) -> String {
    match why {
        // The last of them is an authority's own certificate, presented as a server's.
        CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_) => {
            "certificate signed by unknown authority".to_owned()
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => "certificate has expired or is not yet valid".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str().into_owned();
            // webpki prints what it found as Rust would: only the names count.
            let names: Vec<&str> = presented.iter().filter_map(|name| name.split('"').nth(1)).collect();
            match names.is_empty() {
                true => format!("certificate is not valid for any names, but wanted to match {expected}"),
                false => format!("certificate is valid for {}, not {expected}", names.join(", ")),
            }
        }
        other => other.to_string(),
    }
}
