//! Renewals of leases, counted in an unlogged table: a row that a crash or a failover loses means a full TTL more, and
//! the name of the table's life tells that it happened. Marks are durable. Rows are locked in the order of their ids
//! and grants, so that two shims never wait for each other in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio_postgres::{Client, Row, types::Type};
use uuid::Uuid;

use super::query::{as_i64, query};
use crate::{
    log::{LeaseClock, LeaseClocks, LogFault},
    model::{Grant, LeaseId, Position},
};

const RENEW: &str = "INSERT INTO kine_shim.lease_clock AS clock (id, granted, renewals, expiring, at) \
    SELECT id, granted, 1, false, clock_timestamp() FROM \
        (SELECT DISTINCT id, granted FROM unnest($1::int8[], $2::int8[]) AS lease(id, granted) ORDER BY id, granted) leases \
    WHERE NOT EXISTS (SELECT FROM kine_shim.lease_mark mark WHERE mark.id = leases.id AND mark.granted = leases.granted) \
    ON CONFLICT (id, granted) DO UPDATE SET renewals = clock.renewals + 1, at = excluded.at WHERE NOT clock.expiring \
    RETURNING id, granted";

/// See the functions in the eighth migration. With it come those of other grants of the same ids: few, and the plan
/// stays a look into the index.
const GET: &str = "SELECT life, id, granted, renewals, expiring, age FROM kine_shim.lease_clocks_v1($1)";

const MARK: &str = "SELECT id, granted FROM kine_shim.mark_expiring_v1($1, $2, $3, $4) WHERE kine_shim.must_be($5)";

const FORGET: &str = "WITH gone AS (SELECT * FROM unnest($1::int8[], $2::int8[])), \
    marks AS (DELETE FROM kine_shim.lease_mark WHERE id = ANY ($1::int8[]) AND (id, granted) IN (SELECT * FROM gone)) \
    DELETE FROM kine_shim.lease_clock WHERE id = ANY ($1::int8[]) AND (id, granted) IN (SELECT * FROM gone)";

const FORGET_BUT: &str = "WITH living AS (SELECT * FROM unnest($1::int8[], $2::int8[])), \
    marks AS (DELETE FROM kine_shim.lease_mark WHERE granted <= $3 AND (id, granted) NOT IN (SELECT * FROM living)) \
    DELETE FROM kine_shim.lease_clock WHERE granted <= $3 AND (id, granted) NOT IN (SELECT * FROM living)";

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
    let parameters: [super::query::Parameter<'_>; 2] = [(&ids, Type::INT8_ARRAY), (&granted, Type::INT8_ARRAY)];
    let renewed = grants_of(&query(client, RENEW, &parameters).await?);
    Ok(leases.iter().map(|lease| renewed.contains(lease)).collect())
}

pub(super) async fn get(client: &Client, leases: &[Grant]) -> Result<LeaseClocks, LogFault> {
    let (ids, _) = columns(leases.iter());
    let rows = query(client, GET, &[(&ids, Type::INT8_ARRAY)]).await?;
    let life = rows.first().ok_or_else(|| LogFault::NotApplied("an empty answer".into()))?.get(0);
    let mut found: BTreeMap<Grant, LeaseClock> = BTreeMap::new();
    for row in &rows {
        let Some(id) = row.get(1) else { continue };
        let clock = found.entry(Grant { id, at: Position(row.get::<_, i64>(2) as u64) }).or_default();
        clock.renewals = clock.renewals.max(row.get(3));
        clock.expiring |= row.get::<_, bool>(4);
        let age = Duration::try_from_secs_f64(row.get(5)).ok();
        clock.age = clock.age.into_iter().chain(age).min();
    }
    let clocks = leases.iter().map(|lease| found.get(lease).copied().unwrap_or_default()).collect();
    Ok(LeaseClocks { life, clocks })
}

pub(super) async fn mark_expiring(
    client: &Client,
    run: i64,
    life: Uuid,
    seen: &[(Grant, i64)],
) -> Result<Vec<bool>, LogFault> {
    // One statement may touch a row once.
    let each: BTreeMap<Grant, i64> = seen.iter().copied().collect();
    let (ids, granted) = columns(each.keys());
    let renewals: Vec<i64> = each.values().copied().collect();
    let parameters: [super::query::Parameter<'_>; 5] = [
        (&life, Type::UUID),
        (&ids, Type::INT8_ARRAY),
        (&granted, Type::INT8_ARRAY),
        (&renewals, Type::INT8_ARRAY),
        (&run, Type::INT8),
    ];
    let marked = grants_of(&query(client, MARK, &parameters).await?);
    Ok(seen.iter().map(|(lease, _)| marked.contains(lease)).collect())
}

pub(super) async fn forget(client: &Client, leases: &[Grant]) -> Result<(), LogFault> {
    let (ids, granted) = columns(leases.iter());
    let parameters: [super::query::Parameter<'_>; 2] = [(&ids, Type::INT8_ARRAY), (&granted, Type::INT8_ARRAY)];
    query(client, FORGET, &parameters).await.map(|_| ())
}

/// Every row of a grant up to a position, but those of the living.
pub(super) async fn forget_but(client: &Client, living: &[Grant], upto: Position) -> Result<(), LogFault> {
    let ((ids, granted), upto) = (columns(living.iter()), as_i64(upto));
    let parameters: [super::query::Parameter<'_>; 3] =
        [(&ids, Type::INT8_ARRAY), (&granted, Type::INT8_ARRAY), (&upto, Type::INT8)];
    query(client, FORGET_BUT, &parameters).await.map(|_| ())
}
