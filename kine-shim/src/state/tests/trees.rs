//! The tree against a BTreeMap, clones against what they were cloned from.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::Dice;
use crate::state::tree::{Item, Node, Tree};

/// (key, value, live)
type Row = (u32, u32, usize);

impl Item for Row {
    type Key = u32;

    fn key(&self) -> u32 {
        self.0
    }

    fn compare(&self, key: &u32) -> Ordering {
        self.0.cmp(key)
    }

    fn order(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }

    fn live(&self) -> usize {
        self.2
    }
}

fn same(tree: &Tree<Row>, map: &BTreeMap<u32, Row>, dice: &mut Dice, keys: u64, seed: u64) {
    assert!(tree.iter().eq(map.values()), "seed {seed}: ascending");
    assert!(tree.descend(None).eq(map.values().rev()), "seed {seed}: descending");
    assert_eq!(tree.live(), map.values().map(|row| row.2).sum::<usize>(), "seed {seed}: live");
    for _ in 0..20 {
        let at = dice.roll(keys + 2) as u32;
        assert_eq!(tree.get(&at), map.get(&at), "seed {seed}: get {at}");
        let before: usize = map.range(..at).map(|(_, row)| row.2).sum();
        assert_eq!(tree.live_before(&at), before, "seed {seed}: live before {at}");
        assert!(tree.ascend(&at).eq(map.range(at..).map(|(_, row)| row)), "seed {seed}: ascend {at}");
        let down = map.range(..at).rev().map(|(_, row)| row);
        assert!(tree.descend(Some(&at)).eq(down), "seed {seed}: descend {at}");
        let live = map.range(at..).map(|(_, row)| row).filter(|row| row.2 > 0);
        assert!(tree.ascend(&at).live().eq(live), "seed {seed}: live from {at}");
        let live = map.range(..at).rev().map(|(_, row)| row).filter(|row| row.2 > 0);
        assert!(tree.descend(Some(&at)).live().eq(live), "seed {seed}: live down from {at}");
    }
    shape(tree.root(), seed);
}

/// Depth is even, lows are right, counts are sums.
fn shape(node: &Node<Row>, seed: u64) -> (usize, usize, Option<(u32, u32)>) {
    match node {
        Node::Leaf(rows) => {
            (1, rows.iter().map(|row| row.2).sum(), rows.first().map(|first| (first.0, rows[rows.len() - 1].0)))
        }
        Node::Branch(children) => {
            let below: Vec<_> = children.iter().map(|child| (child, shape(&child.node, seed))).collect();
            for (at, (child, (depth, live, reach))) in below.iter().enumerate() {
                let (first, last) = reach.unwrap_or_else(|| panic!("seed {seed}: an empty leaf"));
                assert_eq!(*depth, below[0].1.0, "seed {seed}: depth");
                assert_eq!(*live, child.live, "seed {seed}: count of a child");
                assert!(child.low <= first, "seed {seed}: low");
                assert!(below.get(at + 1).is_none_or(|next| last < next.0.low), "seed {seed}: overlap");
            }
            let reach = (below[0].1.2.unwrap().0, below[below.len() - 1].1.2.unwrap().1);
            (below[0].1.0 + 1, children.iter().map(|child| child.live).sum(), Some(reach))
        }
    }
}

#[test]
fn tree_agrees_with_a_map_and_clones_never_change() {
    for seed in 0..16 {
        let mut dice = Dice::new(seed);
        let keys = dice.pick(&[10, 100, 3_000, 100_000]);
        let mut tree = Tree::default();
        let mut map = BTreeMap::new();
        let mut kept: Vec<(Tree<Row>, BTreeMap<u32, Row>)> = Vec::new();
        for phase in 0..6 {
            let removals = if phase % 2 == 0 { 20 } else { 80 };
            for step in 0..1_500 {
                let at = dice.roll(keys) as u32;
                if dice.chance(removals) {
                    // A removal that hits nothing tests little: take the next there is.
                    let at = map.range(at..).next().map_or(at, |(at, _)| *at);
                    assert_eq!(tree.remove(&at), map.remove(&at), "seed {seed}: remove {at}");
                } else {
                    let row = (at, step, usize::from(dice.chance(70)));
                    assert_eq!(tree.insert(row), map.insert(at, row), "seed {seed}: insert {at}");
                }
            }
            same(&tree, &map, &mut dice, keys, seed);
            kept.push((tree.clone(), map.clone()));
        }
        for (tree, map) in &kept {
            same(tree, map, &mut dice, keys, seed);
        }
        kept.push(Default::default());
        for (newer, now) in &kept {
            for (older, then) in &kept {
                differ(newer.changes_since(older), then, now, seed);
            }
        }
    }
}

fn differ(found: Vec<(Option<&Row>, Option<&Row>)>, then: &BTreeMap<u32, Row>, now: &BTreeMap<u32, Row>, seed: u64) {
    let keys: BTreeSet<&u32> = then.keys().chain(now.keys()).collect();
    let changes = keys.into_iter().map(|at| (then.get(at), now.get(at))).filter(|(then, now)| then != now);
    assert!(changes.eq(found), "seed {seed}: changes");
}

#[test]
fn what_two_trees_share_is_not_compared() {
    /// Counts comparisons.
    #[derive(Clone)]
    struct Counted(u32, Arc<AtomicUsize>);

    impl Item for Counted {
        type Key = u32;

        fn key(&self) -> u32 {
            self.0
        }

        fn compare(&self, key: &u32) -> Ordering {
            self.1.fetch_add(1, Relaxed);
            self.0.cmp(key)
        }

        fn order(&self, other: &Self) -> Ordering {
            self.compare(&other.0)
        }
    }

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    let count = Arc::new(AtomicUsize::new(0));
    let mut older = Tree::default();
    for at in 0..100_000 {
        older.insert(Counted(at * 2, count.clone()));
    }
    let mut newer = older.clone();
    for at in [1, 60_001, 60_003, 199_999] {
        newer.insert(Counted(at, count.clone()));
    }
    newer.remove(&100);
    count.store(0, Relaxed);
    let keys = newer.changes_since(&older).into_iter().map(|(then, now)| then.or(now).map(|item| item.0));
    assert!(keys.eq([1, 100, 60_001, 60_003, 199_999].map(Some)));
    assert!(count.load(Relaxed) < 2_000, "{} comparisons", count.load(Relaxed));
}

#[test]
fn ascending_arrivals_fill_nodes_and_removal_from_the_front_empties_the_tree() {
    let mut tree = Tree::default();
    for at in 0..10_000_u32 {
        tree.insert((at, at, 1));
    }
    for at in 0..10_000_u32 {
        assert_eq!(tree.live_before(&10_000), 10_000 - at as usize);
        assert_eq!(tree.iter().next().map(|row| row.0), Some(at));
        assert!(tree.remove(&at).is_some());
    }
    assert_eq!(tree.iter().next(), None);
    assert_eq!(tree.live(), 0);
}
