//! Expiry: never early, late by at most one TTL. A lease ends here only after its renewals stood still for a full TTL
//! of this shim's own monotonic time without interruption; then the database marks it, which conflicts with renewals,
//! and only then is it revoked. Every shim keeps every lease; a mark whose maker died is finished by any other.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use super::{Leases, Watched};
use crate::{
    auth::Caller,
    counters::Counters,
    log::{LeaseClock, LeaseClocks, Log, LogFault},
    model::{Error, Grant, Op, Refusal},
    sequencer::{Mailbox, Publication},
    settings::{BrokenRule, ShimConfig},
    state::LeaseSet,
};

const TICK: Duration = Duration::from_millis(500);
/// A keeper that slept for longer cannot know whether clients were able to renew meanwhile.
const INTERRUPTED_AFTER: Duration = Duration::from_secs(3);
/// When a lease that another shim marked should be gone; then its maker died.
const ABANDONED_AFTER: Duration = Duration::from_secs(3);
const LEASES_AT_ONCE: usize = 1_000;

pub(crate) struct Keeper {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) config: ShimConfig,
    pub(crate) published: Publication,
    pub(crate) mailbox: Mailbox,
    pub(crate) counters: Arc<Counters>,
    pub(crate) leases: Leases,
}

/// What the keeper knows besides: a tick costs what has changed and what is due, however many leases there are.
#[derive(Default)]
struct Schedule {
    /// The leases that `watched` follows.
    known: LeaseSet,
    /// Every one of them, by its next check.
    due: BTreeSet<(Instant, Grant)>,
    epoch: u64,
    /// Of the counts that `watched` was compared with, known before the first time began; in another life renewals may
    /// be lost.
    life: Option<Uuid>,
}

