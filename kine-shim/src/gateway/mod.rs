//! The JSON gateway: etcd's API as POST requests with JSON bodies. In goes HTTP, out comes HTTP; in between the very
//! gRPC services answer, called in this process. Messages are translated by their descriptors, so no message is named
//! here. The rules are protobuf's JSON mapping with proto field names, 64-bit integers as strings, bytes as base64,
//! absent where zero; streams are a line per message.

mod forms;
mod frames;
mod paths;
mod said;
mod timeout;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use http_body::Frame;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions,
};
use serde_json::{Value, value::RawValue};
use tonic::{Code, Status, body::Body};

use self::{frames::Messages, paths::PATHS, said::Said};

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(60);
const READING: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(false);
const WRITING: SerializeOptions = SerializeOptions::new().use_proto_field_name(true);

pub(crate) struct Gateway {
    methods: HashMap<&'static str, (&'static str, MethodDescriptor)>,
    body_bytes_max: usize,
}

impl Gateway {
    /// Base64 and names make a request longer than it is on gRPC.
    pub(crate) fn new(max_request_bytes: usize) -> Self {
        let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)
            .inspect_err(|error| tracing::error!(%error, "no JSON gateway: the descriptors are damaged"))
            .unwrap_or_default();
        let method = |name: &str| {
            let (service, method) = name.split_once('/')?;
            pool.get_service_by_name(service)?.methods().find(|found| found.name() == method)
        };
        let methods = PATHS.iter().filter_map(|(path, name)| Some((*path, (*name, method(name)?)))).collect();
        Self { methods, body_bytes_max: max_request_bytes.saturating_mul(2).saturating_add(1 << 20) }
    }

    pub(crate) fn body_bytes_max(&self) -> usize {
        self.body_bytes_max
    }

    /// `call` is the gRPC server. Dropping the response's body cancels what is under way.
    pub(crate) async fn answer<B, F>(
        &self,
        request: Request<B>,
        call: impl FnOnce(Request<Body>) -> F,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<said::Error>,
        F: Future<Output = Response<Body>>,
    {
        let path = request.uri().path();
        let path = path.strip_prefix("/v3/").or_else(|| path.strip_prefix("/v3beta/")).unwrap_or_default();
        let Some((name, method)) = self.methods.get(path) else { return error(&Status::not_found("Not Found")) };
        if request.method() != Method::POST {
            return error(&Status::unimplemented("Method Not Allowed"));
        }
        let within = match timeout::of(request.headers()) {
            Ok(within) => within,
            Err(status) => return error(&status),
        };
        let answering = self.translated(name, method, request, call);
        let answered = match within {
            Some(within) => match tokio::time::timeout(within, answering).await {
                Ok(answered) => answered,
                Err(_) => Err(Status::deadline_exceeded("context deadline exceeded")),
            },
            None => answering.await,
        };
        answered.unwrap_or_else(|status| error(&status))
    }

    async fn translated<B, F>(
        &self,
        name: &str,
        method: &MethodDescriptor,
        request: Request<B>,
        call: impl FnOnce(Request<Body>) -> F,
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<said::Error>,
        F: Future<Output = Response<Body>>,
    {
        let (head, body) = request.into_parts();
        let body = match method.is_client_streaming() {
            true => self.spoken(Said::new(body, self.body_bytes_max), method).await?,
            false => frames::whole(read(&self.whole(body).await?, &method.input())?),
        };
        let mut inner =
            Request::post(format!("/{name}")).body(body).map_err(|error| Status::internal(error.to_string()))?;
        // A certificate names no user here, as in etcd: whoever passes a token is its user.
        *inner.headers_mut() = metadata(&head.headers);
        let mut answered = Messages::of(call(inner).await)?;
        let output = method.output();
        if method.is_server_streaming() {
            let first = answered.next().await?;
            return Ok(streamed(output, first, answered));
        }
        let message = answered.next().await?.ok_or_else(|| Status::internal("no message in the answer"))?;
        // The status comes behind the message.
        answered.next().await?;
        Ok(page(StatusCode::OK, Body::new(Full::from(json(&output, message)?))))
    }

    /// A body that goes on as the client does. What its first value is, is known before anybody is asked.
    async fn spoken<B>(&self, mut said: Said<B>, method: &MethodDescriptor) -> Result<Body, Status>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<said::Error>,
    {
        let first = tokio::time::timeout(BODY_WITHIN, said.next());
        let first = first.await.map_err(|_| Status::deadline_exceeded("the body did not arrive in time"))??;
        let of = method.input();
        let first = first.map(|value| read(&value, &of)).transpose()?;
        let rest = stream::unfold((said, of), |(mut said, of)| async move {
            // Whoever says what is no message has said all, as in etcd.
            let value = said.next().await.ok().flatten()?;
            Some((read(&value, &of).ok()?, (said, of)))
        });
        // A watch ends when its client has nothing more to say; here that is when it hangs up.
        let ends = method.input().name() != "WatchRequest";
        Ok(frames::spoken(stream::iter(first).chain(rest), ends))
    }

    async fn whole<B>(&self, body: B) -> Result<Bytes, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<said::Error>,
    {
        match tokio::time::timeout(BODY_WITHIN, Limited::new(body, self.body_bytes_max).collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err(Status::resource_exhausted(format!("the body is larger than {} bytes", self.body_bytes_max)))
            }
            Ok(Err(error)) => Err(Status::invalid_argument(error.to_string())),
            Err(_) => Err(Status::deadline_exceeded("the body did not arrive in time")),
        }
    }
}

