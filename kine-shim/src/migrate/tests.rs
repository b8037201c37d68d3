//! What is imported is what was written, wherever an import is interrupted, and a shim serves nothing less.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    export,
    import::{self, Imported},
    load,
    progress::Progress,
    read::{EtcdFile, HashCheck},
    source::Feed,
    write::{Member, Snapshot},
};
use crate::{
    grpc::hash,
    log::{Appended, Log, memory::MemoryLog},
    model::{Batch, KeyRange, Op, Put, ReadAt},
    settings::ShimConfig,
    shim::Shim,
    state::State,
};

const NOBODY: uuid::Uuid = uuid::Uuid::nil();

fn member() -> Member {
    Member { id: 0xABC, name: "default".into(), client_urls: vec!["http://127.0.0.1:2379".into()] }
}

/// A store with some history: puts, deletions, leases, perhaps compactions, records of users.
fn some_state(seed: u64) -> State {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut state = State::new();
    for number in 1..200_u128 {
        let mut draft = state.draft();
        for _ in 0..rng.random_range(1..5) {
            let _ = draft.evaluate(&some_op(&mut rng, draft.revision()));
        }
        if !draft.is_empty() {
            let id = uuid::Uuid::from_u128(number);
            state = draft.finish(id, NOBODY, 0).1;
        }
    }
    state
}

fn some_op(rng: &mut StdRng, revision: i64) -> Op {
    let key = Bytes::from(format!("/registry/{}", rng.random_range(0..60)));
    match rng.random_range(0..100) {
        0..60 => Op::Put(Put {
            value: Bytes::from(vec![rng.random(); if rng.random_range(0..40) == 0 { 9_000 } else { 40 }]),
            lease: if rng.random_range(0..4) == 0 { rng.random_range(1..4) } else { 0 },
            ..Put::of(key, Bytes::new())
        }),
        60..85 => Op::DeleteRange(crate::model::DeleteRange { range: KeyRange::single(key), prev_kv: false }),
        85..93 => Op::LeaseGrant { id: rng.random_range(1..4), ttl: rng.random_range(5..5_000) },
        93..95 => Op::LeaseRevoke { id: rng.random_range(1..4) },
        95..98 => Op::Record { key: format!("auth/user/{}", rng.random_range(0..3)).into(), value: "\n\x01u".into() },
        _ => Op::Compact { revision: rng.random_range(0..=revision) },
    }
}

fn save(state: &State, path: &Path) {
    let mut snapshot = Snapshot::of(state, &member());
    let mut file = Vec::new();
    loop {
        let piece = snapshot.next(32 << 10);
        if piece.is_empty() {
            break;
        }
        file.extend(piece);
    }
    assert_eq!(file.len() as u64, snapshot.bytes());
    file.extend(snapshot.hash());
    std::fs::write(path, file).unwrap();
}

async fn import_file(path: &Path, log: Arc<dyn Log>) -> anyhow::Result<Imported> {
    import::from_file(log, EtcdFile::open(path, HashCheck::Required)?).await
}

async fn loaded(log: &dyn Log) -> State {
    load::state(log, &mut Progress::of("test")).await.unwrap()
}

/// Everything that a client can see of the two is the same.
fn assert_same(found: &State, expected: &State, seed: u64) {
    assert_eq!((found.revision(), found.compacted_at()), (expected.revision(), expected.compacted_at()), "seed {seed}");
    for revision in
        (expected.compacted().max(1)..=expected.revision()).rev().step_by(17).chain([expected.compacted().max(1)])
    {
        let hash = |state: &State| hash::of(&state.scrub(ReadAt::Revision(revision)).unwrap());
        assert_eq!(hash(found), hash(expected), "seed {seed}: HashKV at {revision}");
    }
    let leases = |state: &State| {
        state.leases().map(|lease| (lease.id, lease.ttl, state.lease_keys(lease.id))).collect::<Vec<_>>()
    };
    assert_eq!(leases(found), leases(expected), "seed {seed}");
    let users = |state: &State| {
        let records = state.records().into_iter();
        records.filter(|(key, _)| key.starts_with(b"auth/user/")).collect::<Vec<_>>()
    };
    assert_eq!(users(found), users(expected), "seed {seed}");
}

