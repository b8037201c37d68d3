//! Pods: values that depend on others.

use super::{
    super::{
        scalar::quantity::Quantity,
        value::{MapValue, Struct, Value},
    },
    each, is_set, text,
};
use crate::api::schema::object::set_in_struct;

/// The older name of serviceAccountName stands for it, and always mirrors it.
pub(super) fn service_account(spec: &mut Struct) {
    let name = text(spec, &["serviceAccountName"]);
    let name = if name.is_empty() { text(spec, &["serviceAccount"]) } else { name }.to_owned();
    if !name.is_empty() {
        spec.set("serviceAccountName", name.as_str());
        spec.set("serviceAccount", name);
    }
}

/// podIP is the first of podIPs; where they differ, the single one counts.
pub(super) fn addresses(status: &mut Struct) {
    let first = |status: &Struct| {
        let list = status.get("podIPs").and_then(Value::as_list);
        list.and_then(|list| list.first())
            .and_then(|entry| entry.child("ip"))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let single = text(status, &["podIP"]).to_owned();
    match first(status) {
        Some(ip) if single.is_empty() => {
            status.set("podIP", ip);
        }
        ip if !single.is_empty() && ip.as_deref() != Some(&single) => {
            let def = status.def().field("podIPs").and_then(|field| field.struct_ref()).cloned();
            if let Some(def) = def {
                let mut entry = Struct::new(&def);
                entry.set("ip", single);
                status.set("podIPs", vec![Value::Struct(entry)]);
            }
        }
        _ => {}
    }
}

pub(super) fn container(container: &mut Struct) {
    if text(container, &["imagePullPolicy"]).is_empty() {
        let policy = pull_policy(text(container, &["image"]));
        container.set("imagePullPolicy", policy);
    }
}

pub(super) fn image_volume(volume: &mut Struct) {
    if text(volume, &["pullPolicy"]).is_empty() {
        let policy = pull_policy(text(volume, &["reference"]));
        volume.set("pullPolicy", policy);
    }
}

/// Images without a tag, or with the tag latest, are pulled always. A digest alone counts as a tag.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, ""), |(name, digest)| (name, digest));
    let last = name.rsplit('/').next().unwrap_or_default();
    let tag = last.split_once(':').map_or("", |(_, tag)| tag);
    let valid = is_reference(name);
    match (tag, digest) {
        ("latest", _) if valid => "Always",
        ("", "") if valid => "Always",
        _ => "IfNotPresent",
    }
}

