//! Space: what compaction made useless is deleted in small transactions, sizes are told, space is given back.

use std::fmt::Write;

use tokio::time::timeout;
use tokio_postgres::Client;

use super::{
    link::Link,
    query::{ANSWER_WITHIN, as_i64, query, unsent},
    trust::Trust,
};
use crate::{
    log::{LogFault, Size},
    model::{Position, RowId},
};

/// Rows of one transaction: short enough that nobody waits for it.
const TRIM_ROWS: usize = 1000;

const SIZE: &str = "SELECT coalesce(sum(total), 0)::int8, \
        coalesce(sum(total * live / greatest(live + dead, 1)), 0)::int8 \
    FROM (SELECT pg_total_relation_size(relid)::numeric AS total, n_live_tup AS live, n_dead_tup AS dead \
          FROM pg_stat_user_tables WHERE schemaname = 'kine_shim') tables";

/// Pieces of it, each a transaction of its own (see the seventh migration).
pub(super) async fn trim(link: &Link, trust: &Trust, floor: Position, garbage: &[RowId]) -> Result<(), LogFault> {
    let first = garbage.len().min(TRIM_ROWS);
    for chunk in std::iter::once(&garbage[..first]).chain(garbage[first..].chunks(TRIM_ROWS)) {
        let session = link.session().await?;
        let run = trust.run(&session).await?;
        let statements = trim_statements(run, floor, chunk);
        match timeout(ANSWER_WITHIN, session.client.batch_execute(&statements)).await {
            Ok(done) => done.map_err(|error| unsent(&error))?,
            Err(_) => return Err(LogFault::NotApplied("the database does not answer".into())),
        }
    }
    Ok(())
}

/// One simple message, so that a time limit meant for people's queries can be lifted in the same transaction (numbers
/// only, so there is nothing to escape).
fn trim_statements(run: i64, floor: Position, rows: &[RowId]) -> String {
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
    let floor = as_i64(floor);
    format!(
        "SET LOCAL statement_timeout = 0; \
         SELECT kine_shim.trim_v1({floor}, '{{{positions}}}'::int8[], '{{{subs}}}'::int4[]) WHERE kine_shim.must_be({run})"
    )
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

/// A plain VACUUM: space becomes reusable and the empty end of the files is cut off. And new indexes: what survives a
/// compaction here and there keeps whole pages of the old ones. Writers go on meanwhile.
pub(super) async fn reclaim(client: &Client) -> Result<(), LogFault> {
    // None of these runs inside a transaction, so their time limit is lifted for the session. Behind a pooler it may be
    // another one: then the limit strikes, and that is told.
    run(client, "SET statement_timeout = 0").await?;
    let reclaimed = rebuild(client).await;
    run(client, "RESET statement_timeout").await?;
    reclaimed
}

async fn rebuild(client: &Client) -> Result<(), LogFault> {
    for row in query(client, LEFT_BEHIND, &[]).await? {
        let index: &str = row.get(0);
        run(client, &format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
    }
    for table in ["log", "batch", "lease_clock", "lease_mark"] {
        run(client, &format!("VACUUM (ANALYZE) kine_shim.{table}")).await?;
        run(client, &format!("REINDEX TABLE CONCURRENTLY kine_shim.{table}")).await?;
    }
    Ok(())
}

/// However long it takes.
async fn run(client: &Client, statement: &str) -> Result<(), LogFault> {
    client.batch_execute(statement).await.map_err(|error| unsent(&error))
}
