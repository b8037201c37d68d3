//! One list of cases that every log passes: memory, SQLite, PostgreSQL, and PostgreSQL behind a pooler. What only one
//! of them can meet stands in files of its own.

use std::sync::Arc;

use bytes::Bytes;
use kine_shim::{
    log::{Appended, Endpoint, Log, LogFault, Options, Snapshot, memory::MemoryLog, open},
    model::{Batch, BatchId, Entry, EntryKind, Grant, Head, LeaseId, Position},
};
use uuid::Uuid;

fn entry(key: impl Into<Bytes>, value: impl Into<Bytes>, revision: i64, sub_revision: u32) -> Entry {
    Entry {
        kind: EntryKind::Put,
        revision,
        sub_revision,
        key: key.into(),
        value: value.into(),
        create_revision: revision,
        version: 1,
        lease: 7,
    }
}

/// A batch behind `head` with one revision for each key.
fn batch(head: Head, first_revision: i64, keys: &[&str]) -> Batch {
    let revision = |at: usize| first_revision + at as i64;
    let entries = keys.iter().enumerate();
    let entries =
        entries.map(|(at, key)| (at as u32, entry(key.to_string(), format!("value of {key}"), revision(at), 0)));
    Batch {
        position: head.position.next(),
        id: Uuid::new_v4(),
        prev_id: head.id,
        first_revision,
        last_revision: first_revision + keys.len() as i64 - 1,
        writer: Uuid::from_u128(42),
        at_ms: 1_700_000_000_123,
        entries: entries.collect(),
    }
}

async fn append(log: &dyn Log, batch: &Batch) -> Appended {
    log.append(batch).await.expect("append")
}

/// Appends `count` batches of one key each and returns them.
async fn chain(log: &dyn Log, count: usize) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for at in 0..count {
        let head = batches.last().map(Batch::head).unwrap_or_default();
        let next = batch(head, at as i64 + 2, &[&format!("key-{at}")]);
        assert_eq!(append(log, &next).await, Appended::Committed);
        batches.push(next);
    }
    batches
}

async fn read_all(log: &dyn Log, max_bytes: usize) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    loop {
        let after = batches.last().map_or(Position(0), |batch| batch.position);
        let page = log.read(after, max_bytes).await.expect("read");
        if page.batches.is_empty() {
            return batches;
        }
        batches.extend(page.batches);
    }
}

async fn rest(snapshot: &mut dyn Snapshot) -> Result<Vec<Batch>, LogFault> {
    let mut batches = Vec::new();
    loop {
        let page = snapshot.next(1 << 20).await?;
        if page.is_empty() {
            return Ok(batches);
        }
        batches.extend(page);
    }
}

async fn load(log: &dyn Log) -> (Position, Vec<Batch>) {
    let mut snapshot = log.snapshot().await.expect("snapshot");
    let batches = rest(&mut *snapshot).await.expect("load");
    (snapshot.trimmed(), batches)
}

async fn an_empty_log(log: Arc<dyn Log>) {
    let read_index = log.read_index(Position(0)).await.expect("read_index");
    assert_eq!((read_index.head, read_index.revision, read_index.trimmed), (Head::default(), 1, Position(0)));
    assert_eq!(read_index.id_at_applied, Some(BatchId::nil()));
    assert!(!read_index.in_recovery);
    assert_eq!(log.read_index(Position(1)).await.expect("read_index").id_at_applied, None);
    assert!(log.read(Position(0), 1 << 20).await.expect("read").batches.is_empty());
    assert!(load(&*log).await.1.is_empty());
}

async fn what_is_appended_is_read(log: Arc<dyn Log>) {
    let mut first = batch(Head::default(), 2, &["a", "b"]);
    let kinds = [EntryKind::Delete, EntryKind::LeaseGrant, EntryKind::Compact, EntryKind::Record];
    for (at, kind) in kinds.into_iter().enumerate() {
        let extra = Entry { kind, version: i64::MAX, lease: i64::MIN, ..entry("k", "", -1, u32::from(u16::MAX)) };
        first.entries.push((at as u32 + 2, extra));
    }
    assert_eq!(append(&*log, &first).await, Appended::Committed);
    let second = batch(first.head(), 4, &["c"]);
    assert_eq!(append(&*log, &second).await, Appended::Committed);
    assert_eq!(read_all(&*log, 1 << 20).await, [first.clone(), second.clone()]);
    let read_index = log.read_index(Position(1)).await.expect("read_index");
    assert_eq!((read_index.head, read_index.revision, read_index.id_at_applied), (second.head(), 4, Some(first.id)));
}

