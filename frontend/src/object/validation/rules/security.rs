//! Security contexts of pods and containers, and the operating system that decides which of them apply.

use super::{
    super::{
        check::Check::{self, Form, OneOf, Within},
        error_list::ErrorList,
        field_path::FieldPath,
        forms, names,
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

fn pod_context<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (at, group) in path.list("supplementalGroups").iter().enumerate() {
        let group = group.as_i64().unwrap_or(0);
        if !(0..=i64::from(i32::MAX)).contains(&group) {
            errors.invalid_as(path, &format!("supplementalGroups[{at}]"), group, ID_RANGE);
        }
    }
    if let Some(spec) = path.up.filter(|spec| spec.is("hostPID") && spec.is("shareProcessNamespace")) {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        let _ = spec;
        errors.invalid_as(path, "shareProcessNamespace", true, detail);
    }
    let mut seen: Vec<&str> = Vec::new();
    for (at, parameter) in path.structs("sysctls").enumerate() {
        let (name, field) = (super::resources::text(parameter, "name"), format!("sysctls[{at}].name"));
        let messages = forms::sysctl(name);
        if name.is_empty() {
            errors.required(path, &field, "");
        } else if !messages.is_empty() {
            errors.invalid_each(path, &field, name, messages);
        } else if seen.contains(&name) {
            errors.duplicate(path, &field, name);
        }
        host_sysctl(path, &field, name, errors);
        seen.push(name);
    }
}

/// Parameters of a namespace that the pod shares with its host.
fn host_sysctl<'t>(path: &FieldPath<'_, 't>, field: &str, name: &str, errors: &mut ErrorList<'t>) {
    let Some(spec) = path.up else { return };
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
        errors.invalid(path, field, name, "may not be specified when 'hostNetwork' is true");
    } else if spec.is("hostIPC") && (of_ipc.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.")) {
        errors.invalid(path, field, name, "may not be specified when 'hostIPC' is true");
    }
}

fn context<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.is("privileged") && !errors.options.allow_privileged {
        errors.forbidden(path, "privileged", "disallowed by cluster policy");
    }
    let own_users = path.above("PodSpec").is_some_and(|spec| spec.truth("hostUsers") == Some(false));
    if path.text("procMount") == "Unmasked" && !own_users {
        errors.invalid(path, "procMount", "Unmasked", "`hostUsers` must be false to use `Unmasked`");
    }
    if path.truth("allowPrivilegeEscalation") == Some(false) {
        if path.is("privileged") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.invalid_as(path, "", printed_struct(path.fields), detail);
        }
        let added = path.at(&["capabilities", "add"]).and_then(Value::as_list).unwrap_or_default();
        for _ in added.iter().filter(|name| name.as_str() == Some("CAP_SYS_ADMIN")) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.invalid_as(path, "", printed_struct(path.fields), detail);
        }
    }
}

fn seccomp<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (kind, profile) = (path.text("type"), path.optional_text("localhostProfile"));
    match kind {
        "Localhost" | "RuntimeDefault" | "Unconfined" => {}
        "" => errors.required(path, "type", "type is required when seccompProfile is set"),
        other => errors.unsupported(path, "type", other, &["Localhost", "RuntimeDefault", "Unconfined"]),
    }
    match (kind, profile) {
        ("Localhost", None) => {
            errors.required(path, "localhostProfile", "must be set when seccomp type is Localhost");
        }
        ("Localhost", Some(profile)) => {
            errors.invalid_each(path, "localhostProfile", profile, forms::descending_path(profile));
        }
        (_, Some(_)) => {
            let detail = "can only be set when seccomp type is Localhost";
            errors.invalid_as(path, "localhostProfile", printed_struct(path.fields), detail);
        }
        (_, None) => {}
    }
}

