//! Security contexts of pods and containers, and the operating system that decides which of them apply.

use super::{
    super::{
        check::Check::{self, Form, OneOf, Within},
        forms,
        judge::Judge,
        names,
        place::Place,
        print::printed_struct,
        rule::{Rule, with},
    },
    containers::each_container,
    resources::is_windows,
};
use crate::api::schema::{MapValue, Struct, Value};

pub(super) static RULES: &[Rule] = &[
    with(
        "core.v1.PodSecurityContext",
        pod_context,
        &[
            ("fsGroup", ID),
            ("runAsUser", ID),
            ("runAsGroup", ID),
            ("fsGroupChangePolicy", OneOf(&["Always", "OnRootMismatch"])),
            ("supplementalGroupsPolicy", OneOf(&["Merge", "Strict"])),
            ("seLinuxChangePolicy", OneOf(&["Recursive"])),
        ],
    ),
    with(
        "core.v1.SecurityContext",
        context,
        &[("runAsUser", ID), ("runAsGroup", ID), ("procMount", OneOf(&["Default", "Unmasked"]))],
    ),
    with("core.v1.SeccompProfile", seccomp, &[]),
    with("core.v1.AppArmorProfile", app_armor, &[]),
    with(
        "core.v1.WindowsSecurityContextOptions",
        windows_options,
        &[("gmsaCredentialSpecName", Form(names::dns_1123_subdomain))],
    ),
];

const ID: Check = Within(0, i32::MAX as i64, ID_RANGE);
const ID_RANGE: &str = "must be between 0 and 2147483647, inclusive";

fn pod_context<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (at, group) in place.list("supplementalGroups").iter().enumerate() {
        let group = group.as_i64().unwrap_or(0);
        if !(0..=i64::from(i32::MAX)).contains(&group) {
            judge.invalid_as(place, &format!("supplementalGroups[{at}]"), group, ID_RANGE);
        }
    }
    if let Some(spec) = place.up.filter(|spec| spec.is("hostPID") && spec.is("shareProcessNamespace")) {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        let _ = spec;
        judge.invalid_as(place, "shareProcessNamespace", true, detail);
    }
    let mut seen: Vec<&str> = Vec::new();
    for (at, parameter) in place.structs("sysctls").enumerate() {
        let (name, field) = (super::resources::text(parameter, "name"), format!("sysctls[{at}].name"));
        let complaints = forms::sysctl(name);
        if name.is_empty() {
            judge.required(place, &field, "");
        } else if !complaints.is_empty() {
            judge.complain(place, &field, name, complaints);
        } else if seen.contains(&name) {
            judge.duplicate(place, &field, name);
        }
        host_sysctl(place, &field, name, judge);
        seen.push(name);
    }
}

/// Parameters of a namespace that the pod shares with its host.
fn host_sysctl<'t>(place: &Place<'_, 't>, field: &str, name: &str, judge: &mut Judge<'t>) {
    let Some(spec) = place.up else { return };
    let dotted = name.replace('/', ".");
    let of_ipc = [
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
    ];
    if spec.is("hostNetwork") && dotted.starts_with("net.") {
        judge.invalid(place, field, name, "may not be specified when 'hostNetwork' is true");
    } else if spec.is("hostIPC") && (of_ipc.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.")) {
        judge.invalid(place, field, name, "may not be specified when 'hostIPC' is true");
    }
}

fn context<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.is("privileged") && !judge.options.allow_privileged {
        judge.forbidden(place, "privileged", "disallowed by cluster policy");
    }
    let own_users = place.above("PodSpec").is_some_and(|spec| spec.truth("hostUsers") == Some(false));
    if place.text("procMount") == "Unmasked" && !own_users {
        judge.invalid(place, "procMount", "Unmasked", "`hostUsers` must be false to use `Unmasked`");
    }
    if place.truth("allowPrivilegeEscalation") == Some(false) {
        if place.is("privileged") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            judge.invalid_as(place, "", printed_struct(place.fields), detail);
        }
        let added = place.at(&["capabilities", "add"]).and_then(Value::as_list).unwrap_or_default();
        for _ in added.iter().filter(|name| name.as_str() == Some("CAP_SYS_ADMIN")) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            judge.invalid_as(place, "", printed_struct(place.fields), detail);
        }
    }
}

fn seccomp<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (kind, profile) = (place.text("type"), place.optional_text("localhostProfile"));
    match kind {
        "Localhost" | "RuntimeDefault" | "Unconfined" => {}
        "" => judge.required(place, "type", "type is required when seccompProfile is set"),
        other => judge.unsupported(place, "type", other, &["Localhost", "RuntimeDefault", "Unconfined"]),
    }
    match (kind, profile) {
        ("Localhost", None) => {
            judge.required(place, "localhostProfile", "must be set when seccomp type is Localhost");
        }
        ("Localhost", Some(profile)) => {
            judge.complain(place, "localhostProfile", profile, forms::descending_path(profile));
        }
        (_, Some(_)) => {
            let detail = "can only be set when seccomp type is Localhost";
            judge.invalid_as(place, "localhostProfile", printed_struct(place.fields), detail);
        }
        (_, None) => {}
    }
}

