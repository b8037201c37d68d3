//! How the metadata of a new object is validated, by the row of its resource, and what its client is warned of.

use super::{names, names::NameRule};
use crate::{api::schema::Object, request::status::FieldError};

/// Whose rules validate the metadata of a kind, beside the generic ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Metadata {
    Unchecked,
    /// The API machinery's.
    ByMachinery,
    /// Those, and the names of finalizers.
    WithFinalizers,
}

pub(super) struct Kind {
    group: &'static str,
    /// "" stands for all of the group.
    plural: &'static str,
    /// The form of names.
    pub(super) name: NameRule,
    pub(super) metadata: Metadata,
    /// Whether the form of a generateName is validated too.
    pub(super) validates_prefix: bool,
}

const PLAIN: Kind = Kind {
    group: "",
    plural: "",
    name: names::subdomain_name,
    metadata: Metadata::WithFinalizers,
    validates_prefix: true,
};

static ANY: Kind = PLAIN;

const fn named(group: &'static str, plural: &'static str, name: NameRule) -> Kind {
    Kind { group, plural, name, ..PLAIN }
}

const fn validated_by(group: &'static str, plural: &'static str, metadata: Metadata) -> Kind {
    Kind { group, plural, metadata, ..PLAIN }
}

/// The rows that differ from most.
static KINDS: &[Kind] = &[
    validated_by("", "events", Metadata::Unchecked),
    named("", "namespaces", names::label_name),
    Kind { validates_prefix: false, ..named("", "replicationcontrollers", names::subdomain_name) },
    named("", "services", names::label_1035_name),
    validated_by("admissionregistration.k8s.io", "", Metadata::ByMachinery),
    Kind { metadata: Metadata::ByMachinery, ..named("apiregistration.k8s.io", "", names::path_segment_name) },
    validated_by("apiextensions.k8s.io", "", Metadata::ByMachinery),
    named("apps", "statefulsets", names::label_name),
    named("certificates.k8s.io", "certificatesigningrequests", names::any_name),
    validated_by("coordination.k8s.io", "", Metadata::ByMachinery),
    named("networking.k8s.io", "ipaddresses", super::rules::address_name),
    validated_by("policy", "poddisruptionbudgets", Metadata::Unchecked),
    named("rbac.authorization.k8s.io", "", names::path_segment_name),
    Kind { validates_prefix: false, ..named("resource.k8s.io", "deviceclasses", names::subdomain_name) },
];

pub(super) fn find((group, plural): (&str, &str)) -> &'static Kind {
    KINDS
        .iter()
        .find(|kind| {
            kind.group == group && matches!(kind.plural, p if p == plural || (p.is_empty() && !group.is_empty()))
        })
        .unwrap_or(&ANY)
}

/// Finalizers of built-in kinds must be qualified, or one of the few that are old.
pub(super) fn finalizers(object: &Object) -> Vec<FieldError> {
    let known = ["kubernetes", "orphan", "foregroundDeletion"];
    let odd = object.finalizers().enumerate().filter(|(_, f)| !f.contains('/') && !known.contains(f));
    odd.map(|(at, finalizer)| {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        FieldError::invalid(format!("metadata.finalizers[{at}]"), finalizer, detail)
    })
    .collect()
}
