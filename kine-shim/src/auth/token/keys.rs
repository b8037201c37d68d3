//! Keys of signed tokens and the methods that etcd knows for them: HMAC, RSA (PKCS #1 and PSS), ECDSA and Ed25519. Key
//! files are PEM, in the forms that OpenSSL writes.

use std::str::FromStr;

use p521::{
    ecdsa::signature::{Signer as _, Verifier as _},
    pkcs8::DecodePrivateKey,
};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{self as sig, KeyPair, UnparsedPublicKey},
};
use x509_parser::{
    pem::Pem,
    prelude::{FromDer, X509Certificate},
    x509::SubjectPublicKeyInfo,
};

#[derive(Clone, Copy)]
pub(super) struct Method {
    name: &'static str,
    family: Family,
}

#[derive(Clone, Copy)]
enum Family {
    Hmac(hmac::Algorithm),
    Rsa(&'static dyn sig::RsaEncoding, &'static sig::RsaParameters),
    Ec(Curve),
    P521,
    Ed25519,
}

/// Of those that ring has.
#[derive(Clone, Copy)]
struct Curve {
    oid: &'static str,
    /// The OID, in DER.
    der: &'static [u8],
    signing: &'static sig::EcdsaSigningAlgorithm,
    verification: &'static sig::EcdsaVerificationAlgorithm,
}

const P256: Curve = Curve {
    oid: "1.2.840.10045.3.1.7",
    der: &[0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07],
    signing: &sig::ECDSA_P256_SHA256_FIXED_SIGNING,
    verification: &sig::ECDSA_P256_SHA256_FIXED,
};
const P384: Curve = Curve {
    oid: "1.3.132.0.34",
    der: &[0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22],
    signing: &sig::ECDSA_P384_SHA384_FIXED_SIGNING,
    verification: &sig::ECDSA_P384_SHA384_FIXED,
};
const OID_P521: &str = "1.3.132.0.35";
const OID_RSA: &str = "1.2.840.113549.1.1.1";
const OID_EC: &str = "1.2.840.10045.2.1";
const OID_ED25519: &str = "1.3.101.112";

/// RFC 7518, section 3.1, and RFC 8037.
static METHODS: &[Method] = &[
    Method { name: "HS256", family: Family::Hmac(hmac::HMAC_SHA256) },
    Method { name: "HS384", family: Family::Hmac(hmac::HMAC_SHA384) },
    Method { name: "HS512", family: Family::Hmac(hmac::HMAC_SHA512) },
    Method { name: "RS256", family: Family::Rsa(&sig::RSA_PKCS1_SHA256, &sig::RSA_PKCS1_2048_8192_SHA256) },
    Method { name: "RS384", family: Family::Rsa(&sig::RSA_PKCS1_SHA384, &sig::RSA_PKCS1_2048_8192_SHA384) },
    Method { name: "RS512", family: Family::Rsa(&sig::RSA_PKCS1_SHA512, &sig::RSA_PKCS1_2048_8192_SHA512) },
    Method { name: "PS256", family: Family::Rsa(&sig::RSA_PSS_SHA256, &sig::RSA_PSS_2048_8192_SHA256) },
    Method { name: "PS384", family: Family::Rsa(&sig::RSA_PSS_SHA384, &sig::RSA_PSS_2048_8192_SHA384) },
    Method { name: "PS512", family: Family::Rsa(&sig::RSA_PSS_SHA512, &sig::RSA_PSS_2048_8192_SHA512) },
    Method { name: "ES256", family: Family::Ec(P256) },
    Method { name: "ES384", family: Family::Ec(P384) },
    Method { name: "ES512", family: Family::P521 },
    Method { name: "EdDSA", family: Family::Ed25519 },
];

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || METHODS.iter().map(|method| method.name).collect::<Vec<_>>().join(", ");
        let found = METHODS.iter().find(|method| method.name == name).copied();
        found.ok_or_else(|| format!("sign-method: {name:?} is none of {}", names()))
    }
}

pub(super) enum Signer {
    Hmac(hmac::Key),
    Rsa(Box<rsa::KeyPair>, &'static dyn sig::RsaEncoding),
    Ec(sig::EcdsaKeyPair),
    P521(Box<p521::ecdsa::SigningKey>),
    Ed25519(sig::Ed25519KeyPair),
}

impl Signer {
    pub(super) fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Hmac(key) => Some(hmac::sign(key, text).as_ref().to_vec()),
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &random, text, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec(key) => key.sign(&random, text).ok().map(|signature| signature.as_ref().to_vec()),
            Self::P521(key) => {
                let signature: p521::ecdsa::Signature = key.try_sign(text).ok()?;
                Some(signature.to_bytes().to_vec())
            }
            Self::Ed25519(key) => Some(key.sign(text).as_ref().to_vec()),
        }
    }

    /// As it stands in a public key's file: for HMAC there is none.
    fn public(&self) -> Vec<u8> {
        match self {
            Self::Hmac(_) => Vec::new(),
            Self::Rsa(key, _) => key.public_key().as_ref().to_vec(),
            Self::Ec(key) => key.public_key().as_ref().to_vec(),
            Self::P521(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::Ed25519(key) => key.public_key().as_ref().to_vec(),
        }
    }
}

