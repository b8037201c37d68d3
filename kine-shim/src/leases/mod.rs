//! Leases. Grants and revokes are operations of the sequencer; here are renewals, which are counted in the database in
//! batches and are no entries of the log, and expiry (see `keeper`). What a lease is attached to is known to `state`
//! alone.

mod keeper;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    log::{LeaseClock, Log, LogFault},
    model::{Fault, Grant, LeaseId},
    state::State,
};

pub(crate) use keeper::Keeper;

/// Questions of one kind that may wait for their turn; more are refused.
const WAITING_MAX: usize = 65_536;
const ASKED_AT_ONCE: usize = 4_096;
/// Ended leases whose rows the keeper has not dropped yet; when there are more it looks for all rows without a lease.
const ENDED_MAX: usize = 65_536;

/// What this shim has seen of a lease's renewals.
#[derive(Clone, Copy, Debug)]
struct Watched {
    grant: Grant,
    /// Seconds.
    ttl: i64,
    renewals: i64,
    /// When `renewals` was seen for the first time, or the lease itself.
    since: Instant,
    /// When it was first seen to be marked as expiring.
    marked: Option<Instant>,
    next_check: Instant,
}

/// The handle; clones share one. Expiry goes by `watched` alone, which the keeper writes; `heard`, when a grant was
/// applied or a renewal counted here, is more precise and for display.
#[derive(Clone, Default)]
pub(crate) struct Leases {
    renewals: Questions<bool>,
    clocks: Questions<LeaseClock>,
    watched: Arc<Mutex<HashMap<LeaseId, Watched>>>,
    heard: Arc<Mutex<HashMap<LeaseId, Instant>>>,
    /// Whose renewals the log need not keep.
    ended: Arc<Mutex<Vec<Grant>>>,
    has_lost_ended: Arc<AtomicBool>,
}

impl Leases {
    /// Counts one renewal; false when the lease is about to expire. Dropping the future leaves open whether it was
    /// counted.
    pub(crate) async fn renew(&self, lease: Grant) -> Result<bool, Fault> {
        let renewed = self.renewals.ask(lease).await?;
        if renewed && let Some(heard) = self.heard.lock().get_mut(&lease.id) {
            *heard = Instant::now();
        }
        Ok(renewed)
    }

    /// A grant was applied: a time begins.
    pub(crate) fn granted(&self, id: LeaseId) {
        self.heard.lock().insert(id, Instant::now());
    }

    pub(crate) fn ended(&self, lease: Grant) {
        self.heard.lock().remove(&lease.id);
        let mut ended = self.ended.lock();
        if ended.len() < ENDED_MAX {
            ended.push(lease);
        } else {
            self.lost_ended();
        }
    }

    /// Some that ended are not in the list.
    fn lost_ended(&self) {
        self.has_lost_ended.store(true, Ordering::Relaxed);
    }

    fn take_lost_ended(&self) -> bool {
        self.has_lost_ended.swap(false, Ordering::Relaxed)
    }

    /// Other leases may be there now.
    pub(crate) fn replaced(&self) {
        self.heard.lock().clear();
        self.ended.lock().clear();
    }

    /// What the log knows of the lease's renewals. Dropping the future loses nothing.
    pub(crate) async fn clock(&self, lease: Grant) -> Result<LeaseClock, Fault> {
        self.clocks.ask(lease).await
    }

    /// Since the grant or the last renewal anybody knows of: the log by its clock, or this shim.
    pub(crate) fn age(&self, id: LeaseId, clock: &LeaseClock) -> Duration {
        let heard = self.heard.lock().get(&id).copied();
        let here = heard.or_else(|| self.watched.lock().get(&id).map(|watched| watched.since));
        here.map(|since| since.elapsed()).into_iter().chain(clock.age).min().unwrap_or_default()
    }

