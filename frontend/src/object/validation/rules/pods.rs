//! Pods and their templates as a whole.

use super::{
    super::{
        check::Check::{AlwaysForm, EachForm, Form, GivenOneOf, Labels, NeedsOneOf, Within},
        forms,
        judge::Judge,
        meta, names,
        place::{Nth, Place},
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

fn pod<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(spec) = place.child("spec") else { return };
    let spec = place.below("spec", Nth::Only, spec);
    let (metadata, created) = (place.child("metadata"), judge.old.is_none());
    pod_annotations(place, "metadata.annotations", metadata, &spec, judge);
    if spec.text("serviceAccountName").is_empty() {
        tokens_without_account(&spec, judge);
    }
    for list in ["containers", "initContainers"] {
        for (at, item) in spec.structs(list).enumerate() {
            containers::whitespace(&spec.below(list, Nth::At(at), item), judge);
        }
    }
    if created {
        if !spec.list("ephemeralContainers").is_empty() {
            judge.forbidden(&spec, "ephemeralContainers", "cannot be set on create");
        }
        if !spec.text("nodeName").is_empty() && !spec.list("schedulingGates").is_empty() {
            judge.forbidden(&spec, "nodeName", "cannot be set until all schedulingGates have been cleared");
        }
        security::profiles_match(&spec, metadata, judge);
    }
}

fn tokens_without_account<'t>(spec: &Place<'_, 't>, judge: &mut Judge<'t>) {
    for (at, volume) in spec.structs("volumes").enumerate() {
        let sources =
            volume.get("projected").and_then(|p| p.child("sources")).and_then(Value::as_list).unwrap_or_default();
        for (nth, source) in sources.iter().enumerate() {
            if source.child("serviceAccountToken").is_some() {
                let field = format!("volumes[{at}].projected.sources[{nth}].serviceAccountToken");
                judge.forbidden(spec, &field, "must not be specified when serviceAccountName is not set");
            }
        }
    }
}

/// The real server leaves `metadata` out of a template's paths.
fn template<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    labels_and_annotations(place, judge);
    let Some(spec) = place.child("spec") else { return };
    let spec = place.below("spec", Nth::Only, spec);
    security::profiles_match(&spec, place.child("metadata"), judge);
    if !spec.list("ephemeralContainers").is_empty() {
        judge.forbidden(&spec, "ephemeralContainers", "ephemeral containers not allowed in pod template");
    }
}

/// The metadata of the template of `place`, a workload's spec.
pub(super) fn template_metadata<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if let Some(template) = place.child("template") {
        labels_and_annotations(&place.below("template", Nth::Only, template), judge);
    }
}

fn labels_and_annotations<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let metadata = place.child("metadata");
    let pairs = |name: &str| {
        let map = metadata.and_then(|m| m.get(name)).and_then(Value::as_map);
        map.into_iter().flat_map(|m| m.iter()).filter_map(|(key, value)| Some((key, value.as_str()?)))
    };
    judge.errors.extend(meta::labels(pairs("labels"), &place.path("labels")));
    judge.errors.extend(meta::annotations(pairs("annotations"), &place.path("annotations")));
    if let Some(spec) = place.child("spec") {
        pod_annotations(place, "annotations", metadata, &place.below("spec", Nth::Only, spec), judge);
    }
}

fn pod_annotations<'t>(
    place: &Place<'_, 't>,
    field: &str,
    metadata: Option<&'t Struct>,
    spec: &Place<'_, 't>,
    judge: &mut Judge<'t>,
) {
    let Some(annotations) = metadata.and_then(|m| m.get("annotations")).and_then(Value::as_map) else { return };
    if let Some(value) = annotations.get(MIRROR).and_then(Value::as_str).filter(|_| spec.text("nodeName").is_empty()) {
        judge.invalid(
            place,
            &format!("{field}[{MIRROR}]"),
            value,
            "must set spec.nodeName if mirror pod annotation is set",
        );
    }
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    if let Some(cost) = annotations.get(COST).and_then(Value::as_str).filter(|cost| !is_cost(cost)) {
        judge.invalid(place, &format!("{field}[{COST}]"), cost, "must be a 32bit integer");
    }
    security::profile_annotations(place, field, annotations, spec, judge);
}

/// A whole number of 32 bits without leading zeros or a plus sign.
fn is_cost(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && !text.starts_with('+') && (digits == "0" || !digits.starts_with('0'));
    plain && text.parse::<i32>().is_ok()
}

