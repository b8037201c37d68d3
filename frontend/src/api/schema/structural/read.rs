//! A schema read from what a definition holds.

use std::sync::{Arc, OnceLock};

use super::{Additional, Limits, Node, NodeType, Pattern, Rule};
use crate::api::schema::{
    codec::decode_free,
    tables::Merge,
    value::{MapValue, Value},
};

impl NodeType {
    fn read(text: &str) -> NodeType {
        match text {
            "object" => NodeType::Object,
            "array" => NodeType::Array,
            "string" => NodeType::String,
            "integer" => NodeType::Integer,
            "number" => NodeType::Number,
            "boolean" => NodeType::Boolean,
            _ => NodeType::None,
        }
    }
}

impl Node {
    /// Reads a schema; what it does not understand it leaves out, since validation has refused that.
    pub fn read(schema: &Value) -> Node {
        let flag = |name: &str| schema.child(name).and_then(Value::as_bool).unwrap_or(false);
        let text = |name: &str| schema.child(name).and_then(Value::as_str).unwrap_or_default();
        let additional = match schema.child("additionalProperties") {
            Some(Value::Bool(true)) => Additional::Allowed,
            Some(Value::Bool(false)) => Additional::Forbidden,
            Some(each) => Additional::Each(Arc::new(Node::read(each))),
            None => Additional::Unsaid,
        };
        let items = schema.child("items").filter(|items| items.as_list().is_none());
        let limits = Limits::read(schema);
        Node {
            kind: NodeType::read(text("type")),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            properties: properties(schema),
            items: items.map(|items| Arc::new(Node::read(items))),
            additional,
            default: schema.child("default").and_then(free).filter(|value| *value != Value::Null),
            merge: merge(schema),
            limits: (!limits.is_empty()).then(|| Box::new(limits)),
            rules: rules(schema),
            published: None,
        }
    }
}

fn properties(schema: &Value) -> Box<[(Box<str>, Arc<Node>)]> {
    let map = schema.child("properties").and_then(Value::as_map);
    let nodes =
        map.into_iter().flat_map(MapValue::iter).map(|(name, value)| (name.into(), Arc::new(Node::read(value))));
    nodes.collect()
}

fn merge(schema: &Value) -> Merge {
    let text = |name: &str| schema.child(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let keys = schema.child("x-kubernetes-list-map-keys").and_then(Value::as_list).unwrap_or_default();
    let keys: Vec<_> = keys.iter().filter_map(Value::as_str).map(|key| key.to_owned().into()).collect();
    Merge {
        list_type: text("x-kubernetes-list-type").into(),
        map_type: text("x-kubernetes-map-type").into(),
        list_map_keys: keys.into(),
        ..Merge::NONE
    }
}

fn rules(schema: &Value) -> Box<[Rule]> {
    let list = schema.child("x-kubernetes-validations").and_then(Value::as_list).unwrap_or_default();
    let rule = |value: &Value| {
        let text = |name: &str| value.child(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Rule {
            rule: text("rule"),
            message: text("message"),
            message_expression: text("messageExpression"),
            reason: text("reason"),
            field_path: text("fieldPath"),
            optional_old_self: value.child("optionalOldSelf").and_then(Value::as_bool),
        }
    };
    list.iter().map(rule).collect()
}

/// A JSON value that a definition holds as bytes, as a free tree.
pub fn free(raw: &Value) -> Option<Value> {
    match raw {
        Value::Bytes(json) => decode_free(json).ok(),
        other => Some(other.clone()),
    }
}

impl Limits {
    fn read(schema: &Value) -> Limits {
        let flag = |name: &str| schema.child(name).and_then(Value::as_bool).unwrap_or(false);
        let text = |name: &str| schema.child(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| schema.child(name).and_then(Value::as_f64);
        let count = |name: &str| schema.child(name).and_then(Value::as_i64);
        let list = |name: &str| schema.child(name).and_then(Value::as_list).unwrap_or_default();
        let nodes = |name: &str| list(name).iter().map(|value| Arc::new(Node::read(value))).collect();
        Limits {
            format: text("format").into(),
            maximum: number("maximum"),
            exclusive_maximum: flag("exclusiveMaximum"),
            minimum: number("minimum"),
            exclusive_minimum: flag("exclusiveMinimum"),
            max_length: count("maxLength"),
            min_length: count("minLength"),
            pattern: Pattern { text: text("pattern").into(), compiled: OnceLock::new() },
            max_items: count("maxItems"),
            min_items: count("minItems"),
            unique_items: flag("uniqueItems"),
            multiple_of: number("multipleOf"),
            enumeration: list("enum").iter().filter_map(free).collect(),
            max_properties: count("maxProperties"),
            min_properties: count("minProperties"),
            required: list("required").iter().filter_map(Value::as_str).map(Into::into).collect(),
            all_of: nodes("allOf"),
            any_of: nodes("anyOf"),
            one_of: nodes("oneOf"),
            not: schema.child("not").map(|not| Arc::new(Node::read(not))),
        }
    }

    fn is_empty(&self) -> bool {
        let numbers = [self.maximum, self.minimum, self.multiple_of];
        let counts = [
            self.max_length,
            self.min_length,
            self.max_items,
            self.min_items,
            self.max_properties,
            self.min_properties,
        ];
        let lists = [&self.all_of, &self.any_of, &self.one_of];
        self.format.is_empty()
            && self.pattern.text.is_empty()
            && !self.unique_items
            && self.enumeration.is_empty()
            && self.required.is_empty()
            && self.not.is_none()
            && numbers.iter().all(Option::is_none)
            && counts.iter().all(Option::is_none)
            && lists.iter().all(|list| list.is_empty())
    }
}
