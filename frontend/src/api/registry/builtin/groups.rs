//! The rows, group by group in the order in which discovery lists the groups (by the priority of their APIService).

use super::{
    super::row::{Resource, Verb::*},
    template::{Row, cluster, namespaced},
};

type Rows = fn() -> Vec<Row>;

/// Every built-in row.
pub(in crate::api::registry) fn all() -> Vec<Resource> {
    let groups: [(&'static str, &'static str, Rows); 22] = [
        ("", "v1", core_v1),
        ("apiregistration.k8s.io", "v1", apiregistration_v1),
        ("apps", "v1", apps_v1),
        ("events.k8s.io", "v1", events_v1),
        ("authentication.k8s.io", "v1", authentication_v1),
        ("authorization.k8s.io", "v1", authorization_v1),
        ("autoscaling", "v2", autoscaling_v2),
        ("autoscaling", "v1", autoscaling_v1),
        ("batch", "v1", batch_v1),
        ("certificates.k8s.io", "v1", certificates_v1),
        ("networking.k8s.io", "v1", networking_v1),
        ("policy", "v1", policy_v1),
        ("rbac.authorization.k8s.io", "v1", rbac_v1),
        ("storage.k8s.io", "v1", storage_v1),
        ("admissionregistration.k8s.io", "v1", admissionregistration_v1),
        ("apiextensions.k8s.io", "v1", apiextensions_v1),
        ("scheduling.k8s.io", "v1", scheduling_v1),
        ("coordination.k8s.io", "v1", coordination_v1),
        ("node.k8s.io", "v1", node_v1),
        ("discovery.k8s.io", "v1", discovery_v1),
        ("resource.k8s.io", "v1", resource_v1),
        ("flowcontrol.apiserver.k8s.io", "v1", flowcontrol_v1),
    ];
    groups
        .into_iter()
        .flat_map(|(group, version, rows)| rows().into_iter().map(move |r| r.build(group, version)))
        .collect()
}

fn core_v1() -> Vec<Row> {
    vec![
        namespaced("bindings", "Binding").create_only(),
        cluster("componentstatuses", "ComponentStatus").short(&["cs"]).verbs(&[Get, List]).unstored(),
        namespaced("configmaps", "ConfigMap").short(&["cm"]),
        namespaced("endpoints", "Endpoints").short(&["ep"]).prefix("/services/endpoints").put_creates(),
        namespaced("events", "Event").short(&["ev"]).leased().put_creates(),
        namespaced("limitranges", "LimitRange").short(&["limits"]).put_creates(),
        cluster("namespaces", "Namespace")
            .short(&["ns"])
            .verbs(&[Create, Delete, Get, List, Patch, Update, Watch])
            .sub("finalize", "Namespace", &[Update])
            .status(),
        cluster("nodes", "Node").short(&["no"]).prefix("/minions").proxy("NodeProxyOptions").status(),
        namespaced("persistentvolumeclaims", "PersistentVolumeClaim").short(&["pvc"]).status(),
        cluster("persistentvolumes", "PersistentVolume").short(&["pv"]).status(),
        namespaced("pods", "Pod")
            .short(&["po"])
            .category("all")
            .stream("attach", "PodAttachOptions")
            .sub("binding", "Binding", &[Create])
            .sub("ephemeralcontainers", "Pod", &[Get, Patch, Update])
            .sub_of("eviction", ("policy", "v1", "Eviction"), &[Create])
            .stream("exec", "PodExecOptions")
            .sub("log", "Pod", &[Get])
            .stream("portforward", "PodPortForwardOptions")
            .proxy("PodProxyOptions")
            .sub("resize", "Pod", &[Get, Patch, Update])
            .status(),
        namespaced("podtemplates", "PodTemplate"),
        namespaced("replicationcontrollers", "ReplicationController")
            .short(&["rc"])
            .category("all")
            .prefix("/controllers")
            .scale()
            .status(),
        namespaced("resourcequotas", "ResourceQuota").short(&["quota"]).status(),
        namespaced("secrets", "Secret"),
        namespaced("serviceaccounts", "ServiceAccount").short(&["sa"]).sub_of(
            "token",
            ("authentication.k8s.io", "v1", "TokenRequest"),
            &[Create],
        ),
        namespaced("services", "Service")
            .short(&["svc"])
            .category("all")
            .prefix("/services/specs")
            .put_creates()
            .proxy("ServiceProxyOptions")
            .status(),
    ]
}

fn apiregistration_v1() -> Vec<Row> {
    vec![
        cluster("apiservices", "APIService")
            .category("api-extensions")
            .prefix("/apiregistration.k8s.io/apiservices")
            .json()
            .put_needs_version()
            .status(),
    ]
}

fn apps_v1() -> Vec<Row> {
    vec![
        namespaced("controllerrevisions", "ControllerRevision"),
        namespaced("daemonsets", "DaemonSet").short(&["ds"]).category("all").status(),
        namespaced("deployments", "Deployment").short(&["deploy"]).category("all").scale().status(),
        namespaced("replicasets", "ReplicaSet").short(&["rs"]).category("all").scale().status(),
        namespaced("statefulsets", "StatefulSet").short(&["sts"]).category("all").scale().status(),
    ]
}

fn events_v1() -> Vec<Row> {
    vec![namespaced("events", "Event").short(&["ev"]).stored_as("", "v1").leased().put_creates()]
}