/// The first JSON value of the body as an encoded message; an empty one where there is none.
fn read(body: &[u8], of: &MessageDescriptor) -> Result<Vec<u8>, Status> {
    let first = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>().next();
    let text = first.transpose().map_err(invalid)?.map_or("{}", RawValue::get);
    let mut value: Value = serde_json::from_str(text).map_err(invalid)?;
    forms::normalize(&mut value, of);
    let message = DynamicMessage::deserialize_with_options(of.clone(), value, &READING).map_err(invalid)?;
    Ok(message.encode_to_vec())
}

fn invalid(error: serde_json::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

/// What the caller said about itself, as gRPC metadata.
fn metadata(headers: &HeaderMap) -> HeaderMap {
    let mut metadata = HeaderMap::new();
    metadata.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    metadata.insert("te", HeaderValue::from_static("trailers"));
    for (name, value) in headers {
        let meant = match name.as_str().strip_prefix("grpc-metadata-") {
            Some(rest) => HeaderName::try_from(rest).ok(),
            None => (name == AUTHORIZATION).then(|| name.clone()),
        };
        if let Some(name) = meant.filter(|name| !metadata.contains_key(name)) {
            metadata.insert(name, value.clone());
        }
    }
    metadata
}

fn json(output: &MessageDescriptor, message: Bytes) -> Result<Vec<u8>, Status> {
    let internal = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
    let message = DynamicMessage::decode(output.clone(), message).map_err(|error| internal(&error))?;
    let mut text = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut text, &WRITING).map_err(|error| internal(&error))?;
    Ok(text.into_inner())
}

/// A line for each message; a failure is the last one.
fn streamed(output: MessageDescriptor, first: Option<Bytes>, rest: Messages) -> Response<Body> {
    let lines = stream::unfold((output, first, Some(rest)), |(output, first, rest)| async move {
        let mut rest = rest?;
        let next = match first {
            Some(message) => Ok(Some(message)),
            None => rest.next().await,
        };
        let line = match next {
            Ok(None) => return None,
            Ok(Some(message)) => json(&output, message),
            Err(status) => Err(status),
        };
        let (line, rest) = match line {
            Ok(message) => ([&br#"{"result":"#[..], &message, b"}\n"].concat(), Some(rest)),
            Err(status) => (format!("{{\"error\":{}}}\n", told(&status)).into_bytes(), None),
        };
        Some((Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(line))), (output, None, rest)))
    });
    page(StatusCode::OK, Body::new(StreamBody::new(Box::pin(lines))))
}

fn page(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::OK {
        response.headers_mut().insert("grpc-metadata-content-type", HeaderValue::from_static("application/grpc"));
    }
    response
}

fn told(status: &Status) -> serde_json::Value {
    serde_json::json!({"code": status.code() as i32, "message": status.message()})
}

fn error(status: &Status) -> Response<Body> {
    page(http_status(status.code()), Body::new(Full::from(told(status).to_string())))
}

/// As grpc-gateway has it (runtime/errors.go).
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
