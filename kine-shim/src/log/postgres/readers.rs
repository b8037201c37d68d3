//! How far every living shim has read the log, so that trims wait for those that are still to read,
//! and that a failover can be told from a loss.

use tokio_postgres::{Client, Row, types::Type};

use super::query::{as_i64, as_position, query};
use crate::log::{LogFault, Reader};

/// Says it and reads the others in one statement. Whoever is silent for ten seconds is gone; rows of the gone are
/// cleared away later.
const REPORT: &str = "WITH said AS (INSERT INTO kine_shim.reader AS r (id, applied, timeline, at) \
        VALUES ($1, $2, $3, clock_timestamp()) \
        ON CONFLICT (id) DO UPDATE SET applied = excluded.applied, timeline = excluded.timeline, at = excluded.at), \
    cleared AS (DELETE FROM kine_shim.reader WHERE id <> $1 AND at < clock_timestamp() - interval '10 minutes') \
    SELECT id, applied, timeline FROM kine_shim.reader \
    WHERE id <> $1 AND at > clock_timestamp() - interval '10 seconds'";

pub(super) async fn report(client: &Client, reader: &Reader) -> Result<Vec<Reader>, LogFault> {
    let (applied, timeline) = (as_i64(reader.applied), i64::from(reader.timeline));
    let rows =
        query(client, REPORT, &[(&reader.id, Type::UUID), (&applied, Type::INT8), (&timeline, Type::INT8)]).await?;
    let other = |row: &Row| Reader {
        id: row.get(0),
        applied: as_position(row.get(1)),
        timeline: u32::try_from(row.get::<_, i64>(2)).unwrap_or(0),
    };
    Ok(rows.iter().map(other).collect())
}
