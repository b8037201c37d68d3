//! kine's table in a SQLite file, as it is at one moment: everything is read in one transaction. The file is only read.

use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, Row as SqlRow, types::ValueRef};

use super::convert::{Converter, Facts, Row, put};
use crate::migrate::source::{End, Feed};

/// The newest id, and what is compacted.
const FACTS: &str = "SELECT coalesce(max(id), 0), \
    coalesce(max(prev_revision) FILTER (WHERE name = 'compact_rev_key'), 0) FROM kine";

/// What kine's own compaction would have deleted, and did not, is left out.
const ROWS: &str = "SELECT id, name, coalesce(created, 0), coalesce(deleted, 0), coalesce(create_revision, 0), \
        coalesce(lease, 0), value \
    FROM kine AS kv \
    WHERE id > ?1 OR deleted = 0 AND NOT EXISTS (SELECT 1 FROM kine AS kp \
        WHERE kp.prev_revision = kv.id AND kp.id <= ?1 AND kp.name <> 'compact_rev_key') \
    ORDER BY id";

pub(super) struct Table {
    connection: Connection,
    pub(super) facts: Facts,
}

impl Table {
    pub(super) fn open(file: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.execute_batch("BEGIN")?;
        let facts = connection.query_row(FACTS, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (revision, compacted) = facts.context("cannot read the table kine")?;
        Ok(Self { connection, facts: Facts::new(revision, compacted)? })
    }

    /// Blocking.
    pub(super) fn run(self, mut feed: Feed) {
        let runtime = tokio::runtime::Handle::current();
        if let Some(end) = self.feed_all(&mut feed, &runtime).transpose() {
            // Nobody is left to be told otherwise.
            let _ = runtime.block_on(feed.end(end));
        }
    }

    /// `None`: nobody wants more.
    fn feed_all(&self, feed: &mut Feed, runtime: &tokio::runtime::Handle) -> Result<Option<End>> {
        let mut converter = Converter::new(self.facts);
        let mut statement = self.connection.prepare(ROWS)?;
        let mut rows = statement.query([self.facts.compacted])?;
        while let Some(row) = rows.next().context("the table kine broke off")? {
            let entries = converter.convert(parsed(row)?)?;
            if !runtime.block_on(put(feed, entries)) {
                return Ok(None);
            }
        }
        Ok(Some(converter.end()))
    }
}

fn parsed(row: &SqlRow<'_>) -> Result<Row> {
    let bytes = |column| {
        Ok::<_, rusqlite::Error>(match row.get_ref(column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Bytes::copy_from_slice(bytes),
            _ => Bytes::new(),
        })
    };
    Ok(Row {
        id: row.get(0)?,
        name: bytes(1)?,
        is_created: row.get::<_, i64>(2)? != 0,
        is_deleted: row.get::<_, i64>(3)? != 0,
        create_revision: row.get(4)?,
        lease: row.get(5)?,
        value: bytes(6)?,
    })
}
