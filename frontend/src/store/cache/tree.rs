//! An ordered map from key to entry whose copies are free: a copy-on-write B+tree with counts.
//!
//! Cloning shares the root; an insert or remove copies the nodes on its path that somebody else still holds, and edits
//! the others in place. Counts of whole subtrees give ranks, so that a page knows how many entries follow it.

use std::sync::Arc;

use bytes::Bytes;

use super::Entry;

const NODE_MAX: usize = 64;
const NODE_MIN: usize = NODE_MAX / 4;

#[derive(Clone)]
pub(super) struct Tree {
    root: Arc<Node>,
}

#[derive(Clone)]
enum Node {
    Leaf(Vec<Arc<Entry>>),
    Branch(Vec<Child>),
}

#[derive(Clone)]
struct Child {
    /// A bound below: no key of the child is smaller, every key of the child before it is.
    first: Bytes,
    count: usize,
    node: Arc<Node>,
}

fn key(entry: &Arc<Entry>) -> &[u8] {
    entry.key().as_bytes()
}

impl Child {
    fn of(node: Node) -> Child {
        Child { first: node.first(), count: node.count(), node: Arc::new(node) }
    }
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Branch(children) => children.len(),
        }
    }

    fn count(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Branch(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    fn first(&self) -> Bytes {
        match self {
            Node::Leaf(entries) => entries.first().map(|entry| entry.key().as_bytes().clone()).unwrap_or_default(),
            Node::Branch(children) => children.first().map(|child| child.first.clone()).unwrap_or_default(),
        }
    }

    /// The child that holds the key, if any does.
    fn child_for(children: &[Child], sought: &[u8]) -> usize {
        children.partition_point(|child| &*child.first <= sought).saturating_sub(1)
    }

    fn get(&self, sought: &[u8]) -> Option<&Arc<Entry>> {
        match self {
            Node::Leaf(entries) => {
                let at = entries.binary_search_by(|entry| key(entry).cmp(sought)).ok()?;
                Some(&entries[at])
            }
            Node::Branch(children) => children.get(Node::child_for(children, sought))?.node.get(sought),
        }
    }

    fn rank(&self, bound: &[u8]) -> usize {
        match self {
            Node::Leaf(entries) => entries.partition_point(|entry| key(entry) < bound),
            Node::Branch(children) => {
                let at = Node::child_for(children, bound);
                let before: usize = children[..at].iter().map(|child| child.count).sum();
                before + children.get(at).map_or(0, |child| child.node.rank(bound))
            }
        }
    }

    /// The entry replaced, and the upper half when the node had to be split.
    fn insert(&mut self, entry: Arc<Entry>) -> (Option<Arc<Entry>>, Option<Child>) {
        let old = match self {
            Node::Leaf(entries) => match entries.binary_search_by(|other| key(other).cmp(key(&entry))) {
                Ok(at) => Some(std::mem::replace(&mut entries[at], entry)),
                Err(at) => {
                    entries.insert(at, entry);
                    None
                }
            },
            Node::Branch(children) => {
                let at = Node::child_for(children, key(&entry));
                let child = &mut children[at];
                if key(&entry) < &*child.first {
                    child.first = entry.key().as_bytes().clone();
                }
                let (old, split) = Arc::make_mut(&mut child.node).insert(entry);
                child.count = child.node.count();
                if let Some(upper) = split {
                    children.insert(at + 1, upper);
                }
                old
            }
        };
        (old, self.split())
    }

    fn split(&mut self) -> Option<Child> {
        if self.len() <= NODE_MAX {
            return None;
        }
        // Keys mostly arrive in order: leave the lower part nearly full.
        let at = NODE_MAX * 3 / 4;
        let upper = match self {
            Node::Leaf(entries) => Node::Leaf(entries.split_off(at)),
            Node::Branch(children) => Node::Branch(children.split_off(at)),
        };
        Some(Child::of(upper))
    }

    fn remove(&mut self, sought: &[u8]) -> Option<Arc<Entry>> {
        match self {
            Node::Leaf(entries) => {
                let at = entries.binary_search_by(|entry| key(entry).cmp(sought)).ok()?;
                Some(entries.remove(at))
            }
            Node::Branch(children) => {
                let at = Node::child_for(children, sought);
                let child = children.get_mut(at)?;
                let old = Arc::make_mut(&mut child.node).remove(sought)?;
                child.count -= 1;
                if child.node.len() < NODE_MIN {
                    merge(children, at);
                }
                Some(old)
            }
        }
    }
}

/// Joins a small child with a neighbour when both fit into one node; an empty one goes.
fn merge(children: &mut Vec<Child>, at: usize) {
    if children[at].count == 0 {
        children.remove(at);
        return;
    }
    let lower = if at + 1 < children.len() { at } else { at.saturating_sub(1) };
    let fits = children.get(lower + 1).is_some_and(|next| children[lower].node.len() + next.node.len() <= NODE_MAX);
    if !fits {
        return;
    }
    let next = children.remove(lower + 1);
    let into = &mut children[lower];
    into.count += next.count;
    match (Arc::make_mut(&mut into.node), &*next.node) {
        (Node::Leaf(entries), Node::Leaf(more)) => entries.extend(more.iter().cloned()),
        (Node::Branch(inner), Node::Branch(more)) => inner.extend(more.iter().cloned()),
        // All leaves lie equally deep.
        _ => {}
    }
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { root: Arc::new(Node::Leaf(Vec::new())) }
    }

    /// From entries in ascending order of their keys.
    pub(super) fn from_sorted(entries: Vec<Arc<Entry>>) -> Tree {
        let fill = NODE_MAX * 3 / 4;
        let mut nodes: Vec<Child> = entries.chunks(fill).map(|chunk| Child::of(Node::Leaf(chunk.to_vec()))).collect();
        while nodes.len() > 1 {
            nodes = nodes.chunks(fill).map(|chunk| Child::of(Node::Branch(chunk.to_vec()))).collect();
        }
        nodes.pop().map_or_else(Tree::new, |root| Tree { root: root.node })
    }

    pub(super) fn len(&self) -> usize {
        self.root.count()
    }

    pub(super) fn get(&self, sought: &[u8]) -> Option<&Arc<Entry>> {
        self.root.get(sought)
    }

    /// How many keys are smaller.
    pub(super) fn rank(&self, bound: &[u8]) -> usize {
        self.root.rank(bound)
    }

    pub(super) fn insert(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let (old, split) = Arc::make_mut(&mut self.root).insert(entry);
        if let Some(upper) = split {
            let lower = Child { first: self.root.first(), count: self.root.count(), node: self.root.clone() };
            self.root = Arc::new(Node::Branch(vec![lower, upper]));
        }
        old
    }

    pub(super) fn remove(&mut self, sought: &[u8]) -> Option<Arc<Entry>> {
        self.get(sought)?;
        let old = Arc::make_mut(&mut self.root).remove(sought);
        loop {
            let lower = match &*self.root {
                Node::Branch(children) if children.is_empty() => Arc::new(Node::Leaf(Vec::new())),
                Node::Branch(children) if children.len() == 1 => children[0].node.clone(),
                _ => return old,
            };
            self.root = lower;
        }
    }

    /// Entries from `start` on to before `end`, in order.
    pub(super) fn range(&self, start: &[u8], end: Bytes) -> Range<'_> {
        let mut path = Vec::new();
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    path.push((node, entries.partition_point(|entry| key(entry) < start)));
                    return Range { path, end };
                }
                Node::Branch(children) => {
                    let at = Node::child_for(children, start);
                    path.push((node, at + 1));
                    match children.get(at) {
                        Some(child) => node = &child.node,
                        None => return Range { path, end },
                    }
                }
            }
        }
    }
}

