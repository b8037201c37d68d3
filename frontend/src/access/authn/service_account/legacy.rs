//! Tokens that stand in secrets and never expire. Each use marks its secret with the day, so that those that nobody
//! uses can be found and removed.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    ServiceAccounts,
    accounts::{ACCOUNTS, account_user},
    claims::Claims,
};
use crate::{
    access::authn::BadCredentials,
    api::schema::{Object, Value},
    cluster::{Cluster, ResourceName, Target},
    request::{
        User, Warnings,
        info::{Query, RequestInfo},
    },
    store::UpdateOutcome,
};

const SECRETS: ResourceName<'static> = ("", "secrets");
const LAST_USED: &str = "kubernetes.io/legacy-token-last-used";
const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";

fn refuse<T>(why: impl Into<String>) -> Result<T, BadCredentials> {
    Err(BadCredentials(why.into()))
}

/// The user of a legacy token whose signature is good.
pub(super) async fn validate(
    accounts: &ServiceAccounts,
    token: &str,
    claims: &Claims,
    warnings: &Warnings,
) -> Result<User, BadCredentials> {
    let needed = [
        (&claims.sub, "sub"),
        (&claims.legacy_namespace, "namespace"),
        (&claims.legacy_secret, "secretName"),
        (&claims.legacy_account, "serviceAccountName"),
        (&claims.legacy_uid, "serviceAccountUID"),
    ];
    if let Some((_, name)) = needed.iter().find(|(value, _)| value.is_empty()) {
        return refuse(format!("{name} claim is missing"));
    }
    let (namespace, name, uid) = (&claims.legacy_namespace, &claims.legacy_account, &claims.legacy_uid);
    if claims.sub != format!("system:serviceaccount:{namespace}:{name}") {
        return refuse("sub claim is invalid");
    }
    if accounts.settings.lookup {
        let secret = accounts.find(SECRETS, namespace, &claims.legacy_secret).await;
        let Some(secret) = secret.filter(|secret| secret.deletion_timestamp().is_none()) else {
            return refuse("Token has been invalidated");
        };
        let kept = secret.get(&["data", "token"]).and_then(Value::as_bytes).unwrap_or_default();
        // Digests are compared, so that how long it takes tells nothing of the token.
        if Sha256::digest(kept) != Sha256::digest(token.as_bytes()) {
            return refuse("Token does not match server's copy");
        }
        let Some(account) = accounts.find(ACCOUNTS, namespace, name).await else {
            return refuse(format!("serviceaccounts \"{name}\" not found"));
        };
        if account.deletion_timestamp().is_some() {
            return refuse(format!("ServiceAccount {namespace}/{name} has been deleted"));
        }
        if account.uid() != uid {
            return refuse(format!("ServiceAccount UID ({}) does not match claim ({uid})", account.uid()));
        }
        mark_used(&accounts.cluster, &secret);
        if label(&secret, INVALID_SINCE).is_some_and(|since| !since.is_empty()) {
            return refuse(format!(
                "the token in secret {namespace}/{} for service account {namespace}/{name} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '{INVALID_SINCE}' label from the secret to temporarily allow use of this token",
                secret.name()
            ));
        }
        let listed = account.get_list(&["secrets"]).unwrap_or_default();
        if listed.iter().any(|s| s.child("name").and_then(Value::as_str) == Some(secret.name())) {
            warnings.add("Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens.");
        }
    }
    Ok(account_user(namespace, name, uid, Vec::new()))
}

fn label<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(&["metadata", "labels"])?.child(name)?.as_str()
}

/// Marks the secret with today, once a day. It happens beside the request: who shows the token need not wait.
fn mark_used(cluster: &Arc<Cluster>, secret: &Arc<Object>) {
    let now = cluster.clock.now();
    let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d").to_string();
    let today = day(now);
    let tomorrow = now.checked_add(jiff::SignedDuration::from_hours(24)).map(day).unwrap_or_default();
    if label(secret, LAST_USED).is_some_and(|at| at == today || at == tomorrow) {
        return;
    }
    let (cluster, secret) = (Arc::clone(cluster), Arc::clone(secret));
    tokio::spawn(async move {
        if let Err(error) = write_mark(&cluster, &secret, &today).await {
            tracing::warn!(
                secret = secret.name(),
                namespace = secret.namespace(),
                error,
                "cannot mark the day a token was used"
            );
        }
    });
}

/// A failed try is followed by another when the token is used next.
async fn write_mark(cluster: &Cluster, secret: &Object, today: &str) -> Result<(), String> {
    let path = format!("/api/v1/namespaces/{}/secrets/{}", secret.namespace(), secret.name());
    let uri: http::Uri = path.parse().map_err(|_| "the secret has no path".to_owned())?;
    let info = RequestInfo::parse(&http::Method::GET, &uri, &Query::default()).map_err(|e| e.to_string())?;
    let target = Target::resolve(cluster, &info).map_err(|error| error.message)?;
    let key = target.key(cluster).map_err(|error| error.message)?;
    let stored = cluster.store.get(&key).await.map_err(|error| error.to_string())?;
    let Some(stored) = stored else { return Ok(()) };
    let mut current = target.decode(&stored).map_err(|error| error.message)?;
    if current.uid() != secret.uid() {
        return Ok(());
    }
    current.set(&["metadata", "labels", LAST_USED], today);
    current.set_resource_version("");
    let bytes = target.encode(&current).map_err(|error| error.message)?;
    match cluster.store.update(&key, stored.mod_revision, bytes, None).await.map_err(|error| error.to_string())? {
        UpdateOutcome::Updated { .. } | UpdateOutcome::Changed(_) => Ok(()),
    }
}
