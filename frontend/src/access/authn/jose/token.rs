//! Tokens in the compact form.

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_URL_SAFE_NO_PAD,
};
use serde::Deserialize;

use super::{KeyError, PrivateKey, PublicKey, SignatureError};

/// As lenient as Go's: bits behind the last byte are not looked at.
const LENIENT: GeneralPurpose = {
    let config = GeneralPurposeConfig::new();
    let config = config.with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&URL_SAFE, config.with_decode_allow_trailing_bits(true))
};

/// A token longer than this is not looked at.
pub(super) const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// A token taken apart; nothing of it is to be believed before [`Jws::is_signed_by`] says so.
pub struct Jws<'a> {
    pub algorithm: String,
    pub key_id: String,
    payload: Vec<u8>,
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

impl<'a> Jws<'a> {
    /// None: this is no signed token.
    pub fn parse(token: &'a str) -> Option<Jws<'a>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let decode = |part: &str| LENIENT.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        // Extensions that must be understood are not.
        if header.crit.is_some() {
            return None;
        }
        Some(Jws {
            algorithm: header.alg,
            key_id: header.kid,
            payload: decode(payload)?,
            signed,
            signature: decode(signature)?,
        })
    }

    /// What the token says of its issuer, to choose whom to ask. Not to be believed.
    pub fn claimed_issuer(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Claimed {
            #[serde(default)]
            iss: String,
        }
        serde_json::from_slice::<Claimed>(&self.payload).ok().map(|claimed| claimed.iss)
    }

    /// The payload as it came. Not to be believed before [`Jws::verified_by`] says so.
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload, if this key signed it.
    pub fn verified_by(&self, key: &PublicKey) -> Result<&[u8], SignatureError> {
        key.verify(&self.algorithm, self.signed.as_bytes(), &self.signature)?;
        Ok(&self.payload)
    }
}

/// Makes a token of a payload.
pub fn sign(key: &PrivateKey, payload: &[u8]) -> Result<String, KeyError> {
    let header = serde_json::json!({"alg": key.algorithm(), "kid": key.public().key_id()});
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload));
    let signature = key.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", encode(&signature)))
}
