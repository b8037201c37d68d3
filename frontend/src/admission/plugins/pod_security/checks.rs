//! The checks of the Pod Security Standards, as a table: what each is called, from which version on it looks how, and
//! what it takes the place of. Not here: what the checks look at (`baseline`, `restricted`).

use super::{
    baseline,
    pod::{Look, Pod, Violation},
    policy::{Level, Standard, Version},
    restricted,
};
struct Check {
    id: &'static str,
    level: Level,
    /// The minor versions from which on the check looks differently, rising.
    versions: &'static [(u32, Look)],
    /// The check of the level below that is not made where this one is.
    instead_of: &'static str,
}

/// The last version in which a rule has changed; later ones mean it.
const NEWEST: u32 = 35;

const fn baseline(id: &'static str, versions: &'static [(u32, Look)]) -> Check {
    Check { id, level: Level::Baseline, versions, instead_of: "" }
}

const fn restricted(id: &'static str, versions: &'static [(u32, Look)], instead_of: &'static str) -> Check {
    Check { id, level: Level::Restricted, versions, instead_of }
}

/// In the order in which violations are told.
static CHECKS: &[Check] = &[
    baseline("appArmorProfile", &[(0, baseline::app_armor)]),
    baseline("capabilities_baseline", &[(0, baseline::capabilities)]),
    baseline("hostNamespaces", &[(0, baseline::host_namespaces)]),
    baseline("hostPathVolumes", &[(0, baseline::host_paths)]),
    baseline("hostPorts", &[(0, baseline::host_ports)]),
    baseline("hostProbesAndHostLifecycle", &[(34, baseline::probe_hosts)]),
    baseline("privileged", &[(0, baseline::privileged)]),
    baseline("procMount", &[(0, baseline::proc_mount), (35, |pod| pod.without_user_namespace(baseline::proc_mount))]),
    baseline("seLinuxOptions", &[(0, |pod| baseline::selinux(pod, 0)), (31, |pod| baseline::selinux(pod, 31))]),
    baseline("seccompProfile_baseline", &[(0, baseline::seccomp_annotations), (19, baseline::seccomp)]),
    baseline(
        "sysctls",
        &[
            (0, |pod| baseline::sysctls(pod, 0)),
            (27, |pod| baseline::sysctls(pod, 27)),
            (29, |pod| baseline::sysctls(pod, 29)),
            (32, |pod| baseline::sysctls(pod, 32)),
        ],
    ),
    baseline("windowsHostProcess", &[(0, baseline::host_process)]),
    restricted(
        "allowPrivilegeEscalation",
        &[(8, restricted::escalation), (25, |pod| pod.unless_windows(restricted::escalation))],
        "",
    ),
    restricted(
        "capabilities_restricted",
        &[(22, restricted::capabilities), (25, |pod| pod.unless_windows(restricted::capabilities))],
        "capabilities_baseline",
    ),
    restricted("procMount_restricted", &[(35, baseline::proc_mount)], "procMount"),
    restricted("restrictedVolumes", &[(0, restricted::volumes)], "hostPathVolumes"),
    restricted(
        "runAsNonRoot",
        &[(0, restricted::non_root), (35, |pod| pod.without_user_namespace(restricted::non_root))],
        "",
    ),
    restricted("runAsUser", &[(23, restricted::user), (35, |pod| pod.without_user_namespace(restricted::user))], ""),
    restricted(
        "seccompProfile_restricted",
        &[(19, restricted::seccomp), (25, |pod| pod.unless_windows(restricted::seccomp))],
        "seccompProfile_baseline",
    ),
];

impl Check {
    /// How the check looks as of a version; none before its first.
    fn at(&self, minor: u32) -> Option<Look> {
        self.versions.iter().rev().find(|(from, _)| *from <= minor).map(|(_, look)| *look)
    }
}

/// Everything in which a pod falls short of a standard.
pub(super) fn violations(standard: Standard, pod: Pod<'_>) -> Vec<Violation> {
    if standard.level == Level::Privileged {
        return Vec::new();
    }
    let minor = match standard.version {
        Version::Minor(minor) => minor.min(NEWEST),
        Version::Latest => NEWEST,
    };
    let applies = |check: &&Check| check.level <= standard.level && check.at(minor).is_some();
    let replaced = |id: &str| CHECKS.iter().filter(applies).any(|check| check.instead_of == id);
    let made = CHECKS.iter().filter(applies).filter(|check| !replaced(check.id));
    made.filter_map(|check| check.at(minor)?(pod)).collect()
}

/// `reason (detail), reason (detail)`
pub(super) fn details(violations: &[Violation]) -> String {
    let parts = violations.iter().map(|violation| match violation.detail.as_str() {
        "" => violation.reason.to_owned(),
        detail => format!("{} ({detail})", violation.reason),
    });
    parts.collect::<Vec<_>>().join(", ")
}

pub(super) fn reasons(violations: &[Violation]) -> String {
    violations.iter().map(|violation| violation.reason).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_told_in_order_and_their_versions_rise() {
        let order: Vec<(Level, &str)> = CHECKS.iter().map(|check| (check.level, check.id)).collect();
        assert!(order.is_sorted());
        assert!(CHECKS.iter().all(|check| check.versions.is_sorted_by_key(|(minor, _)| *minor)));
        assert!(CHECKS.iter().all(|c| c.instead_of.is_empty() || CHECKS.iter().any(|other| other.id == c.instead_of)));
        let newest = CHECKS.iter().flat_map(|check| check.versions).map(|(minor, _)| *minor).max();
        assert_eq!(newest, Some(NEWEST));
    }
}
