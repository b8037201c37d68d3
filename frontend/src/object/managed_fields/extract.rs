//! The set of a value: every place in it that somebody may own.

use super::{
    element::Element,
    node::{self, Node},
    set::{Node as SetNode, Set},
    type_ref::{Form, Items, TypeRef},
};

/// What is below a place, and whether the place itself is owned.
struct Found<'a> {
    below: Set<'a>,
    here: bool,
}

impl Found<'_> {
    const NOTHING: Found<'static> = Found { below: Set::EMPTY, here: false };
    const HERE: Found<'static> = Found { below: Set::EMPTY, here: true };
}

pub(super) fn field_set<'a>(ty: TypeRef<'a>, node: Node<'a>) -> Result<Set<'a>, String> {
    found(ty, node).map(|found| found.below)
}

fn found<'a>(ty: TypeRef<'a>, node: Node<'a>) -> Result<Found<'a>, String> {
    if let Node::Raw(raw) = node
        && matches!(ty, TypeRef::Deduced)
    {
        let value = node::read_raw(raw).unwrap_or(crate::api::schema::Value::Null);
        let Found { below, here } = found(TypeRef::Deduced, Node::of(&value, None))?;
        return Ok(Found { below: below.into_owned(), here });
    }
    match ty.form(node) {
        Form::Scalar | Form::Map { atomic: true } | Form::List(Items::Atomic) => Ok(Found::HERE),
        Form::List(_) if !node.is_list() => Ok(Found::NOTHING),
        Form::Map { .. } if !node.is_map() => Ok(Found::NOTHING),
        Form::List(items) => of_items(ty, items, node),
        Form::Map { .. } => of_members(ty, node),
    }
}

fn of_items<'a>(ty: TypeRef<'a>, items: Items<'a>, list: Node<'a>) -> Result<Found<'a>, String> {
    let mut steps = list.items().map(|item| Ok((ty.step(items, item)?, item))).collect::<Result<Vec<_>, String>>()?;
    steps.sort_by(|a, b| a.0.cmp(&b.0));
    let mut nodes = Vec::with_capacity(steps.len());
    for group in steps.chunk_by(|a, b| a.0 == b.0) {
        // Of items that cannot be told apart only the step is owned.
        let below = match group {
            [(_, item)] => found(ty.item(), *item)?.below,
            _ => Set::default(),
        };
        nodes.push(SetNode { element: group[0].0.clone(), member: true, children: below });
    }
    Ok(Found { below: Set::of(nodes), here: false })
}

fn of_members<'a>(ty: TypeRef<'a>, map: Node<'a>) -> Result<Found<'a>, String> {
    let mut nodes = Vec::new();
    let mut refused = None;
    map.each_child(|name, field, value| {
        let Some(child) = ty.child_of(field, name) else { return };
        match found(child, value) {
            Ok(Found { below, here }) => {
                let bare = value.is_null() || (value.is_map() && value.is_empty_map());
                let member = here || bare || !ty.declares(name);
                nodes.push(SetNode { element: Element::field(name), member, children: below });
            }
            Err(error) => refused = Some(error),
        }
    });
    match refused {
        Some(error) => Err(error),
        None => Ok(Found { below: Set::of(nodes), here: false }),
    }
}
