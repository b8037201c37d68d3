//! Which watchers a key concerns. Watchers of the same range share one group; single keys are found by hash, ranges by
//! an interval tree laid out in a sorted array, which is rebuilt when enough groups came or went. Nothing here iterates
//! over a hash map.

use std::collections::HashMap;

use crate::model::{Key, KeyRange, RangeEnd};

/// A watcher's place in the hub.
pub(super) type Slot = usize;

/// Groups not yet in the tree are scanned one by one; so few do not matter.
const UNSORTED_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Index {
    exact: HashMap<Key, Vec<Slot>>,
    spans: Spans,
}

impl Index {
    pub(super) fn add(&mut self, range: &KeyRange, slot: Slot) {
        match range.end {
            RangeEnd::Single => add_slot(self.exact.entry(range.start.clone()).or_default(), slot),
            _ => self.spans.add(range, slot),
        }
    }

    pub(super) fn remove(&mut self, range: &KeyRange, slot: Slot) {
        if range.end != RangeEnd::Single {
            return self.spans.remove(range, slot);
        }
        if let Some(slots) = self.exact.get_mut(&range.start) {
            drop_slot(slots, slot);
            if slots.is_empty() {
                self.exact.remove(&range.start);
            }
        }
    }

    /// Calls `found` with every watcher whose range contains `key`, in a reproducible order.
    pub(super) fn concerned(&self, key: &[u8], mut found: impl FnMut(Slot)) {
        for slot in self.exact.get(key).into_iter().flatten() {
            found(*slot);
        }
        self.spans.concerned(key, &mut found);
    }
}

/// Slots are kept in ascending order: many thousand may watch one range, and each is to be found again when it ends.
fn add_slot(slots: &mut Vec<Slot>, slot: Slot) {
    if let Err(at) = slots.binary_search(&slot) {
        slots.insert(at, slot);
    }
}

fn drop_slot(slots: &mut Vec<Slot>, slot: Slot) {
    if let Ok(at) = slots.binary_search(&slot) {
        slots.remove(at);
    }
}

struct Group {
    range: KeyRange,
    slots: Vec<Slot>,
}

impl Group {
    /// `None` is beyond every key.
    fn end(&self) -> Option<&Key> {
        match &self.range.end {
            RangeEnd::Before(end) => Some(end),
            RangeEnd::Unbounded | RangeEnd::Single => None,
        }
    }
}

/// A node of the tree: the middle of a piece of `sorted` is the root of that piece.
struct Node {
    group: usize,
    /// The group with the greatest end in the piece of which this node is the middle.
    furthest: usize,
}

#[derive(Default)]
struct Spans {
    by_range: HashMap<KeyRange, usize>,
    /// Emptied groups stay, without slots, until the next rebuild.
    groups: Vec<Group>,
    sorted: Vec<Node>,
    /// Groups that came after the last rebuild: `groups[sorted.len()..]` in order of arrival.
    empty: usize,
}

impl Spans {
    fn add(&mut self, range: &KeyRange, slot: Slot) {
        if let Some(&group) = self.by_range.get(range) {
            if self.groups[group].slots.is_empty() {
                self.empty -= 1;
            }
            add_slot(&mut self.groups[group].slots, slot);
            return;
        }
        self.by_range.insert(range.clone(), self.groups.len());
        self.groups.push(Group { range: range.clone(), slots: vec![slot] });
        if self.groups.len() - self.sorted.len() > UNSORTED_MAX + self.sorted.len() / 8 {
            self.rebuild();
        }
    }

    fn remove(&mut self, range: &KeyRange, slot: Slot) {
        let Some(&group) = self.by_range.get(range) else { return };
        drop_slot(&mut self.groups[group].slots, slot);
        if self.groups[group].slots.is_empty() {
            self.empty += 1;
            if self.empty > UNSORTED_MAX + self.groups.len() / 4 {
                self.rebuild();
            }
        }
    }

    fn rebuild(&mut self) {
        self.groups.retain(|group| !group.slots.is_empty());
        self.groups.sort_by(|a, b| a.range.start.cmp(&b.range.start));
        self.by_range = self.groups.iter().enumerate().map(|(at, group)| (group.range.clone(), at)).collect();
        self.empty = 0;
        self.sorted = (0..self.groups.len()).map(|at| Node { group: at, furthest: at }).collect();
        self.measure(0, self.sorted.len());
    }

    /// Sets `furthest` in the piece `[low, high)` and returns the piece's.
    fn measure(&mut self, low: usize, high: usize) -> Option<usize> {
        if low >= high {
            return None;
        }
        let middle = low.midpoint(high);
        let left = self.measure(low, middle);
        let right = self.measure(middle + 1, high);
        let mut furthest = self.sorted[middle].group;
        for other in [left, right].into_iter().flatten() {
            furthest = match (self.groups[furthest].end(), self.groups[other].end()) {
                (None, _) => furthest,
                (_, None) => other,
                (Some(mine), Some(theirs)) if mine >= theirs => furthest,
                _ => other,
            };
        }
        self.sorted[middle].furthest = furthest;
        Some(furthest)
    }

    fn concerned(&self, key: &[u8], found: &mut impl FnMut(Slot)) {
        self.stab(0, self.sorted.len(), key, found);
        for group in &self.groups[self.sorted.len()..] {
            if group.range.contains(key) {
                group.slots.iter().for_each(|slot| found(*slot));
            }
        }
    }

    fn stab(&self, low: usize, high: usize, key: &[u8], found: &mut impl FnMut(Slot)) {
        if low >= high {
            return;
        }
        let middle = low.midpoint(high);
        let node = &self.sorted[middle];
        if self.groups[node.furthest].end().is_some_and(|end| end.as_ref() <= key) {
            return;
        }
        self.stab(low, middle, key, found);
        let group = &self.groups[node.group];
        if group.range.start.as_ref() <= key {
            if group.range.contains(key) {
                group.slots.iter().for_each(|slot| found(*slot));
            }
            self.stab(middle + 1, high, key, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concerned(index: &Index, key: &[u8]) -> Vec<Slot> {
        let mut slots = Vec::new();
        index.concerned(key, |slot| slots.push(slot));
        slots.sort_unstable();
        slots
    }

    /// Many nested, equal, open and single ranges, added and removed: always the same answer as asking every range.
    #[test]
    fn finds_exactly_the_ranges_that_contain_the_key() {
        use rand::{Rng, RngExt, SeedableRng};
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let mut index = Index::default();
        let mut live: Vec<(Slot, KeyRange)> = Vec::new();
        let key = |rng: &mut rand::rngs::StdRng| {
            Key::from((0..1 + rng.next_u32() % 2).map(|_| (rng.next_u32() % 12) as u8).collect::<Vec<_>>())
        };
        for slot in 0..2_000 {
            let (start, end) = (key(&mut rng), key(&mut rng));
            let end = match rng.random_range(0..8) {
                0 => RangeEnd::Single,
                1 => RangeEnd::Unbounded,
                _ => RangeEnd::Before(end),
            };
            let range = KeyRange { start, end };
            index.add(&range, slot);
            live.push((slot, range));
            if rng.random_bool(0.6) {
                let (slot, range) = live.swap_remove(rng.random_range(0..live.len()));
                index.remove(&range, slot);
            }
            let key = key(&mut rng);
            let mut expected: Vec<Slot> = live.iter().filter(|(_, r)| r.contains(&key)).map(|(s, _)| *s).collect();
            expected.sort_unstable();
            assert_eq!(concerned(&index, &key), expected);
        }
    }
}
