//! Containers: ports, variables, mounts, probes, hooks.

use super::{
    super::{
        check::{
            Check::{self, AlwaysForm, AtLeast, Exactly, Form, NeedsForm, NeedsOneOf, Port, Required},
            NOT_NEGATIVE,
        },
        forms,
        judge::Judge,
        names,
        place::{Nth, Place},
        rule::{Rule, rule, with},
    },
    resources::is_windows,
    volumes,
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

fn container<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    common(place, judge);
    if place.field == "initContainers" {
        init_container(place, judge);
    } else {
        probes(place, judge);
        restart_policy(place, judge);
    }
}

/// What containers of all kinds share.
fn common<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    unique_port_names(place, judge);
    mounts(place, judge);
    devices(place, judge);
    resize_policy(place, judge);
}

fn unique_port_names<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, port) in place.structs("ports").enumerate() {
        let name = port.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() || !names::port_name(name).is_empty() {
            continue;
        }
        if seen.contains(&name) {
            judge.duplicate(place, &format!("ports[{at}].name"), name);
        } else {
            seen.push(name);
        }
    }
}

fn port<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let name = place.text("name");
    if !name.is_empty() {
        judge.complain(place, "name", name, names::port_name(name));
    }
    for (field, needed) in [("containerPort", true), ("hostPort", false)] {
        match place.number(field).unwrap_or(0) {
            0 if needed => judge.required(place, field, ""),
            0 => {}
            number => {
                if let Some(detail) = names::port_number(number) {
                    judge.invalid_as(place, field, number, detail);
                }
            }
        }
    }
}

fn variable<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(from) = place.child("valueFrom") else { return };
    let sources = from.iter().count();
    if sources == 0 {
        let detail =
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        judge.invalid(place, "valueFrom", "", detail);
    } else if !place.text("value").is_empty() {
        judge.invalid(place, "valueFrom", "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        judge.invalid(place, "valueFrom", "", "may not have more than one field specified at a time");
    }
}

fn sources<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if let Some(selector) = place.child("fieldRef") {
        volumes::object_field(&place.below("fieldRef", Nth::Only, selector), &volumes::VARIABLE_FIELDS, judge);
    }
    if let Some(selector) = place.child("resourceFieldRef") {
        volumes::resource_field(&place.below("resourceFieldRef", Nth::Only, selector), false, judge);
    }
}

/// Errors name the list, not the item.
fn variables_from<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(container) = place.up else { return };
    match [place.has("configMapRef"), place.has("secretRef")] {
        [false, false] => judge.invalid(container, "envFrom", "", "must specify one of: `configMapRef` or `secretRef`"),
        [true, true] => {
            judge.invalid(container, "envFrom", "", "may not have more than one field specified at a time");
        }
        _ => {}
    }
}

/// The file of a variable lies in an empty directory of the pod.
fn file_key<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(spec) = place.above("PodSpec") else { return };
    let name = place.text("volumeName");
    let named = |volume: &&Struct| volume.get("name").and_then(Value::as_str).unwrap_or_default() == name;
    match spec.structs("volumes").filter(named).last() {
        None => judge.not_found(place, "volumeName", name),
        Some(volume) if volume.get("emptyDir").is_none() => {
            judge.invalid(place, "volumeName", name, "referenced volume must be of type emptyDir");
        }
        Some(_) => {}
    }
}

fn pairs_of<'t>(place: &Place<'_, 't>, list: &str, path: &str) -> Vec<(&'t str, &'t str)> {
    let text = |item: &'t Struct, name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    place.structs(list).map(|item| (text(item, "name"), text(item, path))).collect()
}

