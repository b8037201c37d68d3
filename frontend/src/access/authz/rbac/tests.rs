use serde_json::{Value, json};

use super::*;
use crate::api::{
    Api,
    schema::{Object, codec},
};

fn object(kind: &str, body: Value) -> Arc<Object> {
    let mut document = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind});
    document.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let api = Api::builtin();
    Arc::new(codec::decode_json(&api.schema, document.to_string().as_bytes(), None).unwrap().object)
}

fn role(name: &str, rules: Value) -> Arc<Object> {
    object("ClusterRole", json!({"metadata": {"name": name}, "rules": rules}))
}

fn binding(namespace: &str, name: &str, role: (&str, &str), subjects: Value) -> Arc<Object> {
    let kind = if namespace.is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
    let metadata =
        if namespace.is_empty() { json!({"name": name}) } else { json!({"name": name, "namespace": namespace}) };
    let reference = json!({"apiGroup": GROUP, "kind": role.0, "name": role.1});
    object(kind, json!({"metadata": metadata, "roleRef": reference, "subjects": subjects}))
}

fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.into(), groups: groups.iter().map(|g| (*g).into()).collect(), ..User::default() }
}

/// The namespace `x` of a small cluster.
fn view() -> View {
    let cluster_roles = [
        role(
            "reader",
            json!([{"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods", "*/scale"]}]),
        ),
        role("paths", json!([{"verbs": ["get"], "nonResourceURLs": ["/logs", "/logs/*"]}])),
        role("all", json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}])),
    ];
    let cluster_bindings = [
        binding("", "readers", ("ClusterRole", "reader"), json!([{"kind": "Group", "name": "devs"}])),
        binding("", "paths", ("ClusterRole", "paths"), json!([{"kind": "User", "name": "ann"}])),
        binding("", "lost", ("ClusterRole", "ghost"), json!([{"kind": "User", "name": "mia"}])),
    ];
    let roles = [object(
        "Role",
        json!({"metadata": {"name": "one", "namespace": "x"}, "rules": [
            {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"]},
        ]}),
    )];
    let accounts = json!([{"kind": "ServiceAccount", "name": "near"},
        {"kind": "ServiceAccount", "name": "far", "namespace": "y"}, {"kind": "User", "name": "ann"}]);
    let bindings = [
        binding("x", "one", ("Role", "one"), accounts),
        binding("x", "boss", ("ClusterRole", "all"), json!([{"kind": "User", "name": "boss"}])),
        binding("x", "lost", ("Role", "ghost"), json!([{"kind": "User", "name": "mia"}])),
    ];
    View {
        cluster_wide: Arc::new(Policy::read(&cluster_roles, &cluster_bindings)),
        namespaced: Some(Arc::new(Policy::read(&roles, &bindings))),
    }
}

/// `verb group/resource/subresource name`, or `verb /path`.
fn question(user: User, text: &str) -> Attributes {
    let words: Vec<&str> = text.split(' ').collect();
    if words[1].starts_with('/') && !words[1].starts_with("//") {
        return Attributes { user, verb: words[0].into(), path: words[1].into(), ..Attributes::default() };
    }
    let parts: Vec<&str> = words[1].split('.').collect();
    Attributes {
        user,
        verb: words[0].into(),
        is_resource: true,
        namespace: "x".into(),
        group: parts[0].into(),
        resource: parts[1].into(),
        subresource: parts.get(2).copied().unwrap_or_default().into(),
        name: words.get(2).copied().unwrap_or_default().into(),
        ..Attributes::default()
    }
}

#[test]
fn rules_allow_what_they_name() {
    let view = view();
    let cases = [
        ("dev devs", "get .pods", true),
        ("dev devs", "get .pods.status", false),
        ("dev devs", "get apps.deployments.scale", true),
        ("dev devs", "get batch.jobs.scale", false),
        ("dev devs", "delete .pods", false),
        ("dev", "get .pods", false),
        ("ann", "get /logs", true),
        ("ann", "get /logs/kubelet.log", true),
        ("ann", "get /logsx", false),
        ("ann", "get .configmaps a", true),
        ("ann", "get .configmaps b", false),
        ("ann", "list .configmaps", false),
        ("boss", "delete batch.jobs.status", true),
        ("boss", "get /logs", false),
        ("system:serviceaccount:x:near", "get .configmaps a", true),
        ("system:serviceaccount:y:far", "get .configmaps a", true),
        ("system:serviceaccount:y:near", "get .configmaps a", false),
    ];
    for (who, what, allowed) in cases {
        let (name, groups) = who.split_once(' ').map_or((who, vec![]), |(name, group)| (name, vec![group]));
        let decision = view.decide(&question(user(name, &groups), what));
        assert_eq!(decision.is_allowed(), allowed, "{who}: {what}: {decision:?}");
    }
}

#[test]
fn decisions_say_why() {
    let view = view();
    let reason = |who: User, what: &str| view.decide(&question(who, what)).reason;
    assert_eq!(
        reason(user("dev", &["devs"]), "get .pods"),
        "RBAC: allowed by ClusterRoleBinding \"readers\" of ClusterRole \"reader\" to Group \"devs\""
    );
    assert_eq!(
        reason(user("system:serviceaccount:x:near", &[]), "get .configmaps a"),
        "RBAC: allowed by RoleBinding \"one/x\" of Role \"one\" to ServiceAccount \"near/x\""
    );
    assert_eq!(
        reason(user("mia", &[]), "get .pods"),
        "RBAC: [clusterrole.rbac.authorization.k8s.io \"ghost\" not found, role.rbac.authorization.k8s.io \"ghost\" not found]"
    );
    assert_eq!(reason(user("nobody", &[]), "get .pods"), "");
}

#[test]
fn what_is_missing_is_told_by_verb() {
    let rule = |json: Value| Rule::of_json(&json);
    let owned = [
        rule(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["*"]})),
        rule(json!({"verbs": ["update"], "apiGroups": ["apps"], "resources": ["*/scale"]})),
        rule(json!({"verbs": ["*"], "nonResourceURLs": ["/a*"]})),
        rule(json!({"verbs": ["delete"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["p"]})),
    ];
    let cases = [
        (json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "secrets"]}), vec![]),
        (json!({"verbs": ["update"], "apiGroups": ["apps"], "resources": ["deployments/scale"]}), vec![]),
        (json!({"verbs": ["get"], "nonResourceURLs": ["/a/b", "/a*"]}), vec![]),
        (json!({"verbs": ["delete"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["p"]}), vec![]),
        (
            json!({"verbs": ["delete"], "apiGroups": [""], "resources": ["pods"]}),
            vec![r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}"#],
        ),
        (
            json!({"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["q"]}),
            vec![r#"{APIGroups:[""], Resources:["pods"], ResourceNames:["q"], Verbs:["list" "watch"]}"#],
        ),
        (json!({"verbs": ["get"], "nonResourceURLs": ["/b"]}), vec![r#"{NonResourceURLs:["/b"], Verbs:["get"]}"#]),
        (
            json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
            vec![r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#],
        ),
    ];
    for (wanted, expected) in cases {
        assert_eq!(rule::describe(&missing(&owned, &[rule(wanted.clone())])), expected, "{wanted}");
    }
}