    /// The state's leases, the one that would end first coming first, as far as this shim has seen their renewals.
    pub(crate) fn by_expiry(&self, state: &State) -> Vec<LeaseId> {
        let mut leases = state.leases_by_grant();
        let (heard, watched, now) = (self.heard.lock().clone(), self.watched.lock(), Instant::now());
        let seen = |id: &LeaseId| match (heard.get(id), watched.get(id)) {
            // Renewed elsewhere, perhaps.
            (Some(heard), Some(watched)) if watched.renewals > 0 => watched.since.max(*heard),
            (Some(heard), _) => *heard,
            (None, watched) => watched.map_or(now, |watched| watched.since),
        };
        // Of those that end together the one granted first comes first.
        leases.sort_by_cached_key(|lease| seen(&lease.id) + Duration::from_secs(u64::try_from(lease.ttl).unwrap_or(0)));
        leases.into_iter().map(|lease| lease.id).collect()
    }

    /// Carries questions to the log until the future is dropped.
    pub(crate) async fn run(self, log: Arc<dyn Log>) {
        tokio::join!(self.renewals.carry(&*log, renew), self.clocks.carry(&*log, look));
    }
}

type Ask<A> = for<'a> fn(&'a dyn Log, &'a [Grant]) -> BoxFuture<'a, Result<Vec<A>, LogFault>>;

fn renew<'a>(log: &'a dyn Log, leases: &'a [Grant]) -> BoxFuture<'a, Result<Vec<bool>, LogFault>> {
    log.renew(leases)
}

fn look<'a>(log: &'a dyn Log, leases: &'a [Grant]) -> BoxFuture<'a, Result<Vec<LeaseClock>, LogFault>> {
    Box::pin(async move { Ok(log.lease_clocks(leases).await?.clocks) })
}

type Question<A> = (Grant, oneshot::Sender<Result<A, Fault>>);

/// Questions about one lease each, which go to the log together: what waits while one batch is on its way makes up the
/// next.
struct Questions<A> {
    waiting: Arc<Mutex<Vec<Question<A>>>>,
    arrived: Arc<Notify>,
}

impl<A> Clone for Questions<A> {
    fn clone(&self) -> Self {
        Self { waiting: self.waiting.clone(), arrived: self.arrived.clone() }
    }
}

impl<A> Default for Questions<A> {
    fn default() -> Self {
        Self { waiting: Arc::default(), arrived: Arc::default() }
    }
}

impl<A: Copy + Default> Questions<A> {
    async fn ask(&self, lease: Grant) -> Result<A, Fault> {
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.len() >= WAITING_MAX {
                return Err(Fault::Overloaded);
            }
            waiting.push((lease, reply));
        }
        self.arrived.notify_one();
        answer.await.map_err(|_| Fault::Stopping)?
    }

    /// `ask` gets leases in ascending order, each once, and answers each.
    async fn carry(&self, log: &dyn Log, ask: Ask<A>) {
        loop {
            self.arrived.notified().await;
            loop {
                let mut batch: Vec<Question<A>> = {
                    let mut waiting = self.waiting.lock();
                    let count = waiting.len().min(ASKED_AT_ONCE);
                    waiting.drain(..count).collect()
                };
                if batch.is_empty() {
                    break;
                }
                batch.retain(|(_, reply)| !reply.is_closed());
                let mut leases: Vec<Grant> = batch.iter().map(|(lease, _)| *lease).collect();
                leases.sort_unstable();
                leases.dedup();
                let answers = ask(log, &leases).await;
                for (lease, reply) in batch {
                    // Whoever no longer waits does not need the answer.
                    let _ = reply.send(answer_to(lease, &leases, &answers));
                }
            }
        }
    }
}

fn answer_to<A: Copy + Default>(
    lease: Grant,
    leases: &[Grant],
    answers: &Result<Vec<A>, LogFault>,
) -> Result<A, Fault> {
    match answers {
        Ok(answers) => {
            Ok(leases.binary_search(&lease).ok().and_then(|at| answers.get(at)).copied().unwrap_or_default())
        }
        Err(LogFault::NotApplied(reason) | LogFault::Failed(reason)) => Err(Fault::NotApplied(reason.clone())),
        Err(fault) => Err(Fault::OutcomeUnknown(fault.to_string())),
    }
}
