use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::{
    access::authn::{TokenLookup, jose},
    client::stand_in::{Answer, Asked, StandIn, answer},
    cluster::FixedClock,
    request::User,
};

const NOW: &str = "2026-01-01T00:00:00Z";

fn now() -> i64 {
    NOW.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock(NOW.parse().unwrap()))
}

/// An issuer with one key at a time.
struct Provider {
    server: StandIn,
    key: Arc<Mutex<jose::PrivateKey>>,
}

impl Provider {
    async fn start(extra: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> Provider {
        let key = Arc::new(Mutex::new(jose::new_key()));
        let served = Arc::clone(&key);
        let server = StandIn::start(move |asked| match asked.path.as_str() {
            "/.well-known/openid-configuration" | "/elsewhere" => {
                answer(200, json!({"issuer": asked.url, "jwks_uri": format!("{}/keys", asked.url)}))
            }
            "/keys" => {
                let unknown = json!({"kty": "OKP", "kid": "x"});
                answer(200, json!({"keys": [unknown, served.lock().public().to_jwk()]}))
            }
            _ => extra(asked).unwrap_or_else(|| answer(404, "{}")),
        })
        .await;
        Provider { server, key }
    }

    fn claims(&self, more: Value) -> Value {
        let mut claims = json!({"iss": self.server.url, "aud": "us", "sub": "ann", "exp": now() + 60});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    }

    fn token(&self, more: Value) -> String {
        jose::sign(&self.key.lock(), self.claims(more).to_string().as_bytes()).unwrap()
    }

    /// Issuers by a file whose only entry begins like this.
    fn file(&self, rest: &str) -> String {
        let ca = self.server.ca.replace('\n', "\n        ");
        format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer:\n    url: {}\n    \
             certificateAuthority: |\n        {ca}\n    audiences: [us]\n{rest}",
            self.server.url
        )
    }

    async fn issuers(&self, rest: &str) -> Issuers {
        let configuration = AuthenticationConfiguration::parse(&self.file(rest)).unwrap();
        let issuers = Issuers::of_file(&configuration, &[], clock()).unwrap();
        issuers.discover().await;
        issuers
    }
}

async fn outcome(issuers: &Issuers, token: &str) -> Result<Option<User>, String> {
    issuers.user(token).await.map_err(|why| why.0)
}

const SUBJECT: &str = "  claimMappings: {username: {claim: sub, prefix: ''}}\n";

