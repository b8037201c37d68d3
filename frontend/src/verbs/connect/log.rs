//! GET of a pod's log: a kubelet's answer, streamed, as text or over a WebSocket.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{StreamExt, future::ready, stream};
use http::{HeaderValue, Request as HttpRequest, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::{
    forwarded,
    location::{Location, Pod},
    messages::send_all,
    options,
    upgrade::own_connection,
    websocket::{self, Sent},
};
use crate::{
    api::schema::Object,
    cluster::{Target, known_kind},
    request::{
        Request,
        body::{self, Body},
        negotiate::{self, Offer},
        status::{ApiError, FieldError, GroupResource},
    },
    verbs::Context,
};

/// What a kubelet says of an error is read up to here.
const WORDS_BYTES_MAX: usize = 50_000;
/// What clients of a WebSocket get at once, as in the original.
const MESSAGE_BYTES_MAX: usize = 2048;
const BINARY: &str = "binary.k8s.io";
const BASE64: &str = "base64.binary.k8s.io";

pub(super) async fn get(ctx: &Context, target: &Target, request: Request) -> Result<Response<Body>, ApiError> {
    negotiate::text_output(&request.headers, &Offer::OBJECTS)?;
    let kind = known_kind(&target.api.schema, "", "v1", "PodLogOptions")?;
    let options = options::read(&kind, &request.query, None)?;
    let errors = validate(&options);
    if !errors.is_empty() {
        return Err(ApiError::invalid("", "PodLogOptions", &target.name, errors));
    }
    let Some(location) = location(ctx, target, &options).await? else {
        let mut response = Response::new(body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    };
    let content = ask(&location, &target.name).await?;
    if websocket::is_asked(&request.headers) {
        return over_websocket(request, content);
    }
    let mut response = Response::new(forwarded::body(content));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

fn validate(options: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let number = |field| options.get_i64(&[field]);
    if let Some(lines) = number("tailLines").filter(|lines| *lines < 0) {
        errors.push(FieldError::invalid_value("tailLines", lines, "must be greater than or equal to 0"));
    }
    if let Some(bytes) = number("limitBytes").filter(|bytes| *bytes < 1) {
        errors.push(FieldError::invalid_value("limitBytes", bytes, "must be greater than 0"));
    }
    match (number("sinceSeconds"), options.get_str(&["sinceTime"])) {
        (Some(_), Some(_)) => {
            let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            errors.push(FieldError::forbidden("[]", why));
        }
        (Some(seconds), None) if seconds < 1 => {
            errors.push(FieldError::invalid_value("sinceSeconds", seconds, "must be greater than 0"));
        }
        _ => {}
    }
    // Streams can be told apart only behind a feature gate that is off.
    if options.get(&["stream"]).is_some() {
        errors.push(FieldError::forbidden("stream", "may not be specified"));
    }
    errors
}

/// Where the log is; none of a pod without a node.
async fn location(ctx: &Context, target: &Target, options: &Object) -> Result<Option<Location>, ApiError> {
    let pod = Pod::get(ctx, target).await?;
    let container = pod.container(options.get_str(&["container"]).unwrap_or_default())?;
    let Some(kubelet) = pod.kubelet(ctx, target).await? else { return Ok(None) };
    let flag = |name| options.get_bool(&[name]).unwrap_or_default();
    let flags = ["follow", "previous", "timestamps"].into_iter().filter(|name| flag(name));
    let mut parameters: Vec<(&str, String)> = flags.map(|name| (name, "true".to_owned())).collect();
    for name in ["sinceSeconds", "tailLines", "limitBytes"] {
        parameters.extend(options.get_i64(&[name]).map(|number| (name, number.to_string())));
    }
    parameters.extend(options.get_str(&["sinceTime"]).map(|time| ("sinceTime", time.to_owned())));
    let client = match flag("insecureSkipTLSVerifyBackend") {
        true => ctx.backends.unchecked_kubelet(),
        false => ctx.backends.kubelet(),
    };
    Ok(Some(kubelet.at(client, format!("{}/{container}", pod.path("containerLogs")), parameters)))
}

/// The kubelet's answer, or its refusal.
async fn ask(location: &Location, name: &str) -> Result<Incoming, ApiError> {
    let mut request = HttpRequest::new(body::empty());
    *request.uri_mut() = location.uri()?;
    let failed = |url: &str, why: &str| ApiError::unknown(format!("Get {url:?}: {why}"));
    let response = location.client.send(request).await;
    let response = response.map_err(|error| failed(&location.url(), &error.to_string()))?;
    let code = response.status();
    let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
    if let Some(to) = to.filter(|_| matches!(code.as_u16(), 301..=303 | 307 | 308)) {
        return Err(failed(to, "redirects forbidden"));
    }
    if (200..=206).contains(&code.as_u16()) {
        return Ok(response.into_body());
    }
    let words = Limited::new(response.into_body(), WORDS_BYTES_MAX).collect().await;
    let words = words.map_err(ApiError::internal)?.to_bytes();
    let words = String::from_utf8_lossy(&words);
    Err(match code.as_u16() {
        500 => ApiError::internal(words),
        400 => ApiError::bad_request(words),
        code => ApiError::server_response(code, "", &GroupResource::new("", "pods/log"), name, &words),
    })
}

fn over_websocket(request: Request, content: Incoming) -> Result<Response<Body>, ApiError> {
    let (response, protocol) = match websocket::accept(&request, &["", BINARY, BASE64]) {
        Ok(agreed) => agreed,
        Err(refusal) => return Ok(*refusal),
    };
    let client = own_connection(request.upgrade)?;
    let in_base64 = protocol == BASE64;
    request.session.begin(async move {
        let Ok(client) = client.await else { return };
        let message: fn(Bytes) -> Sent = match in_base64 {
            true => |bytes| Sent::Text(BASE64_STANDARD.encode(bytes)),
            false => |bytes| Sent::Binary(None, bytes),
        };
        let chunks =
            content.into_data_stream().take_while(|chunk| ready(chunk.is_ok())).filter_map(|chunk| ready(chunk.ok()));
        let parts = chunks.flat_map(|chunk| stream::iter(parts(chunk)));
        // An empty one says that the log begins.
        send_all(client, stream::iter([Bytes::new()]).chain(parts).map(message)).await;
    });
    Ok(response)
}

fn parts(mut chunk: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let length = chunk.len().min(MESSAGE_BYTES_MAX);
        (length > 0).then(|| chunk.split_to(length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::schema::Schema, request::info::Query};

    #[test]
    fn options_that_contradict_are_refused_together() {
        let kind = Schema::builtin().kind("", "v1", "PodLogOptions").unwrap();
        let refused = |query| {
            let options = options::read(&kind, &Query::parse(query), None).unwrap();
            let errors = validate(&options);
            (!errors.is_empty()).then(|| ApiError::invalid("", "PodLogOptions", "web", errors).message)
        };
        let cases = [
            ("", None),
            ("tailLines=0&limitBytes=1&sinceSeconds=1", None),
            ("tailLines=-1", Some("tailLines: Invalid value: -1: must be greater than or equal to 0")),
            ("limitBytes=0", Some("limitBytes: Invalid value: 0: must be greater than 0")),
            ("stream=All", Some("stream: Forbidden: may not be specified")),
            (
                "sinceSeconds=0&sinceTime=2026-01-01T00:00:00Z",
                Some("[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"),
            ),
        ];
        for (query, want) in cases {
            let want = want.map(|why| format!("PodLogOptions \"web\" is invalid: {why}"));
            assert_eq!(refused(query), want, "{query}");
        }
    }
}
