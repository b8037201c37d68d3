//! The baseline checks: what would let a pod take over its node.

use std::collections::BTreeSet;

use super::pod::{Pod, Violation, named, plural_of, quoted};
use crate::{
    admission::plugins::{containers, list},
    api::schema::Value,
    cluster::objects::text,
};

/// The part of a pod's or container's security settings at a path.
pub(super) fn security<'a>(of: &'a Value, path: &[&str]) -> Option<&'a Value> {
    of.child("securityContext")?.at(path)
}

/// Names of the containers that `bad` says of.
pub(super) fn bad_containers<'a>(pod: Pod<'a>, mut bad: impl FnMut(&'a Value) -> bool) -> Vec<&'a str> {
    containers(pod.spec).filter(|container| bad(container)).map(|container| text(container, "name")).collect()
}

/// Who has set something: the pod, if `by_pod` says so, and containers: `pod and containers "a", "b"`.
pub(super) fn setters(by_pod: Option<()>, containers: &[&str]) -> Option<String> {
    let of_pod = by_pod.map(|()| "pod".to_owned());
    let of_containers = (!containers.is_empty()).then(|| named("container", "containers", containers));
    let all: Vec<String> = of_pod.into_iter().chain(of_containers).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}

fn violation(reason: &'static str, detail: String) -> Option<Violation> {
    Some(Violation { reason, detail })
}

fn strings(values: &[Value]) -> impl Iterator<Item = &str> {
    values.iter().filter_map(Value::as_str)
}

fn sorted<'a>(values: &BTreeSet<&'a str>) -> Vec<&'a str> {
    values.iter().copied().collect()
}

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

pub(super) fn app_armor(pod: Pod<'_>) -> Option<Violation> {
    let mut values = BTreeSet::new();
    let mut bad = |of| {
        let kind = security(of, &["appArmorProfile"]).map(|profile| text(profile, "type"));
        let kind = kind.filter(|kind| !matches!(*kind, "RuntimeDefault" | "Localhost"));
        kind.map(|kind| values.insert(kind)).is_some()
    };
    let by_pod = bad(pod.spec).then_some(());
    let names = bad_containers(pod, bad);
    let allowed = |profile: &str| matches!(profile, "" | "runtime/default") || profile.starts_with("localhost/");
    let mut annotations: Vec<String> = pod
        .annotations()
        .filter(|(key, profile)| key.starts_with(APP_ARMOR) && !allowed(profile))
        .map(|(key, profile)| format!("{key}={profile:?}"))
        .collect();
    annotations.sort_unstable();
    let noted = (!annotations.is_empty()).then(|| plural_of("annotation", "annotations", annotations.len()).to_owned());
    let who: Vec<String> = setters(by_pod, &names).into_iter().chain(noted).collect();
    if who.is_empty() {
        return None;
    }
    let values: Vec<&str> = values.into_iter().chain(annotations.iter().map(String::as_str)).collect();
    let reason = if values.len() == 1 { "forbidden AppArmor profile" } else { "forbidden AppArmor profiles" };
    violation(reason, format!("{} must not set AppArmor profile type to {}", who.join(" and "), quoted(&values)))
}

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Containers that add capabilities which are not allowed, and these.
pub(super) fn added<'a>(pod: Pod<'a>, allowed: &[&str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut found = BTreeSet::new();
    let names = bad_containers(pod, |container| {
        let added = security(container, &["capabilities", "add"]).and_then(Value::as_list).unwrap_or_default();
        let bad: Vec<&str> = strings(added).filter(|capability| !allowed.contains(capability)).collect();
        found.extend(bad.iter().copied());
        !bad.is_empty()
    });
    (names, sorted(&found))
}

pub(super) fn capabilities(pod: Pod<'_>) -> Option<Violation> {
    let (names, added) = added(pod, &CAPABILITIES);
    if names.is_empty() {
        return None;
    }
    let who = named("container", "containers", &names);
    violation(
        "non-default capabilities",
        format!("{who} must not include {} in securityContext.capabilities.add", quoted(&added)),
    )
}

