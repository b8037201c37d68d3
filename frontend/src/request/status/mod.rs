//! The one place that turns a refusal into a Kubernetes `Status`.
//!
//! In: what went wrong, as one of the constructors below. Out: an [`ApiError`] that renders as the v1 `Status` a client
//! of kube-apiserver expects, byte for byte. Not here: the decision to refuse, and HTTP response building (see
//! `negotiate`). The message a client sees and the cause an operator sees are separate fields, so that nothing internal
//! can leak into an answer.

mod field;
mod quote;
mod reason;

use std::{borrow::Cow, fmt};

pub use field::{FieldError, FieldErrorKind, aggregate};
pub use quote::{go_float, go_quote, is_printable};
pub use reason::Reason;
use serde::Serialize;

/// A resource named with its API group, printed as `plural.group`, or `plural` for the core group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct GroupResource {
    pub group: Cow<'static, str>,
    pub resource: Cow<'static, str>,
}

impl GroupResource {
    pub fn new(group: impl Into<Cow<'static, str>>, resource: impl Into<Cow<'static, str>>) -> Self {
        GroupResource { group: group.into(), resource: resource.into() }
    }

    fn is_empty(&self) -> bool {
        self.group.is_empty() && self.resource.is_empty()
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.resource) } else { write!(f, "{}.{}", self.resource, self.group) }
    }
}

/// One machine-readable reason inside a `Status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
pub struct Cause {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: Cow<'static, str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// The `details` of a `Status`, in the order in which JSON prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
pub struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub group: Cow<'static, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    #[serde(rename = "retryAfterSeconds", skip_serializing_if = "is_zero")]
    pub retry_after_seconds: i32,
}

fn is_zero(n: &i32) -> bool {
    *n == 0
}

/// A refusal or a fault, ready to be answered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status, repeated in the body.
    pub code: u16,
    pub reason: Reason,
    /// What the client reads.
    pub message: String,
    pub details: Option<Box<Details>>,
    /// What the log reads; never sent.
    pub internal: Option<String>,
    /// Answered as `text/plain` instead of a `Status`, as the real server does outside of its API paths.
    pub plain_text: bool,
    /// Refused before any handler saw it: answered with `X-Content-Type-Options: nosniff`.
    pub nosniff: bool,
    /// What its metadata says, where it says something.
    pub list_meta: Option<Box<ListMeta>>,
}

/// Metadata of a `Status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListMeta {
    /// Only webhooks that refuse say this.
    #[serde(rename = "resourceVersion", skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// A token with which a list that was refused can go on.
    #[serde(rename = "continue", skip_serializing_if = "String::is_empty")]
    pub continue_token: String,
}

#[derive(Serialize)]
struct StatusBody<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    metadata: ListMeta,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Details>,
    code: u16,
}

impl ApiError {
    pub fn new(code: u16, reason: impl Into<Reason>, message: impl Into<String>) -> Self {
        ApiError {
            code,
            reason: reason.into(),
            message: message.into(),
            details: None,
            internal: None,
            plain_text: false,
            nosniff: false,
            list_meta: None,
        }
    }

    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Keeps a cause for the log, which the client does not see.
    pub fn with_internal(mut self, cause: impl fmt::Display) -> Self {
        self.internal = Some(cause.to_string());
        self
    }

    fn about(self, resource: &GroupResource, name: impl Into<String>) -> Self {
        self.with_details(Details {
            name: name.into(),
            group: resource.group.clone(),
            kind: resource.resource.clone(),
            ..Details::default()
        })
    }

    fn with_retry_after(mut self, seconds: i32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// Seconds for the `Retry-After` header, where the status carries them.
    pub fn retry_after_seconds(&self) -> Option<i32> {
        self.details.as_ref().map(|d| d.retry_after_seconds).filter(|s| *s > 0)
    }

    /// The v1 `Status` as compact JSON, HTML-escaped as Go's encoder does, with the trailing newline.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = escape_html(&serde_json::to_string(&self.body()).unwrap_or_default()).into_bytes();
        out.push(b'\n');
        out
    }

    /// The same, indented, for people. Without a newline at its end, as the real server writes it.
    pub fn to_json_pretty(&self) -> Vec<u8> {
        escape_html(&serde_json::to_string_pretty(&self.body()).unwrap_or_default()).into_bytes()
    }

