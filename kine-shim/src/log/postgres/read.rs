//! Looks at the log: pages of it and read indexes, each from one statement's snapshot.

use bytes::Bytes;
use tokio_postgres::{Client, Row, types::Type};

use super::query::{as_i64, as_position, query};
use crate::{
    log::{Identity, LogFault, Page, ReadIndex, ReadIndexMode},
    model::{Batch, BatchId, Entry, EntryKind, Head, Position},
};

/// See the function in the first migration.
const PAGE: &str = "SELECT trimmed, position, id, prev_id, first_revision, last_revision, writer, at_ms, \
        sub, kind, revision, sub_revision, create_revision, version, lease, key, value \
    FROM kine_shim.page_v1($1, $2)";

/// See the function in the third migration.
const READ_INDEX: &str = "SELECT head_position, head_id, head_revision, id_at_applied, trimmed, incarnation, in_recovery, \
        system_identifier, timeline \
    FROM kine_shim.fence_v1($1, $2)";

pub(super) async fn read_index(client: &Client, applied: Position, mode: ReadIndexMode) -> Result<ReadIndex, LogFault> {
    let (at, commit) = (as_i64(applied), mode == ReadIndexMode::Commit);
    let rows = query(client, READ_INDEX, &[(&at, Type::INT8), (&commit, Type::BOOL)]).await?;
    let row = rows.first().ok_or_else(|| LogFault::Unusable("kine_shim.meta or kine_shim.batch is empty".into()))?;
    let (position, timeline): (i64, i32) = (row.get(0), row.get(8));
    let id_at_applied: Option<BatchId> = row.get(3);
    Ok(ReadIndex {
        head: Head { position: as_position(position), id: row.get(1) },
        revision: row.get(2),
        id_at_applied: if applied == Position(0) { Some(BatchId::nil()) } else { id_at_applied },
        trimmed: as_position(row.get(4)),
        identity: Identity {
            system: row.get(7),
            timeline: timeline.cast_unsigned(),
            incarnation: row.get::<_, i64>(5).cast_unsigned(),
        },
        in_recovery: row.get(6),
    })
}

pub(super) async fn page(client: &Client, after: Position, max_bytes: usize) -> Result<Page, LogFault> {
    let max_bytes = i64::try_from(max_bytes.max(1)).unwrap_or(i64::MAX);
    let rows = query(client, PAGE, &[(&as_i64(after), Type::INT8), (&max_bytes, Type::INT8)]).await?;
    let first = rows.first().ok_or_else(|| LogFault::Unusable("kine_shim.meta is empty".into()))?;
    let trimmed = as_position(first.get(0));
    let mut batches = std::collections::BTreeMap::new();
    for row in &rows {
        let Some(position) = row.get::<_, Option<i64>>(1).map(as_position) else { continue };
        let batch = batches.entry(position).or_insert_with(|| batch(row, position));
        if let Some(sub) = row.get::<_, Option<i32>>(8) {
            batch.entries.push((sub.cast_unsigned(), entry(row)?));
        }
    }
    let mut batches: Vec<Batch> = batches.into_values().collect();
    for batch in &mut batches {
        batch.entries.sort_unstable_by_key(|(sub, _)| *sub);
    }
    Ok(Page { batches, trimmed })
}

fn batch(row: &Row, position: Position) -> Batch {
    Batch {
        position,
        id: row.get(2),
        prev_id: row.get(3),
        first_revision: row.get(4),
        last_revision: row.get(5),
        writer: row.get(6),
        at_ms: row.get(7),
        entries: Vec::new(),
    }
}

fn entry(row: &Row) -> Result<Entry, LogFault> {
    let kind = EntryKind::try_from(row.get::<_, i16>(9))
        .map_err(|kind| LogFault::Unusable(format!("the log holds an entry of the unknown kind {kind}")))?;
    Ok(Entry {
        kind,
        revision: row.get(10),
        sub_revision: row.get::<_, i32>(11).cast_unsigned(),
        create_revision: row.get(12),
        version: row.get(13),
        lease: row.get(14),
        key: Bytes::copy_from_slice(row.get(15)),
        value: Bytes::copy_from_slice(row.get(16)),
    })
}
