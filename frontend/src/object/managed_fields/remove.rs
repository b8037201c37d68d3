//! A value without the items and fields of a set.

use super::{
    element::Element,
    node::Node,
    set::Set,
    type_ref::{Form, Items, TypeRef},
};
use crate::api::schema::{MapValue, Text, Value};

/// What is left is a free tree; null when it is nothing.
pub(super) fn remove<'a>(ty: TypeRef<'a>, node: Node<'a>, set: &Set<'_>) -> Value {
    if let Node::Raw(_) = node {
        return remove(ty, Node::of(&node.to_value(), None), set);
    }
    match ty.form(node) {
        Form::Scalar => node.to_value(),
        Form::Map { atomic: true } | Form::List(Items::Atomic) => Value::Null,
        Form::List(items) => {
            let mut left = Vec::new();
            for item in node.items() {
                let known = ty.step(items, item).ok();
                let found = known.as_ref().and_then(|step| set.find(step));
                match found {
                    Some(found) if found.member => {}
                    Some(found) => left.push(remove(ty.item(), item, &found.children)),
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
                    let child = ty.child_of(field, name).unwrap_or(TypeRef::Untyped);
                    left.push((name.into(), remove(child, value, &found.children)));
                }
                None => left.push((name.into(), value.to_value())),
            });
            if left.is_empty() { Value::Null } else { Value::Map(MapValue::from_entries(left)) }
        }
    }
}
