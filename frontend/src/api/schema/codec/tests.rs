//! Cases written here: what goes in, what comes out, in all encodings.

use super::*;
use crate::api::schema::{Gvk, value::Value};

fn decode(json: &str) -> Result<Decoded, DecodeError> {
    decode_json(&Schema::builtin(), json.as_bytes(), None)
}

fn json(object: &Object) -> String {
    let mut out = Vec::new();
    encode_json(object, &mut out);
    String::from_utf8(out).unwrap()
}

/// JSON in, JSON out, and the same through protobuf.
fn check_round_trip(input: &str, expected: &str) {
    let object = decode(input).unwrap().object;
    assert_eq!(json(&object), expected);
    let bytes = encode_protobuf(&object);
    let back = decode_protobuf(&Schema::builtin(), &bytes, None).unwrap().object;
    assert_eq!(json(&back), expected, "through protobuf");
    assert_eq!(encode_protobuf(&back), bytes, "protobuf again");
}

#[test]
fn fields_are_printed_in_the_order_of_the_types_and_maps_sorted() {
    check_round_trip(
        r#"{"metadata":{"labels":{"b":"2","a":"<&>"},"name":"x"},"data":{"k":"v\u2028"},"apiVersion":"v1","kind":"ConfigMap"}"#,
        concat!(
            r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","labels":{"a":"\u003c\u0026\u003e","b":"2"}},"#,
            r#""data":{"k":"v\u2028"}}"#
        ),
    );
}

#[test]
fn plain_zeros_are_left_out_or_printed_as_go_does_and_pointers_kept() {
    check_round_trip(
        concat!(
            r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"d","generation":0},"#,
            r#""spec":{"replicas":0,"paused":false,"minReadySeconds":0,"template":{"spec":{"containers":[{"name":"c"}]}}}}"#
        ),
        concat!(
            r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"d"},"spec":{"replicas":0,"selector":null,"#,
            r#""template":{"metadata":{},"spec":{"containers":[{"name":"c","resources":{}}]}},"strategy":{}},"status":{}}"#
        ),
    );
}

#[test]
fn scalars_with_text_forms_become_canonical() {
    check_round_trip(
        concat!(
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","creationTimestamp":"2026-01-02T03:04:05.5+01:00"},"#,
            r#""spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"0.5","memory":1024}},"#,
            r#""livenessProbe":{"httpGet":{"port":"web"}},"readinessProbe":{"tcpSocket":{"port":80}}}]}}"#
        ),
        concat!(
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","creationTimestamp":"2026-01-02T02:04:05Z"},"#,
            r#""spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"500m","memory":"1024"}},"#,
            r#""livenessProbe":{"httpGet":{"port":"web"}},"readinessProbe":{"tcpSocket":{"port":80}}}]},"status":{}}"#
        ),
    );
}

#[test]
fn bytes_lists_of_lists_and_embedded_objects_survive() {
    check_round_trip(
        r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"},"data":{"a":"aGk=","b":""}}"#,
        r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"},"data":{"a":"aGk=","b":""}}"#,
    );
    check_round_trip(
        r#"{"kind":"ControllerRevision","apiVersion":"apps/v1","metadata":{"name":"r"},"data":{"z":1,"a":"<"},"revision":3}"#,
        concat!(
            r#"{"kind":"ControllerRevision","apiVersion":"apps/v1","metadata":{"name":"r"},"#,
            r#""data":{"z":1,"a":"\u003c"},"revision":3}"#
        ),
    );
}