/// Errors of some fields name the list, not the item.
fn mounts<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let devices = pairs_of(place, "volumeDevices", "devicePath");
    let mut points: Vec<&str> = Vec::new();
    for (at, item) in place.structs("volumeMounts").enumerate() {
        let mount = place.below("volumeMounts", Nth::At(at), item);
        let (name, point) = (mount.text("name"), mount.text("mountPath"));
        if name.is_empty() {
            judge.required(&mount, "name", "");
        }
        if !judge.volumes.iter().any(|(known, _)| *known == name) {
            judge.not_found(&mount, "name", name);
        }
        if point.is_empty() {
            judge.required(&mount, "mountPath", "");
        }
        if points.contains(&point) {
            judge.invalid(&mount, "mountPath", point, "must be unique");
        }
        points.push(point);
        if devices.iter().any(|(device, _)| *device == name) {
            judge.invalid(&mount, "name", name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|(_, path)| *path == point) {
            judge.invalid(&mount, "mountPath", point, "must not already exist as a path in volumeDevices");
        }
        sub_paths(place, &mount, judge);
        propagation(place, &mount, judge);
        read_only(place, &mount, judge);
    }
}

fn sub_paths<'t>(place: &Place<'_, 't>, mount: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (path, expression) = (mount.text("subPath"), mount.text("subPathExpr"));
    if !path.is_empty() {
        judge.complain(place, "volumeMounts.subPath", path, forms::descending_path(path));
    }
    if !expression.is_empty() {
        if !path.is_empty() {
            judge.invalid(mount, "subPathExpr", expression, "subPathExpr and subPath are mutually exclusive");
        }
        judge.complain(place, "volumeMounts.subPathExpr", expression, forms::descending_path(expression));
    }
}

fn propagation<'t>(place: &Place<'_, 't>, mount: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(mode) = mount.optional_text("mountPropagation") else { return };
    let field = "volumeMounts.mountPropagation";
    let modes = ["Bidirectional", "HostToContainer", "None"];
    if !modes.contains(&mode) {
        judge.unsupported(place, field, mode, &modes);
    }
    let privileged = place.at(&["securityContext", "privileged"]).and_then(Value::as_bool) == Some(true);
    if mode == "Bidirectional" && !privileged {
        judge.forbidden(place, field, "Bidirectional mount propagation is available only to privileged containers");
    }
}

fn read_only<'t>(place: &Place<'_, 't>, mount: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(mode) = mount.optional_text("recursiveReadOnly") else { return };
    let field = "volumeMounts.recursiveReadOnly";
    match mode {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !mount.is("readOnly") {
                judge.forbidden(place, field, "may only be specified when readOnly is true");
            }
            if mount.optional_text("mountPropagation").is_some_and(|mode| mode != "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                judge.forbidden(place, field, detail);
            }
        }
        other => judge.unsupported(place, field, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

fn devices<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let mounts = pairs_of(place, "volumeMounts", "mountPath");
    let (mut seen, mut paths): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (at, item) in place.structs("volumeDevices").enumerate() {
        let device = place.below("volumeDevices", Nth::At(at), item);
        let (name, path) = (device.text("name"), device.text("devicePath"));
        let volume = judge.volumes.iter().find(|(known, _)| *known == name).map(|(_, volume)| *volume);
        if name.is_empty() {
            judge.required(&device, "name", "");
        }
        if seen.contains(&name) {
            judge.invalid(&device, "name", name, "must be unique");
        }
        match volume {
            None => judge.not_found(&device, "name", name),
            Some(Some(volume))
                if volume.get("persistentVolumeClaim").is_none() && volume.get("ephemeral").is_none() =>
            {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                judge.invalid(&device, "name", name, detail);
            }
            Some(_) => {}
        }
        if path.is_empty() {
            judge.required(&device, "devicePath", "");
        }
        if paths.contains(&path) {
            judge.invalid(&device, "devicePath", path, "must be unique");
        }
        if !path.is_empty() && !forms::no_backsteps(path).is_empty() {
            judge.invalid(&device, "devicePath", path, "can not contain backsteps ('..')");
        } else {
            paths.push(path);
        }
        if mounts.iter().any(|(mount, _)| *mount == name) {
            judge.invalid(&device, "name", name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|(_, point)| *point == path) {
            judge.invalid(&device, "devicePath", path, "must not already exist as a path in volumeMounts");
        }
        if !name.is_empty() {
            seen.push(name);
        }
    }
}

/// Errors name the list, not the item.
fn resize_policy<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let never = place.above("PodSpec").is_some_and(|spec| spec.text("restartPolicy") == "Never");
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in place.structs("resizePolicy").enumerate() {
        let policy = place.below("resizePolicy", Nth::At(at), item);
        let (resource, restart) = (policy.text("resourceName"), policy.text("restartPolicy"));
        if seen.contains(&resource) {
            judge.duplicate(&policy, "", resource);
        }
        seen.push(resource);
        for (text, words) in [(resource, ["cpu", "memory"]), (restart, ["NotRequired", "RestartContainer"])] {
            match text {
                "" => judge.required(place, "resizePolicy", ""),
                text if !words.contains(&text) => judge.unsupported(place, "resizePolicy", text, &words),
                _ => {}
            }
        }
        if never && restart != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            judge.invalid(place, "resizePolicy", restart, detail);
        }
    }
}

