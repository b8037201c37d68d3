//! From a PostgreSQL URL to what a connection needs: libpq's TLS parameters, which tokio-postgres does not know, and defaults
//! that notice a dead peer. In goes the URL, out comes a [`Connector`]. No SQL here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::log::{LogFault, Options};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A peer that went silent is noticed within about 15 s, and so are bytes that it does not acknowledge.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// How to make one more connection.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verify {
    Nothing,
    /// The chain, not the host's name.
    Authority,
    Full,
}

#[derive(Debug, Default)]
struct TlsParameters {
    mode: Option<String>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Connector {
    pub(super) fn new(url: &str, options: &Options) -> Result<Self, LogFault> {
        let (url, mut parameters) = take_tls_parameters(url);
        parameters.ca = parameters.ca.or_else(|| options.ca_file.clone());
        parameters.cert = parameters.cert.or_else(|| options.cert_file.clone());
        parameters.key = parameters.key.or_else(|| options.key_file.clone());

        let mut config: tokio_postgres::Config = url.parse().map_err(|error| unusable("database URL", &error))?;
        let (ssl_mode, verify) = tls_mode(&parameters)?;
        config.ssl_mode(ssl_mode);
        if config.get_application_name().is_none() {
            config.application_name("kine-shim");
        }
        config.keepalives(true).keepalives_idle(SILENCE_MAX / 3).keepalives_interval(SILENCE_MAX / 3);
        config.keepalives_retries(2).tcp_user_timeout(SILENCE_MAX);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let tls = MakeRustlsConnect::new(client_config(&parameters, verify)?);
        Ok(Self { config, tls })
    }
}

fn unusable(what: &str, error: &dyn std::fmt::Display) -> LogFault {
    LogFault::Unusable(format!("{what}: {error}"))
}

/// Splits off the parameters that are libpq's but not tokio-postgres'.
fn take_tls_parameters(url: &str) -> (String, TlsParameters) {
    let mut parameters = TlsParameters::default();
    let Some((place, query)) = url.split_once('?') else { return (url.to_owned(), parameters) };
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let file = || Some(PathBuf::from(percent_decoded(value)));
        match name {
            "sslmode" => parameters.mode = Some(value.to_owned()),
            "sslrootcert" => parameters.ca = file(),
            "sslcert" => parameters.cert = file(),
            "sslkey" => parameters.key = file(),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
    (url, parameters)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// libpq's meanings: only the verify modes look at the certificate, and `require` does when an authority is named.
fn tls_mode(parameters: &TlsParameters) -> Result<(SslMode, Verify), LogFault> {
    let ca = parameters.ca.is_some();
    let (mode, verify) = match parameters.mode.as_deref() {
        None if ca => (SslMode::Require, Verify::Full),
        None | Some("prefer" | "allow") => (SslMode::Prefer, Verify::Nothing),
        Some("disable") => (SslMode::Disable, Verify::Nothing),
        Some("require") => (SslMode::Require, if ca { Verify::Authority } else { Verify::Nothing }),
        Some("verify-ca") => (SslMode::Require, Verify::Authority),
        Some("verify-full") => (SslMode::Require, Verify::Full),
        Some(other) => return Err(unusable("database URL", &format!("unknown sslmode {other:?}"))),
    };
    if verify != Verify::Nothing && !ca {
        return Err(unusable("database URL", &"sslmode verify-ca and verify-full need sslrootcert or --ca-file"));
    }
    Ok((mode, verify))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, LogFault> {
    let name = file.display().to_string();
    let read = CertificateDer::pem_file_iter(file).map_err(|error| unusable(&name, &error))?;
    let certificates: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| unusable(&name, &error))?;
    if certificates.is_empty() { Err(unusable(&name, &"no certificate in it")) } else { Ok(certificates) }
}

fn client_config(parameters: &TlsParameters, verify: Verify) -> Result<ClientConfig, LogFault> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    let ca = parameters.ca.as_deref().filter(|_| verify != Verify::Nothing);
    for certificate in ca.map(certificates).transpose()?.into_iter().flatten() {
        roots.add(certificate).map_err(|error| unusable("sslrootcert", &error))?;
    }
    let chain = match verify {
        Verify::Nothing => None,
        Verify::Authority | Verify::Full => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| unusable("sslrootcert", &error))?,
        ),
    };
    let verifier = Verifier { chain, verify, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS", &error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match (&parameters.cert, &parameters.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let name = key.display().to_string();
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(&name, &error))?;
            builder.with_client_auth_cert(certificates(cert)?, key).map_err(|error| unusable("sslcert", &error))
        }
        _ => Err(unusable("database URL", &"sslcert and sslkey go together")),
    }
}

/// Verifies as much as the sslmode asks for.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    verify: Verify,
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
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last: all else was found good.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.verify == Verify::Authority => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_parameters_are_taken_out_of_the_url() {
        let (url, parameters) =
            take_tls_parameters("postgres://h/d?sslmode=verify-full&user=u&sslrootcert=%2Fa%20b.crt");
        assert_eq!(url, "postgres://h/d?user=u");
        assert_eq!(parameters.ca, Some(PathBuf::from("/a b.crt")));
        assert_eq!(tls_mode(&parameters), Ok((SslMode::Require, Verify::Full)));
    }

    #[test]
    fn what_each_sslmode_verifies() {
        let cases = [
            (None, false, Some((SslMode::Prefer, Verify::Nothing))),
            (None, true, Some((SslMode::Require, Verify::Full))),
            (Some("disable"), false, Some((SslMode::Disable, Verify::Nothing))),
            (Some("require"), false, Some((SslMode::Require, Verify::Nothing))),
            (Some("require"), true, Some((SslMode::Require, Verify::Authority))),
            (Some("verify-ca"), true, Some((SslMode::Require, Verify::Authority))),
            (Some("verify-full"), false, None),
            (Some("maybe"), false, None),
        ];
        for (mode, ca, expected) in cases {
            let ca = ca.then(|| PathBuf::from("ca"));
            let parameters = TlsParameters { mode: mode.map(str::to_owned), ca, ..Default::default() };
            assert_eq!(tls_mode(&parameters).ok(), expected, "{parameters:?}");
        }
    }
}
