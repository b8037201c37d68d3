//! Pods, and the templates of pods.

use std::collections::BTreeSet;

use super::{
    super::{field_path::FieldPath, names},
    Said, addresses, each, inside, paths,
};
use crate::{api::schema::Struct, request::status::go_quote};

/// Labels of nodes that have other names by now.
const OLD_LABELS: &[(&str, &str)] = &[
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// Kinds of volumes that are not mounted any more.
const OLD_PLUGINS: &[(&str, &str)] = &[
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

const OLD_ANNOTATIONS: &[(&str, &str)] = &[
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];

const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
const APPARMOR: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";

pub(super) fn old_label(key: &str) -> Option<&'static str> {
    OLD_LABELS.iter().find(|(label, _)| *label == key).map(|(_, text)| *text)
}

/// One term of a node selector.
pub(super) fn term(term: &FieldPath<'_, '_>, said: &mut Said) {
    each(term, "matchExpressions", &mut |expression| {
        let key = expression.text("key");
        if let Some(text) = old_label(key) {
            said.at(expression, "key", format_args!("{key} is {text}"));
        }
    });
}

/// One term of a node selector that only prefers: nobody refused its values.
fn preferred_term(term: &FieldPath<'_, '_>, said: &mut Said) {
    each(term, "matchExpressions", &mut |expression| {
        let key = expression.text("key");
        if let Some(text) = old_label(key) {
            said.at(expression, "key", format_args!("{key} is {text}"));
        }
        for (at, value) in expression.texts("values").enumerate() {
            for why in names::label_value(value) {
                said.at(expression, &format!("values[{at}]"), format_args!("{value} is invalid, {why}"));
            }
        }
    });
}

/// Volumes of these kinds.
pub(super) fn old_plugins(path: &FieldPath<'_, '_>, known: &[&str], said: &mut Said) {
    for (shown, text) in OLD_PLUGINS.iter().filter(|(field, _)| known.contains(field)) {
        // In JSON this one field is all in small letters.
        let field = if *shown == "storageOS" { "storageos" } else { shown };
        if path.has(field) {
            said.at(path, shown, text);
        }
    }
}

/// What a claim's spec asks for, named by a field of another path.
pub(super) fn claimed_as(spec: &FieldPath<'_, '_>, named: &FieldPath<'_, '_>, shown: &str, said: &mut Said) {
    let Some(resources) = spec.child("resources") else { return };
    for amounts in ["requests", "limits"] {
        let mut of_it = Said::default();
        of_it.fraction(&FieldPath::root(resources), amounts, "storage", "");
        for text in of_it.0 {
            said.say(format!("{}{text}", named.to(&format!("{shown}.{amounts}[storage]"))));
        }
    }
}

pub(super) fn claimed(spec: &FieldPath<'_, '_>, shown: &str, said: &mut Said) {
    claimed_as(spec, spec, shown, said);
}

/// A pod, or a template of pods.
pub(super) fn pod(pod: &FieldPath<'_, '_>, _: Option<&Struct>, said: &mut Said) {
    inside(pod, &["spec"], &mut |spec| {
        placement(spec, said);
        annotations(pod, OLD_ANNOTATIONS, said);
        each(spec, "volumes", &mut |volume| volumes(volume, said));
        each(spec, "volumes", &mut |volume| paths::overlapping(volume, said));
        repeated(spec, "hostAliases", "ip", "duplicate ip", said);
        repeated(spec, "imagePullSecrets", "name", "duplicate name", said);
        each(spec, "imagePullSecrets", &mut |secret| {
            if secret.text("name").is_empty() {
                said.at(secret, "name", "invalid empty name \"\"");
            }
        });
        for resource in ["memory", "ephemeral-storage"] {
            said.fraction(spec, "overhead", resource, &format!("overhead[{resource}]"));
        }
        if spec.at(&["securityContext", "seccompProfile"]).is_none() {
            annotations(pod, &[("seccomp.security.alpha.kubernetes.io/pod", SECCOMP)], said);
        }
        containers(spec, &mut |container| of_container(pod, spec, container, said));
        ports(spec, said);
        port_names(spec, said);
        if spec.number("terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
            let text = "must be >= 0; negative values are invalid and will be treated as 1";
            said.at(spec, "terminationGracePeriodSeconds", text);
        }
        pod_affinity(spec, said);
        inside(spec, &["dnsConfig"], &mut |config| addresses::addresses(config, "nameservers", said));
        each(spec, "hostAliases", &mut |alias| addresses::address(alias, "ip", alias.text("ip"), said));
    });
}

fn annotations(pod: &FieldPath<'_, '_>, known: &[(&str, &str)], said: &mut Said) {
    for (key, text) in known.iter().filter(|(key, _)| pod.at(&["metadata", "annotations", key]).is_some()) {
        said.at(pod, &format!("metadata.annotations[{key}]"), text);
    }
}

fn containers<'t>(spec: &FieldPath<'_, 't>, then: &mut dyn FnMut(&FieldPath<'_, 't>)) {
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, field, then);
    }
}

