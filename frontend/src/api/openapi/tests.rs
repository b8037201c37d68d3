use std::{collections::BTreeMap, io::Read as _};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::api::Api;

fn get_with(api: &Api, url: &str, headers: &[(&'static str, &str)]) -> Response<Bytes> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let (path, hash) = match url.split_once("?hash=") {
        Some((path, hash)) => (path, Some(hash)),
        None => (url, None),
    };
    let asked = Asked { headers: &map, hash, now: Timestamp::UNIX_EPOCH, others: &[], others_v2: &[] };
    answer(Page::at(path).unwrap(), api, asked).unwrap()
}

fn json(api: &Api, url: &str) -> Value {
    serde_json::from_slice(get_with(api, url, &[]).body()).unwrap()
}

#[test]
fn the_index_names_every_document_with_a_hash_that_may_be_kept() {
    let api = Api::builtin();
    let index = get_with(&api, "/openapi/v3", &[]);
    assert_eq!(index.headers()["content-type"], "text/plain; charset=utf-8");
    let index: Value = serde_json::from_slice(index.body()).unwrap();
    let paths = index["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 47);
    let names: Vec<_> = paths.keys().cloned().collect();
    assert!(names.is_sorted());
    let url = paths["apis/batch/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = get_with(&api, url, &[]);
    assert_eq!(document.headers()["cache-control"], "public, immutable");
    assert_eq!(document.headers()["expires"], "Fri, 01 Jan 1971 00:00:00 UTC");
    assert_eq!(document.headers()["etag"], format!("\"{}\"", url.split_once('=').unwrap().1));
    let again = get_with(&api, url, &[("if-none-match", document.headers()["etag"].to_str().unwrap())]);
    assert_eq!(again.status(), 304);
}

#[test]
fn without_its_hash_a_document_may_not_be_kept_and_with_a_wrong_one_it_is_elsewhere() {
    let api = Api::builtin();
    assert_eq!(get_with(&api, "/openapi/v3/version", &[]).headers()["cache-control"], "no-cache, private");
    let moved = get_with(&api, "/openapi/v3/version?hash=0", &[]);
    assert_eq!(moved.status(), 301);
    assert!(moved.headers()["location"].to_str().unwrap().starts_with("/openapi/v3/version?hash="));
    let missing = get_with(&api, "/openapi/v3/apis/nosuch", &[]);
    assert_eq!((missing.status().as_u16(), missing.body().len()), (404, 0));
    assert_eq!(get_with(&api, "/openapi/v2", &[("accept", "text/html")]).status(), 406);
}

#[test]
fn two_servers_agree_on_hashes() {
    assert_eq!(json(&Api::builtin(), "/openapi/v3"), json(&Api::builtin(), "/openapi/v3"));
}

#[test]
fn compressed_for_those_who_take_it() {
    let api = Api::builtin();
    let plain = get_with(&api, "/openapi/v3/apis/apps/v1", &[]);
    let gzip = get_with(&api, "/openapi/v3/apis/apps/v1", &[("accept-encoding", "gzip")]);
    assert_eq!(gzip.headers()["content-encoding"], "gzip");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(gzip.body().as_ref()).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body().as_ref());
    assert!(gzip.body().len() * 5 < text.len());
    for (asked, compressed) in
        [("deflate, gzip;q=0.5", true), ("gzip;q=0", false), ("gzip; q=0.0, br", false), ("*", false)]
    {
        let answer = get_with(&api, "/openapi/v3/apis/apps/v1", &[("accept-encoding", asked)]);
        assert_eq!(answer.headers().contains_key("content-encoding"), compressed, "{asked}");
    }
}

#[test]
fn a_patch_offers_field_validation_and_names_its_kind() {
    let document = json(&Api::builtin(), "/openapi/v3/apis/apps/v1");
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    let parameters: Vec<_> =
        patch["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(parameters, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    assert_eq!(
        patch["x-kubernetes-group-version-kind"].to_string(),
        r#"{"group":"apps","version":"v1","kind":"Deployment"}"#
    );
}

#[test]
fn every_reference_has_its_definition() {
    let api = Api::builtin();
    let index = json(&api, "/openapi/v3");
    for name in index["paths"].as_object().unwrap().keys() {
        let document = json(&api, &format!("/openapi/v3/{name}"));
        check_references(&document, "#/components/schemas/", &document["components"]["schemas"]);
    }
    let document = json(&api, "/openapi/v2");
    check_references(&document, "#/definitions/", &document["definitions"]);
}

fn check_references(value: &Value, prefix: &str, definitions: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let name = reference.strip_prefix(prefix).unwrap();
                assert!(definitions[name].is_object(), "{name}");
            }
            map.values().for_each(|v| check_references(v, prefix, definitions));
        }
        Value::Array(items) => items.iter().for_each(|v| check_references(v, prefix, definitions)),
        _ => {}
    }
}

