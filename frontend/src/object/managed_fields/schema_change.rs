//! Sets against the schema: places that have become atomic since a set was written, and named fields on the way to what
//! is in a set.

use super::{
    element::Element,
    node::Node,
    place::{Form, Items, Place},
    set::{Node as SetNode, Set},
};

/// A set in which what is below a place that is owned as a whole has become that place.
pub(super) fn reconciled<'a>(place: Place<'_>, set: Set<'a>) -> Set<'a> {
    if set.is_empty() || matches!(place, Place::Deduced | Place::Open { .. }) {
        return set;
    }
    let nodes = set.into_nodes().into_iter().map(|node| {
        let Some(child) = below(place, &node.element) else { return node };
        if node.children.is_empty() {
            return node;
        }
        let children = match child.form(Node::Null) {
            Form::Map { atomic: true } | Form::List(Items::Atomic) => {
                return SetNode { member: true, children: Set::default(), ..node };
            }
            Form::Scalar => node.children,
            _ => reconciled(child, node.children),
        };
        SetNode { children, ..node }
    });
    Set::of(nodes.collect())
}

fn below<'a>(place: Place<'a>, step: &Element<'_>) -> Option<Place<'a>> {
    match (place, step) {
        (Place::List(_), _) => Some(place.item()),
        (_, Element::Field(name)) => place.child(name),
        _ => None,
    }
}

/// A set in which each field of a struct that leads to a member is itself a member.
pub(super) fn with_named_fields<'a>(place: Place<'_>, set: &Set<'a>) -> Set<'a> {
    let nodes = set.nodes().iter().map(|node| {
        let (named, child) = match &node.element {
            Element::Field(name) => (!node.children.is_empty() && place.declares(name), place.child(name)),
            Element::Key(_) if matches!(place, Place::List(_)) => (false, Some(place.item())),
            _ => (false, None),
        };
        let children = match child {
            Some(child) => with_named_fields(child, &node.children),
            None => node.children.clone(),
        };
        SetNode { element: node.element.clone(), member: node.member || named, children }
    });
    Set::of(nodes.collect())
}
