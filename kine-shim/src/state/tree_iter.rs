//! Walks over a [`Tree`] in both directions, from a key on. Subtrees without anything live are stepped over on request.

use std::{cmp::Ordering, slice::Iter};

use super::tree::{Child, Item, Node, Tree, child_of};

/// Forwards, or else from the greatest item down.
pub(super) struct Walk<'a, T: Item, const FORWARDS: bool> {
    /// The children still to be visited, from the root down.
    pending: Vec<Iter<'a, Child<T>>>,
    items: Iter<'a, T>,
    live_only: bool,
}

impl<T: Item> Tree<T> {
    /// From a key (inclusive).
    pub(super) fn ascend(&self, from: &T::Key) -> Walk<'_, T, true> {
        let mut pending = Vec::new();
        let mut node = self.root();
        loop {
            match node {
                Node::Branch(children) => {
                    let at = child_of(children, from);
                    pending.push(children[at + 1..].iter());
                    node = &children[at].node;
                }
                Node::Leaf(items) => {
                    let at = items.partition_point(|item| item.compare(from) == Ordering::Less);
                    return Walk { pending, items: items[at..].iter(), live_only: false };
                }
            }
        }
    }

    /// From the greatest item below `before`, or from the end.
    pub(super) fn descend(&self, before: Option<&T::Key>) -> Walk<'_, T, false> {
        let mut pending = Vec::new();
        let mut node = self.root();
        loop {
            match node {
                Node::Branch(children) => {
                    let at = before.map_or(children.len() - 1, |key| child_of(children, key));
                    pending.push(children[..at].iter());
                    node = &children[at].node;
                }
                Node::Leaf(items) => {
                    let below = |key| items.partition_point(|item| item.compare(key) == Ordering::Less);
                    let end = before.map_or(items.len(), below);
                    return Walk { pending, items: items[..end].iter(), live_only: false };
                }
            }
        }
    }

    /// From the smallest item.
    pub(super) fn iter(&self) -> Walk<'_, T, true> {
        let mut walk = Walk { pending: Vec::new(), items: [].iter(), live_only: false };
        walk.enter(self.root());
        walk
    }
}

impl<'a, T: Item, const FORWARDS: bool> Walk<'a, T, FORWARDS> {
    /// Only items that count.
    pub(super) fn live(mut self) -> Self {
        self.live_only = true;
        self
    }

    fn next_of<I>(rest: &mut Iter<'a, I>) -> Option<&'a I> {
        if FORWARDS { rest.next() } else { rest.next_back() }
    }

    fn enter(&mut self, mut node: &'a Node<T>) {
        loop {
            match node {
                Node::Leaf(items) => {
                    self.items = items.iter();
                    return;
                }
                Node::Branch(children) => {
                    let mut rest = children.iter();
                    let next = Self::next_of(&mut rest);
                    self.pending.push(rest);
                    match next {
                        Some(child) => node = &child.node,
                        None => return,
                    }
                }
            }
        }
    }
}

impl<'a, T: Item, const FORWARDS: bool> Iterator for Walk<'a, T, FORWARDS> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            while let Some(item) = Self::next_of(&mut self.items) {
                if !self.live_only || item.live() > 0 {
                    return Some(item);
                }
            }
            match Self::next_of(self.pending.last_mut()?) {
                None => drop(self.pending.pop()),
                Some(child) if self.live_only && child.live == 0 => {}
                Some(child) => self.enter(&child.node),
            }
        }
    }
}
