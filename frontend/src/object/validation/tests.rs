use super::*;
use crate::api::schema::{Schema, apply_defaults, codec};

fn decode(json: &str) -> Object {
    let mut object = codec::decode_json(&Schema::builtin(), json.as_bytes(), None).unwrap().object;
    apply_defaults(&mut object);
    object
}

fn told(errors: &[FieldError]) -> Vec<String> {
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

/// What is said of a new object, sorted.
fn check(row: (&str, &str), namespaced: bool, json: &str, expected: &[&str]) {
    let object = decode(json);
    let errors = validate_create(row, namespaced, &object, Options::default());
    assert_eq!(told(&errors), expected, "{json}");
}

fn check_update(row: (&str, &str), subresource: &str, old: &str, new: &str, expected: &[&str]) {
    let errors = validate_update(row, subresource, true, &decode(new), &decode(old), Options::default());
    assert_eq!(told(&errors), expected, "{new}");
}

fn pod(spec: &str) -> String {
    format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"a","namespace":"b","resourceVersion":"1"}},"spec":{{{spec}}}}}"#
    )
}

#[test]
fn pods_are_validated_by_the_structs_they_are_made_of() {
    const PODS: (&str, &str) = ("", "pods");
    let container = |more: &str| pod(&format!(r#""containers":[{{"name":"c","image":"i"{more}}}]"#));
    check(PODS, true, &container(""), &[]);
    check(
        PODS,
        true,
        &container(r#","ports":[{"containerPort":0,"protocol":"X"}],"env":[{"name":""}]"#),
        &[
            "spec.containers[0].env[0].name: Required value",
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ],
    );
    check(
        PODS,
        true,
        &container(
            r#","livenessProbe":{"exec":{},"tcpSocket":{"port":0}},"resources":{"requests":{"cpu":"2"},"limits":{"cpu":"1"}}"#,
        ),
        &[
            "spec.containers[0].livenessProbe.exec.command: Required value",
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ],
    );
    check(
        PODS,
        true,
        &container(r#","securityContext":{"privileged":true}"#),
        &["spec.containers[0].securityContext.privileged: Forbidden: disallowed by cluster policy"],
    );
    check(
        PODS,
        true,
        &pod(
            r#""restartPolicy":"Once","containers":[{"name":"c","image":"i","volumeMounts":[{"name":"v","mountPath":"/v"}]}],
            "volumes":[{"name":"v","hostPath":{"path":"/a/../b"}}]"#,
        ),
        &[
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
            "spec.restartPolicy: Unsupported value: \"Once\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
        ],
    );
    check(
        PODS,
        true,
        &pod(
            r#""containers":[{"name":"c","image":"i"}],"securityContext":{"seccompProfile":{"type":"RuntimeDefault","localhostProfile":"x"}},
            "tolerations":[{"key":"k","operator":"Near"}]"#,
        ),
        &[
            "spec.securityContext.seccompProfile.localhostProfile: Invalid value: {\"Type\":\"RuntimeDefault\",\"LocalhostProfile\":\"x\"}: can only be set when seccomp type is Localhost",
            "spec.tolerations[0].operator: Unsupported value: \"Near\": supported values: \"Equal\", \"Exists\"",
        ],
    );
}

#[test]
fn the_name_of_an_init_container_is_compared_where_the_container_is_looked_at() {
    let probe = r#""readinessProbe":{"tcpSocket":{"port":1}}"#;
    let json = pod(&format!(
        r#""containers":[{{"name":"c","image":"i"}}],"initContainers":[
            {{"name":"c","image":"","imagePullPolicy":"X",{probe}}},{{"name":"d","image":"i",{probe}}},
            {{"name":"d","image":"i"}}]"#
    ));
    let errors = validate_create(("", "pods"), true, &decode(&json), Options::default());
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.initContainers[0].image",
            "spec.initContainers[0].imagePullPolicy",
            "spec.initContainers[0].name",
            "spec.initContainers[0].readinessProbe",
            "spec.initContainers[1].readinessProbe",
            "spec.initContainers[2].name",
        ]
    );
}

#[test]
fn two_sources_of_a_claim_may_leave_out_what_is_empty() {
    let claim = |source: &str, reference: &str| {
        format!(
            r#"{{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{{"name":"c","namespace":"b"}},"spec":{{
                "accessModes":["ReadWriteOnce"],"resources":{{"requests":{{"storage":"1Gi"}}}},
                "dataSource":{source},"dataSourceRef":{reference}}}}}"#
        )
    };
    let row = ("", "persistentvolumeclaims");
    let differs = "spec: Invalid value: {}: must match dataSourceRef";
    for (source, reference, is_refused) in [
        (r#"{"kind":"","name":""}"#, "{}", false),
        (r#"{"kind":"PersistentVolumeClaim","name":"a"}"#, r#"{"kind":"PersistentVolumeClaim","name":"b"}"#, true),
    ] {
        let errors = validate_create(row, true, &decode(&claim(source, reference)), Options::default());
        assert_eq!(told(&errors).iter().any(|text| text == differs), is_refused, "{source}");
    }
}

#[test]
fn a_refused_change_of_a_pod_shows_what_changed() {
    let with = |more: &str| pod(&format!(r#""containers":[{{"name":"c","image":"i"{more}}}]"#));
    let errors = validate_update(
        ("", "pods"),
        "",
        true,
        &decode(&with(r#","stdin":true"#)),
        &decode(&with("")),
        Options::default(),
    );
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!(error.field, "spec");
    let (words, diff) = error.detail.split_once('\n').unwrap();
    assert!(words.starts_with("pod updates may not change fields other than `spec.containers[*].image`,"), "{words}");
    let changed: Vec<&str> = diff.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(changed, ["-   \"Stdin\": false,", "+   \"Stdin\": true,"], "{diff}");
    assert!(diff.starts_with("@@ -"), "{diff}");
    check_update(("", "pods"), "", &with(""), &with("").replace("\"i\"", "\"j\""), &[]);
}

#[test]
fn templates_are_validated_wherever_they_stand() {
    let deployment = |selector: &str, spec: &str| {
        format!(
            r#"{{"kind":"Deployment","apiVersion":"apps/v1","metadata":{{"name":"a","namespace":"b"}},"spec":{{"selector":{selector},
            "template":{{"metadata":{{"labels":{{"a":"b"}}}},"spec":{{"containers":[{{"name":"c","image":"i"}}]{spec}}}}}}}}}"#
        )
    };
    let row = ("apps", "deployments");
    check(row, true, &deployment(r#"{"matchLabels":{"a":"b"}}"#, ""), &[]);
    check(
        row,
        true,
        &deployment(r#"{"matchLabels":{"a":"c"}}"#, r#","restartPolicy":"Never","hostname":"A""#),
        &[
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            "spec.template.spec.hostname: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ],
    );
    check(
        row,
        true,
        &deployment("{}", ""),
        &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    );
}

#[test]
fn kinds_of_other_groups_have_rows_of_their_own() {
    check(
        ("networking.k8s.io", "ingresses"),
        true,
        r#"{"kind":"Ingress","apiVersion":"networking.k8s.io/v1","metadata":{"name":"a","namespace":"b"},"spec":{"rules":[
            {"host":"*","http":{"paths":[{"path":"x","pathType":"Exact","backend":{"service":{"name":"s"}}}]}}]}}"#,
        &[
            "spec.rules[0].host: Invalid value: \"*\": a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
            "spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path",
        ],
    );
    check(
        ("autoscaling", "horizontalpodautoscalers"),
        true,
        r#"{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v2","metadata":{"name":"a","namespace":"b"},"spec":{
            "scaleTargetRef":{"kind":"Deployment","name":"d"},"maxReplicas":0,"metrics":[{"type":"Pods"}]}}"#,
        &[
            "spec.maxReplicas: Invalid value: 0: must be greater than 0",
            "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
            "spec.metrics[0].pods: Required value: must populate information for the given metric source",
            "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group",
        ],
    );
    check(
        ("rbac.authorization.k8s.io", "roles"),
        true,
        r#"{"kind":"Role","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"a","namespace":"b"},
            "rules":[{"verbs":["get"],"nonResourceURLs":["/x"]},{"verbs":[],"apiGroups":[""],"resources":["pods"]}]}"#,
        &[
            "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
            "rules[1].verbs: Required value: verbs must contain at least one value",
        ],
    );
    check(
        ("storage.k8s.io", "storageclasses"),
        false,
        r#"{"kind":"StorageClass","apiVersion":"storage.k8s.io/v1","metadata":{"name":"a"},"reclaimPolicy":"Recycle"}"#,
        &[
            "provisioner: Required value",
            "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
        ],
    );
    check(
        ("", "limitranges"),
        true,
        r#"{"kind":"LimitRange","apiVersion":"v1","metadata":{"name":"a","namespace":"b"},"spec":{"limits":[
            {"type":"Container","min":{"cpu":"2"},"max":{"cpu":"1"}}]}}"#,
        &[
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1\": min value 2 is greater than default request value 1",
            "spec.limits[0].default[cpu]: Invalid value: \"2\": min value 2 is greater than default value 1",
            "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
        ],
    );
}

