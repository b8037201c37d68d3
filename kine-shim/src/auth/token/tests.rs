//! Tokens are accepted from whoever made them for as long as they live, and from nobody else.

use std::fs;

use bytes::Bytes;

use super::*;
use crate::auth::{Change, Identity, Secret};

const NOW: i64 = 1_700_000_000_000;

fn text(text: &str) -> String {
    text.to_owned()
}

fn change(auth: &mut Auth, change: Change) {
    for (key, value) in auth.evaluate(&change).unwrap() {
        auth.apply(&key, &value);
    }
}

fn hash(text: &'static str) -> Secret {
    Secret(Bytes::from_static(text.as_bytes()))
}

/// Enabled, with users root and u.
fn store() -> Auth {
    let mut auth = Auth::default();
    for name in ["root", "u"] {
        change(&mut auth, Change::UserAdd { name: text(name), password: Some(hash("hash")) });
    }
    change(&mut auth, Change::UserGrantRole { user: text("root"), role: text("root") });
    change(&mut auth, Change::Enable(hash("a secret")));
    auth
}

fn known(auth: &Auth, name: &str) -> Verdict {
    Verdict::Known(Identity { name: name.into(), revision: auth.revision() })
}

#[test]
fn a_simple_token_is_accepted_by_every_shim_until_it_ends() {
    let auth = store();
    let (maker, other) = (Tokens::default(), Tokens::default());
    let token = maker.assign("u", &auth, Position(7), NOW).unwrap();
    assert_ne!(token, maker.assign("u", &auth, Position(7), NOW).unwrap());
    for at in [NOW, NOW + 300_000] {
        assert_eq!(other.verify(&token, &auth, Position(7), at), known(&auth, "u"), "{at}");
    }
    // It lives on where it is used, and nowhere else.
    assert_eq!(other.verify(&token, &auth, Position(7), NOW + 599_000), known(&auth, "u"));
    assert_eq!(maker.verify(&token, &auth, Position(7), NOW + 301_000), Verdict::Invalid);
    assert_eq!(other.verify(&token, &auth, Position(9), NOW + 900_000), Verdict::Invalid);
    assert_eq!(other.verify(&token, &auth, Position(6), NOW), Verdict::Ahead);
    assert!(other.is_ahead(&token, Position(6)) && !other.is_ahead(&token, Position(7)));
}

#[test]
fn a_simple_token_ends_with_what_it_stands_on() {
    let auth = store();
    let tokens = Tokens::default();
    let token = tokens.assign("u", &auth, Position(1), NOW).unwrap();
    let mut repassworded = auth.clone();
    let password = crate::auth::NewPassword::Hash(hash("other"));
    change(&mut repassworded, Change::UserChangePassword { name: text("u"), password });
    let mut deleted = auth.clone();
    change(&mut deleted, Change::UserDelete { name: text("u") });
    let mut switched = auth.clone();
    change(&mut switched, Change::Disable);
    change(&mut switched, Change::Enable(hash("another secret")));
    for auth in [&repassworded, &deleted, &switched] {
        assert_eq!(tokens.verify(&token, auth, Position(1), NOW), Verdict::Invalid, "{auth:?}");
    }
    // Whatever else changes leaves it valid.
    let mut changed = auth.clone();
    change(&mut changed, Change::RoleAdd { name: text("r") });
    change(&mut changed, Change::UserGrantRole { user: text("u"), role: text("r") });
    assert_eq!(tokens.verify(&token, &changed, Position(1), NOW), known(&changed, "u"));
}

#[test]
fn a_damaged_simple_token_is_invalid() {
    let auth = store();
    let tokens = Tokens::default();
    let token = tokens.assign("u", &auth, Position(12), NOW).unwrap();
    let mut damaged: Vec<String> = ["", ".", "a.1", "....", ".12", "a.b.12"].map(text).to_vec();
    damaged.extend([format!("{token}x"), format!("{token}.1"), token[..token.len() - 1].to_owned()]);
    for at in 0..token.len() - 3 {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        damaged.push(String::from_utf8(bytes).unwrap());
    }
    for token in damaged {
        assert_eq!(tokens.verify(&token, &auth, Position(12), NOW), Verdict::Invalid, "{token:?}");
    }
    assert_eq!(Tokens::None.verify(&token, &auth, Position(12), NOW), Verdict::Invalid);
}

/// Keys for these tests alone, as OpenSSL writes them: (method, private, public).
const KEYS: &[(&str, &str, &str)] = &[
    ("RS256", "rsa.key", "rsa.pub"),
    ("RS384", "rsa.key", "rsa.pub"),
    ("RS512", "rsa-pkcs8.key", "rsa-pkcs8.pub"),
    ("PS256", "rsa.key", "rsa.pub"),
    ("PS384", "rsa.key", "rsa.pub"),
    ("PS512", "rsa.key", "rsa.pub"),
    ("ES256", "p256.key", "p256.pub"),
    ("ES256", "p256-pkcs8.key", "p256-pkcs8.pub"),
    ("ES384", "p384.key", "p384.pub"),
    ("ES384", "p384.key", "p384.crt"),
    ("ES512", "p521.key", "p521.pub"),
    ("ES512", "p521-pkcs8.key", "p521-pkcs8.pub"),
    ("EdDSA", "ed25519.key", "ed25519.pub"),
];

