//! The log in an embedded SQLite file, for one process: one thread owns the only connection and the file, so that a
//! second process gets a clear refusal. In go jobs over a bounded queue, out come their answers. SQL stands in
//! [`store`].

mod end;
mod store;

use std::{path::Path, thread::JoinHandle};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};

use self::{end::End, store::Store};
use super::{Appended, Fsync, LeaseClocks, Log, LogFault, Page, ReadIndex, Size, Snapshot, clocks::Clocks, page};
use crate::model::{Batch, Grant, Position, RowId};

/// Jobs waiting for the thread; whoever comes later waits to hand over.
const QUEUE_JOBS: usize = 64;
/// Appends that share one transaction, and so one fsync.
const GROUP_APPENDS: usize = 16;
/// Rows deleted, and pages given back, before the next job has its turn.
const TRIM_ROWS: usize = 1000;
const RECLAIM_PAGES: u32 = 1000;

type Answer<T> = oneshot::Sender<Result<T, LogFault>>;

enum Job {
    Append(Batch, Answer<Appended>),
    Other(Box<dyn FnOnce(&mut Store) + Send>),
}

pub struct SqliteLog {
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Renewals are not durable (a restart means a full TTL more), and no other process counts them.
    clocks: Mutex<Clocks>,
    changed: Notify,
    end: End,
}

impl SqliteLog {
    /// Opens, creates or migrates the file and keeps it for this process alone.
    pub async fn open(file: &Path, fsync: Fsync) -> Result<Self, LogFault> {
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS);
        let (opened, answer) = oneshot::channel();
        let (file, end) = (file.to_owned(), End::default());
        let moved = end.clone();
        let run = move || match Store::open(&file, fsync) {
            Ok(store) => {
                let _ = opened.send(Ok(()));
                serve(store, queue, &moved);
            }
            Err(fault) => {
                let _ = opened.send(Err(fault));
            }
        };
        let thread = std::thread::Builder::new().name("sqlite".into()).spawn(run);
        let thread = thread.map_err(|error| LogFault::NotApplied(format!("no thread for SQLite: {error}")))?;
        let log =
            Self { jobs: Some(jobs), thread: Some(thread), clocks: Mutex::default(), changed: Notify::new(), end };
        answer.await.map_err(|_| ended())??;
        Ok(log)
    }

    fn jobs(&self) -> Result<&mpsc::Sender<Job>, LogFault> {
        self.jobs.as_ref().ok_or_else(ended)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, LogFault> + Send + 'static,
    ) -> Result<T, LogFault> {
        run(self.jobs()?, work).await
    }
}

/// Runs `work` on the thread. A dropped future does not stop it once handed over.
async fn run<T: Send + 'static>(
    jobs: &mpsc::Sender<Job>,
    work: impl FnOnce(&mut Store) -> Result<T, LogFault> + Send + 'static,
) -> Result<T, LogFault> {
    let (answer, result) = oneshot::channel();
    let job = move |store: &mut Store| {
        // Nobody waits any more: fine.
        let _ = answer.send(work(store));
    };
    jobs.send(Job::Other(Box::new(job))).await.map_err(|_| ended())?;
    result.await.map_err(|_| ended())?
}

/// The only connection is not kept in one transaction while others write: a trim meanwhile ends the snapshot instead.
struct SqliteSnapshot {
    /// Does not keep the thread alive.
    jobs: mpsc::WeakSender<Job>,
    trimmed: Position,
    trims: u64,
    after: Position,
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    fn trimmed(&self) -> Position {
        self.trimmed
    }

    async fn next(&mut self, max_bytes: usize) -> Result<Vec<Batch>, LogFault> {
        let jobs = self.jobs.upgrade().ok_or_else(ended)?;
        let (after, trims) = (self.after, self.trims);
        let page = run(&jobs, move |store| match store.trims() == trims {
            true => store.page(after, max_bytes),
            false => Err(LogFault::NotApplied("rows were trimmed while the log was loaded".into())),
        });
        let batches = page.await?.batches;
        self.after = batches.last().map_or(after, |last| last.position);
        Ok(batches)
    }
}

fn ended() -> LogFault {
    LogFault::NotApplied("the SQLite thread has ended".into())
}

impl Drop for SqliteLog {
    /// The file is free when this returns.
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the SQLite thread panicked");
        }
    }
}

