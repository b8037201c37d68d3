use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), v.parse::<HeaderValue>().unwrap())).collect()
}

fn accept(value: &str) -> Result<Output, ApiError> {
    output(&headers(&[("accept", value)]), &Query::default(), &Offer::OBJECTS)
}

#[test]
fn accept_headers_choose_a_representation() {
    let cases = [
        ("application/json", MediaType::Json),
        ("*/*", MediaType::Json),
        ("text/html,*/*;q=0.8", MediaType::Json),
        ("text/html, application/json", MediaType::Json),
        ("application/json;q=0.1, application/yaml;q=0.9", MediaType::Yaml),
        ("application/json; charset=utf-8", MediaType::Json),
        ("application/vnd.kubernetes.protobuf,application/json", MediaType::Protobuf),
        ("application/json;stream=watch", MediaType::Json),
    ];
    for (header, want) in cases {
        assert_eq!(accept(header).unwrap().media, want, "{header}");
    }
}

#[test]
fn what_cannot_be_produced_is_406_in_two_wordings() {
    for header in ["text/html", "application/xml", "garbage", "application/*", "APPLICATION/JSON", "application/cbor"] {
        let error = accept(header).unwrap_err();
        assert!(error.message.starts_with("406: Not Acceptable\n\nAvailable representations: "), "{header}");
    }
    for params in ["as=Nothing;v=v1;g=meta.k8s.io", "as=Table;v=v2;g=meta.k8s.io", "as=Table;v=v1;g=apps", "as=Table"] {
        let error = accept(&format!("application/json;{params}")).unwrap_err();
        assert_eq!(
            error.message,
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
        );
    }
}

#[test]
fn what_has_no_router_names_each_type_once_and_keys_have_a_type_of_their_own() {
    let documents = output(&headers(&[("accept", "text/html")]), &Query::default(), &Offer::UNROUTED_DOCUMENTS);
    assert_eq!(
        documents.unwrap_err().message,
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
    );
    let keys = ["application/jwk-set+json"];
    for (header, accepted) in
        [("", true), ("*/*", true), ("application/jwk-set+json", true), ("application/json", false)]
    {
        assert_eq!(routed_to(&headers(&[("accept", header)]), &keys).is_ok(), accepted, "{header}");
    }
}

#[test]
fn transforms_fall_back_along_the_header() {
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    assert_eq!(accept(table).unwrap().transform, Transform::Table(MetaVersion::V1));
    let unknown = "application/json;as=Nothing;v=v1;g=meta.k8s.io,application/json";
    assert_eq!(accept(unknown).unwrap().transform, Transform::None);
    let protobuf = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json";
    assert_eq!(accept(protobuf).unwrap().media, MediaType::Json);
}

#[test]
fn content_types_ignore_case_and_parameters() {
    let read = |value: &str| input(&headers(&[("content-type", value)]), &Offer::OBJECTS);
    assert_eq!(read("Application/JSON; charset=utf-8").unwrap(), MediaType::Json);
    assert_eq!(read("application/yaml").unwrap(), MediaType::Yaml);
    assert_eq!(input(&HeaderMap::new(), &Offer::OBJECTS).unwrap(), MediaType::Json);
    assert_eq!(read("text/plain").unwrap_err().code, 415);
}

#[test]
fn people_get_indented_json() {
    assert!(is_pretty(&headers(&[("user-agent", "curl/8.0")]), &Query::default()));
    assert!(!is_pretty(&headers(&[("user-agent", "curl/8.0")]), &Query::parse("pretty=false")));
    assert!(is_pretty(&HeaderMap::new(), &Query::parse("pretty=1")));
}

#[test]
fn watches_have_no_yaml() {
    let error = watch_output(&headers(&[("accept", "application/yaml")]), &Query::default(), &Offer::OBJECTS);
    assert_eq!(
        error.unwrap_err().message,
        "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
    );
}
