//! Lease clocks in memory, for the logs that have one process: the rules of [`super::Log`]'s renewals, without SQL.
//! Counts and marks live and end with the process, so they have one life.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::{LeaseClock, LeaseClocks};
use crate::model::{Grant, Position};

#[derive(Default)]
pub(super) struct Clocks(BTreeMap<Grant, Clock>);

struct Clock {
    renewals: i64,
    expiring: bool,
    at: Instant,
}

impl Clocks {
    pub(super) fn renew(&mut self, leases: &[Grant]) -> Vec<bool> {
        let now = Instant::now();
        let mut counted = BTreeSet::new();
        let mut renew = |lease: Grant| {
            let clock = self.0.entry(lease).or_insert(Clock { renewals: 0, expiring: false, at: now });
            if !clock.expiring && counted.insert(lease) {
                clock.renewals += 1;
                clock.at = now;
            }
            !clock.expiring
        };
        leases.iter().map(|lease| renew(*lease)).collect()
    }

    pub(super) fn get(&self, leases: &[Grant]) -> LeaseClocks {
        let shown = |clock: &Clock| LeaseClock {
            renewals: clock.renewals,
            expiring: clock.expiring,
            age: Some(clock.at.elapsed()),
        };
        let clocks = leases.iter().map(|lease| self.0.get(lease).map(shown).unwrap_or_default()).collect();
        LeaseClocks { life: uuid::Uuid::nil(), clocks }
    }

    pub(super) fn mark_expiring(&mut self, seen: &[(Grant, i64)]) -> Vec<bool> {
        let now = Instant::now();
        let mut mark = |lease: Grant, seen: i64| match self.0.get_mut(&lease) {
            Some(clock) if !clock.expiring && clock.renewals == seen => {
                clock.expiring = true;
                clock.at = now;
                true
            }
            Some(_) => false,
            None if seen == 0 => {
                self.0.insert(lease, Clock { renewals: 0, expiring: true, at: now });
                true
            }
            None => false,
        };
        seen.iter().map(|(lease, renewals)| mark(*lease, *renewals)).collect()
    }

    pub(super) fn forget(&mut self, leases: &[Grant]) {
        for lease in leases {
            self.0.remove(lease);
        }
    }

    pub(super) fn forget_but(&mut self, living: &[Grant], upto: Position) {
        let living: BTreeSet<&Grant> = living.iter().collect();
        self.0.retain(|lease, _| lease.at > upto || living.contains(lease));
    }
}
