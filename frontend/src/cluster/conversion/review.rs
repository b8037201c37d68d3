//! The exchange with a conversion webhook: a ConversionReview out, and one back that is not believed.
//!
//! In: objects and the version they shall have; the webhook's answer. Out: the review as JSON; objects that differ from
//! those that were sent in nothing that a conversion may not change, or what is wrong, in the original's words. Pure.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json, value::RawValue};

use crate::{
    api::schema::{Gvk, Object, Schema, Type, codec, scalar::names},
    client::Reply,
    cluster::refusal_of_reply,
};

const GROUP: &str = "apiextensions.k8s.io";
const KIND: &str = "ConversionReview";

/// The first version of reviews that both know.
pub(super) fn version(understood: &[String]) -> Option<&str> {
    understood.iter().map(String::as_str).find(|version| matches!(*version, "v1" | "v1beta1"))
}

/// What is sent.
pub(super) fn request(version: &str, uid: &str, desired: &str, objects: &[Object]) -> Vec<u8> {
    let mut out = format!(
        "{{\"kind\":\"{KIND}\",\"apiVersion\":\"{GROUP}/{version}\",\"request\":{{\"uid\":\"{uid}\",\"desiredAPIVersion\":\"{desired}\",\"objects\":["
    )
    .into_bytes();
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        codec::encode_json(object, &mut out);
    }
    out.extend_from_slice(b"]},\"response\":{\"uid\":\"\",\"convertedObjects\":null,\"result\":{\"metadata\":{}}}}\n");
    out
}

/// That a conversion of this kind failed.
pub(super) fn failed(from: &Gvk, why: &str) -> String {
    format!("conversion webhook for {} failed: {why}", shown(from))
}

