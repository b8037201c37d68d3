//! Selectors against what they should match, and bad ones against the wording of the API machinery.

use std::collections::BTreeMap;

use super::{FieldSelector, LabelSelector};

fn label_error(text: &str) -> String {
    LabelSelector::parse(text).expect_err(text).0
}

fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
    let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
    LabelSelector::parse(selector).expect(selector).matches(|key| labels.get(key).copied())
}

#[test]
fn labels_are_matched_by_every_operator() {
    let labels = [("env", "prod"), ("tier", "web"), ("v", "7")];
    for selector in [
        "",
        "env=prod",
        "env==prod",
        "env!=dev",
        "env in (prod,dev)",
        "env notin (dev)",
        "env,tier",
        "!x",
        "v>5",
        "v<8",
        "x notin (a)",
        "x!=a",
        "env in (prod), !x",
        "env=prod,tier!=db",
    ] {
        assert!(matches(selector, &labels), "{selector}");
    }
    for selector in
        ["env=dev", "env in (a,b)", "!env", "x", "v>7", "v<7", "x in (a)", "env notin (prod)", "env=", "env>3"]
    {
        assert!(!matches(selector, &labels), "{selector}");
    }
    assert!(matches("env=", &[("env", "")]));
    assert!(matches("in in (in)", &[("in", "in")]));
    assert!(matches("env in (,prod)", &[("env", "")]));
    assert!(matches("env in ()", &[("env", "")]));
}

#[test]
fn selectors_print_in_canonical_order() {
    let printed = LabelSelector::parse("z, b in (y,x),!c , a==1").expect("valid").to_string();
    assert_eq!(printed, "a==1,b in (x,y),!c,z");
}

#[test]
fn bad_label_selectors_are_refused_in_the_known_words() {
    let cases = [
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("(a)", "found '(', expected: !, identifier, or 'end of string'"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("env prod", "unable to parse requirement: found 'prod', expected: in, notin, =, ==, !=, gt, lt"),
        ("env in prod", "unable to parse requirement: found 'prod' expected: '('"),
        ("env in (a", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("!env=x", "found '=', expected: ',' or 'end of string'"),
    ];
    for (selector, expected) in cases {
        assert_eq!(label_error(selector), expected, "{selector}");
    }
}

#[test]
fn field_selectors_match_and_refuse() {
    let lookup = |field: &str| if field == "metadata.name" { "a,b".to_owned() } else { String::new() };
    assert!(FieldSelector::parse("metadata.name=a\\,b,spec.x=").expect("valid").matches(lookup));
    assert!(!FieldSelector::parse("metadata.name!=a\\,b").expect("valid").matches(lookup));
    assert_eq!(FieldSelector::parse("").expect("valid"), FieldSelector::default());
    assert_eq!(
        FieldSelector::parse("metadata.name").expect_err("no operator").0,
        "invalid selector: 'metadata.name'; can't understand 'metadata.name'"
    );
    assert_eq!(
        FieldSelector::parse("a=b=c").expect_err("unescaped").0,
        "invalid field selector: unescaped character in value: 61"
    );
    assert_eq!(FieldSelector::parse("b!=1,a==\\=").expect("valid").to_string(), "a=\\=,b!=1");
}
