use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::*;
use crate::request::info::Query;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn get(path: &str, accept: &str) -> Result<Response<Bytes>, ApiError> {
    get_with(path, &[("accept", accept)])
}

fn get_with(path: &str, headers: &[(&'static str, &str)]) -> Result<Response<Bytes>, ApiError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let api = Api::builtin();
    let asked = Asked { headers: &map, query: &Query::parse(""), server_address: "192.0.2.10:22000", others: &[] };
    answer(Page::at(path).unwrap(), &api, asked)
}

fn json(path: &str, accept: &str) -> serde_json::Value {
    serde_json::from_slice(get(path, accept).unwrap().body()).unwrap()
}

#[test]
fn pages_are_recognised_by_path() {
    assert_eq!(Page::at("/api"), Some(Page::Core));
    assert_eq!(Page::at("/apis/"), Some(Page::Groups));
    assert_eq!(Page::at("/apis/apps"), Some(Page::Group("apps")));
    assert_eq!(Page::at("/api/v1"), Some(Page::Resources { group: "", version: "v1" }));
    assert_eq!(Page::at("/apis/apps/v1/"), Some(Page::Resources { group: "apps", version: "v1" }));
    assert_eq!(Page::at("/apis/apps/v1/deployments"), None);
    assert_eq!(Page::at("/healthz"), None);
}

#[test]
fn the_older_documents() {
    let text = |path| String::from_utf8(get(path, "application/json").unwrap().body().to_vec()).unwrap();
    assert_eq!(
        text("/api"),
        "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":\
         [{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":\"192.0.2.10:22000\"}]}\n"
    );
    assert_eq!(
        text("/apis/policy"),
        "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"policy\",\"versions\":\
         [{\"groupVersion\":\"policy/v1\",\"version\":\"v1\"}],\"preferredVersion\":\
         {\"groupVersion\":\"policy/v1\",\"version\":\"v1\"}}\n"
    );
    assert!(text("/api/v1").starts_with("{\"kind\":\"APIResourceList\",\"groupVersion\":\"v1\",\"resources\":"));
    assert!(
        text("/apis/policy/v1").starts_with("{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\"")
    );
}

#[test]
fn a_subresource_of_another_group_names_it() {
    let document = json("/api/v1", "application/json");
    let find =
        |name: &str| document["resources"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().to_string();
    assert_eq!(
        find("pods/eviction"),
        r#"{"name":"pods/eviction","singularName":"","namespaced":true,"group":"policy","version":"v1","kind":"Eviction","verbs":["create"]}"#
    );
    assert_eq!(
        find("pods/log"),
        r#"{"name":"pods/log","singularName":"","namespaced":true,"kind":"Pod","verbs":["get"]}"#
    );
}

#[test]
fn unknown_groups_are_text_and_unknown_versions_a_status() {
    assert_eq!(get("/apis/nosuch.example.com", "*/*").unwrap_err().message, ApiError::page_not_found().message);
    assert_eq!(get("/apis/nosuch.example.com/v1", "*/*").unwrap_err().message, ApiError::page_not_found().message);
    assert_eq!(get("/apis/apps/v9", "*/*").unwrap_err().message, ApiError::resource_not_found().message);
    assert_eq!(get("/api/v2", "*/*").unwrap_err().message, ApiError::resource_not_found().message);
}

#[test]
fn the_aggregated_form_is_chosen_by_the_first_acceptable_clause() {
    let kind = |accept: &str| json("/api", accept)["kind"].as_str().unwrap().to_owned();
    assert_eq!(kind(AGGREGATED), "APIGroupDiscoveryList");
    assert_eq!(kind(&format!("{AGGREGATED},application/json")), "APIGroupDiscoveryList");
    assert_eq!(kind(&format!("{AGGREGATED};profile=nopeer,application/json")), "APIGroupDiscoveryList");
    assert_eq!(kind(&format!("application/json,{AGGREGATED}")), "APIVersions");
    assert_eq!(kind(&format!("{AGGREGATED};q=0.5,application/json")), "APIVersions");
    let newer = AGGREGATED.replace("v=v2", "v=v3");
    assert_eq!(kind(&format!("{newer},application/json")), "APIVersions");
    let older = AGGREGATED.replace("v=v2", "v=v2beta1");
    assert_eq!(get("/api", &older).unwrap_err().code, 406);
}

#[test]
fn the_aggregated_form_has_an_etag_that_saves_a_body() {
    let full = get("/apis", AGGREGATED).unwrap();
    assert_eq!(full.headers()["content-type"], AGGREGATED);
    assert_eq!(full.headers()["cache-control"], "public");
    assert_eq!(full.headers()["vary"], "Accept");
    let etag = full.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(etag.len(), 130);
    let unchanged = get_with("/apis", &[("accept", AGGREGATED), ("if-none-match", &etag)]).unwrap();
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert!(unchanged.body().is_empty());
    let changed = get_with("/apis", &[("accept", AGGREGATED), ("if-none-match", "\"x\"")]).unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
}

#[test]
fn the_core_group_has_no_name_and_pods_list_their_subresources() {
    let document = json("/api", AGGREGATED);
    assert_eq!(document["items"][0]["metadata"].to_string(), "{}");
    let resources = document["items"][0]["versions"][0]["resources"].as_array().unwrap();
    let pods = resources.iter().find(|r| r["resource"] == "pods").unwrap();
    assert_eq!(pods["subresources"].as_array().unwrap().len(), 10);
    assert_eq!(pods["responseKind"].to_string(), r#"{"group":"","version":"","kind":"Pod"}"#);
}

#[test]
fn in_protobuf_and_yaml_the_core_group_names_no_version_either() {
    let protobuf = get("/api", "application/vnd.kubernetes.protobuf").unwrap();
    assert!(protobuf.body().starts_with(b"k8s\0\x0a\x0f\x0a\0\x12\x0bAPIVersions\x12"), "{:?}", protobuf.body());
    assert!(protobuf.body().ends_with(b"\x1a\0\x22\0"));
    let group = get("/apis/apps", "application/vnd.kubernetes.protobuf").unwrap();
    assert!(group.body().starts_with(b"k8s\0\x0a\x0e\x0a\x02v1\x12\x08APIGroup\x12"), "{:?}", group.body());
    let yaml = get("/api", "application/yaml").unwrap();
    assert!(yaml.body().starts_with(b"kind: APIVersions\nserverAddressByClientCIDRs:\n"));
}

/// Compares with documents recorded from the original, where RECORDED_SURFACES names their folder.
#[test]
fn equal_to_the_recorded_documents() {
    let Ok(folder) = std::env::var("RECORDED_SURFACES") else { return };
    let index: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(format!("{folder}/index.json")).unwrap()).unwrap();
    let mut compared = 0;
    for entry in index {
        let (Some(path), Some(file)) = (entry["path"].as_str(), entry["file"].as_str()) else { continue };
        if Page::at(path).is_none() || !file.ends_with(".json") || file.starts_with("openapi") {
            continue;
        }
        let recorded = std::fs::read(format!("{folder}/{file}")).unwrap();
        let recorded: serde_json::Value = serde_json::from_slice(&recorded).unwrap();
        let accept = entry["requestHeaders"]["Accept"].as_str().unwrap_or("application/json");
        assert_eq!(json(path, accept).to_string(), recorded.to_string(), "{path} {accept}");
        compared += 1;
    }
    assert!(compared > 40, "{compared} documents compared");
}

fn with_others(path: &str, accept: &str) -> serde_json::Value {
    let foreign = |group: &str, version: &str, group_priority, is_current| Foreign {
        group: group.to_owned(),
        version: version.to_owned(),
        group_priority,
        version_priority: 200,
        is_current,
        resources: Some(serde_json::json!([{"resource": "beasts", "verbs": ["get"]}])),
    };
    let others = [
        foreign("policy", "v9", 17100, true),
        foreign("wild.example", "v1", 17160, true),
        foreign("equal.example", "v1beta1", 2, true),
        foreign("rival.example", "v1", 2, true),
        foreign("zoo.example", "v1", 1, false),
    ];
    let headers = [(http::header::ACCEPT, HeaderValue::from_str(accept).unwrap())].into_iter().collect();
    let api = Api::builtin();
    let asked = Asked { headers: &headers, query: &Query::parse(""), server_address: "a", others: &others };
    serde_json::from_slice(answer(Page::at(path).unwrap(), &api, asked).unwrap().body()).unwrap()
}

#[test]
fn groups_of_other_servers_stand_where_their_priority_puts_them() {
    let names = |document: &serde_json::Value, list: &str| -> Vec<String> {
        let name = |each: &serde_json::Value| {
            each["name"].as_str().or(each["metadata"]["name"].as_str()).unwrap_or_default().to_owned()
        };
        document[list].as_array().unwrap().iter().map(name).collect()
    };
    for (accept, list) in [("application/json", "groups"), (AGGREGATED, "items")] {
        let document = with_others("/apis", accept);
        let all = names(&document, list);
        let at = |name: &str| all.iter().position(|each| each == name).unwrap();
        assert_eq!(at("wild.example") + 1, at("policy"), "{all:?}");
        assert_eq!(all.last().unwrap(), "zoo.example");
        // The list of groups goes by APIServices ("v1.rival.example"), aggregated discovery by groups.
        assert_eq!(at("rival.example") < at("equal.example"), list == "groups", "{all:?}");
        let policy = &document[list][at("policy")];
        assert_eq!(policy["versions"][0]["version"], "v9", "a greater priority comes first");
        assert_eq!(policy["versions"][1]["version"], "v1");
    }
    let aggregated = with_others("/apis", AGGREGATED);
    let last = aggregated["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["versions"][0]["freshness"], "Stale");
    assert_eq!(last["versions"][0]["resources"][0]["resource"], "beasts");
    let group = with_others("/apis/policy", "application/json");
    assert_eq!(group["preferredVersion"]["groupVersion"], "policy/v9");
    assert_eq!(with_others("/apis/wild.example", "application/json")["kind"], "APIGroup");
}
