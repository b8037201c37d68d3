//! Pods and their templates as a whole.

use super::{
    super::{
        check::Check::{AlwaysForm, EachForm, Form, GivenOneOf, Labels, NeedsOneOf, Within},
        error_list::ErrorList,
        field_path::{FieldPath, Nth},
        forms, meta, names,
        print::printed_struct,
        rule::{Rule, rule, with},
    },
    containers::{self, each_container},
    scheduling, security,
};
use crate::api::schema::{Struct, Value};

pub(super) static RULES: &[Rule] = &[
    with("core.v1.Pod", pod, &[]),
    with("core.v1.PodTemplateSpec", template, &[]),
    with(
        "core.v1.PodSpec",
        spec,
        &[
            ("restartPolicy", NeedsOneOf(&["Always", "OnFailure", "Never"])),
            ("dnsPolicy", NeedsOneOf(&["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"])),
            ("nodeSelector", Labels),
            ("serviceAccountName", Form(names::dns_1123_subdomain)),
            ("nodeName", Form(names::dns_1123_subdomain)),
            ("activeDeadlineSeconds", Within(1, i32::MAX as i64, "must be between 1 and 2147483647, inclusive")),
            ("priorityClassName", Form(names::dns_1123_subdomain)),
            ("runtimeClassName", Form(names::dns_1123_subdomain)),
            ("preemptionPolicy", GivenOneOf(&["PreemptLowerPriority", "Never"])),
            ("hostnameOverride", Form(names::dns_1123_subdomain)),
        ],
    ),
    rule("core.v1.PodReadinessGate", &[("conditionType", AlwaysForm(names::label_key))]),
    rule("core.v1.HostAlias", &[("ip", AlwaysForm(forms::ip)), ("hostnames", EachForm(names::dns_1123_subdomain))]),
    with(
        "core.v1.PodDNSConfig",
        dns_config,
        &[("nameservers", EachForm(forms::ip)), ("searches", EachForm(forms::search_domain))],
    ),
];

const MIRROR: &str = "kubernetes.io/config.mirror";

fn pod<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(spec) = path.child("spec") else { return };
    let spec = path.below("spec", Nth::Only, spec);
    let (metadata, created) = (path.child("metadata"), errors.old.is_none());
    pod_annotations(path, "metadata.annotations", metadata, &spec, errors);
    if spec.text("serviceAccountName").is_empty() {
        tokens_without_account(&spec, errors);
    }
    for list in ["containers", "initContainers"] {
        for (at, item) in spec.structs(list).enumerate() {
            containers::whitespace(&spec.below(list, Nth::Index(at), item), errors);
        }
    }
    if created {
        if !spec.list("ephemeralContainers").is_empty() {
            errors.forbidden(&spec, "ephemeralContainers", "cannot be set on create");
        }
        if !spec.text("nodeName").is_empty() && !spec.list("schedulingGates").is_empty() {
            errors.forbidden(&spec, "nodeName", "cannot be set until all schedulingGates have been cleared");
        }
        security::profiles_match(&spec, metadata, errors);
    }
}

fn tokens_without_account<'t>(spec: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    for (at, volume) in spec.structs("volumes").enumerate() {
        let sources =
            volume.get("projected").and_then(|p| p.child("sources")).and_then(Value::as_list).unwrap_or_default();
        for (nth, source) in sources.iter().enumerate() {
            if source.child("serviceAccountToken").is_some() {
                let field = format!("volumes[{at}].projected.sources[{nth}].serviceAccountToken");
                errors.forbidden(spec, &field, "must not be specified when serviceAccountName is not set");
            }
        }
    }
}

/// The real server leaves `metadata` out of a template's paths.
fn template<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    labels_and_annotations(path, errors);
    let Some(spec) = path.child("spec") else { return };
    let spec = path.below("spec", Nth::Only, spec);
    security::profiles_match(&spec, path.child("metadata"), errors);
    if !spec.list("ephemeralContainers").is_empty() {
        errors.forbidden(&spec, "ephemeralContainers", "ephemeral containers not allowed in pod template");
    }
}

/// The metadata of the template at `path`, a workload's spec.
pub(super) fn template_metadata<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if let Some(template) = path.child("template") {
        labels_and_annotations(&path.below("template", Nth::Only, template), errors);
    }
}

fn labels_and_annotations<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let metadata = path.child("metadata");
    let pairs = |name: &str| {
        let map = metadata.and_then(|m| m.get(name)).and_then(Value::as_map);
        map.into_iter().flat_map(|m| m.iter()).filter_map(|(key, value)| Some((key, value.as_str()?)))
    };
    errors.extend(meta::labels(pairs("labels"), &path.to("labels")));
    errors.extend(meta::annotations(pairs("annotations"), &path.to("annotations")));
    if let Some(spec) = path.child("spec") {
        pod_annotations(path, "annotations", metadata, &path.below("spec", Nth::Only, spec), errors);
    }
}

