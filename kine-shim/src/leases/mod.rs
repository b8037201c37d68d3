//! Leases. Grants and revokes are operations of the sequencer; here are renewals, which are counted in the database in batches and are
//! no entries of the log, and expiry (see `keeper`). What a lease is attached to is known to `state` alone.

mod keeper;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::log::{Log, LogFault};
use crate::model::{Fault, LeaseId};

pub(crate) use keeper::{Keeper, WatchedLeases};

/// Renewals that may wait for their turn; more are refused.
const RENEWALS_MAX: usize = 65_536;
const RENEWALS_AT_ONCE: usize = 4_096;

/// What this shim has seen of a lease's renewals.
#[derive(Clone, Copy, Debug)]
struct Watched {
    renewals: i64,
    /// When `renewals` was seen for the first time, or the lease itself.
    since: Instant,
    next_check: Instant,
}

type Renewal = (LeaseId, oneshot::Sender<Result<bool, Fault>>);

/// The handle; clones share one.
#[derive(Clone, Default)]
pub(crate) struct Leases {
    waiting: Arc<Mutex<Vec<Renewal>>>,
    arrived: Arc<Notify>,
    watched: Arc<Mutex<HashMap<LeaseId, Watched>>>,
}

impl Leases {
    /// Counts one renewal; false when the lease is about to expire. Dropping the future leaves open whether it was counted.
    pub(crate) async fn renew(&self, id: LeaseId) -> Result<bool, Fault> {
        let (reply, renewed) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.len() >= RENEWALS_MAX {
                return Err(Fault::Overloaded);
            }
            waiting.push((id, reply));
        }
        self.arrived.notify_one();
        renewed.await.map_err(|_| Fault::Stopping)?
    }

    /// For how long this shim has seen no renewal.
    pub(crate) fn unrenewed_for(&self, id: LeaseId) -> Option<Duration> {
        self.watched.lock().get(&id).map(|watched| watched.since.elapsed())
    }

    /// What the keeper writes and [`Leases::unrenewed_for`] reads.
    pub(crate) fn watched(&self) -> WatchedLeases {
        WatchedLeases(self.watched.clone())
    }

    /// Sends renewals until the future is dropped; whatever waits while one batch is on its way makes up the next.
    pub(crate) async fn run(self, log: Arc<dyn Log>) {
        loop {
            self.arrived.notified().await;
            loop {
                let batch: Vec<Renewal> = {
                    let mut waiting = self.waiting.lock();
                    let count = waiting.len().min(RENEWALS_AT_ONCE);
                    waiting.drain(..count).collect()
                };
                if batch.is_empty() {
                    break;
                }
                send(&*log, batch).await;
            }
        }
    }
}

async fn send(log: &dyn Log, mut batch: Vec<Renewal>) {
    batch.retain(|(_, reply)| !reply.is_closed());
    let mut ids: Vec<LeaseId> = batch.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let renewed = log.renew(&ids).await;
    for (id, reply) in batch {
        let answer = match &renewed {
            Ok(renewed) => Ok(ids.binary_search(&id).is_ok_and(|at| renewed.get(at).copied().unwrap_or(false))),
            Err(LogFault::NotApplied(reason)) => Err(Fault::NotApplied(reason.clone())),
            Err(fault) => Err(Fault::OutcomeUnknown(fault.to_string())),
        };
        // Whoever no longer waits does not need the answer.
        let _ = reply.send(answer);
    }
}