fn placement(spec: &FieldPath<'_, '_>, said: &mut Said) {
    for (key, _) in spec.pairs("nodeSelector") {
        if let Some(text) = old_label(key) {
            said.at(spec, &format!("nodeSelector[{key}]"), text);
        }
    }
    inside(spec, &["affinity", "nodeAffinity"], &mut |affinity| {
        inside(affinity, &["requiredDuringSchedulingIgnoredDuringExecution"], &mut |required| {
            each(required, "nodeSelectorTerms", &mut |each| term(each, said));
        });
        each(affinity, "preferredDuringSchedulingIgnoredDuringExecution", &mut |preferred| {
            inside(preferred, &["preference"], &mut |each| preferred_term(each, said));
        });
    });
    each(spec, "topologySpreadConstraints", &mut |constraint| {
        let key = constraint.text("topologyKey");
        if let Some(text) = old_label(key) {
            said.at(constraint, "topologyKey", format_args!("{key} is {text}"));
        }
        if !constraint.has("labelSelector") {
            said.at(constraint, "labelSelector", NO_SELECTOR);
        }
    });
}

fn pod_affinity(spec: &FieldPath<'_, '_>, said: &mut Said) {
    let mut selecting = |term: &FieldPath<'_, '_>| {
        if !term.has("labelSelector") {
            said.at(term, "labelSelector", NO_SELECTOR);
        }
    };
    for affinity in ["podAffinity", "podAntiAffinity"] {
        inside(spec, &["affinity", affinity], &mut |affinity| {
            each(affinity, "requiredDuringSchedulingIgnoredDuringExecution", &mut selecting);
            each(affinity, "preferredDuringSchedulingIgnoredDuringExecution", &mut |weighted| {
                inside(weighted, &["podAffinityTerm"], &mut selecting);
            });
        });
    }
}

fn volumes(volume: &FieldPath<'_, '_>, said: &mut Said) {
    let known = OLD_PLUGINS.iter().map(|(field, _)| *field).collect::<Vec<_>>();
    old_plugins(volume, &known, said);
    inside(volume, &["ephemeral", "volumeClaimTemplate", "spec"], &mut |spec| claimed(spec, "resources", said));
}

/// Entries of a list that say the same again.
fn repeated(spec: &FieldPath<'_, '_>, list: &'static str, field: &str, text: &str, said: &mut Said) {
    let mut seen = BTreeSet::new();
    each(spec, list, &mut |entry| {
        let value = entry.text(field).to_owned();
        if seen.contains(&value) {
            said.at(entry, field, format_args!("{text} {}", go_quote(&value)));
        }
        seen.insert(value);
    });
}

