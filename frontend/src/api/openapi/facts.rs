//! What the proto files do not say of types and documents tell: closed sets of values, defaults, structs that are taken
//! as a whole, unions. Rows of facts, by the names of struct and field.

use serde_json::{Value, json};

use crate::api::schema::StructDef;

type Fields = &'static [(&'static str, &'static str)];

/// The values that a field takes, in order; a list or map takes them for each entry.
pub(super) fn values(owner: &StructDef, field: &str) -> Option<&'static [&'static str]> {
    let row = VALUES.iter().find(|(fields, _)| fields.contains(&(owner.name.as_ref(), field)));
    row.map(|(_, values)| *values)
}

/// A default that is no zero value of the field's type, or one where zeros are not written.
pub(super) fn default(owner: &StructDef, field: &str) -> Option<Value> {
    let row = DEFAULTS.iter().find(|(fields, _)| fields.contains(&(owner.name.as_ref(), field)));
    row.and_then(|(_, json)| serde_json::from_str(json).ok())
}

/// Whether server-side apply owns the struct as one.
pub(super) fn is_atomic(owner: &StructDef) -> bool {
    ATOMIC.iter().any(|(package, names)| owner.package == *package && names.contains(&owner.name.as_ref()))
}

/// The unions of a struct, with the field that chooses.
pub(super) fn unions(owner: &StructDef) -> Option<Value> {
    let (discriminator, fields): (&str, &[(&str, &str)]) = match (owner.package.as_ref(), owner.name.as_ref()) {
        ("api.core.v1", "AppArmorProfile" | "SeccompProfile") => ("type", &[("localhostProfile", "LocalhostProfile")]),
        ("api.flowcontrol.v1", "LimitResponse") => ("type", &[("queuing", "Queuing")]),
        ("api.flowcontrol.v1", "PriorityLevelConfigurationSpec") => {
            ("type", &[("exempt", "Exempt"), ("limited", "Limited")])
        }
        ("api.flowcontrol.v1", "Subject") => {
            ("kind", &[("group", "Group"), ("serviceAccount", "ServiceAccount"), ("user", "User")])
        }
        _ => return None,
    };
    let fields: serde_json::Map<String, Value> =
        fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).into())).collect();
    Some(json!([{"discriminator": discriminator, "fields-to-discriminateBy": fields}]))
}

/// The signals of Linux that may end a container, by name.
pub(crate) const STOP_SIGNALS: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMAX-1",
    "SIGRTMAX-10",
    "SIGRTMAX-11",
    "SIGRTMAX-12",
    "SIGRTMAX-13",
    "SIGRTMAX-14",
    "SIGRTMAX-2",
    "SIGRTMAX-3",
    "SIGRTMAX-4",
    "SIGRTMAX-5",
    "SIGRTMAX-6",
    "SIGRTMAX-7",
    "SIGRTMAX-8",
    "SIGRTMAX-9",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

/// What a certificate may be used for.
pub(crate) const KEY_USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

const ATOMIC: &[(&str, &[&str])] = &[
    (
        "api.admissionregistration.v1",
        &["MatchResources", "NamedRuleWithOperations", "ParamKind", "ParamRef", "Variable"],
    ),
    ("api.autoscaling.v1", &["CrossVersionObjectReference"]),
    (
        "api.core.v1",
        &[
            "ConfigMapKeySelector",
            "EndpointAddress",
            "EndpointPort",
            "FileKeySelector",
            "LocalObjectReference",
            "NodeSelector",
            "NodeSelectorTerm",
            "ObjectFieldSelector",
            "ObjectReference",
            "ResourceFieldSelector",
            "ScopeSelector",
            "SecretKeySelector",
            "SecretReference",
            "TopologySelectorTerm",
            "TypedLocalObjectReference",
        ],
    ),
    ("api.discovery.v1", &["EndpointPort"]),
    ("api.networking.v1", &["ServiceBackendPort"]),
    ("api.rbac.v1", &["RoleRef", "Subject"]),
    ("apimachinery.pkg.apis.meta.v1", &["LabelSelector", "OwnerReference"]),
];