pub(super) enum Verifier {
    Hmac(hmac::Key),
    Ring(UnparsedPublicKey<Vec<u8>>),
    P521(Box<p521::ecdsa::VerifyingKey>),
}

impl Verifier {
    pub(super) fn is_valid(&self, text: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, text, signature).is_ok(),
            Self::Ring(key) => key.verify(text, signature).is_ok(),
            Self::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
        }
    }
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    /// From the files' contents. Without a private key tokens can be verified but not made.
    pub(super) fn keys(
        self,
        public: Option<&[u8]>,
        private: Option<&[u8]>,
    ) -> Result<(Option<Signer>, Verifier), String> {
        if let Family::Hmac(algorithm) = self.family {
            let key = hmac::Key::new(algorithm, private.filter(|key| !key.is_empty()).ok_or("priv-key is missing")?);
            return Ok((Some(Signer::Hmac(key.clone())), Verifier::Hmac(key)));
        }
        let unfit = |option: &str| format!("{option} holds no key for {}", self.name);
        let signer = private.map(|key| pem(key).and_then(|der| self.signer(&der)).ok_or_else(|| unfit("priv-key")));
        let signer = signer.transpose()?;
        let public = public.map(|key| pem(key).and_then(|der| self.public(&der)).ok_or_else(|| unfit("pub-key")));
        let public = match (&signer, public.transpose()?) {
            (Some(signer), Some(public)) if signer.public() != public => {
                return Err("pub-key and priv-key do not belong together".to_owned());
            }
            (Some(signer), _) => signer.public(),
            (None, Some(public)) => public,
            (None, None) => return Err("pub-key or priv-key is needed".to_owned()),
        };
        let verifier = self.verifier(public).ok_or_else(|| unfit("pub-key"))?;
        Ok((signer, verifier))
    }

    fn signer(self, der: &[u8]) -> Option<Signer> {
        match self.family {
            Family::Hmac(_) => None,
            Family::Rsa(encoding, _) => {
                let key = rsa::KeyPair::from_der(der).or_else(|_| rsa::KeyPair::from_pkcs8(der)).ok()?;
                Some(Signer::Rsa(Box::new(key), encoding))
            }
            Family::Ec(curve) => {
                let random = SystemRandom::new();
                let read = |der: &[u8]| sig::EcdsaKeyPair::from_pkcs8(curve.signing, der, &random).ok();
                read(der).or_else(|| read(&wrapped(der, curve.der))).map(Signer::Ec)
            }
            Family::P521 => {
                let key =
                    p521::SecretKey::from_sec1_der(der).ok().or_else(|| p521::SecretKey::from_pkcs8_der(der).ok())?;
                Some(Signer::P521(Box::new(p521::ecdsa::SigningKey::from(&key))))
            }
            Family::Ed25519 => sig::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Signer::Ed25519),
        }
    }

    fn verifier(self, public: Vec<u8>) -> Option<Verifier> {
        let algorithm: &'static dyn sig::VerificationAlgorithm = match self.family {
            Family::Hmac(_) => return None,
            Family::Rsa(_, parameters) => parameters,
            Family::Ec(curve) => curve.verification,
            Family::P521 => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&public).ok()?;
                return Some(Verifier::P521(Box::new(key)));
            }
            Family::Ed25519 => &sig::ED25519,
        };
        Some(Verifier::Ring(UnparsedPublicKey::new(algorithm, public)))
    }

    /// The key of a public key's file or of a certificate, if it is one for this method.
    fn public(self, der: &[u8]) -> Option<Vec<u8>> {
        let bits = |info: &SubjectPublicKeyInfo<'_>| {
            let algorithm = info.algorithm.algorithm.to_id_string();
            let curve = info.algorithm.parameters.as_ref().and_then(|of| of.as_oid().ok()).map(|of| of.to_id_string());
            let is_fit = match self.family {
                Family::Hmac(_) => false,
                Family::Rsa(..) => algorithm == OID_RSA,
                Family::Ec(of) => algorithm == OID_EC && curve.is_some_and(|curve| curve == of.oid),
                Family::P521 => algorithm == OID_EC && curve.is_some_and(|curve| curve == OID_P521),
                Family::Ed25519 => algorithm == OID_ED25519,
            };
            is_fit.then(|| info.subject_public_key.data.to_vec())
        };
        if let Ok((_, info)) = SubjectPublicKeyInfo::from_der(der) {
            return bits(&info);
        }
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        bits(certificate.public_key())
    }
}

fn pem(text: &[u8]) -> Option<Vec<u8>> {
    Pem::iter_from_buffer(text).next()?.ok().map(|block| block.contents)
}

/// OpenSSL's older form of an EC key (SEC 1) in the frame of the newer one (PKCS #8, RFC 5208), which ring reads.
fn wrapped(sec1: &[u8], curve: &[u8]) -> Vec<u8> {
    const VERSION: &[u8] = &[0x02, 0x01, 0x00];
    const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
    let algorithm = der(0x30, &[EC_PUBLIC_KEY, curve].concat());
    der(0x30, &[VERSION, &algorithm, &der(0x04, sec1)].concat())
}

/// One DER value; all that is made here is shorter than 64 KiB.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let [high, low] = length.to_be_bytes();
    let head = match length {
        0..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head.as_slice(), content].concat()
}
