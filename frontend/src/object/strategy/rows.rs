//! The strategy of every resource, as rows: facts, and functions for what no fact can say.

use super::{
    accounts, certificates, claims, definitions, endpoints, limits, namespaces, pods, registrations, secrets,
    selectors, services, templates,
    writer::{Changed, New},
};
use crate::cluster::Target;

/// What is particular to one resource.
pub(super) struct Strategy {
    group: &'static str,
    plural: &'static str,
    pub(super) generation: Generation,
    pub(super) status: Status,
    /// Fields of metadata that the status endpoint leaves as they are.
    pub(super) status_keeps: &'static [&'static str],
    pub(super) created: Option<New>,
    pub(super) changed: Option<Changed>,
    /// Endpoints that change a part of the object.
    pub(super) parts: &'static [(&'static str, Changed)],
    /// Whether objects take what others may want too, as Services do.
    pub(super) claims: bool,
}

/// What moves an object's generation.
#[derive(Clone, Copy)]
pub(super) enum Generation {
    /// There is none.
    None,
    /// It starts with 1 and moves with these fields.
    With(&'static [&'static str]),
    /// It starts with nothing and moves with these fields.
    LaterWith(&'static [&'static str]),
    /// The same, and it moves even if what has changed is then dropped.
    WithDropped(&'static [&'static str]),
    /// It starts with 1 and moves with these fields, even if one becomes empty that was not there.
    WithExactly(&'static [&'static str]),
    /// It starts with 1 and moves with everything but metadata and status.
    WithAll,
}

/// Whose the status of an object is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// There is none, or it is written like everything else.
    Shared,
    /// The status endpoint's alone: dropped on create, kept on update.
    Apart,
    /// The status endpoint's, but a new object may bring one.
    ApartOnceMade,
}

const PLAIN: Strategy = Strategy {
    group: "",
    plural: "",
    generation: Generation::None,
    status: Status::Shared,
    status_keeps: &[],
    created: None,
    changed: None,
    parts: &[],
    claims: false,
};

const fn of(group: &'static str, plural: &'static str) -> Strategy {
    Strategy { group, plural, ..PLAIN }
}

/// A resource with a status endpoint.
const fn with_status(group: &'static str, plural: &'static str) -> Strategy {
    Strategy { status: Status::Apart, ..of(group, plural) }
}

/// A resource whose generation moves with its spec.
const fn counted(group: &'static str, plural: &'static str) -> Strategy {
    Strategy { generation: Generation::With(SPEC), ..of(group, plural) }
}

/// Both.
const fn reconciled(group: &'static str, plural: &'static str) -> Strategy {
    Strategy { status: Status::Apart, ..counted(group, plural) }
}

const SPEC: &[&str] = &["spec"];
/// What the API machinery resets in the metadata of a status update.
const RESET: &[&str] =
    &["deletionTimestamp", "generation", "selfLink", "labels", "annotations", "finalizers", "ownerReferences"];
/// All but managedFields and the resourceVersion that a client asks for.
const ALL: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
];

const APPS: &str = "apps";
const DEVICES: &str = "resource.k8s.io";
const FLOW: &str = "flowcontrol.apiserver.k8s.io";
const NETWORK: &str = "networking.k8s.io";
const REGISTRATION: &str = "admissionregistration.k8s.io";
const STORAGE: &str = "storage.k8s.io";

