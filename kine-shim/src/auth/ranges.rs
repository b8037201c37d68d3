//! Sets of keys: the union of the ranges that a user's roles permit. Touching ranges are one, so that what two roles
//! permit together is permitted, as in etcd.

use bytes::{BufMut, Bytes, BytesMut};

use crate::model::{KeyRange, RangeEnd};

/// Sorted, apart from each other, none empty. No end means: every key from the start on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet(Vec<(Bytes, Option<Bytes>)>);

impl FromIterator<KeyRange> for KeySet {
    fn from_iter<I: IntoIterator<Item = KeyRange>>(ranges: I) -> Self {
        let mut all: Vec<_> = ranges.into_iter().map(interval).filter(|range| !is_empty(range)).collect();
        all.sort_unstable();
        let mut merged: Vec<(Bytes, Option<Bytes>)> = Vec::with_capacity(all.len());
        for (start, end) in all {
            match merged.last_mut() {
                Some((_, last)) if last.as_ref().is_none_or(|last| *last >= start) => {
                    if last.is_some() && (end.is_none() || end > *last) {
                        *last = end;
                    }
                }
                _ => merged.push((start, end)),
            }
        }
        Self(merged)
    }
}

impl KeySet {
    /// Whether every key of the range is in. A range that holds no key asks for the key it starts with.
    pub(super) fn covers(&self, range: &KeyRange) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= range.start);
        let Some((_, end)) = after.checked_sub(1).map(|at| &self.0[at]) else { return false };
        let Some(end) = end else { return true };
        match &range.end {
            RangeEnd::Unbounded => false,
            RangeEnd::Before(before) if *before > range.start => before <= end,
            RangeEnd::Before(_) | RangeEnd::Single => range.start < *end,
        }
    }
}

fn interval(range: KeyRange) -> (Bytes, Option<Bytes>) {
    let end = match range.end {
        RangeEnd::Single => {
            let mut next = BytesMut::with_capacity(range.start.len() + 1);
            next.put_slice(&range.start);
            next.put_u8(0);
            Some(next.freeze())
        }
        RangeEnd::Before(end) => Some(end),
        RangeEnd::Unbounded => None,
    };
    (range.start, end)
}

fn is_empty((start, end): &(Bytes, Option<Bytes>)) -> bool {
    end.as_ref().is_some_and(|end| end <= start)
}
