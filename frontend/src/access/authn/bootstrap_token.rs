//! Tokens by which new nodes join: secrets of their own type in kube-system.

use std::sync::Arc;

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::{BadCredentials, TokenLookup};
use crate::{
    api::schema::{Object, Value},
    cluster::Cluster,
    request::User,
};

const NAMESPACE: &str = "kube-system";
const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
const GROUP: &str = "system:bootstrappers";

/// Looks tokens up among the secrets.
pub struct BootstrapTokens(pub Arc<Cluster>);

/// `id.secret`, six and sixteen small letters and digits.
fn parse(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let small = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (id.len() == 6 && secret.len() == 16 && small(id) && small(secret)).then_some((id, secret))
}

fn data<'a>(secret: &'a Object, key: &str) -> &'a [u8] {
    secret.get(&["data", key]).and_then(Value::as_bytes).unwrap_or_default()
}

/// The groups of a token; none where one of them is not a bootstrapper's.
fn groups(secret: &Object) -> Option<Vec<String>> {
    let mut groups = vec![GROUP.to_owned()];
    let extra = String::from_utf8_lossy(data(secret, "auth-extra-groups"));
    for group in extra.split(',').map(str::trim).filter(|group| !group.is_empty()) {
        let rest = group.strip_prefix(GROUP)?.strip_prefix(':')?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-:".contains(&b);
        let inner = !rest.is_empty() && rest.len() <= 256 && rest.bytes().all(allowed);
        let ends = !rest.ends_with(['-', ':']);
        if !inner || !ends {
            return None;
        }
        if !groups.iter().any(|g| g == group) {
            groups.push(group.to_owned());
        }
    }
    groups.sort_unstable();
    Some(groups)
}

/// What is wrong with a secret that was named by a token.
fn refusal(secret: &Object, id: &str, token_secret: &str, now: jiff::Timestamp) -> Option<&'static str> {
    let equal = |a: &[u8], b: &[u8]| Sha256::digest(a) == Sha256::digest(b);
    if secret.deletion_timestamp().is_some() {
        return Some("is deleted and awaiting removal");
    }
    if secret.get_str(&["type"]) != Some(SECRET_TYPE) {
        return Some("has invalid type");
    }
    if !equal(data(secret, "token-secret"), token_secret.as_bytes()) {
        return Some("has invalid value for key token-secret");
    }
    if data(secret, "token-id") != id.as_bytes() {
        return Some("has invalid value for key token-id");
    }
    let expiration = data(secret, "expiration");
    if !expiration.is_empty() {
        let until = std::str::from_utf8(expiration).ok().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if until.is_none_or(|until| until <= now) {
            return Some("has expired, or has an expiration that cannot be read");
        }
    }
    if data(secret, "usage-bootstrap-authentication") != b"true" {
        return Some("is not marked usage-bootstrap-authentication=true");
    }
    None
}

impl TokenLookup for BootstrapTokens {
    fn user<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, BadCredentials>> {
        Box::pin(async move {
            let Some((id, token_secret)) = parse(token) else { return Ok(None) };
            let name = format!("bootstrap-token-{id}");
            let found = self.0.informer().get(("", "secrets"), NAMESPACE, &name);
            let Some(secret) = found.map_err(|error| BadCredentials(error.message))? else { return Ok(None) };
            let groups = groups(&secret);
            let why = refusal(&secret, id, token_secret, self.0.clock.now())
                .or(groups.is_none().then_some("has invalid value for key auth-extra-groups"));
            if let Some(why) = why {
                tracing::info!(secret = name, namespace = NAMESPACE, why, "a bootstrap token is not accepted");
                return Ok(None);
            }
            Ok(Some(User {
                name: format!("system:bootstrap:{id}"),
                groups: groups.unwrap_or_default(),
                ..User::default()
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{Api, schema::codec};

    fn secret(changes: &[(&str, &str)]) -> Object {
        let mut text = std::collections::BTreeMap::from([
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
        ]);
        text.extend(changes.iter().copied());
        let encode = |value: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, value);
        let data: serde_json::Map<_, _> = text.iter().map(|(k, v)| ((*k).to_owned(), json!(encode(v)))).collect();
        let document = json!({"apiVersion": "v1", "kind": "Secret", "type": SECRET_TYPE, "data": data});
        codec::decode_json(&Api::builtin().schema, document.to_string().as_bytes(), None).unwrap().object
    }

    #[test]
    fn only_tokens_of_the_form_are_looked_up() {
        for (token, parsed) in [
            ("abcdef.0123456789abcdef", true),
            ("abcdef.0123456789ABCDEF", false),
            ("abcde.0123456789abcdef", false),
            ("abcdef0123456789abcdef", false),
            ("../../..0123456789abcdef", false),
        ] {
            assert_eq!(parse(token).is_some(), parsed, "{token}");
        }
    }

    #[test]
    fn a_secret_must_say_that_its_token_is_good() {
        let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let good = |changes: &[(&str, &str)]| refusal(&secret(changes), "abcdef", "0123456789abcdef", now);
        assert_eq!(good(&[]), None);
        assert_eq!(good(&[("expiration", "2026-01-01T00:00:01Z")]), None);
        for bad in [
            ("token-secret", "0123456789abcdeX"),
            ("token-id", "abcdeX"),
            ("expiration", "2025-12-31T23:59:59Z"),
            ("expiration", "soon"),
            ("usage-bootstrap-authentication", "yes"),
        ] {
            assert!(good(&[bad]).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn groups_are_bootstrappers_alone() {
        let of = |text: &str| groups(&secret(&[("auth-extra-groups", text)]));
        assert_eq!(of(""), Some(vec![GROUP.to_owned()]));
        let worker = "system:bootstrappers:worker";
        assert_eq!(of(worker), Some(vec![GROUP.to_owned(), worker.to_owned()]));
        assert_eq!(of("system:masters"), None);
        assert_eq!(of("system:bootstrappers:"), None);
    }
}