fn key(file: &str) -> String {
    format!("{}/src/auth/token/testdata/{file}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn signed_tokens_of_every_method_are_made_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = store();
    for (method, private, public) in KEYS {
        let (private, public) = (key(private), key(public));
        let maker =
            Tokens::parse(&format!("jwt,sign-method={method},priv-key={private},pub-key={public}"), TTL_DEFAULT);
        let maker = maker.unwrap_or_else(|error| panic!("{method}: {error}"));
        let reader = Tokens::parse(&format!("jwt,sign-method={method},pub-key={public}"), TTL_DEFAULT).unwrap();
        let token = maker.assign("u", &auth, Position(1), NOW).unwrap();
        for tokens in [&maker, &reader] {
            assert_eq!(tokens.verify(&token, &auth, Position(0), NOW), known(&auth, "u"), "{method}");
            assert_eq!(tokens.verify(&token, &auth, Position(0), NOW + 300_000), Verdict::Invalid, "{method}");
        }
        assert_eq!(reader.assign("u", &auth, Position(1), NOW), Err(AuthRefusal::VerifyOnly), "{method}");
        let unsigned = token.rsplit_once('.').unwrap().0;
        for bad in [format!("{unsigned}."), unsigned.to_owned(), format!("x{token}"), format!("{token}A")] {
            assert_eq!(reader.verify(&bad, &auth, Position(0), NOW), Verdict::Invalid, "{method} {bad}");
        }
    }
    let secret = folder.path().join("hmac");
    fs::write(&secret, "not to be guessed").unwrap();
    let of = |method: &str, ttl: &str| {
        let options = format!("jwt,sign-method={method},priv-key={},ttl={ttl}", secret.display());
        Tokens::parse(&options, TTL_DEFAULT).unwrap()
    };
    let token = of("HS256", "10m").assign("u", &auth, Position(1), NOW).unwrap();
    let before = known(&auth, "u");
    change(&mut auth, Change::RoleAdd { name: text("r") });
    // Bound to the revision at which it was made, whatever the store's is.
    assert_eq!(of("HS256", "1s").verify(&token, &auth, Position(1), NOW + 599_000), before);
    assert_eq!(of("HS256", "1s").verify(&token, &auth, Position(1), NOW + 600_000), Verdict::Invalid);
    assert_eq!(of("HS512", "1s").verify(&token, &auth, Position(1), NOW), Verdict::Invalid);
}

#[test]
fn the_example_of_the_standard_is_verified() {
    // RFC 7515, appendix A.1: signed with HS256, its claims name no user.
    let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, key).unwrap()).unwrap();
    let tokens = Tokens::parse(&format!("jwt,sign-method=HS256,priv-key={}", file.display()), TTL_DEFAULT).unwrap();
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6\
                 Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let Tokens::Jwt(jwt) = &tokens else { panic!("{tokens:?}") };
    assert_eq!(jwt.claims(token).unwrap()["iss"], "joe");
    assert_eq!(tokens.verify(token, &store(), Position(0), 1_300_000_000_000), Verdict::Invalid);
}

#[test]
fn bad_options_are_named() {
    let mismatch = format!("jwt,sign-method=RS256,priv-key={},pub-key={}", key("rsa.key"), key("rsa-pkcs8.pub"));
    let unfit = format!("jwt,sign-method=ES256,priv-key={}", key("rsa.key"));
    let curve = format!("jwt,sign-method=ES256,pub-key={}", key("p384.pub"));
    for (options, part) in [
        ("complex", "neither simple nor jwt"),
        ("simple,x", "not NAME=VALUE"),
        ("jwt,ttl=1=2", "not NAME=VALUE"),
        ("jwt,ttl=1m,ttl=2m", "ttl is given twice"),
        ("jwt,ttl=soon", "ttl: \"soon\""),
        ("jwt", "sign-method: \"\""),
        ("jwt,sign-method=none", "sign-method: \"none\""),
        ("jwt,sign-method=RS256", "pub-key or priv-key"),
        ("jwt,sign-method=HS256", "priv-key is missing"),
        ("jwt,sign-method=RS256,priv-key=/no/such/file", "priv-key: /no/such/file"),
        (&mismatch, "do not belong together"),
        (&unfit, "priv-key holds no key for ES256"),
        (&curve, "pub-key holds no key for ES256"),
    ] {
        let error = Tokens::parse(options, TTL_DEFAULT).expect_err(options);
        assert!(error.contains(part), "{options}: {error}");
    }
    assert!(matches!(Tokens::parse("", TTL_DEFAULT), Ok(Tokens::None)));
}

#[test]
fn tokens_that_etcd_signed_are_accepted_and_ours_read_the_same() {
    // Made by etcd 3.6.16 for root at auth revision 4, with the keys beside them: method, key, token.
    for line in include_str!("testdata/etcd-tokens.txt").lines() {
        let [method, name, token] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let options = format!("jwt,sign-method={method},priv-key={}", key(&format!("{name}.key")));
        let tokens = Tokens::parse(&options, TTL_DEFAULT).unwrap();
        let root = Verdict::Known(Identity { name: "root".into(), revision: 4 });
        assert_eq!(tokens.verify(token, &store(), Position(0), NOW), root, "{method}");
        // Header and claims are spelled alike.
        let ours = tokens.assign("root", &store(), Position(0), 4_948_872_000_000).unwrap();
        assert_eq!(ours.split('.').next(), token.split('.').next(), "{method}");
    }
}
