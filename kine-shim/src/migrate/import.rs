//! The import: in goes a source and an empty log, out comes a log from which shims go on as if they had written it.
//!
//! What is appended looks like a log whose garbage is gone (see `State::load`): records with the revisions they always
//! had, at new positions, and the compaction behind them. The first batch says that an import is under way, the last
//! one that it is over; a shim that finds the one without the other does not serve. Batches are cut by their contents
//! alone and each one's id is a hash of its contents and of its predecessor's id. So an import that was killed goes on
//! where it stopped: it computes again what it had appended, and the id of the log's head proves that it is the same.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use sha2::{Digest, Sha256};

use super::{
    content::Content,
    load,
    progress::{Progress, say},
    read::EtcdFile,
    schema,
    source::{self, End, Feed, Step, Steps},
};
use crate::{
    grpc::hash,
    log::{Appended, Log, LogFault},
    model::{Batch, BatchId, Entry, Head, Position, ReadAt, Revision},
    state::IMPORT,
};

/// One append: far fewer round trips than a shim's batches need.
const BATCH_BYTES: usize = 8 << 20;
const BATCH_ENTRIES: usize = 16_384;
/// Appends on their way at once.
const PIPELINE: usize = 3;
const TRY_AGAIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// What an import came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Imported {
    pub(super) revision: Revision,
    pub(super) compacted: Option<Revision>,
    pub(super) keys: usize,
    pub(super) leases: usize,
    /// etcd's HashKV at `revision`.
    pub(super) hash: u32,
}

/// Takes everything from a database file of etcd.
pub(super) async fn from_file(log: Arc<dyn Log>, file: EtcdFile) -> Result<Imported> {
    let name = file.name()?;
    say(&format!("importing {name}"));
    let (feed, steps) = Feed::new();
    let reading = tokio::task::spawn_blocking(move || file.run(feed));
    let imported = run(log, &name, steps).await;
    reading.await.context("the reader ended badly")?;
    imported
}

/// Takes everything from the source. `name` tells it from other sources before anything else can.
pub(super) async fn run(log: Arc<dyn Log>, name: &str, mut steps: Steps) -> Result<Imported> {
    let mut chain = Chain::start(log.clone(), name).await?;
    let end = loop {
        match steps.recv().await.context("the source ended without a word")?? {
            Step::Entries(entries) => {
                for entry in entries {
                    chain.put(entry).await?;
                }
                chain.progress.tell();
            }
            Step::End(end) => break end,
        }
    };
    if let Some(compacted) = end.compacted {
        chain.put(source::compaction(compacted)).await?;
    }
    chain.cut(end.revision).await?;
    chain.drain().await?;
    chain.progress.done();
    let was_closed = chain.was_closed()?;
    if was_closed {
        say("the import was complete already");
    }
    let imported = verify(&*log, &end, was_closed).await?;
    chain.close(&end).await?;
    Ok(imported)
}

/// Reads back what the log makes and compares it with what the source has. A promised compaction is kept only when the
/// import is closed.
async fn verify(log: &dyn Log, end: &End, was_closed: bool) -> Result<Imported> {
    let mut progress = Progress::of("verifying");
    let state = load::state(log, &mut progress).await?;
    progress.done();
    let promised = end.promised.filter(|_| was_closed);
    let expected = (end.revision, promised.or(end.compacted));
    let found = (state.revision(), state.compacted_at());
    ensure!(found == expected, "revision and compacted revision are {found:?}, but {expected:?} in the source");
    let content = end.content;
    let checked = tokio::task::spawn_blocking(move || {
        let is_same = promised.is_some() || Content::of(&state.kept()) == content;
        ensure!(is_same, "the log does not hold what the source does");
        let scrub = state.scrub(ReadAt::Latest).context("cannot read what was imported")?;
        let (keys, leases) = (state.len(), state.leases().count());
        Ok((hash::of(&scrub), keys, leases))
    });
    let (hash, keys, leases) = checked.await??;
    Ok(Imported { revision: end.revision, compacted: end.promised.or(end.compacted), keys, leases, hash })
}

