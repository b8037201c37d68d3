//! From a PostgreSQL URL to what a connection needs: libpq's TLS parameters, which tokio-postgres does not know, and
//! defaults that notice a dead peer. In goes the URL, out comes a [`Connector`]. No SQL here.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use percent_encoding::percent_decode_str;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_postgres::{
    config::{Host, SslMode, TargetSessionAttrs},
    error::SqlState,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::password;
use crate::{
    cryptography,
    log::{LogFault, Options},
    remedy::{remedy, with_remedy},
};

/// kine's name for it.
pub(super) const DATABASE: &str = "kubernetes";
/// Where distributions keep the certificates that everybody trusts; the first that is there counts.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
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

        let mut config: tokio_postgres::Config =
            url.parse().map_err(|error| unusable("database URL", &super::query::describe(&error)))?;
        if config.get_dbname().is_none() {
            config.dbname(DATABASE);
        }
        if config.get_password().is_none()
            && let Some(password) = password::find(&config, options)
        {
            config.password(password);
        }
        let is_local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        // As libpq: a socket needs no TLS, whatever is asked for.
        let (ssl_mode, verify) =
            if is_local { (SslMode::Disable, Verify::Nothing) } else { tls_mode(&mut parameters)? };
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

    /// Whether the database does not exist that a URL means that names none.
    pub(super) fn is_missing_default(&self, error: &tokio_postgres::Error) -> bool {
        error.code() == Some(&SqlState::INVALID_CATALOG_NAME) && self.config.get_dbname() == Some(DATABASE)
    }

    /// Creates it, as kine does.
    pub(super) async fn create_database(&self) -> Result<(), LogFault> {
        let mut config = self.config.clone();
        let connecting = config.dbname("postgres").connect(self.tls.clone()).await;
        let (client, connection) = connecting.map_err(|error| super::query::refused_connection(&error))?;
        let _driver = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
        match client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await {
            // Somebody else was first.
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) => Ok(()),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(()),
            created => created.map_err(|error| super::query::refused_connection(&error)),
        }
    }
}

/// Where a URL leads, as the driver understands it, without anything that may be secret.
pub(crate) fn shown(url: &str) -> String {
    let (rest, parameters) = take_tls_parameters(url);
    let not_understood = || "postgres://(a URL that is not understood)".to_owned();
    let Ok(config) = rest.parse::<tokio_postgres::Config>() else { return not_understood() };
    let ports = config.get_ports();
    let place = |(at, host): (usize, &Host)| {
        let name = match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        match ports.get(at).or(ports.first().filter(|_| ports.len() == 1)) {
            Some(port) if *port != 5432 => format!("{name}:{port}"),
            _ => name,
        }
    };
    let hosts: Vec<String> = config.get_hosts().iter().enumerate().map(place).collect();
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    // A password with an @ that is not escaped: the driver takes its rest for the host and the database.
    if hosts.iter().map(String::as_str).chain(config.get_dbname()).any(|part| part.contains('@')) {
        return not_understood();
    }
    let database = config.get_dbname().map(|name| format!("/{name}")).unwrap_or_default();
    let mode = parameters.mode.map(|mode| format!("?sslmode={mode}")).unwrap_or_default();
    format!("postgres://{user}{}{database}{mode}", hosts.join(","))
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
        let file = || Some(PathBuf::from(percent_decode_str(value).decode_utf8_lossy().into_owned()));
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

/// libpq's meanings: only the verify modes look at the certificate, and `require` does when an authority is named.
/// Where a verify mode names none, the system's count.
fn tls_mode(parameters: &mut TlsParameters) -> Result<(SslMode, Verify), LogFault> {
    let is_named_system = parameters.ca.as_deref() == Some(Path::new("system"));
    if is_named_system {
        parameters.ca = None;
    }
    let ca = parameters.ca.is_some() || is_named_system;
    let (mode, verify) = match parameters.mode.as_deref() {
        None if ca => (SslMode::Require, Verify::Full),
        None | Some("prefer" | "allow") => (SslMode::Prefer, Verify::Nothing),
        Some("disable") => (SslMode::Disable, Verify::Nothing),
        Some("require") => (SslMode::Require, if ca { Verify::Authority } else { Verify::Nothing }),
        Some("verify-ca") => (SslMode::Require, Verify::Authority),
        Some("verify-full") => (SslMode::Require, Verify::Full),
        Some(other) => return Err(unusable("database URL", &format!("unknown sslmode {other:?}"))),
    };
    if verify != Verify::Nothing && parameters.ca.is_none() {
        parameters.ca = SYSTEM_ROOTS.iter().map(PathBuf::from).find(|file| file.exists());
        if parameters.ca.is_none() {
            return Err(unusable(
                "database URL",
                &"this sslmode needs sslrootcert or --ca-file: the system has no roots",
            ));
        }
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
    let provider = Arc::new(cryptography::provider());
    let mut roots = RootCertStore::empty();
    let ca = parameters.ca.as_deref().filter(|_| verify != Verify::Nothing);
    let trusted: Vec<_> = ca.map(certificates).transpose()?.into_iter().flatten().collect();
    let (added, _) = roots.add_parsable_certificates(trusted.iter().cloned());
    if added == 0 && verify != Verify::Nothing {
        return Err(unusable("sslrootcert", &"no certificate in it can be read (one of version 3 is needed)"));
    }
    let chain = match verify {
        Verify::Nothing => None,
        Verify::Authority | Verify::Full => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| unusable("sslrootcert", &error))?,
        ),
    };
    let verifier = Verifier { chain, trusted, verify, provider: provider.clone() };
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
    /// Authorities, and servers that are trusted as they are.
    trusted: Vec<CertificateDer<'static>>,
    verify: Verify,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn verify_itself(
        &self,
        certificate: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let bad = |_| TlsError::InvalidCertificate(CertificateError::BadEncoding);
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(bad)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let validity = parsed.validity();
        if now < validity.not_before.timestamp() {
            return Err(TlsError::InvalidCertificate(CertificateError::NotValidYet));
        }
        if now > validity.not_after.timestamp() {
            return Err(TlsError::InvalidCertificate(CertificateError::Expired));
        }
        if self.verify == Verify::Full {
            rustls::client::verify_server_name(
                &rustls::server::ParsedCertificate::try_from(certificate)?,
                server_name,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }
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
            // A self-signed one is its own authority, as for OpenSSL and Go, whatever it says of what it may be used
            // for.
            Err(TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
                if self.trusted.iter().any(|trusted| trusted == end_entity) =>
            {
                self.verify_itself(end_entity, server_name, now)
            }
            Err(error) if remedy(&error).is_some() => Err(TlsError::General(with_remedy(&error))),
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
        assert_eq!(tls_mode(&mut { parameters }), Ok((SslMode::Require, Verify::Full)));
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
            (Some("maybe"), false, None),
        ];
        for (mode, ca, expected) in cases {
            let ca = ca.then(|| PathBuf::from("ca"));
            let mut parameters = TlsParameters { mode: mode.map(str::to_owned), ca, ..Default::default() };
            assert_eq!(tls_mode(&mut parameters).ok(), expected, "{parameters:?}");
        }
    }
}