async fn an_append_again_is_committed_once(log: Arc<dyn Log>) {
    let batches = chain(&*log, 3).await;
    for batch in &batches {
        assert_eq!(append(&*log, batch).await, Appended::Committed, "invariant 5: resolved by the same id");
    }
    assert_eq!(read_all(&*log, 1 << 20).await, batches);
}

async fn the_chain_is_by_id_not_by_number(log: Arc<dyn Log>) {
    let batches = chain(&*log, 2).await;
    let taken = batch(batches[0].head(), 3, &["late"]);
    let stranger = batch(Head { position: Position(2), id: Uuid::new_v4() }, 4, &["stranger"]);
    let ahead = batch(Head { position: Position(5), id: batches[1].id }, 4, &["ahead"]);
    for refused in [&taken, &stranger, &ahead] {
        assert_eq!(append(&*log, refused).await, Appended::Refused);
        assert_eq!(append(&*log, refused).await, Appended::Refused);
    }
    assert_eq!(read_all(&*log, 1 << 20).await, batches);
}

async fn a_batch_behind_a_refused_one_is_refused(log: Arc<dyn Log>) {
    let batches = chain(&*log, 1).await;
    let refused = batch(Head::default(), 2, &["refused"]);
    let behind = batch(refused.head(), 3, &["behind"]);
    let (first, second) = futures::join!(log.append(&refused), log.append(&behind));
    assert_eq!((first, second), (Ok(Appended::Refused), Ok(Appended::Refused)));
    assert_eq!(read_all(&*log, 1 << 20).await, batches);
}

async fn pipelined_appends_land_in_order(log: Arc<dyn Log>) {
    let mut batches: Vec<Batch> = Vec::new();
    for at in 0..50 {
        let head = batches.last().map(Batch::head).unwrap_or_default();
        batches.push(batch(head, at + 2, &["k"]));
    }
    let appended = futures::future::join_all(batches.iter().map(|batch| log.append(batch))).await;
    assert!(appended.iter().all(|outcome| *outcome == Ok(Appended::Committed)), "{appended:?}");
    assert_eq!(read_all(&*log, 1 << 20).await, batches);
}

async fn keys_are_bytes_and_values_may_be_large(log: Arc<dyn Log>) {
    let mut odd = batch(Head::default(), 2, &[]);
    let all: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let values =
        [(&b"\0"[..], &b""[..]), (&all, &all), (&b"\xff\xfe"[..], &large), (&b"'; --$1\\x"[..], &b"\\x00"[..])];
    for (at, (key, value)) in values.into_iter().enumerate() {
        odd.entries.push((at as u32, entry(key.to_vec(), value.to_vec(), 2, at as u32)));
    }
    odd.last_revision = 2;
    assert_eq!(append(&*log, &odd).await, Appended::Committed);
    assert_eq!(read_all(&*log, 1 << 20).await, [odd], "invariant 7");
}

async fn pages_are_cut_by_bytes(log: Arc<dyn Log>) {
    let batches = chain(&*log, 20).await;
    for max_bytes in [1, 300, 1000, 1 << 20] {
        assert_eq!(read_all(&*log, max_bytes).await, batches, "pages of {max_bytes} bytes");
    }
    let page = log.read(Position(0), 300).await.expect("read");
    assert!((1..10).contains(&page.batches.len()), "{} batches in 300 bytes", page.batches.len());
    assert_eq!(log.read(Position(3), 1).await.expect("read").batches, batches[3..4]);
}

async fn trimming_takes_rows_and_the_batches_they_leave_empty(log: Arc<dyn Log>) {
    let mut batches = chain(&*log, 2).await;
    let pair = batch(batches[1].head(), 4, &["x", "y"]);
    let last = batch(pair.head(), 6, &["z"]);
    for next in [pair, last] {
        assert_eq!(append(&*log, &next).await, Appended::Committed);
        batches.push(next);
    }
    let garbage = [(Position(1), 0), (Position(3), 0), (Position(9), 9)];
    for _ in 0..2 {
        log.trim(Position(3), &garbage).await.expect("trim");
    }
    batches[2].entries.remove(0);
    assert_eq!(load(&*log).await, (Position(3), batches[1..].to_vec()));
    let page = log.read(Position(0), 1 << 20).await.expect("read");
    assert_eq!((page.trimmed, page.batches), (Position(3), vec![]), "the reader is below the floor");
    assert_eq!(log.read(Position(3), 1 << 20).await.expect("read").batches, batches[3..]);

    // The floor never goes back, and a batch emptied at one floor goes with the next.
    log.trim(Position(3), &[(Position(3), 1)]).await.expect("trim");
    log.trim(Position(2), &[]).await.expect("trim");
    log.trim(Position(4), &[(Position(2), 0)]).await.expect("trim");
    assert_eq!(load(&*log).await, (Position(4), batches[3..].to_vec()));
    assert_eq!(log.read_index(Position(1)).await.expect("read_index").id_at_applied, None);
    let again = log.append(&batches[1]).await;
    assert!(matches!(again, Err(LogFault::Unusable(_))), "nobody knows any more: {again:?}");
    let next = batch(batches[3].head(), 7, &["after"]);
    assert_eq!(append(&*log, &next).await, Appended::Committed);
}

