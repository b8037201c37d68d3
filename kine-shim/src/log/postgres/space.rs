//! Space: what compaction made useless is deleted in small transactions, sizes are told, space is given back.

use std::fmt::Write;

use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::link::Link;
use super::trust::Trust;
use super::{ANSWER_WITHIN, as_i64, query, unsent};
use crate::log::{LogFault, Size};
use crate::model::Position;

/// Rows of one transaction: short enough that nobody waits for it.
const TRIM_ROWS: usize = 1000;

const RAISE: &str = "UPDATE kine_shim.meta SET trimmed = $1 \
    FROM (SELECT trimmed FROM kine_shim.meta FOR UPDATE) before \
    WHERE meta.trimmed < $1 AND kine_shim.must_be($2) RETURNING before.trimmed";

const SIZE: &str = "SELECT coalesce(sum(total), 0)::int8, \
        coalesce(sum(total * live / greatest(live + dead, 1)), 0)::int8 \
    FROM (SELECT pg_total_relation_size(relid)::numeric AS total, n_live_tup AS live, n_dead_tup AS dead \
          FROM pg_stat_user_tables WHERE schemaname = 'kine_shim') tables";

/// First `trimmed`, then the rows: whoever misses a row can know that it may be missing.
pub(super) async fn trim(
    link: &Link,
    trust: &Trust,
    floor: Position,
    garbage: &[(Position, u32)],
) -> Result<(), LogFault> {
    let session = link.session().await?;
    let run = trust.run(&session).await?;
    let client = session.client;
    let raised = query(&client, RAISE, &[(&as_i64(floor), Type::INT8), (&run, Type::INT8)]).await?;
    // A batch at the last floor may have been emptied then; it was kept because it was not below.
    let last_floor: Vec<i64> = raised.iter().map(|row| row.get(0)).collect();
    let (none, mut chunks) = (&[][..], garbage.chunks(TRIM_ROWS));
    delete(&client, run, floor, chunks.next().unwrap_or(none), &last_floor).await?;
    for chunk in chunks {
        let session = link.session().await?;
        delete(&session.client, trust.run(&session).await?, floor, chunk, &[]).await?;
    }
    Ok(())
}

/// One transaction in one simple message (numbers only, so nothing to escape). The lock lets two trimming shims follow
/// each other: the second sees which batches the first left empty.
async fn delete(
    client: &Client,
    run: i64,
    floor: Position,
    rows: &[(Position, u32)],
    more: &[i64],
) -> Result<(), LogFault> {
    let list = |numbers: &mut dyn Iterator<Item = i64>| {
        let mut text = String::new();
        for number in numbers {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{number}", if text.is_empty() { "" } else { "," });
        }
        text
    };
    let positions = list(&mut rows.iter().map(|(position, _)| as_i64(*position)));
    let subs = list(&mut rows.iter().map(|(_, sub)| i64::from(*sub)));
    let touched = list(&mut rows.iter().map(|(position, _)| as_i64(*position)).chain(more.iter().copied()));
    let statements = format!(
        "SELECT kine_shim.must_be({run}); SELECT FROM kine_shim.meta FOR UPDATE; \
         DELETE FROM kine_shim.log USING unnest('{{{positions}}}'::int8[], '{{{subs}}}'::int4[]) AS gone(position, sub) \
         WHERE log.position = gone.position AND log.sub = gone.sub; \
         DELETE FROM kine_shim.batch WHERE position = ANY ('{{{touched}}}'::int8[]) AND position < {} \
         AND NOT EXISTS (SELECT FROM kine_shim.log WHERE log.position = batch.position)",
        as_i64(floor)
    );
    match timeout(ANSWER_WITHIN, client.batch_execute(&statements)).await {
        Ok(done) => done.map_err(|error| unsent(&error)),
        Err(_) => Err(LogFault::NotApplied("the database does not answer".into())),
    }
}

/// `in_use` is an estimate from the server's own count of dead rows.
pub(super) async fn size(client: &Client) -> Result<Size, LogFault> {
    let rows = query(client, SIZE, &[]).await?;
    let size = |at: usize| rows.first().map_or(0, |row| row.get(at));
    Ok(Size { total_bytes: size(0), in_use_bytes: size(1) })
}

/// What a REINDEX that was cut short left behind; it would be kept up to date for nothing.
const LEFT_BEHIND: &str = "SELECT format('%I.%I', ns.nspname, class.relname) FROM pg_index index \
    JOIN pg_class class ON class.oid = index.indexrelid JOIN pg_namespace ns ON ns.oid = class.relnamespace \
    JOIN pg_class indexed ON indexed.oid = index.indrelid \
    WHERE indexed.relnamespace = 'kine_shim'::regnamespace AND NOT index.indisvalid AND class.relname ~ '_cc(new|old)[0-9]*$'";

/// A plain VACUUM: space becomes reusable and the empty end of the files is cut off. And new indexes: what survives a compaction here and
/// there keeps whole pages of the old ones. Writers go on meanwhile.
pub(super) async fn reclaim(client: &Client) -> Result<(), LogFault> {
    for row in query(client, LEFT_BEHIND, &[]).await? {
        let index: &str = row.get(0);
        run(client, &format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
    }
    for table in ["log", "batch", "lease_clock"] {
        run(client, &format!("VACUUM (ANALYZE) kine_shim.{table}")).await?;
        run(client, &format!("REINDEX TABLE CONCURRENTLY kine_shim.{table}")).await?;
    }
    Ok(())
}

/// However long it takes.
async fn run(client: &Client, statement: &str) -> Result<(), LogFault> {
    client.batch_execute(statement).await.map_err(|error| unsent(&error))
}