    /// The v1 `Status` as a JSON value, for encodings other than JSON and for watch `ERROR` events.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self.body()).unwrap_or_default()
    }

    fn body(&self) -> StatusBody<'_> {
        StatusBody {
            kind: "Status",
            api_version: "v1",
            metadata: self.list_meta.as_deref().cloned().unwrap_or_default(),
            status: "Failure",
            message: &self.message,
            reason: self.reason.as_str(),
            details: self.details.as_deref(),
            code: self.code,
        }
    }
}

/// Go's JSON encoder writes `<`, `>`, `&`, U+2028 and U+2029 as escapes; they occur only inside strings.
pub fn escape_html(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

/// A text in JSON, as Go's encoder writes it.
pub fn json_quote(text: &str) -> String {
    escape_html(&serde_json::Value::from(text).to_string())
}

/// The constructors, each with the code, reason and wording of the API machinery.
impl ApiError {
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(404, Reason::NotFound, format!("{resource} {} not found", go_quote(name))).about(resource, name)
    }

    /// A path below an API prefix that no resource answers.
    pub fn resource_not_found() -> Self {
        Self::new(404, Reason::NotFound, "the server could not find the requested resource")
            .with_details(Details::default())
    }

    /// A path outside of every API group: text, not a Status.
    pub fn page_not_found() -> Self {
        ApiError { plain_text: true, nosniff: true, ..Self::new(404, Reason::NotFound, "404 page not found") }
    }

    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(409, Reason::AlreadyExists, format!("{resource} {} already exists", go_quote(name)))
            .about(resource, name)
    }

    pub fn generate_name_conflict(resource: &GroupResource, name: &str, retry_after: i32) -> Self {
        let message = format!(
            "{resource} {} already exists, the server was not able to generate a unique name for the object",
            go_quote(name)
        );
        Self::new(409, Reason::AlreadyExists, message).about(resource, name).with_retry_after(retry_after)
    }

    pub fn conflict(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {}: {why}", go_quote(name));
        Self::new(409, Reason::Conflict, message).about(resource, name)
    }

    pub fn apply_conflict(causes: Vec<Cause>, message: impl Into<String>) -> Self {
        Self::new(409, Reason::Conflict, message).with_details(Details { causes, ..Details::default() })
    }

    pub fn invalid(group: &str, kind: &str, name: &str, errors: Vec<FieldError>) -> Self {
        let qualified = GroupResource::new(group.to_owned(), kind.to_owned());
        let subject = format!("{qualified} {} is invalid", go_quote(name));
        let message = match aggregate(&errors) {
            Some(all) => format!("{subject}: {all}"),
            None => subject,
        };
        let causes = errors
            .iter()
            .map(|e| Cause { reason: e.kind.reason().into(), message: e.body(), field: e.field.clone() })
            .collect();
        Self::new(422, Reason::Invalid, message).with_details(Details {
            name: name.to_owned(),
            group: qualified.group,
            kind: qualified.resource,
            causes,
            ..Details::default()
        })
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, Reason::BadRequest, message)
    }

    pub fn forbidden(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = if resource.is_empty() {
            format!("forbidden: {why}")
        } else if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} {} is forbidden: {why}", go_quote(name))
        };
        Self::new(403, Reason::Forbidden, message).about(resource, name)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, Reason::Unauthorized, "Unauthorized")
    }

    /// The method exists in HTTP but not on this resource (an answer of the storage, with `details`).
    pub fn method_not_supported(resource: &GroupResource, action: &str) -> Self {
        let message = format!("{action} is not supported on resources of kind {}", go_quote(&resource.to_string()));
        Self::new(405, Reason::MethodNotAllowed, message).about(resource, "")
    }

    /// The router knows the path but not the method.
    pub fn method_not_allowed() -> Self {
        Self::new(405, Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
            .with_details(Details::default())
    }

    /// A transformation (`as=`) or a wildcard that no representation satisfies.
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::new(406, Reason::NotAcceptable, message)
    }

    /// An `Accept` without any media type that the router knows.
    pub fn not_acceptable_route(available: &[&str]) -> Self {
        let message = format!("406: Not Acceptable\n\nAvailable representations: {}", available.join(", "));
        Self::new(406, Reason::NotAcceptable, message).with_details(Details::default())
    }

    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, Reason::UnsupportedMediaType, message)
    }

    /// 410 with reason Expired: a resourceVersion or continue token that is too old.
    pub fn gone_expired(message: impl Into<String>) -> Self {
        Self::new(410, Reason::Expired, message)
    }

    /// A watch whose window is past: "too old resource version".
    pub fn too_old_resource_version(requested: i64, oldest: i64) -> Self {
        Self::gone_expired(format!("too old resource version: {requested} ({oldest})"))
    }

    /// A read not older than a revision that the store has not reached.
    pub fn too_large_resource_version(minimum: i64, current: i64, retry_after: i32) -> Self {
        let mut error =
            Self::timeout(format!("Too large resource version: {minimum}, current: {current}"), retry_after);
        error.details.get_or_insert_default().causes = vec![Cause {
            reason: "ResourceVersionTooLarge".into(),
            message: "Too large resource version".into(),
            field: String::new(),
        }];
        error
    }

    /// 504: the request may still complete.
    pub fn timeout(message: impl fmt::Display, retry_after: i32) -> Self {
        Self::new(504, Reason::Timeout, format!("Timeout: {message}"))
            .with_details(Details::default())
            .with_retry_after(retry_after)
    }

    /// 500 with a hint to try again.
    pub fn server_timeout(resource: &GroupResource, operation: &str, retry_after: i32) -> Self {
        let message = format!(
            "The {operation} operation against {resource} could not be completed at this time, please try again."
        );
        Self::new(500, Reason::ServerTimeout, message).about(resource, operation).with_retry_after(retry_after)
    }

    pub fn too_many_requests(message: impl Into<String>, retry_after: i32) -> Self {
        Self::new(429, Reason::TooManyRequests, message).with_details(Details::default()).with_retry_after(retry_after)
    }

    /// 500 with a message that is meant for the client; see [`ApiError::with_internal`] for what is not.
    pub fn internal(message: impl fmt::Display) -> Self {
        let text = message.to_string();
        Self::new(500, Reason::InternalError, format!("Internal error occurred: {text}"))
            .with_details(Details { causes: vec![Cause { message: text, ..Cause::default() }], ..Details::default() })
    }

    /// A bare 500: what the real server answers where an error carried no status of its own.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(500, Reason::Unknown, message)
    }

    pub fn request_entity_too_large(message: impl fmt::Display) -> Self {
        Self::new(413, Reason::RequestEntityTooLarge, format!("Request entity too large: {message}"))
    }

    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::new(503, Reason::ServiceUnavailable, message)
    }

    /// What is known of another server's refusal: its code, and words that count for some codes only.
    pub fn server_response(code: u16, verb: &str, resource: &GroupResource, name: &str, words: &str) -> Self {
        let unknown = format!("the server responded with the status code {code} but did not return more information");
        let (reason, message) = match code {
            400 => (Reason::BadRequest, "the server rejected our request for an unknown reason"),
            401 => (Reason::Unauthorized, "the server has asked for the client to provide credentials"),
            403 => (Reason::Forbidden, words),
            404 => (Reason::NotFound, "the server could not find the requested resource"),
            405 => (Reason::MethodNotAllowed, "the server does not allow this method on the requested resource"),
            406 if matches!(words, "" | "unknown") => {
                (Reason::NotAcceptable, "the server was unable to respond with a content type that the client supports")
            }
            406 => (Reason::NotAcceptable, words),
            409 if verb == "POST" => (Reason::AlreadyExists, "the server reported a conflict"),
            409 => (Reason::Conflict, "the server reported a conflict"),
            415 => (Reason::UnsupportedMediaType, words),
            422 => (Reason::Invalid, "the server rejected our request due to an error in our request"),
            429 => {
                let text = "the server has received too many requests and has asked us to try again later";
                (Reason::TooManyRequests, text)
            }
            503 => (Reason::ServiceUnavailable, "the server is currently unable to handle the request"),
            504 => {
                let text = "the server was unable to return a response in the time allotted, but may still be processing the request";
                (Reason::Timeout, text)
            }
            500.. => (Reason::InternalError, ""),
            _ => (Reason::Unknown, unknown.as_str()),
        };
        let message = match message {
            "" if reason == Reason::InternalError => {
                format!("an error on the server ({}) has prevented the request from succeeding", go_quote(words))
            }
            message => message.to_owned(),
        };
        let verb = verb.to_ascii_lowercase();
        Self::new(code, reason, format!("{message} ({verb} {resource} {name})")).about(resource, name)
    }
}

#[cfg(test)]
mod tests;
