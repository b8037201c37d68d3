//! Patches as data: a document, a patch, and the document that comes out.

use serde_json::{Value, json};

use super::{FieldMerge, JsonPatch, MergeInfo, PatchError, merge_patch, strategic_merge};

fn json_patch(document: Value, patch: Value) -> Result<Value, PatchError> {
    JsonPatch::from_value(patch)?.apply(&document)
}

#[test]
fn json_patch_operations_apply_in_order() {
    let document = json!({"a": {"b": "1", "l": [1, 2]}, "c": "2"});
    let patch = json!([
        {"op": "test", "path": "/a/b", "value": "1"},
        {"op": "add", "path": "/a/l/-", "value": 3},
        {"op": "add", "path": "/a/l/0", "value": 0},
        {"op": "remove", "path": "/a/l/-1"},
        {"op": "move", "from": "/c", "path": "/d"},
        {"op": "copy", "from": "/a/b", "path": "/e~1f"},
        {"op": "replace", "path": "/a/new", "value": true},
    ]);
    let expected = json!({"a": {"b": "1", "l": [0, 1, 2], "new": true}, "d": "2", "e/f": "1"});
    assert_eq!(json_patch(document, patch), Ok(expected));
}

#[test]
fn json_patches_that_do_not_fit_change_nothing() {
    for patch in [
        json!([{"op": "test", "path": "/a", "value": "2"}]),
        json!([{"op": "remove", "path": "/x"}]),
        json!([{"op": "add", "path": "/x/y/z", "value": 1}]),
        json!([{"op": "swap", "path": "/a"}]),
        json!([{"path": "/a"}]),
        json!([{"op": "remove", "path": ""}]),
    ] {
        let refused = json_patch(json!({"a": "1"}), patch.clone());
        assert!(matches!(refused, Err(PatchError::DoesNotApply(_))), "{patch}: {refused:?}");
    }
    assert_eq!(
        json_patch(json!({}), json!({"op": "add"})),
        Err(PatchError::Malformed(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp".into()
        ))
    );
}

#[test]
fn a_copy_is_in_the_order_that_the_way_to_its_place_left() {
    let document = json!({"m": {"z": 1, "a": 2}, "n": {"z": 1, "a": 2}});
    let into_itself = json_patch(document.clone(), json!([{"op": "copy", "from": "/m", "path": "/m/k"}])).unwrap();
    assert_eq!(into_itself.to_string(), r#"{"m":{"a":2,"k":{"a":2,"z":1},"z":1},"n":{"z":1,"a":2}}"#);
    let beside = json_patch(document, json!([{"op": "copy", "from": "/m", "path": "/o"}])).unwrap();
    assert_eq!(beside.to_string(), r#"{"m":{"z":1,"a":2},"n":{"z":1,"a":2},"o":{"z":1,"a":2}}"#);
}

#[test]
fn copies_have_a_bound() {
    let copy = |at: usize| json!({"op": "copy", "from": "/a", "path": format!("/b{at}")});
    let document = json!({"a": "x".repeat(1024 * 1024 - 2)});
    let patched = json_patch(document.clone(), (0..3).map(copy).collect());
    assert!(patched.is_ok());
    let refused = json_patch(document, (0..4).map(copy).collect());
    assert!(matches!(refused, Err(PatchError::DoesNotApply(_))));
}

#[test]
fn merge_patch_removes_nulls_and_sorts_what_it_touches() {
    let mut document = json!({"b": {"z": 1, "a": 2}, "a": [1], "n": {"x": 1}});
    let patch = json!({"b": {"z": null, "c": {"d": null, "e": [null]}}, "a": [2], "n": null});
    merge_patch(document.as_object_mut().expect("object"), patch.as_object().expect("object").clone());
    assert_eq!(document.to_string(), r#"{"a":[2],"b":{"a":2,"c":{"e":[null]}}}"#);
}

/// A small pod: containers by name with ports by containerPort, finalizers a set, tolerations atomic.
#[derive(Clone, Copy)]
struct Pod;

impl MergeInfo for Pod {
    fn field(&self, name: &str) -> Result<FieldMerge<Pod>, String> {
        let (merge, merge_key) = match name {
            "containers" => (true, "name"),
            "ports" => (true, "containerPort"),
            "finalizers" => (true, ""),
            "tolerations" | "strategy" | "metadata" => (false, ""),
            _ => return Err(format!("no field {name}")),
        };
        Ok(FieldMerge { merge, replace: false, merge_key: merge_key.to_owned(), inner: Pod })
    }
}

fn strategic(document: Value, patch: Value) -> Result<Value, PatchError> {
    let map = |v: Value| v.as_object().expect("object").clone();
    strategic_merge(map(document), map(patch), &Pod).map(Value::Object)
}

#[test]
fn strategic_merge_keys_lists_and_obeys_directives() {
    let containers =
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "ports": [{"containerPort": 1}]}]});
    let cases = [
        (
            json!({"containers": [{"name": "c"}, {"name": "a", "image": "2"}]}),
            json!({"containers": [{"name": "c"}, {"name": "a", "image": "2"}, {"name": "b", "ports": [{"containerPort": 1}]}]}),
        ),
        (
            json!({"containers": [{"name": "a", "$patch": "delete"}]}),
            json!({"containers": [{"name": "b", "ports": [{"containerPort": 1}]}]}),
        ),
        (json!({"containers": [{"$patch": "replace"}, {"name": "z"}]}), json!({"containers": [{"name": "z"}]})),
        (
            json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "image": null}]}),
            json!({"containers": [{"name": "b", "ports": [{"containerPort": 1}]}, {"name": "a"}]}),
        ),
        (json!({"$patch": "delete"}), json!({})),
        (json!({"$retainKeys": ["tolerations"], "tolerations": [1]}), json!({"tolerations": [1]})),
    ];
    for (patch, expected) in cases {
        assert_eq!(strategic(containers.clone(), patch.clone()), Ok(expected), "{patch}");
    }
    let set = json!({"finalizers": ["a", "b"]});
    assert_eq!(strategic(set.clone(), json!({"finalizers": ["c"]})), Ok(json!({"finalizers": ["c", "a", "b"]})));
    assert_eq!(strategic(set, json!({"$deleteFromPrimitiveList/finalizers": ["a"]})), Ok(json!({"finalizers": ["b"]})));
}

#[test]
fn bad_strategic_directives_are_named() {
    let document = json!({"containers": [{"name": "a"}]});
    let text = |patch| strategic(document.clone(), patch).expect_err("refused").to_string();
    assert_eq!(
        text(json!({"containers": [{"image": "x"}]})),
        "map: map[image:x] does not contain declared merge key: name"
    );
    assert_eq!(
        text(json!({"containers": [{"name": "z", "$patch": "explode"}]})),
        "unknown patch type: explode in map: map[$patch:explode name:z]"
    );
    assert_eq!(text(json!({"$retainKeys": ["a"], "b": 1})), "invalid patch format of retainKeys");
    assert_eq!(
        text(json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "c"}]})),
        "The order in patch list:\n[map[name:c]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n"
    );
    assert_eq!(text(json!({"$setElementOrder/containers": "x"})), "expected a []interface {}, but received a string");
    assert_eq!(
        text(json!({"$setElementOrder/tolerations": [], "tolerations": [{"a": 1}, "x"]})),
        "list element types are not identical: [[] [map[a:1] x]]"
    );
    assert_eq!(
        text(json!({"$deleteFromPrimitiveList/containers": ["a"]})),
        "list element types are not identical: [[map[name:a]] [a]]"
    );
}
