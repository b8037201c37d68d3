//! A log that times another: the one place where the database's answers are measured, whatever database it is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{Appended, Identity, LeaseClocks, Log, LogFault, Member, Page, ReadIndex, Reader, Size, Snapshot};
use crate::{
    metrics::{DatabaseTimes, Metrics},
    model::{Batch, Grant, Position, RowId},
};

/// What etcd calls slow to apply.
const SLOW: Duration = Duration::from_millis(100);

pub struct TimedLog {
    inner: Arc<dyn Log>,
    metrics: Arc<Metrics>,
}

impl TimedLog {
    pub fn new(inner: Arc<dyn Log>, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics }
    }

    fn times(&self) -> &DatabaseTimes {
        &self.metrics.database
    }
}

/// Down again even when the future is dropped.
struct Inflight<'a>(&'a DatabaseTimes);

impl Drop for Inflight<'_> {
    fn drop(&mut self) {
        self.0.reclaims.dec();
    }
}

#[async_trait]
impl Log for TimedLog {
    async fn append(&self, batch: &Batch) -> Result<Appended, LogFault> {
        let started = Instant::now();
        let appended = self.inner.append(batch).await;
        self.times().append_seconds.observe(started.elapsed().as_secs_f64());
        if started.elapsed() > SLOW {
            self.times().slow_appends.inc();
        }
        self.times().append_entries.observe(batch.entries.len() as f64);
        if appended.is_ok() {
            let bytes: usize = batch.entries.iter().map(|(_, entry)| entry.key.len() + entry.value.len()).sum();
            self.times().appended_bytes.inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        appended
    }

    fn trust(&self, identity: &Identity) {
        self.inner.trust(identity);
    }

    async fn read(&self, after: Position, max_bytes: usize) -> Result<Page, LogFault> {
        self.inner.read(after, max_bytes).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, LogFault> {
        self.inner.snapshot().await
    }

    async fn read_index(&self, applied: Position) -> Result<ReadIndex, LogFault> {
        let started = Instant::now();
        let read_index = self.inner.read_index(applied).await;
        self.times().read_index_seconds.observe(started.elapsed().as_secs_f64());
        if let Ok(read_index) = &read_index {
            self.times().head_seen.set(i64::try_from(read_index.head.position.0).unwrap_or(i64::MAX));
        }
        read_index
    }

    async fn changed(&self) -> Option<Position> {
        self.inner.changed().await
    }

    async fn trim(&self, floor: Position, garbage: &[RowId]) -> Result<(), LogFault> {
        self.inner.trim(floor, garbage).await
    }

    async fn report(&self, reader: &Reader) -> Result<Vec<Reader>, LogFault> {
        self.inner.report(reader).await
    }

    async fn renew(&self, leases: &[Grant]) -> Result<Vec<bool>, LogFault> {
        self.inner.renew(leases).await
    }

    async fn lease_clocks(&self, leases: &[Grant]) -> Result<LeaseClocks, LogFault> {
        self.inner.lease_clocks(leases).await
    }

    async fn mark_expiring(&self, life: uuid::Uuid, seen: &[(Grant, i64)]) -> Result<Vec<bool>, LogFault> {
        self.inner.mark_expiring(life, seen).await
    }

    async fn forget_leases(&self, leases: &[Grant]) -> Result<(), LogFault> {
        self.inner.forget_leases(leases).await
    }

    async fn forget_leases_but(&self, living: &[Grant], upto: Position) -> Result<(), LogFault> {
        self.inner.forget_leases_but(living, upto).await
    }

    async fn ask_for_room(&self, writer: uuid::Uuid, wanted: bool) -> Result<(), LogFault> {
        self.inner.ask_for_room(writer, wanted).await
    }

    fn is_room_asked(&self) -> bool {
        self.inner.is_room_asked()
    }

    async fn meet(&self, member: &Member) -> Result<Vec<Member>, LogFault> {
        self.inner.meet(member).await
    }

    async fn part(&self, id: u64) -> Result<(), LogFault> {
        self.inner.part(id).await
    }

    async fn size(&self) -> Result<Size, LogFault> {
        self.inner.size().await
    }

    async fn reclaim(&self) -> Result<(), LogFault> {
        self.times().reclaims.inc();
        let _inflight = Inflight(self.times());
        let started = Instant::now();
        self.inner.reclaim().await?;
        self.times().reclaim_seconds.observe(started.elapsed().as_secs_f64());
        Ok(())
    }
}
