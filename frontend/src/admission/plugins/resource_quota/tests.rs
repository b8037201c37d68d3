use jiff::Timestamp;
use serde_json::json;

use super::usage::Counted;
use crate::api::schema::{Object, Schema, codec};

fn object(group: &str, kind: &str, json: serde_json::Value) -> Object {
    let kind = Schema::builtin().kind(group, "v1", kind).unwrap();
    codec::decode_json_as(&kind, json.to_string().as_bytes()).unwrap().object
}

#[test]
fn objects_use_what_their_kind_counts() {
    let pod = json!({"spec": {"containers": [{"name": "a", "resources": {
        "requests": {"cpu": "100m", "example.com/gpu": "1"}, "limits": {"cpu": "1"}}}]}});
    let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1500m"}}}});
    let service = json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}});
    for (group, plural, kind, json, usage) in [
        (
            "",
            "pods",
            "Pod",
            pod,
            "count/pods=1,cpu=100m,limits.cpu=1,pods=1,requests.cpu=100m,requests.example.com/gpu=1",
        ),
        ("", "pods", "Pod", json!({"spec": {}, "status": {"phase": "Failed"}}), "count/pods=1"),
        (
            "",
            "persistentvolumeclaims",
            "PersistentVolumeClaim",
            claim,
            "count/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/requests.storage=2,persistentvolumeclaims=1,requests.storage=2",
        ),
        (
            "",
            "services",
            "Service",
            service,
            "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2",
        ),
        ("", "configmaps", "ConfigMap", json!({}), "configmaps=1,count/configmaps=1"),
        ("apps", "deployments", "Deployment", json!({}), "count/deployments.apps=1"),
    ] {
        let object = object(group, kind, json);
        assert_eq!(Counted::of((group, plural)).usage(&object, Timestamp::UNIX_EPOCH).print(), usage);
    }
}

#[test]
fn names_of_quotas_are_about_their_objects() {
    for (row, name, about) in [
        (("", "pods"), "requests.nvidia.com/gpu", true),
        (("", "pods"), "limits.nvidia.com/gpu", false),
        (("", "pods"), "hugepages-2Mi", true),
        (("", "pods"), "requests.storage", false),
        (("", "pods"), "services", false),
        (("", "persistentvolumeclaims"), "requests.storage", true),
        (("", "persistentvolumeclaims"), "fast.storageclass.storage.k8s.io/requests.storage", true),
        (("", "persistentvolumeclaims"), "fast.storageclass.storage.k8s.io/other", false),
        (("", "secrets"), "secrets", true),
        (("apps", "deployments"), "count/deployments.apps", true),
        (("apps", "deployments"), "deployments", false),
    ] {
        assert_eq!(Counted::of(row).matches(name), about, "{row:?} {name}");
    }
}

#[test]
fn containers_must_say_what_a_quota_is_about() {
    let missing = Counted::of(("", "pods")).counting.missing;
    let pod = json!({"spec": {"containers": [
        {"name": "a", "resources": {"requests": {"cpu": "1"}}}, {"name": "b"}, {"name": "c"}]}});
    let names = ["requests.cpu".to_owned(), "limits.memory".to_owned(), "pods".to_owned()];
    let message = "must specify limits.memory for: a,b,c; requests.cpu for: b,c";
    assert_eq!(missing(&names, &object("", "Pod", pod)).as_deref(), Some(message));
}
