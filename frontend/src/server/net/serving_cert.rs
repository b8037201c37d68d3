//! The certificate to serve with: the operator's, or one made for oneself and kept in the certificate folder.

use std::path::Path;

use rustls::{crypto::ring::sign::any_supported_type, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::error::NetError;
use crate::config::Listen;

pub(super) fn load_or_make(listen: &Listen, names: &[String]) -> Result<CertifiedKey, NetError> {
    if let (Some(certificate), Some(key)) = (&listen.tls_cert_file, &listen.tls_key_file) {
        return load(certificate, key).map_err(|Broken { file, path, why }| fault(file.flag(), path, why));
    }
    let certificate = listen.cert_dir.join("apiserver.crt");
    let key = listen.cert_dir.join("apiserver.key");
    if !(certificate.exists() && key.exists()) {
        make(&listen.cert_dir, &certificate, &key, names)?;
        tracing::info!(certificate = %certificate.display(), "made a self-signed certificate");
    }
    load(&certificate, &key).map_err(|Broken { path, why, .. }| {
        fault("--cert-dir", path, format!("{why}; remove apiserver.crt and apiserver.key to have them made anew"))
    })
}

/// What of the two files cannot be used.
struct Broken<'a> {
    file: File,
    path: &'a Path,
    why: String,
}

enum File {
    Certificate,
    Key,
}

impl File {
    fn flag(&self) -> &'static str {
        match self {
            Self::Certificate => "--tls-cert-file",
            Self::Key => "--tls-private-key-file",
        }
    }
}

fn load<'a>(certificate: &'a Path, key: &'a Path) -> Result<CertifiedKey, Broken<'a>> {
    let bad_certificate = |why: String| Broken { file: File::Certificate, path: certificate, why };
    let bad_key = |why: String| Broken { file: File::Key, path: key, why };
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(certificate).map_err(|e| bad_certificate(e.to_string()))?.collect();
    let chain = chain.map_err(|e| bad_certificate(e.to_string()))?;
    if chain.is_empty() {
        return Err(bad_certificate("contains no certificate".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| bad_key(e.to_string()))?;
    let signing = any_supported_type(&private).map_err(|e| bad_key(e.to_string()))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(_) => Err(bad_key("does not belong to the certificate".to_owned())),
    }
}

fn make(folder: &Path, certificate: &Path, key: &Path, names: &[String]) -> Result<(), NetError> {
    let cannot = |path: &Path, why: String| fault("--cert-dir", path, why);
    let made = rcgen::generate_simple_self_signed(names.to_vec()).map_err(|e| cannot(folder, e.to_string()))?;
    std::fs::create_dir_all(folder).map_err(|e| cannot(folder, e.to_string()))?;
    write_whole(key, &made.signing_key.serialize_pem(), 0o600).map_err(|e| cannot(key, e.to_string()))?;
    write_whole(certificate, &made.cert.pem(), 0o644).map_err(|e| cannot(certificate, e.to_string()))
}

/// Appears only whole, however this process ends, and with its mode from the moment it exists.
fn write_whole(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let part = path.with_extension(format!("part.{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    options.open(&part)?.write_all(text.as_bytes())?;
    std::fs::rename(&part, path)
}

fn fault(what: &'static str, path: &Path, why: String) -> NetError {
    NetError::Certificate { what, path: path.display().to_string(), why }
}
