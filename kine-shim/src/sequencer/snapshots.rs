//! States kept for reads at a revision that is not the newest: about one a second, and those a first page was read at. Bounded in number
//! and in age; what is not here is read from the history in the newest state.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Revision;
use crate::state::State;

const KEPT_MAX: usize = 64;
const AGE_MAX: Duration = Duration::from_secs(60);
const KEEP_EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Snapshots {
    kept: BTreeMap<Revision, (Instant, State)>,
    last: Option<Instant>,
}

impl Snapshots {
    pub(crate) fn at(&self, revision: Revision) -> Option<State> {
        self.kept.get(&revision).map(|(_, state)| state.clone())
    }

    /// Keeps the state, or keeps it for longer.
    pub(crate) fn keep(&mut self, state: &State, now: Instant) {
        self.kept.insert(state.revision(), (now, state.clone()));
        self.kept.retain(|_, (since, _)| now.duration_since(*since) < AGE_MAX);
        while self.kept.len() > KEPT_MAX {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, (since, _))| *since).map(|(revision, _)| *revision)
            else {
                return;
            };
            self.kept.remove(&oldest);
        }
    }

    /// There is a new state; a replaced one makes all that were kept worthless.
    pub(crate) fn advance(&mut self, state: &State, is_replaced: bool, now: Instant) {
        if is_replaced {
            self.kept.clear();
        }
        if self.last.is_none_or(|last| now.duration_since(last) >= KEEP_EVERY) {
            self.last = Some(now);
            self.keep(state, now);
        }
    }
}
