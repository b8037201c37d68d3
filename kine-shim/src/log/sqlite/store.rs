//! The SQLite file itself: opening it, its migrations, and every statement. Blocking; knows no channels and no async.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use crate::{
    log::{Appended, Fsync, Identity, LogFault, Page, ReadIndex, Size, formats, page},
    model::{Batch, BatchId, Entry, EntryKind, Head, Position, RowId},
};

/// In order; the n-th makes schema version n + 1.
const MIGRATIONS: &[&str] = &[include_str!("../../../../migrations/sqlite/0001_log.sql")];
/// "kshm" in the file's header: what tells our files from other programs'.
const APPLICATION_ID: i32 = 0x6b73_686d;
/// A predecessor that is just gone may still hold the file for a moment.
const BUSY_WITHIN: Duration = Duration::from_millis(200);
/// A row's place is position << 24 | sub.
const SUB_BITS: u32 = 24;

const INSERT_ROW: &str = "INSERT INTO log \
    (place, kind, revision, sub_revision, create_revision, version, lease, key, value) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

pub(super) struct Store {
    connection: Connection,
    /// Since the file was opened: this process is the only one that trims.
    trims: u64,
}

fn place(position: Position, sub: u32) -> Option<i64> {
    let fits = position.0 < 1 << (63 - SUB_BITS) && sub < 1 << SUB_BITS;
    fits.then(|| ((position.0 << SUB_BITS) | u64::from(sub)).cast_signed())
}

/// Positions in the file fit (see [`place`]); others are beyond every row.
fn number(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

fn position(number: i64) -> Position {
    Position(number.cast_unsigned())
}

fn fault(error: rusqlite::Error) -> LogFault {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            LogFault::Unusable(format!("the SQLite file is damaged or not one: {error}"))
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            LogFault::Unusable("the SQLite file is in use by another process".into())
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            LogFault::Unusable(format!("the SQLite file cannot be written: {error}"))
        }
        // What it holds does not fit.
        Some(ErrorCode::DiskFull | ErrorCode::TooBig | ErrorCode::OutOfMemory) => LogFault::Failed(error.to_string()),
        _ => LogFault::NotApplied(error.to_string()),
    }
}

fn named(file: &Path, fault: LogFault) -> LogFault {
    match fault {
        LogFault::Unusable(text) => LogFault::Unusable(format!("{}: {text}", file.display())),
        other => other,
    }
}

