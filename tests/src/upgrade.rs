//! A client of requests that switch protocols: one HTTP/1.1 exchange over TLS, and the connection that is left.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, ensure};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What a server answered, and the connection behind its head.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub connection: TlsStream<TcpStream>,
}

impl Answer {
    /// The body of an answer that does not switch, read to the end of the connection.
    pub async fn body(mut self) -> Result<String> {
        let mut body = Vec::new();
        // Servers may end a connection without a word.
        let _ = self.connection.read_to_end(&mut body).await;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

/// Sends a body of JSON as the administrator.
pub async fn ask_with_body(url: &str, dir: &Path, method: &str, path: &str, body: &str) -> Result<Answer> {
    let length = format!("Content-Length: {}", body.len());
    exchange(url, dir, "admin", &[method, path], &["Content-Type: application/json", &length], body).await
}

/// Sends one request as the user whose certificate is `NAME.crt` of `dir`; `headers` are whole lines.
pub async fn ask(url: &str, dir: &Path, name: &str, method: &str, path: &str, headers: &[&str]) -> Result<Answer> {
    exchange(url, dir, name, &[method, path], headers, "").await
}

async fn exchange(url: &str, dir: &Path, name: &str, what: &[&str; 2], headers: &[&str], body: &str) -> Result<Answer> {
    let read = |file: String| std::fs::read(dir.join(&file)).with_context(|| format!("reading {file}"));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read("ca.crt".to_owned())?) {
        roots.add(certificate?)?;
    }
    let chain = CertificateDer::pem_slice_iter(&read(format!("{name}.crt"))?).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&read(format!("{name}.key"))?)?;
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    let authority = url.strip_prefix("https://").context("a URL of https")?;
    let tcp = TcpStream::connect(authority).await?;
    tcp.set_nodelay(true)?;
    let host = authority.split(':').next().unwrap_or_default().to_owned();
    let mut connection = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(host)?, tcp).await?;
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let [method, path] = what;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{lines}\r\n{body}");
    connection.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < 64 * 1024, "the head has no end");
        head.push(connection.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("a status line")?;
    Ok(Answer { status, head, connection })
}