fn spec<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if !place.has("terminationGracePeriodSeconds") {
        judge.required(place, "terminationGracePeriodSeconds", "");
    }
    // The controller of stateful sets names its pods itself.
    if place.above("StatefulSet").is_none() {
        Form(names::dns_1123_label).apply(place, "hostname", judge);
        Form(names::dns_1123_label).apply(place, "subdomain", judge);
    }
    volumes(place, judge);
    claims(place, judge);
    if place.list("containers").is_empty() {
        judge.required(place, "containers", "");
    }
    container_names(place, judge);
    host_ports(place, judge);
    super::resources::pod_resources(place, judge);
    network_ports(place, judge);
    scheduling::gates(place, judge);
    scheduling::spread(place, judge);
    dns_policy(place, judge);
    host_users(place, judge);
    host_name(place, judge);
    security::pod(place, judge);
    super::resources::overhead(place, judge);
    if place.has("os") {
        security::operating_system(place, judge);
    }
}

/// Volumes come first: mounts need those that are good. A StatefulSet's claims stand before them.
fn volumes<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    judge.settle("volumes");
    judge.volumes.clear();
    let templates: Vec<&'t Struct> =
        place.above("StatefulSetSpec").map_or_else(Vec::new, |set| set.structs("volumeClaimTemplates").collect());
    let name_of = |claim: &'t Struct| {
        claim.get("metadata").and_then(|m| m.child("name")).and_then(Value::as_str).unwrap_or_default()
    };
    for (at, name) in templates.iter().map(|claim| name_of(claim)).enumerate() {
        let before = judge.errors.len();
        let field = format!("volumes[{at}].name");
        match name {
            "" => {
                judge.required(place, &format!("volumes[{at}].persistentVolumeClaim.claimName"), "");
                judge.required(place, &field, "");
            }
            name => judge.complain(place, &field, name, names::dns_1123_label(name)),
        }
        if judge.errors.len() == before {
            judge.volumes.push((name, None));
        }
    }
    let claimed: Vec<&str> = templates.iter().map(|claim| name_of(claim)).collect();
    let own = place.structs("volumes");
    let own = own.filter(|v| !claimed.contains(&v.get("name").and_then(Value::as_str).unwrap_or_default()));
    for (at, volume) in own.enumerate() {
        let item = place.below("volumes", Nth::At(at + templates.len()), volume);
        let (before, name) = (judge.errors.len(), item.text("name"));
        judge.visit(&item);
        match name {
            "" => judge.required(&item, "name", ""),
            name => judge.complain(&item, "name", name, names::dns_1123_label(name)),
        }
        if judge.volumes.iter().any(|(known, _)| *known == name) {
            judge.duplicate(&item, "name", name);
        }
        if judge.errors.len() == before {
            judge.volumes.push((name, Some(volume)));
        }
        made_claims(place, &item, judge);
    }
}

/// A claim that is made for one volume is not for another.
fn made_claims<'t>(place: &Place<'_, 't>, item: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let pod = place.above("Pod").and_then(|pod| pod.at(&["metadata", "name"])).and_then(Value::as_str);
    let claim = item.at(&["persistentVolumeClaim", "claimName"]).and_then(Value::as_str);
    let (Some(pod), Some(claim)) = (pod.filter(|name| !name.is_empty()), claim) else { return };
    let made = |volume: &Struct| {
        let name = volume.get("name").and_then(Value::as_str).unwrap_or_default();
        volume.get("ephemeral").is_some() && claim == format!("{pod}-{name}")
    };
    if place.structs("volumes").any(made) {
        let detail = "must not reference a PVC that gets created for an ephemeral volume";
        judge.invalid(item, "persistentVolumeClaim.claimName", claim, detail);
    }
}

fn claims<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let annotations = place.above("Pod").and_then(|pod| pod.at(&["metadata", "annotations", MIRROR]));
    let mut seen: Vec<&str> = Vec::new();
    for (at, item) in place.structs("resourceClaims").enumerate() {
        if annotations.is_some() {
            judge.push(crate::request::status::FieldError::forbidden("", "static pods do not support resource claims"));
            continue;
        }
        let claim = place.below("resourceClaims", Nth::At(at), item);
        match claim.text("name") {
            "" => judge.required(&claim, "name", ""),
            name if seen.contains(&name) => judge.duplicate(&claim, "name", name),
            name => {
                judge.complain(&claim, "name", name, names::dns_1123_label(name));
                seen.push(name);
            }
        }
        let detail = match [claim.has("resourceClaimName"), claim.has("resourceClaimTemplateName")] {
            [true, true] => "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            [false, false] => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            _ => "",
        };
        if !detail.is_empty() {
            judge.invalid_as(&claim, "", printed_struct(item), detail);
        }
        for field in ["resourceClaimName", "resourceClaimTemplateName"] {
            if let Some(name) = claim.optional_text(field) {
                judge.complain(&claim, field, name, names::dns_1123_subdomain(name));
            }
        }
    }
}