fn app_armor<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const MISSING: &str = "must be set when AppArmor type is Localhost";
    const BYTES_MAX: usize = 4095;
    let profile = path.optional_text("localhostProfile");
    match (path.text("type"), profile) {
        ("Localhost", None) => errors.required(path, "localhostProfile", MISSING),
        ("Localhost", Some(profile)) => {
            if profile.trim() != profile {
                errors.invalid(path, "localhostProfile", profile, "must not be padded with whitespace");
            } else if profile.is_empty() {
                errors.required(path, "localhostProfile", MISSING);
            }
            if profile.len() > BYTES_MAX {
                errors.too_long(path, "localhostProfile", BYTES_MAX);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(profile)) => {
            errors.invalid(path, "localhostProfile", profile, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => errors.required(path, "type", "type is required when appArmorProfile is set"),
        (other, _) => errors.unsupported(path, "type", other, &["Localhost", "RuntimeDefault", "Unconfined"]),
    }
}

fn windows_options<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const SPEC_MAX: usize = 64 * 1024;
    match path.optional_text("gmsaCredentialSpec") {
        Some("") => {
            errors.invalid(path, "gmsaCredentialSpec", "", "gmsaCredentialSpec cannot be an empty string");
        }
        Some(text) if text.len() > SPEC_MAX => {
            errors.invalid(path, "gmsaCredentialSpec", text, "gmsaCredentialSpec size must be under 64 KiB");
        }
        _ => {}
    }
    if let Some(name) = path.optional_text("runAsUserName") {
        for message in user_name(name) {
            errors.invalid(path, "runAsUserName", name, message);
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
    let mut messages = Vec::new();
    if domain.is_some_and(|domain| domain.len() >= 256) {
        messages.push("runAsUserName's Domain length must be under 256 characters");
    }
    if domain.is_some_and(|domain| !is_netbios(domain) && !is_windows_domain(domain)) {
        messages.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    }
    match user.len() {
        0 => messages.push("runAsUserName's User cannot be empty"),
        length if length > 104 => messages.push("runAsUserName's User length must not be longer than 104 characters"),
        _ => {}
    }
    if !user.is_empty() && user.chars().all(|letter| matches!(letter, '.' | ' ')) {
        messages.push("runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        messages.push("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
    messages
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
pub(super) fn pod<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let flag = |value: Option<&Value>| value.and_then(Value::as_bool);
    let of_pod = flag(path.at(&["securityContext", "windowsOptions", "hostProcess"]));
    let containers = each_container(path);
    let mut count = 0;
    for (list, at, container) in &containers {
        let own = container.get("securityContext").and_then(|c| c.at(&["windowsOptions", "hostProcess"]));
        let own = flag(own);
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let field = format!("{list}[{at}].securityContext.windowsOptions.hostProcess");
            let detail = format!("pod hostProcess value must be identical if both are specified, was {pod}");
            errors.invalid_as(path, &field, own, detail);
        }
        count += usize::from(own.or(of_pod) == Some(true));
    }
    if count == 0 {
        return;
    }
    if count != containers.len() {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.invalid(path, "", "", detail);
    }
    if !path.is("hostNetwork") {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.invalid_as(path, "hostNetwork", false, detail);
    }
    if !errors.options.allow_privileged {
        errors.forbidden(path, "", "hostProcess containers are disallowed by cluster policy");
    }
}

/// What one system has and the other does not.
pub(super) fn operating_system<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
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
    let system = path.at(&["os", "name"]).and_then(Value::as_str).unwrap_or_default();
    match system {
        "" => return errors.required(path, "os.name", ""),
        "linux" | "windows" => {}
        other => return errors.unsupported(path, "os", other, &["linux", "windows"]),
    }
    let windows = is_windows(path);
    let (of_pod, of_container, detail) = match windows {
        true => (&OF_POD[..], &OF_CONTAINER[..], "cannot be set for a windows pod"),
        false => (&["windowsOptions"][..], &["windowsOptions"][..], "windows options cannot be set for a linux pod"),
    };
    if windows {
        for field in ["hostUsers", "shareProcessNamespace"].into_iter().filter(|field| path.has(field)) {
            errors.forbidden(path, field, detail);
        }
        for field in ["hostPID", "hostIPC"].into_iter().filter(|field| path.is(field)) {
            errors.forbidden(path, field, detail);
        }
        if path.at(&["securityContext", "sysctls"]).is_some_and(|list| !list.is_zero()) {
            errors.forbidden(path, "securityContext.sysctls", detail);
        }
    }
    let given = |context: Option<&Value>, field: &str| context.is_some_and(|context| context.child(field).is_some());
    for field in of_pod.iter().filter(|field| given(path.get("securityContext"), field)) {
        errors.forbidden(path, &format!("securityContext.{field}"), detail);
    }
    for (list, at, container) in each_container(path) {
        for field in of_container.iter().filter(|field| given(container.get("securityContext"), field)) {
            errors.forbidden(path, &format!("{list}[{at}].securityContext.{field}"), detail);
        }
    }
}

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The older annotations for profiles.
pub(super) fn profile_annotations<'t>(
    path: &FieldPath<'_, 't>,
    field: &str,
    annotations: &'t MapValue,
    spec: &FieldPath<'_, 't>,
    errors: &mut ErrorList<'t>,
) {
    for (key, value) in annotations.iter().filter_map(|(key, value)| Some((key, value.as_str()?))) {
        if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            let field = format!("{field}.{key}");
            match value {
                "runtime/default" | "docker/default" | "unconfined" => {}
                value => match value.strip_prefix("localhost/") {
                    Some(profile) => errors.invalid_each(path, &field, profile, forms::descending_path(profile)),
                    None => errors.invalid(path, &field, value, "must be a valid seccomp profile"),
                },
            }
        }
        if let Some(name) = key.strip_prefix(APP_ARMOR) {
            let field = format!("{field}[{key}]");
            if !each_container(spec).iter().any(|(_, _, c)| super::resources::text(c, "name") == name) {
                errors.invalid(path, &field, name, "container not found");
            }
            if !matches!(value, "" | "runtime/default" | "unconfined") && !value.starts_with("localhost/") {
                let detail = format!("invalid AppArmor profile name: {}", crate::request::status::go_quote(value));
                errors.invalid(path, &field, value, detail);
            }
        }
    }
}

/// Annotations and fields that say the same must say it alike.
pub(super) fn profiles_match<'t>(spec: &FieldPath<'_, 't>, metadata: Option<&'t Struct>, errors: &mut ErrorList<'t>) {
    let Some(annotations) = metadata.and_then(|m| m.get("annotations")).and_then(Value::as_map) else { return };
    let said = |key: &str| annotations.get(key).and_then(Value::as_str);
    let of_pod = |name: &str| spec.at(&["securityContext", name]).and_then(Value::as_struct);
    if let (Some(said), Some(profile)) = (said(SECCOMP_POD), of_pod("seccompProfile")) {
        profile_matches(spec, "securityContext.seccompProfile", "seccomp", said, profile, errors);
    }
    for (list, at, container) in each_container(spec) {
        let own = |name: &str| container.get("securityContext").and_then(|c| c.child(name)).and_then(Value::as_struct);
        let name = super::resources::text(container, "name");
        let field = |profile: &str| format!("{list}[{at}].securityContext.{profile}");
        if let (Some(said), Some(profile)) = (said(&format!("{SECCOMP_CONTAINER}{name}")), own("seccompProfile")) {
            profile_matches(spec, &field("seccompProfile"), "seccomp", said, profile, errors);
        }
        let armor = own("appArmorProfile").or_else(|| of_pod("appArmorProfile")).filter(|_| !is_windows(spec));
        if let (Some(said), Some(profile)) = (said(&format!("{APP_ARMOR}{name}")), armor) {
            profile_matches(spec, &field("appArmorProfile"), "apparmor", said, profile, errors);
        }
    }
}

fn profile_matches<'t>(
    path: &FieldPath<'_, 't>,
    field: &str,
    what: &str,
    said: &str,
    profile: &Struct,
    errors: &mut ErrorList<'t>,
) {
    let profile_path = profile.get("localhostProfile").and_then(Value::as_str);
    let fits = match super::resources::text(profile, "type") {
        "Unconfined" => said == "unconfined",
        "RuntimeDefault" => said == "runtime/default" || (what == "seccomp" && said == "docker/default"),
        "Localhost" => match said.strip_prefix("localhost/") {
            Some(named) if profile_path != Some(named) => {
                let detail = format!("{what} profile in annotation and field must match");
                return errors.forbidden(path, &format!("{field}.localhostProfile"), detail);
            }
            named => named.is_some(),
        },
        _ => true,
    };
    if !fits {
        errors.forbidden(path, &format!("{field}.type"), format!("{what} type in annotation and field must match"));
    }
}
