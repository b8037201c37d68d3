//! Containers: ports, variables, probes, hooks.

use super::{
    super::{
        check::{
            Check::{self, AlwaysForm, AtLeast, Exactly, Form, NeedsForm, NeedsOneOf, Port, Required},
            NOT_NEGATIVE,
        },
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, names,
        rule::{Rule, rule, with},
    },
    downward, mounts,
    resources::is_windows,
};
use crate::api::{
    openapi::STOP_SIGNALS,
    schema::{Struct, Value},
};

pub(super) static RULES: &[Rule] = &[
    with("core.v1.Container", container, COMMON),
    with("core.v1.EphemeralContainer", ephemeral, COMMON),
    with("core.v1.ContainerPort", port, &[("protocol", NeedsOneOf(&["SCTP", "TCP", "UDP"]))]),
    with("core.v1.EnvVar", variable, &[("name", NeedsForm(names::env_name))]),
    with("core.v1.EnvFromSource", variables_from, &[("prefix", Form(names::env_name))]),
    rule("core.v1.ConfigMapEnvSource", &[("name", NeedsForm(names::dns_1123_subdomain))]),
    rule("core.v1.SecretEnvSource", &[("name", NeedsForm(names::dns_1123_subdomain))]),
    rule("core.v1.ConfigMapKeySelector", KEY),
    rule("core.v1.SecretKeySelector", KEY),
    with(
        "core.v1.FileKeySelector",
        file_key,
        &[
            ("key", NeedsForm(names::env_name)),
            ("volumeName", NeedsForm(names::dns_1123_label)),
            ("path", NeedsForm(forms::no_backsteps)),
        ],
    ),
    with(
        "core.v1.Probe",
        probe,
        &[
            ("initialDelaySeconds", AtLeast(0, NOT_NEGATIVE)),
            ("timeoutSeconds", AtLeast(0, NOT_NEGATIVE)),
            ("periodSeconds", AtLeast(0, NOT_NEGATIVE)),
            ("successThreshold", AtLeast(0, NOT_NEGATIVE)),
            ("failureThreshold", AtLeast(0, NOT_NEGATIVE)),
            ("terminationGracePeriodSeconds", AtLeast(1, "must be greater than 0")),
        ],
    ),
    with("core.v1.LifecycleHandler", one_handler, &[]),
    with("core.v1.Lifecycle", stop_signal, &[]),
    with("core.v1.SleepAction", sleep, &[]),
    rule("core.v1.ExecAction", &[("command", Required)]),
    with(
        "core.v1.HTTPGetAction",
        headers,
        &[("path", Required), ("port", Port), ("scheme", Exactly(&["HTTP", "HTTPS"]))],
    ),
    rule("core.v1.TCPSocketAction", &[("port", Port)]),
    rule("core.v1.GRPCAction", &[("port", Port)]),
    rule("core.v1.ContainerRestartRule", &[("action", Exactly(&["Restart"]))]),
    rule("core.v1.ContainerRestartRuleOnExitCodes", &[("operator", Exactly(&["In", "NotIn"]))]),
    with("core.v1.EnvVarSource", sources, &[]),
];

const COMMON: &[(&str, Check)] = &[
    ("name", NeedsForm(names::dns_1123_label)),
    ("image", Required),
    ("terminationMessagePolicy", NeedsOneOf(&["File", "FallbackToLogsOnError"])),
    ("imagePullPolicy", NeedsOneOf(&["Always", "IfNotPresent", "Never"])),
];

const KEY: &[(&str, Check)] = &[("name", AlwaysForm(names::dns_1123_subdomain)), ("key", NeedsForm(names::config_key))];

fn container<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    common(path, errors);
    if path.field == "initContainers" {
        init_container(path, errors);
    } else {
        probes(path, errors);
        restart_policy(path, errors);
    }
}

/// What containers of all kinds share.
fn common<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    unique_port_names(path, errors);
    mounts::volumes(path, errors);
    mounts::devices(path, errors);
    resize_policy(path, errors);
}

fn unique_port_names<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, port) in path.structs("ports").enumerate() {
        let name = port.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() || !names::port_name(name).is_empty() {
            continue;
        }
        if seen.contains(&name) {
            errors.duplicate(path, &format!("ports[{at}].name"), name);
        } else {
            seen.push(name);
        }
    }
}

fn port<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let name = path.text("name");
    if !name.is_empty() {
        errors.invalid_each(path, "name", name, names::port_name(name));
    }
    for (field, needed) in [("containerPort", true), ("hostPort", false)] {
        match path.number(field).unwrap_or(0) {
            0 if needed => errors.required(path, field, ""),
            0 => {}
            number => {
                if let Some(detail) = names::port_number(number) {
                    errors.invalid_as(path, field, number, detail);
                }
            }
        }
    }
}

