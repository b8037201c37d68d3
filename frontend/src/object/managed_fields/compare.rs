//! What changed between two values, as sets of paths. Values that cannot be told apart in a list are compared together.

use super::{
    element::Element,
    node::Node,
    set::{Node as SetNode, Set},
    type_ref::{Form, Items, TypeRef},
};
use crate::api::schema::{Kind, Value};

/// No path is in more than one set, unless it is an item that was repeated and no longer is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison<'a> {
    pub added: Set<'a>,
    pub modified: Set<'a>,
    pub removed: Set<'a>,
}

impl<'a> Comparison<'a> {
    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    pub(super) fn map(self, each: impl Fn(Set<'a>) -> Set<'a>) -> Comparison<'a> {
        Comparison { added: each(self.added), modified: each(self.modified), removed: each(self.removed) }
    }
}

/// The same for a part of a value, with what is said of its own place.
#[derive(Default)]
struct Found<'a> {
    below: Comparison<'a>,
    here: Here,
}

#[derive(Default, Clone, Copy)]
struct Here {
    added: bool,
    modified: bool,
    removed: bool,
}

/// Nodes of one level, gathered.
#[derive(Default)]
struct Level<'a> {
    added: Vec<SetNode<'a>>,
    modified: Vec<SetNode<'a>>,
    removed: Vec<SetNode<'a>>,
}

impl<'a> Level<'a> {
    fn push(&mut self, element: impl Fn() -> Element<'a>, found: Found<'a>) {
        let Found { below, here } = found;
        let put = |list: &mut Vec<SetNode<'a>>, member, children: Set<'a>| {
            if member || !children.is_empty() {
                list.push(SetNode { element: element(), member, children });
            }
        };
        put(&mut self.added, here.added, below.added);
        put(&mut self.modified, here.modified, below.modified);
        put(&mut self.removed, here.removed, below.removed);
    }

    fn finish(self) -> Found<'a> {
        let below =
            Comparison { added: Set::of(self.added), modified: Set::of(self.modified), removed: Set::of(self.removed) };
        Found { below, here: Here::default() }
    }
}

type Result<T> = std::result::Result<T, String>;

pub(super) fn compare<'a>(ty: TypeRef<'a>, old: Node<'a>, new: Node<'a>) -> Result<Comparison<'a>> {
    found(ty, Some(old), Some(new)).map(|found| found.below)
}

fn found<'a>(ty: TypeRef<'a>, old: Option<Node<'a>>, new: Option<Node<'a>>) -> Result<Found<'a>> {
    if matches!(ty, TypeRef::Deduced) && matches!((old, new), (Some(Node::Raw(_)), _) | (_, Some(Node::Raw(_)))) {
        return embedded(old, new);
    }
    let form = |node: Option<Node<'a>>| node.filter(|node| !node.is_null()).map(|node| ty.form(node));
    match (form(old), form(new)) {
        (None, None) => of_form(ty, ty.form(Node::Null), old, new),
        (Some(one), None) | (None, Some(one)) => of_form(ty, one, old, new),
        (Some(one), Some(other)) if one == other => of_form(ty, one, old, new),
        (Some(one), Some(other)) => {
            // The form changed, which only a value without schema may do.
            let (before, after) = (of_form(ty, one, old, new)?, of_form(ty, other, old, new)?);
            Ok(Found {
                here: Here {
                    added: before.here.added || after.here.added,
                    modified: before.here.modified || after.here.modified,
                    removed: before.here.removed || after.here.removed,
                },
                below: Comparison {
                    added: before.below.added.union(after.below.added),
                    modified: before.below.modified.union(after.below.modified),
                    removed: before.below.removed.union(after.below.removed),
                },
            })
        }
    }
}

/// Embedded values are read for the comparison, and their names kept beyond it.
fn embedded<'a>(old: Option<Node<'a>>, new: Option<Node<'a>>) -> Result<Found<'a>> {
    let (old, new) = (old.map(Node::to_value), new.map(Node::to_value));
    let Found { below, here } = found(TypeRef::Deduced, free(old.as_ref()), free(new.as_ref()))?;
    let Comparison { added, modified, removed } = below;
    let below =
        Comparison { added: added.into_owned(), modified: modified.into_owned(), removed: removed.into_owned() };
    Ok(Found { below, here })
}

fn free(value: Option<&Value>) -> Option<Node<'_>> {
    value.map(|value| Node::of(value, None))
}