fn shown(gvk: &Gvk) -> String {
    format!("{}/{}, Kind={}", gvk.group, gvk.version, gvk.kind)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    response: Option<Response>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    uid: Option<String>,
    converted_objects: Option<Vec<Box<RawValue>>>,
    result: Option<Outcome>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Outcome {
    status: Option<String>,
    message: Option<String>,
}

/// What the webhook made of the objects; or what is wrong with its answer.
pub(super) fn answer(schema: &Schema, reply: &Reply, version: &str, uid: &str) -> Result<Vec<Box<RawValue>>, String> {
    if !reply.status.is_success() {
        return Err(refusal_of_reply(schema, reply));
    }
    let review: Review = serde_json::from_slice(&reply.body).map_err(|error| decode_error(schema, reply, &error))?;
    if version == "v1" && (review.kind != KIND || review.api_version != format!("{GROUP}/v1")) {
        let (group, version) = review.api_version.split_once('/').unwrap_or(("", &review.api_version));
        let got = format!("{group}/{version}, Kind={}", review.kind);
        return Err(format!("expected webhook response of {GROUP}/v1, Kind={KIND}, got {got}"));
    }
    let response = review.response.ok_or("no response provided")?;
    let said = response.uid.unwrap_or_default();
    if version == "v1" && said != uid {
        return Err(format!("expected response.uid={uid:?}, got {said:?}"));
    }
    let outcome = response.result.unwrap_or_default();
    let status = outcome.status.unwrap_or_default();
    if status != "Success" {
        let message = outcome.message.filter(|message| !message.is_empty());
        return Err(message.unwrap_or_else(|| format!("response.result.status was '{status}', not 'Success'")));
    }
    Ok(response.converted_objects.unwrap_or_default())
}

/// What Go's decoder says of an answer that is no review.
fn decode_error(schema: &Schema, reply: &Reply, error: &serde_json::Error) -> String {
    let review = Gvk::from_static(GROUP, "v1", KIND);
    match codec::decode_json(schema, &reply.body, Some(&review)) {
        Err(found) => found.to_string(),
        Ok(_) => error.to_string(),
    }
}

/// Believes what may be believed: labels, annotations and what is beside the metadata.
pub(super) fn accept(converted: Vec<Box<RawValue>>, sent: &[Object], to: &Type) -> Result<Vec<Object>, String> {
    let Some(first) = sent.first() else { return Ok(Vec::new()) };
    let webhook = format!("conversion webhook for {}", shown(first.gvk()));
    if converted.len() != sent.len() {
        return Err(format!("{webhook} returned {} objects, expected {}", converted.len(), sent.len()));
    }
    let pairs = converted.iter().zip(sent).enumerate();
    pairs.map(|(index, (raw, original))| accept_one(&webhook, index, raw, original, to)).collect()
}

fn accept_one(webhook: &str, index: usize, raw: &RawValue, original: &Object, to: &Type) -> Result<Object, String> {
    let parsed = serde_json::from_str::<Json>(raw.get());
    let Ok(Json::Object(mut object)) = parsed else {
        return Err(format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", raw.get()));
    };
    let kind = text(&object, "kind");
    if kind.is_empty() {
        return Err(format!("Object 'Kind' is missing in '{}'", raw.get()));
    }
    let api_version = text(&object, "apiVersion");
    let wanted = to.gvk.api_version();
    let invalid = format!("{webhook} returned invalid object at index {index}");
    if api_version != wanted {
        return Err(format!("{invalid}: invalid groupVersion (expected {wanted}, received {api_version})"));
    }
    if kind != original.gvk().kind {
        return Err(format!("{invalid}: invalid kind (expected {}, received {kind})", original.gvk().kind));
    }
    let metadata = object.get("metadata").and_then(Json::as_object);
    let identity = [("name", original.name()), ("namespace", original.namespace()), ("UID", original.uid())];
    for (what, before) in identity {
        let after = metadata.map(|metadata| text(metadata, &what.to_lowercase())).unwrap_or_default();
        if before != after {
            return Err(format!("{webhook} returned invalid object: must have the same {what}: {before} != {after}"));
        }
    }
    restore_metadata(original, &mut object).map_err(|why| format!("{webhook} returned invalid metadata: {why}"))?;
    let json = Json::Object(object).to_string();
    let decoded = codec::decode_json_as(to, json.as_bytes());
    decoded.map(|decoded| decoded.object).map_err(|error| error.to_string())
}

fn text(object: &Map<String, Json>, field: &str) -> String {
    object.get(field).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// The metadata that was sent, with the labels and annotations that came back.
fn restore_metadata(original: &Object, converted: &mut Map<String, Json>) -> Result<(), String> {
    let mut sent = Vec::new();
    codec::encode_json(original, &mut sent);
    let sent: Json = serde_json::from_slice(&sent).map_err(|error| error.to_string())?;
    let mut restored = sent.get("metadata").and_then(Json::as_object).cloned().unwrap_or_default();
    let came = match converted.get("metadata") {
        None => return Err("missing metadata in converted object".to_owned()),
        Some(Json::Object(metadata)) => metadata,
        Some(other) => return Err(format!("invalid metadata of type {} in converted object", go_type(other))),
    };
    for field in ["labels", "annotations"] {
        let entries = match came.get(field) {
            None | Some(Json::Null) => {
                restored.remove(field);
                continue;
            }
            Some(Json::Object(entries)) => entries,
            Some(other) => {
                return Err(format!("invalid metadata.{field} of type {} in converted object", go_type(other)));
            }
        };
        if let Some((key, value)) = entries.iter().find(|(_, value)| !value.is_string()) {
            let found = go_type(value);
            return Err(format!("metadata.{field}[{key}] must be a string, but is {found} in converted object"));
        }
        if restored.get(field).and_then(Json::as_object) != Some(entries) {
            check_entries(field, entries)?;
        }
        restored.insert(field.to_owned(), Json::Object(entries.clone()));
    }
    converted.insert("metadata".to_owned(), Json::Object(restored));
    Ok(())
}

/// Changed labels and annotations must be good ones.
fn check_entries(field: &str, entries: &Map<String, Json>) -> Result<(), String> {
    let path = if field == "labels" { "metadata.labels" } else { "metadata.annotation" };
    let mut messages = Vec::new();
    for (key, value) in entries {
        let (name, value) = match field {
            "labels" => (key.clone(), value.as_str().unwrap_or_default()),
            _ => (key.to_lowercase(), ""),
        };
        let shown = json!(key);
        messages
            .extend(names::label_key(&name).into_iter().map(|why| format!("{path}: Invalid value: {shown}: {why}")));
        messages.extend(
            names::label_value(value).into_iter().map(|why| format!("{path}: Invalid value: {}: {why}", json!(value))),
        );
    }
    match messages.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
}

fn go_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::api::custom::{Definition, api_with};

    fn kinds() -> (std::sync::Arc<Schema>, Type, Type) {
        let json = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"as.x.io"},
          "spec":{"group":"x.io","scope":"Namespaced","names":{"plural":"as","kind":"A"},"versions":[
            {"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{
              "one":{"type":"integer"}}}}},
            {"name":"v2","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object","properties":{
              "two":{"type":"integer"},"unset":{"type":"string","default":"d"}}}}}]},
          "status":{"acceptedNames":{"plural":"as","kind":"A","listKind":"AList"},
            "conditions":[{"type":"Established","status":"True"}]}}"#;
        let object = codec::decode_json(&Schema::builtin(), json.as_bytes(), None).unwrap().object;
        let api = api_with([std::sync::Arc::new(Definition::read(&object).unwrap())]);
        let kind = |version: &str| api.schema.kind("x.io", version, "A").unwrap();
        (api.schema.clone(), kind("v1"), kind("v2"))
    }

    fn sent(schema: &Schema) -> Object {
        let json = r#"{"apiVersion":"x.io/v1","kind":"A","metadata":{"name":"a","namespace":"n","uid":"u","generation":3,
            "labels":{"l":"1"},"finalizers":["x.io/f"]},"one":1}"#;
        codec::decode_json(schema, json.as_bytes(), None).unwrap().object
    }

    #[test]
    fn a_review_has_what_is_to_be_converted_and_an_empty_response() {
        let (schema, ..) = kinds();
        let text = String::from_utf8(request("v1", "7", "x.io/v2", &[sent(&schema)])).unwrap();
        let review: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(review["request"]["uid"], "7");
        assert_eq!(review["request"]["desiredAPIVersion"], "x.io/v2");
        assert_eq!(review["request"]["objects"][0]["one"], 1);
        assert!(
            text.ends_with("\"response\":{\"uid\":\"\",\"convertedObjects\":null,\"result\":{\"metadata\":{}}}}\n")
        );
    }

    #[test]
    fn answers_that_are_none_say_why() {
        let (schema, ..) = kinds();
        let answered = |version: &str, body: &str| {
            let body = body.to_owned().into();
            let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), body };
            answer(&schema, &reply, version, "7").map(|found| found.len())
        };
        let named = r#""kind":"ConversionReview","apiVersion":"apiextensions.k8s.io/v1""#;
        for (version, body, expected) in [
            (
                "v1",
                format!(
                    r#"{{{named},"response":{{"uid":"7","result":{{"status":"Success"}},"convertedObjects":[{{}}]}}}}"#
                ),
                Ok(1),
            ),
            ("v1beta1", r#"{"response":{"result":{"status":"Success"}}}"#.to_owned(), Ok(0)),
            (
                "v1",
                r#"{"kind":"X","apiVersion":"v1"}"#.to_owned(),
                Err("expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /v1, Kind=X"),
            ),
            ("v1", format!("{{{named}}}"), Err("no response provided")),
            ("v1", format!(r#"{{{named},"response":{{"uid":"8"}}}}"#), Err("expected response.uid=\"7\", got \"8\"")),
            (
                "v1",
                format!(r#"{{{named},"response":{{"uid":"7"}}}}"#),
                Err("response.result.status was '', not 'Success'"),
            ),
            (
                "v1",
                format!(r#"{{{named},"response":{{"uid":"7","result":{{"status":"Failure","message":"no"}}}}}}"#),
                Err("no"),
            ),
        ] {
            assert_eq!(answered(version, &body), expected.map_err(str::to_owned), "{body}");
        }
    }

    #[test]
    fn only_what_a_conversion_may_change_is_believed() {
        let (schema, _, to) = kinds();
        let original = sent(&schema);
        let converted = |metadata: &str| {
            let json = format!(r#"{{"apiVersion":"x.io/v2","kind":"A","metadata":{metadata},"two":1,"junk":2}}"#);
            accept(vec![RawValue::from_string(json).unwrap()], std::slice::from_ref(&original), &to)
        };
        let kept = converted(
            r#"{"name":"a","namespace":"n","uid":"u","generation":9,"labels":{"m":"2"},"annotations":{"k":"v"},"finalizers":[]}"#,
        );
        let mut text = Vec::new();
        codec::encode_json(&kept.unwrap()[0], &mut text);
        let expected: Json = serde_json::from_str(
            r#"{"apiVersion":"x.io/v2","kind":"A","metadata":{"name":"a","namespace":"n","uid":"u","generation":3,
            "labels":{"m":"2"},"annotations":{"k":"v"},"finalizers":["x.io/f"]},"two":1}"#,
        )
        .unwrap();
        assert_eq!(serde_json::from_slice::<Json>(&text).unwrap(), expected);
        let whole = |change: &str| format!(r#"{{"name":"a","namespace":"n","uid":"u"{change}}}"#);
        for (metadata, why) in [
            (r#"{"name":"b","namespace":"n","uid":"u"}"#.to_owned(), "object: must have the same name: a != b"),
            (r#"{"name":"a","uid":"u"}"#.to_owned(), "object: must have the same namespace: n != "),
            (r#"{"name":"a","namespace":"n"}"#.to_owned(), "object: must have the same UID: u != "),
            (whole(r#","labels":[]"#), "metadata: invalid metadata.labels of type []interface {} in converted object"),
            (
                whole(r#","labels":{"a":1}"#),
                "metadata: metadata.labels[a] must be a string, but is int64 in converted object",
            ),
        ] {
            let refused = converted(&metadata).unwrap_err();
            assert_eq!(refused, format!("conversion webhook for x.io/v1, Kind=A returned invalid {why}"));
        }
        assert!(
            converted(&whole(r#","labels":{"-":"v"}"#)).unwrap_err().contains("metadata.labels: Invalid value: \"-\"")
        );
        let none = accept(Vec::new(), &[original], &to).unwrap_err();
        assert_eq!(none, "conversion webhook for x.io/v1, Kind=A returned 0 objects, expected 1");
    }
}