const DEFAULTS: &[(Fields, &str)] = &[
    (
        &[
            ("FlowSchemaSpec", "matchingPrecedence"),
            ("QueuingConfiguration", "handSize"),
            ("QueuingConfiguration", "queueLengthLimit"),
            ("QueuingConfiguration", "queues"),
            ("ReplicationControllerSpec", "minReadySeconds"),
            ("ScaleSpec", "replicas"),
            ("StatefulSetOrdinals", "start"),
            ("StatefulSetStatus", "availableReplicas"),
        ],
        "0",
    ),
    (&[("AzureDiskVolumeSource", "cachingMode")], r#""ReadWrite""#),
    (&[("AzureDiskVolumeSource", "fsType")], r#""ext4""#),
    (&[("AzureDiskVolumeSource", "kind")], r#""Shared""#),
    (&[("AzureDiskVolumeSource", "readOnly"), ("FileKeySelector", "optional")], "false"),
    (
        &[
            ("ConfigMapEnvSource", "name"),
            ("ConfigMapKeySelector", "name"),
            ("ConfigMapProjection", "name"),
            ("ConfigMapVolumeSource", "name"),
            ("Event", "reportingComponent"),
            ("Event", "reportingInstance"),
            ("GRPCAction", "service"),
            ("LocalObjectReference", "name"),
            ("NodeRuntimeHandler", "name"),
            ("PodFailurePolicyOnPodConditionsPattern", "status"),
            ("SecretEnvSource", "name"),
            ("SecretKeySelector", "name"),
            ("SecretProjection", "name"),
            ("StatefulSetSpec", "serviceName"),
        ],
        r#""""#,
    ),
    (&[("ContainerPort", "protocol"), ("ServicePort", "protocol")], r#""TCP""#),
    (&[("ISCSIPersistentVolumeSource", "iscsiInterface"), ("ISCSIVolumeSource", "iscsiInterface")], r#""default""#),
    (&[("RBDPersistentVolumeSource", "keyring"), ("RBDVolumeSource", "keyring")], r#""/etc/ceph/keyring""#),
    (&[("RBDPersistentVolumeSource", "pool"), ("RBDVolumeSource", "pool")], r#""rbd""#),
    (&[("RBDPersistentVolumeSource", "user"), ("RBDVolumeSource", "user")], r#""admin""#),
    (&[("ReplicationControllerSpec", "replicas")], "1"),
    (&[("ScaleIOPersistentVolumeSource", "fsType"), ("ScaleIOVolumeSource", "fsType")], r#""xfs""#),
    (
        &[("ScaleIOPersistentVolumeSource", "storageMode"), ("ScaleIOVolumeSource", "storageMode")],
        r#""ThinProvisioned""#,
    ),
    (&[("DeviceToleration", "operator")], r#""Equal""#),
];

const VALUES: &[(Fields, &[&str])] = &[
    (
        &[("MatchResources", "matchPolicy"), ("MutatingWebhook", "matchPolicy"), ("ValidatingWebhook", "matchPolicy")],
        &["Equivalent", "Exact"],
    ),
    (
        &[
            ("MutatingWebhook", "failurePolicy"),
            ("ValidatingAdmissionPolicySpec", "failurePolicy"),
            ("ValidatingWebhook", "failurePolicy"),
        ],
        &["Fail", "Ignore"],
    ),
    (&[("MutatingWebhook", "reinvocationPolicy")], &["IfNeeded", "Never"]),
    (
        &[("MutatingWebhook", "sideEffects"), ("ValidatingWebhook", "sideEffects")],
        &["None", "NoneOnDryRun", "Some", "Unknown"],
    ),
    (
        &[("NamedRuleWithOperations", "operations"), ("RuleWithOperations", "operations")],
        &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"],
    ),
    (&[("NamedRuleWithOperations", "scope"), ("RuleWithOperations", "scope")], &["*", "Cluster", "Namespaced"]),
    (&[("ValidatingAdmissionPolicyBindingSpec", "validationActions")], &["Audit", "Deny", "Warn"]),
    (&[("DaemonSetUpdateStrategy", "type"), ("StatefulSetUpdateStrategy", "type")], &["OnDelete", "RollingUpdate"]),
    (&[("DeploymentStrategy", "type")], &["Recreate", "RollingUpdate"]),
    (&[("StatefulSetSpec", "podManagementPolicy")], &["OrderedReady", "Parallel"]),
    (&[("CronJobSpec", "concurrencyPolicy")], &["Allow", "Forbid", "Replace"]),
    (&[("JobSpec", "completionMode")], &["Indexed", "NonIndexed"]),
    (&[("JobSpec", "podReplacementPolicy")], &["Failed", "TerminatingOrFailed"]),
    (&[("PodFailurePolicyOnExitCodesRequirement", "operator")], &["In", "NotIn"]),
    (&[("PodFailurePolicyRule", "action")], &["Count", "FailIndex", "FailJob", "Ignore"]),
    (&[("CertificateSigningRequestSpec", "usages")], KEY_USAGES),
    (&[("AppArmorProfile", "type"), ("SeccompProfile", "type")], &["Localhost", "RuntimeDefault", "Unconfined"]),
    (&[("AzureDiskVolumeSource", "cachingMode")], &["None", "ReadOnly", "ReadWrite"]),
    (&[("AzureDiskVolumeSource", "kind")], &["Dedicated", "Managed", "Shared"]),
    (
        &[
            ("Container", "imagePullPolicy"),
            ("EphemeralContainer", "imagePullPolicy"),
            ("ImageVolumeSource", "pullPolicy"),
        ],
        &["Always", "IfNotPresent", "Never"],
    ),
    (
        &[("Container", "terminationMessagePolicy"), ("EphemeralContainer", "terminationMessagePolicy")],
        &["FallbackToLogsOnError", "File"],
    ),
    (
        &[
            ("ContainerPort", "protocol"),
            ("EndpointPort", "protocol"),
            ("IngressPortStatus", "protocol"),
            ("NetworkPolicyPort", "protocol"),
            ("PortStatus", "protocol"),
            ("ServicePort", "protocol"),
        ],
        &["SCTP", "TCP", "UDP"],
    ),
    (&[("ContainerStatus", "stopSignal"), ("Lifecycle", "stopSignal")], STOP_SIGNALS),
    (&[("HTTPGetAction", "scheme")], &["HTTP", "HTTPS"]),
    (
        &[("HostPathVolumeSource", "type")],
        &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"],
    ),
    (&[("ModifyVolumeStatus", "status")], &["InProgress", "Infeasible", "Pending"]),
    (&[("NamespaceStatus", "phase")], &["Active", "Terminating"]),
    (&[("NodeSelectorRequirement", "operator")], &["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"]),
    (&[("NodeStatus", "phase")], &["Pending", "Running", "Terminated"]),
    (
        &[
            ("PersistentVolumeClaimSpec", "accessModes"),
            ("PersistentVolumeClaimStatus", "accessModes"),
            ("PersistentVolumeSpec", "accessModes"),
        ],
        &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"],
    ),
    (&[("PersistentVolumeClaimSpec", "volumeMode"), ("PersistentVolumeSpec", "volumeMode")], &["Block", "Filesystem"]),
    (
        &[("PersistentVolumeClaimStatus", "allocatedResourceStatuses")],
        &[
            "ControllerResizeInProgress",
            "ControllerResizeInfeasible",
            "NodeResizeInProgress",
            "NodeResizeInfeasible",
            "NodeResizePending",
        ],
    ),
    (&[("PersistentVolumeClaimStatus", "phase")], &["Bound", "Lost", "Pending"]),
    (
        &[("PersistentVolumeSpec", "persistentVolumeReclaimPolicy"), ("StorageClass", "reclaimPolicy")],
        &["Delete", "Recycle", "Retain"],
    ),
    (&[("PersistentVolumeStatus", "phase")], &["Available", "Bound", "Failed", "Pending", "Released"]),
    (&[("PodSecurityContext", "fsGroupChangePolicy")], &["Always", "OnRootMismatch"]),
    (&[("PodSecurityContext", "supplementalGroupsPolicy")], &["Merge", "Strict"]),
    (&[("PodSpec", "dnsPolicy")], &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    (&[("PodSpec", "preemptionPolicy"), ("PriorityClass", "preemptionPolicy")], &["Never", "PreemptLowerPriority"]),
    (&[("PodSpec", "restartPolicy")], &["Always", "Never", "OnFailure"]),
    (&[("PodStatus", "phase")], &["Failed", "Pending", "Running", "Succeeded", "Unknown"]),
    (&[("PodStatus", "qosClass")], &["BestEffort", "Burstable", "Guaranteed"]),
    (
        &[("ResourceQuotaSpec", "scopes"), ("ScopedResourceSelectorRequirement", "scopeName")],
        &[
            "BestEffort",
            "CrossNamespacePodAffinity",
            "NotBestEffort",
            "NotTerminating",
            "PriorityClass",
            "Terminating",
            "VolumeAttributesClass",
        ],
    ),
    (&[("ScopedResourceSelectorRequirement", "operator")], &["DoesNotExist", "Exists", "In", "NotIn"]),
    (&[("SecurityContext", "procMount")], &["Default", "Unmasked"]),
    (&[("ServiceSpec", "externalTrafficPolicy"), ("ServiceSpec", "internalTrafficPolicy")], &["Cluster", "Local"]),
    (&[("ServiceSpec", "ipFamilies")], &["", "IPv4", "IPv6"]),
    (&[("ServiceSpec", "ipFamilyPolicy")], &["PreferDualStack", "RequireDualStack", "SingleStack"]),
    (&[("ServiceSpec", "sessionAffinity")], &["ClientIP", "None"]),
    (&[("ServiceSpec", "type")], &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]),
    (&[("Taint", "effect"), ("Toleration", "effect")], &["NoExecute", "NoSchedule", "PreferNoSchedule"]),
    (&[("Toleration", "operator")], &["Equal", "Exists", "Gt", "Lt"]),
    (
        &[("TopologySpreadConstraint", "nodeAffinityPolicy"), ("TopologySpreadConstraint", "nodeTaintsPolicy")],
        &["Honor", "Ignore"],
    ),
    (&[("TopologySpreadConstraint", "whenUnsatisfiable")], &["DoNotSchedule", "ScheduleAnyway"]),
    (&[("VolumeMount", "mountPropagation")], &["Bidirectional", "HostToContainer", "None"]),
    (&[("EndpointSlice", "addressType")], &["FQDN", "IPv4", "IPv6"]),
    (&[("HTTPIngressPath", "pathType")], &["Exact", "ImplementationSpecific", "Prefix"]),
    (&[("NetworkPolicySpec", "policyTypes")], &["Egress", "Ingress"]),
    (&[("PodDisruptionBudgetSpec", "unhealthyPodEvictionPolicy")], &["AlwaysAllow", "IfHealthyBudget"]),
    (&[("DeviceAllocationConfiguration", "source")], &["FromClaim", "FromClass"]),
    (&[("DeviceSubRequest", "allocationMode"), ("ExactDeviceRequest", "allocationMode")], &["All", "ExactCount"]),
    (&[("DeviceTaint", "effect"), ("DeviceToleration", "effect")], &["NoExecute", "NoSchedule", "None"]),
    (&[("DeviceToleration", "operator")], &["Equal", "Exists"]),
    (&[("StorageClass", "volumeBindingMode")], &["Immediate", "WaitForFirstConsumer"]),
    (
        &[("ValidationRule", "reason")],
        &["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"],
    ),
];
