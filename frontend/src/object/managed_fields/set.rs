//! Sets of paths, as trees of steps. A node says whether its place is in the set, and what below it is.

use std::cmp::Ordering;

use super::element::Element;

/// Steps in order, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set<'a> {
    nodes: Vec<Node<'a>>,
}

/// Never without purpose: a member, or with children.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node<'a> {
    pub(super) element: Element<'a>,
    pub(super) member: bool,
    pub(super) children: Set<'a>,
}

impl Node<'_> {
    fn is_void(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

impl<'a> Set<'a> {
    pub(super) const EMPTY: Set<'static> = Set { nodes: Vec::new() };

    /// Takes nodes in any order; those of one step become one.
    pub(super) fn of(mut nodes: Vec<Node<'a>>) -> Set<'a> {
        nodes.retain(|node| !node.is_void());
        if !nodes.is_sorted_by(|a, b| a.element < b.element) {
            nodes.sort_by(|a, b| a.element.cmp(&b.element));
            let mut merged: Vec<Node<'a>> = Vec::with_capacity(nodes.len());
            for node in nodes {
                match merged.last_mut() {
                    Some(last) if last.element == node.element => {
                        last.member |= node.member;
                        last.children = std::mem::take(&mut last.children).union(node.children);
                    }
                    _ => merged.push(node),
                }
            }
            nodes = merged;
        }
        Set { nodes }
    }

    /// The set of one path of field names.
    pub fn of_path(path: &[&'a str]) -> Set<'a> {
        let mut set = Set::default();
        for (depth, name) in path.iter().rev().enumerate() {
            let node = Node { element: Element::field(*name), member: depth == 0, children: set };
            set = Set { nodes: vec![node] };
        }
        set
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    pub(super) fn into_nodes(self) -> Vec<Node<'a>> {
        self.nodes
    }

    pub(super) fn find(&self, element: &Element<'_>) -> Option<&Node<'a>> {
        let at = self.nodes.binary_search_by(|node| node.element.cmp(element)).ok()?;
        Some(&self.nodes[at])
    }

    /// Whether a path of field names is in the set.
    pub fn has(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let Some(node) = self.find(&Element::field(*first)) else { return false };
        if rest.is_empty() { node.member } else { node.children.has(rest) }
    }

    pub fn into_owned(self) -> Set<'static> {
        let own = |node: Node<'_>| Node {
            element: node.element.into_owned(),
            member: node.member,
            children: node.children.into_owned(),
        };
        Set { nodes: self.nodes.into_iter().map(own).collect() }
    }

    pub fn union(self, other: Set<'a>) -> Set<'a> {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut nodes = Vec::with_capacity(self.nodes.len().max(other.nodes.len()));
        let (mut a, mut b) = (self.nodes.into_iter().peekable(), other.nodes.into_iter().peekable());
        loop {
            let order = match (a.peek(), b.peek()) {
                (Some(a), Some(b)) => a.element.cmp(&b.element),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            match order {
                Ordering::Less => nodes.extend(a.next()),
                Ordering::Greater => nodes.extend(b.next()),
                Ordering::Equal => {
                    if let (Some(a), Some(b)) = (a.next(), b.next()) {
                        let children = a.children.union(b.children);
                        nodes.push(Node { element: a.element, member: a.member || b.member, children });
                    }
                }
            }
        }
        Set { nodes }
    }

    pub fn intersection(&self, other: &Set<'_>) -> Set<'a> {
        let mut nodes = Vec::new();
        pairs(self, other, |mine, theirs| {
            if let Some(theirs) = theirs {
                let children = mine.children.intersection(&theirs.children);
                let member = mine.member && theirs.member;
                if member || !children.is_empty() {
                    nodes.push(Node { element: mine.element.clone(), member, children });
                }
            }
        });
        Set { nodes }
    }

    pub fn intersects(&self, other: &Set<'_>) -> bool {
        let mut found = false;
        pairs(self, other, |mine, theirs| {
            found |= theirs
                .is_some_and(|theirs| (mine.member && theirs.member) || mine.children.intersects(&theirs.children));
        });
        found
    }

    /// What is in this set and not in the other; what is below a path of the other stays.
    pub fn difference(&self, other: &Set<'_>) -> Set<'a> {
        let mut nodes = Vec::with_capacity(self.nodes.len());
        pairs(self, other, |mine, theirs| {
            let node = match theirs {
                None => mine.clone(),
                Some(theirs) => Node {
                    element: mine.element.clone(),
                    member: mine.member && !theirs.member,
                    children: mine.children.difference(&theirs.children),
                },
            };
            if !node.is_void() {
                nodes.push(node);
            }
        });
        Set { nodes }
    }

    /// What is in this set, and neither in the other nor below a path of the other.
    pub fn recursive_difference(self, other: &Set<'_>) -> Set<'a> {
        if other.is_empty() {
            return self;
        }
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for mut mine in self.nodes {
            match other.find(&mine.element) {
                Some(theirs) if theirs.member => {}
                Some(theirs) => {
                    mine.children = mine.children.recursive_difference(&theirs.children);
                    if !mine.is_void() {
                        nodes.push(mine);
                    }
                }
                None => nodes.push(mine),
            }
        }
        Set { nodes }
    }

    /// The set without one path of field names; what is below it stays.
    pub(super) fn without_path(mut self, path: &[&str]) -> Set<'a> {
        let Some((first, rest)) = path.split_first() else { return self };
        let first = Element::field(*first);
        if let Ok(at) = self.nodes.binary_search_by(|node| node.element.cmp(&first)) {
            let node = &mut self.nodes[at];
            if rest.is_empty() {
                node.member = false;
            } else {
                node.children = std::mem::take(&mut node.children).without_path(rest);
            }
            if node.is_void() {
                self.nodes.remove(at);
            }
        }
        self
    }

    /// Each path in order: the places of a level, then what is below each.
    pub fn each_path(&self, visit: &mut dyn FnMut(&[&Element<'a>])) {
        let mut path = Vec::new();
        self.each_below(&mut path, visit);
    }

    fn each_below<'s>(&'s self, path: &mut Vec<&'s Element<'a>>, visit: &mut dyn FnMut(&[&Element<'a>])) {
        for node in self.nodes.iter().filter(|node| node.member) {
            path.push(&node.element);
            visit(path);
            path.pop();
        }
        for node in &self.nodes {
            path.push(&node.element);
            node.children.each_below(path, visit);
            path.pop();
        }
    }
}

/// Visits each node of the first set with its like of the second.
fn pairs<'s, 'a, 'b>(one: &'s Set<'a>, other: &'s Set<'b>, mut visit: impl FnMut(&'s Node<'a>, Option<&'s Node<'b>>)) {
    let mut theirs = other.nodes.iter().peekable();
    for mine in &one.nodes {
        while theirs.next_if(|node| node.element.cmp(&mine.element) == Ordering::Less).is_some() {}
        visit(mine, theirs.next_if(|node| node.element.cmp(&mine.element) == Ordering::Equal));
    }
}

/// A path as messages show it.
pub(super) fn path_text(path: &[&Element<'_>]) -> String {
    path.iter().map(|element| element.to_string()).collect()
}
