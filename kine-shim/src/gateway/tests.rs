//! Against answers recorded from a real etcd 3.6.16, by curl, in this order on an empty store. Each line: path, body,
//! HTTP status, the answer's lines; ids and terms are left out, and of a body that is no request the code alone is
//! compared, since the reason is the parser's.

use std::sync::Arc;

use serde_json::Value;
use tonic::service::Routes;
use tower::ServiceExt;

use super::*;
use crate::{
    grpc::{GrpcOptions, services},
    log::memory::MemoryLog,
    settings::ShimConfig,
    shim::Shim,
};

const RECORDED: &str = include_str!("recorded.tsv");

struct Served {
    gateway: Gateway,
    routes: Routes,
}

impl Served {
    async fn start() -> Self {
        let shim = Shim::start(Arc::new(MemoryLog::new()), ShimConfig::default()).await.unwrap();
        Self { gateway: Gateway::new(1 << 20), routes: services(shim, GrpcOptions::default()).into_routes() }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Response<Body> {
        let routes = self.routes.clone();
        self.gateway
            .answer(request, |inner| async { routes.oneshot(inner).await.unwrap_or_else(|never| match never {}) })
            .await
    }

    async fn post(&self, path: &str, body: &str) -> Response<Body> {
        self.send(Request::post(path).body(Full::from(body.to_owned())).unwrap()).await
    }
}

/// So many lines, or all there are.
async fn lines(response: Response<Body>, count: usize) -> Vec<Value> {
    let (mut body, mut text) = (response.into_body(), Vec::new());
    let whole = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    while whole(&text) < count
        && let Some(frame) = body.frame().await
    {
        text.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    let text = String::from_utf8(text).unwrap();
    text.lines().map(|line| without_ids(serde_json::from_str(line).unwrap())).collect()
}

fn without_ids(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields
                .into_iter()
                .filter(|(name, _)| !["cluster_id", "member_id", "raft_term"].contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name, without_ids(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_ids).collect()),
        other => other,
    }
}

#[tokio::test]
async fn answers_are_those_of_etcd() {
    let served = Served::start().await;
    for line in RECORDED.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, body, status, expected @ ..] = fields.as_slice() else { panic!("{line}") };
        let response = served.post(path, body).await;
        assert_eq!(response.status().as_str(), *status, "{path} {body}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let expected: Vec<Value> = expected.iter().map(|answer| serde_json::from_str(answer).unwrap()).collect();
        let mut found = lines(response, expected.len()).await;
        if expected.iter().any(|answer| answer["code"] == 3 && answer.get("message").is_none()) {
            found.iter_mut().for_each(|answer| drop(answer.as_object_mut().unwrap().remove("message")));
        }
        let mut expected = expected;
        if *path == "/v3/watch" {
            // What a watch tells is compared where watches are tested.
            let headers = found.iter_mut().chain(&mut expected).filter_map(|answer| answer["result"].as_object_mut());
            headers.for_each(|result| drop(result.remove("header")));
        }
        assert_eq!(found, expected, "{path} {body}");
    }
}

#[tokio::test]
async fn every_path_has_its_method() {
    let served = Served::start().await;
    assert_eq!(served.gateway.methods.len(), PATHS.len());
    let got = served.send(Request::get("/v3/kv/range").body(Full::default()).unwrap()).await;
    assert_eq!(got.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(lines(got, 1).await, [serde_json::json!({"code": 12, "message": "Method Not Allowed"})]);
}

#[tokio::test]
async fn a_watch_goes_on_as_lines() {
    let served = Served::start().await;
    let watch = served.post("/v3/watch", r#"{"create_request":{"key":"YQ=="}}"#).await;
    served.post("/v3/kv/put", r#"{"key":"YQ==","value":"MQ=="}"#).await;
    let seen = lines(watch, 2).await;
    assert_eq!(
        (&seen[0]["result"]["created"], &seen[1]["result"]["events"][0]["kv"]["value"]),
        (&true.into(), &"MQ==".into())
    );
}

/// A client that says its second word after it has heard the answer to the first.
#[tokio::test]
async fn a_body_may_stay_open() {
    let served = Served::start().await;
    let (say, said) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Status>>(8);
    let body = StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(said));
    let routes = served.routes.clone();
    let word = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    say.send(word(r#"{"create_request":{"key":"YQ=="}}"#)).await.unwrap();
    let request = Request::post("/v3/watch").body(body).unwrap();
    let call = |inner| async { routes.oneshot(inner).await.unwrap_or_else(|never| match never {}) };
    let mut body = served.gateway.answer(request, call).await.into_body();
    let mut heard = async || {
        let line = body.frame().await.unwrap().unwrap().into_data().unwrap();
        serde_json::from_slice::<Value>(&line).unwrap()["result"].take()
    };
    assert_eq!(heard().await["created"], true);
    say.send(word("\n{\"cancel_request\":")).await.unwrap();
    say.send(word("{\"watch_id\":\"0\"}}")).await.unwrap();
    assert_eq!(heard().await["canceled"], true);
    say.send(word(r#"{"create_request":{"key":"Yg==","watch_id":"7"}}"#)).await.unwrap();
    assert_eq!(heard().await["watch_id"], "7");
}

#[tokio::test]
async fn a_body_has_a_bound() {
    let served = Served::start().await;
    let large = format!(r#"{{"key":"{}"}}"#, "A".repeat(4 << 20));
    assert_eq!(served.post("/v3/kv/put", &large).await.status(), StatusCode::TOO_MANY_REQUESTS);
    let deep = format!(r#"{{"success":{}"#, r#"[{"requestTxn":{"success":"#.repeat(500));
    assert_eq!(served.post("/v3/kv/txn", &deep).await.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn what_the_caller_says_of_itself_goes_along() {
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("authorization", "token"), ("grpc-metadata-hasleader", "true"), ("grpc-metadata-te", "x"), ("cookie", "c")]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let metadata = metadata(&headers);
    assert_eq!(
        (&metadata["authorization"], &metadata["hasleader"], &metadata["te"]),
        (&"token".parse().unwrap(), &"true".parse().unwrap(), &"trailers".parse().unwrap())
    );
    assert_eq!(metadata.get("cookie"), None);
}

/// As Go's mapping takes them.
#[test]
fn numbers_and_base64_may_be_written_otherwise() {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let put = pool.get_service_by_name("etcdserverpb.KV").unwrap().methods().find(|of| of.name() == "Put").unwrap();
    let put = put.input();
    let plain = read(br#"{"key":"Zm9vYmFy","lease":"1000"}"#, &put).unwrap();
    for written in [
        r#"{"key":"Zm9v\nYmFy\r\n","lease":1000}"#,
        r#"{"key":"Zm9vYmFy","lease":1e3}"#,
        r#"{"key":"Zm9vYmFy","lease":1000.0}"#,
        r#"{"key":"Zm9vYmFy","lease":"1e3"}"#,
    ] {
        assert_eq!(read(written.as_bytes(), &put).unwrap(), plain, "{written}");
    }
    assert!(read(br#"{"lease":1.5}"#, &put).is_err());
}
