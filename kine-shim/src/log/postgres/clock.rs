//! Renewals of leases, in an unlogged table: a row that a crash or a failover loses means a full TTL more. Rows are locked in
//! the order of their ids and grants, so that two shims never wait for each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::query;
use crate::log::{LeaseClock, LogFault};
use crate::model::{Grant, LeaseId, Position};

const RENEW: &str = "INSERT INTO kine_shim.lease_clock AS clock (id, granted, renewals, expiring, at) \
    SELECT id, granted, 1, false, clock_timestamp() FROM \
        (SELECT DISTINCT id, granted FROM unnest($1::int8[], $2::int8[]) AS lease(id, granted) ORDER BY id, granted) leases \
    ON CONFLICT (id, granted) DO UPDATE SET renewals = clock.renewals + 1, at = excluded.at WHERE NOT clock.expiring \
    RETURNING id, granted";

/// With it those of other grants of the same ids: few, and the plan stays a look into the index.
const GET: &str = "SELECT id, granted, renewals, expiring, \
        greatest(extract(epoch FROM clock_timestamp() - at), 0)::float8 \
    FROM kine_shim.lease_clock WHERE id = ANY ($1::int8[])";

/// An absent row was never renewed: it is seen as 0 renewals. The rule is checked again on the row's newest version.
const MARK: &str = "INSERT INTO kine_shim.lease_clock AS clock (id, granted, renewals, expiring, at) \
    SELECT id, granted, seen, true, clock_timestamp() \
    FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS lease(id, granted, seen) \
    WHERE kine_shim.must_be($4) AND (seen = 0 OR EXISTS \
        (SELECT FROM kine_shim.lease_clock known WHERE known.id = lease.id AND known.granted = lease.granted)) \
    ORDER BY id, granted \
    ON CONFLICT (id, granted) DO UPDATE SET expiring = true, at = excluded.at \
        WHERE clock.renewals = excluded.renewals AND NOT clock.expiring \
    RETURNING id, granted";

const FORGET: &str = "DELETE FROM kine_shim.lease_clock WHERE id = ANY ($1::int8[]) \
    AND (id, granted) IN (SELECT * FROM unnest($1::int8[], $2::int8[]))";

/// Their two columns.
fn columns<'a>(leases: impl Iterator<Item = &'a Grant>) -> (Vec<LeaseId>, Vec<i64>) {
    leases.map(|lease| (lease.id, lease.at.0 as i64)).unzip()
}

fn grant_of(row: &Row) -> Grant {
    let granted: i64 = row.get(1);
    Grant { id: row.get(0), at: Position(granted as u64) }
}

fn grants_of(rows: &[Row]) -> BTreeSet<Grant> {
    rows.iter().map(grant_of).collect()
}

pub(super) async fn renew(client: &Client, leases: &[Grant]) -> Result<Vec<bool>, LogFault> {
    let (ids, granted) = columns(leases.iter());
    let parameters: [super::Parameter<'_>; 2] = [(&ids, Type::INT8_ARRAY), (&granted, Type::INT8_ARRAY)];
    let renewed = grants_of(&query(client, RENEW, &parameters).await?);
    Ok(leases.iter().map(|lease| renewed.contains(lease)).collect())
}

pub(super) async fn get(client: &Client, leases: &[Grant]) -> Result<Vec<LeaseClock>, LogFault> {
    let (ids, _) = columns(leases.iter());
    let rows = query(client, GET, &[(&ids, Type::INT8_ARRAY)]).await?;
    let clock = |row: &Row| LeaseClock {
        renewals: row.get(2),
        expiring: row.get(3),
        age: Duration::try_from_secs_f64(row.get(4)).ok(),
    };
    let clocks: BTreeMap<Grant, LeaseClock> = rows.iter().map(|row| (grant_of(row), clock(row))).collect();
    Ok(leases.iter().map(|lease| clocks.get(lease).copied().unwrap_or_default()).collect())
}

pub(super) async fn mark_expiring(client: &Client, run: i64, seen: &[(Grant, i64)]) -> Result<Vec<bool>, LogFault> {
    // One statement may touch a row once.
    let each: BTreeMap<Grant, i64> = seen.iter().copied().collect();
    let (ids, granted) = columns(each.keys());
    let renewals: Vec<i64> = each.values().copied().collect();
    let parameters: [super::Parameter<'_>; 4] =
        [(&ids, Type::INT8_ARRAY), (&granted, Type::INT8_ARRAY), (&renewals, Type::INT8_ARRAY), (&run, Type::INT8)];
    let marked = grants_of(&query(client, MARK, &parameters).await?);
    Ok(seen.iter().map(|(lease, _)| marked.contains(lease)).collect())
}

pub(super) async fn forget(client: &Client, leases: &[Grant]) -> Result<(), LogFault> {
    let (ids, granted) = columns(leases.iter());
    let parameters: [super::Parameter<'_>; 2] = [(&ids, Type::INT8_ARRAY), (&granted, Type::INT8_ARRAY)];
    query(client, FORGET, &parameters).await.map(|_| ())
}
