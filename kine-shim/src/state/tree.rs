//! A copy-on-write B+tree that counts: cloning is O(1), a shared node is copied when it is first edited, a node of one
//! owner is edited in place. Every branch knows how many live items hang below each child, so that counts and ranks are
//! O(log n). What the items are is not known here (see `record`).

use std::{cmp::Ordering, fmt::Debug, sync::Arc};

/// Items of a node at most; half of it after a split, except where items arrive in ascending order.
const NODE_ITEMS_MAX: usize = 32;
/// By so many items a full list grows: doubling it would leave most of it empty.
const NODE_ITEMS_MORE: usize = 8;
/// A node that a removal leaves with fewer is joined with its neighbour.
const NODE_ITEMS_MIN: usize = NODE_ITEMS_MAX / 4;

/// What the tree holds: something that carries its own key, so that no key is stored twice.
pub(super) trait Item: Clone {
    type Key: Ord + Clone + Debug;

    /// The key as a value of its own that keeps nothing else in memory.
    fn key(&self) -> Self::Key;
    fn compare(&self, key: &Self::Key) -> Ordering;
    /// By key.
    fn order(&self, other: &Self) -> Ordering;
    /// How much this item adds to counts.
    fn live(&self) -> usize {
        1
    }
}

#[derive(Clone, Debug)]
pub(super) struct Tree<T: Item> {
    root: Arc<Node<T>>,
    live: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Node<T: Item> {
    Leaf(Vec<T>),
    Branch(Vec<Child<T>>),
}

#[derive(Clone, Debug)]
pub(super) struct Child<T: Item> {
    /// No item below is smaller; no item below an earlier sibling is as great.
    pub(super) low: T::Key,
    pub(super) live: usize,
    pub(super) node: Arc<Node<T>>,
}

impl<T: Item> Default for Tree<T> {
    fn default() -> Self {
        Self { root: Arc::new(Node::Leaf(Vec::new())), live: 0 }
    }
}

impl<T: Item> Tree<T> {
    /// The sum of [`Item::live`] over all items.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn root(&self) -> &Node<T> {
        &self.root
    }

    pub(super) fn root_arc(&self) -> &Arc<Node<T>> {
        &self.root
    }

    pub(super) fn get(&self, key: &T::Key) -> Option<&T> {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Branch(children) => node = &children[child_of(children, key)].node,
                Node::Leaf(items) => return items.binary_search_by(|item| item.compare(key)).ok().map(|at| &items[at]),
            }
        }
    }

    /// How much live stands before `key`.
    pub(super) fn live_before(&self, key: &T::Key) -> usize {
        let mut node = &*self.root;
        let mut before = 0;
        loop {
            match node {
                Node::Branch(children) => {
                    let at = child_of(children, key);
                    before += children[..at].iter().map(|child| child.live).sum::<usize>();
                    node = &children[at].node;
                }
                Node::Leaf(items) => {
                    let smaller = items.iter().take_while(|item| item.compare(key) == Ordering::Less);
                    return before + smaller.map(Item::live).sum::<usize>();
                }
            }
        }
    }

    /// Adds the item, or puts it in the place of the one with its key, which is returned.
    pub(super) fn insert(&mut self, item: T) -> Option<T> {
        let added = item.live();
        let (replaced, split) = Arc::make_mut(&mut self.root).insert(item);
        self.live = self.live + added - replaced.as_ref().map_or(0, Item::live);
        if let Some(right) = split {
            let left = std::mem::replace(&mut self.root, Arc::new(Node::Branch(Vec::new())));
            self.root = Arc::new(Node::Branch([left, Arc::new(right)].map(Child::of).into()));
        }
        replaced
    }

    pub(super) fn remove(&mut self, key: &T::Key) -> Option<T> {
        // Looking first keeps a shared path whole when there is nothing to remove.
        self.get(key)?;
        let removed = Arc::make_mut(&mut self.root).remove(key)?;
        self.live -= removed.live();
        while let Node::Branch(children) = &*self.root
            && let [only] = children.as_slice()
        {
            self.root = only.node.clone();
        }
        Some(removed)
    }
}

impl<T: Item> Child<T> {
    /// The node must not be empty.
    fn of(node: Arc<Node<T>>) -> Self {
        Self { low: node.low(), live: node.live(), node }
    }
}

impl<T: Item> Node<T> {
    fn low(&self) -> T::Key {
        match self {
            Node::Leaf(items) => items[0].key(),
            Node::Branch(children) => children[0].low.clone(),
        }
    }

