//! The log: the only durable thing. In go batches evaluated on a named predecessor, out come batches in position order.
//! Three implementations pass one suite: [`postgres`], [`sqlite`], [`memory`]. What the entries mean is not known here
//! (see `state`).

mod clocks;
pub mod endpoint;
mod formats;
pub mod memory;
mod open;
mod page;
pub mod postgres;
pub mod sqlite;
pub mod timed;

use std::time::Duration;

use async_trait::async_trait;

pub use self::{endpoint::Endpoint, open::open};
use crate::model::{Batch, Grant, Head, Position, Revision, RowId, Secret};

/// What an append came to. A lost reply is neither: see [`LogFault::OutcomeUnknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The batch is durable at its position, by this call or by an earlier one with the same id.
    Committed,
    /// It is not in the log and, its position being taken or its predecessor being no more, this call cannot put it
    /// there later. For want of a predecessor it is final once that one's outcome is: resolve pipelined batches in
    /// their order.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    /// Nothing was written and nothing will be (refused by the database: read-only, constraint, not connected before
    /// sending). Speaks for this call alone: after an OutcomeUnknown of the same batch it settles nothing.
    #[error("not applied: {0}")]
    NotApplied(String),
    /// The same, and it was about this very batch (a statement timeout, a full disk, too many bytes): a repetition
    /// would fail likewise.
    #[error("failed: {0}")]
    Failed(String),
    /// The connection broke, a commit wait was cancelled: the write may have happened or may yet.
    /// Resolve by appending the same batch again until it is Committed or Refused (invariant 5).
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
    /// The database is not ours, newer than we are, or damaged: no retry helps.
    #[error("unusable store: {0}")]
    Unusable(String),
}

/// Which database answered: differs after a failover or a restore.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Identity {
    pub system: String,
    pub timeline: u32,
    /// Counts declared incarnations (see EntryKind::Incarnation); from `meta`.
    pub incarnation: u64,
}

/// One statement's view of the end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadIndex {
    pub head: Head,
    /// Of the head batch; 1 for an empty log.
    pub revision: Revision,
    /// Id of the batch at the position the caller named, `None` if there is none (a nil id for position 0, or trimmed
    /// away below `trimmed`).
    pub id_at_applied: Option<crate::model::BatchId>,
    /// Rows at or below this position may be missing; a reader below it loads anew.
    pub trimmed: Position,
    pub identity: Identity,
    /// The server only replays (a standby): no linearizable read may rely on it.
    pub in_recovery: bool,
}

/// A piece of the log, from one statement's view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Contiguous by chain; may end before the head: read on while not empty.
    pub batches: Vec<Batch>,
    /// See [`ReadIndex::trimmed`], from the same view as the batches.
    pub trimmed: Position,
}

/// Answers to a question about renewals.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LeaseClocks {
    /// Names one life of the counts. They do not survive a crash of the database: whoever finds another life knows that
    /// renewals he has not seen may be lost, and gives every lease its full time again.
    pub life: uuid::Uuid,
    /// One for each lease that was asked for.
    pub clocks: Vec<LeaseClock>,
}

/// The row of one grant of a lease in the table of renewals: whatever comes late for an earlier one of that id does not
/// touch it. Absent rows read as (0, false).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LeaseClock {
    pub renewals: i64,
    /// Somebody decided to expire it: no renewal succeeds any more.
    pub expiring: bool,
    /// Since the last renewal or the mark, by the database's clock; `None` without a row. For display only.
    pub age: Option<Duration>,
}

/// A shim as a reader of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    pub id: uuid::Uuid,
    pub applied: Position,
    /// The newest that it knows of: it applies nothing any more that an earlier one confirms.
    pub timeline: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Size {
    pub total_bytes: i64,
    pub in_use_bytes: i64,
}

/// A shim that is alive, as the others of its store should know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub id: u64,
    pub name: String,
    pub client_urls: Vec<String>,
    /// `None`: the others cannot reach it directly.
    pub peer: Option<Peer>,
}

/// How a shim is reached by the others of its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name in the log.
    pub writer: uuid::Uuid,
    /// HOST:PORT.
    pub address: String,
    /// The digest of the certificate that it shows.
    pub certificate: Vec<u8>,
}

/// One moment's view of a whole log. Dropping it ends it.
#[async_trait]
pub trait Snapshot: Send {
    /// See [`ReadIndex::trimmed`], at that moment.
    fn trimmed(&self) -> Position;

    /// The next batches in order, at most about `max_bytes` but at least one; none at the end. Trimmed batches are
    /// absent: positions may skip.
    async fn next(&mut self, max_bytes: usize) -> Result<Vec<Batch>, LogFault>;
}

