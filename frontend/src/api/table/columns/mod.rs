//! The columns of every built-in kind, and the choice among them.

mod apps;
mod autoscaling;
mod batch;
mod core;
mod network;
mod pod;
mod rbac;
mod storage;
mod system;

use super::column::{AGE, AGE_DATE, CREATED_AT, NAME, Printer, printer};
use crate::api::schema::Gvk;

/// For kinds without columns of their own.
static DEFAULT: Printer = Printer { null_when_empty: true, ..printer(&[NAME, CREATED_AT]) };
/// For custom resources that ask for no columns.
static CUSTOM: Printer = printer(&[NAME, AGE_DATE]);
static NAME_AGE: Printer = printer(&[NAME, AGE]);

/// The kind in which objects of this kind are printed, where it is another.
pub(super) fn printed_as(gvk: &Gvk) -> Option<Gvk> {
    match (gvk.group.as_ref(), gvk.version.as_ref(), gvk.kind.as_ref()) {
        ("events.k8s.io", _, "Event") => Some(Gvk::from_static("", "v1", "Event")),
        ("autoscaling", "v1", "HorizontalPodAutoscaler") => {
            Some(Gvk::from_static("autoscaling", "v2", "HorizontalPodAutoscaler"))
        }
        _ => None,
    }
}

/// The printer of a kind, whatever its version.
pub(super) fn printer_for(gvk: &Gvk, custom: bool) -> &'static Printer {
    if custom {
        return &CUSTOM;
    }
    match (gvk.group.as_ref(), gvk.kind.as_ref()) {
        ("", kind) => core_printer(kind),
        ("apps", "ControllerRevision") => &apps::CONTROLLER_REVISION,
        ("apps", "DaemonSet") => &apps::DAEMON_SET,
        ("apps", "Deployment") => &apps::DEPLOYMENT,
        ("apps", "ReplicaSet") => &apps::REPLICA_SET,
        ("apps", "StatefulSet") => &apps::STATEFUL_SET,
        ("autoscaling", "HorizontalPodAutoscaler") => &autoscaling::AUTOSCALER,
        ("autoscaling", "Scale") => &autoscaling::SCALE,
        ("batch", "CronJob") => &batch::CRON_JOB,
        ("batch", "Job") => &batch::JOB,
        ("policy", "PodDisruptionBudget") => &apps::DISRUPTION_BUDGET,
        ("scheduling.k8s.io", "PriorityClass") => &apps::PRIORITY_CLASS,
        ("node.k8s.io", "RuntimeClass") => &apps::RUNTIME_CLASS,
        ("coordination.k8s.io", "Lease") => &system::LEASE,
        ("discovery.k8s.io", "EndpointSlice") => &network::ENDPOINT_SLICE,
        ("events.k8s.io", "Event") => &core::EVENT,
        ("networking.k8s.io", "Ingress") => &network::INGRESS,
        ("networking.k8s.io", "IngressClass") => &network::INGRESS_CLASS,
        ("networking.k8s.io", "IPAddress") => &network::IP_ADDRESS,
        ("networking.k8s.io", "NetworkPolicy") => &network::NETWORK_POLICY,
        ("networking.k8s.io", "ServiceCIDR") => &network::SERVICE_CIDR,
        ("rbac.authorization.k8s.io", "RoleBinding") => &rbac::ROLE_BINDING,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => &rbac::CLUSTER_ROLE_BINDING,
        ("certificates.k8s.io", "CertificateSigningRequest") => &rbac::SIGNING_REQUEST,
        ("storage.k8s.io", "CSIDriver") => &storage::CSI_DRIVER,
        ("storage.k8s.io", "CSINode") => &storage::CSI_NODE,
        ("storage.k8s.io", "StorageClass") => &storage::STORAGE_CLASS,
        ("storage.k8s.io", "VolumeAttachment") => &storage::VOLUME_ATTACHMENT,
        ("storage.k8s.io", "VolumeAttributesClass") => &storage::VOLUME_ATTRIBUTES_CLASS,
        ("resource.k8s.io", "DeviceClass" | "ResourceClaimTemplate") => &NAME_AGE,
        ("resource.k8s.io", "ResourceClaim") => &storage::RESOURCE_CLAIM,
        ("resource.k8s.io", "ResourceSlice") => &storage::RESOURCE_SLICE,
        (group, kind) => system_printer(group, kind),
    }
}

fn core_printer(kind: &str) -> &'static Printer {
    match kind {
        "ComponentStatus" => &core::COMPONENT_STATUS,
        "ConfigMap" => &core::CONFIG_MAP,
        "Endpoints" => &network::ENDPOINTS,
        "Event" => &core::EVENT,
        "Namespace" => &core::NAMESPACE,
        "Node" => &core::NODE,
        "PersistentVolume" => &storage::PERSISTENT_VOLUME,
        "PersistentVolumeClaim" => &storage::PERSISTENT_VOLUME_CLAIM,
        "Pod" => &pod::POD,
        "PodTemplate" => &pod::POD_TEMPLATE,
        "ReplicationController" => &apps::REPLICATION_CONTROLLER,
        "ResourceQuota" => &core::RESOURCE_QUOTA,
        "Secret" => &core::SECRET,
        "Service" => &network::SERVICE,
        "ServiceAccount" => &NAME_AGE,
        _ => &DEFAULT,
    }
}

fn system_printer(group: &str, kind: &str) -> &'static Printer {
    match (group, kind) {
        ("apiregistration.k8s.io", "APIService") => &system::API_SERVICE,
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => &system::WEBHOOKS,
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => &system::WEBHOOKS,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => &system::ADMISSION_POLICY,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => &system::ADMISSION_POLICY_BINDING,
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => &system::FLOW_SCHEMA,
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => &system::PRIORITY_LEVEL,
        _ => &DEFAULT,
    }
}
