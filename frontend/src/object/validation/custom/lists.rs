//! Lists that are sets or maps: no item, and no key, twice.

use super::{members, shown};
use crate::{
    api::schema::{
        MapValue, Value,
        structural::{Additional, Node},
    },
    request::status::FieldError,
};

/// Validates every list of an object.
pub(super) fn validate(value: &Value, node: &Node) -> Vec<FieldError> {
    let mut errors = Vec::new();
    visit(value, node, "", &mut errors);
    errors
}

fn visit(value: &Value, node: &Node, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::List(items) => {
            match &*node.merge.list_type {
                "set" => {
                    for at in repeated(items.iter().map(Some)) {
                        errors.push(FieldError::duplicate_value(format!("{path}[{at}]"), shown(&items[at])));
                    }
                }
                "map" => map(items, node, path, errors),
                _ => {}
            }
            if let Some(each) = node.items.as_deref() {
                items.iter().enumerate().for_each(|(at, item)| visit(item, each, &format!("{path}[{at}]"), errors));
            }
        }
        value => {
            for (name, member) in members(value).unwrap_or_default() {
                if let Some(node) = node.property(name) {
                    let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                    visit(member, node, &path, errors);
                } else if let Additional::Each(each) = &node.additional {
                    visit(member, each, &format!("{path}[{name}]"), errors);
                }
            }
        }
    }
}

/// Where something is met for the second time.
fn repeated<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<usize> {
    let mut seen: Vec<(T, usize)> = Vec::new();
    let mut found = Vec::new();
    for (at, value) in values.enumerate() {
        match seen.iter_mut().find(|(known, _)| *known == value) {
            Some((_, times)) => {
                *times += 1;
                if *times == 2 {
                    found.push(at);
                }
            }
            None => seen.push((value, 1)),
        }
    }
    found
}

fn map(items: &[Value], node: &Node, path: &str, errors: &mut Vec<FieldError>) {
    let is_object = |item: &Value| matches!(item, Value::Map(_) | Value::Struct(_) | Value::Null);
    if let Some((at, item)) = items.iter().enumerate().find(|(_, item)| !is_object(item)) {
        let detail = "must be an object for an array of list-type map";
        errors.push(FieldError::invalid_value(format!("{path}[{at}]"), shown(item), detail));
        return;
    }
    let keys_of = |item: &Value| {
        let keys = node.merge.list_map_keys.iter();
        let entries = keys.filter_map(|key| Some((key.to_string().into(), item.child(key)?.clone()))).collect();
        Value::Map(MapValue::from_entries(entries))
    };
    let keys: Vec<Value> = items.iter().map(keys_of).collect();
    for at in repeated(keys.iter()) {
        errors.push(FieldError::duplicate_value(format!("{path}[{at}]"), shown(&keys[at])));
    }
}
