use super::*;

fn rendered(error: &ApiError) -> String {
    String::from_utf8(error.to_json()).unwrap()
}

#[test]
fn a_missing_object_names_resource_and_group() {
    let error = ApiError::not_found(&GroupResource::new("apps", "deployments"), "web");
    assert_eq!(
        rendered(&error),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"deployments.apps \\\"web\\\" not found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"web\",\"group\":\"apps\",\"kind\":\"deployments\"},\"code\":404}\n"
    );
}

#[test]
fn several_field_errors_are_listed_once_each_and_all_are_causes() {
    let one = FieldError::invalid("metadata.name", "A_b", "must be lower case");
    let two = FieldError::required("spec.ports", "");
    let error = ApiError::invalid("", "Service", "A_b", vec![one.clone(), one, two]);
    assert_eq!(
        error.message,
        "Service \"A_b\" is invalid: [metadata.name: Invalid value: \"A_b\": must be lower case, spec.ports: Required value]"
    );
    assert_eq!(error.details.unwrap().causes.len(), 3);
}

#[test]
fn field_errors_print_as_the_api_machinery_prints_them() {
    let cases = [
        (
            FieldError::not_supported("a", "x", &["A", "B"]),
            "a: Unsupported value: \"x\": supported values: \"A\", \"B\"",
        ),
        (FieldError::too_long("a", 63), "a: Too long: may not be more than 63 bytes"),
        (FieldError::too_many("a", 17, 16), "a: Too many: 17: must have at most 16 items"),
        (FieldError::invalid_value("a", -1, "must be positive"), "a: Invalid value: -1: must be positive"),
        (FieldError::forbidden("a", "may not change"), "a: Forbidden: may not change"),
        (FieldError::duplicate("a[1]", "x"), "a[1]: Duplicate value: \"x\""),
        (FieldError::not_found("a", "x"), "a: Not found: \"x\""),
        (FieldError::internal("a", "broken"), "a: Internal error: broken"),
    ];
    for (error, want) in cases {
        assert_eq!(error.to_string(), want);
    }
}

#[test]
fn quotes_are_those_of_go() {
    assert_eq!(go_quote("a\"b\\\n\u{1}é\u{200b}\u{7f}"), "\"a\\\"b\\\\\\n\\x01é\\u200b\\x7f\"");
}

#[test]
fn html_is_escaped_and_the_internal_cause_is_not_sent() {
    let error = ApiError::bad_request("<b>&").with_internal("secret");
    let text = rendered(&error);
    assert!(text.contains("\\u003cb\\u003e\\u0026"), "{text}");
    assert!(!text.contains("secret"));
}
