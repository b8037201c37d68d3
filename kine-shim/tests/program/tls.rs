//! TLS on the client port: who gets in, with which certificate, version and suite, and that changed files count.

use std::{path::Path, sync::Arc};

use rustls::{
    CipherSuite, ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use tests::pki::{self, Leaf};
use tokio_rustls::TlsConnector;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::*;

/// As `certificates` numbers them.
const SERIAL_OF_CLIENT: u64 = 2;

pub(super) fn certificates(folder: &Path) -> Result<()> {
    let leaf = |name| Leaf { name, common_name: name, organization: None };
    pki::write(folder, &[leaf("server"), leaf("client")])
}

fn client_tls(folder: &Path, with_identity: bool) -> Result<ClientTlsConfig> {
    let pem = |name: &str| std::fs::read(folder.join(name));
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem("ca.crt")?));
    Ok(if with_identity { tls.identity(Identity::from_pem(pem("client.crt")?, pem("client.key")?)) } else { tls })
}

async fn put_over_tls(port: u16, tls: ClientTlsConfig) -> Result<i64> {
    let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}"))?.tls_config(tls)?;
    put(&endpoint.connect().await?, "a", "1").await
}

#[tokio::test]
async fn tls_asks_for_a_client_certificate_and_takes_new_files_over() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    certificates(&old)?;
    certificates(&new)?;
    let shim = guarded(&old, &["--client-cert-auth".to_owned()])?;
    eventually("TLS", PATIENCE, || async { put_over_tls(shim.port, client_tls(&old, true)?).await })
        .await
        .with_context(|| shim.process.output())?;
    ensure!(put_over_tls(shim.port, client_tls(&old, false)?).await.is_err(), "no client certificate");
    ensure!(put_over_tls(shim.port, client_tls(&new, true)?).await.is_err(), "another authority");
    ensure!(shim.get("/health").await.is_err(), "clear text on the TLS port");

    for name in ["ca.crt", "server.crt", "server.key"] {
        std::fs::copy(new.join(name), old.join(name))?;
    }
    eventually("the new files", PATIENCE, || async { put_over_tls(shim.port, client_tls(&new, true)?).await })
        .await
        .with_context(|| shim.process.output())?;
    ensure!(shim.folder.path().exists());
    Ok(())
}

#[tokio::test]
async fn a_self_signed_certificate_is_made_and_kept() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = format!("--data-dir={}", folder.path().display());
    let mut shim = Shim::start("memory:", "https", &["--auto-tls".to_owned(), data])?;
    let made = folder.path().join("tls/cert.pem");
    let connected = async |shim: &Shim| {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(std::fs::read(&made)?));
        put_over_tls(shim.port, tls).await
    };
    eventually("TLS", PATIENCE, || connected(&shim)).await.with_context(|| shim.process.output())?;
    let before = std::fs::read(&made)?;
    shim.process.restart()?;
    eventually("TLS again", PATIENCE, || connected(&shim)).await.with_context(|| shim.process.output())?;
    ensure!(std::fs::read(&made)? == before);
    Ok(())
}

/// A shim that asks for certificates of the authority in `folder`.
pub(super) fn guarded(folder: &Path, flags: &[String]) -> Result<Shim> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
    let mut all =
        vec![file("cert-file", "server.crt"), file("key-file", "server.key"), file("trusted-ca-file", "ca.crt")];
    all.extend(flags.iter().cloned());
    Shim::start("memory:", "https", &all)
}

#[tokio::test]
async fn a_revoked_client_is_refused_until_the_list_no_longer_names_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    certificates(folder)?;
    pki::revoke(folder, &[SERIAL_OF_CLIENT])?;
    let shim = guarded(folder, &[format!("--client-crl-file={}", folder.join("crl.pem").display())])?;
    // The server's own certificate may call too.
    let unrevoked = || {
        let pem = |name: &str| std::fs::read(folder.join(name));
        let identity = Identity::from_pem(pem("server.crt")?, pem("server.key")?);
        anyhow::Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem("ca.crt")?)).identity(identity))
    };
    eventually("TLS", PATIENCE, || async { put_over_tls(shim.port, unrevoked()?).await })
        .await
        .with_context(|| shim.process.output())?;
    ensure!(put_over_tls(shim.port, client_tls(folder, true)?).await.is_err(), "a revoked client");
    pki::revoke(folder, &[])?;
    eventually("the new list", PATIENCE, || async { put_over_tls(shim.port, client_tls(folder, true)?).await }).await?;
    Ok(())
}

#[tokio::test]
async fn only_clients_of_the_hosts_named_are_let_in() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    certificates(folder)?;
    // The client's certificate is for localhost, kubernetes.default.svc and 127.0.0.1.
    for allowed in ["kubernetes.default.svc", "other.example,localhost", "127.0.0.1"] {
        let shim = guarded(folder, &[format!("--client-cert-allowed-hostname={allowed}")])?;
        eventually("TLS", PATIENCE, || async { put_over_tls(shim.port, client_tls(folder, true)?).await })
            .await
            .with_context(|| format!("{allowed}: {}", shim.process.output()))?;
    }
    let mut shim = guarded(folder, &["--client-cert-allowed-hostname=other.example,127.0.0.2".to_owned()])?;
    eventually("the port", PATIENCE, || async { Ok(TcpStream::connect(("127.0.0.1", shim.port)).await?) }).await?;
    let refusal = greeting(shim.port, folder, &[&TLS13, &TLS12], None).await.expect_err("another host");
    ensure!(refusal.to_string().contains("BadCertificate"), "{refusal}");
    shim.process.check_alive()
}

/// What a handshake with these versions and this suite comes to, and the first byte after it: a refusal of the client's
/// certificate arrives with that in TLS 1.3.
async fn greeting(
    port: u16,
    folder: &Path,
    versions: &[&'static SupportedProtocolVersion],
    suite: Option<CipherSuite>,
) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.crt"))?)?;
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|known| suite.is_none_or(|suite| known.suite() == suite));
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_file(folder.join("client.crt"))?],
            PrivateKeyDer::from_pem_file(folder.join("client.key"))?,
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost")?, stream).await?;
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await?;
    ensure!(answer == *b"HTTP/1.1 200 OK", "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn versions_and_suites_are_those_allowed() -> Result<()> {
    const AES_128: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    const AES_256: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    certificates(folder)?;
    type Offer = (&'static SupportedProtocolVersion, Option<CipherSuite>);
    let cases: [(&[&str], Offer, Offer); 3] = [
        (&["--tls-max-version=TLS1.2"], (&TLS12, None), (&TLS13, None)),
        (&["--tls-min-version=TLS1.3"], (&TLS13, None), (&TLS12, None)),
        (
            &["--tls-max-version=TLS1.2", "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
            (&TLS12, Some(AES_128)),
            (&TLS12, Some(AES_256)),
        ),
    ];
    for (flags, good, bad) in cases {
        let shim = guarded(folder, &flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>())?;
        eventually("TLS", PATIENCE, || async { greeting(shim.port, folder, &[good.0], good.1).await })
            .await
            .with_context(|| format!("{flags:?}: {}", shim.process.output()))?;
        ensure!(greeting(shim.port, folder, &[bad.0], bad.1).await.is_err(), "{flags:?} let {bad:?} in");
    }
    Ok(())
}