/// What is appended and trimmed while it is read does not show; at worst it has to be read anew.
async fn a_snapshot_is_of_one_moment(log: Arc<dyn Log>) {
    let batches = chain(&*log, 30).await;
    let mut snapshot = log.snapshot().await.expect("snapshot");
    let mut seen = snapshot.next(1).await.expect("first page");
    assert!(seen.len() < 30);
    append(&*log, &batch(batches[29].head(), 32, &["later"])).await;
    let garbage: Vec<_> = (1..=29).map(|position| (Position(position), 0)).collect();
    for piece in garbage.chunks(10) {
        log.trim(Position(30), piece).await.expect("trim");
    }
    match rest(&mut *snapshot).await {
        Ok(rest) => {
            seen.extend(rest);
            seen.truncate(30);
            assert_eq!(seen, batches);
        }
        Err(fault) => assert!(matches!(fault, LogFault::NotApplied(_)), "{fault}"),
    }
    assert_eq!(load(&*log).await.1[0], batches[29]);
}

async fn many_rows_are_trimmed(log: Arc<dyn Log>) {
    let keys: Vec<String> = (0..2500).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let wide = batch(Head::default(), 2, &keys);
    let head = batch(wide.head(), 2502, &["head"]);
    for next in [&wide, &head] {
        assert_eq!(append(&*log, next).await, Appended::Committed);
    }
    let garbage: Vec<_> = (0..2500).map(|sub| (Position(1), sub)).collect();
    log.trim(Position(2), &garbage).await.expect("trim");
    assert_eq!(load(&*log).await.1, [head]);
}

async fn an_incarnation_is_counted(log: Arc<dyn Log>) {
    let mut jump = batch(Head::default(), 1000, &["x"]);
    jump.entries[0].1.kind = EntryKind::Incarnation;
    let before = log.read_index(Position(0)).await.expect("read_index").identity;
    assert_eq!(append(&*log, &jump).await, Appended::Committed);
    assert_eq!(append(&*log, &jump).await, Appended::Committed);
    let after = log.read_index(Position(0)).await.expect("read_index").identity;
    assert_eq!((before.incarnation, after.incarnation), (0, 1));
    assert_eq!((before.system, before.timeline), (after.system, after.timeline));
}

fn grants<const N: usize>(ids: [LeaseId; N]) -> [Grant; N] {
    ids.map(|id| Grant { id, at: Position(3) })
}

async fn clocks<const N: usize>(log: &dyn Log, leases: [Grant; N]) -> Vec<(i64, bool, bool)> {
    let clocks = log.lease_clocks(&leases).await.expect("clocks").clocks;
    clocks.iter().map(|clock| (clock.renewals, clock.expiring, clock.age.is_some())).collect()
}

async fn mark(log: &dyn Log, seen: &[(Grant, i64)]) -> Result<Vec<bool>, LogFault> {
    let life = log.lease_clocks(&[]).await?.life;
    log.mark_expiring(life, seen).await
}

async fn a_lease_expires_only_if_nobody_renewed_it(log: Arc<dyn Log>) {
    let [one, two, three, many] = grants([1, 2, 3, i64::MAX]);
    assert_eq!(clocks(&*log, [one, two]).await, [(0, false, false), (0, false, false)]);
    assert_eq!(log.renew(&[one, many, one]).await, Ok(vec![true, true, true]));
    assert_eq!(log.renew(&[one]).await, Ok(vec![true]));
    assert_eq!(clocks(&*log, [one, two]).await, [(2, false, true), (0, false, false)]);

    // Stale sightings mark nothing; an absent row was renewed 0 times.
    assert_eq!(mark(&*log, &[(one, 1), (two, 5), (three, 0)]).await, Ok(vec![false, false, true]));
    assert_eq!(mark(&*log, &[(one, 0)]).await, Ok(vec![false]));
    assert_eq!(
        mark(&*log, &[(one, 2), (three, 9)]).await,
        Ok(vec![true, false]),
        "one marks it, the others are told no"
    );
    assert_eq!(log.renew(&[three, one, two]).await, Ok(vec![false, false, true]));
    assert_eq!(clocks(&*log, [one, two, three]).await, [(2, true, true), (1, false, true), (0, true, true)]);

    log.forget_leases(&grants([1, 3, 99])).await.expect("forget");
    assert_eq!(clocks(&*log, [one, three]).await, [(0, false, false), (0, false, false)]);
    assert_eq!(log.renew(&[]).await, Ok(vec![]));
    log.forget_leases(&[]).await.expect("forget");
}

