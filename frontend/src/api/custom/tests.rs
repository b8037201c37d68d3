//! Custom kinds through the engine that built-in ones go through.

use std::sync::Arc;

use super::*;
use crate::api::schema::{apply_defaults, codec, convert};

fn definition() -> Definition {
    let json = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"as.x.io"},
      "spec":{"group":"x.io","scope":"Namespaced","names":{"plural":"as","kind":"A"},"versions":[
        {"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{
          "spec":{"type":"object","properties":{
            "n":{"type":"integer","default":3},
            "null":{"type":"string","nullable":true},
            "list":{"type":"array","items":{"type":"array","items":{"type":"object","properties":{"a":{"type":"string"}}}}},
            "map":{"type":"object","additionalProperties":{"type":"object","properties":{"d":{"type":"string","default":"e"}}}},
            "open":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"m":{"type":"object"}}},
            "whole":{"type":"object","x-kubernetes-embedded-resource":true,"x-kubernetes-preserve-unknown-fields":true}}}}}}},
        {"name":"v2","served":true,"storage":false,"deprecated":true,"schema":{"openAPIV3Schema":{"type":"object",
          "properties":{"spec":{"type":"object","properties":{"n":{"type":"integer"}}}}}}}]},
      "status":{"acceptedNames":{"plural":"as","singular":"a","kind":"A","listKind":"AList"},
        "conditions":[{"type":"Established","status":"True"}]}}"#;
    let object = codec::decode_json(&Schema::builtin(), json.as_bytes(), None).unwrap().object;
    Definition::read(&object).unwrap()
}

fn check(spec: &str, expected: &str, unknown: &[&str]) {
    let api = api_with([Arc::new(definition())]);
    let json = format!(r#"{{"kind":"A","apiVersion":"x.io/v1","metadata":{{"name":"a"}},"spec":{spec}}}"#);
    let decoded = codec::decode_json(&api.schema, json.as_bytes(), None).unwrap();
    let mut object = decoded.object;
    apply_defaults(&mut object);
    let mut out = Vec::new();
    codec::encode_json(&object, &mut out);
    let whole = format!(r#"{{"apiVersion":"x.io/v1","kind":"A","metadata":{{"name":"a"}},"spec":{expected}}}"#);
    assert_eq!(String::from_utf8(out).unwrap(), whole);
    let found: Vec<String> = decoded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(found, unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect::<Vec<_>>());
}

#[test]
fn what_the_schema_has_no_place_for_goes_at_every_depth() {
    check(
        r#"{"zz":1,"n":5,"list":[[{"a":"x","b":1}]],"map":{"k":{"d":"f","g":0}},"open":{"y":{"z":1},"m":{"q":1}}}"#,
        r#"{"list":[[{"a":"x"}]],"map":{"k":{"d":"f"}},"n":5,"open":{"m":{},"y":{"z":1}}}"#,
        &["spec.list[0][0].b", "spec.map.k.g", "spec.open.m.q", "spec.zz"],
    );
}

#[test]
fn defaults_take_the_place_of_what_is_absent_and_of_forbidden_nulls() {
    check(r#"{"n":null,"null":null,"map":{"k":{}}}"#, r#"{"map":{"k":{"d":"e"}},"n":3,"null":null}"#, &[]);
    check(r#"{"open":null}"#, r#"{"n":3}"#, &[]);
}

#[test]
fn values_of_the_wrong_type_stay_for_validation_to_name() {
    check(
        r#"{"n":"x","list":{"a":1},"map":[{"b":1}]}"#,
        r#"{"list":{},"map":[{}],"n":"x"}"#,
        &["spec.list.a", "spec.map[0].b"],
    );
}

#[test]
fn metadata_of_embedded_objects_is_metadata() {
    check(
        r#"{"n":1,"whole":{"apiVersion":"v1","kind":"K","metadata":{"name":"b","zz":1},"free":{"x":1}}}"#,
        r#"{"n":1,"whole":{"apiVersion":"v1","free":{"x":1},"kind":"K","metadata":{"name":"b"}}}"#,
        &["spec.whole.metadata.zz"],
    );
}

#[test]
fn another_version_drops_what_it_does_not_have() {
    let api = api_with([Arc::new(definition())]);
    let json = br#"{"kind":"A","apiVersion":"x.io/v1","metadata":{"name":"a"},"spec":{"n":1,"open":{"m":{}}}}"#;
    let object = codec::decode_json(&api.schema, json, None).unwrap().object;
    let other = convert(&object, &api.schema.kind("x.io", "v2", "A").unwrap());
    let mut out = Vec::new();
    codec::encode_json(&other, &mut out);
    assert_eq!(out, br#"{"apiVersion":"x.io/v2","kind":"A","metadata":{"name":"a"},"spec":{"n":1}}"#);
}

#[test]
fn rows_come_with_a_definition_and_built_in_ones_stay() {
    let api = api_with([Arc::new(definition())]);
    let row = api.registry.get("x.io", "v1", "as").unwrap();
    assert_eq!((row.kind.as_ref(), row.custom, row.namespaced), ("A", true, true));
    let warning = api.definitions.get("x.io", "as").unwrap().version("v2").unwrap().warning.clone();
    assert_eq!(warning.unwrap(), "x.io/v2 A is deprecated");
    assert!(api.registry.get("apps", "v1", "deployments").is_some());
}

#[test]
fn the_number_of_a_kind_changes_with_its_schema_and_with_nothing_else() {
    let number = |api: &Api, version: &str| api.schema.kind("x.io", version, "A").unwrap().number;
    let old = Arc::new(definition());
    let before = api_with([Arc::clone(&old)]);
    let again = api_with([old]);
    let changed = api_with([Arc::new(definition())]);
    for version in ["v1", "v2"] {
        assert_eq!(number(&before, version), number(&again, version));
        assert_ne!(number(&before, version), number(&changed, version));
    }
    let mut all: Vec<u32> = changed.schema.kinds().map(|kind| kind.number).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "two kinds share a number");
}
