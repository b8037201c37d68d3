//! The log in memory: for tests, trials and simulations. Gone with the process; every clone-by-`Arc` of it is the same
//! store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Appended, Identity, LeaseClocks, Log, LogFault, Page, ReadIndex, Size, Snapshot, clocks::Clocks, page};
use crate::model::{Batch, BatchId, EntryKind, Grant, Head, Position, RowId};

/// One store. Locks are held for the length of a map operation, never over an await.
#[derive(Default)]
pub struct MemoryLog {
    store: Mutex<Store>,
    changed: Notify,
}

#[derive(Default)]
struct Store {
    batches: BTreeMap<Position, Batch>,
    trimmed: Position,
    incarnation: u64,
    clocks: Clocks,
}

impl MemoryLog {
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store {
    fn head(&self) -> Head {
        self.batches.last_key_value().map(|(_, batch)| batch.head()).unwrap_or_default()
    }

    fn id_at(&self, position: Position) -> Option<BatchId> {
        if position == Position(0) {
            return Some(BatchId::nil());
        }
        self.batches.get(&position).map(|batch| batch.id)
    }

    fn append(&mut self, batch: &Batch) -> Result<Appended, LogFault> {
        if batch.position == Position(0) {
            return Err(LogFault::NotApplied("position 0 is before the log".into()));
        }
        match self.id_at(batch.position) {
            Some(id) if id == batch.id => return Ok(Appended::Committed),
            Some(_) => return Ok(Appended::Refused),
            None if batch.position <= self.head().position => return Err(super::outcome_trimmed(batch.position)),
            None => {}
        }
        if self.head() != (Head { position: Position(batch.position.0 - 1), id: batch.prev_id }) {
            return Ok(Appended::Refused);
        }
        if batch.entries.iter().any(|(_, entry)| entry.kind == EntryKind::Incarnation) {
            self.incarnation += 1;
        }
        self.batches.insert(batch.position, batch.clone());
        Ok(Appended::Committed)
    }

    fn page(&self, after: Position, max_bytes: usize) -> Vec<Batch> {
        let mut bytes = 0;
        let full = |batch: &&Batch| {
            let fits = bytes < max_bytes;
            bytes += page::batch_bytes(batch);
            fits
        };
        let rest = self.batches.range(after.next()..).map(|(_, batch)| batch);
        let batches: Vec<Batch> = rest.clone().take_while(full).cloned().collect();
        if batches.is_empty() { rest.take(1).cloned().collect() } else { batches }
    }

    fn trim(&mut self, floor: Position, garbage: &[RowId]) {
        let mut touched = BTreeSet::from([self.trimmed]);
        self.trimmed = self.trimmed.max(floor);
        for (position, sub) in garbage {
            if let Some(batch) = self.batches.get_mut(position) {
                batch.entries.retain(|(at, _)| at != sub);
                touched.insert(*position);
            }
        }
        for position in touched.range(..floor) {
            if self.batches.get(position).is_some_and(|batch| batch.entries.is_empty()) {
                self.batches.remove(position);
            }
        }
    }
}

struct MemorySnapshot {
    batches: VecDeque<Batch>,
    trimmed: Position,
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    fn trimmed(&self) -> Position {
        self.trimmed
    }

    async fn next(&mut self, max_bytes: usize) -> Result<Vec<Batch>, LogFault> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        while bytes < max_bytes.max(1)
            && let Some(batch) = self.batches.pop_front()
        {
            bytes += page::batch_bytes(&batch);
            page.push(batch);
        }
        Ok(page)
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn append(&self, batch: &Batch) -> Result<Appended, LogFault> {
        let appended = self.store.lock().append(batch)?;
        if appended == Appended::Committed {
            self.changed.notify_waiters();
            self.changed.notify_one();
        }
        Ok(appended)
    }

    async fn read(&self, after: Position, max_bytes: usize) -> Result<Page, LogFault> {
        let store = self.store.lock();
        let batches = page::contiguous(after, store.trimmed, store.page(after, max_bytes))?;
        Ok(Page { batches, trimmed: store.trimmed })
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, LogFault> {
        let store = self.store.lock();
        Ok(Box::new(MemorySnapshot { batches: store.batches.values().cloned().collect(), trimmed: store.trimmed }))
    }

    async fn read_index(&self, applied: Position) -> Result<ReadIndex, LogFault> {
        let store = self.store.lock();
        Ok(ReadIndex {
            head: store.head(),
            revision: store.batches.last_key_value().map_or(1, |(_, batch)| batch.last_revision),
            id_at_applied: store.id_at(applied),
            trimmed: store.trimmed,
            identity: Identity { system: "memory".into(), timeline: 1, incarnation: store.incarnation },
            in_recovery: false,
        })
    }

    async fn changed(&self) -> Option<Position> {
        self.changed.notified().await;
        None
    }

    async fn trim(&self, floor: Position, garbage: &[RowId]) -> Result<(), LogFault> {
        self.store.lock().trim(floor, garbage);
        Ok(())
    }

    async fn renew(&self, leases: &[Grant]) -> Result<Vec<bool>, LogFault> {
        Ok(self.store.lock().clocks.renew(leases))
    }

    async fn lease_clocks(&self, leases: &[Grant]) -> Result<LeaseClocks, LogFault> {
        Ok(self.store.lock().clocks.get(leases))
    }

    async fn mark_expiring(&self, _life: uuid::Uuid, seen: &[(Grant, i64)]) -> Result<Vec<bool>, LogFault> {
        Ok(self.store.lock().clocks.mark_expiring(seen))
    }

    async fn forget_leases(&self, leases: &[Grant]) -> Result<(), LogFault> {
        self.store.lock().clocks.forget(leases);
        Ok(())
    }

    async fn forget_leases_but(&self, living: &[Grant], upto: Position) -> Result<(), LogFault> {
        self.store.lock().clocks.forget_but(living, upto);
        Ok(())
    }

    async fn size(&self) -> Result<Size, LogFault> {
        let bytes = self.store.lock().batches.values().map(page::batch_bytes).sum::<usize>();
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        Ok(Size { total_bytes: bytes, in_use_bytes: bytes })
    }

    async fn reclaim(&self) -> Result<(), LogFault> {
        Ok(())
    }
}
