//! Keys that make signatures.

use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use rustls_pki_types::pem::SectionKind;

use super::{KeyError, PublicKey, der, public_key::Curve};

/// A private key with its public half.
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
    P521(Box<p521::ecdsa::SigningKey>),
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").field("kid", &self.public.key_id()).finish_non_exhaustive()
    }
}

impl PrivateKey {
    pub(super) fn from_section(kind: SectionKind, der: &[u8]) -> Result<PrivateKey, KeyError> {
        let unusable = || KeyError("the private key is neither RSA of 2048 to 4096 bits nor ECDSA".to_owned());
        match kind {
            SectionKind::RsaPrivateKey => RsaKeyPair::from_der(der).map(PrivateKey::rsa).map_err(|_| unusable()),
            SectionKind::EcPrivateKey => {
                let wrapped = [Curve::P256, Curve::P384, Curve::P521]
                    .map(|curve| PrivateKey::ec(curve, &der::wrap_ec_private(curve.oid(), der)));
                wrapped.into_iter().flatten().next().ok_or_else(unusable)
            }
            _ => {
                if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
                    return Ok(PrivateKey::rsa(pair));
                }
                let curves = [Curve::P256, Curve::P384, Curve::P521].into_iter();
                curves.filter_map(|curve| PrivateKey::ec(curve, der)).next().ok_or_else(unusable)
            }
        }
    }

    fn rsa(pair: RsaKeyPair) -> PrivateKey {
        let public = pair.public();
        let components: ring::signature::RsaPublicKeyComponents<Vec<u8>> = public.into();
        PrivateKey { public: PublicKey::rsa(&components.n, &components.e), pair: Pair::Rsa(Box::new(pair)) }
    }

    fn ec(curve: Curve, pkcs8: &[u8]) -> Option<PrivateKey> {
        let random = SystemRandom::new();
        let algorithm = match curve {
            Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Curve::P521 => return PrivateKey::p521(pkcs8),
        };
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &random).ok()?;
        let public = PublicKey::ec(pair.public_key().as_ref()).ok()?;
        Some(PrivateKey { pair: Pair::Ec(Box::new(pair)), public })
    }

    fn p521(pkcs8: &[u8]) -> Option<PrivateKey> {
        use p521::pkcs8::DecodePrivateKey;
        let secret = p521::SecretKey::from_pkcs8_der(pkcs8).ok()?;
        let key = p521::ecdsa::SigningKey::from(secret);
        let point = key.verifying_key().to_sec1_point(false);
        let public = PublicKey::ec(point.as_bytes()).ok()?;
        Some(PrivateKey { pair: Pair::P521(Box::new(key)), public })
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn algorithm(&self) -> &'static str {
        self.public.algorithm()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = || KeyError("the system gives no randomness".to_owned());
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| failed())?;
                Ok(signature)
            }
            Pair::Ec(pair) => pair.sign(&random, message).map(|s| s.as_ref().to_vec()).map_err(|_| failed()),
            Pair::P521(key) => {
                use p521::ecdsa::{Signature, signature::Signer};
                let signature: Signature = key.try_sign(message).map_err(|_| failed())?;
                Ok(signature.to_bytes().to_vec())
            }
        }
    }
}
