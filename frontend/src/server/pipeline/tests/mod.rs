//! Requests through the whole pipeline, by a real client over loopback TLS, with a stand-in for the verbs.

mod harness;

use harness::{Harness, json};
use http::StatusCode;

#[tokio::test]
async fn anonymous_sees_health_and_version_and_nothing_else() {
    let server = Harness::start().await;
    let version = server.get("/version", None).await;
    assert_eq!(version.status, StatusCode::OK);
    assert_eq!(json(&version)["minor"], "35");
    assert_eq!(server.get("/livez/ping", Some("admin")).await.text(), "ok");
    let refused = server.get("/api", None).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.header("x-content-type-options"), "nosniff");
    assert_eq!(json(&refused)["message"], "forbidden: User \"system:anonymous\" cannot get path \"/api\"");
}

#[tokio::test]
async fn a_bad_token_is_401_on_every_path() {
    let server = Harness::start().await;
    for path in ["/healthz", "/api/v1/namespaces/x/configmaps", "/nosuch"] {
        let refused = server.get(path, Some("nonsense")).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            refused.text(),
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}\n"
        );
    }
}

#[tokio::test]
async fn every_answer_has_an_audit_id_and_is_not_to_be_cached() {
    let server = Harness::start().await;
    for (path, token) in [("/version", None), ("/nosuch", Some("admin")), ("/api/v1/pods", Some("alice"))] {
        let answer = server.get(path, token).await;
        assert_eq!(answer.header("cache-control"), "no-cache, private", "{path}");
        assert_eq!(answer.header("audit-id").len(), 36, "{path}");
    }
    let answer = server.send("GET", "/version", None, &[("audit-id", "mine")], "").await;
    assert_eq!(answer.header("audit-id"), "mine");
}

#[tokio::test]
async fn unknown_paths_are_text_and_known_ones_refuse_other_methods() {
    let server = Harness::start().await;
    let missing = server.get("/nosuch", Some("admin")).await;
    assert_eq!((missing.status, missing.text()), (StatusCode::NOT_FOUND, "404 page not found\n".into()));
    assert_eq!(missing.header("content-type"), "text/plain; charset=utf-8");
    let refused = server.send("DELETE", "/version", Some("admin"), &[], "").await;
    assert_eq!(json(&refused)["message"], "the server does not allow this method on the requested resource");
    assert_eq!(server.send("POST", "/apis/apps/v1", Some("admin"), &[], "{}").await.status, 405);
    let health = server.send("POST", "/healthz/ping", Some("admin"), &[], "{}").await;
    assert_eq!(health.status, StatusCode::OK);
}

#[tokio::test]
async fn a_handler_gets_the_user_and_its_warnings_reach_the_client() {
    let server = Harness::start().await;
    let answer = server.get("/api/v1/namespaces/x/configmaps/warn", Some("admin")).await;
    assert_eq!(answer.text(), "admin");
    assert_eq!(answer.header("warning"), "299 - \"careful: \\\"x\\\"\"");
    let acting = server
        .send("GET", "/api/v1/namespaces/x/configmaps/a", Some("admin"), &[("impersonate-user", "joe")], "")
        .await;
    assert_eq!(acting.status, StatusCode::FORBIDDEN);
    assert!(acting.text().contains("User \\\"joe\\\" cannot get"));
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_goes_on() {
    let server = Harness::start().await;
    for method in ["GET", "PUT"] {
        let answer = server.send(method, "/api/v1/namespaces/x/configmaps/panic", Some("admin"), &[], "").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.text(), "This request caused apiserver to panic. Look in the logs for details.\n");
    }
    assert_eq!(server.get("/version", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_a_504() {
    let server = Harness::start().await;
    let answer = server.get("/api/v1/namespaces/x/configmaps/slow?timeout=50ms", Some("admin")).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(json(&answer)["message"], "Timeout: request did not complete within the allotted timeout");
    let answer = server.get("/api/v1/namespaces/x/configmaps/a?timeout=x", Some("admin")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_over_three_mebibytes_is_a_413() {
    let server = Harness::start().await;
    let body = "x".repeat(3 * 1024 * 1024 + 1);
    let answer = server.send("POST", "/api/v1/namespaces/x/configmaps", Some("admin"), &[], &body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(json(&answer)["message"], "Request entity too large: limit is 3145728");
}

#[tokio::test]
async fn certificates_name_the_user_and_bad_ones_are_401() {
    let server = Harness::start().await;
    let path = "/api/v1/namespaces/x/configmaps/a";
    let good = server.get_with_certificate(path, server.client_certificate("root", "system:masters")).await;
    assert_eq!((good.status, good.text()), (StatusCode::OK, "root".into()));
    let nobody = server.get_with_certificate(path, server.client_certificate("alice", "devs")).await;
    assert_eq!(nobody.status, StatusCode::FORBIDDEN);
    let foreign = Harness::foreign_certificate("root", "system:masters");
    assert_eq!(server.get_with_certificate(path, foreign).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn people_get_indented_errors() {
    let server = Harness::start().await;
    let answer = server.send("GET", "/api/v1/pods", Some("alice"), &[("user-agent", "curl/8")], "").await;
    assert!(answer.text().starts_with("{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {},\n"));
    assert!(answer.text().ends_with('}'));
}

#[tokio::test]
async fn stopping_ends_streams_and_waits_for_the_rest() {
    let server = Harness::start().await;
    let stream = server.get("/api/v1/namespaces/x/configmaps?watch=true", Some("admin"));
    let (stream, ()) = tokio::join!(stream, server.stop_when_streaming());
    assert_eq!(stream.text(), "begin");
    server.stopped().await;
}

#[tokio::test]
async fn a_full_server_says_try_again_but_not_to_operators() {
    let server = Harness::start().await;
    let slow = server.get("/api/v1/namespaces/x/configmaps/slow?timeout=1s", Some("admin"));
    let others = async {
        server.until_slow().await;
        let refused = server.get("/version", Some("alice")).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.text(), "Too many requests, please try again later.\n");
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(server.get("/version", Some("admin")).await.status, StatusCode::OK);
    };
    tokio::join!(slow, others);
    assert_eq!(server.get("/version", Some("alice")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_head_over_http2_is_answered_without_a_body() {
    let server = Harness::start().await;
    // The stand-in answers every verb.
    for (path, status) in [("/api/v1/namespaces/x/configmaps/a", 200), ("/nosuch", 404), ("/healthz/ping", 200)] {
        let answer = server.send_over_http2("HEAD", path, "admin").await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (status, ""), "{path}");
    }
    assert_eq!(server.send_over_http2("GET", "/healthz/ping", "admin").await.text(), "ok");
}

#[tokio::test]
async fn a_timeout_that_is_past_is_none_and_one_that_is_no_time_is_refused() {
    let server = Harness::start().await;
    for (timeout, status) in [("-1s", 200), ("0s", 200), ("5s", 200), ("5", 400), ("-x", 400)] {
        let path = format!("/api/v1/namespaces/x/configmaps/a?timeout={timeout}");
        assert_eq!(server.get(&path, Some("admin")).await.status.as_u16(), status, "{timeout}");
    }
}
