//! Which shims are alive, in an unlogged table with the database's clock. Losing a row costs one beat.

use tokio_postgres::{Client, Row, types::Type};

use super::query::{Parameter, query};
use crate::log::{LogFault, Member, Peer};

/// Says it and reads the others in one statement. Silent for three beats is gone; rows of the gone are cleared away
/// much later.
const MEET: &str = "WITH said AS (INSERT INTO kine_shim.member AS m \
        (id, name, client_urls, at, peer_writer, peer_address, peer_certificate) \
        VALUES ($1, $2, $3, clock_timestamp(), $4, $5, $6) \
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, client_urls = excluded.client_urls, at = excluded.at, \
            peer_writer = excluded.peer_writer, peer_address = excluded.peer_address, \
            peer_certificate = excluded.peer_certificate), \
    cleared AS (DELETE FROM kine_shim.member WHERE id <> $1 AND at < clock_timestamp() - interval '10 minutes') \
    SELECT id, name, client_urls, peer_writer, peer_address, peer_certificate FROM kine_shim.member \
    WHERE id <> $1 AND at > clock_timestamp() - interval '15 seconds' ORDER BY id";

const PART: &str = "DELETE FROM kine_shim.member WHERE id = $1";

/// Ids are the wire's unsigned ones; the column holds the same bits.
pub(super) async fn meet(client: &Client, member: &Member) -> Result<Vec<Member>, LogFault> {
    let peer = member.peer.as_ref();
    let parameters: [Parameter<'_>; 6] = [
        (&member.id.cast_signed(), Type::INT8),
        (&member.name, Type::TEXT),
        (&member.client_urls, Type::TEXT_ARRAY),
        (&peer.map(|peer| peer.writer), Type::UUID),
        (&peer.map(|peer| peer.address.as_str()), Type::TEXT),
        (&peer.map(|peer| peer.certificate.as_slice()), Type::BYTEA),
    ];
    let rows = query(client, MEET, &parameters).await?;
    let peer = |row: &Row| Some(Peer { writer: row.get(3), address: row.get(4), certificate: row.get(5) });
    let is_reachable = |row: &Row| {
        let (writer, address): (Option<uuid::Uuid>, Option<&str>) = (row.get(3), row.get(4));
        writer.is_some() && address.is_some() && row.get::<_, Option<&[u8]>>(5).is_some()
    };
    let other = |row: &Row| Member {
        id: row.get::<_, i64>(0).cast_unsigned(),
        name: row.get(1),
        client_urls: row.get(2),
        peer: if is_reachable(row) { peer(row) } else { None },
    };
    let mut alive: Vec<Member> = rows.iter().map(other).collect();
    alive.push(member.clone());
    Ok(alive)
}

pub(super) async fn part(client: &Client, id: u64) -> Result<(), LogFault> {
    query(client, PART, &[(&id.cast_signed(), Type::INT8)]).await.map(|_| ())
}