/// The log in the making.
struct Chain {
    log: Arc<dyn Log>,
    progress: Progress,
    /// Where the log ended when the import began: up to there batches are only computed again.
    found: Head,
    head: Head,
    revision: Revision,
    is_auth_enabled: bool,
    entries: Vec<(u32, Entry)>,
    bytes: usize,
    in_flight: VecDeque<Arc<Batch>>,
    outcomes: FuturesOrdered<BoxFuture<'static, Result<Appended, LogFault>>>,
}

impl Chain {
    async fn start(log: Arc<dyn Log>, name: &str) -> Result<Self> {
        let found = log.read_index(Position(0)).await.context("cannot read the target")?.head;
        let mut chain = Self {
            log,
            progress: Progress::of("importing"),
            found,
            head: Head::default(),
            revision: 1,
            is_auth_enabled: false,
            entries: Vec::new(),
            bytes: 0,
            in_flight: VecDeque::new(),
            outcomes: FuturesOrdered::new(),
        };
        let mut snapshot = chain.log.snapshot().await.context("cannot read the target")?;
        let first = snapshot.next(1).await.context("cannot read the target")?;
        let marker = first.first().and_then(|batch| batch.entries.first()).map(|(_, entry)| entry);
        if found.position > Position(0) {
            let begun = marker.filter(|entry| entry.key == IMPORT).with_context(|| not_empty(found))?;
            let of = String::from_utf8_lossy(&begun.value);
            ensure!(of == name, "an import of another source was begun here ({of}): {EMPTY_IT}");
            say(&format!("going on with the import that stopped after {} batches", found.position.0));
        }
        chain.put(source::record(Bytes::from_static(IMPORT), Bytes::copy_from_slice(name.as_bytes()))).await?;
        chain.cut(1).await?;
        Ok(chain)
    }

    async fn put(&mut self, entry: Entry) -> Result<()> {
        let bytes = entry.key.len() + entry.value.len() + 64;
        if !self.entries.is_empty() && (self.bytes + bytes > BATCH_BYTES || self.entries.len() == BATCH_ENTRIES) {
            self.cut(0).await?;
        }
        self.bytes += bytes;
        self.is_auth_enabled |= entry.key == schema::AUTH_ENABLED.1;
        self.progress.count(entry.key.len() + entry.value.len(), entry.revision);
        self.entries.push((self.entries.len() as u32, entry));
        Ok(())
    }

    /// Ends the batch; its last revision is at least `revision`.
    async fn cut(&mut self, revision: Revision) -> Result<()> {
        if self.entries.is_empty() && revision <= self.revision {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.entries);
        self.bytes = 0;
        let id = chained(self.head.id, &entries);
        let changes = || entries.iter().map(|(_, entry)| entry).filter(|entry| entry.revision > 0);
        let last = changes().next_back().map_or(0, |entry| entry.revision);
        let last_revision = self.revision.max(last).max(revision);
        let first_revision = changes().next().map_or(last_revision + 1, |entry| entry.revision);
        let batch = Batch {
            position: self.head.position.next(),
            id,
            prev_id: self.head.id,
            first_revision,
            last_revision,
            writer: BatchId::nil(),
            at_ms: now_ms(),
            entries,
        };
        self.revision = last_revision;
        self.head = batch.head();
        self.append(batch).await
    }

    async fn append(&mut self, batch: Batch) -> Result<()> {
        if batch.position == self.found.position && batch.id != self.found.id {
            bail!("the source is not what it was when the import began, or the target was written to: {EMPTY_IT}");
        }
        if batch.position <= self.found.position {
            return Ok(());
        }
        let (log, batch) = (self.log.clone(), Arc::new(batch));
        self.in_flight.push_back(batch.clone());
        self.outcomes.push_back(Box::pin(async move { log.append(&batch).await }));
        while self.in_flight.len() >= PIPELINE {
            self.next_outcome().await?;
        }
        Ok(())
    }

