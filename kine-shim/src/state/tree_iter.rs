//! Walks over a [`Tree`] in both directions, from a key on. Subtrees without anything live are stepped over on request.

use std::cmp::Ordering;

use super::tree::{Child, Item, Node, Tree, child_of};

/// Ascending from a key (inclusive).
pub(super) struct Ascend<'a, T: Item> {
    /// The children still to be visited, from the root down.
    pending: Vec<std::slice::Iter<'a, Child<T>>>,
    items: std::slice::Iter<'a, T>,
    live_only: bool,
}

/// Descending from before a key (exclusive).
pub(super) struct Descend<'a, T: Item> {
    pending: Vec<std::slice::Iter<'a, Child<T>>>,
    items: std::slice::Iter<'a, T>,
    live_only: bool,
}

impl<T: Item> Tree<T> {
    pub(super) fn ascend(&self, from: &T::Key) -> Ascend<'_, T> {
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
                    return Ascend { pending, items: items[at..].iter(), live_only: false };
                }
            }
        }
    }

    /// From the greatest item below `before`, or from the end.
    pub(super) fn descend(&self, before: Option<&T::Key>) -> Descend<'_, T> {
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
                    return Descend { pending, items: items[..end].iter(), live_only: false };
                }
            }
        }
    }

    /// From the smallest item.
    pub(super) fn iter(&self) -> Ascend<'_, T> {
        let mut walk = Ascend { pending: Vec::new(), items: [].iter(), live_only: false };
        walk.enter(self.root());
        walk
    }
}

impl<'a, T: Item> Ascend<'a, T> {
    /// Only items that count.
    pub(super) fn live(mut self) -> Self {
        self.live_only = true;
        self
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
                    let first = rest.next();
                    self.pending.push(rest);
                    match first {
                        Some(child) => node = &child.node,
                        None => return,
                    }
                }
            }
        }
    }
}

impl<'a, T: Item> Iterator for Ascend<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            for item in self.items.by_ref() {
                if !self.live_only || item.live() > 0 {
                    return Some(item);
                }
            }
            match self.pending.last_mut()?.next() {
                None => drop(self.pending.pop()),
                Some(child) if self.live_only && child.live == 0 => {}
                Some(child) => self.enter(&child.node),
            }
        }
    }
}

impl<'a, T: Item> Descend<'a, T> {
    /// Only items that count.
    pub(super) fn live(mut self) -> Self {
        self.live_only = true;
        self
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
                    let last = rest.next_back();
                    self.pending.push(rest);
                    match last {
                        Some(child) => node = &child.node,
                        None => return,
                    }
                }
            }
        }
    }
}

impl<'a, T: Item> Iterator for Descend<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            while let Some(item) = self.items.next_back() {
                if !self.live_only || item.live() > 0 {
                    return Some(item);
                }
            }
            match self.pending.last_mut()?.next_back() {
                None => drop(self.pending.pop()),
                Some(child) if self.live_only && child.live == 0 => {}
                Some(child) => self.enter(&child.node),
            }
        }
    }
}
