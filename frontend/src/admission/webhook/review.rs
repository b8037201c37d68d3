//! The review that a webhook is sent, and what its answer means.

use serde_json::{Value as Json, json};

use super::super::{Attributes, matching::Matched};
use crate::{
    api::schema::{DecodeError, Gvk, Object, Schema, Value, codec},
    client::Reply,
    cluster::{objects::text, refusal_of_reply},
    request::status::{ApiError, Cause, Details, GroupResource, ListMeta},
};

const GROUP: &str = "admission.k8s.io";
const KIND: &str = "AdmissionReview";

/// The version of reviews that webhook and server both know.
pub(super) fn version(accepted: &[String]) -> Option<&'static str> {
    accepted.iter().find_map(|version| ["v1", "v1beta1"].into_iter().find(|known| known == version))
}

/// The request as JSON. `object` and `old` are in the version that was matched.
pub(super) fn request(
    version: &str,
    uid: &str,
    matched: &Matched,
    attributes: &Attributes<'_>,
    object: Option<&Object>,
    old: Option<&Object>,
) -> Vec<u8> {
    let kind = |gvk: &Gvk| json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind});
    let resource =
        |of: &crate::api::registry::Resource| json!({"group": of.group, "version": of.version, "resource": of.plural});
    let mut out = Vec::new();
    let mut put = |name: &str, value: &[u8]| {
        out.extend_from_slice(if out.is_empty() { b"{" } else { b"," });
        out.extend_from_slice(Json::from(name).to_string().as_bytes());
        out.push(b':');
        out.extend_from_slice(value);
    };
    let text = |value: &str| Json::from(value).to_string();
    put("uid", text(uid).as_bytes());
    put("kind", kind(&matched.kind).to_string().as_bytes());
    put("resource", resource(&matched.resource).to_string().as_bytes());
    let optional = |name: &'static str, value: &str| (!value.is_empty()).then(|| (name, text(value)));
    if let Some((name, value)) = optional("subResource", attributes.subresource) {
        put(name, value.as_bytes());
    }
    put("requestKind", kind(&attributes.kind).to_string().as_bytes());
    put("requestResource", resource(attributes.resource).to_string().as_bytes());
    for (name, value) in
        [("requestSubResource", attributes.subresource), ("name", attributes.name), ("namespace", attributes.namespace)]
    {
        if let Some((name, value)) = optional(name, value) {
            put(name, value.as_bytes());
        }
    }
    put("operation", text(attributes.operation.as_str()).as_bytes());
    put("userInfo", user(attributes).to_string().as_bytes());
    put("object", &encoded(object));
    put("oldObject", &encoded(old));
    put("dryRun", attributes.dry_run.to_string().as_bytes());
    put("options", &encoded(attributes.options));
    out.push(b'}');
    let head = format!("{{\"kind\":\"{KIND}\",\"apiVersion\":\"{GROUP}/{version}\",\"request\":");
    [head.into_bytes(), out, b"}".to_vec()].concat()
}

fn encoded(object: Option<&Object>) -> Vec<u8> {
    let mut out = Vec::new();
    match object {
        Some(object) => codec::encode_json(object, &mut out),
        None => out.extend_from_slice(b"null"),
    }
    out
}

fn user(attributes: &Attributes<'_>) -> Json {
    let user = attributes.user;
    let mut info = json!({});
    let mut put = |name: &str, value: Json| {
        info[name] = value;
    };
    for (name, value) in [("username", &user.name), ("uid", &user.uid)] {
        if !value.is_empty() {
            put(name, Json::from(value.as_str()));
        }
    }
    if !user.groups.is_empty() {
        put("groups", Json::from(user.groups.clone()));
    }
    if !user.extra.is_empty() {
        put("extra", user.extra.iter().map(|(key, values)| (key.clone(), Json::from(values.clone()))).collect());
    }
    info
}

/// What a webhook answered, as far as it counts.
pub(super) struct Response {
    pub(super) allowed: bool,
    pub(super) patch: Vec<u8>,
    pub(super) patch_type: String,
    /// The refusal, where it does not allow.
    pub(super) status: Option<Value>,
    pub(super) warnings: Vec<String>,
    pub(super) annotations: Vec<(String, String)>,
}

/// Why an answer is none: the call failed, or what came makes no sense.
pub(super) enum Broken {
    Call(String),
    Answer(String),
}

/// What is expected of an answer.
pub(super) struct Expected<'a> {
    pub(super) version: &'static str,
    pub(super) uid: &'a str,
    /// Patches are accepted.
    pub(super) mutating: bool,
}

/// Reads an answer as client-go does, and checks it.
pub(super) fn response(schema: &Schema, reply: &Reply, expected: &Expected<'_>) -> Result<Response, Broken> {
    if !matches!(reply.status.as_u16(), 200..=206) {
        return Err(Broken::Call(refusal_of_reply(schema, reply)));
    }
    let content = reply.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if reply.body.is_empty() {
        let (code, content) = (reply.status.as_u16(), content.unwrap_or("application/json"));
        return Err(Broken::Call(format!("0-length response with status code: {code} and content type: {content}")));
    }
    let wanted = Gvk::new(GROUP, expected.version, KIND);
    let review = decode(schema, &reply.body, &wanted).map_err(Broken::Call)?;
    let found = review.gvk().clone();
    if found.kind == "Status" {
        return Err(match review.get_str(&["status"]) {
            Some("Success") => Broken::Answer("webhook response was absent".to_owned()),
            _ => Broken::Call(review.get_str(&["message"]).unwrap_or_default().to_owned()),
        });
    }
    if found != wanted {
        let (from, to) = (&found.version, &wanted.version);
        let kind = &found.kind;
        return Err(Broken::Call(format!("converting ({from}.{kind}) to ({to}.{KIND}): unknown conversion")));
    }
    let Some(answer) = review.get(&["response"]) else {
        return Err(Broken::Answer("webhook response was absent".to_owned()));
    };
    read_response(&reply.body, answer, expected).map_err(Broken::Answer)
}