#[tokio::test]
async fn a_store_survives_snapshot_and_import() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot.db");
    for seed in 0..12 {
        let state = some_state(seed);
        save(&state, &path);
        let log = Arc::new(MemoryLog::new());
        let imported = import_file(&path, log.clone()).await.unwrap();
        assert_eq!((imported.revision, imported.keys), (state.revision(), state.len()), "seed {seed}");
        assert_same(&loaded(&*log).await, &state, seed);

        let back = dir.path().join("back.db");
        let exported = export::run(&*log, &back).await.unwrap();
        assert_eq!(exported.hash, imported.hash, "seed {seed}");
        let again = Arc::new(MemoryLog::new());
        assert_eq!(import_file(&back, again).await.unwrap(), imported, "seed {seed}");
    }
}

#[tokio::test]
async fn a_shim_goes_on_from_what_was_imported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot.db");
    let state = some_state(3);
    save(&state, &path);
    let log = Arc::new(MemoryLog::new());
    import_file(&path, log.clone()).await.unwrap();
    let shim = Shim::start(log.clone(), ShimConfig::default()).await.unwrap();
    let put = Put::of("/registry/new".into(), "x".into());
    let (revision, _) = shim.write(Op::Put(put)).await.unwrap();
    assert_eq!(revision, state.revision() + 1);
    shim.stop().await;
    let error = import_file(&path, log).await.unwrap_err();
    assert!(format!("{error:#}").contains("the target was written to"), "{error:#}");
}

#[tokio::test]
async fn a_store_in_use_is_not_imported_into() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot.db");
    save(&some_state(1), &path);
    let log = Arc::new(MemoryLog::new());
    let shim = Shim::start(log.clone(), ShimConfig::default()).await.unwrap();
    shim.write(Op::LeaseGrant { id: 1, ttl: 60 }).await.unwrap();
    let error = import_file(&path, log).await.unwrap_err();
    assert!(format!("{error:#}").contains("the target is not empty"), "{error:#}");
}

async fn batches(log: &dyn Log) -> Vec<Batch> {
    let (mut all, mut snapshot) = (Vec::new(), log.snapshot().await.unwrap());
    loop {
        let page = snapshot.next(1 << 20).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

#[tokio::test]
async fn an_import_goes_on_wherever_it_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("snapshot.db"), dir.path().join("other.db"));
    let state = some_state(5);
    save(&state, &path);
    save(&some_state(6), &other);
    let whole = Arc::new(MemoryLog::new());
    let imported = import_file(&path, whole.clone()).await.unwrap();
    let batches = batches(&*whole).await;
    assert!(batches.len() > 2);
    for killed_after in 1..=batches.len() {
        let log = Arc::new(MemoryLog::new());
        for batch in &batches[..killed_after] {
            assert_eq!(log.append(batch).await, Ok(Appended::Committed));
        }
        if killed_after < batches.len() {
            let refused = Shim::start(log.clone(), ShimConfig::default()).await.err().unwrap();
            assert!(refused.to_string().contains("an import into this store"), "{refused}");
            let error = import_file(&other, log.clone()).await.unwrap_err();
            assert!(format!("{error:#}").contains("import"), "{error:#}");
        }
        assert_eq!(import_file(&path, log.clone()).await.unwrap(), imported, "killed after {killed_after}");
        assert_same(&loaded(&*log).await, &state, 5);
    }
}

/// A shim that was there a moment before the import sees it begin, and serves nothing of it before its end.
#[tokio::test]
async fn an_import_that_begins_under_a_shim_is_no_news_to_its_clients() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot.db");
    save(&some_state(8), &path);
    let whole = Arc::new(MemoryLog::new());
    import_file(&path, whole.clone()).await.unwrap();
    let batches = batches(&*whole).await;
    let mut state = State::new();
    assert!(state.apply(&batches[0]).is_err(), "what a running shim applies");
}

#[tokio::test]
async fn a_damaged_snapshot_never_gets_far() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot.db");
    save(&some_state(2), &path);
    let sound = std::fs::read(&path).unwrap();
    for seed in 0..60 {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut damaged = sound.clone();
        let at = rng.random_range(0..sound.len());
        damaged[at] ^= 1 << rng.random_range(0..8);
        if rng.random_range(0..4) == 0 {
            damaged.truncate(at);
        }
        std::fs::write(&path, &damaged).unwrap();
        assert!(import_file(&path, Arc::new(MemoryLog::new())).await.is_err(), "the hash tells");
        // Without the hash: an error or a store, never a panic.
        if let Ok(file) = EtcdFile::open(&path, HashCheck::Skipped) {
            let log = Arc::new(MemoryLog::new());
            let (feed, steps) = Feed::new();
            let reading = tokio::task::spawn_blocking(move || file.run(feed));
            let _ = import::run(log, "damaged", steps).await;
            reading.await.unwrap();
        }
    }
}