    fn live(&self) -> usize {
        match self {
            Node::Leaf(items) => items.iter().map(Item::live).sum(),
            Node::Branch(children) => children.iter().map(|child| child.live).sum(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Branch(children) => children.len(),
        }
    }

    /// Returns the item replaced, and a new right neighbour of this node if it had to be split.
    fn insert(&mut self, item: T) -> (Option<T>, Option<Self>) {
        match self {
            Node::Leaf(items) => match items.binary_search_by(|other| other.order(&item)) {
                Ok(at) => (Some(std::mem::replace(&mut items[at], item)), None),
                Err(at) => {
                    insert_at(items, at, item);
                    (None, split(items, at, 1).map(Node::Leaf))
                }
            },
            Node::Branch(children) => {
                let at = children.partition_point(|child| item.compare(&child.low) != Ordering::Less).saturating_sub(1);
                let child = &mut children[at];
                if item.compare(&child.low) == Ordering::Less {
                    child.low = item.key();
                }
                let added = item.live();
                let (replaced, right) = Arc::make_mut(&mut child.node).insert(item);
                child.live = child.live + added - replaced.as_ref().map_or(0, Item::live);
                let Some(right) = right else { return (replaced, None) };
                let right = Child::of(Arc::new(right));
                child.live -= right.live;
                insert_at(children, at + 1, right);
                (replaced, split(children, at + 1, NODE_ITEMS_MIN).map(Node::Branch))
            }
        }
    }

    fn remove(&mut self, key: &T::Key) -> Option<T> {
        match self {
            Node::Leaf(items) => {
                let at = items.binary_search_by(|item| item.compare(key)).ok()?;
                Some(items.remove(at))
            }
            Node::Branch(children) => {
                let at = child_of(children, key);
                let child = &mut children[at];
                let removed = Arc::make_mut(&mut child.node).remove(key)?;
                child.live -= removed.live();
                if child.node.len() < NODE_ITEMS_MIN {
                    join(children, at);
                }
                Some(removed)
            }
        }
    }
}

/// The child below which `key` is, if anywhere.
pub(super) fn child_of<T: Item>(children: &[Child<T>], key: &T::Key) -> usize {
    children.partition_point(|child| child.low <= *key).saturating_sub(1)
}

fn insert_at<E>(list: &mut Vec<E>, at: usize, element: E) {
    if list.len() == list.capacity() {
        list.reserve_exact(NODE_ITEMS_MORE);
    }
    list.insert(at, element);
}

/// Takes the right part off a node that grew too long by something at `grown`. Ascending arrivals leave (nearly) full
/// nodes behind: then only `right_min` go to the right.
fn split<E>(list: &mut Vec<E>, grown: usize, right_min: usize) -> Option<Vec<E>> {
    if list.len() <= NODE_ITEMS_MAX {
        return None;
    }
    let at = if grown + 1 == list.len() { list.len() - right_min } else { list.len() / 2 };
    let right = list.split_off(at);
    list.shrink_to_fit();
    Some(right)
}

/// Joins a child that became too short with a neighbour, and halves the result when it is too long.
fn join<T: Item>(children: &mut Vec<Child<T>>, short: usize) {
    if children.len() == 1 {
        // Never so: a branch keeps at least NODE_ITEMS_MIN children, a root two.
        return;
    }
    let left = short.saturating_sub(1);
    let right = children.remove(left + 1);
    let target = &mut children[left];
    let halved = match (Arc::make_mut(&mut target.node), Arc::unwrap_or_clone(right.node)) {
        (Node::Leaf(items), Node::Leaf(more)) => {
            items.extend(more);
            halve(items).map(Node::Leaf)
        }
        (Node::Branch(items), Node::Branch(more)) => {
            items.extend(more);
            halve(items).map(Node::Branch)
        }
        // Siblings have one depth: nothing to join otherwise, both stay as they are.
        (_, other) => Some(other),
    };
    target.live += right.live;
    if let Some(half) = halved {
        let half = Child::of(Arc::new(half));
        target.live -= half.live;
        children.insert(left + 1, half);
    }
}

fn halve<E>(list: &mut Vec<E>) -> Option<Vec<E>> {
    let half = (list.len() > NODE_ITEMS_MAX).then(|| list.split_off(list.len() / 2));
    list.shrink_to_fit();
    half
}