impl Keeper {
    /// Works until the future is dropped; a lease that it marked but had not revoked is then finished by another
    /// keeper, or the next.
    pub(crate) async fn run(self) {
        let mut schedule = Schedule::default();
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(TICK).await;
            let now = Instant::now();
            if now.duration_since(last) > INTERRUPTED_AFTER {
                self.restart(&mut schedule);
            }
            last = now;
            if let Err(fault) = self.tick(&mut schedule, now).await {
                tracing::debug!(%fault, "lease clocks cannot be read; every lease gets its full time again");
                self.restart(&mut schedule);
            }
        }
    }

    fn restart(&self, schedule: &mut Schedule) {
        self.leases.watched.lock().clear();
        *schedule = Schedule { epoch: schedule.epoch, ..Schedule::default() };
    }

    async fn tick(&self, schedule: &mut Schedule, now: Instant) -> Result<(), LogFault> {
        let (leases, epoch) = {
            let published = self.published.get();
            (published.state.lease_set(), published.epoch)
        };
        if epoch != schedule.epoch {
            // After a failover every lease gets its full TTL again.
            self.restart(schedule);
            schedule.epoch = epoch;
        }
        if schedule.life.is_none() {
            schedule.life = Some(self.log.lease_clocks(&[]).await?.life);
            // The time of those that are there begins with the next tick, after the life was known.
            return Ok(());
        }
        self.follow(schedule, leases, now);
        loop {
            self.forget().await?;
            let mut due: Vec<Grant> = Vec::new();
            while due.len() < LEASES_AT_ONCE
                && let Some((at, lease)) = schedule.due.first().copied().filter(|(at, _)| *at <= now)
            {
                schedule.due.remove(&(at, lease));
                due.push(lease);
            }
            if due.is_empty() {
                return Ok(());
            }
            due.sort_unstable();
            self.check(schedule, &due).await?;
        }
    }

    /// Drops the rows of leases that ended. Whoever ended them, and however short they were, every shim hears of it.
    async fn forget(&self) -> Result<(), LogFault> {
        if self.leases.take_lost_ended() {
            let state = self.published.get().state;
            let living: Vec<Grant> = state.leases().map(|lease| lease.grant()).collect();
            let forgotten = self.log.forget_leases_but(&living, state.head().position).await;
            forgotten.inspect_err(|_| self.leases.lost_ended())?;
        }
        loop {
            let ended: Vec<Grant> = {
                let mut ended = self.leases.ended.lock();
                let rest = ended.len().saturating_sub(LEASES_AT_ONCE);
                ended.drain(rest..).collect()
            };
            if ended.is_empty() {
                return Ok(());
            }
            self.log.forget_leases(&ended).await?;
        }
    }

    /// Takes in which leases came and went.
    fn follow(&self, schedule: &mut Schedule, leases: LeaseSet, now: Instant) {
        let mut watched = self.leases.watched.lock();
        for (id, lease) in leases.changes_since(&schedule.known) {
            if let Some(ended) = watched.remove(&id) {
                schedule.due.remove(&(ended.next_check, ended.grant));
            }
            if let Some(lease) = lease {
                let (grant, next_check) = (lease.grant(), now + period(lease.ttl));
                schedule.due.insert((next_check, grant));
                watched
                    .insert(id, Watched { grant, ttl: lease.ttl, renewals: 0, since: now, marked: None, next_check });
            }
        }
        schedule.known = leases;
    }

    /// Leases that are not in `due` now; they are put there again.
    async fn check(&self, schedule: &mut Schedule, leases: &[Grant]) -> Result<(), LogFault> {
        let asked = Instant::now();
        let LeaseClocks { life, clocks } = self.log.lease_clocks(leases).await?;
        let answered = Instant::now();
        if schedule.life != Some(life) && !self.config.breaks(BrokenRule::IgnoreLostRenewals) {
            return Err(LogFault::NotApplied("the database crashed, and renewals may be lost".into()));
        }
        let (mut over, mut abandoned) = (Vec::new(), Vec::new());
        {
            let mut watched = self.leases.watched.lock();
            for (grant, clock) in leases.iter().zip(clocks) {
                let Some(lease) = watched.get_mut(&grant.id) else { continue };
                match lease.look(clock, asked, answered) {
                    Verdict::Lives => {}
                    Verdict::IsOver => over.push((*grant, clock.renewals)),
                    Verdict::Abandoned => abandoned.push(*grant),
                }
                schedule.due.insert((lease.next_check, *grant));
            }
        }
        if self.published.epoch() != schedule.epoch {
            // What stood still there may have moved before the new database took over.
            return Ok(());
        }
        let mut marked = abandoned;
        if !over.is_empty() {
            let ended = match self.config.breaks(BrokenRule::ExpireWithoutMark) {
                true => vec![true; over.len()],
                // Of all shims one is told yes and revokes; whoever hears no looks again.
                false => self.log.mark_expiring(life, &over).await?,
            };
            marked.extend(over.iter().zip(ended).filter(|(_, ended)| *ended).map(|((grant, _), _)| *grant));
        }
        self.end(marked, schedule.epoch).await
    }

    /// Revokes leases that were marked in this epoch: another database need not have the marks. Where it fails the mark
    /// stays, and the next check tries again.
    async fn end(&self, marked: Vec<Grant>, epoch: u64) -> Result<(), LogFault> {
        let submit = |grant: Grant| {
            let answer = self.mailbox.submit(Op::LeaseExpire(grant), Caller::Shim, Some(epoch)).ok()?;
            Some((grant, answer))
        };
        let answers: Vec<_> = marked.into_iter().filter_map(submit).collect();
        let mut gone = Vec::new();
        for (grant, answer) in answers {
            match tokio::time::timeout(self.config.patience, answer).await {
                Ok(Ok(Ok(_))) => Counters::add(&self.counters.leases_expired, 1),
                // The mark came later than the end.
                Ok(Ok(Err(Error::Refused(Refusal::LeaseNotFound)))) => gone.push(grant),
                _ => {}
            }
        }
        if gone.is_empty() { Ok(()) } else { self.log.forget_leases(&gone).await }
    }
}

/// What a look at a lease's clock came to.
enum Verdict {
    Lives,
    /// Its renewals stood still for its full TTL.
    IsOver,
    /// Somebody marked it and did not revoke it.
    Abandoned,
}

impl Watched {
    /// Takes in a clock that was asked for and told at these times, and says when to look again.
    fn look(&mut self, clock: LeaseClock, asked: Instant, answered: Instant) -> Verdict {
        if clock.expiring {
            let marked = *self.marked.get_or_insert(answered);
            self.next_check = asked + ABANDONED_AFTER;
            let is_abandoned = asked.duration_since(marked) >= ABANDONED_AFTER;
            return if is_abandoned { Verdict::Abandoned } else { Verdict::Lives };
        }
        if clock.renewals != self.renewals {
            (self.renewals, self.since) = (clock.renewals, answered);
        }
        let end = self.since + seconds(self.ttl);
        self.next_check = (asked + period(self.ttl)).min(end.max(asked + TICK));
        if asked >= end { Verdict::IsOver } else { Verdict::Lives }
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}

/// How often a lease is looked at: what a renewal just after a look adds to the lateness.
fn period(ttl: i64) -> Duration {
    (seconds(ttl) / 4).max(TICK)
}
