//! kine's table in PostgreSQL, as it is at one moment: everything is read in one transaction, streamed.

use std::pin::pin;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::TryStreamExt;
use tokio_postgres::{Client, Row as SqlRow, types::Type};

use super::convert::{Converter, Facts, Row, put};
use crate::{
    log::{
        Options,
        postgres::{Driver, connect_elsewhere},
    },
    migrate::source::{End, Feed},
};

/// The newest id, and what is compacted.
const FACTS: &str = "SELECT coalesce(max(id), 0)::int8, \
    coalesce(max(prev_revision) FILTER (WHERE name = 'compact_rev_key'), 0)::int8 FROM kine";

/// What kine's own compaction would have deleted, and did not, is left out.
const ROWS: &str = "SELECT id::int8, coalesce(name, ''), coalesce(created, 0) <> 0, coalesce(deleted, 0) <> 0, \
        coalesce(create_revision, 0)::int8, coalesce(lease, 0)::int8, coalesce(value, '') \
    FROM kine AS kv \
    WHERE id > $1 OR deleted = 0 AND NOT EXISTS (SELECT FROM kine AS kp \
        WHERE kp.prev_revision = kv.id AND kp.id <= $1 AND kp.name <> 'compact_rev_key') \
    ORDER BY id";

pub(super) struct Table {
    client: Client,
    _driver: Driver,
    pub(super) facts: Facts,
}

impl Table {
    pub(super) async fn open(url: &str, options: &Options) -> Result<Self> {
        let (client, driver) = connect_elsewhere(url, options).await?;
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let facts = client.query_typed_one(FACTS, &[]).await.context("cannot read the table kine")?;
        Ok(Self { client, _driver: driver, facts: Facts::new(facts.get(0), facts.get(1))? })
    }

    pub(super) async fn run(self, mut feed: Feed) {
        if let Some(end) = self.feed_all(&mut feed).await.transpose() {
            // Nobody is left to be told otherwise.
            let _ = feed.end(end).await;
        }
    }

    /// `None`: nobody wants more.
    async fn feed_all(&self, feed: &mut Feed) -> Result<Option<End>> {
        let mut converter = Converter::new(self.facts);
        let rows = self.client.query_typed_raw(ROWS, [(self.facts.compacted, Type::INT8)]);
        let mut rows = pin!(rows.await.context("cannot read the table kine")?);
        while let Some(row) = rows.try_next().await.context("the table kine broke off")? {
            if !put(feed, converter.convert(parsed(&row)?)?).await {
                return Ok(None);
            }
        }
        Ok(Some(converter.end()))
    }
}

fn parsed(row: &SqlRow) -> Result<Row> {
    Ok(Row {
        id: row.try_get(0)?,
        name: Bytes::copy_from_slice(row.try_get::<_, &str>(1)?.as_bytes()),
        is_created: row.try_get(2)?,
        is_deleted: row.try_get(3)?,
        create_revision: row.try_get(4)?,
        lease: row.try_get(5)?,
        value: Bytes::copy_from_slice(row.try_get(6)?),
    })
}
