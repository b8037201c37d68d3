//! The schema's versions and the server's settings: what must hold before a byte is read or written. Migrations are
//! numbered files, applied under a lock in one transaction, so that many programs may start at once.

use tokio_postgres::{Client, GenericClient, error::SqlState};

use super::query::describe;
use crate::log::{LogFault, formats};

/// In order; the n-th makes schema version n + 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/postgres/0001_log.sql"),
    include_str!("../../../../migrations/postgres/0002_trust.sql"),
    include_str!("../../../../migrations/postgres/0003_fence.sql"),
    include_str!("../../../../migrations/postgres/0004_member.sql"),
    include_str!("../../../../migrations/postgres/0005_space.sql"),
    include_str!("../../../../migrations/postgres/0006_lease_clock.sql"),
    include_str!("../../../../migrations/postgres/0007_trim.sql"),
    include_str!("../../../../migrations/postgres/0008_lease_mark.sql"),
    include_str!("../../../../migrations/postgres/0009_peer.sql"),
];
/// "kineshim".
const MIGRATION_LOCK: i64 = 0x6b69_6e65_7368_696d;
const SERVER_VERSION_MIN: i32 = 130_000;

/// What is worth telling, though it is the operator's to choose.
pub(super) struct Settings {
    pub(super) fsync: bool,
    /// As the server shows it; "0" sets no limit.
    pub(super) statement_timeout: String,
}

/// Refuses a server that would break a promise: an asynchronous commit is no commit, the append's statement is reasoned
/// for READ COMMITTED, and that a commit did not reach its standby is told by a warning.
pub(super) async fn check_settings(client: &Client) -> Result<Settings, LogFault> {
    let settings = "SELECT current_setting('server_version_num')::int4, current_setting('synchronous_commit'), \
                    current_setting('transaction_isolation'), current_setting('fsync'), \
                    current_setting('client_min_messages'), current_setting('statement_timeout')";
    let row = client.query_typed_one(settings, &[]).await.map_err(|e| super::query::unsent(&e))?;
    let (version, commit, isolation, fsync): (i32, &str, &str, &str) = (row.get(0), row.get(1), row.get(2), row.get(3));
    if version < SERVER_VERSION_MIN {
        let (major, least) = (version / 10_000, SERVER_VERSION_MIN / 10_000);
        return Err(LogFault::Unusable(format!("PostgreSQL {major} is too old: {least} or newer is needed")));
    }
    if commit == "off" {
        let remedy = "ALTER ROLE … SET synchronous_commit = on";
        return Err(LogFault::Unusable(format!("synchronous_commit is off, so a commit is not durable: {remedy}")));
    }
    if isolation != "read committed" {
        let remedy = "ALTER ROLE … SET default_transaction_isolation = 'read committed'";
        return Err(LogFault::Unusable(format!("transactions are {isolation} by default: {remedy}")));
    }
    let (messages, statement_timeout): (&str, &str) = (row.get(4), row.get(5));
    if ["error", "fatal", "panic"].contains(&messages) {
        let remedy = "ALTER ROLE … SET client_min_messages = notice";
        return Err(LogFault::Unusable(format!("client_min_messages is {messages}, which hides warnings: {remedy}")));
    }
    Ok(Settings { fsync: fsync != "off", statement_timeout: statement_timeout.to_owned() })
}

/// What stands in the database.
enum Found {
    Nothing,
    Ours { version: i32 },
}

/// Brings the schema up to date, or says why this program must not touch it.
pub(super) async fn migrate(client: &mut Client) -> Result<(), LogFault> {
    let newest = MIGRATIONS.len() as i32;
    match look(client).await? {
        Found::Ours { version } if version >= newest => return Ok(()),
        _ => {}
    }
    let transaction = client.transaction().await.map_err(|e| migration_fault(&e))?;
    let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
    transaction.batch_execute(&lock).await.map_err(|e| migration_fault(&e))?;
    let version = match look(&transaction).await? {
        Found::Ours { version } => version,
        Found::Nothing => {
            let create = "CREATE SCHEMA IF NOT EXISTS kine_shim";
            transaction.batch_execute(create).await.map_err(|e| migration_fault(&e))?;
            0
        }
    };
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.batch_execute(migration).await.map_err(|e| migration_fault(&e))?;
        let record = format!("UPDATE kine_shim.meta SET schema_version = {}", done + 1);
        transaction.batch_execute(&record).await.map_err(|e| migration_fault(&e))?;
        tracing::info!(version = done + 1, "database schema migrated");
    }
    transaction.commit().await.map_err(|e| migration_fault(&e))
}

fn migration_fault(error: &tokio_postgres::Error) -> LogFault {
    match error.code() {
        Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            LogFault::Unusable("the schema kine_shim must be created or migrated, but the database is read-only".into())
        }
        Some(_) => LogFault::Unusable(format!("cannot create or migrate the schema kine_shim: {}", describe(error))),
        None => super::query::unsent(error),
    }
}

async fn look<C: GenericClient>(client: &C) -> Result<Found, LogFault> {
    let tables = "SELECT to_regclass('kine_shim.meta') IS NOT NULL, \
                  (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('kine_shim'))";
    let rows = client.query_typed(tables, &[]).await.map_err(|e| super::query::unsent(&e))?;
    let (meta, relations) = rows.first().map_or((false, 0), |row| (row.get::<_, bool>(0), row.get::<_, i64>(1)));
    if !meta && relations == 0 {
        return Ok(Found::Nothing);
    }
    let foreign = || LogFault::Unusable("the schema kine_shim exists, but it is not of this program".into());
    if !meta {
        return Err(foreign());
    }
    let versions = "SELECT application, schema_version, reader_format, writer_format FROM kine_shim.meta";
    let rows = client.query_typed(versions, &[]).await.map_err(|error| match error.code() {
        Some(code) if *code == SqlState::UNDEFINED_COLUMN => foreign(),
        Some(_) => LogFault::Unusable(format!("cannot read kine_shim.meta: {}", describe(&error))),
        None => super::query::unsent(&error),
    })?;
    let row = rows.first().ok_or_else(|| LogFault::Unusable("kine_shim.meta is empty: the store is damaged".into()))?;
    let column = |_| foreign();
    if row.try_get::<_, &str>(0).map_err(column)? != "kine-shim" {
        return Err(foreign());
    }
    let version: i32 = row.try_get(1).map_err(column)?;
    formats::check(row.try_get(2).map_err(column)?, row.try_get(3).map_err(column)?)?;
    Ok(Found::Ours { version })
}