#[test]
fn a_stored_object_has_no_resource_version_and_writes_empty_strings() {
    let schema = Schema::builtin();
    let mut object = decode(r#"{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"n"}}"#).unwrap().object;
    object.set_resource_version("7");
    let stored = encode_stored(&object, object.ty(), StorageEncoding::Protobuf);
    assert_eq!(&stored[..4], b"k8s\0");
    let message = concat!(
        "\n\u{f}\n\u{2}v1\u{12}\u{9}Namespace",                            // typeMeta
        "\u{12}\u{19}",                                                    // raw
        "\n\u{11}\n\u{1}n\u{12}\0\u{1a}\0\"\0*\0\u{32}\0\u{38}\0\u{42}\0", // metadata
        "\u{12}\0\u{1a}\u{2}\n\0",                                         // spec, status with its empty phase
        "\u{1a}\0\"\0"                                                     // contentEncoding, contentType
    );
    assert_eq!(&stored[4..], message.as_bytes());
    assert_eq!(decode_stored(&schema, &stored).unwrap().name(), "n");
}

#[test]
fn refusals_name_gos_types_and_paths() {
    for (spec, message) in [
        (r#"{"replicas":"3"}"#, "string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (r#"{"replicas":1.5}"#, "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (r#"{"template":[]}"#, "array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec"),
        (
            r#"{"template":{"spec":{"volumes":[{"name":"a"},{"hostPath":{"path":1}}]}}}"#,
            concat!(
                "number into Go struct field HostPathVolumeSource.spec.template.spec.volumes.VolumeSource.hostPath.path",
                " of type string"
            ),
        ),
        (
            r#"{"template":{"spec":{"restartPolicy":true,"containers":{}}}}"#,
            "bool into Go struct field PodSpec.spec.template.spec.restartPolicy of type v1.RestartPolicy",
        ),
    ] {
        let input = format!(r#"{{"kind":"Deployment","apiVersion":"apps/v1","spec":{spec}}}"#);
        let refusal = decode(&input).unwrap_err().refusal("Deployment", input.as_bytes());
        let start = "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal ";
        assert_eq!(refusal, format!("{start}{message}"));
    }
}

#[test]
fn a_syntax_error_outranks_a_type_error() {
    let input = r#"{"kind":"Pod","apiVersion":"v1","spec":{"nodeName":1,"hostname":}}"#;
    let refusal = decode(input).unwrap_err().refusal("Pod", input.as_bytes());
    assert_eq!(
        refusal,
        concat!(
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: ",
            "invalid character '}' looking for beginning of value ({\"kind\":\"Pod\",\"apiVersion\":\"v1 ...)"
        )
    );
}

#[test]
fn unknown_and_duplicate_fields_are_noted_with_their_paths() {
    let input = concat!(
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"labels":{"a":"1","b":"","a":"2"}},"spec":{"containers":"#,
        r#"[{"name":"c"},{"Name":"d","image":"x","image":"y"}]},"extra":{}}"#
    );
    let decoded = decode(input).unwrap();
    assert_eq!(
        strict_message(&decoded.warnings),
        concat!(
            "strict decoding error: duplicate field \"metadata.labels.a\", ",
            "unknown field \"spec.containers[1].Name\", duplicate field \"spec.containers[1].image\", ",
            "unknown field \"extra\""
        )
    );
    assert_eq!(decoded.object.label("a"), Some("2"));
    let images = decoded.object.get_list(&["spec", "containers"]).unwrap();
    assert_eq!(images[1].child("image").and_then(Value::as_str), Some("y"));
}

#[test]
fn hostile_input_is_refused_without_harm() {
    let deep = format!(r#"{{"kind":"ConfigMap","apiVersion":"v1","x":{}"#, "[".repeat(100_000));
    assert!(matches!(decode(&deep), Err(DecodeError::Syntax(_))));
    for broken in ["", "{", "[]", "\"", "{\"kind\":1}", "nul", "{\"a\":\"\\u12\"}", "{} {}", "\u{1}"] {
        assert!(decode(broken).is_err(), "{broken}");
    }
    let schema = Schema::builtin();
    for bytes in [&b""[..], b"k8s\0\x12\xff\xff\xff\xff\x7f", b"k8s\0\x0a\x05abc", b"k8s\0\x07", b"junk"] {
        assert!(decode_protobuf(&schema, bytes, None).is_err(), "{bytes:?}");
    }
}

#[test]
fn missing_kind_and_version_come_from_the_request() {
    let schema = Schema::builtin();
    let default = Gvk::from_static("", "v1", "Pod");
    let decoded = decode_json(&schema, b"{}", Some(&default)).unwrap();
    assert_eq!(
        json(&decoded.object),
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{},"spec":{"containers":null},"status":{}}"#
    );
    assert_eq!(decode("{}").unwrap_err(), DecodeError::MissingKind("{}".to_owned()));
}

#[test]
fn nulls_empty_what_can_be_empty() {
    let input = concat!(
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":null,"labels":null},"spec":{"nodeName":"n","#,
        r#""nodeName":null,"tolerations":[null],"activeDeadlineSeconds":null,"containers":[]}}"#
    );
    let object = decode(input).unwrap().object;
    assert_eq!(
        json(&object),
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{},"spec":{"containers":[],"nodeName":"n","tolerations":[{}]},"status":{}}"#
    );
}

#[test]
fn pretty_json_is_indented_by_two() {
    let object =
        decode(r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a:{b"},"data":{}}"#).unwrap().object;
    let mut out = Vec::new();
    encode_json_pretty(&object, &mut out);
    let expected =
        "{\n  \"kind\": \"ConfigMap\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {\n    \"name\": \"a:{b\"\n  }\n}";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
