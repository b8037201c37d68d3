//! What clients found wrong once, each as a request and what is answered.

use http::Method;
use proto::etcdserverpb::{CompactionRequest, kv_client::KvClient};
use serde_json::{Value, json};

use crate::world::{Act, JSON, MERGE, World};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn get(path: &str) -> Act {
    Act::of(Method::GET, path.to_owned(), JSON, None)
}

fn create_map(name: &str) -> Act {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    Act::of(Method::POST, MAPS.to_owned(), JSON, Some(map))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_as_by_the_original() {
    let Some(world) = World::start().await else { return };
    world.call(&create_map("a")).await.unwrap();
    let delete = |path: String, body: Option<Value>| Act::of(Method::DELETE, path, JSON, body);
    let with_revision = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "b", "resourceVersion": "0"}});
    let cases = [
        // Preconditions of a delete, of one object and of a collection.
        (delete(format!("{MAPS}/a?uid=other"), None), Err((409, "the UID in the precondition (other) does not match"))),
        (
            delete(format!("{MAPS}/a?resourceVersion=1"), None),
            Err((409, "the ResourceVersion in the precondition (1)")),
        ),
        (delete(format!("{MAPS}?uid=other"), None), Err((409, "the UID in the precondition (other) does not match"))),
        // The body of a delete is options or nothing.
        (delete(format!("{MAPS}/a"), Some(json!([]))), Err((400, "cannot unmarshal array"))),
        (delete(format!("{MAPS}/a"), Some(Value::Null)), Ok(())),
        (get(&format!("{MAPS}/a")), Err((404, "configmaps \"a\" not found"))),
        // Nothing follows after a page, least of all a watch.
        (get("/api/v1/configmaps?watch=1&continue=x"), Err((422, "ListOptions.meta.k8s.io \"\" is invalid"))),
        // A version of 0 is none.
        (Act::of(Method::POST, MAPS.to_owned(), JSON, Some(with_revision)), Ok(())),
    ];
    for (act, expected) in cases {
        let case = format!("{} {} {:?}", act.method, act.path, act.body);
        let outcome = world.call(&act).await;
        match (outcome, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err((code, part))) => {
                assert!(error.code == code && error.message.contains(part), "{case}: {} {error}", error.code);
            }
            (outcome, expected) => panic!("{case}: {outcome:?} instead of {expected:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_whose_revision_is_gone_goes_on_with_the_token_in_its_refusal() {
    let Some(mut world) = World::start().await else { return };
    let mut revision = 0;
    for name in ["a", "b", "c"] {
        let made = world.call(&create_map(name)).await.unwrap();
        revision = made["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    }
    let page = world.call(&get(&format!("{MAPS}?limit=1"))).await.unwrap();
    let token = page["metadata"]["continue"].as_str().unwrap().to_owned();
    let last = world.call(&create_map("d")).await.unwrap()["metadata"]["resourceVersion"].clone();
    let compact_at: i64 = last.as_str().unwrap().parse().unwrap();
    assert!(compact_at > revision);
    let mut kv = KvClient::connect(world.server.endpoints[0].clone()).await.unwrap();
    kv.compact(CompactionRequest { revision: compact_at, physical: true }).await.unwrap();
    // The cache of this one still knows the revision.
    world.restart().await;
    let refused = world.call(&get(&format!("{MAPS}?limit=1&continue={token}"))).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (410, "Expired"));
    let status: Value = serde_json::from_slice(&refused.to_json()).unwrap();
    let token = status["metadata"]["continue"].as_str().expect("a token in the refusal").to_owned();
    let rest = world.items(&format!("{MAPS}?continue={token}")).await;
    let names: Vec<&str> = rest.iter().map(|map| map["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["b", "c", "d"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_a_certificate_is_who_the_server_knows_and_never_changes() {
    let Some(world) = World::start().await else { return };
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().serialize_request(&key).unwrap();
    let request = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, request.pem().unwrap());
    let body = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": "x"},
        "spec": {"username": "evil", "groups": ["evil"], "uid": "evil", "extra": {"a": ["evil"]},
            "request": request, "signerName": "example.com/x", "usages": ["client auth"]}});
    let made = world.call(&Act::of(Method::POST, REQUESTS.to_owned(), JSON, Some(body))).await.unwrap();
    assert_eq!(made["spec"]["username"], "system:apiserver");
    assert_eq!(made["spec"]["groups"], json!(["system:authenticated", "system:masters"]));
    assert!(made["spec"].get("uid").is_none() && made["spec"].get("extra").is_none(), "{made}");
    let change = json!({"spec": {"username": "evil", "signerName": "example.com/y"}});
    let changed = world.call(&Act::of(Method::PATCH, format!("{REQUESTS}/x"), MERGE, Some(change))).await.unwrap();
    assert_eq!(changed["spec"], made["spec"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_used_as_an_administrator_where_the_namespace_allows_it() {
    let Some(world) = World::start().await else { return };
    for (namespace, labels) in [("open", json!({"resource.kubernetes.io/admin-access": "true"})), ("closed", json!({}))]
    {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
        world.call(&Act::of(Method::POST, "/api/v1/namespaces".to_owned(), JSON, Some(body))).await.unwrap();
    }
    let spec = |admin: bool| {
        let exactly = json!({"deviceClassName": "gpu", "allocationMode": "All", "adminAccess": admin});
        json!({"devices": {"requests": [{"name": "one", "exactly": exactly}]}})
    };
    let create = |namespace: &str, plural: &str, kind: &str, name: &str, spec: Value| {
        let path = format!("/apis/resource.k8s.io/v1/namespaces/{namespace}/{plural}");
        let body = json!({"apiVersion": "resource.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        Act::of(Method::POST, path, JSON, Some(body))
    };
    let why = "spec.devices.requests[0].adminAccess: Forbidden: admin access to devices requires the \
               `resource.kubernetes.io/admin-access: true` label on the containing namespace";
    for (namespace, admin, allowed) in [("open", true, true), ("closed", true, false), ("closed", false, true)] {
        let claim = create(namespace, "resourceclaims", "ResourceClaim", "c", spec(admin));
        let template = json!({"spec": spec(admin)});
        let template = create(namespace, "resourceclaimtemplates", "ResourceClaimTemplate", "t", template);
        for act in [claim, template] {
            let answer = world.call(&act).await;
            let refused = answer.as_ref().err().map(|error| (error.code, error.message.contains(why)));
            assert_eq!(refused, (!allowed).then_some((422, true)), "{} {admin}: {answer:?}", act.path);
        }
    }
}
