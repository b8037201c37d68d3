//! Expiry: never early, late by at most one TTL. A lease ends here only after its renewals stood still for a full TTL of this shim's own
//! monotonic time without interruption; then the database marks it, which conflicts with renewals, and only then is it revoked. Every
//! shim keeps every lease; a mark whose maker died is finished by any other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Watched;
use crate::auth::Caller;
use crate::log::{Log, LogFault};
use crate::model::{Error, LeaseId, Op, Refusal};
use crate::sequencer::publication::Publication;
use crate::sequencer::{BrokenRule, Submission};
use crate::shim::{Counters, ShimConfig};

const TICK: Duration = Duration::from_millis(500);
/// A keeper that slept for longer cannot know whether clients were able to renew meanwhile.
const INTERRUPTED_AFTER: Duration = Duration::from_secs(3);
const LEASES_AT_ONCE: usize = 1_000;

pub(crate) struct Keeper {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) config: ShimConfig,
    pub(crate) published: Publication,
    pub(crate) mailbox: mpsc::Sender<Submission>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) watched: WatchedLeases,
}

/// Shared with whoever shows what is left of a lease's time.
#[derive(Clone)]
pub(crate) struct WatchedLeases(pub(super) Arc<Mutex<HashMap<LeaseId, Watched>>>);

impl Keeper {
    /// Works until the future is dropped; a lease that it marked but had not revoked is then finished by another keeper, or the next.
    pub(crate) async fn run(self) {
        let mut epoch = 0;
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(TICK).await;
            let now = Instant::now();
            if now.duration_since(last) > INTERRUPTED_AFTER {
                self.restart();
            }
            last = now;
            let (leases, current) = {
                let published = self.published.get();
                let leases: HashMap<LeaseId, i64> = published.state.leases().map(|info| (info.id, info.ttl)).collect();
                (leases, published.epoch)
            };
            if current != epoch {
                // After a failover every lease gets its full TTL again.
                self.restart();
                epoch = current;
            }
            if let Err(fault) = self.tick(&leases, now, epoch).await {
                tracing::debug!(%fault, "lease clocks cannot be read; every lease gets its full time again");
                self.restart();
            }
        }
    }

    fn restart(&self) {
        self.watched.0.lock().clear();
    }

    async fn tick(&self, leases: &HashMap<LeaseId, i64>, now: Instant, epoch: u64) -> Result<(), LogFault> {
        let mut checks: Vec<LeaseId> = {
            let mut watched = self.watched.0.lock();
            watched.retain(|id, _| leases.contains_key(id));
            for (id, ttl) in leases {
                watched.entry(*id).or_insert(Watched { renewals: 0, since: now, next_check: now + period(*ttl) });
            }
            watched.iter().filter(|(_, lease)| lease.next_check <= now).map(|(id, _)| *id).collect()
        };
        // The map's order is random; what the database sees is not.
        checks.sort_unstable();
        for ids in checks.chunks(LEASES_AT_ONCE) {
            self.check(ids, leases, epoch).await?;
        }
        Ok(())
    }

    async fn check(&self, ids: &[LeaseId], leases: &HashMap<LeaseId, i64>, epoch: u64) -> Result<(), LogFault> {
        let asked = Instant::now();
        let clocks = self.log.lease_clocks(ids).await?;
        let answered = Instant::now();
        let (mut over, mut marked) = (Vec::new(), Vec::new());
        {
            let mut watched = self.watched.0.lock();
            for (id, clock) in ids.iter().zip(clocks) {
                let (Some(lease), Some(ttl)) = (watched.get_mut(id), leases.get(id)) else { continue };
                if clock.expiring {
                    marked.push(*id);
                } else if clock.renewals != lease.renewals {
                    *lease = Watched { renewals: clock.renewals, since: answered, next_check: answered };
                } else if asked.duration_since(lease.since) >= seconds(*ttl) {
                    over.push((*id, clock.renewals));
                }
                lease.next_check = (asked + period(*ttl)).min((lease.since + seconds(*ttl)).max(asked + TICK));
            }
        }
        if self.published.epoch() != epoch {
            // What stood still there may have moved before the new database took over.
            return Ok(());
        }
        if !over.is_empty() {
            let ended = match self.config.breaks(BrokenRule::ExpireWithoutMark) {
                true => vec![true; over.len()],
                false => self.log.mark_expiring(&over).await?,
            };
            marked.extend(over.iter().zip(ended).filter(|(_, ended)| *ended).map(|((id, _), _)| *id));
        }
        self.end(marked).await
    }

    /// Revokes marked leases. Where that fails the mark stays, and the next check tries again.
    async fn end(&self, marked: Vec<LeaseId>) -> Result<(), LogFault> {
        let mut answers = Vec::new();
        for id in marked {
            let (reply, answer) = oneshot::channel();
            let (op, caller) = (Op::LeaseRevoke { id }, Caller::Shim);
            let submission = Submission { op, caller, reply, arrived: Instant::now() };
            if self.mailbox.try_send(submission).is_ok() {
                answers.push((id, answer));
            }
        }
        let mut gone = Vec::new();
        for (id, answer) in answers {
            match tokio::time::timeout(self.config.patience, answer).await {
                Ok(Ok(Ok(_))) => {
                    Counters::add(&self.counters.leases_expired, 1);
                    gone.push(id);
                }
                Ok(Ok(Err(Error::Refused(Refusal::LeaseNotFound)))) => gone.push(id),
                _ => {}
            }
        }
        if gone.is_empty() { Ok(()) } else { self.log.forget_leases(&gone).await }
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}

/// How often a lease is looked at: what a renewal just after a look adds to the lateness.
fn period(ttl: i64) -> Duration {
    (seconds(ttl) / 4).max(TICK)
}
