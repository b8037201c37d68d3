//! Round trips of recorded objects of a real kube-apiserver. The recordings are no part of this project: run with
//! `KUBERNETES_EVIDENCE=<folder> cargo test -p frontend --test schema_evidence -- --ignored --nocapture`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::PathBuf,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use frontend::api::schema::{
    Gvk, Schema, StructDef, StructRef, apply_defaults,
    codec::{self, StorageEncoding},
    convert,
};

fn evidence(name: &str) -> PathBuf {
    let folder = std::env::var_os("KUBERNETES_EVIDENCE").expect("KUBERNETES_EVIDENCE names the folder of recordings");
    PathBuf::from(folder).join(name)
}

fn json_of(object: &frontend::api::schema::Object) -> Vec<u8> {
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
        self.finish_allowing(&[]);
    }

    /// What differs for a known reason: the check's name, how many at most, why.
    fn finish_allowing(self, allowed: &[(&str, usize, &str)]) {
        for (what, reasons) in &self.failed {
            for reason in reasons.iter().take(20) {
                println!("FAIL {what} {reason}");
            }
        }
        let mut unexplained = Vec::new();
        for what in self.passed.keys().chain(self.failed.keys()).collect::<BTreeSet<_>>() {
            let failed = self.failed.get(what).map_or(0, Vec::len);
            let allowance = allowed.iter().find(|(name, ..)| name == what);
            let reason = allowance.map_or(String::new(), |(_, most, why)| format!(" (at most {most}: {why})"));
            println!("{what}: {} passed, {failed} failed{reason}", self.passed.get(what).unwrap_or(&0));
            if failed > allowance.map_or(0, |(_, most, _)| *most) {
                unexplained.push(*what);
            }
        }
        assert!(unexplained.is_empty(), "{unexplained:?}");
    }
}

fn same(got: &[u8], want: &[u8]) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(difference(got, want)) }
}

/// "core.v1.Pod", "rbac.authorization.k8s.io.v1.Role"
fn kind_of_name(name: &str) -> Gvk {
    let (rest, kind) = name.rsplit_once('.').unwrap();
    let (group, version) = rest.rsplit_once('.').unwrap();
    Gvk::new(if group == "core" { "" } else { group }, version, kind)
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
    // Frames of a watch are bare messages without kind.
    names.retain(|name| !name.ends_with(".WatchEvent"));
    for name in names {
        let read = |extension: &str| std::fs::read(folder.join(format!("{name}.{extension}"))).unwrap();
        let (pretty_json, protobuf, yaml) = (read("json"), read("pb"), read("yaml"));
        // Embedded raw objects keep their white space, which the protobuf form does not have.
        let json: serde_json::Value = serde_json::from_slice(&pretty_json).unwrap();
        let json = json.to_string().into_bytes();
        let default = kind_of_name(&name);
        let decoded = codec::decode_json(&schema, &json, Some(&default)).map_err(|error| error.to_string());
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
        tally.check("json to json", &name, same(pretty.trim_ascii_end(), pretty_json.trim_ascii_end()));
        tally.check("json to protobuf", &name, same(&codec::encode_protobuf(&decoded.object), &protobuf));
        let from_protobuf = codec::decode_protobuf(&schema, &protobuf, None).map_err(|error| error.to_string());
        tally.check(
            "protobuf to json",
            &name,
            from_protobuf.and_then(|decoded| {
                let mut pretty = Vec::new();
                codec::encode_json_pretty(&decoded.object, &mut pretty);
                same(pretty.trim_ascii_end(), pretty_json.trim_ascii_end())
            }),
        );
        let from_yaml = codec::decode_yaml(&schema, &yaml, Some(&default)).map_err(|error| error.to_string());
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
        let mut filled = object.clone();
        apply_defaults(&mut filled);
        let stored = codec::encode_stored(&filled, &storage_kind, encoding);
        let mut shown = convert(&filled, &served);
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
    let on_read = "a service's policy that the server's registry hides on read";
    tally.finish_allowing(&[
        ("stored to json", 1, on_read),
        ("stored to protobuf", 1, on_read),
        ("json to stored", 1, on_read),
    ]);
}

/// Applies one mutation of a case to a request body. A key that is to stand twice is marked until the text is made.
fn mutate(body: &mut serde_json::Value, mutation: &serde_json::Value) -> Option<()> {
    let pointer = mutation[1].as_str()?;
    let (parent, name) = pointer.rsplit_once('/')?;
    let name = name.replace("~1", "/").replace("~0", "~");
    let value = mutation.get(2).cloned().unwrap_or_default();
    if mutation[0] == "app" {
        body.pointer_mut(pointer)?.as_array_mut()?.push(value);
        return Some(());
    }
    match (mutation[0].as_str()?, body.pointer_mut(parent)?) {
        ("set", serde_json::Value::Object(map)) => drop(map.insert(name, value)),
        ("set", serde_json::Value::Array(items)) => match name.parse::<usize>().ok() {
            Some(at) if at < items.len() => items[at] = value,
            _ => items.push(value),
        },
        ("rm", serde_json::Value::Object(map)) => drop(map.shift_remove(&name)),
        ("rm", serde_json::Value::Array(items)) => drop(items.remove(name.parse().ok()?)),
        ("dup", serde_json::Value::Object(map)) => drop(map.insert(format!("{name}\u{1}"), value)),
        _ => return None,
    }
    Some(())
}

#[test]
#[ignore = "needs recordings of a real kube-apiserver (KUBERNETES_EVIDENCE)"]
fn creates_are_refused_or_filled_alike() {
    let schema = Schema::builtin();
    let seeds: serde_json::Value =
        serde_json::from_slice(&std::fs::read(evidence("oracle-1.35/seeds.json")).unwrap()).unwrap();
    let bodies: BTreeMap<&str, &serde_json::Value> =
        seeds["seeds"].as_array().unwrap().iter().map(|seed| (seed["id"].as_str().unwrap(), &seed["create"])).collect();
    let mut tally = Tally::default();
    let mut names: Vec<_> =
        std::fs::read_dir(evidence("oracle-1.35/cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for name in names {
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(name).unwrap()).read_to_string(&mut text).unwrap();
        for line in text.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            if case["e"] == "create" {
                check_create(&schema, &case, bodies[case["s"].as_str().unwrap()], &mut tally);
            }
        }
    }
    tally.finish_allowing(&[("filled alike", 1018, "admission and creation set and drop fields after defaulting")]);
}