impl Store {
    pub(super) fn open(file: &Path, fsync: Fsync) -> Result<Self, LogFault> {
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let create = std::fs::create_dir_all(folder);
            create.map_err(|error| LogFault::Unusable(format!("cannot create {}: {error}", folder.display())))?;
        }
        Self::open_in(file, fsync).map_err(|fault| named(file, fault))
    }

    fn open_in(file: &Path, fsync: Fsync) -> Result<Self, LogFault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).map_err(fault)?;
        connection.busy_timeout(BUSY_WITHIN).map_err(fault)?;
        // Before anything is read: an exclusive owner needs no shared memory beside the file, and nobody else gets in.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(fault)?;
        let mut store = Self { connection, trims: 0 };
        let version = store.look()?;
        if store.connection.is_readonly("main").map_err(fault)? {
            return Err(LogFault::Unusable("the SQLite file is read-only".into()));
        }
        if version == 0 {
            store.connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(fault)?;
        }
        let mode: String =
            store.connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(fault)?;
        if mode != "wal" {
            return Err(LogFault::Unusable(format!("no write-ahead log (journal_mode {mode})")));
        }
        let synchronous = match fsync {
            Fsync::Always => "FULL",
            Fsync::Never => "OFF",
        };
        store.connection.pragma_update(None, "synchronous", synchronous).map_err(fault)?;
        store.connection.pragma_update(None, "journal_size_limit", 64 << 20).map_err(fault)?;
        store.migrate(version)?;
        Ok(store)
    }

    /// The schema version found, 0 for a new file. Changes nothing, so that a foreign file stays as it is.
    fn look(&self) -> Result<usize, LogFault> {
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(fault);
        let count = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = self.connection.query_row(count, [], |row| row.get(0)).map_err(fault)?;
        match (pragma("application_id")?, tables) {
            (0, 0) => return Ok(0),
            (APPLICATION_ID, 0) => return Err(LogFault::Unusable("the store is damaged: no tables".into())),
            (APPLICATION_ID, _) => {}
            _ => return Err(LogFault::Unusable("a SQLite file of another program".into())),
        }
        let versions = "SELECT schema_version, reader_format, writer_format FROM meta";
        let row = |row: &Row<'_>| Ok((row.get::<_, i32>(0)?, row.get(1)?, row.get(2)?));
        let (version, reader, writer) = self
            .connection
            .query_row(versions, [], row)
            .map_err(|error| LogFault::Unusable(format!("the store is damaged: {error}")))?;
        formats::check(reader, writer)?;
        Ok(usize::try_from(version).unwrap_or(0))
    }

    fn migrate(&mut self, version: usize) -> Result<(), LogFault> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(fault)?;
        for (done, migration) in MIGRATIONS.iter().enumerate().skip(version) {
            transaction.execute_batch(migration).map_err(fault)?;
            transaction.execute("UPDATE meta SET schema_version = ?1", [done as i64 + 1]).map_err(fault)?;
        }
        if version == 0 {
            transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fault)?;
        }
        transaction.commit().map_err(fault)
    }

    /// Appends what follows the chain, all in one transaction. When that fails, nothing of it stays or nothing is
    /// known.
    pub(super) fn append(&mut self, batches: &[Batch]) -> Vec<Result<Appended, LogFault>> {
        // A file that cannot be written just now may be so again.
        let whole = |fault: LogFault| {
            let fault = match fault {
                LogFault::Unusable(text) => LogFault::Failed(text),
                other => other,
            };
            batches.iter().map(|_| Err(fault.clone())).collect()
        };
        let transaction = match self.connection.transaction_with_behavior(TransactionBehavior::Immediate) {
            Ok(transaction) => transaction,
            Err(error) => return whole(fault(error)),
        };
        let mut outcomes = Vec::with_capacity(batches.len());
        for batch in batches {
            match append(&transaction, batch) {
                Ok(outcome) => outcomes.push(outcome),
                // Dropping the transaction rolls it back.
                Err(error) => return whole(fault(error)),
            }
        }
        match transaction.commit() {
            Ok(()) => outcomes,
            // What did not commit was rolled back: nobody else writes to the file.
            Err(error) => whole(fault(error)),
        }
    }

    pub(super) fn page(&mut self, after: Position, max_bytes: usize) -> Result<Page, LogFault> {
        let trimmed = self.trimmed()?;
        let mut batches = self.batches(after, max_bytes).map_err(fault)?;
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Ok(Page { batches, trimmed });
        };
        let (from, to) = (place(first.position, 0), place(last.position, (1 << SUB_BITS) - 1));
        let rows = "SELECT place, kind, revision, sub_revision, create_revision, version, lease, key, value \
                    FROM log WHERE place BETWEEN ?1 AND ?2 ORDER BY place";
        let mut statement = self.connection.prepare_cached(rows).map_err(fault)?;
        let mut rows = statement.query(params![from, to]).map_err(fault)?;
        let mut at = 0;
        while let Some(row) = rows.next().map_err(fault)? {
            let place: i64 = row.get(0).map_err(fault)?;
            let (owner, sub) = (position(place >> SUB_BITS), (place & ((1 << SUB_BITS) - 1)) as u32);
            while batches.get(at).is_some_and(|batch| batch.position < owner) {
                at += 1;
            }
            let batch = batches.get_mut(at).filter(|batch| batch.position == owner);
            let orphan = || LogFault::Unusable(format!("the store is damaged: rows without batch {}", owner.0));
            let entry = entry(row)?;
            batch.ok_or_else(orphan)?.entries.push((sub, entry));
        }
        Ok(Page { batches, trimmed })
    }

    /// The batches of a page, without their entries.
    fn batches(&self, after: Position, max_bytes: usize) -> rusqlite::Result<Vec<Batch>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT position, id, prev_id, first_revision, last_revision, writer, at_ms, bytes \
             FROM batch WHERE position > ?1 ORDER BY position",
        )?;
        let mut rows = statement.query([number(after)])?;
        let (mut batches, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            batches.push(Batch {
                position: position(row.get(0)?),
                id: uuid(row, 1)?,
                prev_id: uuid(row, 2)?,
                first_revision: row.get(3)?,
                last_revision: row.get(4)?,
                writer: uuid(row, 5)?,
                at_ms: row.get(6)?,
                entries: Vec::new(),
            });
            bytes += usize::try_from(row.get::<_, i64>(7)?).unwrap_or(0);
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(batches)
    }

    pub(super) fn trims(&self) -> u64 {
        self.trims
    }

    pub(super) fn trimmed(&self) -> Result<Position, LogFault> {
        self.connection.query_row("SELECT trimmed FROM meta", [], |row| row.get(0)).map(position).map_err(fault)
    }

    pub(super) fn read_index(&mut self, applied: Position) -> Result<ReadIndex, LogFault> {
        let trimmed = self.trimmed()?;
        let meta = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?));
        let (system, incarnation) =
            self.connection.query_row("SELECT system, incarnation FROM meta", [], meta).map_err(fault)?;
        let head = "SELECT position, id, last_revision FROM batch ORDER BY position DESC LIMIT 1";
        let row = |row: &Row<'_>| Ok((Head { position: position(row.get(0)?), id: uuid(row, 1)? }, row.get(2)?));
        let (head, revision) = self.connection.query_row(head, [], row).map_err(fault)?;
        let id_at_applied = match applied {
            Position(0) => Some(BatchId::nil()),
            _ => id_at(&self.connection, applied).map_err(fault)?,
        };
        let identity = Identity { system, timeline: 1, incarnation: incarnation.cast_unsigned() };
        Ok(ReadIndex { head, revision, id_at_applied, trimmed, identity, in_recovery: false })
    }

    /// Raises the floor, deletes rows, and the batches below the floor that are empty then, all in one transaction.
    pub(super) fn trim(&mut self, floor: Position, rows: &[RowId]) -> Result<(), LogFault> {
        self.trims += 1;
        // A batch at the last floor may have been emptied then; it was kept because it was not below.
        let last_floor = self.trimmed()?;
        let mut delete = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                transaction.execute("UPDATE meta SET trimmed = ?1 WHERE trimmed < ?1", [number(floor)])?;
                let mut row = transaction.prepare_cached("DELETE FROM log WHERE place = ?1")?;
                let mut batch = transaction.prepare_cached(
                    "DELETE FROM batch WHERE position = ?1 AND position < ?2 \
                     AND NOT EXISTS (SELECT 1 FROM log WHERE place BETWEEN ?3 AND ?4)",
                )?;
                for (position, sub) in rows {
                    row.execute([place(*position, *sub)])?;
                }
                for position in rows.iter().map(|(position, _)| *position).chain([last_floor]) {
                    let (first, last) = (place(position, 0), place(position, (1 << SUB_BITS) - 1));
                    batch.execute(params![number(position), number(floor), first, last])?;
                }
            }
            transaction.commit()
        };
        delete().map_err(fault)
    }

    pub(super) fn size(&mut self) -> Result<Size, LogFault> {
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(fault);
        let (pages, free, bytes) = (pragma("page_count")?, pragma("freelist_count")?, pragma("page_size")?);
        Ok(Size { total_bytes: pages * bytes, in_use_bytes: (pages - free) * bytes })
    }

    /// Gives back up to so many pages; false when there is nothing more to give.
    pub(super) fn reclaim(&mut self, pages: u32) -> Result<bool, LogFault> {
        let free = |store: &Self| {
            store.connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0)).map_err(fault)
        };
        let before = free(self)?;
        // A page a row: whoever does not read on frees one page.
        let mut vacuum = self.connection.prepare(&format!("PRAGMA incremental_vacuum({pages})")).map_err(fault)?;
        let mut freed = vacuum.query([]).map_err(fault)?;
        while freed.next().map_err(fault)?.is_some() {}
        drop(freed);
        drop(vacuum);
        let after = free(self)?;
        if after == 0 || after >= before {
            self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(fault)?;
            return Ok(false);
        }
        Ok(true)
    }
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}