static ROWS: &[Strategy] = &[
    Strategy { created: Some(limits::name), ..of("", "limitranges") },
    Strategy {
        created: Some(namespaces::created),
        changed: Some(namespaces::changed),
        parts: &[("finalize", namespaces::finalized)],
        ..with_status("", "namespaces")
    },
    Strategy { status: Status::ApartOnceMade, ..of("", "nodes") },
    Strategy {
        created: Some(claims::claim_created),
        changed: Some(claims::claim_changed),
        ..with_status("", "persistentvolumeclaims")
    },
    Strategy {
        created: Some(claims::volume_created),
        parts: &[("status", claims::time_phase)],
        ..with_status("", "persistentvolumes")
    },
    Strategy {
        status_keeps: &["ownerReferences"],
        created: Some(pods::created),
        parts: &[
            ("ephemeralcontainers", pods::only_ephemeral_containers),
            ("resize", pods::only_resources),
            ("status", pods::status_changed),
        ],
        ..reconciled("", "pods")
    },
    Strategy { generation: Generation::With(&["template"]), ..of("", "podtemplates") },
    reconciled("", "replicationcontrollers"),
    with_status("", "resourcequotas"),
    Strategy { created: Some(secrets::created), changed: Some(secrets::changed), ..of("", "secrets") },
    Strategy { created: Some(accounts::created), changed: Some(accounts::changed), ..of("", "serviceaccounts") },
    Strategy { changed: Some(services::changed), claims: true, ..with_status("", "services") },
    counted(REGISTRATION, "mutatingadmissionpolicies"),
    counted(REGISTRATION, "mutatingadmissionpolicybindings"),
    Strategy {
        generation: Generation::WithExactly(&["webhooks"]),
        ..of(REGISTRATION, "mutatingwebhookconfigurations")
    },
    Strategy { status_keeps: RESET, ..reconciled(REGISTRATION, "validatingadmissionpolicies") },
    counted(REGISTRATION, "validatingadmissionpolicybindings"),
    Strategy {
        generation: Generation::WithExactly(&["webhooks"]),
        ..of(REGISTRATION, "validatingwebhookconfigurations")
    },
    Strategy {
        created: Some(definitions::first),
        changed: Some(definitions::counted),
        ..reconciled("apiextensions.k8s.io", "customresourcedefinitions")
    },
    Strategy {
        status_keeps: &["labels", "annotations", "finalizers", "ownerReferences"],
        created: Some(registrations::created),
        ..with_status("apiregistration.k8s.io", "apiservices")
    },
    Strategy {
        created: Some(templates::first),
        changed: Some(templates::counted),
        parts: &[("status", templates::kept)],
        ..reconciled(APPS, "daemonsets")
    },
    Strategy {
        generation: Generation::With(&["spec", "metadata.annotations"]),
        status_keeps: &["labels"],
        ..reconciled(APPS, "deployments")
    },
    reconciled(APPS, "replicasets"),
    reconciled(APPS, "statefulsets"),
    with_status("autoscaling", "horizontalpodautoscalers"),
    reconciled("batch", "cronjobs"),
    Strategy { created: Some(selectors::generate), ..reconciled("batch", "jobs") },
    Strategy {
        created: Some(certificates::created),
        changed: Some(certificates::changed),
        parts: &[("approval", certificates::approved), ("status", certificates::status_changed)],
        ..with_status("certificates.k8s.io", "certificatesigningrequests")
    },
    Strategy {
        generation: Generation::WithDropped(&["endpoints", "ports", "addressType", "metadata.labels"]),
        created: Some(endpoints::created),
        changed: Some(endpoints::changed),
        ..of("discovery.k8s.io", "endpointslices")
    },
    Strategy { status_keeps: ALL, ..reconciled(FLOW, "flowschemas") },
    Strategy { status_keeps: ALL, ..reconciled(FLOW, "prioritylevelconfigurations") },
    counted(NETWORK, "ingressclasses"),
    reconciled(NETWORK, "ingresses"),
    Strategy { generation: Generation::WithExactly(SPEC), ..of(NETWORK, "networkpolicies") },
    Strategy { status_keeps: RESET, ..of(NETWORK, "servicecidrs") },
    reconciled("policy", "poddisruptionbudgets"),
    counted(DEVICES, "deviceclasses"),
    Strategy {
        status_keeps: RESET,
        parts: &[("status", claims::drop_devices)],
        ..with_status(DEVICES, "resourceclaims")
    },
    Strategy { generation: Generation::WithDropped(SPEC), ..of(DEVICES, "resourceslices") },
    Strategy { generation: Generation::With(&[]), ..of("scheduling.k8s.io", "priorityclasses") },
    Strategy { generation: Generation::LaterWith(SPEC), ..of(STORAGE, "csidrivers") },
    Strategy { status_keeps: RESET, ..with_status(STORAGE, "volumeattachments") },
];

/// A resource without a row has no generation and no status.
static OTHER: Strategy = PLAIN;

/// Resources that were defined at run time.
static CUSTOM: Strategy = Strategy { generation: Generation::WithAll, ..PLAIN };
static CUSTOM_WITH_STATUS: Strategy =
    Strategy { generation: Generation::WithAll, status: Status::Apart, status_keeps: ALL, ..PLAIN };

pub(super) fn find(target: &Target) -> &'static Strategy {
    if target.resource.custom {
        return if target.resource.has_status() { &CUSTOM_WITH_STATUS } else { &CUSTOM };
    }
    ROWS.iter().find(|row| (row.group, row.plural) == target.row()).unwrap_or(&OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        assert!(ROWS.is_sorted_by(|a, b| (a.group, a.plural) < (b.group, b.plural)));
    }
}
