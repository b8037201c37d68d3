//! The log in PostgreSQL. Five connections, each for one purpose, so that none waits for another: appends; reads and
//! read indexes; renewals and hints; what may take long (trimming, giving space back); listening. Everything is one
//! statement a round trip, unnamed, without session state, so that poolers in transaction mode work. SQL stands in this
//! folder and nowhere else.

mod append;
mod clock;
mod hints;
mod link;
mod members;
mod password;
mod query;
mod read;
mod readers;
mod schema;
mod snapshot;
mod space;
mod trust;
mod url;

use async_trait::async_trait;
use tokio_postgres::Client;

use self::{append::Appender, hints::Hints, link::Link, query::refused_connection, trust::Trust, url::Connector};
use super::{
    Appended, Identity, LeaseClocks, Log, LogFault, Member, Options, Page, ReadIndex, Reader, Size, Snapshot, page,
};
use crate::model::{Batch, Grant, Position, RowId};

pub(crate) use self::{query::Driver, url::shown};

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
    read_index: super::ReadIndexMode,
    /// For loads, which take a connection of their own.
    connector: Connector,
}

impl PostgresLog {
    /// Connects, creates or migrates the schema, and starts the connections. `NotApplied` when the database cannot be
    /// reached now, `Unusable` when trying again would not help.
    pub async fn open(url: &str, options: &Options) -> Result<Self, LogFault> {
        let connector = Connector::new(url, options)?;
        let connecting = connector.config.connect(connector.tls.clone()).await;
        let connecting = match connecting {
            Err(error) if connector.is_missing_default(&error) => {
                connector.create_database().await?;
                connector.config.connect(connector.tls.clone()).await
            }
            other => other,
        };
        let (mut client, connection) = connecting.map_err(|error| refused_connection(&error))?;
        let driver = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
        let settings = schema::check_settings(&client).await?;
        if !settings.fsync {
            tracing::warn!("fsync is off: a crash of the database's machine loses acknowledged writes");
        }
        if settings.statement_timeout != "0" {
            tracing::warn!(
                statement_timeout = settings.statement_timeout,
                "writes that take longer fail: ALTER ROLE … SET statement_timeout = 0"
            );
        }
        schema::migrate(&mut client).await?;
        drop((client, driver));

        let chores = std::sync::Arc::new(Link::open("chores", connector.clone()));
        let trust = Trust::new();
        let space_trust = trust.shared();
        let space = Link::open("space", connector.clone());
        let hints = Hints::open(connector.clone(), chores.clone());
        let appender = Appender::new(Link::open("append", connector.clone()), chores.clone(), trust.shared());
        let reads = Link::open("read", connector.clone());
        Ok(Self {
            appender,
            reads,
            chores,
            space,
            hints,
            trust,
            space_trust,
            read_index: options.read_index,
            connector,
        })
    }
}

/// A connection to a database that is not ours, for an import from it: nothing is checked or created there.
pub(crate) async fn connect_elsewhere(url: &str, options: &Options) -> Result<(Client, Driver), LogFault> {
    let connector = Connector::new(url, options)?;
    let connecting = connector.config.connect(connector.tls.clone());
    let (client, connection) = connecting.await.map_err(|error| refused_connection(&error))?;
    Ok((client, tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection))))
}

#[async_trait]
impl Log for PostgresLog {
    async fn append(&self, batch: &Batch) -> Result<Appended, LogFault> {
        let appended = self.appender.append(batch).await?;
        if appended == Appended::Committed {
            self.hints.announce(batch.position);
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

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, LogFault> {
        Ok(Box::new(snapshot::PostgresSnapshot::open(&self.connector).await?))
    }

    async fn read_index(&self, applied: Position) -> Result<ReadIndex, LogFault> {
        read::read_index(&self.reads.session().await?.client, applied, self.read_index).await
    }

    async fn ask_for_room(&self, writer: uuid::Uuid, wanted: bool) -> Result<(), LogFault> {
        self.appender.ask_for_room(writer, wanted).await
    }

    fn is_room_asked(&self) -> bool {
        self.appender.is_room_asked()
    }

    async fn changed(&self) -> Option<Position> {
        self.hints.changed().await
    }

    async fn trim(&self, floor: Position, garbage: &[RowId]) -> Result<(), LogFault> {
        let trimmed = space::trim(&self.space, &self.space_trust, floor, garbage).await;
        // Whatever went wrong: the next try looks first who answers.
        trimmed.inspect_err(|_| self.space_trust.doubt())
    }

    async fn report(&self, reader: &Reader) -> Result<Vec<Reader>, LogFault> {
        readers::report(&self.chores.session().await?.client, reader).await
    }

    async fn renew(&self, leases: &[Grant]) -> Result<Vec<bool>, LogFault> {
        clock::renew(&self.chores.session().await?.client, leases).await
    }

    async fn lease_clocks(&self, leases: &[Grant]) -> Result<LeaseClocks, LogFault> {
        clock::get(&self.chores.session().await?.client, leases).await
    }

    async fn mark_expiring(&self, life: uuid::Uuid, seen: &[(Grant, i64)]) -> Result<Vec<bool>, LogFault> {
        let session = self.chores.session().await?;
        let run = self.trust.run(&session).await?;
        clock::mark_expiring(&session.client, run, life, seen).await.inspect_err(|_| self.trust.doubt())
    }

    async fn forget_leases(&self, leases: &[Grant]) -> Result<(), LogFault> {
        clock::forget(&self.chores.session().await?.client, leases).await
    }

    async fn forget_leases_but(&self, living: &[Grant], upto: Position) -> Result<(), LogFault> {
        clock::forget_but(&self.chores.session().await?.client, living, upto).await
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