fn pod_annotations<'t>(
    path: &FieldPath<'_, 't>,
    field: &str,
    metadata: Option<&'t Struct>,
    spec: &FieldPath<'_, 't>,
    errors: &mut ErrorList<'t>,
) {
    let Some(annotations) = metadata.and_then(|m| m.get("annotations")).and_then(Value::as_map) else { return };
    if let Some(value) = annotations.get(MIRROR).and_then(Value::as_str).filter(|_| spec.text("nodeName").is_empty()) {
        errors.invalid(
            path,
            &format!("{field}[{MIRROR}]"),
            value,
            "must set spec.nodeName if mirror pod annotation is set",
        );
    }
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    if let Some(cost) = annotations.get(COST).and_then(Value::as_str).filter(|cost| !is_cost(cost)) {
        errors.invalid(path, &format!("{field}[{COST}]"), cost, "must be a 32bit integer");
    }
    security::profile_annotations(path, field, annotations, spec, errors);
}

/// A whole number of 32 bits without leading zeros or a plus sign.
fn is_cost(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && !text.starts_with('+') && (digits == "0" || !digits.starts_with('0'));
    plain && text.parse::<i32>().is_ok()
}

fn spec<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if !path.has("terminationGracePeriodSeconds") {
        errors.required(path, "terminationGracePeriodSeconds", "");
    }
    // The controller of stateful sets names its pods itself.
    if path.above("StatefulSet").is_none() {
        Form(names::dns_1123_label).apply(path, "hostname", errors);
        Form(names::dns_1123_label).apply(path, "subdomain", errors);
    }
    volumes(path, errors);
    claims(path, errors);
    if path.list("containers").is_empty() {
        errors.required(path, "containers", "");
    }
    container_names(path, errors);
    host_ports(path, errors);
    super::resources::pod_resources(path, errors);
    network_ports(path, errors);
    scheduling::gates(path, errors);
    scheduling::spread(path, errors);
    dns_policy(path, errors);
    host_users(path, errors);
    host_name(path, errors);
    security::pod(path, errors);
    super::resources::overhead(path, errors);
    if path.has("os") {
        security::operating_system(path, errors);
    }
}

/// Volumes come first: mounts need those that are good. A StatefulSet's claims stand before them.
fn volumes<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    errors.skip("volumes");
    errors.volumes.clear();
    let templates: Vec<&'t Struct> =
        path.above("StatefulSetSpec").map_or_else(Vec::new, |set| set.structs("volumeClaimTemplates").collect());
    let name_of = |claim: &'t Struct| {
        claim.get("metadata").and_then(|m| m.child("name")).and_then(Value::as_str).unwrap_or_default()
    };
    for (at, name) in templates.iter().map(|claim| name_of(claim)).enumerate() {
        let before = errors.len();
        let field = format!("volumes[{at}].name");
        match name {
            "" => {
                errors.required(path, &format!("volumes[{at}].persistentVolumeClaim.claimName"), "");
                errors.required(path, &field, "");
            }
            name => errors.invalid_each(path, &field, name, names::dns_1123_label(name)),
        }
        if errors.len() == before {
            errors.volumes.push((name, None));
        }
    }
    let claimed: Vec<&str> = templates.iter().map(|claim| name_of(claim)).collect();
    let own = path.structs("volumes");
    let own = own.filter(|v| !claimed.contains(&v.get("name").and_then(Value::as_str).unwrap_or_default()));
    for (at, volume) in own.enumerate() {
        let item = path.below("volumes", Nth::Index(at + templates.len()), volume);
        let (before, name) = (errors.len(), item.text("name"));
        errors.visit(&item);
        match name {
            "" => errors.required(&item, "name", ""),
            name => errors.invalid_each(&item, "name", name, names::dns_1123_label(name)),
        }
        if errors.volumes.iter().any(|(known, _)| *known == name) {
            errors.duplicate(&item, "name", name);
        }
        if errors.len() == before {
            errors.volumes.push((name, Some(volume)));
        }
        made_claims(path, &item, errors);
    }
}

/// A claim that is made for one volume is not for another.
fn made_claims<'t>(path: &FieldPath<'_, 't>, item: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let pod = path.above("Pod").and_then(|pod| pod.at(&["metadata", "name"])).and_then(Value::as_str);
    let claim = item.at(&["persistentVolumeClaim", "claimName"]).and_then(Value::as_str);
    let (Some(pod), Some(claim)) = (pod.filter(|name| !name.is_empty()), claim) else { return };
    let made = |volume: &Struct| {
        let name = volume.get("name").and_then(Value::as_str).unwrap_or_default();
        volume.get("ephemeral").is_some() && claim == format!("{pod}-{name}")
    };
    if path.structs("volumes").any(made) {
        let detail = "must not reference a PVC that gets created for an ephemeral volume";
        errors.invalid(item, "persistentVolumeClaim.claimName", claim, detail);
    }
}