#[tokio::test]
async fn claims_make_users() {
    let provider = Provider::start(|_| None).await;
    let dots = "  claimMappings:\n    username: {expression: claims.sub + '@' + claims.org__dot__name}\n    groups: {expression: \
                'claims.?roles.orValue([])'}\n    uid: {claim: sub}\n    extra: [{key: example.org/age, valueExpression: \
                'string(int(claims.age))'}]\n";
    let user = |name: &str, groups: &[&str], uid: &str, extra: &[(&str, &str)]| User {
        name: name.to_owned(),
        uid: uid.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        extra: extra.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect(),
    };
    let prefixed = "  claimMappings: {username: {claim: email, prefix: 'o:'}, groups: {claim: roles, prefix: 'g:'}}\n";
    let expression = "  claimMappings: {username: {expression: claims.sub}}\n  claimValidationRules: [{expression: \
                      'claims.age >= 18', message: too young}]\n  userValidationRules: [{expression: \
                      \"!user.username.startsWith('system:')\", message: reserved}]\n";
    let required = "  claimMappings: {username: {claim: sub, prefix: ''}}\n  claimValidationRules: [{claim: org, \
                    requiredValue: ours}]\n";
    for (rest, more, expected) in [
        (SUBJECT, json!({}), Ok(user("ann", &[], "", &[]))),
        (
            SUBJECT,
            json!({"jti": "7"}),
            Ok(user("ann", &[], "", &[("authentication.kubernetes.io/credential-id", "JTI=7")])),
        ),
        (prefixed, json!({"email": "a@b", "roles": ["x", "y"]}), Ok(user("o:a@b", &["g:x", "g:y"], "", &[]))),
        (prefixed, json!({"email": "a@b", "roles": "x", "email_verified": true}), Ok(user("o:a@b", &["g:x"], "", &[]))),
        (prefixed, json!({"email": "a@b", "email_verified": false}), Err("oidc: email not verified")),
        (prefixed, json!({}), Err("oidc: parse username claims \"email\": claim not present")),
        (
            prefixed,
            json!({"email": 7}),
            Err("oidc: parse username claims \"email\": json: cannot unmarshal number into Go value of type string"),
        ),
        (
            dots,
            json!({"org.name": "acme", "roles": ["", "x"], "age": 30}),
            Ok(user("ann@acme", &["x"], "ann", &[("example.org/age", "30")])),
        ),
        (
            dots,
            json!({"org.name": "acme", "roles": [1], "age": 1}),
            Err("oidc: error evaluating group claim expression: expression must return a string or a list of strings"),
        ),
        (
            dots,
            json!({"age": 1}),
            Err(
                "oidc: error evaluating username claim expression: expression 'claims.sub + '@' + claims.org__dot__name' resulted in error: no such key: org__dot__name",
            ),
        ),
        (expression, json!({"age": 20}), Ok(user("ann", &[], "", &[]))),
        (
            expression,
            json!({"age": 10}),
            Err(
                "oidc: error evaluating claim validation expression: validation expression 'claims.age >= 18' failed: too young",
            ),
        ),
        (
            expression,
            json!({"age": 20, "sub": "system:x"}),
            Err(
                "oidc: error evaluating user info validation rule: validation expression '!user.username.startsWith('system:')' failed: reserved",
            ),
        ),
        (expression, json!({"age": 20, "sub": ""}), Err("oidc: empty username via CEL expression is not allowed")),
        (
            expression,
            json!({"age": 20, "sub": 5}),
            Err("oidc: error evaluating username claim expression: username claim expression must return a string"),
        ),
        (required, json!({"org": "ours"}), Ok(user("ann", &[], "", &[]))),
        (required, json!({"org": "x"}), Err("oidc: required claim org value does not match. Got = x, want = ours")),
        (required, json!({}), Err("oidc: required claim org not present in ID token")),
    ] {
        let found = outcome(&provider.issuers(rest).await, &provider.token(more.clone())).await;
        assert_eq!(found, expected.map(Some).map_err(str::to_owned), "{rest}{more}");
    }
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let provider = Provider::start(|_| None).await;
    let issuers = provider.issuers(SUBJECT).await;
    let foreign = Provider::start(|_| None).await;
    let forged = jose::sign(&foreign.key.lock(), provider.claims(json!({})).to_string().as_bytes()).unwrap();
    let mut changed = provider.token(json!({}));
    changed.insert(changed.len() - 3, 'A');
    let unsigned = {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({"alg": "none"})), part(&provider.claims(json!({}))))
    };
    let expired =
        format!("oidc: verify token: oidc: token is expired (Token Expiry: {})", "2025-12-31 23:59:59 +0000 UTC");
    for (token, why) in [
        (forged, "oidc: verify token: failed to verify signature: failed to verify id token signature"),
        (changed, "oidc: verify token: failed to verify signature: failed to verify id token signature"),
        (
            unsigned,
            "oidc: verify token: oidc: id token signed with unsupported algorithm, expected [\"ES256\" \"ES384\" \"ES512\" \"PS256\" \"PS384\" \"PS512\" \"RS256\" \"RS384\" \"RS512\"] got \"none\"",
        ),
        (provider.token(json!({"exp": now() - 1})), expired.as_str()),
        (
            provider.token(json!({"exp": null})),
            "oidc: verify token: oidc: token is expired (Token Expiry: 0001-01-01 00:00:00 +0000 UTC)",
        ),
        (
            provider.token(json!({"nbf": now() + 90})),
            "oidc: verify token: oidc: current time 2026-01-01 00:00:00 +0000 UTC before the nbf (not before) time: 2026-01-01 00:01:30 +0000 UTC",
        ),
        (
            provider.token(json!({"aud": ["a", "b"]})),
            "oidc: verify token: oidc: expected audience \"us\" got [\"a\" \"b\"]",
        ),
    ] {
        assert_eq!(outcome(&issuers, &token).await, Err(why.to_owned()));
    }
    for nobody in [foreign.token(json!({})), "a.b".to_owned(), "x".repeat(100_000)] {
        assert_eq!(outcome(&issuers, &nobody).await, Ok(None));
    }
    assert!(
        outcome(&issuers, &provider.token(json!({"nbf": now() + 30, "aud": ["x", "us"]}))).await.unwrap().is_some()
    );
}

