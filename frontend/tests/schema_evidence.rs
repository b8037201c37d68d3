//! Round trips of recorded objects of a real kube-apiserver. The recordings are no part of this project: run with
//! `KUBERNETES_EVIDENCE=<folder> cargo test -p frontend --test schema_evidence -- --ignored --nocapture`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use frontend::schema::codec::{self, StorageEncoding};
use frontend::schema::{Gvk, Schema, convert};

fn evidence(name: &str) -> PathBuf {
    let folder = std::env::var_os("KUBERNETES_EVIDENCE").expect("KUBERNETES_EVIDENCE names the folder of recordings");
    PathBuf::from(folder).join(name)
}

fn json_of(object: &frontend::schema::Object) -> Vec<u8> {
    let mut out = Vec::new();
    codec::encode_json(object, &mut out);
    out
}

/// Where two texts part, with a little of both.
fn difference(got: &[u8], want: &[u8]) -> String {
    let at = got.iter().zip(want).position(|(a, b)| a != b).unwrap_or(got.len().min(want.len()));
    let cut = |bytes: &[u8]| {
        let from = at.saturating_sub(60);
        String::from_utf8_lossy(&bytes[from.min(bytes.len())..(at + 60).min(bytes.len())]).into_owned()
    };
    format!("at {at}:\n   got  {:?}\n   want {:?}", cut(got), cut(want))
}

#[derive(Default)]
struct Tally {
    passed: BTreeMap<&'static str, usize>,
    failed: BTreeMap<&'static str, Vec<String>>,
}

impl Tally {
    fn check(&mut self, what: &'static str, name: &str, result: Result<(), String>) {
        match result {
            Ok(()) => *self.passed.entry(what).or_default() += 1,
            Err(reason) => self.failed.entry(what).or_default().push(format!("{name}: {reason}")),
        }
    }

    fn finish(self) {
        for (what, reasons) in &self.failed {
            for reason in reasons.iter().take(12) {
                println!("FAIL {what} {reason}");
            }
        }
        for (what, passed) in &self.passed {
            println!("{what}: {passed} passed, {} failed", self.failed.get(what).map_or(0, Vec::len));
        }
        assert!(self.failed.is_empty());
    }
}

fn same(got: &[u8], want: &[u8]) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(difference(got, want)) }
}

#[test]
#[ignore = "needs recordings of a real kube-apiserver (KUBERNETES_EVIDENCE)"]
fn golden_objects_round_trip() {
    let schema = Schema::builtin();
    let mut tally = Tally::default();
    let folder = evidence("kubernetes-golden-1.35");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    names.sort();
    for name in names {
        let read = |extension: &str| std::fs::read(folder.join(format!("{name}.{extension}"))).unwrap();
        let (json, protobuf, yaml) = (read("json"), read("pb"), read("yaml"));
        let decoded = codec::decode_json(&schema, &json, None).map_err(|error| error.to_string());
        tally.check("json decodes", &name, decoded.as_ref().map(drop).map_err(String::clone));
        let Ok(decoded) = decoded else { continue };
        tally.check(
            "json is strict",
            &name,
            match decoded.warnings.as_slice() {
                [] => Ok(()),
                warnings => Err(format!("{warnings:?}")),
            },
        );
        let mut pretty = Vec::new();
        codec::encode_json_pretty(&decoded.object, &mut pretty);
        tally.check("json to json", &name, same(pretty.trim_ascii_end(), json.trim_ascii_end()));
        tally.check("json to protobuf", &name, same(&codec::encode_protobuf(&decoded.object), &protobuf));
        let from_protobuf = codec::decode_protobuf(&schema, &protobuf, None).map_err(|error| error.to_string());
        tally.check(
            "protobuf to json",
            &name,
            from_protobuf.and_then(|decoded| {
                let mut pretty = Vec::new();
                codec::encode_json_pretty(&decoded.object, &mut pretty);
                same(pretty.trim_ascii_end(), json.trim_ascii_end())
            }),
        );
        let from_yaml = codec::decode_yaml(&schema, &yaml, None).map_err(|error| error.to_string());
        tally.check(
            "yaml to json",
            &name,
            from_yaml.and_then(|yaml| same(&json_of(&yaml.object), &json_of(&decoded.object))),
        );
        let mut out = Vec::new();
        codec::encode_yaml(&decoded.object, &mut out);
        tally.check("json to yaml", &name, same(&out, &yaml));
    }
    tally.finish();
}

/// The kind that a stored object is served as.
fn served_kind(json: &[u8]) -> Gvk {
    let value: serde_json::Value = serde_json::from_slice(json).unwrap();
    let (group, version) = Gvk::split_api_version(value["apiVersion"].as_str().unwrap()).unwrap();
    Gvk::new(group, version, value["kind"].as_str().unwrap())
}

#[test]
#[ignore = "needs recordings of a real kube-apiserver (KUBERNETES_EVIDENCE)"]
fn stored_objects_round_trip() {
    let schema = Schema::builtin();
    let mut text = String::new();
    let file = std::fs::File::open(evidence("storage-1.35.jsonl.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut tally = Tally::default();
    let mut custom = 0;
    for line in text.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let key = entry["key"].as_str().unwrap();
        let Some(json) = entry["json"].as_str() else { continue };
        let stored = STANDARD.decode(entry["valueBase64"].as_str().unwrap()).unwrap();
        let Some(served) = schema.of(&served_kind(json.as_bytes())) else {
            custom += 1;
            continue;
        };
        let object = match codec::decode_stored(&schema, &stored) {
            Ok(object) => object,
            Err(error) => {
                tally.check("stored decodes", key, Err(error.to_string()));
                continue;
            }
        };
        let encoding = if stored[0] == b'{' { StorageEncoding::Json } else { StorageEncoding::Protobuf };
        let storage_kind = object.ty().clone();
        tally.check("stored to stored", key, same(&codec::encode_stored(&object, &storage_kind, encoding), &stored));
        let mut shown = convert(&object, &served);
        shown.set_resource_version(&entry["modRevision"].to_string());
        tally.check("stored to json", key, same(&json_of(&shown), json.trim_ascii_end().as_bytes()));
        if let Some(protobuf) = entry["bodyProtobufBase64"].as_str() {
            let protobuf = STANDARD.decode(protobuf).unwrap();
            tally.check("stored to protobuf", key, same(&codec::encode_protobuf(&shown), &protobuf));
        }
        let back = codec::decode_json(&schema, json.as_bytes(), None).map_err(|error| error.to_string());
        tally.check(
            "json to stored",
            key,
            back.and_then(|back| same(&codec::encode_stored(&back.object, &storage_kind, encoding), &stored)),
        );
    }
    println!("{custom} custom resources left out");
    tally.finish();
}
