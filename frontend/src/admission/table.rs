//! The plugins of Kubernetes 1.35, in the order in which they run.

use std::sync::Arc;

use super::{
    Made,
    Operation::{self, Connect, Create, Delete, Update},
    Parts, Plugin, plugins as p, policy, webhook,
};

/// One plugin: what it is called and asked about, and how it is made.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Whether it runs when an operator says nothing about it.
    pub(super) by_default: bool,
    pub(super) operations: &'static [Operation],
    pub(super) make: fn(&Parts<'_>) -> Made,
}

const fn on(name: &'static str, operations: &'static [Operation], make: fn(&Parts<'_>) -> Made) -> Row {
    Row { name, by_default: true, operations, make }
}

const fn off(name: &'static str, operations: &'static [Operation], make: fn(&Parts<'_>) -> Made) -> Row {
    Row { name, by_default: false, operations, make }
}

/// A plugin that needs nothing but the cluster.
fn plain<P: Plugin + Default + 'static>(_: &Parts<'_>) -> Made {
    Ok(Arc::new(P::default()))
}

const EVERYTHING: &[Operation] = &[Create, Update, Delete, Connect];
const WRITES: &[Operation] = &[Create, Update];
const CHANGES: &[Operation] = &[Create, Update, Delete];

pub(super) static ROWS: &[Row] = &[
    off("AlwaysAdmit", EVERYTHING, plain::<p::always::AlwaysAdmit>),
    off("NamespaceAutoProvision", &[Create], plain::<p::namespace_auto_provision::NamespaceAutoProvision>),
    on("NamespaceLifecycle", CHANGES, plain::<p::namespace_lifecycle::NamespaceLifecycle>),
    off("NamespaceExists", CHANGES, plain::<p::namespace_exists::NamespaceExists>),
    off("LimitPodHardAntiAffinityTopology", WRITES, plain::<p::anti_affinity::LimitPodHardAntiAffinityTopology>),
    on("LimitRanger", WRITES, plain::<p::limit_ranger::LimitRanger>),
    on("ServiceAccount", WRITES, plain::<p::service_account::ServiceAccount>),
    off("NodeRestriction", CHANGES, p::node_restriction::make),
    on("TaintNodesByCondition", &[Create], plain::<p::taints::TaintNodesByCondition>),
    off("AlwaysPullImages", WRITES, plain::<p::always_pull_images::AlwaysPullImages>),
    off("ImagePolicyWebhook", WRITES, p::image_policy::make),
    on("PodSecurity", WRITES, p::pod_security::make),
    off("PodNodeSelector", &[Create], p::pod_node_selector::make),
    on("Priority", WRITES, plain::<p::priority::Priority>),
    on("DefaultTolerationSeconds", WRITES, p::default_toleration_seconds::make),
    off("PodTolerationRestriction", WRITES, p::pod_tolerations::make),
    off("EventRateLimit", WRITES, p::event_rate_limit::make),
    off("ExtendedResourceToleration", WRITES, plain::<p::extended_resource_toleration::ExtendedResourceToleration>),
    on("DefaultStorageClass", &[Create], plain::<p::default_storage_class::DefaultStorageClass>),
    on("StorageObjectInUseProtection", &[Create], plain::<p::storage_protection::StorageObjectInUseProtection>),
    off("OwnerReferencesPermissionEnforcement", WRITES, p::owner_references::make),
    on("PersistentVolumeClaimResize", &[Update], plain::<p::claim_resize::PersistentVolumeClaimResize>),
    on("RuntimeClass", &[Create], plain::<p::runtime_class::RuntimeClass>),
    on("CertificateApproval", &[Update], p::certificates::make_approval),
    on("CertificateSigning", &[Update], p::certificates::make_signing),
    // The kind that it guards, ClusterTrustBundle, is not served by default.
    on("ClusterTrustBundleAttest", WRITES, plain::<p::always::AlwaysAdmit>),
    on("CertificateSubjectRestriction", &[Create], plain::<p::certificates::CertificateSubjectRestriction>),
    on("DefaultIngressClass", &[Create], plain::<p::default_ingress_class::DefaultIngressClass>),
    off("DenyServiceExternalIPs", WRITES, plain::<p::deny_external_ips::DenyServiceExternalIPs>),
    on("PodTopologyLabels", &[Create], plain::<p::pod_topology_labels::PodTopologyLabels>),
    on("MutatingAdmissionWebhook", EVERYTHING, webhook::make_mutating),
    on("ValidatingAdmissionPolicy", EVERYTHING, policy::make),
    on("ValidatingAdmissionWebhook", EVERYTHING, webhook::make_validating),
    on("ResourceQuota", WRITES, p::resource_quota::make),
    off("AlwaysDeny", EVERYTHING, plain::<p::always::AlwaysDeny>),
];

/// Known names that this server has no plugin for: their features are off in 1.35, or they are not built yet.
pub(super) const WITHOUT_PLUGIN: &[&str] = &["MutatingAdmissionPolicy", "NodeDeclaredFeatureValidator"];

/// Plugins of earlier versions, as old unit files still name them, and what took their place.
pub(super) const GONE: &[(&str, &str)] = &[
    ("DenyEscalatingExec", "the PodSecurity plugin keeps such pods from being made"),
    ("DenyExecOnPrivileged", "the PodSecurity plugin keeps such pods from being made"),
    ("GenericAdmissionWebhook", "use ValidatingAdmissionWebhook"),
    ("InitialResources", "use LimitRanger for default requests"),
    ("Initializers", "use MutatingAdmissionWebhook"),
    ("PersistentVolumeLabel", "cloud controller managers label volumes now"),
    ("PodPreset", "use a mutating admission webhook"),
    ("PodSecurityPolicy", "use PodSecurity and labels of namespaces"),
    ("SecurityContextDeny", "use PodSecurity and labels of namespaces"),
];
