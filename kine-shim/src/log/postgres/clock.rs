//! Renewals of leases, in an unlogged table: a row that a crash or a failover loses means a full TTL more. Rows are locked in
//! the order of their ids, so that two shims never wait for each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::query;
use crate::log::{LeaseClock, LogFault};
use crate::model::LeaseId;

const RENEW: &str = "INSERT INTO kine_shim.lease_clock AS clock (id, renewals, expiring, at) \
    SELECT id, 1, false, clock_timestamp() FROM (SELECT DISTINCT id FROM unnest($1::int8[]) AS id ORDER BY id) ids \
    ON CONFLICT (id) DO UPDATE SET renewals = clock.renewals + 1, at = excluded.at WHERE NOT clock.expiring \
    RETURNING id";

const GET: &str = "SELECT id, renewals, expiring, \
        greatest(extract(epoch FROM clock_timestamp() - at), 0)::float8 \
    FROM kine_shim.lease_clock WHERE id = ANY ($1::int8[])";

/// An absent row was never renewed: it is seen as 0 renewals. The rule is checked again on the row's newest version.
const MARK: &str = "INSERT INTO kine_shim.lease_clock AS clock (id, renewals, expiring, at) \
    SELECT id, seen, true, clock_timestamp() FROM unnest($1::int8[], $2::int8[]) AS lease(id, seen) \
    WHERE kine_shim.must_be($3) AND (seen = 0 OR EXISTS (SELECT FROM kine_shim.lease_clock known WHERE known.id = lease.id)) \
    ORDER BY id \
    ON CONFLICT (id) DO UPDATE SET expiring = true, at = excluded.at \
        WHERE clock.renewals = excluded.renewals AND NOT clock.expiring \
    RETURNING id";

const FORGET: &str = "DELETE FROM kine_shim.lease_clock WHERE id = ANY ($1::int8[])";

fn ids_of(rows: &[Row]) -> BTreeSet<LeaseId> {
    rows.iter().map(|row| row.get(0)).collect()
}

pub(super) async fn renew(client: &Client, ids: &[LeaseId]) -> Result<Vec<bool>, LogFault> {
    let renewed = ids_of(&query(client, RENEW, &[(&ids, Type::INT8_ARRAY)]).await?);
    Ok(ids.iter().map(|id| renewed.contains(id)).collect())
}

pub(super) async fn get(client: &Client, ids: &[LeaseId]) -> Result<Vec<LeaseClock>, LogFault> {
    let rows = query(client, GET, &[(&ids, Type::INT8_ARRAY)]).await?;
    let clock = |row: &Row| LeaseClock {
        renewals: row.get(1),
        expiring: row.get(2),
        age: Duration::try_from_secs_f64(row.get(3)).ok(),
    };
    let clocks: BTreeMap<LeaseId, LeaseClock> = rows.iter().map(|row| (row.get(0), clock(row))).collect();
    Ok(ids.iter().map(|id| clocks.get(id).copied().unwrap_or_default()).collect())
}

pub(super) async fn mark_expiring(client: &Client, run: i64, seen: &[(LeaseId, i64)]) -> Result<Vec<bool>, LogFault> {
    // One statement may touch a row once.
    let each: BTreeMap<LeaseId, i64> = seen.iter().copied().collect();
    let ids: Vec<LeaseId> = each.keys().copied().collect();
    let renewals: Vec<i64> = each.values().copied().collect();
    let parameters: [super::Parameter<'_>; 3] =
        [(&ids, Type::INT8_ARRAY), (&renewals, Type::INT8_ARRAY), (&run, Type::INT8)];
    let marked = ids_of(&query(client, MARK, &parameters).await?);
    Ok(seen.iter().map(|(id, _)| marked.contains(id)).collect())
}

pub(super) async fn forget(client: &Client, ids: &[LeaseId]) -> Result<(), LogFault> {
    query(client, FORGET, &[(&ids, Type::INT8_ARRAY)]).await.map(|_| ())
}
