//! The log in PostgreSQL. Five connections, each for one purpose, so that none waits for another: appends; reads and fences;
//! renewals and hints; what may take long (trimming, giving space back); listening. Everything is one statement a round trip, unnamed, without session state, so
//! that poolers in transaction mode work. SQL stands in this folder and nowhere else.

mod append;
mod clock;
mod hints;
mod link;
mod members;
mod read;
mod schema;
mod space;
mod trust;
mod url;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_postgres::error::{Error, Severity, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use self::append::Appender;
use self::hints::Hints;
use self::link::Link;
use self::trust::Trust;
use self::url::Connector;
use super::{Appended, Fence, Identity, LeaseClock, Log, LogFault, Member, Options, Page, Size, page};
use crate::model::{Batch, Grant, Position};

/// No read of ours takes this long on a server that is alive.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

pub struct PostgresLog {
    appender: Appender,
    reads: Link,
    /// Renewals, hints out, and freeing stuck positions.
    chores: std::sync::Arc<Link>,
    /// Trimming and giving space back: clients that renew their leases must not wait for these.
    space: Link,
    hints: Hints,
    /// Of the chores and of space; the appender has its own.
    trust: Trust,
    space_trust: Trust,
    fence: super::FenceMode,
}

impl PostgresLog {
    /// Connects, creates or migrates the schema, and starts the connections. `NotApplied` when the database cannot be
    /// reached now, `Unusable` when trying again would not help.
    pub async fn open(url: &str, options: &Options) -> Result<Self, LogFault> {
        let connector = Connector::new(url, options)?;
        let (mut client, connection) =
            connector.config.connect(connector.tls.clone()).await.map_err(|error| refused_connection(&error))?;
        let driver = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
        if !schema::check_settings(&client).await?.fsync {
            tracing::warn!("fsync is off: a crash of the database's machine loses acknowledged writes");
        }
        schema::migrate(&mut client).await?;
        drop((client, driver));

        let chores = std::sync::Arc::new(Link::open("chores", connector.clone()));
        let trust = Trust::new();
        let space_trust = trust.shared();
        let space = Link::open("space", connector.clone());
        let hints = Hints::open(connector.clone(), chores.clone());
        let appender = Appender::new(Link::open("append", connector.clone()), chores.clone(), trust.shared());
        let reads = Link::open("read", connector);
        Ok(Self { appender, reads, chores, space, hints, trust, space_trust, fence: options.fence })
    }
}

/// A connection to a database that is not ours, for an import from it: nothing is checked or created there.
pub(crate) async fn connect_elsewhere(url: &str, options: &Options) -> Result<(Client, Driver), LogFault> {
    let connector = Connector::new(url, options)?;
    let connecting = connector.config.connect(connector.tls.clone());
    let (client, connection) = connecting.await.map_err(|error| refused_connection(&error))?;
    Ok((client, tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection))))
}

/// Works for a client as long as it is held.
pub(crate) type Driver = tokio_util::task::AbortOnDropHandle<Result<(), Error>>;

/// An error with its cause: tokio-postgres' own text is only "db error".
fn describe(error: &Error) -> String {
    let mut text = match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    };
    let mut source = std::error::Error::source(error).filter(|_| error.as_db_error().is_none());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// For statements whose repetition is harmless: whatever happened, the caller may say that nothing was written.
fn unsent(error: &Error) -> LogFault {
    match error.code() {
        Some(code) if gone(code) => {
            LogFault::Unusable(format!("the tables of kine_shim are gone: {}", describe(error)))
        }
        _ => LogFault::NotApplied(describe(error)),
    }
}

fn gone(code: &SqlState) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_COLUMN].contains(code)
}

/// A wrong password or database name does not mend itself; a server that starts or stops does.
fn refused_connection(error: &Error) -> LogFault {
    let class = error.code().map(|code| &code.code()[..2]);
    match class {
        Some("28" | "3D" | "42") => LogFault::Unusable(describe(error)),
        _ => LogFault::NotApplied(describe(error)),
    }
}

