//! Whether defaults would change a stored message: what was stored by a server of this version has them all. Judged
//! from the bytes, without a tree. No is said wherever that cannot be told.

use super::{PLANS, pods::OLD_ANNOTATIONS};
use crate::api::schema::{
    codec::Message,
    plans::Plan,
    tables::{Kind, Presence, Shape},
};

/// True if defaults certainly change nothing.
pub fn is_settled(message: &Message<'_>) -> bool {
    let Some(plan) = PLANS.of(message.def()) else { return true };
    has_its_own(message, plan) && plan.visit.iter().all(|slot| is_settled_below(message, *slot))
}

fn has_its_own(message: &Message<'_>, plan: &Plan<super::Work>) -> bool {
    let rules = plan.work.rules.iter().all(|rule| {
        let function = match (rule.function, rule.is_settled) {
            (None, _) => true,
            (Some(_), Some(is_settled)) => is_settled(message),
            (Some(_), None) => false,
        };
        function && rule.values.iter().all(|(path, _)| message.has(path))
    });
    rules && plan.work.round.iter().all(|slot| message.entries(*slot).all(|(_, value)| !may_round(value)))
}

/// Only a fraction or a suffix below milli is rounded.
fn may_round(quantity: Option<&[u8]>) -> bool {
    quantity.is_none_or(|text| text.iter().any(|byte| b"nu.eE".contains(byte)))
}

fn is_settled_below(message: &Message<'_>, slot: usize) -> bool {
    let field = &message.def().fields[slot];
    let is_plain = field.shape == Shape::One && matches!(field.presence, Presence::Always | Presence::Omit);
    let mut given = message.messages(slot).peekable();
    if given.peek().is_none() {
        // A plain struct is there even when nothing was given for it.
        return !(is_plain && matches!(field.kind, Kind::Struct(_)));
    }
    given.all(|inner| inner.is_some_and(|inner| is_settled(&inner)))
}

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
