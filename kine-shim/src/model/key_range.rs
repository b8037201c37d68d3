//! Ranges of keys, as etcd's requests name them.

use bytes::Bytes;

use super::Key;

/// Keys from `start` (inclusive) to an end. The wire's empty/`\0` range ends get names here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    pub start: Key,
    pub end: RangeEnd,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RangeEnd {
    /// Only `start` itself (empty range_end).
    Single,
    /// Every key >= start (range_end = "\0").
    Unbounded,
    /// Up to, not including, this key.
    Before(Key),
}

impl KeyRange {
    pub fn single(key: Key) -> Self {
        Self { start: key, end: RangeEnd::Single }
    }

    /// Every key there can be.
    pub fn everything() -> Self {
        Self { start: Key::from_static(&[0]), end: RangeEnd::Unbounded }
    }

    /// From the wire's (key, range_end).
    pub fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        let end = match range_end.as_ref() {
            [] => RangeEnd::Single,
            [0] => RangeEnd::Unbounded,
            _ => RangeEnd::Before(range_end),
        };
        Self { start: key, end }
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Single => key == self.start.as_ref(),
            RangeEnd::Unbounded => key >= self.start.as_ref(),
            RangeEnd::Before(end) => key >= self.start.as_ref() && key < end.as_ref(),
        }
    }
}
