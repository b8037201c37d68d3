use super::warnings;
use crate::api::schema::{Object, Schema, apply_defaults, codec};

fn object(json: &str) -> Object {
    let mut object = codec::decode_json(&Schema::builtin(), json.as_bytes(), None).unwrap().object;
    apply_defaults(&mut object);
    object
}

#[test]
fn new_objects_bring_warnings() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "",
            "services",
            r#"{"kind":"Service","apiVersion":"v1","metadata":{"name":"a"},"spec":{"externalName":"x.example","externalIPs":
                ["010.0.0.1","2001:DB8::1","::ffff:1.2.3.4","192.0.2.1"],"loadBalancerSourceRanges":["10.0.0.1/8"]}}"#,
            &[
                "spec.externalIPs[0]: non-standard IP address \"010.0.0.1\" will be considered invalid in a future Kubernetes release: use \"10.0.0.1\"",
                "spec.externalIPs[1]: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")",
                "spec.externalIPs[2]: non-standard IP address \"::ffff:1.2.3.4\" will be considered invalid in a future Kubernetes release: use \"1.2.3.4\"",
                "spec.loadBalancerSourceRanges[0]: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
                "spec.externalName is ignored when spec.type is not \"ExternalName\"",
            ],
        ),
        (
            "",
            "pods",
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a.b"},"spec":{"volumes":[{"name":"v","rbd":{}}],
                "initContainers":[{"name":"i","ports":[{"containerPort":80,"hostIP":"192.0.2.1"}]}],
                "containers":[{"name":"c","ports":[{"containerPort":80,"hostPort":80}],"env":[{"name":"A","value":"1"},
                {"name":"A","value":"$(A)2"},{"name":"A","value":"3"}],"resources":{"limits":{"memory":"100m"}}}]}}"#,
            &[
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
                "spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+",
                "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be an integer",
                "spec.containers[0].resources.requests[memory]: fractional byte value \"100m\" is invalid, must be an integer",
                "spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.initContainers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP HostIP:192.0.2.1}",
                "spec.containers[0].ports[0]: overlapping port definition with spec.initContainers[0].ports[0]",
            ],
        ),
        (
            "",
            "persistentvolumeclaims",
            r#"{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{"name":"a"},"spec":{"resources":{"requests":{"storage":"2500m"}}}}"#,
            &["spec.resources.requests[storage]: fractional byte value \"2500m\" is invalid, must be an integer"],
        ),
        (
            "",
            "secrets",
            r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"},"type":"kubernetes.io/tls","data":{"tls.crt":"YQ==","tls.key":"YQ=="}}"#,
            &["tls: failed to find any PEM data in certificate input"],
        ),
        (
            "",
            "resourcequotas",
            r#"{"kind":"ResourceQuota","apiVersion":"v1","metadata":{"name":"a"},"spec":{"hard":{"cpu":"2","limits.cpu":"1"}}}"#,
            &["ResourceQuota cpu (2) should be less than limits.cpu (1)"],
        ),
    ];
    for (group, plural, json, expected) in cases {
        assert_eq!(warnings((group, plural), "", &object(json), None), *expected, "{json}");
    }
}

#[test]
fn templates_bring_warnings_when_the_generation_moves() {
    let of = |generation: i64| {
        object(&format!(
            r#"{{"kind":"Deployment","apiVersion":"apps/v1","metadata":{{"name":"a","generation":{generation}}},"spec":{{"template":{{"spec":
                {{"containers":[{{"name":"c"}}],"topologySpreadConstraints":[{{"topologyKey":"k"}}]}}}}}}}}"#
        ))
    };
    let expected = [
        "spec.template.spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
    ];
    assert_eq!(warnings(("apps", "deployments"), "", &of(2), Some(&of(1))), expected);
    assert!(warnings(("apps", "deployments"), "", &of(1), Some(&of(1))).is_empty());
    assert!(warnings(("apps", "deployments"), "status", &of(2), Some(&of(1))).is_empty());
}