/// What an append's error says about the append: an ERROR aborts it, all else leaves it open (a statement timeout or a
/// cancellation is an ERROR too, but may have hit the wait after the commit).
fn append_fault(error: &Error) -> LogFault {
    let text = describe(error);
    let Some(db) = error.as_db_error() else { return LogFault::OutcomeUnknown(text) };
    let aborted =
        db.parsed_severity() == Some(Severity::Error) && !matches!(&db.code().code()[..2], "08" | "57" | "58" | "XX");
    match aborted {
        true if gone(db.code()) => LogFault::Unusable(text),
        true => LogFault::NotApplied(text),
        false => LogFault::OutcomeUnknown(text),
    }
}

/// One repeatable statement within [`ANSWER_WITHIN`].
async fn query(client: &Client, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, LogFault> {
    match timeout(ANSWER_WITHIN, client.query_typed(statement, parameters)).await {
        Ok(answer) => answer.map_err(|error| unsent(&error)),
        Err(_) => Err(LogFault::NotApplied("the database does not answer".into())),
    }
}

/// Positions and counts are below 2^63 wherever they came from a database.
fn as_i64(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

fn as_position(number: i64) -> Position {
    Position(u64::try_from(number).unwrap_or(0))
}

#[async_trait]
impl Log for PostgresLog {
    async fn append(&self, batch: &Batch) -> Result<Appended, LogFault> {
        let appended = self.appender.append(batch).await?;
        if appended == Appended::Committed {
            self.hints.announce();
        }
        Ok(appended)
    }

    fn trust(&self, identity: &Identity) {
        self.trust.set(identity);
    }

    async fn read(&self, after: Position, max_bytes: usize) -> Result<Page, LogFault> {
        let page = read::page(&self.reads.session().await?.client, after, max_bytes).await?;
        let batches = page::contiguous(after, page.trimmed, page.batches)?;
        Ok(Page { batches, trimmed: page.trimmed })
    }

    async fn load(&self, after: Position, max_bytes: usize) -> Result<Page, LogFault> {
        read::page(&self.reads.session().await?.client, after, max_bytes).await
    }

    async fn fence(&self, applied: Position) -> Result<Fence, LogFault> {
        read::fence(&self.reads.session().await?.client, applied, self.fence).await
    }

    async fn ask_turn(&self, writer: uuid::Uuid, wanted: bool) -> Result<(), LogFault> {
        self.appender.ask_turn(writer, wanted).await
    }

    fn is_turn_asked(&self) -> bool {
        self.appender.is_turn_asked()
    }

    async fn changed(&self) {
        self.hints.changed().await;
    }

    async fn trim(&self, floor: Position, garbage: &[(Position, u32)]) -> Result<(), LogFault> {
        let trimmed = space::trim(&self.space, &self.space_trust, floor, garbage).await;
        // Whatever went wrong: the next try looks first who answers.
        trimmed.inspect_err(|_| self.space_trust.doubt())
    }

    async fn renew(&self, leases: &[Grant]) -> Result<Vec<bool>, LogFault> {
        clock::renew(&self.chores.session().await?.client, leases).await
    }

    async fn lease_clocks(&self, leases: &[Grant]) -> Result<Vec<LeaseClock>, LogFault> {
        clock::get(&self.chores.session().await?.client, leases).await
    }

    async fn mark_expiring(&self, seen: &[(Grant, i64)]) -> Result<Vec<bool>, LogFault> {
        let session = self.chores.session().await?;
        let run = self.trust.run(&session).await?;
        clock::mark_expiring(&session.client, run, seen).await.inspect_err(|_| self.trust.doubt())
    }

    async fn forget_leases(&self, leases: &[Grant]) -> Result<(), LogFault> {
        clock::forget(&self.chores.session().await?.client, leases).await
    }

    async fn meet(&self, member: &Member) -> Result<Vec<Member>, LogFault> {
        members::meet(&self.chores.session().await?.client, member).await
    }

    async fn part(&self, id: u64) -> Result<(), LogFault> {
        members::part(&self.chores.session().await?.client, id).await
    }

    async fn size(&self) -> Result<Size, LogFault> {
        space::size(&self.chores.session().await?.client).await
    }

    async fn reclaim(&self) -> Result<(), LogFault> {
        space::reclaim(&self.space.session().await?.client).await
    }
}