fn variable<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(from) = path.child("valueFrom") else { return };
    let sources = from.iter().count();
    if sources == 0 {
        let detail =
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        errors.invalid(path, "valueFrom", "", detail);
    } else if !path.text("value").is_empty() {
        errors.invalid(path, "valueFrom", "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        errors.invalid(path, "valueFrom", "", "may not have more than one field specified at a time");
    }
}

fn sources<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if let Some(selector) = path.child("fieldRef") {
        downward::object_field(&path.below("fieldRef", Nth::Only, selector), &downward::VARIABLE_FIELDS, errors);
    }
    if let Some(selector) = path.child("resourceFieldRef") {
        downward::resource_field(&path.below("resourceFieldRef", Nth::Only, selector), false, errors);
    }
}

/// Errors name the list, not the item.
fn variables_from<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(container) = path.up else { return };
    match [path.has("configMapRef"), path.has("secretRef")] {
        [false, false] => {
            errors.invalid(container, "envFrom", "", "must specify one of: `configMapRef` or `secretRef`")
        }
        [true, true] => {
            errors.invalid(container, "envFrom", "", "may not have more than one field specified at a time");
        }
        _ => {}
    }
}

/// The file of a variable lies in an empty directory of the pod.
fn file_key<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(spec) = path.above("PodSpec") else { return };
    let name = path.text("volumeName");
    let named = |volume: &&Struct| volume.get("name").and_then(Value::as_str).unwrap_or_default() == name;
    match spec.structs("volumes").filter(named).last() {
        None => errors.not_found(path, "volumeName", name),
        Some(volume) if volume.get("emptyDir").is_none() => {
            errors.invalid(path, "volumeName", name, "referenced volume must be of type emptyDir");
        }
        Some(_) => {}
    }
}

/// Errors name the list, not the item.
fn resize_policy<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let never = path.above("PodSpec").is_some_and(|spec| spec.text("restartPolicy") == "Never");
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in path.structs("resizePolicy").enumerate() {
        let policy = path.below("resizePolicy", Nth::Index(at), item);
        let (resource, restart) = (policy.text("resourceName"), policy.text("restartPolicy"));
        if seen.contains(&resource) {
            errors.duplicate(&policy, "", resource);
        }
        seen.push(resource);
        for (text, words) in [(resource, ["cpu", "memory"]), (restart, ["NotRequired", "RestartContainer"])] {
            match text {
                "" => errors.required(path, "resizePolicy", ""),
                text if !words.contains(&text) => errors.unsupported(path, "resizePolicy", text, &words),
                _ => {}
            }
        }
        if never && restart != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errors.invalid(path, "resizePolicy", restart, detail);
        }
    }
}

fn init_container<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let restart = path.optional_text("restartPolicy");
    let rules = path.list("restartPolicyRules");
    match restart {
        None if !rules.is_empty() => {
            errors.required(path, "restartPolicy", "must specify restartPolicy when restart rules are used");
            errors.skip("restartPolicyRules");
        }
        None => {}
        Some("Always") => {
            if !rules.is_empty() {
                let detail = "restartPolicyRules are not allowed for init containers with restart policy Always";
                errors.forbidden(path, "restartPolicyRules", detail);
            }
            errors.skip("restartPolicyRules");
        }
        Some(_) => restart_policy(path, errors),
    }
    unique_among_others(path, errors);
    if restart == Some("Always") {
        probes(path, errors);
        return;
    }
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if path.has(field) {
            errors.forbidden(path, field, "may not be set for init containers without restartPolicy=Always");
        }
        errors.skip(field);
    }
}

/// The name of an init container is that of no container, and of no init container before it.
fn unique_among_others<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (Some(pod), Nth::Index(at), name) = (path.up, path.nth, path.text("name")) else { return };
    let before = pod.structs("initContainers").take(at).filter(|_| !name.is_empty());
    let mut others = pod.structs("containers").chain(before);
    if others.any(|other| other.get("name").and_then(Value::as_str).unwrap_or_default() == name) {
        errors.duplicate(path, "name", name);
    }
}

fn probes<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for field in ["livenessProbe", "startupProbe"] {
        let Some(probe) = path.child(field) else { continue };
        let threshold = probe.get("successThreshold").and_then(Value::as_i64).unwrap_or(0);
        if threshold != 1 {
            errors.invalid_as(path, &format!("{field}.successThreshold"), threshold, "must be 1");
        }
    }
    let grace = path.at(&["readinessProbe", "terminationGracePeriodSeconds"]).and_then(Value::as_i64);
    if let Some(seconds) = grace {
        let field = "readinessProbe.terminationGracePeriodSeconds";
        errors.invalid_as(path, field, seconds, "must not be set for readinessProbes");
    }
}

