//! The cryptography of TLS: ring's, and ECDSA on P-521 beside it, which ring does not know and Go and OpenSSL do. In go
//! keys and signatures of certificates and handshakes; which certificates are trusted is not decided here.

use std::sync::{Arc, LazyLock};

use p521::{
    SecretKey,
    ecdsa::{
        Signature, SigningKey as Key, VerifyingKey,
        signature::{Signer as _, hazmat::PrehashVerifier},
    },
    pkcs8::DecodePrivateKey,
};
use rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms, ring},
    pki_types::{AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm, alg_id},
    sign::{Signer, SigningKey},
};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The bytes of a number below the order of the curve.
const NUMBER_BYTES: usize = 66;
const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP521_SHA512;

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// In certificates a key on P-521 goes with any digest (OpenSSL's default is SHA-256), in handshakes with SHA-512.
const P521: [&P521Signature; 3] = [
    &P521Signature { algorithm: alg_id::ECDSA_SHA256, digest: |message| Sha256::digest(message).to_vec() },
    &P521Signature { algorithm: alg_id::ECDSA_SHA384, digest: |message| Sha384::digest(message).to_vec() },
    &P521Signature { algorithm: alg_id::ECDSA_SHA512, digest: |message| Sha512::digest(message).to_vec() },
];
static IN_HANDSHAKES: [Algorithm; 1] = [P521[2]];
static IN_CERTIFICATES: LazyLock<Vec<Algorithm>> = LazyLock::new(|| {
    let known = ring::default_provider().signature_verification_algorithms.all.iter().copied();
    known.chain(P521.map(|signature| signature as Algorithm)).collect()
});
static SCHEMES: LazyLock<Vec<(SignatureScheme, &'static [Algorithm])>> = LazyLock::new(|| {
    let known = ring::default_provider().signature_verification_algorithms.mapping.iter().copied();
    known.chain([(SCHEME, &IN_HANDSHAKES[..])]).collect()
});

pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        signature_verification_algorithms: WebPkiSupportedAlgorithms { all: &IN_CERTIFICATES, mapping: &SCHEMES },
        key_provider: &Keys,
        ..ring::default_provider()
    }
}

#[derive(Debug)]
struct P521Signature {
    algorithm: AlgorithmIdentifier,
    digest: fn(&[u8]) -> Vec<u8>,
}

impl SignatureVerificationAlgorithm for P521Signature {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        // A digest is a number (FIPS 186-5, 6.4.2); written in full, since one of less than half its length is refused.
        let digest = (self.digest)(message);
        let mut number = [0; NUMBER_BYTES];
        number[NUMBER_BYTES - digest.len()..].copy_from_slice(&digest);
        key.verify_prehash(&number, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm
    }
}

#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let on_p521 = match &key {
            PrivateKeyDer::Sec1(der) => SecretKey::from_sec1_der(der.secret_sec1_der()).ok(),
            PrivateKeyDer::Pkcs8(der) => SecretKey::from_pkcs8_der(der.secret_pkcs8_der()).ok(),
            _ => None,
        };
        match on_p521 {
            Some(secret) => Ok(Arc::new(P521Key(Arc::new(Key::from(&secret))))),
            None => ring::default_provider().key_provider.load_private_key(key),
        }
    }
}

#[derive(Clone, Debug)]
struct P521Key(Arc<Key>);

impl SigningKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SCHEME).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: Signature =
            self.0.try_sign(message).map_err(|_| Error::General("a signature on P-521 failed".into()))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn keys_on_p521_sign_what_is_verified() {
        let keys: [&[u8]; 2] =
            [include_bytes!("auth/token/testdata/p521.key"), include_bytes!("auth/token/testdata/p521-pkcs8.key")];
        for pem in keys {
            let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
            let secret = match &key {
                PrivateKeyDer::Sec1(der) => SecretKey::from_sec1_der(der.secret_sec1_der()).unwrap(),
                PrivateKeyDer::Pkcs8(der) => SecretKey::from_pkcs8_der(der.secret_pkcs8_der()).unwrap(),
                _ => panic!("another form"),
            };
            let public = Key::from(&secret).verifying_key().to_sec1_point(false).as_bytes().to_vec();
            let signing = provider().key_provider.load_private_key(key).unwrap();
            assert!(signing.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).is_none());
            let signature = signing.choose_scheme(&[SCHEME]).unwrap().sign(b"a handshake").unwrap();
            let verify = |message: &[u8]| P521[2].verify_signature(&public, message, &signature);
            assert!(verify(b"a handshake").is_ok());
            assert!(verify(b"another").is_err());
        }
    }
}