fn init_container<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let restart = place.optional_text("restartPolicy");
    let rules = place.list("restartPolicyRules");
    match restart {
        None if !rules.is_empty() => {
            judge.required(place, "restartPolicy", "must specify restartPolicy when restart rules are used");
            judge.settle("restartPolicyRules");
        }
        None => {}
        Some("Always") => {
            if !rules.is_empty() {
                let detail = "restartPolicyRules are not allowed for init containers with restart policy Always";
                judge.forbidden(place, "restartPolicyRules", detail);
            }
            judge.settle("restartPolicyRules");
        }
        Some(_) => restart_policy(place, judge),
    }
    unique_among_others(place, judge);
    if restart == Some("Always") {
        probes(place, judge);
        return;
    }
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if place.has(field) {
            judge.forbidden(place, field, "may not be set for init containers without restartPolicy=Always");
        }
        judge.settle(field);
    }
}

/// The name of an init container is that of no container, and of no init container before it.
fn unique_among_others<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (Some(pod), Nth::At(at), name) = (place.up, place.nth, place.text("name")) else { return };
    let before = pod.structs("initContainers").take(at).filter(|_| !name.is_empty());
    let mut others = pod.structs("containers").chain(before);
    if others.any(|other| other.get("name").and_then(Value::as_str).unwrap_or_default() == name) {
        judge.duplicate(place, "name", name);
    }
}

fn probes<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for field in ["livenessProbe", "startupProbe"] {
        let Some(probe) = place.child(field) else { continue };
        let threshold = probe.get("successThreshold").and_then(Value::as_i64).unwrap_or(0);
        if threshold != 1 {
            judge.invalid_as(place, &format!("{field}.successThreshold"), threshold, "must be 1");
        }
    }
    let grace = place.at(&["readinessProbe", "terminationGracePeriodSeconds"]).and_then(Value::as_i64);
    if let Some(seconds) = grace {
        let field = "readinessProbe.terminationGracePeriodSeconds";
        judge.invalid_as(place, field, seconds, "must not be set for readinessProbes");
    }
}

fn restart_policy<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    const RULES_MAX: usize = 20;
    const CODES_MAX: usize = 255;
    let policies = ["Always", "Never", "OnFailure"];
    let rules = place.list("restartPolicyRules");
    match place.optional_text("restartPolicy") {
        None if !rules.is_empty() => {
            judge.required(place, "restartPolicy", "must specify restartPolicy when restart rules are used");
        }
        Some(policy) if !policies.contains(&policy) => judge.unsupported(place, "restartPolicy", policy, &policies),
        _ => {}
    }
    if rules.len() > RULES_MAX {
        judge.too_long(place, "restartPolicyRules", RULES_MAX);
    }
    for (at, rule) in place.structs("restartPolicyRules").enumerate() {
        let codes = rule.get("exitCodes");
        let field = format!("restartPolicyRules[{at}].exitCodes");
        match codes {
            None => judge.required(place, &field, "must be specified"),
            Some(codes) => {
                let count = codes.child("values").and_then(Value::as_list).map_or(0, <[Value]>::len);
                if count > CODES_MAX {
                    judge.too_long(place, &format!("{field}.values"), CODES_MAX);
                }
            }
        }
    }
}

