//! Which shims are alive, in an unlogged table with the database's clock. Losing a row costs one beat.

use tokio_postgres::{Client, Row, types::Type};

use super::query::query;
use crate::log::{LogFault, Member};

/// Says it and reads the others in one statement. Silent for three beats is gone; rows of the gone are cleared away
/// much later.
const MEET: &str = "WITH said AS (INSERT INTO kine_shim.member AS m (id, name, client_urls, at) VALUES ($1, $2, $3, clock_timestamp()) \
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, client_urls = excluded.client_urls, at = excluded.at), \
    cleared AS (DELETE FROM kine_shim.member WHERE id <> $1 AND at < clock_timestamp() - interval '10 minutes') \
    SELECT id, name, client_urls FROM kine_shim.member \
    WHERE id <> $1 AND at > clock_timestamp() - interval '15 seconds' ORDER BY id";

const PART: &str = "DELETE FROM kine_shim.member WHERE id = $1";

/// Ids are the wire's unsigned ones; the column holds the same bits.
pub(super) async fn meet(client: &Client, member: &Member) -> Result<Vec<Member>, LogFault> {
    let rows = query(
        client,
        MEET,
        &[(&member.id.cast_signed(), Type::INT8), (&member.name, Type::TEXT), (&member.client_urls, Type::TEXT_ARRAY)],
    )
    .await?;
    let other =
        |row: &Row| Member { id: row.get::<_, i64>(0).cast_unsigned(), name: row.get(1), client_urls: row.get(2) };
    let mut alive: Vec<Member> = rows.iter().map(other).collect();
    alive.push(member.clone());
    Ok(alive)
}

pub(super) async fn part(client: &Client, id: u64) -> Result<(), LogFault> {
    query(client, PART, &[(&id.cast_signed(), Type::INT8)]).await.map(|_| ())
}
