//! Random schemas, and random objects before and after changes, with what a kube-apiserver 1.35 says of each. Recorded
//! from one; a line is a schema of `spec`, or an object of the schema above it. RECORDED_CUSTOM names a larger file
//! than the one that is kept here.

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Value, json};

use super::{
    Options,
    custom::{Rules, validate_create, validate_update},
    validate_create as validate_definition,
};
use crate::{
    api::{
        Api,
        custom::{Definition, api_with},
        schema::{Object, Schema, apply_defaults, codec},
    },
    request::status::FieldError,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/object/validation/testdata/custom.jsonl");

fn decode(schema: &Schema, json: &Value) -> Object {
    let mut object = codec::decode_json(schema, json.to_string().as_bytes(), None).unwrap().object;
    apply_defaults(&mut object);
    object
}

fn definition(spec: &Value) -> Object {
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    let names = json!({"plural": "as", "singular": "a", "kind": "A", "listKind": "AList"});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "as.x.io"},
        "spec": {"group": "x.io", "scope": "Cluster", "names": names,
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]},
        "status": {"acceptedNames": names, "storedVersions": ["v1"],
            "conditions": [{"type": "Established", "status": "True"}]},
    });
    decode(&Schema::builtin(), &definition)
}

fn object(api: &Api, spec: &Value) -> Object {
    let mut json = json!({"apiVersion": "x.io/v1", "kind": "A", "metadata": {"name": "a", "resourceVersion": "1"}});
    if !spec.is_null() {
        json["spec"] = spec.clone();
    }
    decode(&api.schema, &json)
}

/// Fields and words, sorted.
fn causes(errors: &[FieldError]) -> Value {
    let field = |error: &FieldError| error.field.replace("spec.validation.openAPIV3Schema", "");
    let mut all: Vec<(String, String)> =
        errors.iter().map(|error| (field(error), of_any_type(&error.body()))).collect();
    all.sort();
    json!(all)
}

/// The type of an expression's `self` has a name by chance in the original.
fn of_any_type(text: &str) -> String {
    let mut parts = text.split("selfType");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '@'));
        let _ = write!(out, "selfType{rest}");
    }
    out
}

#[test]
fn random_schemas_and_objects_are_validated_in_the_words_of_the_original() {
    let larger = std::env::var("RECORDED_CUSTOM").ok();
    let lines = std::fs::read_to_string(larger.as_deref().unwrap_or(FILE)).unwrap();
    let (mut different, mut all) = (Vec::new(), 0);
    let mut served: Option<(Arc<Definition>, Api)> = None;
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let errors = if case["schema"].is_object() {
            let object = definition(&case["schema"]);
            served = Definition::read(&object).map(|read| {
                let read = Arc::new(read);
                (Arc::clone(&read), api_with([read]))
            });
            validate_definition(
                ("apiextensions.k8s.io", "customresourcedefinitions"),
                false,
                &object,
                Options::default(),
            )
        } else {
            let (definition, api) = served.as_ref().unwrap();
            let version = definition.version("v1").unwrap();
            let rules = Rules { namespaced: false, schema: &version.schema, scale: None, rules: version.rules() };
            let new = object(api, &case["new"]);
            let verdict = match case.get("old") {
                None => validate_create(&new, rules),
                Some(old) => validate_update(&new, &object(api, old), "", rules),
            };
            verdict.errors
        };
        all += 1;
        let told = causes(&errors);
        if told != case["causes"] {
            different.push(format!("{line}\n  said {told}"));
        }
    }
    if larger.is_some() {
        println!("{} of {all} differ\n{}", different.len(), different.join("\n"));
        assert!(different.len() * 50 <= all, "less than 98 % agree");
    } else {
        assert!(different.is_empty(), "{} of {all} differ\n{}", different.len(), different.join("\n"));
    }
}
