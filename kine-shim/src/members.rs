//! Who else serves this store. In go beats to the log, out comes a list of the shims that are alive, for MemberList. A
//! hint for clients: no decision of ours rests on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{sync::Mutex, time::Instant};

use crate::{log::Member, shim::Shim};

/// The log forgets who is silent three times as long.
const BEAT: Duration = Duration::from_secs(5);
const PART_WITHIN: Duration = Duration::from_secs(1);
/// Whoever asks gets a list that is at most so old: many who ask cost the database ten beats a second.
const FRESH: Duration = Duration::from_millis(100);

/// The list as last heard. While the database is silent it stays as it was.
#[derive(Clone, Debug, Default)]
pub struct Members(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    alive: ArcSwap<Vec<Member>>,
    asked: Mutex<Option<Instant>>,
    /// We stop, and have said so.
    has_parted: AtomicBool,
}

impl Members {
    /// By id; empty before the first beat.
    pub fn known(&self) -> Arc<Vec<Member>> {
        self.0.alive.load_full()
    }

    /// Every shim may write. But tools look for one leader, the same whomever they ask: a backup that only the leader
    /// takes, a restart that leaves it for last. So the living one with the smallest id is called that.
    pub fn leader(&self, own: u64) -> u64 {
        self.known().iter().map(|member| member.id).fold(own, u64::min)
    }

    /// Says that `own` is alive and hears of the others, once.
    pub async fn beat(&self, shim: &Shim, own: &Member) {
        if self.0.has_parted.load(Ordering::Relaxed) {
            return;
        }
        match shim.meet(own).await {
            Ok(mut alive) => {
                alive.sort_by_key(|member| member.id);
                self.0.alive.store(Arc::new(alive));
            }
            Err(fault) => tracing::debug!(%fault, "the other shims were not told"),
        }
    }

    /// Between two beats: the list as it is now. Those who ask at once share an answer.
    pub async fn hear(&self, shim: &Shim, own: &Member) {
        let mut asked = self.0.asked.lock().await;
        if asked.is_none_or(|at| at.elapsed() >= FRESH) {
            self.beat(shim, own).await;
            *asked = Some(Instant::now());
        }
    }

    /// Runs until dropped.
    pub async fn run(self, shim: Shim, own: Member) {
        loop {
            self.beat(&shim, &own).await;
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Says that `own` stops; whoever is not heard is forgotten a little later.
    pub async fn part(&self, shim: &Shim, own: &Member) {
        self.0.has_parted.store(true, Ordering::Relaxed);
        if let Ok(Err(fault)) = tokio::time::timeout(PART_WITHIN, shim.part(own.id)).await {
            tracing::debug!(%fault, "the other shims were not told of the end");
        }
    }
}