fn ephemeral<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
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
    common(place, judge);
    whitespace(place, judge);
    let Some(spec) = place.up else { return };
    let names = |list: &str| spec.structs(list).filter_map(|c| c.get("name")?.as_str()).collect::<Vec<_>>();
    let others = [names("containers"), names("initContainers")].concat();
    let target = place.text("targetContainerName");
    if !target.is_empty() && !others.contains(&target) {
        judge.not_found(place, "targetContainerName", target);
    }
    for field in NOT_ALLOWED {
        let given = place.get(field).is_some_and(|value| match value {
            Value::Struct(fields) if field == "resources" => !fields.is_empty(),
            _ => true,
        });
        if given {
            judge.forbidden(place, field, DETAIL);
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "restartPolicyRules"] {
        judge.settle(field);
    }
    for (at, mount) in place.structs("volumeMounts").enumerate() {
        for field in ["subPath", "subPathExpr"] {
            if mount.get(field).is_some_and(|path| !path.is_zero()) {
                judge.forbidden(place, &format!("volumeMounts[{at}].{field}"), DETAIL);
            }
        }
    }
}

/// Pods, unlike templates of them, may not have blanks around an image.
pub(super) fn whitespace<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let image = place.text("image");
    if image.trim() != image {
        judge.invalid(place, "image", image, "must not have leading or trailing whitespace");
    }
}

const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

fn probe<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    one_handler(place, judge);
}

/// Exactly one way; what is there besides is not looked at.
fn one_handler<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let mut given = HANDLERS.into_iter().filter(|handler| place.has(handler));
    if given.next().is_none() {
        judge.required(place, "", "must specify a handler type");
    }
    for more in given {
        judge.forbidden(place, more, "may not specify more than 1 handler type");
        judge.settle(more);
    }
}

fn sleep<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let grace = place.above("PodSpec").and_then(|spec| spec.number("terminationGracePeriodSeconds"));
    let seconds = place.number("seconds").unwrap_or(0);
    if let Some(grace) = grace.filter(|grace| seconds < 0 || seconds > *grace) {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        judge.invalid_as(place, "", seconds, detail);
    }
}

fn headers<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for header in place.structs("httpHeaders") {
        let name = header.get("name").and_then(Value::as_str).unwrap_or_default();
        judge.complain(place, "httpHeaders", name, forms::http_header(name));
    }
}

fn stop_signal<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let (Some(signal), Some(spec)) = (place.optional_text("stopSignal"), place.above("PodSpec")) else { return };
    let system = spec.at(&["os", "name"]).and_then(Value::as_str).unwrap_or_default();
    if !spec.has("os") {
        judge.forbidden(place, "stopSignal", "may not be set for containers with empty `spec.os.name`");
    } else if is_windows(spec) && !["SIGKILL", "SIGTERM"].contains(&signal) {
        judge.unsupported(place, "stopSignal", signal, &["SIGKILL", "SIGTERM"]);
    } else if system == "linux" && !STOP_SIGNALS.contains(&signal) {
        judge.unsupported(place, "stopSignal", signal, STOP_SIGNALS);
    }
}

/// All containers of a pod: list, place in it, container.
pub(super) fn each_container<'t>(spec: &Place<'_, 't>) -> Vec<(&'static str, usize, &'t Struct)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter();
    lists.flat_map(|list| spec.structs(list).enumerate().map(move |(at, item)| (list, at, item))).collect()
}