#[tokio::test]
async fn keys_are_kept_and_fetched_again_when_they_change() {
    let provider = Provider::start(|_| None).await;
    let issuers = provider.issuers(SUBJECT).await;
    let fetches = || provider.server.asked().iter().filter(|asked| asked.path == "/keys").count();
    for _ in 0..3 {
        assert!(outcome(&issuers, &provider.token(json!({}))).await.unwrap().is_some());
    }
    assert_eq!(fetches(), 1);
    *provider.key.lock() = jose::new_key();
    let token = provider.token(json!({}));
    let at_once = futures::future::join_all((0..8).map(|_| outcome(&issuers, &token))).await;
    assert!(at_once.iter().all(|found| found.as_ref().is_ok_and(Option::is_some)), "{at_once:?}");
    assert_eq!(fetches(), 2, "those that want keys at one time share a fetch");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_not_believed() {
    let provider = Provider::start(|_| None).await;
    let configuration = AuthenticationConfiguration::parse(&provider.file(SUBJECT)).unwrap();
    let issuers = Issuers::of_file(&configuration, &[], clock()).unwrap();
    let token = provider.token(json!({}));
    assert_eq!(outcome(&issuers, &token).await, Err("oidc: authenticator not initialized".to_owned()));
    issuers.discover().await;
    assert!(outcome(&issuers, &token).await.unwrap().is_some());

    let liar = StandIn::start(|_| answer(200, json!({"issuer": "https://other", "jwks_uri": "https://x"}))).await;
    let text = provider.file(SUBJECT).replace(&provider.server.url, &liar.url).replace(&provider.server.ca, &liar.ca);
    let configuration = AuthenticationConfiguration::parse(&text).unwrap();
    let issuers = Issuers::of_file(&configuration, &[], clock()).unwrap();
    issuers.discover().await;
    assert_eq!(issuers.failures().len(), 1);
}

#[tokio::test]
async fn discovery_may_start_elsewhere() {
    let provider = Provider::start(|_| None).await;
    let rest = format!("    discoveryURL: {}/elsewhere\n{SUBJECT}", provider.server.url);
    let issuers = provider.issuers(&rest).await;
    assert!(outcome(&issuers, &provider.token(json!({}))).await.unwrap().is_some());
    assert_eq!(provider.server.asked()[0].path, "/elsewhere");
}

#[tokio::test]
async fn groups_may_stand_in_a_token_of_their_own() {
    let held = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&held);
    let provider = Provider::start(move |asked| match (asked.path.as_str(), asked.header("authorization")) {
        ("/groups", "Bearer abc") => Some(answer(200, told.lock())),
        ("/groups", _) => Some(answer(401, "")),
        _ => None,
    })
    .await;
    *held.lock() = provider.token(json!({"roles": ["x"]}));
    let rest = "  claimMappings: {username: {claim: sub, prefix: ''}, groups: {claim: roles, prefix: ''}}\n";
    let issuers = provider.issuers(rest).await;
    let source = |more: Value| {
        let mut source = json!({"endpoint": format!("{}/groups", provider.server.url)});
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"_claim_names": {"roles": "s"}, "_claim_sources": {"s": source}})
    };
    let good = outcome(&issuers, &provider.token(source(json!({"access_token": "abc"})))).await.unwrap().unwrap();
    assert_eq!(good.groups, ["x"]);
    let refused = outcome(&issuers, &provider.token(source(json!({})))).await.unwrap_err();
    assert!(refused.contains("while getting distributed claim \"roles\": error while getting"), "{refused}");
    *held.lock() = provider.token(json!({"sub": "no roles"}));
    let refused = outcome(&issuers, &provider.token(source(json!({"access_token": "abc"})))).await.unwrap_err();
    assert!(refused.contains("did not contain claim: roles"), "{refused}");
}

#[tokio::test]
async fn a_changed_file_counts_when_its_issuers_answer() {
    let provider = Provider::start(|_| None).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authentication.yaml");
    std::fs::write(&path, provider.file(SUBJECT)).unwrap();
    let (file, configuration) = ConfigurationFile::open(path.clone(), &[]).unwrap();
    let issuers = Arc::new(Issuers::of_file(&configuration, &[], clock()).unwrap());
    let kept = Arc::clone(&issuers);
    let keeper = tokio::spawn(async move { kept.keep(Some(file)).await });
    let token = provider.token(json!({}));
    let until = async |wanted: Option<&str>| {
        let all = async {
            while outcome(&issuers, &token).await.ok().flatten().map(|user| user.name).as_deref() != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), all).await.unwrap();
    };
    until(Some("ann")).await;
    std::fs::write(&path, "not: a configuration").unwrap();
    std::fs::write(&path, provider.file(SUBJECT).replace("prefix: ''", "prefix: 'new:'")).unwrap();
    until(Some("new:ann")).await;
    keeper.abort();
}

