use super::*;

fn info(method: &str, uri: &str) -> RequestInfo {
    let uri: Uri = uri.parse().unwrap();
    let query = Query::parse(uri.query().unwrap_or_default());
    RequestInfo::parse(&method.parse().unwrap(), &uri, &query).unwrap()
}

/// verb, group, version, namespace, resource, subresource, name
fn check(method: &str, uri: &str, want: [&str; 7]) {
    let got = info(method, uri);
    let verb = got.verb_name();
    let got = [
        verb.as_str(),
        &got.group,
        &got.version,
        &got.namespace,
        &got.resource,
        &got.subresource,
        got.authorized_name(),
    ];
    assert_eq!(got, want, "{method} {uri}");
}

#[test]
fn resource_paths() {
    check("GET", "/api/v1/namespaces", ["list", "", "v1", "", "namespaces", "", ""]);
    check("GET", "/api/v1/namespaces/a", ["get", "", "v1", "a", "namespaces", "", "a"]);
    check("PUT", "/api/v1/namespaces/a/finalize", ["update", "", "v1", "a", "namespaces", "finalize", "a"]);
    check("GET", "/api/v1/namespaces/a/pods?watch=1", ["watch", "", "v1", "a", "pods", "", ""]);
    check("GET", "/api/v1/pods?watch=false", ["list", "", "v1", "", "pods", "", ""]);
    check("POST", "/api/v1/namespaces/a/pods/b/binding", ["create", "", "v1", "a", "pods", "binding", "b"]);
    check(
        "DELETE",
        "/apis/apps/v1/namespaces/a/deployments",
        ["deletecollection", "apps", "v1", "a", "deployments", "", ""],
    );
    check("DELETE", "/apis/apps/v1/namespaces/a/deployments/b", ["delete", "apps", "v1", "a", "deployments", "", "b"]);
    check(
        "PATCH",
        "/apis/apps/v1/namespaces/a/deployments/b/scale",
        ["patch", "apps", "v1", "a", "deployments", "scale", "b"],
    );
    check("GET", "/api/v1/watch/namespaces/a/pods/b", ["watch", "", "v1", "a", "pods", "", "b"]);
    check("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dx", ["list", "", "v1", "", "pods", "", "x"]);
    check("OPTIONS", "/api/v1/pods", ["", "", "v1", "", "pods", "", ""]);
    check("HEAD", "/api/v1/nodes/n", ["get", "", "v1", "", "nodes", "", "n"]);
    check("GET", "/api/v1/pods/", ["list", "", "v1", "", "pods", "", ""]);
}

#[test]
fn other_paths_carry_the_http_verb() {
    for path in ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/openapi/v3/apis/apps/v1"]
    {
        let got = info("GET", path);
        assert!(!got.is_resource, "{path}");
        assert_eq!(got.verb_name(), "get");
    }
}

#[test]
fn a_verb_in_the_path_needs_a_resource() {
    let uri: Uri = "/api/v1/watch".parse().unwrap();
    assert!(RequestInfo::parse(&Method::GET, &uri, &Query::default()).is_err());
}

#[test]
fn queries_are_decoded_and_bad_pairs_dropped() {
    let query = Query::parse("a=1%2B2+3&b&a=2&c=%zz&d=x%2Cy");
    assert_eq!(query.get("a"), Some("1+2 3"));
    assert_eq!(query.all("a").count(), 2);
    assert_eq!(query.get("b"), Some(""));
    assert_eq!(query.get("c"), None);
    assert_eq!(query.get("d"), Some("x,y"));
    assert!(query.is_true("b") && !query.is_true("missing"));
}

#[test]
fn streams_have_no_deadline() {
    assert!(info("GET", "/api/v1/pods?watch=true").is_long_running());
    assert!(info("GET", "/api/v1/namespaces/a/pods/b/log").is_long_running());
    assert!(!info("GET", "/api/v1/namespaces/a/pods/b").is_long_running());
}
