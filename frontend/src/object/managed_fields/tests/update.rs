use super::*;

const CONFIG_MAP: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"l":"1"}},"data":{"k":"v"}}"#;

/// Changes an object as a client of that name would.
fn changed(name: &str, live: &Object, json: &str) -> Object {
    let mut new = object(json);
    FieldManager { now: LATER, ..by(name) }.update(Some(live), &mut new);
    new
}

#[test]
fn who_creates_owns_what_it_wrote_and_what_defaults_added() {
    for (json, fields) in [
        (CONFIG_MAP, r#"{"f:data":{".":{},"f:k":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#),
        (
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":80}],"selector":{"a":"b"}}}"#,
            concat!(
                r#"{"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":"#,
                r#"{".":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}"#
            ),
        ),
        (
            concat!(
                r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","finalizers":["b/a","b/c"],"#,
                r#""ownerReferences":[{"apiVersion":"v1","kind":"K","name":"n","uid":"u"}]},"type":"Opaque","data":{"x":"AA=="}}"#
            ),
            concat!(
                r#"{"f:data":{".":{},"f:x":{}},"f:metadata":{"f:finalizers":{".":{},"v:\"b/a\"":{},"v:\"b/c\"":{}},"#,
                r#""f:ownerReferences":{".":{},"k:{\"uid\":\"u\"}":{}}},"f:type":{}}"#
            ),
        ),
    ] {
        assert_eq!(owners(&created("me", json)), format!("me Update {fields}"));
    }
}

#[test]
fn an_update_takes_what_it_changes_and_nothing_else() {
    let live = created("one", CONFIG_MAP);
    let new = changed(
        "two",
        &live,
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"l":"1"}},"data":{"k":"w","n":"1"}}"#,
    );
    assert_eq!(
        owners(&new),
        concat!(
            r#"one Update {"f:data":{},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#,
            "\n",
            r#"two Update {"f:data":{"f:k":{},"f:n":{}}}"#
        )
    );
    let same = changed("three", &new, &json_of(&new));
    assert_eq!(managers::entries(&same), managers::entries(&new), "a write without a change leaves all as it was");
    let less = changed("two", &new, r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#);
    assert_eq!(owners(&less), "", "who owns nothing any more has no entry");
}

#[test]
fn entries_may_be_sent_reset_or_broken() {
    let live = created("one", CONFIG_MAP);
    let with = |entries: &str| {
        changed("two", &live, &CONFIG_MAP.replace(r#""name":"a""#, &format!(r#""name":"a","managedFields":{entries}"#)))
    };
    let kept = owners(&live);
    assert_eq!(owners(&with("[{}]")), "");
    assert_eq!(owners(&with("[]")), "");
    assert_eq!(owners(&with(r#"[{"manager":"x","operation":"Nothing"}]"#)), kept);
    let sent = r#"[{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:k":{}}}}]"#;
    assert_eq!(owners(&with(sent)), r#"x Update {"f:data":{"f:k":{}}}"#);
    let untracked = object(CONFIG_MAP);
    assert_eq!(
        owners(&changed("two", &untracked, &CONFIG_MAP.replace(r#""v""#, r#""w""#))),
        "",
        "who began without goes on without"
    );
}

#[test]
fn an_endpoint_gives_nothing_that_it_resets() {
    let deployment = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","labels":{"a":"b"}},"spec":{"podCIDR":"1.2.3.0/24"},"status":{"phase":"Running"}}"#;
    let live = created("one", r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"n"}}"#);
    for (reset, fields) in [
        (
            Reset(&[&["status"]]),
            r#"{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:podCIDR":{},"f:podCIDRs":{".":{},"v:\"1.2.3.0/24\"":{}}}}"#,
        ),
        (Reset(&[&["spec"], &["metadata", "labels"]]), r#"{"f:status":{"f:phase":{}}}"#),
    ] {
        let mut new = object(deployment);
        FieldManager { reset, ..by("two") }.update(None, &mut new);
        assert_eq!(owners(&new), format!("two Update {fields}"));
    }
    assert_eq!(owners(&live), "", "an object without anything of its own has no owner");
}

#[test]
fn the_oldest_of_many_updaters_become_one() {
    let mut live = created("m0", CONFIG_MAP);
    for round in 1..=11 {
        let mut new = live.clone();
        new.set(&["data", &format!("k{round}")], "v");
        let now = format!("2026-01-02T03:05:{round:02}Z");
        FieldManager { now: &now, ..by(&format!("m{round}")) }.update(Some(&live), &mut new);
        live = new;
    }
    let owners = owners(&live);
    assert_eq!(owners.lines().count(), 10);
    assert!(owners.contains(r#"ancient-changes Update {"f:data":{".":{},"f:k":{},"f:k1":{},"f:k2":{}}"#), "{owners}");
}

#[test]
fn only_a_new_time_is_no_change() {
    let old = created("one", CONFIG_MAP);
    let mut new = object(CONFIG_MAP);
    FieldManager { now: LATER, ..by("one") }.update(None, &mut new);
    assert_ne!(new, old);
    keep_times(&mut new, &old, |_, _| false);
    assert_ne!(new, old);
    keep_times(&mut new, &old, |_, _| true);
    assert_eq!(new, old);
}

#[test]
fn the_scale_of_a_workload_shows_who_owns_its_replicas() {
    let live =
        created("one", r#"{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"a"},"spec":{"replicas":1}}"#);
    let metadata = metadata_of(live.root()).unwrap();
    let path = |_: &str| ReplicasPath::At(&["spec", "replicas"]);
    let parent = managers::entries(&live).unwrap();
    let Some(Value::List(scale)) = entries_of_scale(parent, &path, metadata).unwrap() else { panic!("no entries") };
    assert_eq!(scale[0].child("apiVersion").and_then(Value::as_str), Some("autoscaling/v1"));
    assert_eq!(scale[0].child("fieldsV1").and_then(Value::as_bytes), Some(&br#"{"f:spec":{"f:replicas":{}}}"#[..]));
    let mut scaled = live.clone();
    let after = entries_of_parent(parent, &[], "apps/v1", &path, metadata).unwrap();
    scaled.set(&PATH, after.unwrap());
    assert!(!owners(&scaled).contains("f:replicas"), "taken by the scale: {}", owners(&scaled));
}
