//! One server of the simulated database: what stands in its tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    log::{Identity, LeaseClock, Page, ReadIndex},
    model::{Batch, BatchId, Grant, Head, Position, RowId},
};

/// A copy is what a standby has.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) identity: Identity,
    pub(super) batches: BTreeMap<Position, Arc<Batch>>,
    pub(super) trimmed: Position,
    pub(super) clocks: BTreeMap<Grant, LeaseClock>,
    /// Of the clocks.
    pub(super) life: Uuid,
    pub(super) marks: BTreeSet<Grant>,
    pub(super) in_recovery: bool,
}

impl Server {
    pub(super) fn new() -> Server {
        Server {
            identity: Identity { system: "simulated".into(), timeline: 1, incarnation: 0 },
            batches: BTreeMap::new(),
            trimmed: Position(0),
            clocks: BTreeMap::new(),
            life: Uuid::from_u128(1),
            marks: BTreeSet::new(),
            in_recovery: false,
        }
    }

    pub(super) fn head(&self) -> Head {
        self.batches.last_key_value().map(|(_, batch)| batch.head()).unwrap_or_default()
    }

    pub(super) fn page(&self, after: Position, max_bytes: usize) -> Page {
        let mut bytes = 0;
        let batches = self.batches.range(after.next()..).map(|(_, batch)| batch);
        let fitting = batches.take_while(|batch| {
            let fits = bytes < max_bytes;
            bytes += batch.entries.iter().map(|(_, entry)| entry.key.len() + entry.value.len()).sum::<usize>();
            fits
        });
        Page { batches: fitting.map(|batch| (**batch).clone()).collect(), trimmed: self.trimmed }
    }

    pub(super) fn read_index(&self, applied: Position) -> ReadIndex {
        let id_at_applied = match applied {
            Position(0) => Some(BatchId::nil()),
            position => self.batches.get(&position).map(|batch| batch.id),
        };
        ReadIndex {
            head: self.head(),
            revision: self.batches.last_key_value().map_or(1, |(_, batch)| batch.last_revision),
            id_at_applied,
            trimmed: self.trimmed,
            identity: self.identity.clone(),
            in_recovery: self.in_recovery,
        }
    }

    pub(super) fn trim(&mut self, floor: Position, garbage: &[RowId]) {
        self.trimmed = self.trimmed.max(floor);
        self.delete(floor, garbage);
    }

    pub(super) fn delete(&mut self, floor: Position, garbage: &[RowId]) {
        for (position, sub) in garbage {
            if let Some(batch) = self.batches.get_mut(position) {
                Arc::make_mut(batch).entries.retain(|(at, _)| at != sub);
            }
        }
        self.batches.retain(|position, batch| *position >= floor || !batch.entries.is_empty());
    }
}