fn app_armor<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const MISSING: &str = "must be set when AppArmor type is Localhost";
    const BYTES_MAX: usize = 4095;
    let profile = place.optional_text("localhostProfile");
    match (place.text("type"), profile) {
        ("Localhost", None) => judge.required(place, "localhostProfile", MISSING),
        ("Localhost", Some(profile)) => {
            if profile.trim() != profile {
                judge.invalid(place, "localhostProfile", profile, "must not be padded with whitespace");
            } else if profile.is_empty() {
                judge.required(place, "localhostProfile", MISSING);
            }
            if profile.len() > BYTES_MAX {
                judge.too_long(place, "localhostProfile", BYTES_MAX);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(profile)) => {
            judge.invalid(place, "localhostProfile", profile, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => judge.required(place, "type", "type is required when appArmorProfile is set"),
        (other, _) => judge.unsupported(place, "type", other, &["Localhost", "RuntimeDefault", "Unconfined"]),
    }
}

fn windows_options<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const SPEC_MAX: usize = 64 * 1024;
    match place.optional_text("gmsaCredentialSpec") {
        Some("") => {
            judge.invalid(place, "gmsaCredentialSpec", "", "gmsaCredentialSpec cannot be an empty string");
        }
        Some(text) if text.len() > SPEC_MAX => {
            judge.invalid(place, "gmsaCredentialSpec", text, "gmsaCredentialSpec size must be under 64 KiB");
        }
        _ => {}
    }
    if let Some(name) = place.optional_text("runAsUserName") {
        for complaint in user_name(name) {
            judge.invalid(place, "runAsUserName", name, complaint);
        }
    }
}

/// A Windows account, with or without its domain.
fn user_name(name: &str) -> Vec<&'static str> {
    if name.is_empty() {
        return vec!["runAsUserName cannot be an empty string"];
    }
    if name.chars().any(|letter| letter.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters"];
    }
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts.as_slice() {
        [user] => (None, *user),
        [domain, user] => (Some(*domain), *user),
        _ => return vec!["runAsUserName cannot contain more than one backslash"],
    };
    let mut complaints = Vec::new();
    if domain.is_some_and(|domain| domain.len() >= 256) {
        complaints.push("runAsUserName's Domain length must be under 256 characters");
    }
    if domain.is_some_and(|domain| !is_netbios(domain) && !is_windows_domain(domain)) {
        complaints.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    }
    match user.len() {
        0 => complaints.push("runAsUserName's User cannot be empty"),
        length if length > 104 => complaints.push("runAsUserName's User length must not be longer than 104 characters"),
        _ => {}
    }
    if !user.is_empty() && user.chars().all(|letter| matches!(letter, '.' | ' ')) {
        complaints.push("runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        complaints.push("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
    complaints
}

fn is_netbios(domain: &str) -> bool {
    let bad = |letter: char| "\\/:*?\"<>|".contains(letter);
    let length = domain.chars().count();
    (1..=15).contains(&length) && !domain.starts_with('.') && !domain.chars().any(bad)
}

fn is_windows_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let bytes = label.as_bytes();
        let ends =
            bytes.first().is_some_and(u8::is_ascii_alphanumeric) && bytes.last().is_some_and(u8::is_ascii_alphanumeric);
        ends && bytes.len() <= 63 && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    })
}

/// All containers of a Windows pod are host processes, or none is.
pub(super) fn pod<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let flag = |value: Option<&Value>| value.and_then(Value::as_bool);
    let of_pod = flag(place.at(&["securityContext", "windowsOptions", "hostProcess"]));
    let containers = each_container(place);
    let mut count = 0;
    for (list, at, container) in &containers {
        let own = container.get("securityContext").and_then(|c| c.at(&["windowsOptions", "hostProcess"]));
        let own = flag(own);
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let field = format!("{list}[{at}].securityContext.windowsOptions.hostProcess");
            let detail = format!("pod hostProcess value must be identical if both are specified, was {pod}");
            judge.invalid_as(place, &field, own, detail);
        }
        count += usize::from(own.or(of_pod) == Some(true));
    }
    if count == 0 {
        return;
    }
    if count != containers.len() {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        judge.invalid(place, "", "", detail);
    }
    if !place.is("hostNetwork") {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        judge.invalid_as(place, "hostNetwork", false, detail);
    }
    if !judge.options.allow_privileged {
        judge.forbidden(place, "", "hostProcess containers are disallowed by cluster policy");
    }
}

