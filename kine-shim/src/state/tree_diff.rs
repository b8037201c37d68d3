//! What two versions of a [`Tree`] differ in. It costs what was changed between them and not their size: the nodes that
//! they share are stepped over.

use std::{cmp::Ordering, sync::Arc};

use super::tree::{Item, Node, Tree};

/// What is still to be compared, of one side: the next in order is last.
struct Rest<'a, T: Item>(Vec<Part<'a, T>>);

enum Part<'a, T: Item> {
    /// With its height, and a key that nothing below it is smaller than.
    Node(&'a Arc<Node<T>>, usize, Option<&'a T::Key>),
    Item(&'a T),
}

impl<'a, T: Item> Rest<'a, T> {
    fn of(tree: &'a Tree<T>) -> Self {
        let (mut height, mut node) = (0, tree.root());
        while let Node::Branch(children) = node {
            height += 1;
            node = &children[0].node;
        }
        Self(vec![Part::Node(tree.root_arc(), height, None)])
    }

    /// Puts the contents of the node in front in its place.
    fn open(&mut self) {
        let Some(Part::Node(node, height, _)) = self.0.pop() else { return };
        match &**node {
            Node::Leaf(items) => self.0.extend(items.iter().rev().map(Part::Item)),
            Node::Branch(children) => {
                let parts = children.iter().rev().map(|child| Part::Node(&child.node, height - 1, Some(&child.low)));
                self.0.extend(parts);
            }
        }
    }
}

impl<T: Item + PartialEq> Tree<T> {
    /// Each key that `older` and this tree have different items for, in order: (then, now).
    pub(super) fn changes_since<'a>(&'a self, older: &'a Self) -> Vec<(Option<&'a T>, Option<&'a T>)> {
        let (mut old, mut new) = (Rest::of(older), Rest::of(self));
        let mut changes = Vec::new();
        loop {
            match (old.0.last(), new.0.last()) {
                (None, None) => return changes,
                (Some(Part::Node(a, ..)), Some(Part::Node(b, ..))) if Arc::ptr_eq(a, b) => {
                    old.0.pop();
                    new.0.pop();
                }
                (Some(Part::Node(_, high, from)), Some(Part::Node(_, other_high, other_from))) => {
                    // What begins first is opened, so that equal nodes meet again; of two that begin together the
                    // higher.
                    match from.cmp(other_from).then(other_high.cmp(high)) {
                        Ordering::Less => old.open(),
                        Ordering::Greater => new.open(),
                        Ordering::Equal => {
                            old.open();
                            new.open();
                        }
                    }
                }
                (Some(Part::Item(item)), Some(Part::Item(other))) => {
                    let order = item.order(other);
                    let then = (order != Ordering::Greater).then_some(*item);
                    let now = (order != Ordering::Less).then_some(*other);
                    if then != now {
                        changes.push((then, now));
                    }
                    then.and_then(|_| old.0.pop());
                    now.and_then(|_| new.0.pop());
                }
                (Some(Part::Item(item)), after) if is_before(*item, after) => {
                    changes.push((Some(*item), None));
                    old.0.pop();
                }
                (after, Some(Part::Item(item))) if is_before(*item, after) => {
                    changes.push((None, Some(*item)));
                    new.0.pop();
                }
                (Some(Part::Node(..)), _) => old.open(),
                (_, Some(Part::Node(..))) => new.open(),
                // Every item before nothing was taken above.
                (Some(Part::Item(_)), None) | (None, Some(Part::Item(_))) => return changes,
            }
        }
    }
}

/// Whether all of the other side's rest comes after the item, by what is known without opening it.
fn is_before<T: Item>(item: &T, rest: Option<&Part<'_, T>>) -> bool {
    match rest {
        None => true,
        Some(Part::Node(_, _, Some(low))) => item.compare(low) == Ordering::Less,
        Some(_) => false,
    }
}