fn of_container(pod: &FieldPath<'_, '_>, spec: &FieldPath<'_, '_>, container: &FieldPath<'_, '_>, said: &mut Said) {
    let name = container.text("name");
    if container.at(&["securityContext", "seccompProfile"]).is_none() {
        let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
        annotations(pod, &[(&key, SECCOMP)], said);
    }
    let armed = [spec, container].iter().any(|path| path.at(&["securityContext", "appArmorProfile"]).is_some());
    // A pod's own annotation becomes the field.
    if pod.up.is_some() && !armed {
        let key = format!("container.apparmor.security.beta.kubernetes.io/{name}");
        annotations(pod, &[(&key, APPARMOR)], said);
    }
    inside(container, &["resources"], &mut |resources| {
        for resource in ["memory", "ephemeral-storage"] {
            for amounts in ["limits", "requests"] {
                said.fraction(resources, amounts, resource, &format!("{amounts}[{resource}]"));
            }
        }
    });
    variables(container, said);
}

/// Variables that come again, and do not build on what they hide.
fn variables(container: &FieldPath<'_, '_>, said: &mut Said) {
    let mut seen = BTreeSet::new();
    each(container, "env", &mut |variable| {
        let name = variable.text("name").to_owned();
        let (value, reference) = (variable.text("value"), format!("$({name})"));
        let hides = variable.has("valueFrom") || value == reference || !value.contains(&reference);
        if seen.contains(&name) && hides {
            let text = "which may be dropped when using apply";
            said.at(variable, "", format_args!("hides previous definition of {}, {text}", go_quote(&name)));
        }
        seen.insert(name);
    });
}

struct Port<'t> {
    path: String,
    number: i64,
    protocol: &'t str,
    host_ip: &'t str,
    host_port: i64,
}

fn ports(spec: &FieldPath<'_, '_>, said: &mut Said) {
    let mut all: Vec<Port<'_>> = Vec::new();
    containers(spec, &mut |container| {
        each(container, "ports", &mut |path| {
            let port = Port {
                path: path.to_string(),
                number: path.number("containerPort").unwrap_or_default(),
                protocol: path.text("protocol"),
                host_ip: path.text("hostIP"),
                host_port: path.number("hostPort").unwrap_or_default(),
            };
            if !port.host_ip.is_empty() && port.host_port == 0 {
                let (name, number, protocol, address) = (path.text("name"), port.number, port.protocol, port.host_ip);
                let shown =
                    format!("{{Name:{name} HostPort:0 ContainerPort:{number} Protocol:{protocol} HostIP:{address}}}");
                said.at(path, "", format_args!("hostIP set without hostPort: {shown}"));
            }
            for other in all.iter().filter(|other| other.number == port.number && other.protocol == port.protocol) {
                if let Some(how) = clash(&port, other) {
                    said.at(path, "", format_args!("{how} port definition with {}", other.path));
                }
            }
            all.push(port);
        });
    });
}

fn port_names(spec: &FieldPath<'_, '_>, said: &mut Said) {
    let mut seen: Vec<(&str, String)> = Vec::new();
    containers(spec, &mut |container| {
        each(container, "ports", &mut |port| match port.text("name") {
            "" => {}
            name => match seen.iter().find(|(known, _)| *known == name) {
                Some((_, first)) => {
                    let name = go_quote(name);
                    let text = format_args!(
                        "duplicate port name {name} with {first}, services and probes that select ports by name will use {first}"
                    );
                    said.at(port, "", text);
                }
                None => seen.push((name, port.to_string())),
            },
        });
    });
}

fn clash(port: &Port<'_>, other: &Port<'_>) -> Option<&'static str> {
    let same_port = port.host_port == other.host_port;
    if same_port && port.host_ip == other.host_ip {
        Some("duplicate")
    } else if port.host_port == 0 || other.host_port == 0 {
        Some("overlapping")
    } else if same_port && port.host_ip.is_empty() != other.host_ip.is_empty() {
        Some("dangerously ambiguous")
    } else {
        None
    }
}