/// Kubernetes finds no tag at all in a name it cannot parse.
fn is_reference(name: &str) -> bool {
    const LENGTH_MAX: usize = 255;
    if name.len() > LENGTH_MAX {
        return false;
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    let first = parts[0];
    let is_domain =
        parts.len() > 1 && (first.contains(['.', ':']) || first == "localhost" || first != first.to_lowercase());
    if is_domain {
        parts.remove(0);
    }
    let last = parts.len() - 1;
    parts.iter().enumerate().all(|(at, part)| {
        let part = if at == last { part.split(':').next().unwrap_or_default() } else { part };
        let ends = part.starts_with(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit())
            && part.ends_with(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        ends && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
    })
}

/// A volume without a source is an empty directory.
pub(super) fn volume(volume: &mut Struct) {
    if volume.iter().all(|(field, _)| field.name == "name") {
        set_source(volume, "emptyDir");
    }
}

fn set_source(volume: &mut Struct, name: &str) {
    let def = volume.def().field(name).and_then(|field| field.struct_ref()).cloned();
    if let Some(def) = def {
        volume.set(name, Struct::new(&def));
    }
}

pub(super) fn pod(pod: &mut Struct) {
    drop_old_annotations(pod);
    let grace = pod.get_mut("spec").and_then(|spec| spec.child_mut("terminationGracePeriodSeconds"));
    if let Some(seconds) = grace.filter(|seconds| seconds.as_i64().is_some_and(|seconds| seconds < 0)) {
        *seconds = Value::from(1i64);
    }
    for list in ["containers", "initContainers"] {
        each(pod, &["spec", list]).for_each(requests_from_limits);
    }
    if is_set(pod, &["spec", "resources"]) {
        pod_level_resources(pod);
    }
    let host_network = pod.get("spec").and_then(|spec| spec.child("hostNetwork")).and_then(Value::as_bool);
    if host_network == Some(true) {
        for list in ["containers", "initContainers"] {
            each(pod, &["spec", list]).for_each(host_ports);
        }
    }
}

pub(super) const OLD_ANNOTATIONS: [&str; 4] = [
    "pod.beta.kubernetes.io/init-containers",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-container-statuses",
];

/// What init containers were before they were fields is not passed on.
fn drop_old_annotations(pod: &mut Struct) {
    let annotations = pod.get_mut("metadata").and_then(|metadata| metadata.child_mut("annotations"));
    if let Some(annotations) = annotations.and_then(Value::as_map_mut) {
        OLD_ANNOTATIONS.iter().for_each(|key| drop(annotations.remove(key)));
    }
}

fn requests_from_limits(container: &mut Struct) {
    let Some(resources) = container.get_mut("resources").and_then(Value::as_struct_mut) else { return };
    let Some(limits) = resources.get("limits").and_then(Value::as_map).cloned() else { return };
    let requests = resources.get("requests").and_then(Value::as_map).cloned();
    let had_requests = requests.is_some();
    let mut requests = requests.unwrap_or_default();
    for (name, value) in limits.iter() {
        if !requests.contains_key(name) {
            requests.insert(name, value.clone());
        }
    }
    if had_requests || !requests.is_empty() {
        resources.set("requests", requests);
    }
}

fn host_ports(container: &mut Struct) {
    for port in each(container, &["ports"]) {
        let host_port = port.get("hostPort").and_then(Value::as_i64).unwrap_or(0);
        if let (0, Some(number)) = (host_port, port.get("containerPort").cloned()) {
            port.set("hostPort", number);
        }
    }
}

/// Resources in the order in which they were met.
type Sums = Vec<(String, Quantity)>;

const SUPPORTED: [&str; 2] = ["cpu", "memory"];
const HUGE_PAGES: &str = "hugepages-";

fn is_supported(resource: &str) -> bool {
    SUPPORTED.contains(&resource) || resource.starts_with(HUGE_PAGES)
}

/// Limits of huge pages, and requests, follow the containers' sums where the pod names resources of its own.
fn pod_level_resources(pod: &mut Struct) {
    let list = |pod: &Struct, name: &str| {
        let spec = pod.get("spec");
        spec.and_then(|spec| spec.at(&["resources", name])).and_then(Value::as_map).cloned().unwrap_or_default()
    };
    let (mut limits, mut requests) = (list(pod, "limits"), list(pod, "requests"));
    if limits.is_empty() && requests.is_empty() {
        return;
    }
    for (name, sum) in aggregate(pod, "limits").iter() {
        if name.starts_with(HUGE_PAGES) && !requests.contains_key(name) && !limits.contains_key(name) {
            limits.insert(name, sum.clone());
        }
    }
    if limits.is_empty() {
        return;
    }
    for (name, sum) in aggregate(pod, "requests").iter() {
        if SUPPORTED.contains(&name) && !requests.contains_key(name) {
            requests.insert(name, sum.clone());
        }
    }
    for (name, limit) in limits.iter() {
        if is_supported(name) && !requests.contains_key(name) {
            requests.insert(name, limit.clone());
        }
    }
    set_in_struct(pod, &["spec", "resources", "limits"], limits.into());
    if !requests.is_empty() {
        set_in_struct(pod, &["spec", "resources", "requests"], requests.into());
    }
}

/// What all containers together take: the sum of those that run, or the largest that an init container needs beside
/// the restartable ones before it. `which` is "limits" or "requests".
pub fn container_sums(spec: &Struct, which: &str) -> Vec<(String, Quantity)> {
    let containers = |list: &str| {
        let items = spec.get(list).and_then(Value::as_list).unwrap_or_default();
        items.iter().filter_map(Value::as_struct)
    };
    let mut running: Sums = Vec::new();
    for container in containers("containers") {
        combine(&mut running, container, which, |sum, value| sum.plus(&value));
    }
    let (mut sidecars, mut init): (Sums, Sums) = (Vec::new(), Vec::new());
    for container in containers("initContainers") {
        if text(container, &["restartPolicy"]) == "Always" {
            combine(&mut running, container, which, |sum, value| sum.plus(&value));
            combine(&mut sidecars, container, which, |sum, value| sum.plus(&value));
            merge_max(&mut init, &sidecars);
        } else {
            let mut needed = sidecars.clone();
            combine(&mut needed, container, which, |sum, value| sum.plus(&value));
            merge_max(&mut init, &needed);
        }
    }
    merge_max(&mut running, &init);
    running
}

fn aggregate(pod: &Struct, which: &str) -> MapValue {
    let spec = pod.get("spec").and_then(Value::as_struct);
    let sums = spec.map_or_else(Vec::new, |spec| container_sums(spec, which));
    let entries = sums.into_iter().map(|(name, sum)| (name.into(), Value::from(sum.canonical()))).collect();
    MapValue::from_entries(entries)
}

fn combine(sums: &mut Sums, container: &Struct, which: &str, add: impl Fn(Quantity, Quantity) -> Quantity) {
    let resources = container.get("resources").and_then(|resources| resources.at(&[which])).and_then(Value::as_map);
    for (name, value) in resources.into_iter().flat_map(MapValue::iter) {
        let Some(value) = value.as_str().and_then(|text| Quantity::parse(text).ok()) else { continue };
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum = add(*sum, value),
            None => sums.push((name.to_owned(), value)),
        }
    }
}

fn merge_max(target: &mut Sums, other: &[(String, Quantity)]) {
    for (name, value) in other {
        match target.iter_mut().find(|(known, _)| known == name) {
            Some((_, largest)) if *value > *largest => *largest = *value,
            Some(_) => {}
            None => target.push((name.clone(), *value)),
        }
    }
}
