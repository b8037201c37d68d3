//! The document of version 2 as protobuf, in the messages of gnostic's `openapi.v2` that clients of the older kind
//! read.
//!
//! In: the document as JSON. Out: its bytes. Only what the document can hold is known here; extensions are carried as
//! YAML.

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::{Map, Value};

use crate::api::schema::codec;

/// A message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        encode_key(number, WireType::LengthDelimited, &mut self.0);
        encode_varint(bytes.len() as u64, &mut self.0);
        self.0.extend_from_slice(bytes);
    }

    /// A text that is there and not empty.
    fn text(&mut self, number: u32, value: Option<&Value>) {
        if let Some(text) = value.and_then(Value::as_str).filter(|t| !t.is_empty()) {
            self.bytes(number, text.as_bytes());
        }
    }

    fn texts(&mut self, number: u32, value: Option<&Value>) {
        for text in value.and_then(Value::as_array).into_iter().flatten() {
            self.bytes(number, text.as_str().unwrap_or_default().as_bytes());
        }
    }

    fn truth(&mut self, number: u32, value: Option<&Value>) {
        if value == Some(&Value::Bool(true)) {
            encode_key(number, WireType::Varint, &mut self.0);
            encode_varint(1, &mut self.0);
        }
    }

    fn message(&mut self, number: u32, message: Message) {
        self.bytes(number, &message.0);
    }

    /// A message `{name, value}`, of which gnostic makes its maps.
    fn named(&mut self, number: u32, name: &str, value: Message) {
        let mut entry = Message::default();
        entry.bytes(1, name.as_bytes());
        entry.message(2, value);
        self.message(number, entry);
    }

    fn extensions(&mut self, number: u32, map: &Map<String, Value>) {
        for (name, value) in map.iter().filter(|(name, _)| name.starts_with("x-")) {
            self.named(number, name, any(value));
        }
    }
}

type Object = Map<String, Value>;

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Object)> {
    let map = value.and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(name, value)| Some((name, value.as_object()?)))
}

fn any(value: &Value) -> Message {
    let mut yaml = Vec::new();
    codec::json_to_yaml(value.to_string().as_bytes(), &mut yaml);
    let mut message = Message::default();
    message.bytes(2, &yaml);
    message
}

pub(super) fn document(json: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, json.get("swagger"));
    let mut info = Message::default();
    info.text(1, json["info"].get("title"));
    info.text(2, json["info"].get("version"));
    out.message(2, info);
    let mut paths = Message::default();
    for (path, item) in members(json.get("paths")) {
        paths.named(2, path, path_item(item));
    }
    out.message(8, paths);
    let mut definitions = Message::default();
    for (name, definition) in members(json.get("definitions")) {
        definitions.named(1, name, schema(definition));
    }
    out.message(9, definitions);
    for requirement in json["security"].as_array().into_iter().flatten() {
        let mut message = Message::default();
        for (name, scopes) in requirement.as_object().into_iter().flatten() {
            let mut list = Message::default();
            list.texts(1, Some(scopes));
            message.named(1, name, list);
        }
        out.message(12, message);
    }
    let mut security = Message::default();
    for (name, definition) in members(json.get("securityDefinitions")) {
        let mut key = Message::default();
        for (number, field) in [(1, "type"), (2, "name"), (3, "in"), (4, "description")] {
            key.text(number, definition.get(field));
        }
        let mut item = Message::default();
        item.message(2, key);
        security.named(1, name, item);
    }
    out.message(13, security);
    out.0
}

fn path_item(item: &Object) -> Message {
    let mut out = Message::default();
    let methods = [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (6, "options"), (7, "head"), (8, "patch")];
    for (number, method) in methods {
        if let Some(found) = item.get(method).and_then(Value::as_object) {
            out.message(number, operation(found));
        }
    }
    parameters(&mut out, 9, item.get("parameters"));
    out
}

fn operation(operation: &Object) -> Message {
    let mut out = Message::default();
    out.texts(1, operation.get("tags"));
    out.text(3, operation.get("description"));
    out.text(5, operation.get("operationId"));
    out.texts(6, operation.get("produces"));
    out.texts(7, operation.get("consumes"));
    parameters(&mut out, 8, operation.get("parameters"));
    let mut responses = Message::default();
    for (code, response) in members(operation.get("responses")) {
        let mut message = Message::default();
        message.text(1, response.get("description"));
        if let Some(found) = response.get("schema").and_then(Value::as_object) {
            let mut item = Message::default();
            item.message(1, schema(found));
            message.message(2, item);
        }
        let mut value = Message::default();
        value.message(1, message);
        responses.named(1, code, value);
    }
    out.message(9, responses);
    out.texts(10, operation.get("schemes"));
    out.extensions(13, operation);
    out
}

fn parameters(out: &mut Message, number: u32, list: Option<&Value>) {
    for parameter in list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
        let location = parameter.get("in").and_then(Value::as_str).unwrap_or_default();
        let mut message = Message::default();
        if location == "body" {
            let mut body = Message::default();
            for (number, field) in [(1, "description"), (2, "name"), (3, "in")] {
                body.text(number, parameter.get(field));
            }
            body.truth(4, parameter.get("required"));
            if let Some(found) = parameter.get("schema").and_then(Value::as_object) {
                body.message(5, schema(found));
            }
            message.message(1, body);
        } else {
            let mut plain = Message::default();
            plain.truth(1, parameter.get("required"));
            for (number, field) in [(2, "in"), (3, "description"), (4, "name")] {
                plain.text(number, parameter.get(field));
            }
            // A query parameter has one field more before its type.
            let (kind, unique, form) = if location == "path" { (5, 19, 4) } else { (6, 20, 3) };
            plain.text(kind, parameter.get("type"));
            plain.truth(unique, parameter.get("uniqueItems"));
            let mut other = Message::default();
            other.message(form, plain);
            message.message(2, other);
        }
        let mut item = Message::default();
        item.message(1, message);
        out.message(number, item);
    }
}

fn schema(schema_json: &Object) -> Message {
    let mut out = Message::default();
    for (number, field) in [(1, "$ref"), (2, "format"), (4, "description")] {
        out.text(number, schema_json.get(field));
    }
    out.texts(19, schema_json.get("required"));
    for value in schema_json.get("enum").and_then(Value::as_array).into_iter().flatten() {
        out.message(20, any(value));
    }
    if let Some(values) = schema_json.get("additionalProperties").and_then(Value::as_object) {
        let mut item = Message::default();
        item.message(1, schema(values));
        out.message(21, item);
    }
    if let Some(kind) = schema_json.get("type").and_then(Value::as_str) {
        let mut item = Message::default();
        item.bytes(1, kind.as_bytes());
        out.message(22, item);
    }
    if let Some(items) = schema_json.get("items").and_then(Value::as_object) {
        let mut item = Message::default();
        item.message(1, schema(items));
        out.message(23, item);
    }
    let mut properties = Message::default();
    for (name, property) in members(schema_json.get("properties")) {
        properties.named(1, name, schema(property));
    }
    if !properties.0.is_empty() {
        out.message(25, properties);
    }
    out.extensions(31, schema_json);
    out
}