fn authentication_v1() -> Vec<Row> {
    vec![
        cluster("selfsubjectreviews", "SelfSubjectReview").create_only(),
        cluster("tokenreviews", "TokenReview").create_only(),
    ]
}

fn authorization_v1() -> Vec<Row> {
    vec![
        namespaced("localsubjectaccessreviews", "LocalSubjectAccessReview").create_only(),
        cluster("selfsubjectaccessreviews", "SelfSubjectAccessReview").create_only(),
        cluster("selfsubjectrulesreviews", "SelfSubjectRulesReview").create_only(),
        cluster("subjectaccessreviews", "SubjectAccessReview").create_only(),
    ]
}

fn autoscaling_v2() -> Vec<Row> {
    vec![namespaced("horizontalpodautoscalers", "HorizontalPodAutoscaler").short(&["hpa"]).category("all").status()]
}

fn autoscaling_v1() -> Vec<Row> {
    vec![
        namespaced("horizontalpodautoscalers", "HorizontalPodAutoscaler")
            .short(&["hpa"])
            .category("all")
            .stored_as("autoscaling", "v2")
            .status(),
    ]
}

fn batch_v1() -> Vec<Row> {
    vec![
        namespaced("cronjobs", "CronJob").short(&["cj"]).category("all").status(),
        namespaced("jobs", "Job").category("all").status(),
    ]
}

fn certificates_v1() -> Vec<Row> {
    vec![
        cluster("certificatesigningrequests", "CertificateSigningRequest")
            .short(&["csr"])
            .sub("approval", "CertificateSigningRequest", &[Get, Patch, Update])
            .status(),
    ]
}

fn networking_v1() -> Vec<Row> {
    vec![
        cluster("ingressclasses", "IngressClass"),
        namespaced("ingresses", "Ingress").short(&["ing"]).prefix("/ingress").status(),
        cluster("ipaddresses", "IPAddress").short(&["ip"]),
        namespaced("networkpolicies", "NetworkPolicy").short(&["netpol"]),
        cluster("servicecidrs", "ServiceCIDR").status(),
    ]
}

fn policy_v1() -> Vec<Row> {
    vec![namespaced("poddisruptionbudgets", "PodDisruptionBudget").short(&["pdb"]).put_needs_version().status()]
}

fn rbac_v1() -> Vec<Row> {
    vec![
        cluster("clusterrolebindings", "ClusterRoleBinding").put_creates(),
        cluster("clusterroles", "ClusterRole").put_creates(),
        namespaced("rolebindings", "RoleBinding").put_creates(),
        namespaced("roles", "Role").put_creates(),
    ]
}

fn storage_v1() -> Vec<Row> {
    vec![
        cluster("csidrivers", "CSIDriver").put_needs_version(),
        cluster("csinodes", "CSINode").put_needs_version(),
        namespaced("csistoragecapacities", "CSIStorageCapacity").put_needs_version(),
        cluster("storageclasses", "StorageClass").short(&["sc"]),
        cluster("volumeattachments", "VolumeAttachment").put_needs_version().status(),
        cluster("volumeattributesclasses", "VolumeAttributesClass")
            .short(&["vac"])
            .stored_as("storage.k8s.io", "v1beta1"),
    ]
}

fn admissionregistration_v1() -> Vec<Row> {
    vec![
        cluster("mutatingwebhookconfigurations", "MutatingWebhookConfiguration")
            .category("api-extensions")
            .put_needs_version(),
        cluster("validatingadmissionpolicies", "ValidatingAdmissionPolicy")
            .category("api-extensions")
            .put_needs_version()
            .status(),
        cluster("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding")
            .category("api-extensions")
            .put_needs_version(),
        cluster("validatingwebhookconfigurations", "ValidatingWebhookConfiguration")
            .category("api-extensions")
            .put_needs_version(),
    ]
}

fn apiextensions_v1() -> Vec<Row> {
    vec![
        cluster("customresourcedefinitions", "CustomResourceDefinition")
            .short(&["crd", "crds"])
            .category("api-extensions")
            .prefix("/apiextensions.k8s.io/customresourcedefinitions")
            .stored_as("apiextensions.k8s.io", "v1beta1")
            .json()
            .put_needs_version()
            .status(),
    ]
}

fn scheduling_v1() -> Vec<Row> {
    vec![cluster("priorityclasses", "PriorityClass").short(&["pc"])]
}

fn coordination_v1() -> Vec<Row> {
    vec![namespaced("leases", "Lease").put_creates().put_needs_version()]
}

fn node_v1() -> Vec<Row> {
    vec![cluster("runtimeclasses", "RuntimeClass").put_creates().put_needs_version()]
}

fn discovery_v1() -> Vec<Row> {
    vec![namespaced("endpointslices", "EndpointSlice")]
}

fn resource_v1() -> Vec<Row> {
    vec![
        cluster("deviceclasses", "DeviceClass"),
        namespaced("resourceclaims", "ResourceClaim").status(),
        namespaced("resourceclaimtemplates", "ResourceClaimTemplate"),
        cluster("resourceslices", "ResourceSlice"),
    ]
}

fn flowcontrol_v1() -> Vec<Row> {
    vec![
        cluster("flowschemas", "FlowSchema").status(),
        cluster("prioritylevelconfigurations", "PriorityLevelConfiguration").status(),
    ]
}