pub(super) fn host_namespaces(pod: Pod<'_>) -> Option<Violation> {
    let shared = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|field| pod.spec.child(field).and_then(Value::as_bool) == Some(true))
        .map(|field| format!("{field}=true"));
    let shared: Vec<String> = shared.collect();
    if shared.is_empty() { None } else { violation("host namespaces", shared.join(", ")) }
}

pub(super) fn host_paths(pod: Pod<'_>) -> Option<Violation> {
    let volumes = list(pod.spec, &["volumes"]).iter().filter(|volume| volume.child("hostPath").is_some());
    let names: Vec<&str> = volumes.map(|volume| text(volume, "name")).collect();
    if names.is_empty() { None } else { violation("hostPath volumes", named("volume", "volumes", &names)) }
}

pub(super) fn host_ports(pod: Pod<'_>) -> Option<Violation> {
    let mut ports = BTreeSet::new();
    let names = bad_containers(pod, |container| {
        let own = list(container, &["ports"]).iter().filter_map(|port| port.child("hostPort")?.as_i64());
        let own: Vec<String> = own.filter(|port| *port != 0).map(|port| port.to_string()).collect();
        let bad = !own.is_empty();
        ports.extend(own);
        bad
    });
    if names.is_empty() {
        return None;
    }
    let (who, uses) = (named("container", "containers", &names), plural_of("uses", "use", names.len()));
    let what = plural_of("hostPort", "hostPorts", ports.len());
    let ports: Vec<String> = ports.into_iter().collect();
    violation("hostPort", format!("{who} {uses} {what} {}", ports.join(", ")))
}

pub(super) fn probe_hosts(pod: Pod<'_>) -> Option<Violation> {
    const HANDLERS: [&[&str]; 5] = [
        &["livenessProbe"],
        &["readinessProbe"],
        &["startupProbe"],
        &["lifecycle", "postStart"],
        &["lifecycle", "preStop"],
    ];
    let mut hosts = BTreeSet::new();
    let names = bad_containers(pod, |container| {
        let handlers = HANDLERS.iter().filter_map(|path| container.at(path));
        let actions = handlers.flat_map(|handler| [handler.child("httpGet"), handler.child("tcpSocket")]);
        let own: Vec<&str> = actions.flatten().map(|action| text(action, "host")).filter(|h| !h.is_empty()).collect();
        hosts.extend(own.iter().copied());
        !own.is_empty()
    });
    if names.is_empty() {
        return None;
    }
    let names = sorted(&names.into_iter().collect());
    let (who, uses) = (named("container", "containers", &names), plural_of("uses", "use", names.len()));
    let what = named("probe or lifecycle host", "probe or lifecycle hosts", &sorted(&hosts));
    violation("probe or lifecycle host", format!("{who} {uses} {what}"))
}

pub(super) fn privileged(pod: Pod<'_>) -> Option<Violation> {
    let names = bad_containers(pod, |c| security(c, &["privileged"]).and_then(Value::as_bool) == Some(true));
    if names.is_empty() {
        return None;
    }
    let who = named("container", "containers", &names);
    violation("privileged", format!("{who} must not set securityContext.privileged=true"))
}

pub(super) fn proc_mount(pod: Pod<'_>) -> Option<Violation> {
    let mut kinds = BTreeSet::new();
    let names = bad_containers(pod, |container| {
        let kind = security(container, &["procMount"]).and_then(Value::as_str).filter(|kind| *kind != "Default");
        kind.map(|kind| kinds.insert(kind)).is_some()
    });
    if names.is_empty() {
        return None;
    }
    let (who, kinds) = (named("container", "containers", &names), quoted(&sorted(&kinds)));
    violation("procMount", format!("{who} must not set securityContext.procMount to {kinds}"))
}

const SELINUX_TYPES: [(u32, &str); 5] =
    [(0, ""), (0, "container_t"), (0, "container_init_t"), (0, "container_kvm_t"), (31, "container_engine_t")];