/// Borrowed entries of a key range; the path holds in each node what comes next.
pub struct Range<'t> {
    path: Vec<(&'t Node, usize)>,
    end: Bytes,
}

impl<'t> Iterator for Range<'t> {
    type Item = &'t Arc<Entry>;

    fn next(&mut self) -> Option<&'t Arc<Entry>> {
        loop {
            let (node, at) = self.path.last_mut()?;
            match node {
                Node::Leaf(entries) => {
                    if let Some(entry) = entries.get(*at) {
                        *at += 1;
                        if key(entry) >= &*self.end {
                            self.path.clear();
                            return None;
                        }
                        return Some(entry);
                    }
                    self.path.pop();
                }
                Node::Branch(children) => match children.get(*at) {
                    Some(child) => {
                        *at += 1;
                        self.path.push((&child.node, 0));
                    }
                    None => {
                        self.path.pop();
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proto::mvccpb::KeyValue;
    use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    fn entry(key: &str, revision: i64) -> Arc<Entry> {
        let kv = KeyValue { key: key.to_owned().into(), mod_revision: revision, ..Default::default() };
        Entry::from_wire(&kv).unwrap()
    }

    fn end() -> Bytes {
        Bytes::from_static(&[0xff])
    }

    fn content(tree: &Tree) -> Vec<(String, i64)> {
        tree.range(b"", end()).map(|entry| (entry.key().to_string(), entry.mod_revision())).collect()
    }

    fn expected(model: &BTreeMap<String, i64>) -> Vec<(String, i64)> {
        model.iter().map(|(key, revision)| (key.clone(), *revision)).collect()
    }

    #[test]
    fn behaves_as_an_ordered_map_and_snapshots_stay() {
        let seed = rand::rng().next_u64();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let (mut tree, mut model) = (Tree::new(), BTreeMap::new());
        let mut snapshots = Vec::new();
        for step in 0..30_000i64 {
            let key = format!("k{:05}", random.random_range(0..3000));
            // Grow first, then shrink to nothing.
            if random.random_range(0..30_000) < step {
                assert_eq!(tree.remove(key.as_bytes()).map(|old| old.mod_revision()), model.remove(&key));
            } else {
                let old = tree.insert(entry(&key, step));
                assert_eq!(old.map(|old| old.mod_revision()), model.insert(key.clone(), step));
            }
            if step % 5000 == 0 {
                snapshots.push((tree.clone(), expected(&model)));
            }
            let probe = format!("k{:05}", random.random_range(0..3000));
            assert_eq!(tree.rank(probe.as_bytes()), model.range(..probe.clone()).count());
            assert_eq!(tree.get(probe.as_bytes()).map(|entry| entry.mod_revision()), model.get(&probe).copied());
        }
        assert_eq!(tree.len(), model.len());
        assert_eq!(content(&tree), expected(&model));
        for (snapshot, expected) in snapshots {
            assert_eq!(content(&snapshot), expected);
        }
        for key in model.keys() {
            tree.remove(key.as_bytes());
        }
        assert_eq!((tree.len(), content(&tree).len()), (0, 0));
    }

    #[test]
    fn ranges_begin_and_end_where_they_should() {
        let names: Vec<String> = (0..5000).map(|n| format!("k{n:05}")).collect();
        let tree = Tree::from_sorted(names.iter().map(|name| entry(name, 1)).collect());
        for (from, to) in [(0, 0), (0, 1), (17, 4000), (4999, 5000), (47, 48), (48, 49), (2303, 2305)] {
            let upper = names.get(to).map_or_else(end, |name| Bytes::from(name.clone()));
            let found: Vec<_> = tree.range(names[from].as_bytes(), upper).map(|e| e.key().to_string()).collect();
            assert_eq!(found, names[from..to]);
        }
        let between: Vec<_> = tree.range(b"k00010x", Bytes::from("k00012")).map(|e| e.key().to_string()).collect();
        assert_eq!(between, ["k00011"]);
    }
}
