use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use ring::{rand::SystemRandom, signature};

use super::{token::TOKEN_BYTES_MAX, *};

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der)).into_bytes()
}

/// A key that nobody else has.
pub(in crate::access) fn p256() -> PrivateKey {
    let random = SystemRandom::new();
    let der = signature::EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    private_key(&pem("PRIVATE KEY", der.as_ref())).unwrap()
}

#[test]
fn a_token_is_believed_by_its_own_key_alone() {
    let (key, other) = (p256(), p256());
    let token = sign(&key, b"{\"iss\":\"me\"}").unwrap();
    let jws = Jws::parse(&token).unwrap();
    assert_eq!(jws.key_id, key.public().key_id());
    assert_eq!(jws.claimed_issuer().as_deref(), Some("me"));
    assert_eq!(jws.verified_by(key.public()).unwrap(), b"{\"iss\":\"me\"}");
    assert_eq!(jws.verified_by(other.public()), Err(SignatureError::Wrong));
}

/// The same token with another header.
fn with_header(token: &str, header: &str) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header))
}

#[test]
fn the_algorithm_is_the_keys_and_not_the_tokens() {
    let key = p256();
    let token = sign(&key, b"{}").unwrap();
    for (header, why) in [
        (r#"{"alg":"none"}"#, SignatureError::Algorithm),
        (r#"{"alg":"HS256"}"#, SignatureError::Algorithm),
        (r#"{"alg":"RS256"}"#, SignatureError::Algorithm),
        (r#"{"alg":"ES384"}"#, SignatureError::Algorithm),
        (r#"{"alg":"ES256","typ":"JWT"}"#, SignatureError::Wrong),
    ] {
        let forged = with_header(&token, header);
        assert_eq!(Jws::parse(&forged).unwrap().verified_by(key.public()), Err(why), "{header}");
    }
}

#[test]
fn what_is_no_token_is_not_looked_at() {
    let token = sign(&p256(), b"{}").unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let bad = [
        String::new(),
        "a.b".into(),
        "a.b.c".into(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.!", parts[0], parts[1]),
        with_header(&token, "{}"),
        with_header(&token, r#"{"alg":"ES256","crit":["exp"]}"#),
        format!("{}.{}", "x".repeat(TOKEN_BYTES_MAX), token),
    ];
    for text in bad {
        assert!(Jws::parse(&text).is_none(), "{}", &text[..text.len().min(40)]);
    }
    // A payload with a dot too many cannot be decoded either.
    assert!(Jws::parse(&format!("{token}.{}", parts[2])).is_none());
}

#[test]
fn keys_keep_their_id_in_every_form() {
    for curve in ["P-256", "P-384"] {
        let random = SystemRandom::new();
        let algorithm = match curve {
            "P-256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            _ => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        let der = signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = private_key(&pem("PRIVATE KEY", der.as_ref())).unwrap();
        let public = PublicKey::from_jwk(&key.public().to_jwk()).unwrap();
        assert_eq!(&public, key.public());
        assert_eq!(public.to_jwk()["crv"], curve);
        let from_pem = public_keys(&pem("PRIVATE KEY", der.as_ref())).unwrap();
        assert_eq!(from_pem, std::slice::from_ref(&public));
        let spki = public_keys(&pem("PUBLIC KEY", &public.spki())).unwrap();
        assert_eq!(spki, [public]);
    }
    let rsa = PublicKey::from_jwk(&serde_json::json!({"kty": "RSA", "n": "AL7v", "e": "AQAB"})).unwrap();
    assert_eq!(PublicKey::from_spki(&rsa.spki()).unwrap(), rsa);
    for bad in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        assert!(public_keys(bad.as_bytes()).is_err(), "{bad:?}");
    }
}
