//! An applied configuration merged into a live object. Nothing is removed by it; items of lists come in the order of
//! the configuration where it names them, and in that of the object where it does not.

use std::collections::BTreeMap;

use super::{
    element::Element,
    node::Node,
    type_ref::{Form, Items, TypeRef},
};
use crate::api::schema::{MapValue, Text, Value};

type Result<T> = std::result::Result<T, String>;

/// The merged value as a free tree. None when nothing is left to say.
pub(super) fn merge<'a>(ty: TypeRef<'a>, live: Option<Node<'a>>, config: Option<Node<'a>>) -> Result<Option<Value>> {
    if matches!(ty, TypeRef::Deduced) && matches!((live, config), (Some(Node::Raw(_)), _) | (_, Some(Node::Raw(_)))) {
        let (live, config) = (live.map(Node::to_value), config.map(Node::to_value));
        return merge(TypeRef::Deduced, node_of(live.as_ref()), node_of(config.as_ref()));
    }
    let form = match (config, live) {
        (Some(config), _) if !config.is_null() => ty.form(config),
        (_, Some(live)) => ty.form(live),
        _ => ty.form(Node::Null),
    };
    match form {
        Form::Scalar | Form::Map { atomic: true } | Form::List(Items::Atomic) => Ok(leaf(live, config)),
        Form::List(items) => {
            let is_bare = |node: Option<Node<'a>>| node.is_none_or(|node| node.items().len() == 0);
            if is_bare(live) && is_bare(config) {
                return Ok(leaf(live, config));
            }
            let merged = of_items(ty, items, live, config)?;
            Ok((!merged.is_empty()).then_some(Value::List(merged)))
        }
        Form::Map { .. } => {
            let is_bare = |node: Option<Node<'a>>| node.is_none_or(Node::is_empty_map);
            if is_bare(live) && is_bare(config) {
                return Ok(leaf(live, config));
            }
            let merged = of_members(ty, live, config)?;
            Ok((!merged.is_empty()).then_some(Value::Map(merged)))
        }
    }
}

fn node_of(value: Option<&Value>) -> Option<Node<'_>> {
    value.map(|value| Node::of(value, None))
}

fn leaf(live: Option<Node<'_>>, config: Option<Node<'_>>) -> Option<Value> {
    config.or(live).map(Node::to_value)
}

fn of_members<'a>(ty: TypeRef<'a>, live: Option<Node<'a>>, config: Option<Node<'a>>) -> Result<MapValue> {
    let mut entries: Vec<(Text, Value)> = Vec::new();
    let mut refused = Ok(());
    let mut put = |name: &'a str, live: Option<Node<'a>>, config: Option<Node<'a>>| {
        let Some(child) = ty.child(name) else { return };
        match merge(child, live, config) {
            Ok(Some(value)) => entries.push((name.into(), value)),
            Ok(None) => {}
            Err(error) => refused = Err(error),
        }
    };
    if let Some(live) = live {
        live.each_child(|name, _, value| put(name, Some(value), config.and_then(|config| config.child(name))));
    }
    if let Some(config) = config {
        config.each_child(|name, _, value| {
            if live.and_then(|live| live.child(name)).is_none() {
                put(name, None, Some(value));
            }
        });
    }
    refused.map(|()| MapValue::from_entries(entries))
}

/// The items of one side: their steps, and what each step stands for (nothing when it is there twice).
struct Side<'a> {
    steps: Vec<Element<'a>>,
    items: Vec<Node<'a>>,
    known: BTreeMap<Element<'a>, Option<Node<'a>>>,
}

impl<'a> Side<'a> {
    fn read(ty: TypeRef<'a>, items: Items<'a>, list: Option<Node<'a>>) -> Result<Side<'a>> {
        let mut side = Side { steps: Vec::new(), items: Vec::new(), known: BTreeMap::new() };
        for (at, item) in list.into_iter().flat_map(|list| list.items().collect::<Vec<_>>()).enumerate() {
            let step = ty.step(items, item).map_err(|error| format!("element {at}: {error}"))?;
            side.known.entry(step.clone()).and_modify(|known| *known = None).or_insert(Some(item));
            side.steps.push(step);
            side.items.push(item);
        }
        Ok(side)
    }
}

/// Walks both lists at once. An item of both that is not the next of the shared ones in the configuration's order waits
/// for its turn.
fn of_items<'a>(
    ty: TypeRef<'a>,
    items: Items<'a>,
    live: Option<Node<'a>>,
    config: Option<Node<'a>>,
) -> Result<Vec<Value>> {
    let (live, config) = (Side::read(ty, items, live)?, Side::read(ty, items, config)?);
    let mut shared = config.steps.iter().filter(|step| live.known.contains_key(step)).peekable();
    let mut done: Vec<&Element<'a>> = Vec::new();
    let mut merged = Vec::with_capacity(live.steps.len().max(config.steps.len()));
    let (mut at_live, mut at_config) = (0, 0);
    loop {
        let (ours, theirs) = (live.steps.get(at_live), config.steps.get(at_config));
        if ours.is_none() && theirs.is_none() {
            return Ok(merged);
        }
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            if ours == theirs {
                let (before, after) = (live.known[ours], config.known[ours]);
                merged.extend(merge(ty.item(), before, after)?);
                done.push(ours);
                at_live += 1;
                at_config += 1;
                shared.next();
                continue;
            }
            if config.known.contains_key(ours) && shared.peek().is_some_and(|next| *next != ours) {
                at_live += 1;
                continue;
            }
        }
        if let Some(ours) = ours {
            if !config.known.contains_key(ours) {
                merged.extend(merge(ty.item(), Some(live.items[at_live]), None)?);
                at_live += 1;
                continue;
            }
            if done.contains(&ours) {
                at_live += 1;
            }
        }
        if let Some(theirs) = theirs {
            let before = live.known.get(theirs).copied().flatten();
            merged.extend(merge(ty.item(), before, config.known[theirs])?);
            done.push(theirs);
            at_config += 1;
            if shared.peek().is_some_and(|next| *next == theirs) {
                shared.next();
            }
        }
    }
}
