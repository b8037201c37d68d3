//! Keys that check signatures.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use x509_parser::{prelude::FromDer, public_key::PublicKey as Parsed, x509::SubjectPublicKeyInfo};

use super::{KeyError, SignatureError, der};

/// An RSA key, or a point on a curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { curve: Curve, point: Vec<u8> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

    /// Name in JSON Web Keys, algorithm, and bytes of a coordinate.
    fn facts(self) -> (&'static str, &'static str, usize) {
        match self {
            Curve::P256 => ("P-256", "ES256", 32),
            Curve::P384 => ("P-384", "ES384", 48),
            Curve::P521 => ("P-521", "ES512", 66),
        }
    }

    pub(super) fn oid(self) -> &'static [u8] {
        match self {
            Curve::P256 => der::P256,
            Curve::P384 => der::P384,
            Curve::P521 => der::P521,
        }
    }

    pub(super) fn of_point(point: &[u8]) -> Option<Curve> {
        Curve::ALL.into_iter().find(|curve| point.len() == 1 + 2 * curve.facts().2 && point[0] == 4)
    }
}

impl PublicKey {
    pub(super) fn from_spki(der: &[u8]) -> Result<PublicKey, KeyError> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|error| KeyError(error.to_string()))?;
        PublicKey::of_info(&info)
    }

    pub(super) fn of_info(info: &SubjectPublicKeyInfo<'_>) -> Result<PublicKey, KeyError> {
        match info.parsed() {
            Ok(Parsed::RSA(rsa)) => Ok(PublicKey::rsa(rsa.modulus, rsa.exponent)),
            Ok(Parsed::EC(point)) => PublicKey::ec(point.data()),
            _ => Err(KeyError("the key is neither RSA nor ECDSA".to_owned())),
        }
    }

    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> PublicKey {
        let trim = |bytes: &[u8]| bytes[bytes.iter().take_while(|b| **b == 0).count()..].to_vec();
        PublicKey::Rsa { modulus: trim(modulus), exponent: trim(exponent) }
    }

    pub(super) fn ec(point: &[u8]) -> Result<PublicKey, KeyError> {
        match Curve::of_point(point) {
            Some(curve) => Ok(PublicKey::Ec { curve, point: point.to_vec() }),
            None => Err(KeyError("unknown curve, must be 256, 384, or 521".to_owned())),
        }
    }

    /// A key from a JSON Web Key.
    pub fn from_jwk(jwk: &Value) -> Result<PublicKey, KeyError> {
        let bytes = |name: &str| {
            let text = jwk[name].as_str().ok_or_else(|| KeyError(format!("the JSON Web Key has no {name:?}")))?;
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
            decoded.map_err(|_| KeyError(format!("{name:?} of the JSON Web Key is not base64url")))
        };
        match jwk["kty"].as_str() {
            Some("RSA") => Ok(PublicKey::rsa(&bytes("n")?, &bytes("e")?)),
            Some("EC") => PublicKey::ec(&[&[4][..], &bytes("x")?, &bytes("y")?].concat()),
            _ => Err(KeyError("the JSON Web Key is neither RSA nor EC".to_owned())),
        }
    }

    /// The JSON Web Key, for those who check our tokens.
    pub fn to_jwk(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (kid, alg) = (self.key_id(), self.algorithm());
        match self {
            PublicKey::Rsa { modulus, exponent } => json!({
                "use": "sig", "kty": "RSA", "kid": kid, "alg": alg, "n": encode(modulus), "e": encode(exponent),
            }),
            PublicKey::Ec { curve, point } => {
                let (name, _, size) = curve.facts();
                json!({
                    "use": "sig", "kty": "EC", "kid": kid, "crv": name, "alg": alg,
                    "x": encode(&point[1..=size]), "y": encode(&point[1 + size..]),
                })
            }
        }
    }

    /// The algorithm that our own tokens are signed with by such a key.
    pub fn algorithm(&self) -> &'static str {
        match self {
            PublicKey::Rsa { .. } => "RS256",
            PublicKey::Ec { curve, .. } => curve.facts().1,
        }
    }

    pub(super) fn spki(&self) -> Vec<u8> {
        match self {
            PublicKey::Rsa { modulus, exponent } => {
                let key = der::sequence(&[&der::integer(modulus), &der::integer(exponent)]);
                der::sequence(&[&der::sequence(&[&der::RSA, &der::NULL]), &der::bits(&key)])
            }
            PublicKey::Ec { curve, point } => {
                der::sequence(&[&der::sequence(&[&der::EC, curve.oid()]), &der::bits(point)])
            }
        }
    }

    /// The digest by which tokens name the key.
    pub fn key_id(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.spki()))
    }

    pub(super) fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match self {
            PublicKey::Rsa { modulus, exponent } => {
                let parameters = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return Err(SignatureError::Algorithm),
                };
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(parameters, message, signature).map_err(|_| SignatureError::Wrong)
            }
            PublicKey::Ec { curve, .. } if curve.facts().1 != algorithm => Err(SignatureError::Algorithm),
            PublicKey::Ec { curve: Curve::P256, point } => {
                verify_ec(&signature::ECDSA_P256_SHA256_FIXED, point, message, signature)
            }
            PublicKey::Ec { curve: Curve::P384, point } => {
                verify_ec(&signature::ECDSA_P384_SHA384_FIXED, point, message, signature)
            }
            PublicKey::Ec { curve: Curve::P521, point } => verify_p521(point, message, signature),
        }
    }
}

fn verify_ec(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    point: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    UnparsedPublicKey::new(algorithm, point).verify(message, signature).map_err(|_| SignatureError::Wrong)
}

fn verify_p521(point: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    use p521::ecdsa::{Signature, VerifyingKey, signature::Verifier};
    let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| SignatureError::Wrong)?;
    let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Wrong)?;
    key.verify(message, &signature).map_err(|_| SignatureError::Wrong)
}