fn check_create(schema: &Schema, case: &serde_json::Value, seed: &serde_json::Value, tally: &mut Tally) {
    let mut body = seed.clone();
    for mutation in case["m"].as_array().unwrap() {
        if mutate(&mut body, mutation).is_none() {
            return;
        }
    }
    let text = body.to_string().replace("\\u0001\"", "\"");
    let mut parts = case["k"].as_str().unwrap().rsplitn(3, '/');
    let (kind, version, group) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(""));
    let default = Gvk::new(group, version, kind);
    if schema.of(&default).is_none() {
        return;
    }
    let id = format!("{} {}", case["id"], case["m"]);
    let decoded = codec::decode_json(schema, text.as_bytes(), Some(&default));
    let message = case["msg"].as_str().unwrap_or_default();
    let refused = case["code"] == 400 && message.contains(" cannot be handled as a ");
    match decoded {
        Err(error) => {
            let got = error.refusal(kind, text.as_bytes());
            tally.check("refused alike", &id, same(got.as_bytes(), message.as_bytes()));
        }
        Ok(decoded) if refused || !decoded.warnings.is_empty() => {
            let got = format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: {}",
                codec::strict_message(&decoded.warnings)
            );
            tally.check("strict alike", &id, same(got.as_bytes(), message.as_bytes()));
        }
        Ok(mut decoded) if case["code"] == 201 => {
            apply_defaults(&mut decoded.object);
            let got: serde_json::Value = serde_json::from_slice(&json_of(&decoded.object)).unwrap();
            check_filled(case, &got, &id, tally);
        }
        Ok(_) => {}
    }
}

/// Each value that the server set must be ours. What creation itself sets or drops is left out.
fn check_filled(case: &serde_json::Value, got: &serde_json::Value, id: &str, tally: &mut Tally) {
    let by_strategy = |pointer: &str| {
        ["/metadata/", "/status", "/spec/clusterIP", "/spec/ipFamil", "/spec/finalizers"]
            .iter()
            .any(|start| pointer.starts_with(start))
    };
    let mut wrong = Vec::new();
    for change in case["d"].as_array().into_iter().flatten() {
        let pointer = change[0].as_str().unwrap();
        if by_strategy(pointer) {
            continue;
        }
        let ours = got.pointer(pointer);
        if ours != change.get(1) && ours.is_none_or(|ours| Some(ours) != change.get(1)) {
            wrong.push(format!("{pointer}: got {ours:?}, want {:?}", change.get(1)));
        }
    }
    let result = if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) };
    tally.check("filled alike", id, result);
}

