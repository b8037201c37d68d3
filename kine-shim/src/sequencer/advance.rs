//! What is committed, whoever wrote it, becomes the state that others see here.

use std::{
    sync::atomic::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{snapshots::drop_aside, task::Sequencer, trim::Author};
use crate::{
    counters::Counters,
    state::{Applied, State},
};

impl Sequencer {
    /// The next committed state: told to the watch hub before anybody can read it, so that who reads and then watches
    /// misses nothing.
    pub(super) fn advance(&mut self, state: State, applied: Applied, author: Author) {
        let is_new_incarnation = state.incarnation() != self.committed.incarnation();
        self.note_leases(&state, &applied);
        self.committed = state;
        for event in applied.events.iter().flat_map(|revision| &revision.events) {
            Counters::add(if event.is_delete { &self.counters.deletes } else { &self.counters.puts }, 1);
            if !event.is_delete {
                Counters::add(&self.counters.put_bytes, event.kv.key.len() + event.kv.value.len());
            }
        }
        Counters::add(&self.counters.leases_revoked, applied.revoked.len());
        if applied.compacted.is_some() {
            self.compacted_by = author;
            Counters::add(&self.counters.compactions, 1);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.counters.compacted_at.store(now.as_secs(), Ordering::Relaxed);
        }
        self.trims.add(applied.garbage, self.compacted_by);
        Counters::add(&self.counters.leases_granted, applied.granted.len());
        if is_new_incarnation {
            self.hub.reset(self.committed.clone());
        } else {
            self.hub.publish(self.committed.clone(), applied.events);
        }
        self.publish(is_new_incarnation);
    }

    /// One batch may grant an id again that it revokes: what is left in the end counts.
    fn note_leases(&self, state: &State, applied: &Applied) {
        for grant in &applied.revoked {
            self.leases.ended(*grant);
        }
        for lease in applied.granted.iter().filter_map(|(id, _)| state.lease(*id)) {
            self.leases.granted(lease.id);
        }
    }

    pub(super) fn publish(&mut self, is_replaced: bool) {
        let state = self.committed.clone();
        if is_replaced {
            self.leases.replaced();
        }
        let dropped = self.snapshots.lock().advance(&state, is_replaced, tokio::time::Instant::now());
        drop_aside(dropped);
        self.published.change(|published| {
            published.epoch += u64::from(is_replaced);
            published.state = state;
        });
    }
}