fn of_form<'a>(ty: TypeRef<'a>, form: Form<'a>, old: Option<Node<'a>>, new: Option<Node<'a>>) -> Result<Found<'a>> {
    let mut found = match form {
        Form::Scalar | Form::Map { atomic: true } | Form::List(Items::Atomic) => return Ok(leaf(old, new)),
        Form::List(items) => {
            let is_bare = |node: Option<Node<'a>>| node.is_none_or(|node| node.items().len() == 0);
            if is_bare(old) && is_bare(new) {
                return Ok(leaf(old, new));
            }
            of_items(ty, items, old, new)?
        }
        Form::Map { .. } => {
            let is_bare = |node: Option<Node<'a>>| node.is_none_or(Node::is_empty_map);
            if is_bare(old) && is_bare(new) {
                return Ok(leaf(old, new));
            }
            of_members(ty, old, new)?
        }
    };
    found.here.added |= old.is_none();
    found.here.removed |= old.is_some() && new.is_none();
    Ok(found)
}

fn leaf<'a>(old: Option<Node<'a>>, new: Option<Node<'a>>) -> Found<'a> {
    let here = match (old, new) {
        (None, _) => Here { added: true, ..Here::default() },
        (Some(_), None) => Here { removed: true, ..Here::default() },
        (Some(old), Some(new)) => Here { modified: !old.same(new), ..Here::default() },
    };
    Found { here, ..Found::default() }
}

fn of_members<'a>(ty: TypeRef<'a>, old: Option<Node<'a>>, new: Option<Node<'a>>) -> Result<Found<'a>> {
    let mut level = Level::default();
    match (old, new, ty) {
        (Some(Node::Struct(a)), Some(Node::Struct(b)), TypeRef::Struct { def, .. })
            if a.def() == b.def() && !def.open =>
        {
            let slots = a.slots().iter().zip(b.slots());
            for (field, (old, new)) in def.fields.iter().zip(slots) {
                if unchanged(&field.kind, old.as_ref(), new.as_ref()) {
                    continue;
                }
                let (old, new) = (Node::of_field(field, old.as_ref()), Node::of_field(field, new.as_ref()));
                if old.is_some() || new.is_some() {
                    let child = TypeRef::of_field(def, field);
                    level.push(|| Element::field(field.name.as_ref()), found(child, old, new)?);
                }
            }
        }
        _ => {
            for (name, old, new) in zipped(old, new) {
                if let Some(child) = ty.child(name) {
                    level.push(|| Element::field(name), found(child, old, new)?);
                }
            }
        }
    }
    Ok(level.finish())
}

/// Whether a quick look shows that nothing changed. Structs are walked rather than looked at twice.
fn unchanged(kind: &Kind, old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(Value::Struct(_)), Some(Value::Struct(_))) if matches!(kind, Kind::Struct(_)) => false,
        (Some(old), Some(new)) => old == new,
        _ => false,
    }
}

type Pair<'a> = (&'a str, Option<Node<'a>>, Option<Node<'a>>);

/// The members of both, each once.
fn zipped<'a>(old: Option<Node<'a>>, new: Option<Node<'a>>) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    if let Some(old) = old {
        old.each_child(|name, _, value| pairs.push((name, Some(value), new.and_then(|new| new.child(name)))));
    }
    if let Some(new) = new {
        new.each_child(|name, _, value| {
            if old.and_then(|old| old.child(name)).is_none() {
                pairs.push((name, None, Some(value)));
            }
        });
    }
    pairs
}

fn of_items<'a>(ty: TypeRef<'a>, items: Items<'a>, old: Option<Node<'a>>, new: Option<Node<'a>>) -> Result<Found<'a>> {
    let steps = |list: Option<Node<'a>>, is_new: bool| {
        let nodes = list.into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
        nodes.map(move |item| Ok((ty.step(items, item)?, is_new, item))).collect::<Result<Vec<_>>>()
    };
    let mut all = steps(old, false)?;
    all.extend(steps(new, true)?);
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let mut level = Level::default();
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        // The sort is stable: old items come first.
        let (old, new) = group.split_at(group.iter().take_while(|(_, is_new, _)| !is_new).count());
        let item = |list: &[(Element<'a>, bool, Node<'a>)]| list.first().map(|(_, _, item)| *item);
        let mut outcome = match (old.len(), new.len()) {
            (0..=1, 0..=1) => found(ty.item(), item(old), item(new))?,
            (2.., 2..) => {
                let same = old.len() == new.len() && old.iter().zip(new).all(|(a, b)| a.2.same(b.2));
                Found { here: Here { modified: !same, ..Here::default() }, ..Found::default() }
            }
            (2.., 1) => found(ty.item(), None, item(new))?,
            (1, _) => found(ty.item(), item(old), None)?,
            _ => Found::default(),
        };
        outcome.here.removed |= old.len() >= 2 && new.len() < 2;
        outcome.here.added |= new.len() >= 2 && old.len() < 2;
        level.push(|| group[0].0.clone(), outcome);
    }
    Ok(level.finish())
}
