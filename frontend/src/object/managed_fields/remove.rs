//! A value without the items and fields of a set.

use super::{
    element::Element,
    node::Node,
    place::{Form, Items, Place},
    set::Set,
};
use crate::api::schema::{MapValue, Text, Value};

/// What is left is a free tree; null when it is nothing.
pub(super) fn remove<'a>(place: Place<'a>, node: Node<'a>, set: &Set<'_>) -> Value {
    if let Node::Raw(_) = node {
        return remove(place, Node::of(&node.to_value(), None), set);
    }
    match place.form(node) {
        Form::Scalar => node.to_value(),
        Form::Map { atomic: true } | Form::List(Items::Atomic) => Value::Null,
        Form::List(items) => {
            let mut left = Vec::new();
            for item in node.items() {
                let known = place.step(items, item).ok();
                let found = known.as_ref().and_then(|step| set.find(step));
                match found {
                    Some(found) if found.member => {}
                    Some(found) => left.push(remove(place.item(), item, &found.children)),
                    None => left.push(item.to_value()),
                }
            }
            if left.is_empty() { Value::Null } else { Value::List(left) }
        }
        Form::Map { .. } => {
            let mut left: Vec<(Text, Value)> = Vec::new();
            node.each_child(|name, field, value| match set.find(&Element::field(name)) {
                Some(found) if found.member => {}
                Some(found) => {
                    let child = place.child_of(field, name).unwrap_or(Place::Untyped);
                    left.push((name.into(), remove(child, value, &found.children)));
                }
                None => left.push((name.into(), value.to_value())),
            });
            if left.is_empty() { Value::Null } else { Value::Map(MapValue::from_entries(left)) }
        }
    }
}
