use proptest::prelude::*;

use super::{super::updater::Tree, *};

fn config_map(data: &str) -> String {
    format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"a"}},"data":{data}}}"#)
}

#[test]
fn what_is_applied_is_owned_shared_given_up_and_removed() {
    let first = applied("one", None, &config_map(r#"{"a":"1","b":"1"}"#)).unwrap();
    assert_eq!(owners(&first), r#"one Apply {"f:data":{"f:a":{},"f:b":{}}}"#);
    let shared = applied("two", Some(&first), &config_map(r#"{"a":"1","c":"1"}"#)).unwrap();
    assert_eq!(
        owners(&shared),
        concat!(r#"one Apply {"f:data":{"f:a":{},"f:b":{}}}"#, "\n", r#"two Apply {"f:data":{"f:a":{},"f:c":{}}}"#)
    );
    let less = applied("one", Some(&shared), &config_map(r#"{}"#)).unwrap();
    assert_eq!(json_of(&less), config_map_json(r#"{"a":"1","c":"1"}"#), "b had one owner, a has another");
}

fn config_map_json(data: &str) -> String {
    format!(r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"a"}},"data":{data}}}"#)
}

#[test]
fn conflicts_name_the_others_and_what_they_own() {
    let live = created("up", &config_map(r#"{"a":"1"}"#));
    let refused = applied("me", Some(&live), &config_map(r#"{"a":"2"}"#)).unwrap_err();
    assert_eq!(refused.to_string(), r#"Apply failed with 1 conflict: conflict with "up" using v1: .data.a"#);
    let live = applied("other", Some(&live), &config_map(r#"{"b":"1","c":"1"}"#)).unwrap();
    let refused = applied("me", Some(&live), &config_map(r#"{"a":"2","b":"2","c":"2"}"#)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 3 conflicts: conflicts with \"other\":\n- .data.b\n- .data.c\nconflicts with \"up\" using v1:\n- .data.a"
    );
    let config = config(&config_map(r#"{"a":"2","b":"2"}"#));
    let forced = by("me").apply(live.ty(), Some(&live), &config, true).unwrap();
    assert_eq!(
        owners(&forced),
        concat!(
            r#"me Apply {"f:data":{"f:a":{},"f:b":{}}}"#,
            "\n",
            r#"other Apply {"f:data":{"f:c":{}}}"#,
            "\n",
            r#"up Update {"f:data":{}}"#
        )
    );
}

#[test]
fn a_configuration_that_does_not_fit_is_refused() {
    for (json, text) in [
        (r#"{"apiVersion":"v1","kind":"Secret"}"#, "invalid object type: /v1, Kind=Secret"),
        (r#"{"apiVersion":"a/v1","kind":"ConfigMap"}"#, "invalid object type: a/v1, Kind=ConfigMap"),
        (r#"{}"#, "invalid object type: /, Kind="),
        (
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"managedFields":[]}}"#,
            "metadata.managedFields must be nil",
        ),
        (
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"x":1}"#,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .x: field not declared in schema",
        ),
        (
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":1,"b":true}}"#,
            concat!(
                "failed to create typed patch object (/a; /v1, Kind=ConfigMap): errors:\n",
                "  .data.a: expected string, got &value.valueUnstructured{Value:1}\n",
                "  .data.b: expected string, got &value.valueUnstructured{Value:true}"
            ),
        ),
        (
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"finalizers":["a","a"]}}"#,
            "failed to create typed patch object (/; /v1, Kind=ConfigMap): .metadata.finalizers: duplicate entries for key [=\"a\"]",
        ),
    ] {
        let kind = Schema::builtin().kind("", "v1", "ConfigMap").unwrap();
        let refused = by("me").apply(&kind, None, &config(json), false).unwrap_err();
        assert_eq!(refused.to_string(), text);
    }
}

#[test]
fn items_of_lists_merge_by_their_keys_and_keep_an_order() {
    let ports = |ports: &str| {
        format!(r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"s"}},"spec":{{"ports":[{ports}]}}}}"#)
    };
    let live =
        applied("one", None, &ports(r#"{"name":"a","port":1},{"name":"b","port":2},{"name":"c","port":3}"#)).unwrap();
    for (config, names) in [
        (r#"{"name":"d","port":4}"#, "a b c d"),
        (r#"{"name":"c","port":3},{"name":"a","port":1}"#, "b c a"),
        (r#"{"name":"d","port":4},{"name":"b","port":2}"#, "a d b c"),
        (r#"{"name":"b","port":2,"protocol":"TCP"}"#, "a b c"),
    ] {
        let merged = applied("two", Some(&live), &ports(config)).unwrap();
        let items = merged.get_list(&["spec", "ports"]).unwrap();
        let found: Vec<&str> = items.iter().filter_map(|item| item.child("name")?.as_str()).collect();
        assert_eq!(found.join(" "), names);
    }
}

#[test]
fn what_was_there_before_the_first_apply_is_owned_by_nobody_known() {
    let untracked = object(&config_map(r#"{"a":"1"}"#));
    let after = applied("one", Some(&untracked), &config_map(r#"{"b":"1"}"#)).unwrap();
    assert_eq!(
        owners(&after),
        concat!(
            r#"one Apply {"f:data":{"f:b":{}}}"#,
            "\n",
            r#"before-first-apply Update {"f:data":{".":{},"f:a":{}}}"#
        )
    );
}

#[test]
fn kubectl_comes_over_from_its_own_annotation() {
    let text = r#"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},\"data\":{\"a\":\"1\"}}"#;
    let annotated = |data: &str| {
        let annotations = format!(r#""kubectl.kubernetes.io/last-applied-configuration":"{text}""#);
        config_map(data).replace(r#""name":"a""#, &format!(r#""name":"a","annotations":{{{annotations}}}"#))
    };
    let live = created("kubectl-client-side-apply", &annotated(r#"{"a":"1","b":"1"}"#));
    let applied_here = applied("kubectl", Some(&live), &config_map(r#"{"a":"2"}"#)).unwrap();
    assert!(
        applied_here.annotations().any(|(_, value)| value
            .ends_with("\"data\":{\"a\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n")
            || value.contains("\"a\":\"2\"")),
        "{}",
        json_of(&applied_here)
    );
    let refused = applied("kubectl", Some(&live), &config_map(r#"{"a":"2","b":"2"}"#)).unwrap_err();
    assert!(refused.to_string().ends_with("using v1: .data.b"), "only what the annotation does not name: {refused}");
    assert!(applied("somebody", Some(&live), &config_map(r#"{"a":"2"}"#)).is_err());
}

fn data() -> impl Strategy<Value = String> {
    proptest::collection::btree_map("[abc]", "[12]", 0..3).prop_map(|map| {
        let entries: Vec<String> = map.iter().map(|(key, value)| format!(r#""{key}":"{value}""#)).collect();
        config_map(&format!("{{{}}}", entries.join(",")))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(2), ..ProptestConfig::default() })]

    #[test]
    fn applying_twice_is_applying_once_and_no_field_is_without_owner(
        writes in proptest::collection::vec((0usize..3, any::<bool>(), data()), 1..6)
    ) {
        let mut live: Option<Object> = None;
        for (who, is_apply, json) in writes {
            let name = ["x", "y", "z"][who];
            let kind = Schema::builtin().kind("", "v1", "ConfigMap").unwrap();
            let next = if is_apply {
                let config = config(&json);
                let once = by(name).apply(&kind, live.as_ref(), &config, true).unwrap();
                let twice = by(name).apply(&kind, Some(&once), &config, true).unwrap();
                prop_assert_eq!((json_of(&once), owners(&once)), (json_of(&twice), owners(&twice)));
                for (key, value) in config.at(&["data"]).and_then(Value::as_map).unwrap().iter() {
                    prop_assert_eq!(once.get(&["data", key]), Some(value), "what is applied is there");
                }
                once
            } else {
                let mut new = object(&json);
                by(name).update(live.as_ref(), &mut new);
                new
            };
            let all = managers::decode(managers::entries(&next).unwrap_or_default()).unwrap();
            let owned = all.into_iter().fold(Set::default(), |union, manager| union.union(manager.set));
            let tree = Tree::of(&next);
            let fields = never_owned(tree.field_set().unwrap());
            // Who began without entries goes on without.
            if owned.is_empty() {
                live = Some(next);
                continue;
            }
            let unowned = fields.difference(&owned).without_path(&["metadata", "managedFields"]).without_path(&["data"]);
            prop_assert!(unowned.is_empty(), "nobody owns {:?}", String::from_utf8(unowned.to_json()));
            live = Some(next);
        }
    }
}