#[test]
fn what_never_changes_is_told_field_by_field() {
    let class = |parameter: &str| {
        format!(
            r#"{{"kind":"StorageClass","apiVersion":"storage.k8s.io/v1","metadata":{{"name":"a","resourceVersion":"1"}},"provisioner":"p",
            "parameters":{{"a":"{parameter}"}}}}"#
        )
    };
    let errors = validate_update(
        ("storage.k8s.io", "storageclasses"),
        "",
        false,
        &decode(&class("2")),
        &decode(&class("1")),
        Options::default(),
    );
    assert_eq!(told(&errors), ["parameters: Forbidden: updates to parameters are forbidden."]);
    let job = |count: &str| {
        format!(
            r#"{{"kind":"Job","apiVersion":"batch/v1","metadata":{{"name":"a","namespace":"b","resourceVersion":"1"}},"spec":{{"manualSelector":true,
            "completions":{count},"selector":{{"matchLabels":{{"a":"b"}}}},"template":{{"metadata":{{"labels":{{"a":"b"}}}},
            "spec":{{"restartPolicy":"Never","containers":[{{"name":"c","image":"i"}}]}}}}}}}}"#
        )
    };
    check_update(
        ("batch", "jobs"),
        "",
        &job("1"),
        &job("2"),
        &["spec.completions: Invalid value: 2: field is immutable"],
    );
}