#[test]
fn settings_are_validated() {
    let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";
    let one = |issuer: &str, rest: &str| format!("jwt: [{{issuer: {{{issuer}}}, {rest}}}]");
    let good = "url: 'https://a', audiences: [x]";
    let name = "claimMappings: {username: {claim: sub, prefix: ''}}";
    let refusal = |text: &str| {
        let configuration = AuthenticationConfiguration::parse(&format!("{head}{text}")).unwrap();
        let outcome = Issuers::of_file(&configuration, &["https://own".to_owned()], clock());
        outcome.err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (text, why) in [
        ("jwt: []".to_owned(), ""),
        (one(good, name), ""),
        (one("audiences: [x]", name), "jwt[0].issuer.url: Required value"),
        (
            one("url: 'http://a', audiences: [x]", name),
            "jwt[0].issuer.url: Invalid value: \"http://a\": URL scheme must be https",
        ),
        (one("url: 'https://u@a', audiences: [x]", name), "URL must not contain a username or password"),
        (one("url: 'https://a?b', audiences: [x]", name), "URL must not contain a query"),
        (one("url: 'https://a#b', audiences: [x]", name), "URL must not contain a fragment"),
        (
            one("url: 'https://own', audiences: [x]", name),
            "URL must not overlap with disallowed issuers: [https://own]",
        ),
        (one(&format!("{good}, discoveryURL: 'https://a/'"), name), "discoveryURL must be different from URL"),
        (
            one("url: 'https://a'", name),
            "jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required",
        ),
        (
            one("url: 'https://a', audiences: [x, '', x], audienceMatchPolicy: MatchAny", name),
            "[jwt[0].issuer.audiences[1]: Required value, jwt[0].issuer.audiences[2]: Duplicate value: \"x\"]",
        ),
        (
            one("url: 'https://a', audiences: [x, z]", name),
            "audienceMatchPolicy must be MatchAny for multiple audiences",
        ),
        (
            one(&format!("{good}, certificateAuthority: nothing"), name),
            "jwt[0].issuer.certificateAuthority: Invalid value: \"<omitted>\": data does not contain any valid RSA or ECDSA certificates",
        ),
        (
            one(&format!("{good}, egressSelectorType: moon"), name),
            "egress selector must be either controlplane or cluster",
        ),
        (
            one(&format!("{good}, egressSelectorType: cluster"), name),
            "oidc: egress lookup required with egress selector type \"cluster\"",
        ),
        (
            one(good, "claimMappings: {}"),
            "jwt[0].claimMappings.username: Required value: claim or expression is required",
        ),
        (
            one(good, "claimMappings: {username: {claim: sub}}"),
            "jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set",
        ),
        (
            one(good, "claimMappings: {username: {claim: sub, expression: claims.sub, prefix: ''}}"),
            "claim and expression can't both be set",
        ),
        (
            one(good, "claimMappings: {username: {expression: claims.}}"),
            "jwt[0].claimMappings.username.expression: Invalid value: \"claims.\": compilation failed",
        ),
        (one(good, "claimMappings: {username: {expression: claims.email}}"), "claims.email_verified must be used in"),
        (
            one(
                good,
                "claimMappings: {username: {expression: 'claims.?email_verified.orValue(true) ? claims.email : claims.sub'}}",
            ),
            "",
        ),
        (one(good, &format!("{name}, claimValidationRules: [{{expression: claims.x}}]")), "must evaluate to bool"),
        (
            one(good, &format!("{name}, claimValidationRules: [{{}}]")),
            "jwt[0].claimValidationRules[0]: Required value: claim or expression is required",
        ),
        (
            one(good, &format!("{name}, claimValidationRules: [{{claim: a, message: b}}]")),
            "may not be specified when claim is set",
        ),
        (
            one(good, &format!("{name}, claimValidationRules: [{{claim: a}}, {{claim: a}}]")),
            "jwt[0].claimValidationRules[1].claim: Duplicate value: \"a\"",
        ),
        (
            one(good, &format!("{name}, userValidationRules: [{{expression: user.name == ''}}]")),
            "undefined field 'name'",
        ),
        (
            one(
                good,
                "claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: a, valueExpression: claims.a}]}",
            ),
            "must be a domain-prefixed path",
        ),
        (
            one(
                good,
                "claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: x.k8s.io/a, valueExpression: claims.a}]}",
            ),
            "are reserved for Kubernetes use",
        ),
        (
            one(
                good,
                "claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: A.io/a, valueExpression: claims.a}]}",
            ),
            "must be lowercase",
        ),
        (
            "anonymous: {enabled: false, conditions: [{path: /livez}]}".to_owned(),
            "anonymous.conditions: Invalid value: [{\"Path\":\"/livez\"}]: enabled should be set to true when conditions are defined",
        ),
    ] {
        let found = refusal(&text);
        match why {
            "" => assert_eq!(found, "", "{text}"),
            why => assert!(found.contains(why), "{text}: {found}"),
        }
    }
}