/// What one system has and the other does not.
pub(super) fn operating_system<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const OF_POD: [&str; 10] = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    ];
    const OF_CONTAINER: [&str; 10] = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "capabilities",
        "readOnlyRootFilesystem",
        "privileged",
        "allowPrivilegeEscalation",
        "procMount",
        "runAsUser",
        "runAsGroup",
    ];
    let system = place.at(&["os", "name"]).and_then(Value::as_str).unwrap_or_default();
    match system {
        "" => return judge.required(place, "os.name", ""),
        "linux" | "windows" => {}
        other => return judge.unsupported(place, "os", other, &["linux", "windows"]),
    }
    let windows = is_windows(place);
    let (of_pod, of_container, detail) = match windows {
        true => (&OF_POD[..], &OF_CONTAINER[..], "cannot be set for a windows pod"),
        false => (&["windowsOptions"][..], &["windowsOptions"][..], "windows options cannot be set for a linux pod"),
    };
    if windows {
        for field in ["hostUsers", "shareProcessNamespace"].into_iter().filter(|field| place.has(field)) {
            judge.forbidden(place, field, detail);
        }
        for field in ["hostPID", "hostIPC"].into_iter().filter(|field| place.is(field)) {
            judge.forbidden(place, field, detail);
        }
        if place.at(&["securityContext", "sysctls"]).is_some_and(|list| !list.is_zero()) {
            judge.forbidden(place, "securityContext.sysctls", detail);
        }
    }
    let given = |context: Option<&Value>, field: &str| context.is_some_and(|context| context.child(field).is_some());
    for field in of_pod.iter().filter(|field| given(place.get("securityContext"), field)) {
        judge.forbidden(place, &format!("securityContext.{field}"), detail);
    }
    for (list, at, container) in each_container(place) {
        for field in of_container.iter().filter(|field| given(container.get("securityContext"), field)) {
            judge.forbidden(place, &format!("{list}[{at}].securityContext.{field}"), detail);
        }
    }
}

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The older annotations for profiles.
pub(super) fn profile_annotations<'t>(
    place: &Place<'_, 't>,
    field: &str,
    annotations: &'t MapValue,
    spec: &Place<'_, 't>,
    judge: &mut Judge<'t>,
) {
    for (key, value) in annotations.iter().filter_map(|(key, value)| Some((key, value.as_str()?))) {
        if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            let field = format!("{field}.{key}");
            match value {
                "runtime/default" | "docker/default" | "unconfined" => {}
                value => match value.strip_prefix("localhost/") {
                    Some(path) => judge.complain(place, &field, path, forms::descending_path(path)),
                    None => judge.invalid(place, &field, value, "must be a valid seccomp profile"),
                },
            }
        }
        if let Some(name) = key.strip_prefix(APP_ARMOR) {
            let field = format!("{field}[{key}]");
            if !each_container(spec).iter().any(|(_, _, c)| super::resources::text(c, "name") == name) {
                judge.invalid(place, &field, name, "container not found");
            }
            if !matches!(value, "" | "runtime/default" | "unconfined") && !value.starts_with("localhost/") {
                let detail = format!("invalid AppArmor profile name: {}", crate::request::status::go_quote(value));
                judge.invalid(place, &field, value, detail);
            }
        }
    }
}

/// Annotations and fields that say the same must say it alike.
pub(super) fn profiles_match<'t>(spec: &Place<'_, 't>, metadata: Option<&'t Struct>, judge: &mut Judge<'t>) {
    let Some(annotations) = metadata.and_then(|m| m.get("annotations")).and_then(Value::as_map) else { return };
    let said = |key: &str| annotations.get(key).and_then(Value::as_str);
    let of_pod = |name: &str| spec.at(&["securityContext", name]).and_then(Value::as_struct);
    if let (Some(said), Some(profile)) = (said(SECCOMP_POD), of_pod("seccompProfile")) {
        profile_matches(spec, "securityContext.seccompProfile", "seccomp", said, profile, judge);
    }
    for (list, at, container) in each_container(spec) {
        let own = |name: &str| container.get("securityContext").and_then(|c| c.child(name)).and_then(Value::as_struct);
        let name = super::resources::text(container, "name");
        let field = |profile: &str| format!("{list}[{at}].securityContext.{profile}");
        if let (Some(said), Some(profile)) = (said(&format!("{SECCOMP_CONTAINER}{name}")), own("seccompProfile")) {
            profile_matches(spec, &field("seccompProfile"), "seccomp", said, profile, judge);
        }
        let armor = own("appArmorProfile").or_else(|| of_pod("appArmorProfile")).filter(|_| !is_windows(spec));
        if let (Some(said), Some(profile)) = (said(&format!("{APP_ARMOR}{name}")), armor) {
            profile_matches(spec, &field("appArmorProfile"), "apparmor", said, profile, judge);
        }
    }
}

fn profile_matches<'t>(
    place: &Place<'_, 't>,
    field: &str,
    what: &str,
    said: &str,
    profile: &Struct,
    judge: &mut Judge<'t>,
) {
    let path = profile.get("localhostProfile").and_then(Value::as_str);
    let fits = match super::resources::text(profile, "type") {
        "Unconfined" => said == "unconfined",
        "RuntimeDefault" => said == "runtime/default" || (what == "seccomp" && said == "docker/default"),
        "Localhost" => match said.strip_prefix("localhost/") {
            Some(named) if path != Some(named) => {
                let detail = format!("{what} profile in annotation and field must match");
                return judge.forbidden(place, &format!("{field}.localhostProfile"), detail);
            }
            named => named.is_some(),
        },
        _ => true,
    };
    if !fits {
        judge.forbidden(place, &format!("{field}.type"), format!("{what} type in annotation and field must match"));
    }
}
