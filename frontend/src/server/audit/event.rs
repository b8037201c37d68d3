//! What is told of a request, in the form of audit.k8s.io/v1.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    access::authz::Attributes,
    request::{Request, User, status::ApiError},
};

/// Longer names of clients are cut.
const USER_AGENT_BYTES_MAX: usize = 1024;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    api_version: &'static str,
    level: &'static str,
    #[serde(rename = "auditID")]
    audit_id: String,
    pub(super) stage: &'static str,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: UserInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) impersonated_user: Option<UserInfo>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "Vec::is_empty")]
    source_ips: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_ref: Option<ObjectReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_status: Option<ResponseStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_object: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_object: Option<Box<RawValue>>,
    request_received_timestamp: String,
    pub(super) stage_timestamp: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct UserInfo {
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectReference {
    #[serde(skip_serializing_if = "String::is_empty")]
    resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    subresource: String,
}

/// A Status, as far as it tells how a request ended.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ResponseStatus {
    metadata: Empty,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    code: u16,
}

#[derive(Clone, Debug, Serialize)]
struct Empty {}

impl ResponseStatus {
    pub(super) fn of_code(code: u16) -> ResponseStatus {
        ResponseStatus { metadata: Empty {}, status: "", message: String::new(), reason: String::new(), code }
    }

    pub(super) fn of_error(error: &ApiError) -> ResponseStatus {
        ResponseStatus {
            metadata: Empty {},
            status: "Failure",
            message: error.message.clone(),
            reason: error.reason.as_str().to_owned(),
            code: error.code,
        }
    }
}

impl From<&User> for UserInfo {
    fn from(user: &User) -> UserInfo {
        UserInfo {
            username: user.name.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            extra: user.extra.iter().cloned().collect(),
        }
    }
}

/// A moment with microseconds.
pub(super) fn micro_time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Set where an event was too large.
const TRUNCATED: &str = "audit.k8s.io/truncated";

impl Event {
    /// As it stands in a list.
    pub(super) fn as_item(&self) -> Event {
        Event { kind: "", api_version: "", ..self.clone() }
    }

    /// Without the documents that came and went; none where it has none.
    pub(super) fn without_objects(&self) -> Option<Event> {
        self.request_object.as_ref().or(self.response_object.as_ref())?;
        let mut event = Event { request_object: None, response_object: None, ..self.clone() };
        event.annotations.insert(TRUNCATED.to_owned(), "true".to_owned());
        Some(event)
    }

    pub(super) fn of_request(level: &'static str, asked: &Attributes, request: &Request, at: jiff::Timestamp) -> Event {
        let mut user_agent = request.user_agent().to_owned();
        if user_agent.len() > USER_AGENT_BYTES_MAX {
            let end = user_agent.floor_char_boundary(USER_AGENT_BYTES_MAX);
            user_agent.truncate(end);
            user_agent.push_str("...TRUNCATED");
        }
        let object_ref = asked.is_resource.then(|| ObjectReference {
            resource: asked.resource.clone(),
            namespace: asked.namespace.clone(),
            name: asked.name.clone(),
            api_group: asked.group.clone(),
            api_version: asked.version.clone(),
            subresource: asked.subresource.clone(),
        });
        let uri = request.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        Event {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level,
            audit_id: request.audit_id.clone(),
            stage: "",
            request_uri: uri,
            verb: asked.verb.clone(),
            user: (&asked.user).into(),
            impersonated_user: None,
            source_ips: source_ips(request),
            user_agent,
            object_ref,
            response_status: None,
            request_object: None,
            response_object: None,
            request_received_timestamp: micro_time(at),
            stage_timestamp: String::new(),
            annotations: BTreeMap::new(),
        }
    }
}

/// Where a request came from, as far as proxies told, the nearest hop last.
fn source_ips(request: &Request) -> Vec<String> {
    let is_ip = |text: &&str| text.parse::<std::net::IpAddr>().is_ok();
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut ips: Vec<String> =
        header("x-forwarded-for").split(',').map(str::trim).filter(is_ip).map(str::to_owned).collect();
    let real = header("x-real-ip").trim();
    if ips.is_empty() && is_ip(&real) {
        ips.push(real.to_owned());
    }
    if let Some(address) = request.peer.address {
        let nearest = address.ip().to_string();
        if ips.last() != Some(&nearest) {
            ips.push(nearest);
        }
    }
    ips
}