/// Dropping the future of a read loses nothing; dropping that of an append leaves its outcome unknown.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Appends `batch` if (position - 1, prev_id) is the head. Idempotent by batch id. Calls are sent in the order in
    /// which their futures are first polled, and may be pipelined.
    async fn append(&self, batch: &Batch) -> Result<Appended, LogFault>;

    /// From now on append, trim and mark leases only where this identity's system and timeline answer; anywhere else
    /// these are [`LogFault::NotApplied`]. Else a shim that has not noticed a failover could give revisions out again
    /// that others have lost, or delete rows on the word of a compaction that is no more.
    fn trust(&self, identity: &Identity) {
        let _ = identity;
    }

    /// Batches after `after`, in order, at most about `max_bytes` (but at least one, if there is one).
    async fn read(&self, after: Position, max_bytes: usize) -> Result<Page, LogFault>;

    /// The whole log as it is at one moment, to be read piece by piece while others append and trim.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, LogFault>;

    /// A linearizable look at the end of the log.
    async fn read_index(&self, applied: Position) -> Result<ReadIndex, LogFault>;

    /// Waits until there may be something new (a NOTIFY, an append in this process), and up to where, if that is known.
    /// Only a hint: it may never come.
    async fn changed(&self) -> Option<Position>;

    /// Raises `trimmed` to `floor` and deletes the rows (position, sub), and with them the batches below `floor` that
    /// they leave empty: what a snapshot brings always has its batch. In small transactions, each of which shows the
    /// floor to whoever misses its rows; may be repeated.
    async fn trim(&self, floor: Position, garbage: &[RowId]) -> Result<(), LogFault>;

    /// Says how far a living reader is, and returns what the others have said. Rows that all have applied nobody reads
    /// any more. Whoever is silent for ten seconds no longer counts; a failover forgets all. A log of one process has
    /// one reader.
    async fn report(&self, _reader: &Reader) -> Result<Vec<Reader>, LogFault> {
        Ok(Vec::new())
    }

    /// Counts one renewal of each lease; false for one that is expiring.
    async fn renew(&self, leases: &[Grant]) -> Result<Vec<bool>, LogFault>;
    async fn lease_clocks(&self, leases: &[Grant]) -> Result<LeaseClocks, LogFault>;
    /// Marks each lease expiring if its renewals are still as seen in this life of the counts; true where this call
    /// marked it, so that of many who try one is told to act. A mark is durable: once it is answered, no renewal
    /// succeeds any more, whatever crashes.
    async fn mark_expiring(&self, life: uuid::Uuid, seen: &[(Grant, i64)]) -> Result<Vec<bool>, LogFault>;
    /// Drops the rows of leases that are no more.
    async fn forget_leases(&self, leases: &[Grant]) -> Result<(), LogFault>;
    /// Drops the rows of all grants up to a position but of these.
    async fn forget_leases_but(&self, living: &[Grant], upto: Position) -> Result<(), LogFault>;

    /// Says that `writer` was refused and asks the others to leave room for a moment, or that it no longer asks. A
    /// hint.
    async fn ask_for_room(&self, _writer: uuid::Uuid, _wanted: bool) -> Result<(), LogFault> {
        Ok(())
    }

    /// Whether, by the last append's answer, another writer asks for room. A log of one process has none.
    fn is_room_asked(&self) -> bool {
        false
    }

    /// Says that a shim is alive; returns all that said so lately. A log of one process knows of one.
    async fn meet(&self, member: &Member) -> Result<Vec<Member>, LogFault> {
        Ok(vec![member.clone()])
    }

    /// Says that it is no more, so that nobody waits for its silence. A hint.
    async fn part(&self, _id: u64) -> Result<(), LogFault> {
        Ok(())
    }

    async fn size(&self) -> Result<Size, LogFault>;
    /// Gives space back (etcd's Defragment) without blocking writers for long.
    async fn reclaim(&self) -> Result<(), LogFault>;
}

/// What a batch meets whose position was passed and trimmed away: nothing in the log tells any more whether it was this
/// one.
fn outcome_trimmed(position: Position) -> LogFault {
    LogFault::Unusable(format!(
        "position {} was trimmed before the outcome of its append was known: start anew",
        position.0
    ))
}

impl Options {
    /// What libpq finds in the environment for a URL without a password.
    pub fn learn_password(&mut self, environment: &[(String, String)]) {
        let variable = |wanted: &str| {
            let found = environment.iter().find(|(name, value)| name == wanted && !value.is_empty());
            found.map(|(_, value)| value.as_str())
        };
        self.password = variable("PGPASSWORD").map(Secret::of);
        let in_home = || Some(std::path::PathBuf::from(variable("HOME")?).join(".pgpass"));
        self.password_file = variable("PGPASSFILE").map(Into::into).or_else(in_home);
    }
}

/// What a read index is worth while an old primary may still live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadIndexMode {
    /// A read of the server we are connected to: whatever promotes a standby must fence the old primary.
    #[default]
    Read,
    /// The read rides on a commit: with synchronous replication a deposed primary cannot answer it.
    Commit,
}

/// Whether an embedded store waits until the disk has what it writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    #[default]
    Always,
    /// A crash of the machine may damage the file; one of this program does not.
    Never,
}

/// How to reach and use a database: `fsync` is about SQLite, all else about PostgreSQL.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// CA of the database's certificate, client certificate and its key: libpq's sslrootcert, sslcert, sslkey. The
    /// URL's own win.
    pub ca_file: Option<std::path::PathBuf>,
    pub cert_file: Option<std::path::PathBuf>,
    pub key_file: Option<std::path::PathBuf>,
    /// For a URL without one: libpq's PGPASSWORD.
    pub password: Option<Secret>,
    /// libpq's PGPASSFILE, else .pgpass in the home folder: lines of HOST:PORT:DATABASE:USER:PASSWORD.
    pub password_file: Option<std::path::PathBuf>,
    pub read_index: ReadIndexMode,
    pub fsync: Fsync,
}
