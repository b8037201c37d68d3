//! Keys in files.

use rustls_pki_types::pem::{PemObject, SectionKind};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{KeyError, PrivateKey, PublicKey};

fn is_private(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey | SectionKind::PrivateKey)
}

/// All keys of a PEM file: public keys, certificates, and the public halves of private keys.
pub fn public_keys(pem: &[u8]) -> Result<Vec<PublicKey>, KeyError> {
    let mut keys = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|error| KeyError(error.to_string()))?;
        match kind {
            SectionKind::PublicKey => keys.push(PublicKey::from_spki(&der)?),
            SectionKind::Certificate => {
                let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| KeyError(error.to_string()))?;
                keys.push(PublicKey::of_info(certificate.public_key())?);
            }
            kind if is_private(kind) => keys.push(PrivateKey::from_section(kind, &der)?.public().clone()),
            _ => {}
        }
    }
    match keys.is_empty() {
        true => Err(KeyError("data does not contain any valid RSA or ECDSA public keys".to_owned())),
        false => Ok(keys),
    }
}

/// The first private key of a PEM file.
pub fn private_key(pem: &[u8]) -> Result<PrivateKey, KeyError> {
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|error| KeyError(error.to_string()))?;
        if is_private(kind) {
            return PrivateKey::from_section(kind, &der);
        }
    }
    Err(KeyError("data does not contain a valid RSA or ECDSA private key".to_owned()))
}
