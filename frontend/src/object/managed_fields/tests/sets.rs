use proptest::prelude::*;

use super::{
    super::{
        element::{Element, Scalar},
        set::{Node, path_text},
    },
    *,
};

#[test]
fn a_set_is_written_as_it_was_read() {
    for json in [
        r#"{}"#,
        r#"{"f:data":{"f:a":{}}}"#,
        r#"{"f:data":{".":{},"f:a":{}},"f:metadata":{"f:labels":{"f:x.y/z":{}}}}"#,
        r#"{"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}}"#,
        r#"{"f:metadata":{"f:finalizers":{"v:\"a\\u003cb\"":{}}},"f:x":{"i:0":{},"i:11":{}}}"#,
        r#"{"f:data":{"f:a\"b":{},"f:ä":{}}}"#,
        r#"{"f:l":{"v:1":{},"v:1.5":{},"v:\"1\"":{},"v:true":{},"v:null":{}}}"#,
    ] {
        let set = Set::from_json(json.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(set.to_json()).unwrap(), json);
    }
}

#[test]
fn a_set_in_any_order_is_sorted_and_what_is_not_known_is_left_out() {
    let set =
        Set::from_json(br#" {"f:b": {}, "f:a" : {"f:c":{}, ".":{"x":[1]}}, "z:new":{"f:q":{}}, "f:b":{"f:d":null}} "#);
    let expected = r#"{"f:a":{".":{},"f:c":{}},"f:b":{".":{},"f:d":{}}}"#;
    assert_eq!(String::from_utf8(set.unwrap().to_json()).unwrap(), expected);
}

#[test]
fn a_broken_set_is_refused() {
    for json in ["", "[]", "{", r#"{"x":{}}"#, r#"{"f":{}}"#, r#"{"k:x":{}}"#, r#"{"i:x":{}}"#, r#"{"f:a":1}"#, "{}x"] {
        assert!(Set::from_json(json.as_bytes()).is_err(), "{json}");
    }
    let deep = format!("{}{}", r#"{"f:a":"#.repeat(600), "}".repeat(600));
    assert!(Set::from_json(deep.as_bytes()).is_err());
}

#[test]
fn paths_are_shown_as_in_conflicts() {
    let json = br#"{"f:spec":{"f:l":{"k:{\"name\":\"a\",\"port\":1}":{"f:x":{}},"v:\"q\"":{},"i:3":{}}},"f:a":{".":{},"f:b":{}}}"#;
    let mut paths = Vec::new();
    Set::from_json(json).unwrap().each_path(&mut |path| paths.push(path_text(path)));
    assert_eq!(paths, [".a", ".a.b", r#".spec.l[="q"]"#, ".spec.l[3]", r#".spec.l[name="a",port=1].x"#]);
}

fn element() -> impl Strategy<Value = Element<'static>> {
    prop_oneof![
        "[ab<\"]{1,2}".prop_map(Element::field),
        (0i64..3).prop_map(|number| Element::Value(Scalar::Int(number))),
        "[ab]".prop_map(|text| Element::Value(Scalar::Str(text.into()))),
        "[ab]".prop_map(|text| Element::Key(vec![("name".into(), Scalar::Str(text.into()))])),
        (0i64..3).prop_map(Element::Index),
    ]
}

fn set() -> impl Strategy<Value = Set<'static>> {
    let leaf = Just(Set::default());
    leaf.prop_recursive(3, 24, 3, |below| {
        proptest::collection::vec((element(), any::<bool>(), below), 0..4).prop_map(|nodes| {
            Set::of(nodes.into_iter().map(|(element, member, children)| Node { element, member, children }).collect())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(set in set()) {
        let json = set.to_json();
        prop_assert_eq!(Set::from_json(&json).unwrap(), set);
    }

    #[test]
    fn sets_follow_the_laws_of_sets(a in set(), b in set()) {
        let union = a.clone().union(b.clone());
        prop_assert_eq!(&union, &b.clone().union(a.clone()));
        prop_assert_eq!(&union.intersection(&a), &a);
        prop_assert_eq!(a.difference(&b).union(a.intersection(&b)), a.clone());
        prop_assert!(!a.difference(&b).intersects(&b));
        prop_assert_eq!(a.intersects(&b), !a.intersection(&b).is_empty());
        prop_assert!(a.clone().recursive_difference(&a).is_empty());
        prop_assert_eq!(a.difference(&Set::default()), a);
    }
}
