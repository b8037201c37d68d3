use std::sync::Arc;

use super::*;

#[test]
fn rows_are_found_by_group_version_and_plural() {
    let registry = Registry::builtin();
    let pods = registry.get("", "v1", "pods").unwrap();
    assert_eq!(pods.kind, "Pod");
    assert_eq!(pods.list_kind, "PodList");
    assert_eq!(pods.singular, "pod");
    assert!(pods.namespaced);
    assert_eq!(registry.by_kind("apps", "v1", "Deployment").unwrap().group_resource(), "deployments.apps");
    assert!(registry.get("apps", "v1beta1", "deployments").is_none());
    assert!(registry.get("nosuch", "v1", "pods").is_none());
    assert_eq!(registry.iter().count(), 66);
}

#[test]
fn subresources_are_sorted_and_name_their_kind() {
    for resource in Registry::builtin().iter() {
        assert!(resource.subresources.is_sorted_by_key(|s| s.name.clone()), "{}", resource.plural);
        assert!(resource.verbs.is_sorted(), "{}", resource.plural);
    }
    let registry = Registry::builtin();
    let scale = registry.get("apps", "v1", "deployments").unwrap().subresource("scale").unwrap().clone();
    assert_eq!((scale.group.as_ref(), scale.version.as_ref(), scale.kind.as_ref()), ("autoscaling", "v1", "Scale"));
}

#[test]
fn keys_are_those_of_the_original() {
    let registry = Registry::builtin();
    let key = |group, plural: &str, namespace, name| {
        registry.get(group, "v1", plural).unwrap().storage.as_ref().unwrap().key(namespace, name)
    };
    assert_eq!(key("", "services", "default", "kubernetes"), "/services/specs/default/kubernetes");
    assert_eq!(key("", "nodes", "", "a"), "/minions/a");
    assert_eq!(key("networking.k8s.io", "ingresses", "x", "y"), "/ingress/x/y");
    assert_eq!(key("apiregistration.k8s.io", "apiservices", "", "v1."), "/apiregistration.k8s.io/apiservices/v1.");
    let pods = registry.get("", "v1", "pods").unwrap().storage.as_ref().unwrap();
    assert_eq!(pods.key_prefix(""), "/pods/");
    assert_eq!(pods.key_prefix("a"), "/pods/a/");
}

#[test]
fn the_hash_is_of_the_storage_version() {
    let registry = Registry::builtin();
    let hash = |group, version, plural: &str| {
        registry.get(group, version, plural).unwrap().storage.as_ref().unwrap().version_hash()
    };
    assert_eq!(hash("", "v1", "pods"), "xPOwRZ+Yhw8=");
    assert_eq!(hash("autoscaling", "v1", "horizontalpodautoscalers"), "qwQve8ut294=");
    assert_eq!(hash("events.k8s.io", "v1", "events"), "r2yiGXH7wu8=");
    assert_eq!(hash("apiextensions.k8s.io", "v1", "customresourcedefinitions"), "jfWCUB31mvA=");
}

#[test]
fn one_row_for_each_storage_prefix() {
    let stored = Registry::builtin().stored();
    let prefixes: std::collections::HashSet<_> =
        stored.iter().map(|r| r.storage.as_ref().unwrap().prefix.clone()).collect();
    assert_eq!(prefixes.len(), stored.len());
    let hpa = stored.iter().find(|r| r.plural == "horizontalpodautoscalers").unwrap();
    assert_eq!(hpa.version, "v2");
    let events = stored.iter().find(|r| r.plural == "events").unwrap();
    assert_eq!(events.group, "");
}

#[test]
fn unknown_field_labels_are_refused_in_the_words_of_the_original() {
    let registry = Registry::builtin();
    let refusal = |group, plural: &str| registry.get(group, "v1", plural).unwrap().field_label("x").unwrap_err();
    assert_eq!(refusal("", "pods"), "field label not supported: x");
    assert_eq!(
        refusal("", "configmaps"),
        "\"x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    );
    assert_eq!(refusal("batch", "jobs"), "field label \"x\" not supported for Job");
    assert_eq!(
        refusal("resource.k8s.io", "resourceslices"),
        "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: x"
    );
}

#[test]
fn versions_of_events_share_their_keys() {
    let registry = Registry::builtin();
    let new = registry.get("events.k8s.io", "v1", "events").unwrap().field_label("regarding.name").unwrap().clone();
    let old = registry.get("", "v1", "events").unwrap().field_label("involvedObject.name").unwrap().clone();
    assert_eq!((new.key, new.paths), (old.key, old.paths));
    let host = registry.get("", "v1", "pods").unwrap().field_label("spec.host").unwrap().clone();
    assert_eq!(host.key, "spec.nodeName");
}

fn custom(group: &'static str, version: &'static str, plural: &'static str) -> Resource {
    let mut row = Resource::clone(Registry::builtin().get("", "v1", "configmaps").unwrap());
    (row.group, row.version, row.plural, row.custom) = (group.into(), version.into(), plural.into(), true);
    row
}

#[test]
fn rows_added_at_run_time_stand_behind_the_built_in_groups() {
    let base = Registry::builtin();
    let rows =
        [("b.example.com", "v1alpha1"), ("b.example.com", "v2"), ("b.example.com", "v1"), ("a.example.com", "v1")];
    let next = base.with(rows.map(|(group, version)| Arc::new(custom(group, version, "things"))));
    let names: Vec<_> = next.groups().iter().rev().take(2).map(|g| g.name.to_string()).collect();
    assert_eq!(names, ["b.example.com", "a.example.com"]);
    let versions: Vec<_> =
        next.group("b.example.com").unwrap().versions.iter().map(|v| v.version.to_string()).collect();
    assert_eq!(versions, ["v2", "v1", "v1alpha1"]);
    assert!(base.group("a.example.com").is_none(), "the older snapshot is unchanged");
    assert_ne!(base.generation(), next.generation());
    let gone = next.without("a.example.com", "things");
    assert!(gone.group("a.example.com").is_none());
    assert!(gone.get("b.example.com", "v1", "things").is_some());
    assert!(gone.get("flowcontrol.apiserver.k8s.io", "v1", "flowschemas").is_some());
}
