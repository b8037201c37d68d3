//! Which stored messages the functions of rules would leave as they are, told from the bytes.

use super::pods::OLD_ANNOTATIONS;
use crate::api::schema::codec::Message;

/// Annotations of old are gone, and nothing depends on what the rules of containers do not see.
pub(super) fn pod(pod: &Message<'_>) -> bool {
    let metadata = pod.messages_of("metadata").all(|metadata| {
        metadata.is_some_and(|m| m.entries_of("annotations").all(|(key, _)| !OLD_ANNOTATIONS.contains(&key)))
    });
    let spec = |spec: Option<Message<'_>>| {
        spec.is_some_and(|spec| {
            spec.number("terminationGracePeriodSeconds").is_some_and(|seconds| seconds >= 0)
                && !spec.has(&["resources"])
                && spec.number("hostNetwork").unwrap_or(0) == 0
                && ["containers", "initContainers"].iter().all(|list| spec.messages_of(list).all(has_requests))
        })
    };
    metadata && pod.messages_of("spec").all(spec)
}

/// What has a limit has a request.
fn has_requests(container: Option<Message<'_>>) -> bool {
    let Some(container) = container else { return false };
    container.messages_of("resources").all(|resources| {
        resources.is_some_and(|resources| {
            let is_requested = |name: &str| resources.entries_of("requests").any(|(request, _)| request == name);
            resources.entries_of("limits").all(|(limit, _)| is_requested(limit))
        })
    })
}

pub(super) fn pod_spec(spec: &Message<'_>) -> bool {
    spec.text("serviceAccountName") == spec.text("serviceAccount")
}

pub(super) fn pod_status(status: &Message<'_>) -> bool {
    let first = status.messages_of("podIPs").next();
    let first = first.map(|ip| ip.map_or("", |ip| ip.text("ip"))).unwrap_or_default();
    status.text("podIP") == first
}

pub(super) fn container(container: &Message<'_>) -> bool {
    !container.text("imagePullPolicy").is_empty()
}

pub(super) fn image_volume(volume: &Message<'_>) -> bool {
    !volume.text("pullPolicy").is_empty()
}

/// One of its sources is there.
pub(super) fn volume(volume: &Message<'_>) -> bool {
    volume.def().fields.iter().any(|field| field.name != "name" && volume.has(&[&*field.name]))
}

pub(super) fn namespace(namespace: &Message<'_>) -> bool {
    namespace.messages_of("metadata").all(|metadata| {
        metadata.is_some_and(|metadata| {
            let name = metadata.text("name");
            let is_label = |(key, value): (&str, Option<&[u8]>)| {
                key == "kubernetes.io/metadata.name" && value == Some(name.as_bytes())
            };
            name.is_empty() || metadata.entries_of("labels").any(is_label)
        })
    })
}

pub(super) fn node_status(status: &Message<'_>) -> bool {
    status.has(&["allocatable"]) || !status.has(&["capacity"])
}

pub(super) fn node_spec(spec: &Message<'_>) -> bool {
    spec.text("podCIDR").is_empty() && !spec.has(&["podCIDRs"])
}

pub(super) fn secret(secret: &Message<'_>) -> bool {
    !secret.has(&["stringData"])
}