/// The thread's life. Appends that queued up while the last ones were made durable share the next transaction.
fn serve(mut store: Store, mut queue: mpsc::Receiver<Job>, end: &End) {
    let mut next = queue.blocking_recv();
    while let Some(job) = next.take() {
        match job {
            Job::Other(work) => work(&mut store),
            Job::Append(batch, answer) => {
                let mut group = vec![(batch, answer)];
                while group.len() < GROUP_APPENDS && next.is_none() {
                    match queue.try_recv() {
                        Ok(Job::Append(batch, answer)) => group.push((batch, answer)),
                        Ok(other) => next = Some(other),
                        Err(_) => break,
                    }
                }
                let (batches, answers): (Vec<Batch>, Vec<Answer<Appended>>) = group.into_iter().unzip();
                let outcomes = store.append(&batches);
                end.moved(&batches, &outcomes);
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    let _ = answer.send(outcome);
                }
            }
        }
        if next.is_none() {
            next = queue.blocking_recv();
        }
    }
}

#[async_trait]
impl Log for SqliteLog {
    async fn append(&self, batch: &Batch) -> Result<Appended, LogFault> {
        let (answer, outcome) = oneshot::channel();
        self.jobs()?.send(Job::Append(batch.clone(), answer)).await.map_err(|_| ended())?;
        let unknown = |_| LogFault::OutcomeUnknown("the SQLite thread has ended".into());
        let appended = outcome.await.map_err(unknown)??;
        if appended == Appended::Committed {
            self.changed.notify_waiters();
            self.changed.notify_one();
        }
        Ok(appended)
    }

    async fn read(&self, after: Position, max_bytes: usize) -> Result<Page, LogFault> {
        let page = self.run(move |store| store.page(after, max_bytes)).await?;
        let batches = page::contiguous(after, page.trimmed, page.batches)?;
        Ok(Page { batches, trimmed: page.trimmed })
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, LogFault> {
        let jobs = self.jobs()?.downgrade();
        let (trimmed, trims) = self.run(|store| Ok((store.trimmed()?, store.trims()))).await?;
        Ok(Box::new(SqliteSnapshot { jobs, trimmed, trims, after: Position(0) }))
    }

    async fn read_index(&self, applied: Position) -> Result<ReadIndex, LogFault> {
        if let Some(known) = self.end.at(applied) {
            return Ok(known);
        }
        let end = self.end.clone();
        self.run(move |store| store.read_index(applied).inspect(|found| end.learn(found))).await
    }

    async fn changed(&self) -> Option<Position> {
        self.changed.notified().await;
        None
    }

    async fn trim(&self, floor: Position, garbage: &[RowId]) -> Result<(), LogFault> {
        let first = garbage.len().min(TRIM_ROWS);
        for chunk in std::iter::once(&garbage[..first]).chain(garbage[first..].chunks(TRIM_ROWS)) {
            let chunk = chunk.to_vec();
            let end = self.end.clone();
            self.run(move |store| store.trim(floor, &chunk).inspect(|()| end.forget())).await?;
        }
        Ok(())
    }

    async fn renew(&self, leases: &[Grant]) -> Result<Vec<bool>, LogFault> {
        Ok(self.clocks.lock().renew(leases))
    }

    async fn lease_clocks(&self, leases: &[Grant]) -> Result<LeaseClocks, LogFault> {
        Ok(self.clocks.lock().get(leases))
    }

    async fn mark_expiring(&self, _life: uuid::Uuid, seen: &[(Grant, i64)]) -> Result<Vec<bool>, LogFault> {
        Ok(self.clocks.lock().mark_expiring(seen))
    }

    async fn forget_leases(&self, leases: &[Grant]) -> Result<(), LogFault> {
        self.clocks.lock().forget(leases);
        Ok(())
    }

    async fn forget_leases_but(&self, living: &[Grant], upto: Position) -> Result<(), LogFault> {
        self.clocks.lock().forget_but(living, upto);
        Ok(())
    }

    async fn size(&self) -> Result<Size, LogFault> {
        self.run(|store| store.size()).await
    }

    async fn reclaim(&self) -> Result<(), LogFault> {
        while self.run(|store| store.reclaim(RECLAIM_PAGES)).await? {}
        Ok(())
    }
}