fn id_at(connection: &Connection, position: Position) -> rusqlite::Result<Option<BatchId>> {
    let mut statement = connection.prepare_cached("SELECT id FROM batch WHERE position = ?1")?;
    statement.query_row([number(position)], |row| uuid(row, 0)).optional()
}

/// One batch inside the caller's transaction. The outer error undoes all of it, the inner one is this batch's alone.
fn append(connection: &Connection, batch: &Batch) -> rusqlite::Result<Result<Appended, LogFault>> {
    let places: Option<Vec<i64>> = batch.entries.iter().map(|(sub, _)| place(batch.position, *sub)).collect();
    let (Some(places), 1..) = (places, batch.position.0) else {
        return Ok(Err(LogFault::NotApplied(format!("no place for position {}", batch.position.0))));
    };
    match id_at(connection, batch.position)? {
        Some(id) if id == batch.id => return Ok(Ok(Appended::Committed)),
        Some(_) => return Ok(Ok(Appended::Refused)),
        None => {}
    }
    let head: i64 = connection.query_row("SELECT max(position) FROM batch", [], |row| row.get(0))?;
    if position(head) >= batch.position {
        return Ok(Err(crate::log::outcome_trimmed(batch.position)));
    }
    if id_at(connection, Position(batch.position.0 - 1))? != Some(batch.prev_id) {
        return Ok(Ok(Appended::Refused));
    }
    let mut claim = connection.prepare_cached("INSERT INTO batch VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    claim.execute(params![
        number(batch.position),
        batch.id.as_bytes(),
        batch.prev_id.as_bytes(),
        batch.first_revision,
        batch.last_revision,
        batch.writer.as_bytes(),
        batch.at_ms,
        i64::try_from(page::batch_bytes(batch)).unwrap_or(i64::MAX),
    ])?;
    let mut row = connection.prepare_cached(INSERT_ROW)?;
    for ((_, entry), place) in batch.entries.iter().zip(places) {
        row.execute(params![
            place,
            entry.kind as i16,
            entry.revision,
            entry.sub_revision,
            entry.create_revision,
            entry.version,
            entry.lease,
            entry.key.as_ref(),
            entry.value.as_ref(),
        ])?;
    }
    if batch.entries.iter().any(|(_, entry)| entry.kind == EntryKind::Incarnation) {
        connection.execute("UPDATE meta SET incarnation = incarnation + 1", [])?;
    }
    Ok(Ok(Appended::Committed))
}

fn entry(row: &Row<'_>) -> Result<Entry, LogFault> {
    let kind = row.get::<_, i16>(1).map_err(fault)?;
    let kind = EntryKind::try_from(kind)
        .map_err(|kind| LogFault::Unusable(format!("the log holds an entry of the unknown kind {kind}")))?;
    let read = || -> rusqlite::Result<Entry> {
        Ok(Entry {
            kind,
            revision: row.get(2)?,
            sub_revision: row.get(3)?,
            create_revision: row.get(4)?,
            version: row.get(5)?,
            lease: row.get(6)?,
            key: Bytes::copy_from_slice(row.get_ref(7)?.as_blob()?),
            value: Bytes::copy_from_slice(row.get_ref(8)?.as_blob()?),
        })
    };
    read().map_err(fault)
}