fn claims<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let annotations = path.above("Pod").and_then(|pod| pod.at(&["metadata", "annotations", MIRROR]));
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in path.structs("resourceClaims").enumerate() {
        if annotations.is_some() {
            errors
                .push(crate::request::status::FieldError::forbidden("", "static pods do not support resource claims"));
            continue;
        }
        let claim = path.below("resourceClaims", Nth::Index(at), item);
        match claim.text("name") {
            "" => errors.required(&claim, "name", ""),
            name if seen.contains(&name) => errors.duplicate(&claim, "name", name),
            name => {
                errors.invalid_each(&claim, "name", name, names::dns_1123_label(name));
                seen.push(name);
            }
        }
        let detail = match [claim.has("resourceClaimName"), claim.has("resourceClaimTemplateName")] {
            [true, true] => "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            [false, false] => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            _ => "",
        };
        if !detail.is_empty() {
            errors.invalid_as(&claim, "", printed_struct(item), detail);
        }
        for field in ["resourceClaimName", "resourceClaimTemplateName"] {
            if let Some(name) = claim.optional_text(field) {
                errors.invalid_each(&claim, field, name, names::dns_1123_subdomain(name));
            }
        }
    }
}

/// Names are unique over all containers of a pod. Those of init containers are compared by their own rule.
fn container_names<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let mut seen: Vec<&str> = Vec::new();
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for (at, item) in path.structs(list).enumerate() {
            let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
            if seen.contains(&name) {
                if list != "initContainers" {
                    errors.duplicate(path, &format!("{list}[{at}].name"), name);
                }
            } else if !name.is_empty() || list != "initContainers" {
                seen.push(name);
            }
        }
    }
}

/// Host ports are unique over the containers; an init container stands alone, and its errors name the first.
fn host_ports<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let mut taken: Vec<String> = Vec::new();
    for (list, alone) in [("containers", false), ("initContainers", true)] {
        for (at, container) in path.structs(list).enumerate() {
            if alone {
                taken.clear();
            }
            let at = if alone { 0 } else { at };
            let ports = container.get("ports").and_then(Value::as_list).unwrap_or_default();
            for (nth, port) in ports.iter().enumerate() {
                let text = |name| port.child(name).and_then(Value::as_str).unwrap_or_default();
                let number = port.child("hostPort").and_then(Value::as_i64).unwrap_or(0);
                let key = format!("{}/{}/{number}", text("protocol"), text("hostIP"));
                if number == 0 {
                    continue;
                }
                if taken.contains(&key) {
                    errors.duplicate(path, &format!("{list}[{at}].ports[{nth}].hostPort"), &key);
                } else {
                    taken.push(key);
                }
            }
        }
    }
}

/// In the host's network a port is the host's.
fn network_ports<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if !path.is("hostNetwork") {
        return;
    }
    let is_pod = path.up.is_some_and(|up| up.name() == "Pod");
    for (at, container) in path.structs("containers").enumerate() {
        let ports = container.get("ports").and_then(Value::as_list).unwrap_or_default();
        for (nth, port) in ports.iter().enumerate() {
            let number = |name| port.child(name).and_then(Value::as_i64).unwrap_or(0);
            let (host, own) = (number("hostPort"), number("containerPort"));
            if (is_pod || host != 0) && host != own {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                errors.invalid_as(path, &format!("containers[{at}].ports[{nth}].hostPort"), host, detail);
            }
        }
    }
}

fn dns_policy<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.text("dnsPolicy") != "None" {
        return;
    }
    let Some(config) = path.get("dnsConfig") else {
        return errors.required(path, "dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None");
    };
    if config.child("nameservers").and_then(Value::as_list).is_none_or(<[Value]>::is_empty) {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.required(path, "dnsConfig.nameservers", detail);
        errors.skip("dnsConfig");
    }
}

fn dns_config<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.list("nameservers").len() > 3 {
        let detail = "must not have more than 3 nameservers";
        errors.invalid_value(path, "nameservers", path.get("nameservers"), detail);
    }
    if path.list("searches").len() > 32 {
        errors.invalid_value(path, "searches", path.get("searches"), "must not have more than 32 search paths");
    }
    let length = path.texts("searches").map(|text| text.len() + 1).sum::<usize>().saturating_sub(1);
    if length > 2048 {
        let detail = "must not have more than 2048 characters (including spaces) in the search list";
        errors.invalid_value(path, "searches", path.get("searches"), detail);
    }
    for (at, option) in path.structs("options").enumerate() {
        if option.get("name").is_none_or(Value::is_zero) {
            errors.required(path, &format!("options[{at}]"), "must not be empty");
        }
    }
}

fn host_users<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    if path.truth("hostUsers") != Some(false) {
        return;
    }
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if path.is(field) {
            errors.forbidden(path, shown, "when `hostUsers` is false");
        }
    }
    for (list, at, container) in each_container(path) {
        if container.get("volumeDevices").is_some_and(|devices| !devices.is_zero()) {
            errors.forbidden(path, &format!("{list}[{at}].volumeDevices"), "when `hostUsers` is false");
        }
    }
}

fn host_name<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(name) = path.optional_text("hostnameOverride") else { return };
    if path.is("setHostnameAsFQDN") {
        errors.forbidden(path, "hostnameOverride", "may not be specified when setHostnameAsFQDN is true");
    }
    if path.is("hostNetwork") {
        errors.forbidden(path, "hostnameOverride", "may not be specified when hostNetwork is true");
    }
    if name.len() > 64 {
        errors.too_long(path, "hostnameOverride", 64);
    }
}