fn restart_policy<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const RULES_MAX: usize = 20;
    const CODES_MAX: usize = 255;
    let policies = ["Always", "Never", "OnFailure"];
    let rules = path.list("restartPolicyRules");
    match path.optional_text("restartPolicy") {
        None if !rules.is_empty() => {
            errors.required(path, "restartPolicy", "must specify restartPolicy when restart rules are used");
        }
        Some(policy) if !policies.contains(&policy) => errors.unsupported(path, "restartPolicy", policy, &policies),
        _ => {}
    }
    if rules.len() > RULES_MAX {
        errors.too_long(path, "restartPolicyRules", RULES_MAX);
    }
    for (at, rule) in path.structs("restartPolicyRules").enumerate() {
        let codes = rule.get("exitCodes");
        let field = format!("restartPolicyRules[{at}].exitCodes");
        match codes {
            None => errors.required(path, &field, "must be specified"),
            Some(codes) => {
                let count = codes.child("values").and_then(Value::as_list).map_or(0, <[Value]>::len);
                if count > CODES_MAX {
                    errors.too_long(path, &format!("{field}.values"), CODES_MAX);
                }
            }
        }
    }
}

fn ephemeral<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    const DETAIL: &str = "cannot be set for an Ephemeral Container";
    const NOT_ALLOWED: [&str; 9] = [
        "ports",
        "resources",
        "resizePolicy",
        "restartPolicy",
        "restartPolicyRules",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
    ];
    common(path, errors);
    whitespace(path, errors);
    let Some(spec) = path.up else { return };
    let names = |list: &str| spec.structs(list).filter_map(|c| c.get("name")?.as_str()).collect::<Vec<_>>();
    let others = [names("containers"), names("initContainers")].concat();
    let target = path.text("targetContainerName");
    if !target.is_empty() && !others.contains(&target) {
        errors.not_found(path, "targetContainerName", target);
    }
    for field in NOT_ALLOWED {
        let given = path.get(field).is_some_and(|value| match value {
            Value::Struct(fields) if field == "resources" => !fields.is_empty(),
            _ => true,
        });
        if given {
            errors.forbidden(path, field, DETAIL);
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "restartPolicyRules"] {
        errors.skip(field);
    }
    for (at, mount) in path.structs("volumeMounts").enumerate() {
        for field in ["subPath", "subPathExpr"] {
            if mount.get(field).is_some_and(|path| !path.is_zero()) {
                errors.forbidden(path, &format!("volumeMounts[{at}].{field}"), DETAIL);
            }
        }
    }
}

/// Pods, unlike templates of them, may not have blanks around an image.
pub(super) fn whitespace<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let image = path.text("image");
    if image.trim() != image {
        errors.invalid(path, "image", image, "must not have leading or trailing whitespace");
    }
}

const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

fn probe<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    one_handler(path, errors);
}

/// Exactly one way; what is there besides is not looked at.
fn one_handler<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let mut given = HANDLERS.into_iter().filter(|handler| path.has(handler));
    if given.next().is_none() {
        errors.required(path, "", "must specify a handler type");
    }
    for more in given {
        errors.forbidden(path, more, "may not specify more than 1 handler type");
        errors.skip(more);
    }
}

fn sleep<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let grace = path.above("PodSpec").and_then(|spec| spec.number("terminationGracePeriodSeconds"));
    let seconds = path.number("seconds").unwrap_or(0);
    if let Some(grace) = grace.filter(|grace| seconds < 0 || seconds > *grace) {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.invalid_as(path, "", seconds, detail);
    }
}

fn headers<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for header in path.structs("httpHeaders") {
        let name = header.get("name").and_then(Value::as_str).unwrap_or_default();
        errors.invalid_each(path, "httpHeaders", name, forms::http_header(name));
    }
}

fn stop_signal<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let (Some(signal), Some(spec)) = (path.optional_text("stopSignal"), path.above("PodSpec")) else { return };
    let system = spec.at(&["os", "name"]).and_then(Value::as_str).unwrap_or_default();
    if !spec.has("os") {
        errors.forbidden(path, "stopSignal", "may not be set for containers with empty `spec.os.name`");
    } else if is_windows(spec) && !["SIGKILL", "SIGTERM"].contains(&signal) {
        errors.unsupported(path, "stopSignal", signal, &["SIGKILL", "SIGTERM"]);
    } else if system == "linux" && !STOP_SIGNALS.contains(&signal) {
        errors.unsupported(path, "stopSignal", signal, STOP_SIGNALS);
    }
}

/// All containers of a pod: list, index in it, container.
pub(super) fn each_container<'t>(spec: &FieldPath<'_, 't>) -> Vec<(&'static str, usize, &'t Struct)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter();
    lists.flat_map(|list| spec.structs(list).enumerate().map(move |(at, item)| (list, at, item))).collect()
}
