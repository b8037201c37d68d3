use std::sync::Arc;

use serde_json::json;

use super::{accounts::LEGACY_ISSUER, claims::Claims, *};
use crate::{
    access::{
        authn::{
            TokenAuthenticator,
            jose::{self, Jws, PrivateKey},
        },
        metrics::Metrics,
    },
    cluster::Cluster,
    config,
    request::Warnings,
};

/// Accounts with a key of their own on a store that is not there: signatures and audiences can be checked, lives
/// cannot.
async fn accounts(settings: &[&str]) -> (ServiceAccounts, PrivateKey) {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    let random = ring::rand::SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der.as_ref()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sa.key");
    std::fs::write(&file, &pem).unwrap();
    let flags: Vec<String> = [
        "--etcd-servers=http://127.0.0.1:1".to_owned(),
        "--service-account-issuer=https://issuer.example".to_owned(),
        format!("--service-account-key-file={}", file.display()),
        format!("--service-account-signing-key-file={}", file.display()),
    ]
    .into_iter()
    .chain(settings.iter().map(|flag| (*flag).to_owned()))
    .collect();
    let config = config::Config::from_flags(&config::parse(flags).unwrap()).unwrap();
    let cluster = Cluster {
        api: crate::api::ApiHandle::new(crate::api::Api::builtin()),
        store: crate::store::Store::connect(crate::store::StoreConfig::new(config.etcd.servers.clone())).await.unwrap(),
        clock: Arc::new(crate::cluster::FixedClock("2026-01-01T00:00:00Z".parse().unwrap())),
        settings: crate::cluster::Settings::default(),
        conversions: crate::cluster::Conversions::default(),
        writes: Default::default(),
        aggregation: crate::cluster::Aggregation::default(),
        shutdown: tokio_util::sync::CancellationToken::new(),
    };
    let settings = &config.authentication;
    let accounts = ServiceAccounts::read(
        Arc::new(cluster),
        &settings.service_accounts,
        &settings.api_audiences,
        None,
        &Metrics::default(),
    )
    .unwrap();
    (accounts, jose::private_key(pem.as_bytes()).unwrap())
}

fn now() -> i64 {
    "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second()
}

async fn refusal(accounts: &ServiceAccounts, token: &str) -> Result<bool, String> {
    let own = [String::from("https://issuer.example")];
    let outcome = accounts.authenticate(token, &own, &Warnings::default()).await;
    outcome.map(|identity| identity.is_some()).map_err(|why| why.0)
}

#[tokio::test]
async fn what_a_token_says_must_hold() {
    let (accounts, key) = accounts(&[]).await;
    let issuer = "https://issuer.example";
    let cases = [
        (json!({"iss": "https://other.example", "aud": [issuer]}), Ok(false)),
        (
            json!({"iss": issuer, "aud": ["x", "y"]}),
            Err(r#"token audiences ["x" "y"] is invalid for the target audiences ["https://issuer.example"]"#),
        ),
        (json!({"iss": issuer, "aud": issuer, "exp": now() - 61}), Err("service account token has expired")),
        (json!({"iss": issuer, "aud": [issuer], "nbf": now() + 61}), Err("service account token is not valid yet")),
        (
            json!({"iss": issuer, "aud": [issuer], "iat": now() + 61}),
            Err("service account token is issued in the future"),
        ),
        // The clocks of two machines may differ by a minute. What it is bound to is not there, though.
        (json!({"iss": issuer, "aud": [issuer], "exp": now() - 59}), Err("serviceaccounts \"\" not found")),
        (json!({"iss": issuer, "aud": 1}), Err("the claims of the token cannot be read")),
        (json!({"iss": LEGACY_ISSUER}), Err("sub claim is missing")),
        (json!({"iss": LEGACY_ISSUER, "sub": "system:serviceaccount:a:b"}), Err("namespace claim is missing")),
        (
            json!({
                "iss": LEGACY_ISSUER, "sub": "system:serviceaccount:a:b",
                "kubernetes.io/serviceaccount/namespace": "a", "kubernetes.io/serviceaccount/secret.name": "s",
                "kubernetes.io/serviceaccount/service-account.name": "other",
                "kubernetes.io/serviceaccount/service-account.uid": "u",
            }),
            Err("sub claim is invalid"),
        ),
    ];
    for (claims, expected) in cases {
        let token = jose::sign(&key, claims.to_string().as_bytes()).unwrap();
        assert_eq!(refusal(&accounts, &token).await, expected.map_err(str::to_owned), "{claims}");
    }
}

#[tokio::test]
async fn a_forged_token_is_refused_and_never_remembered() {
    let (accounts, key) = accounts(&[]).await;
    let token = jose::sign(&key, br#"{"iss":"https://issuer.example","exp":1}"#).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    for _ in 0..2 {
        let why = refusal(&accounts, &forged).await.unwrap_err();
        assert_eq!(why, "go-jose/go-jose: error in cryptographic primitive");
    }
    let stranger = {
        let (_, other) = self::accounts(&[]).await;
        jose::sign(&other, br#"{"iss":"https://issuer.example"}"#).unwrap()
    };
    assert_eq!(refusal(&accounts, &stranger).await.unwrap_err(), "invalid signature, no keys found");
    assert_eq!(refusal(&accounts, "not.a.token").await, Ok(false));
}

#[tokio::test]
async fn a_token_lives_as_long_as_it_was_asked_for_but_for_kubelets_default() {
    let (accounts, key) = accounts(&[]).await;
    let api = crate::api::Api::builtin();
    let object = |json: serde_json::Value| {
        crate::api::schema::codec::decode_json(&api.schema, json.to_string().as_bytes(), None).unwrap().object
    };
    let metadata = json!({"name": "n", "namespace": "x", "uid": "u"});
    let account = object(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}));
    let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}));
    let own = accounts.audiences().to_vec();
    let other = vec!["other".to_owned()];
    let year = 365 * 24 * 3600;
    for (audiences, asked, bound, lives, warns) in [
        (&own, 600, Bound::Nothing, 600, None),
        (&own, 3607, Bound::Nothing, 3607, None),
        (&own, 3607, Bound::Pod(&pod, None), year, Some(now() + 3607)),
        (&other, 3607, Bound::Pod(&pod, None), 3607, None),
        (&own, 3600, Bound::Pod(&pod, None), 3600, None),
    ] {
        let wish = Wish { account: &account, audiences, expiration_seconds: asked, bound };
        let issued = accounts.issue(&wish).unwrap();
        let jws = Jws::parse(&issued.token).unwrap();
        let claims: Claims = serde_json::from_slice(jws.verified_by(key.public()).unwrap()).unwrap();
        assert_eq!(claims.exp, Some(now() + lives), "{asked} for {audiences:?}");
        assert_eq!(claims.kubernetes.unwrap().warnafter, warns, "{asked} for {audiences:?}");
        assert_eq!((claims.sub.as_str(), claims.jti), ("system:serviceaccount:x:n", issued.id));
    }
}

#[tokio::test]
async fn the_documents_name_the_keys() {
    let (accounts, key) = accounts(&[]).await;
    let documents = Documents::of(&accounts, "host:6443");
    assert_eq!(
        documents.configuration.unwrap(),
        r#"{"issuer":"https://issuer.example","jwks_uri":"https://host:6443/openid/v1/jwks","response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256"]}"#
    );
    let keys: serde_json::Value = serde_json::from_str(&documents.keys.unwrap()).unwrap();
    assert_eq!(keys["keys"][0]["kid"], key.public().key_id());
    assert!(keys["keys"][0].get("d").is_none());
}
