//! The rows.

use super::{
    Default,
    Default::{Empty, Number, Text, Texts, Truth},
    Rule, autoscaling, pods, services, untouched, workloads,
};

type Values = &'static [(&'static [&'static str], Default)];

const fn rule(at: &'static str, values: Values) -> Rule {
    Rule { at, values, function: None, is_settled: None }
}

const fn with(at: &'static str, function: fn(&mut super::Struct), values: Values) -> Rule {
    Rule { at, values, function: Some(function), is_settled: None }
}

const RBAC: &str = "rbac.authorization.k8s.io";
/// 0644
const FILE_MODE: Default = Number(420);

pub(super) static RULES: &[Rule] = &[
    // core
    with("core.v1.Pod", pods::pod, &[(&["spec", "enableServiceLinks"], Truth(true))]).settled_if(untouched::pod),
    with(
        "core.v1.PodSpec",
        pods::service_account,
        &[
            (&["dnsPolicy"], Text("ClusterFirst")),
            (&["restartPolicy"], Text("Always")),
            (&["securityContext"], Empty),
            (&["terminationGracePeriodSeconds"], Number(30)),
            (&["schedulerName"], Text("default-scheduler")),
        ],
    )
    .settled_if(untouched::pod_spec),
    with("core.v1.Container", pods::container, CONTAINER).settled_if(untouched::container),
    with("core.v1.EphemeralContainer", pods::container, CONTAINER).settled_if(untouched::container),
    with("core.v1.Volume", pods::volume, &[]).settled_if(untouched::volume),
    with("core.v1.ImageVolumeSource", pods::image_volume, &[]).settled_if(untouched::image_volume),
    rule("core.v1.ContainerPort", &[(&["protocol"], Text("TCP"))]),
    rule(
        "core.v1.Probe",
        &[
            (&["timeoutSeconds"], Number(1)),
            (&["periodSeconds"], Number(10)),
            (&["successThreshold"], Number(1)),
            (&["failureThreshold"], Number(3)),
        ],
    ),
    rule("core.v1.HTTPGetAction", &[(&["path"], Text("/")), (&["scheme"], Text("HTTP"))]),
    rule("core.v1.GRPCAction", &[(&["service"], Text(""))]),
    rule("core.v1.FileKeySelector", &[(&["optional"], Truth(false))]),
    rule("core.v1.ObjectFieldSelector", &[(&["apiVersion"], Text("v1"))]),
    rule("core.v1.SecretVolumeSource", &[(&["defaultMode"], FILE_MODE)]),
    rule("core.v1.ConfigMapVolumeSource", &[(&["defaultMode"], FILE_MODE)]),
    rule("core.v1.DownwardAPIVolumeSource", &[(&["defaultMode"], FILE_MODE)]),
    rule("core.v1.ProjectedVolumeSource", &[(&["defaultMode"], FILE_MODE)]),
    rule("core.v1.ServiceAccountTokenProjection", &[(&["expirationSeconds"], Number(3600))]),
    rule("core.v1.HostPathVolumeSource", &[(&["type"], Text(""))]),
    rule("core.v1.ISCSIVolumeSource", &[(&["iscsiInterface"], Text("default"))]),
    rule("core.v1.ISCSIPersistentVolumeSource", &[(&["iscsiInterface"], Text("default"))]),
    rule("core.v1.RBDVolumeSource", RBD),
    rule("core.v1.RBDPersistentVolumeSource", RBD),
    rule("core.v1.ScaleIOVolumeSource", SCALE_IO),
    rule("core.v1.ScaleIOPersistentVolumeSource", SCALE_IO),
    rule(
        "core.v1.AzureDiskVolumeSource",
        &[
            (&["cachingMode"], Text("ReadWrite")),
            (&["fsType"], Text("ext4")),
            (&["readOnly"], Truth(false)),
            (&["kind"], Text("Shared")),
        ],
    ),
    with("core.v1.Service", services::service, &[]),
    rule("core.v1.EndpointPort", &[(&["protocol"], Text("TCP"))]),
    with("core.v1.Namespace", services::namespace, &[(&["status", "phase"], Text("Active"))])
        .settled_if(untouched::namespace),
    with("core.v1.NodeStatus", services::node_status, &[]).settled_if(untouched::node_status),
    with("core.v1.LimitRangeItem", services::limit_range_item, &[]),
    with("core.v1.PodStatus", pods::addresses, &[]).settled_if(untouched::pod_status),
    with("core.v1.NodeSpec", services::node_cidrs, &[]).settled_if(untouched::node_spec),
    with("core.v1.Secret", services::secret, &[(&["type"], Text("Opaque"))]).settled_if(untouched::secret),
    rule(
        "core.v1.PersistentVolume",
        &[
            (&["status", "phase"], Text("Pending")),
            (&["spec", "persistentVolumeReclaimPolicy"], Text("Retain")),
            (&["spec", "volumeMode"], Text("Filesystem")),
        ],
    ),
    rule("core.v1.PersistentVolumeClaim", &[(&["status", "phase"], Text("Pending"))]),
    rule("core.v1.PersistentVolumeClaimSpec", &[(&["volumeMode"], Text("Filesystem"))]),
    with("core.v1.ReplicationController", workloads::replication_controller, &[(&["spec", "replicas"], Number(1))]),
    // apps
    with(
        "apps.v1.Deployment",
        workloads::deployment,
        &[
            (&["spec", "replicas"], Number(1)),
            (&["spec", "revisionHistoryLimit"], Number(10)),
            (&["spec", "progressDeadlineSeconds"], Number(600)),
        ],
    ),
    with("apps.v1.DaemonSet", workloads::daemon_set, &[(&["spec", "revisionHistoryLimit"], Number(10))]),
    with(
        "apps.v1.StatefulSet",
        workloads::stateful_set,
        &[
            (&["spec", "podManagementPolicy"], Text("OrderedReady")),
            (&["spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"], Text("Retain")),
            (&["spec", "persistentVolumeClaimRetentionPolicy", "whenScaled"], Text("Retain")),
            (&["spec", "replicas"], Number(1)),
            (&["spec", "revisionHistoryLimit"], Number(10)),
        ],
    ),
    rule("apps.v1.ReplicaSet", &[(&["spec", "replicas"], Number(1))]),
    // batch
    with(
        "batch.v1.Job",
        workloads::job,
        &[
            (&["spec", "parallelism"], Number(1)),
            (&["spec", "completionMode"], Text("NonIndexed")),
            (&["spec", "suspend"], Truth(false)),
            (&["spec", "manualSelector"], Truth(false)),
        ],
    ),
    rule(
        "batch.v1.CronJob",
        &[
            (&["spec", "concurrencyPolicy"], Text("Allow")),
            (&["spec", "suspend"], Truth(false)),
            (&["spec", "successfulJobsHistoryLimit"], Number(3)),
            (&["spec", "failedJobsHistoryLimit"], Number(1)),
        ],
    ),
    rule("batch.v1.PodFailurePolicyOnPodConditionsPattern", &[(&["status"], Text("True"))]),
    // autoscaling
    with("autoscaling.v1.HorizontalPodAutoscaler", autoscaling::older, &[(&["spec", "minReplicas"], Number(1))]),
    with("autoscaling.v2.HorizontalPodAutoscaler", autoscaling::autoscaler, &[(&["spec", "minReplicas"], Number(1))]),
    // networking and discovery
    rule("networking.v1.NetworkPolicyPort", &[(&["protocol"], Text("TCP"))]),
    with("networking.v1.NetworkPolicy", services::network_policy, &[]),
    rule("networking.v1.IngressClassParametersReference", &[(&["scope"], Text("Cluster"))]),
    rule("discovery.v1.EndpointPort", &[(&["name"], Text("")), (&["protocol"], Text("TCP"))]),
    // rbac
    rule("rbac.v1.RoleBinding", &[(&["roleRef", "apiGroup"], Text(RBAC))]),
    rule("rbac.v1.ClusterRoleBinding", &[(&["roleRef", "apiGroup"], Text(RBAC))]),
    with("rbac.v1.Subject", services::subject, &[]),
    // storage and scheduling
    rule(
        "storage.v1.StorageClass",
        &[(&["reclaimPolicy"], Text("Delete")), (&["volumeBindingMode"], Text("Immediate"))],
    ),
    rule(
        "storage.v1.CSIDriver",
        &[
            (&["spec", "attachRequired"], Truth(true)),
            (&["spec", "podInfoOnMount"], Truth(false)),
            (&["spec", "storageCapacity"], Truth(false)),
            (&["spec", "fsGroupPolicy"], Text("ReadWriteOnceWithFSType")),
            (&["spec", "volumeLifecycleModes"], Texts(&["Persistent"])),
            (&["spec", "requiresRepublish"], Truth(false)),
            (&["spec", "seLinuxMount"], Truth(false)),
        ],
    ),
    rule("scheduling.v1.PriorityClass", &[(&["preemptionPolicy"], Text("PreemptLowerPriority"))]),
    // admissionregistration
    rule("admissionregistration.v1.ValidatingWebhook", WEBHOOK),
    rule("admissionregistration.v1.MutatingWebhook", WEBHOOK),
    rule("admissionregistration.v1.MutatingWebhook", &[(&["reinvocationPolicy"], Text("Never"))]),
    rule("admissionregistration.v1.Rule", &[(&["scope"], Text("*"))]),
    rule("admissionregistration.v1.RuleWithOperations", &[(&["scope"], Text("*"))]),
    rule("admissionregistration.v1.NamedRuleWithOperations", &[(&["scope"], Text("*"))]),
    rule("admissionregistration.v1.ServiceReference", &[(&["port"], Number(443))]),
    rule("admissionregistration.v1.ValidatingAdmissionPolicySpec", &[(&["failurePolicy"], Text("Fail"))]),
    rule(
        "admissionregistration.v1.MatchResources",
        &[(&["matchPolicy"], Text("Equivalent")), (&["namespaceSelector"], Empty), (&["objectSelector"], Empty)],
    ),
    // flowcontrol
    rule("flowcontrol.v1.FlowSchemaSpec", &[(&["matchingPrecedence"], Number(1000))]),
    rule(
        "flowcontrol.v1.ExemptPriorityLevelConfiguration",
        &[(&["nominalConcurrencyShares"], Number(0)), (&["lendablePercent"], Number(0))],
    ),
    rule(
        "flowcontrol.v1.LimitedPriorityLevelConfiguration",
        &[(&["nominalConcurrencyShares"], Number(30)), (&["lendablePercent"], Number(0))],
    ),
    rule(
        "flowcontrol.v1.QueuingConfiguration",
        &[(&["handSize"], Number(8)), (&["queues"], Number(64)), (&["queueLengthLimit"], Number(50))],
    ),
    // resource and authentication
    with("resource.v1.ExactDeviceRequest", services::device_request, &[]),
    with("resource.v1.DeviceSubRequest", services::device_request, &[]),
    rule("resource.v1.DeviceToleration", &[(&["operator"], Text("Equal"))]),
    rule("authentication.v1.TokenRequestSpec", &[(&["expirationSeconds"], Number(3600))]),
    // apiextensions and apiregistration
    with(
        "apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        services::custom_resource_definition,
        &[],
    ),
    rule("apiextensions_apiserver.pkg.apis.apiextensions.v1.ServiceReference", &[(&["port"], Number(443))]),
    rule("kube_aggregator.pkg.apis.apiregistration.v1.ServiceReference", &[(&["port"], Number(443))]),
];

const CONTAINER: Values =
    &[(&["terminationMessagePath"], Text("/dev/termination-log")), (&["terminationMessagePolicy"], Text("File"))];

const RBD: Values = &[(&["pool"], Text("rbd")), (&["user"], Text("admin")), (&["keyring"], Text("/etc/ceph/keyring"))];

const SCALE_IO: Values = &[(&["storageMode"], Text("ThinProvisioned")), (&["fsType"], Text("xfs"))];

const WEBHOOK: Values = &[
    (&["failurePolicy"], Text("Fail")),
    (&["matchPolicy"], Text("Equivalent")),
    (&["namespaceSelector"], Empty),
    (&["objectSelector"], Empty),
    (&["timeoutSeconds"], Number(10)),
];
