//! The state machine against a naive twin that keeps a whole map per revision, and cases for what etcd's clients
//! observe.

mod cases;
mod driver;
mod logs;
mod naive;
mod trees;
mod weight;

use bytes::Bytes;

use super::State;
use crate::model::{Batch, DeleteRange, Key, KeyRange, Op, Put, Range, RangeEnd, Refusal, Reply};

/// Seeded: a failure names its seed, and the seed replays it.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// 0..sides
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize].clone()
    }
}

pub(super) fn key(name: &str) -> Key {
    Bytes::copy_from_slice(name.as_bytes())
}

pub(super) fn put(name: &str, value: &str) -> Put {
    Put::of(key(name), key(value))
}

pub(super) fn span(start: &str, end: &str) -> KeyRange {
    KeyRange { start: key(start), end: RangeEnd::Before(key(end)) }
}

pub(super) fn single(name: &str) -> KeyRange {
    KeyRange::single(key(name))
}

pub(super) fn everything() -> KeyRange {
    KeyRange::everything()
}

pub(super) fn read(range: KeyRange) -> Range {
    Range::of(range)
}

pub(super) fn delete(range: KeyRange) -> Op {
    Op::DeleteRange(DeleteRange { range, prev_kv: true })
}

/// Evaluates one op and commits it as a batch of its own; nothing is committed when nothing was written.
pub(super) fn commit(state: &mut State, op: Op) -> Result<(Reply, Option<Batch>), Refusal> {
    let mut draft = state.draft();
    let reply = draft.evaluate(&op)?;
    if draft.is_empty() {
        return Ok((reply, None));
    }
    let (batch, next, _) = draft.finish(batch_id(state.head().position.0 + 1), batch_id(0), 0);
    *state = next;
    Ok((reply, Some(batch)))
}

pub(super) fn batch_id(number: u64) -> crate::model::BatchId {
    uuid::Uuid::from_u128(u128::from(number) + 1_000)
}

/// The state once the compaction under way is done, and what that named.
pub(super) fn swept(state: &State) -> (State, Vec<crate::model::RowId>) {
    let (mut state, mut effects) = (state.clone(), super::apply::Effects::default());
    state.sweep(usize::MAX, &mut effects);
    (state, effects.finish().garbage)
}

/// Everything observable about a state, and its books.
pub(super) fn dump(state: &State) -> String {
    let records = |list: &mut dyn Iterator<Item = String>| list.collect::<Vec<_>>().join("\n  ");
    format!(
        "{:?} revision {} compacted {} incarnation {}\nnewest\n  {}\nsuperseded\n  {}\nchanges\n  {}\nattached\n  {}\n\
         leases\n  {}\nrecords {:?}\nlive {} rows {:?} {:?}",
        state.head,
        state.revision,
        state.compacted,
        state.incarnation,
        records(&mut state.newest.iter().map(|item| format!("{:?}", item.0))),
        records(&mut state.superseded.iter().map(|item| format!("{:?}", item.0))),
        records(&mut state.changes.iter().map(|item| format!("{:?}", item.0))),
        records(&mut state.attached.iter().map(|item| format!("{:?}", item.0))),
        records(&mut state.leases.iter().map(|item| format!("{item:?}"))),
        state.records(),
        state.len(),
        state.compact_row,
        state.incarnation_row,
    )
}
