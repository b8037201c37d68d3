//! The other shims of the store, as far as this one has heard of them: they tell the log how far they have applied it.
//! From it follows what may be trimmed, and, when another database has taken over, whether anybody has seen what it
//! does not have.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::{log::Reader, model::Position};

/// Reports in which a shim may be missing before it is forgotten: about a minute.
const MISSED_MAX: u32 = 60;

/// Clones share one list. A shim that is gone stays in it for a while: what it told its clients may be all that is left
/// of a batch.
#[derive(Clone, Default)]
pub(crate) struct Peers {
    missed: Arc<Mutex<BTreeMap<Uuid, u32>>>,
    /// The one that this shim trusts.
    timeline: Arc<AtomicU32>,
}

/// What the other shims say of a database that has taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Testimony {
    /// None of them has seen anything that it does not have.
    Whole,
    /// One of them has gone on in it already.
    Ahead,
    /// One of them has not said anything yet.
    Missing,
}

impl Peers {
    pub(crate) fn timeline(&self) -> u32 {
        self.timeline.load(Ordering::Relaxed)
    }

    pub(super) fn trust(&self, timeline: u32) {
        self.timeline.store(timeline, Ordering::Relaxed);
    }

    /// What the log told of the others. Returns the least position among theirs and ours.
    pub(crate) fn heard(&self, others: &[Reader], applied: Position) -> Position {
        let mut missed = self.missed.lock();
        missed.values_mut().for_each(|missed| *missed += 1);
        missed.extend(others.iter().map(|other| (other.id, 0)));
        missed.retain(|_, missed| *missed <= MISSED_MAX);
        others.iter().map(|other| other.applied).fold(applied, Position::min)
    }

    /// Whether every shim we know of has told a new timeline what it had applied when it stopped following the old one.
    /// Until then it may still hand out what the old one confirms.
    pub(super) fn testimony(&self, others: &[Reader], timeline: u32, head: Position) -> Testimony {
        let told: BTreeMap<Uuid, Position> =
            others.iter().filter(|other| other.timeline == timeline).map(|other| (other.id, other.applied)).collect();
        if told.values().any(|applied| *applied > head) {
            return Testimony::Ahead;
        }
        let known = self.missed.lock();
        let all = others.iter().map(|other| &other.id).chain(known.keys());
        if all.into_iter().all(|id| told.contains_key(id)) { Testimony::Whole } else { Testimony::Missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shim_must_say_what_it_had_seen_of_the_old_timeline() {
        let (peers, [a, b]) = (Peers::default(), [1, 2].map(Uuid::from_u128));
        let at = |id, applied, timeline| Reader { id, applied: Position(applied), timeline };
        let testimony = |others: &[Reader]| peers.testimony(others, 2, Position(5));
        assert_eq!(testimony(&[]), Testimony::Whole, "there is nobody else");
        assert_eq!(peers.heard(&[at(a, 3, 1), at(b, 9, 1)], Position(7)), Position(3));
        assert_eq!(testimony(&[at(a, 3, 2)]), Testimony::Missing, "b has not said anything");
        assert_eq!(testimony(&[at(a, 3, 2), at(b, 5, 1)]), Testimony::Missing, "b still follows the old one");
        assert_eq!(testimony(&[at(a, 3, 2), at(b, 6, 2)]), Testimony::Ahead);
        assert_eq!(testimony(&[at(a, 3, 2), at(b, 5, 2)]), Testimony::Whole);
        for _ in 0..=MISSED_MAX {
            assert_eq!(testimony(&[at(a, 3, 2)]), Testimony::Missing, "b is still known");
            peers.heard(&[at(a, 3, 1)], Position(7));
        }
        assert_eq!(testimony(&[at(a, 3, 2)]), Testimony::Whole);
    }
}
