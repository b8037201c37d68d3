//! States kept for reads at a revision that is not the newest: about one a second, and those a first page was read at.
//! Bounded in number and in age; what is not here is read from the history in the newest state.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{model::Revision, state::State};

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

    /// Keeps the state, or keeps it for longer. Returns those that are kept no more: dropping them may take long.
    #[must_use]
    pub(crate) fn keep(&mut self, state: &State, now: Instant) -> Vec<State> {
        let mut gone: Vec<State> =
            self.kept.insert(state.revision(), (now, state.clone())).into_iter().map(|kept| kept.1).collect();
        let old = self.kept.extract_if(.., |_, (since, _)| now.duration_since(*since) >= AGE_MAX);
        gone.extend(old.map(|(_, (_, state))| state));
        while self.kept.len() > KEPT_MAX
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, (since, _))| *since).map(|(revision, _)| *revision)
        {
            gone.extend(self.kept.remove(&oldest).map(|(_, state)| state));
        }
        gone
    }

    /// There is a new state; a replaced one makes all that were kept worthless. Returns those that are kept no more.
    #[must_use]
    pub(crate) fn advance(&mut self, state: &State, is_replaced: bool, now: Instant) -> Vec<State> {
        let mut gone = Vec::new();
        if is_replaced {
            gone.extend(std::mem::take(&mut self.kept).into_values().map(|(_, state)| state));
        }
        if self.last.is_none_or(|last| now.duration_since(last) >= KEEP_EVERY) {
            self.last = Some(now);
            gone.extend(self.keep(state, now));
        }
        gone
    }
}

/// Drops states where nobody waits: the last reference to a large piece of one may take a good while.
pub(crate) fn drop_aside(states: Vec<State>) {
    if !states.is_empty() {
        tokio::task::spawn_blocking(move || drop(states));
    }
}