pub(super) fn selinux(pod: Pod<'_>, minor: u32) -> Option<Violation> {
    let (mut kinds, mut users, mut roles) = (BTreeSet::new(), false, false);
    let mut bad = |of| {
        let Some(options) = security(of, &["seLinuxOptions"]) else { return false };
        let kind = text(options, "type");
        let allowed = SELINUX_TYPES.iter().any(|(from, allowed)| *from <= minor && *allowed == kind);
        if !allowed {
            kinds.insert(kind);
        }
        let (user, role) = (!text(options, "user").is_empty(), !text(options, "role").is_empty());
        users |= user;
        roles |= role;
        !allowed || user || role
    };
    let by_pod = bad(pod.spec).then_some(());
    let who = setters(by_pod, &bad_containers(pod, bad))?;
    let mut what = Vec::new();
    if !kinds.is_empty() {
        what.push(named("type", "types", &sorted(&kinds)));
    }
    what.extend(users.then(|| "user may not be set".to_owned()));
    what.extend(roles.then(|| "role may not be set".to_owned()));
    let what = what.join("; ");
    violation("seLinuxOptions", format!("{who} set forbidden securityContext.seLinuxOptions: {what}"))
}

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// Before version 1.19 profiles were annotations.
pub(super) fn seccomp_annotations(pod: Pod<'_>) -> Option<Violation> {
    let of_containers = containers(pod.spec).map(|container| format!("{SECCOMP_CONTAINER}{}", text(container, "name")));
    let keys = std::iter::once(SECCOMP_POD.to_owned()).chain(of_containers);
    let allowed =
        |profile: &str| matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/");
    let forbidden: BTreeSet<String> = keys
        .filter_map(|key| pod.annotation(&key).filter(|profile| !allowed(profile)).map(|p| format!("{key}={p:?}")))
        .collect();
    if forbidden.is_empty() {
        return None;
    }
    let what = plural_of("annotation", "annotations", forbidden.len());
    let all: Vec<String> = forbidden.into_iter().collect();
    violation("seccompProfile", format!("forbidden {what} {}", all.join(", ")))
}

/// The type of a seccomp profile, where one is set.
pub(super) fn seccomp_type(of: &Value) -> Option<&str> {
    security(of, &["seccompProfile"]).map(|profile| text(profile, "type"))
}

pub(super) fn seccomp(pod: Pod<'_>) -> Option<Violation> {
    let mut kinds = BTreeSet::new();
    let mut bad = |of| {
        let kind = seccomp_type(of).filter(|kind| !matches!(*kind, "RuntimeDefault" | "Localhost"));
        kind.map(|kind| kinds.insert(kind)).is_some()
    };
    let by_pod = bad(pod.spec).then_some(());
    let who = setters(by_pod, &bad_containers(pod, bad))?;
    let kinds = quoted(&sorted(&kinds));
    violation("seccompProfile", format!("{who} must not set securityContext.seccompProfile.type to {kinds}"))
}

const SYSCTLS: [(u32, &str); 12] = [
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
];

pub(super) fn sysctls(pod: Pod<'_>, minor: u32) -> Option<Violation> {
    let set = security(pod.spec, &["sysctls"]).and_then(Value::as_list).unwrap_or_default().iter();
    let allowed = |name: &str| SYSCTLS.iter().any(|(from, allowed)| *from <= minor && *allowed == name);
    let names: Vec<&str> = set.map(|sysctl| text(sysctl, "name")).filter(|name| !allowed(name)).collect();
    if names.is_empty() { None } else { violation("forbidden sysctls", names.join(", ")) }
}

pub(super) fn host_process(pod: Pod<'_>) -> Option<Violation> {
    let bad = |of| security(of, &["windowsOptions", "hostProcess"]).and_then(Value::as_bool) == Some(true);
    let who = setters(bad(pod.spec).then_some(()), &bad_containers(pod, bad))?;
    violation("hostProcess", format!("{who} must not set securityContext.windowsOptions.hostProcess=true"))
}
