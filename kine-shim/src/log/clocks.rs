//! Lease clocks in memory, for the logs that have one process: the rules of [`super::Log`]'s renewals, without SQL.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::LeaseClock;
use crate::model::LeaseId;

#[derive(Default)]
pub(super) struct Clocks(BTreeMap<LeaseId, Clock>);

struct Clock {
    renewals: i64,
    expiring: bool,
    at: Instant,
}

impl Clocks {
    pub(super) fn renew(&mut self, ids: &[LeaseId]) -> Vec<bool> {
        let now = Instant::now();
        let mut counted = BTreeSet::new();
        let mut renew = |id: LeaseId| {
            let clock = self.0.entry(id).or_insert(Clock { renewals: 0, expiring: false, at: now });
            if !clock.expiring && counted.insert(id) {
                clock.renewals += 1;
                clock.at = now;
            }
            !clock.expiring
        };
        ids.iter().map(|id| renew(*id)).collect()
    }

    pub(super) fn get(&self, ids: &[LeaseId]) -> Vec<LeaseClock> {
        let shown = |clock: &Clock| LeaseClock {
            renewals: clock.renewals,
            expiring: clock.expiring,
            age: Some(clock.at.elapsed()),
        };
        ids.iter().map(|id| self.0.get(id).map(shown).unwrap_or_default()).collect()
    }

    pub(super) fn mark_expiring(&mut self, seen: &[(LeaseId, i64)]) -> Vec<bool> {
        let now = Instant::now();
        let mut mark = |id: LeaseId, seen: i64| match self.0.get_mut(&id) {
            Some(clock) if !clock.expiring && clock.renewals == seen => {
                clock.expiring = true;
                clock.at = now;
                true
            }
            Some(_) => false,
            None if seen == 0 => {
                self.0.insert(id, Clock { renewals: 0, expiring: true, at: now });
                true
            }
            None => false,
        };
        seen.iter().map(|(id, renewals)| mark(*id, *renewals)).collect()
    }

    pub(super) fn forget(&mut self, ids: &[LeaseId]) {
        for id in ids {
            self.0.remove(id);
        }
    }
}