/// A table as kine leaves it: (id, name, created, deleted, create_revision, prev_revision, lease, value).
type KineRow = (i64, &'static str, i64, i64, i64, i64, i64, &'static str);

fn kine_file(path: &Path, rows: &[KineRow]) {
    let _ = std::fs::remove_file(path);
    let connection = rusqlite::Connection::open(path).unwrap();
    let table = "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER, \
                 create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)";
    connection.execute_batch(table).unwrap();
    for (id, name, created, deleted, create, prev, lease, value) in rows {
        let row = rusqlite::params![id, name, created, deleted, create, prev, lease, value.as_bytes()];
        connection.execute("INSERT INTO kine VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)", row).unwrap();
    }
}

/// Compacted at 7.
const KINE: [KineRow; 12] = [
    (1, "compact_rev_key", 1, 0, 0, 7, 0, ""),
    (3, "/registry/kept", 0, 0, 2, 2, 0, "kept since 2"),
    // Superseded and deleted before 7, and yet there.
    (4, "/registry/old", 1, 0, 0, 0, 0, "old"),
    (5, "/registry/old", 0, 0, 4, 4, 0, "new"),
    (6, "/registry/gone", 1, 0, 0, 0, 0, "gone"),
    (7, "/registry/gone", 0, 1, 6, 6, 0, "gone"),
    (8, "gap-8", 0, 1, 0, 0, 0, ""),
    (9, "/registry/kept", 0, 0, 2, 3, 0, "kept, again"),
    (10, "/registry/event", 1, 0, 0, 0, 3600, "event"),
    (11, "compact_rev_key_apiserver", 1, 0, 0, 0, 0, "5|1234"),
    (12, "/registry/old", 0, 1, 4, 5, 0, "new"),
    (13, "gap-13", 0, 1, 0, 0, 0, ""),
];

#[tokio::test]
async fn kines_table_becomes_the_store_that_its_clients_saw() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    kine_file(&path, &KINE);
    let log = Arc::new(MemoryLog::new());
    let endpoint = format!("sqlite://{}?_journal=WAL", path.display()).parse().unwrap();
    let imported = super::kine::import_from(log.clone(), &endpoint, &Default::default()).await.unwrap();
    assert_eq!((imported.revision, imported.compacted, imported.keys, imported.leases), (13, Some(7), 3, 1));
    let state = loaded(&*log).await;
    let at = |at| {
        let range = crate::model::Range { at, ..crate::model::Range::of(KeyRange::everything()) };
        let found = state.range(&range).unwrap().kvs.into_iter();
        let found = found.map(|kv| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (text(&kv.key), text(&kv.value), kv.create_revision, kv.mod_revision, kv.version, kv.lease > 0)
        });
        found.collect::<Vec<_>>()
    };
    let row = |key: &str, value: &str, create, changed, version, leased| {
        (key.to_owned(), value.to_owned(), create, changed, version, leased)
    };
    let expected = [
        row("/registry/event", "event", 10, 10, 1, true),
        row("/registry/kept", "kept, again", 2, 9, 3, false),
        row("compact_rev_key", "1234", 11, 11, 5, false),
    ];
    assert_eq!(at(ReadAt::Latest), expected);
    let expected = [row("/registry/kept", "kept since 2", 2, 3, 2, false), row("/registry/old", "new", 4, 5, 2, false)];
    assert_eq!(at(ReadAt::Revision(7)), expected);
    let lease = state.leases().next().unwrap();
    assert_eq!((lease.ttl, state.lease_keys(lease.id)), (3600, vec![Bytes::from("/registry/event")]));

    // Again, after a change: what is there is of another table.
    kine_file(&path, &KINE[..11]);
    let error = super::kine::import_from(log, &endpoint, &Default::default()).await.unwrap_err();
    assert!(format!("{error:#}").contains("another source"), "{error:#}");
}

#[tokio::test]
async fn a_file_without_kines_table_is_no_source() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (id INTEGER)").unwrap();
    let endpoint = format!("sqlite://{}", path.display()).parse().unwrap();
    let error = super::kine::import_from(Arc::new(MemoryLog::new()), &endpoint, &Default::default()).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot read the table kine"), "{error:#}");
}