/// Names are unique over all containers of a pod. Those of init containers are compared by their own rule.
fn container_names<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let mut seen: Vec<&str> = Vec::new();
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for (at, item) in place.structs(list).enumerate() {
            let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
            if seen.contains(&name) {
                if list != "initContainers" {
                    judge.duplicate(place, &format!("{list}[{at}].name"), name);
                }
            } else if !name.is_empty() || list != "initContainers" {
                seen.push(name);
            }
        }
    }
}

/// Host ports are unique over the containers; an init container stands alone, and its errors name the first.
fn host_ports<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let mut taken: Vec<String> = Vec::new();
    for (list, alone) in [("containers", false), ("initContainers", true)] {
        for (at, container) in place.structs(list).enumerate() {
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
                    judge.duplicate(place, &format!("{list}[{at}].ports[{nth}].hostPort"), &key);
                } else {
                    taken.push(key);
                }
            }
        }
    }
}

/// In the host's network a port is the host's.
fn network_ports<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if !place.is("hostNetwork") {
        return;
    }
    let is_pod = place.up.is_some_and(|up| up.name() == "Pod");
    for (at, container) in place.structs("containers").enumerate() {
        let ports = container.get("ports").and_then(Value::as_list).unwrap_or_default();
        for (nth, port) in ports.iter().enumerate() {
            let number = |name| port.child(name).and_then(Value::as_i64).unwrap_or(0);
            let (host, own) = (number("hostPort"), number("containerPort"));
            if (is_pod || host != 0) && host != own {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                judge.invalid_as(place, &format!("containers[{at}].ports[{nth}].hostPort"), host, detail);
            }
        }
    }
}

fn dns_policy<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.text("dnsPolicy") != "None" {
        return;
    }
    let Some(config) = place.get("dnsConfig") else {
        return judge.required(place, "dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None");
    };
    if config.child("nameservers").and_then(Value::as_list).is_none_or(<[Value]>::is_empty) {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        judge.required(place, "dnsConfig.nameservers", detail);
        judge.settle("dnsConfig");
    }
}

fn dns_config<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.list("nameservers").len() > 3 {
        let detail = "must not have more than 3 nameservers";
        judge.invalid_value(place, "nameservers", place.get("nameservers"), detail);
    }
    if place.list("searches").len() > 32 {
        judge.invalid_value(place, "searches", place.get("searches"), "must not have more than 32 search paths");
    }
    let length = place.texts("searches").map(|text| text.len() + 1).sum::<usize>().saturating_sub(1);
    if length > 2048 {
        let detail = "must not have more than 2048 characters (including spaces) in the search list";
        judge.invalid_value(place, "searches", place.get("searches"), detail);
    }
    for (at, option) in place.structs("options").enumerate() {
        if option.get("name").is_none_or(Value::is_zero) {
            judge.required(place, &format!("options[{at}]"), "must not be empty");
        }
    }
}

fn host_users<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    if place.truth("hostUsers") != Some(false) {
        return;
    }
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if place.is(field) {
            judge.forbidden(place, shown, "when `hostUsers` is false");
        }
    }
    for (list, at, container) in each_container(place) {
        if container.get("volumeDevices").is_some_and(|devices| !devices.is_zero()) {
            judge.forbidden(place, &format!("{list}[{at}].volumeDevices"), "when `hostUsers` is false");
        }
    }
}

fn host_name<'t>(place: &Place<'_, 't>, judge: &mut Judge<'t>) {
    let Some(name) = place.optional_text("hostnameOverride") else { return };
    if place.is("setHostnameAsFQDN") {
        judge.forbidden(place, "hostnameOverride", "may not be specified when setHostnameAsFQDN is true");
    }
    if place.is("hostNetwork") {
        judge.forbidden(place, "hostnameOverride", "may not be specified when hostNetwork is true");
    }
    if name.len() > 64 {
        judge.too_long(place, "hostnameOverride", 64);
    }
}