#[test]
fn a_status_is_validated_by_its_own_endpoint() {
    let deployment = |ready: i64| {
        format!(
            r#"{{"kind":"Deployment","apiVersion":"apps/v1","metadata":{{"name":"a","namespace":"b","resourceVersion":"1"}},
            "status":{{"replicas":1,"readyReplicas":{ready}}}}}"#
        )
    };
    check_update(
        ("apps", "deployments"),
        "status",
        &deployment(1),
        &deployment(2),
        &["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"],
    );
}

#[test]
fn what_controllers_say_is_validated_once() {
    const SETS: (&str, &str) = ("apps", "daemonsets");
    let set = |count: &str| {
        format!(
            r#"{{"kind":"DaemonSet","apiVersion":"apps/v1","metadata":{{"name":"a","namespace":"b","resourceVersion":"1"}},"spec":{{"selector":{{"matchLabels":{{"a":"b"}}}},"template":{{"metadata":{{"labels":{{"a":"b"}}}},"spec":{{"containers":[{{"name":"c","image":"i"}}]}}}}}},"status":{{{count}}}}}"#
        )
    };
    let fewer = "status.collisionCount: Invalid value: 1: cannot be decremented";
    check_update(SETS, "status", &set(r#""collisionCount":2"#), &set(r#""collisionCount":1"#), &[fewer]);
    let none = "status.collisionCount: Invalid value: 0: cannot be decremented";
    check_update(SETS, "status", &set(r#""collisionCount":2"#), &set(""), &[none]);

    const POLICIES: (&str, &str) = ("admissionregistration.k8s.io", "validatingadmissionpolicies");
    let policy = |status: &str| {
        format!(
            r#"{{"kind":"ValidatingAdmissionPolicy","apiVersion":"admissionregistration.k8s.io/v1","metadata":{{"name":"a","namespace":"b","resourceVersion":"1"}},"status":{{{status}}}}}"#
        )
    };
    let said = r#""typeChecking":{"expressionWarnings":[{"fieldRef":"%","warning":"w"},{"fieldRef":" "},{"fieldRef":"spec.validations[0].expression","warning":"w"}]},"conditions":[{"type":"A","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]"#;
    check_update(
        POLICIES,
        "status",
        &policy(""),
        &policy(said),
        &[
            "status.conditions[0].reason: Required value",
            "status.typeChecking.expressionWarnings[0].fieldRef: Invalid value: \"%\": invalid JSONPath: unrecognized character in action: U+0025 '%'",
            "status.typeChecking.expressionWarnings[1].fieldRef: Required value",
            "status.typeChecking.expressionWarnings[1].warning: Required value",
        ],
    );
}