#[test]
fn version_2_in_protobuf_for_those_who_ask_first_for_it() {
    let api = Api::builtin();
    let protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    let accept = format!("{protobuf},application/json");
    let answer = get_with(&api, "/openapi/v2", &[("accept", &accept)]);
    assert_eq!(answer.headers()["content-type"], protobuf);
    // The first field is the version of the dialect, the second names the document.
    assert!(answer.body().starts_with(b"\x0a\x032.0\x12\x12\x0a\x0aKubernetes\x12\x041.35"));
    let old =
        get_with(&api, "/openapi/v2", &[("accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")]);
    assert_eq!(old.body(), answer.body());
    assert_eq!(get_with(&api, "/openapi/v3/version", &[("accept", protobuf)]).status(), 406);
}

/// Compares with documents recorded from the original, where RECORDED_SURFACES names their folder; the shares that must
/// be equal only ever go up. Descriptions are left out: those of enums tell their values.
#[test]
fn close_to_the_recorded_documents() {
    let Ok(folder) = std::env::var("RECORDED_SURFACES") else { return };
    let api = Api::builtin();
    let read = |file: &str| {
        let mut text = String::new();
        let bytes = std::fs::read(format!("{folder}/{file}")).unwrap();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let index: Value = serde_json::from_slice(&std::fs::read(format!("{folder}/openapi-v3.json")).unwrap()).unwrap();
    let ours = json(&api, "/openapi/v3");
    let keys = |v: &Value| v["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&ours), keys(&index));
    let (mut definitions, mut operations) = (Count::default(), Count::default());
    for name in keys(&index) {
        let recorded = read(&format!("openapi-v3/{}.json.gz", name.replace('/', ".")));
        let ours = json(&api, &format!("/openapi/v3/{name}"));
        compare(&mut definitions, &recorded["components"]["schemas"], &ours["components"]["schemas"], &name);
        compare(&mut operations, &recorded["paths"], &ours["paths"], &name);
    }
    let recorded = read("openapi-v2.json.gz");
    let ours = json(&api, "/openapi/v2");
    let mut older = Count::default();
    compare(&mut older, &recorded["definitions"], &ours["definitions"], "v2");
    assert!(definitions.equal >= 1235 && operations.equal == operations.total && older.equal >= 569);
    println!("definitions {definitions}, paths {operations}, version 2 definitions {older}");
    if let Ok(out) = std::env::var("DIFFERENCES") {
        let text = [definitions.differences, operations.differences, older.differences].concat().join("\n");
        std::fs::write(out, text).unwrap();
    }
}

#[derive(Default)]
struct Count {
    equal: usize,
    total: usize,
    exact: usize,
    differences: Vec<String>,
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} ({} with descriptions)", self.equal, self.total, self.exact)
    }
}

fn compare(count: &mut Count, recorded: &Value, ours: &Value, path: &str) {
    let recorded = recorded.as_object().into_iter().flatten();
    let mut missing: BTreeMap<&String, &Value> = ours.as_object().into_iter().flatten().collect();
    for (name, value) in recorded {
        count.total += 1;
        let Some(own) = missing.remove(name) else {
            count.differences.push(format!("MISSING {path} {name}"));
            continue;
        };
        count.exact += usize::from(own == value);
        if own != value && std::env::var_os("DIFFERENT_TEXTS").is_some() {
            count.differences.push(format!("{path} {name}\n  ours     {own}\n  recorded {value}"));
        }
        let (own, value) = (without_texts(own), without_texts(value));
        if own == value {
            count.equal += 1;
        } else {
            count.differences.push(format!("{path} {name}\n  ours     {own}\n  recorded {value}"));
        }
    }
    for name in missing.keys() {
        count.differences.push(format!("EXTRA {path} {name}"));
    }
}

fn without_texts(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let text = |name: &str, value: &Value| name == "description" && value.is_string();
            let kept = map.iter().filter(|(name, value)| !text(name, value));
            let mut kept: Vec<_> = kept.map(|(name, value)| (name.clone(), without_texts(value))).collect();
            kept.sort_by(|a, b| a.0.cmp(&b.0));
            kept.into_iter().collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(without_texts).collect(),
        other => other.clone(),
    }
}