    /// Whether an earlier run got to the end.
    fn was_closed(&self) -> Result<bool> {
        let closed = self.head.position.next();
        ensure!(self.found.position <= closed, "the target was written to after the import: {EMPTY_IT}");
        Ok(self.found.position == closed)
    }

    /// Waits for everything that is on its way.
    async fn drain(&mut self) -> Result<()> {
        while !self.in_flight.is_empty() {
            self.next_outcome().await?;
        }
        Ok(())
    }

    async fn next_outcome(&mut self) -> Result<()> {
        if let Some(Ok(Appended::Committed)) = self.outcomes.next().await {
            self.in_flight.pop_front();
            return Ok(());
        }
        // The rest of the pipeline was refused for want of a predecessor, or may have been: each again, in order.
        while self.outcomes.next().await.is_some() {}
        for batch in std::mem::take(&mut self.in_flight) {
            append_surely(&*self.log, &batch).await?;
        }
        Ok(())
    }

    /// Says that the import is over. What stands in this batch is not part of the source.
    async fn close(&mut self, end: &End) -> Result<()> {
        let mut closing: Vec<Entry> = end.promised.map(source::compaction).into_iter().collect();
        if self.is_auth_enabled {
            // Tokens of the old store mean nothing here; new ones are signed with this.
            let (name, secret) = (Bytes::from_static(schema::SECRET_RECORD.as_bytes()), rand::random::<[u8; 32]>());
            closing.push(source::record(name, secret.to_vec().into()));
        }
        closing.push(source::record(Bytes::from_static(IMPORT), Bytes::new()));
        let id = chained(self.head.id, &[]);
        let batch = Batch {
            position: self.head.position.next(),
            id,
            prev_id: self.head.id,
            first_revision: self.revision + 1,
            last_revision: self.revision,
            writer: BatchId::nil(),
            at_ms: now_ms(),
            entries: (0..).zip(closing).collect(),
        };
        self.head = batch.head();
        self.append(batch).await?;
        self.drain().await
    }
}

const EMPTY_IT: &str = "empty the target (drop the schema kine_shim, or remove the file) and import again";

fn not_empty(head: Head) -> String {
    format!("the target is not empty: its log has {} batches", head.position.0)
}

/// Until its outcome is known.
async fn append_surely(log: &dyn Log, batch: &Batch) -> Result<()> {
    let started = tokio::time::Instant::now();
    loop {
        let fault = match log.append(batch).await {
            Ok(Appended::Committed) => return Ok(()),
            Ok(Appended::Refused) => bail!("somebody else writes to the target"),
            Err(fault @ LogFault::Unusable(_)) => bail!(fault),
            Err(fault) => fault,
        };
        if started.elapsed() > PATIENCE {
            bail!("{fault}; started again, the import goes on where it stopped");
        }
        say(&format!("the target does not take it yet: {fault}"));
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// The id of the batch with these entries behind that predecessor.
fn chained(prev_id: BatchId, entries: &[(u32, Entry)]) -> BatchId {
    let mut sum = Sha256::new();
    sum.update(prev_id.as_bytes());
    for (_, entry) in entries {
        let Entry { kind, revision, sub_revision, key, value, create_revision, version, lease } = entry;
        let lengths = [key.len() as i64, value.len() as i64];
        let numbers = [*kind as i64, *revision, i64::from(*sub_revision), *create_revision, *version, *lease];
        for number in numbers.into_iter().chain(lengths) {
            sum.update(number.to_le_bytes());
        }
        sum.update(key);
        sum.update(value);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&sum.finalize()[..16]);
    uuid::Builder::from_random_bytes(id).into_uuid()
}

fn now_ms() -> i64 {
    crate::settings::WallClock::default().now_ms()
}