/// A review, or a kind that every client knows.
fn decode(schema: &Schema, body: &[u8], wanted: &Gvk) -> Result<Object, String> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let decoded = match first {
        Some(b'{') => codec::decode_json(schema, body, Some(wanted)),
        _ => codec::decode_yaml(schema, body, Some(wanted)),
    };
    let object = decoded.map_err(|error| error.to_string())?.object;
    let gvk = object.gvk();
    let known = (gvk.group == GROUP && matches!(&*gvk.version, "v1" | "v1beta1"))
        || (gvk.group.is_empty() && gvk.version == "v1" && gvk.kind == "Status");
    match known {
        true => Ok(object),
        false => Err(DecodeError::UnknownKind(gvk.clone()).to_string()),
    }
}

fn read_response(body: &[u8], answer: &Value, expected: &Expected<'_>) -> Result<Response, String> {
    let patch = answer.child("patch").and_then(Value::as_bytes).unwrap_or_default().to_vec();
    let patch_type = answer.child("patchType").and_then(Value::as_str).map(str::to_owned);
    if expected.version == "v1" {
        let uid = text(answer, "uid");
        if uid != expected.uid {
            return Err(format!("expected response.uid={:?}, got {uid:?}", expected.uid));
        }
        check_named(body)?;
        check_patch(&patch, patch_type.as_deref(), expected)?;
    }
    let patch_type = match expected.version {
        "v1" => patch_type.unwrap_or_default(),
        _ if patch.is_empty() => String::new(),
        _ => "JSONPatch".to_owned(),
    };
    let entries = |field: &str| answer.child(field).and_then(Value::as_map).into_iter().flat_map(|map| map.iter());
    let warnings = answer.child("warnings").and_then(Value::as_list).unwrap_or_default();
    Ok(Response {
        allowed: answer.child("allowed").and_then(Value::as_bool).unwrap_or(false),
        patch: if expected.mutating { patch } else { Vec::new() },
        patch_type,
        status: answer.child("status").cloned(),
        warnings: warnings.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        annotations: entries("auditAnnotations")
            .filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned())))
            .collect(),
    })
}

/// A review must say that it is one.
fn check_named(body: &[u8]) -> Result<(), String> {
    let Ok(document) = serde_json::from_slice::<Json>(body) else { return Ok(()) };
    let said = |name: &str| document.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (said("apiVersion"), said("kind"));
    if version == format!("{GROUP}/v1") && kind == KIND {
        return Ok(());
    }
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    Err(format!("expected webhook response of {GROUP}/v1, Kind={KIND}, got {group}/{version}, Kind={kind}"))
}

fn check_patch(patch: &[u8], patch_type: Option<&str>, expected: &Expected<'_>) -> Result<(), String> {
    let message = match (expected.mutating, patch.is_empty(), patch_type) {
        (true, false, None) => "webhook returned response.patch but not response.patchType",
        (true, true, Some(_)) => "webhook returned response.patchType but not response.patch",
        (true, false, Some("")) => "webhook returned invalid response.patchType of \"\"",
        (false, false, _) => "validating webhook may not return response.patch",
        (false, true, Some(_)) => "validating webhook may not return response.patchType",
        _ => return Ok(()),
    };
    Err(message.to_owned())
}

/// The refusal that a client hears: what the webhook says, with the webhook's name before it.
pub(super) fn denial(name: &str, status: Option<&Value>) -> ApiError {
    let string = |field: &str| status.map_or("", |status| text(status, field));
    let number = |field: &str| status.and_then(|status| status.child(field)).and_then(Value::as_i64).unwrap_or(0);
    let (reason, said) = (string("reason"), string("message"));
    let denied = format!("admission webhook {name:?} denied the request");
    let message = match (said, reason) {
        ("", "") => format!("{denied} without explanation"),
        ("", reason) => format!("{denied}: {reason}"),
        (said, _) => format!("{denied}: {said}"),
    };
    let code = u16::try_from(number("code")).unwrap_or(0).max(400);
    let mut error = ApiError::new(code, reason, message);
    if let Some(details) = status.and_then(|status| status.child("details")) {
        error = error.with_details(details_of(details));
    }
    if let Some(metadata) = status.and_then(|status| status.child("metadata")) {
        let own = |field: &str| text(metadata, field).to_owned();
        error.list_meta =
            Some(Box::new(ListMeta { resource_version: own("resourceVersion"), continue_token: own("continue") }));
    }
    error
}

fn details_of(details: &Value) -> Details {
    let owned = |value: &Value, field: &str| text(value, field).to_owned();
    let resource = GroupResource::new(owned(details, "group"), owned(details, "kind"));
    let causes = details.child("causes").and_then(Value::as_list).unwrap_or_default().iter().map(|cause| Cause {
        reason: owned(cause, "reason").into(),
        message: owned(cause, "message"),
        field: owned(cause, "field"),
    });
    Details {
        name: owned(details, "name"),
        group: resource.group,
        kind: resource.resource,
        uid: owned(details, "uid"),
        causes: causes.collect(),
        retry_after_seconds: details
            .child("retryAfterSeconds")
            .and_then(Value::as_i64)
            .and_then(|seconds| i32::try_from(seconds).ok())
            .unwrap_or(0),
    }
}
