//! The restricted checks: what a hardened pod does without.

use std::collections::BTreeSet;

use super::{
    baseline::{added, bad_containers, seccomp_type, security, setters},
    pod::{Pod, Violation, named, plural_of, quoted},
};
use crate::{admission::plugins::list, api::schema::Value, cluster::objects::text};

fn violation(reason: &'static str, detail: String) -> Option<Violation> {
    Some(Violation { reason, detail })
}

pub(super) fn escalation(pod: Pod<'_>) -> Option<Violation> {
    let names =
        bad_containers(pod, |c| security(c, &["allowPrivilegeEscalation"]).and_then(Value::as_bool) != Some(false));
    if names.is_empty() {
        return None;
    }
    let who = named("container", "containers", &names);
    violation(
        "allowPrivilegeEscalation != false",
        format!("{who} must set securityContext.allowPrivilegeEscalation=false"),
    )
}

pub(super) fn capabilities(pod: Pod<'_>) -> Option<Violation> {
    let keeping = bad_containers(pod, |container| {
        let dropped = security(container, &["capabilities", "drop"]).and_then(Value::as_list).unwrap_or_default();
        !dropped.iter().any(|capability| capability.as_str() == Some("ALL"))
    });
    let (adding, added) = added(pod, &["NET_BIND_SERVICE"]);
    let mut details = Vec::new();
    if !keeping.is_empty() {
        let who = named("container", "containers", &keeping);
        details.push(format!("{who} must set securityContext.capabilities.drop=[\"ALL\"]"));
    }
    if !adding.is_empty() {
        let who = named("container", "containers", &adding);
        details.push(format!("{who} must not include {} in securityContext.capabilities.add", quoted(&added)));
    }
    if details.is_empty() { None } else { violation("unrestricted capabilities", details.join("; ")) }
}

const ALLOWED_VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) fn volumes(pod: Pod<'_>) -> Option<Violation> {
    let (mut names, mut kinds) = (Vec::new(), BTreeSet::new());
    for volume in list(pod.spec, &["volumes"]) {
        let fields: Vec<&str> = volume.as_struct().into_iter().flat_map(|v| v.iter()).map(|(f, _)| &*f.name).collect();
        if fields.iter().any(|field| ALLOWED_VOLUMES.contains(field)) {
            continue;
        }
        names.push(text(volume, "name"));
        kinds.insert(fields.into_iter().find(|field| *field != "name").unwrap_or("unknown"));
    }
    if names.is_empty() {
        return None;
    }
    let (who, uses) = (named("volume", "volumes", &names), plural_of("uses", "use", names.len()));
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let what = named("restricted volume type", "restricted volume types", &kinds);
    violation("restricted volume types", format!("{who} {uses} {what}"))
}

pub(super) fn non_root(pod: Pod<'_>) -> Option<Violation> {
    const REASON: &str = "runAsNonRoot != true";
    let set = |of| security(of, &["runAsNonRoot"]).and_then(Value::as_bool);
    let of_pod = set(pod.spec);
    let bad_pod = (of_pod == Some(false)).then_some(());
    if let Some(who) = setters(bad_pod, &bad_containers(pod, |c| set(c) == Some(false))) {
        return violation(REASON, format!("{who} must not set securityContext.runAsNonRoot=false"));
    }
    let silent = bad_containers(pod, |c| set(c).is_none() && of_pod != Some(true));
    if silent.is_empty() {
        return None;
    }
    let who = named("container", "containers", &silent);
    violation(REASON, format!("pod or {who} must set securityContext.runAsNonRoot=true"))
}

pub(super) fn user(pod: Pod<'_>) -> Option<Violation> {
    let root = |of| security(of, &["runAsUser"]).and_then(Value::as_i64) == Some(0);
    let who = setters(root(pod.spec).then_some(()), &bad_containers(pod, root))?;
    violation("runAsUser=0", format!("{who} must not set runAsUser=0"))
}

pub(super) fn seccomp(pod: Pod<'_>) -> Option<Violation> {
    if let Some(found) = super::baseline::seccomp(pod) {
        return Some(found);
    }
    let of_pod = seccomp_type(pod.spec).is_some();
    let silent = bad_containers(pod, |container| seccomp_type(container).is_none() && !of_pod);
    if silent.is_empty() {
        return None;
    }
    let who = named("container", "containers", &silent);
    violation(
        "seccompProfile",
        format!("pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\""),
    )
}