/// Renewals, marks and their removal that come late for an earlier grant of an id.
async fn what_is_late_for_an_earlier_grant_leaves_a_later_one_alone(log: Arc<dyn Log>) {
    let [older] = grants([7]);
    let newer = Grant { at: Position(9), ..older };
    assert_eq!(log.renew(&[newer, older, newer]).await, Ok(vec![true, true, true]));
    assert_eq!(mark(&*log, &[(older, 1)]).await, Ok(vec![true]));
    assert_eq!(log.renew(&[older, newer]).await, Ok(vec![false, true]));
    assert_eq!(clocks(&*log, [older, newer]).await, [(1, true, true), (2, false, true)]);
    log.forget_leases(&[older]).await.expect("forget");
    log.forget_leases_but(&[newer], Position(100)).await.expect("forget");
    assert_eq!(clocks(&*log, [older, newer]).await, [(0, false, false), (2, false, true)]);
}

async fn sizes_are_told_and_space_is_reclaimed(log: Arc<dyn Log>) {
    chain(&*log, 5).await;
    log.reclaim().await.expect("reclaim");
    let size = log.size().await.expect("size");
    assert!(size.total_bytes > 0 && size.in_use_bytes <= size.total_bytes, "{size:?}");
}

/// Several tasks append to one log: the chain holds every committed batch once and nothing else.
async fn racing_appenders_never_share_a_position(log: Arc<dyn Log>) {
    let race = |log: Arc<dyn Log>| async move {
        let mut committed = Vec::new();
        while committed.len() < 25 {
            let read_index = log.read_index(Position(0)).await.expect("read_index");
            let next = batch(read_index.head, read_index.revision + 1, &["k"]);
            if append(&*log, &next).await == Appended::Committed {
                committed.push(next.id);
            }
        }
        committed
    };
    let racers: Vec<_> = (0..4).map(|_| tokio::spawn(race(log.clone()))).collect();
    let mut committed = Vec::new();
    for racer in racers {
        committed.extend(racer.await.expect("racer"));
    }
    let mut found: Vec<_> = read_all(&*log, 1 << 20).await.iter().map(|batch| batch.id).collect();
    committed.sort();
    found.sort();
    assert_eq!(committed, found);
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() { super::$case(std::sync::Arc::new(super::MemoryLog::new())).await })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let folder = tempfile::tempdir().expect("folder");
                super::$case(super::open_at(&super::sqlite_in(&folder)).await.expect("open")).await
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                let Some(log) = super::fresh_postgres(stringify!($case)).await else { return };
                super::$case(log).await
            })*
        }
        mod pooled {
            $(#[tokio::test]
            async fn $case() {
                let Some(log) = super::fresh_pooled(stringify!($case)).await else { return };
                super::$case(log).await
            })*
        }
    };
}

cases![
    an_empty_log,
    what_is_appended_is_read,
    an_append_again_is_committed_once,
    the_chain_is_by_id_not_by_number,
    a_batch_behind_a_refused_one_is_refused,
    pipelined_appends_land_in_order,
    keys_are_bytes_and_values_may_be_large,
    pages_are_cut_by_bytes,
    trimming_takes_rows_and_the_batches_they_leave_empty,
    a_snapshot_is_of_one_moment,
    many_rows_are_trimmed,
    an_incarnation_is_counted,
    a_lease_expires_only_if_nobody_renewed_it,
    what_is_late_for_an_earlier_grant_leaves_a_later_one_alone,
    sizes_are_told_and_space_is_reclaimed,
    racing_appenders_never_share_a_position,
];

async fn open_at(endpoint: &str) -> Result<Arc<dyn Log>, LogFault> {
    open(&endpoint.parse::<Endpoint>().expect("endpoint"), &Options::default()).await
}

fn sqlite_in(folder: &tempfile::TempDir) -> String {
    format!("sqlite://{}/deeper/log.db", folder.path().display())
}

async fn fresh_postgres(case: &str) -> Option<Arc<dyn Log>> {
    let url = tests::postgres::shared(case)?.database().await.expect("database");
    Some(open_at(&url).await.expect("open"))
}

/// Through a pooler in transaction mode.
async fn fresh_pooled(case: &str) -> Option<Arc<dyn Log>> {
    let (server, pooler) = tests::pooler::shared(case)?;
    let url = server.database().await.expect("database");
    Some(open_at(&pooler.url(&url)).await.expect("open"))
}
