//! Sets against the schema: places that have become atomic since a set was written, and named fields on the way to what
//! is in a set.

use super::{
    element::Element,
    node::Node,
    set::{Node as SetNode, Set},
    type_ref::{Form, Items, TypeRef},
};

/// A set in which what is below a place that is owned as a whole has become that place.
pub(super) fn reconciled<'a>(ty: TypeRef<'_>, set: Set<'a>) -> Set<'a> {
    if set.is_empty() || matches!(ty, TypeRef::Deduced | TypeRef::Open { .. }) {
        return set;
    }
    let nodes = set.into_nodes().into_iter().map(|node| {
        let Some(child) = below(ty, &node.element) else { return node };
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

fn below<'a>(ty: TypeRef<'a>, step: &Element<'_>) -> Option<TypeRef<'a>> {
    match (ty, step) {
        (TypeRef::List(_), _) => Some(ty.item()),
        (_, Element::Field(name)) => ty.child(name),
        _ => None,
    }
}

/// A set in which each field of a struct that leads to a member is itself a member.
pub(super) fn with_named_fields<'a>(ty: TypeRef<'_>, set: &Set<'a>) -> Set<'a> {
    let nodes = set.nodes().iter().map(|node| {
        let (named, child) = match &node.element {
            Element::Field(name) => (!node.children.is_empty() && ty.declares(name), ty.child(name)),
            Element::Key(_) if matches!(ty, TypeRef::List(_)) => (false, Some(ty.item())),
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
