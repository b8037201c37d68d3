//! Whether what a token says is still so: its time, its account, and what it is bound to.

use super::{
    ServiceAccounts,
    accounts::{ACCOUNTS, LEEWAY_SECONDS, account_user},
    claims::{Claims, Kubernetes, Reference},
};
use crate::{access::authn::BadCredentials, api::schema::Object, cluster::ResourceName, request::User};

fn refuse<T>(why: impl Into<String>) -> Result<T, BadCredentials> {
    Err(BadCredentials(why.into()))
}

/// The user of a token whose signature and audience are good.
pub(super) async fn validate(accounts: &ServiceAccounts, claims: &Claims) -> Result<User, BadCredentials> {
    let now = accounts.now_seconds();
    if claims.nbf.is_some_and(|at| now + LEEWAY_SECONDS < at) {
        return refuse("service account token is not valid yet");
    }
    if claims.exp.is_some_and(|at| now - LEEWAY_SECONDS > at) {
        return refuse("service account token has expired");
    }
    if claims.iat.is_some_and(|at| now + LEEWAY_SECONDS < at) {
        return refuse("service account token is issued in the future");
    }
    let Some(bound) = &claims.kubernetes else { return refuse("serviceaccounts \"\" not found") };
    let (namespace, account) = (bound.namespace.as_str(), &bound.serviceaccount);
    let Some(found) = accounts.find(ACCOUNTS, namespace, &account.name).await else {
        return refuse(format!("serviceaccounts \"{}\" not found", account.name));
    };
    if found.uid() != account.uid {
        return refuse(format!("service account UID ({}) does not match claim ({})", found.uid(), account.uid));
    }
    if is_long_deleted(&found, now) {
        return refuse(format!("service account {namespace}/{} has been deleted", account.name));
    }
    let check = Check { accounts, now };
    if let Some(secret) = &bound.secret {
        check.alive(("", "secrets"), namespace, secret, "secret").await?;
    }
    if let Some(pod) = &bound.pod {
        check.alive(("", "pods"), namespace, pod, "pod").await?;
    } else if let Some(node) = &bound.node {
        check.alive(("", "nodes"), "", node, "node").await?;
    }
    Ok(account_user(namespace, &account.name, &account.uid, extra(claims, bound)))
}

struct Check<'a> {
    accounts: &'a ServiceAccounts,
    now: i64,
}

impl Check<'_> {
    /// What a token is bound to must be there, be the same, and not be gone for more than a moment.
    async fn alive(
        &self,
        of: ResourceName<'_>,
        namespace: &str,
        reference: &Reference,
        kind: &str,
    ) -> Result<(), BadCredentials> {
        const INVALIDATED: &str = "service account token has been invalidated";
        let Some(found) = self.accounts.find(of, namespace, &reference.name).await else {
            return refuse(INVALIDATED);
        };
        if found.uid() != reference.uid {
            return refuse(format!(
                "{kind} UID ({}) does not match service account {kind} ref claim ({})",
                found.uid(),
                reference.uid
            ));
        }
        if is_long_deleted(&found, self.now) { refuse(INVALIDATED) } else { Ok(()) }
    }
}

fn is_long_deleted(object: &Object, now: i64) -> bool {
    let at = object.deletion_timestamp().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    at.is_some_and(|at| at.as_second() < now - LEEWAY_SECONDS)
}

fn extra(claims: &Claims, bound: &Kubernetes) -> Vec<(String, Vec<String>)> {
    let mut extra = Vec::new();
    let mut add = |name: &str, value: String| {
        extra.push((format!("authentication.kubernetes.io/{name}"), vec![value]));
    };
    if !claims.jti.is_empty() {
        add("credential-id", format!("JTI={}", claims.jti));
    }
    if let Some(node) = &bound.node {
        add("node-name", node.name.clone());
        if !node.uid.is_empty() {
            add("node-uid", node.uid.clone());
        }
    }
    if let Some(pod) = &bound.pod {
        add("pod-name", pod.name.clone());
        add("pod-uid", pod.uid.clone());
    }
    extra
}