#[test]
#[ignore = "needs recordings of a real kube-apiserver (KUBERNETES_EVIDENCE); a measurement, run optimised"]
fn speed_on_a_pod() {
    let schema = Schema::builtin();
    let json = std::fs::read(evidence("kubernetes-golden-1.35/core.v1.Pod.json")).unwrap();
    let object = codec::decode_json(&schema, &json, None).unwrap().object;
    let (json, protobuf) = (json_of(&object), codec::encode_protobuf(&object));
    println!("{} bytes of JSON, {} of protobuf", json.len(), protobuf.len());
    let measure = |what: &str, work: &dyn Fn()| {
        const ROUNDS: u32 = 2000;
        (0..ROUNDS / 4).for_each(|_| work());
        let start = std::time::Instant::now();
        (0..ROUNDS).for_each(|_| work());
        println!("{what}: {:.1} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
    };
    measure("decode json", &|| drop(codec::decode_json(&schema, &json, None).unwrap()));
    measure("encode json", &|| drop(json_of(&object)));
    measure("decode protobuf", &|| drop(codec::decode_protobuf(&schema, &protobuf, None).unwrap()));
    measure("encode protobuf", &|| drop(codec::encode_protobuf(&object)));
    measure("defaults", &|| apply_defaults(&mut object.clone()));
    measure("clone", &|| drop(object.clone()));
}

/// "io.k8s.api.core.v1.PodSpec" of a struct.
fn definition_name(def: &StructDef) -> String {
    let package = def.package.replace("apiextensions_apiserver", "apiextensions-apiserver");
    format!("io.k8s.{}.{}", package.replace("kube_aggregator", "kube-aggregator"), def.name)
}

#[test]
#[ignore = "needs recordings of a real kube-apiserver (KUBERNETES_EVIDENCE)"]
fn tables_agree_with_openapi() {
    let mut text = String::new();
    let file = std::fs::File::open(evidence("surfaces-1.35/openapi-v2.json.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let openapi: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut structs: BTreeMap<String, StructRef> = BTreeMap::new();
    let schema = Schema::builtin();
    let mut open: Vec<StructRef> = schema.kinds().map(|kind| kind.root.clone()).collect();
    while let Some(def) = open.pop() {
        if structs.insert(definition_name(&def), def.clone()).is_none() {
            open.extend(def.fields.iter().filter_map(|field| field.struct_ref().cloned()));
        }
    }
    let mut tally = Tally::default();
    for (name, definition) in openapi["definitions"].as_object().unwrap() {
        let Some(def) = structs.get(name) else { continue };
        let properties: BTreeMap<_, _> = definition["properties"].as_object().into_iter().flatten().collect();
        let ours: Vec<_> = def.fields.iter().map(|field| field.name.to_string()).collect();
        let theirs: Vec<_> = properties.keys().map(|name| name.to_string()).collect();
        let mut sorted = ours.clone();
        sorted.sort();
        tally.check("fields", name, equal(&sorted, &theirs));
        let texts = |value: &serde_json::Value| -> Vec<String> {
            let mut texts: Vec<_> =
                value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect();
            texts.sort();
            texts
        };
        let mut required: Vec<_> =
            def.fields.iter().filter(|field| field.required).map(|field| field.name.to_string()).collect();
        required.sort();
        tally.check("required", name, equal(&required, &texts(&definition["required"])));
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        tally.check("struct description", name, equal(&def.doc.to_string(), &text(&definition["description"])));
        for field in def.fields.iter() {
            let Some(property) = properties.get(&field.name.to_string()) else { continue };
            let name = format!("{name}.{}", field.name);
            tally.check("description", &name, equal(&field.doc.to_string(), &text(&property["description"])));
            tally.check(
                "list type",
                &name,
                equal(&field.merge.list_type.to_string(), &text(&property["x-kubernetes-list-type"])),
            );
            tally.check(
                "patch strategy",
                &name,
                equal(&field.merge.patch_strategy.to_string(), &text(&property["x-kubernetes-patch-strategy"])),
            );
            tally.check(
                "merge key",
                &name,
                equal(&field.merge.patch_merge_key.to_string(), &text(&property["x-kubernetes-patch-merge-key"])),
            );
        }
    }
    tally.finish_allowing(&[("description", 84, "the server appends the values of enumerations")]);
}

fn equal<T: PartialEq + std::fmt::Debug>(got: &T, want: &T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("got {got:?}, want {want:?}")) }
}
