//! New objects that a kube-apiserver 1.35 refuses, a few of every kind, with what it says of them and in which order.
//! Recorded from one; one object a line.

use super::{Options, validate_create};
use crate::api::schema::{Schema, apply_defaults, codec};

const FILE: &str = "src/object/validation/testdata/refused.jsonl";

#[test]
fn objects_are_refused_in_the_words_and_the_order_of_the_original() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let lines = std::fs::read_to_string(path).unwrap();
    let mut different = Vec::new();
    for line in lines.lines() {
        let refused: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| refused[name].as_str().unwrap_or_default();
        let json = refused["object"].to_string();
        let mut object = codec::decode_json(&Schema::builtin(), json.as_bytes(), None).unwrap().object;
        apply_defaults(&mut object);
        let errors = {
            let row = (text("group"), text("plural"));
            let namespaced = refused["namespaced"].as_bool() == Some(true);
            validate_create(row, namespaced, &object, Options { allow_privileged: true })
        };
        let told: serde_json::Value =
            errors.iter().map(|error| serde_json::json!([error.field, error.body()])).collect();
        if told != refused["causes"] {
            different.push(format!("{line}\n  said {told}"));
        }
    }
    assert!(different.is_empty(), "{} differ\n{}", different.len(), different.join("\n"));
}
