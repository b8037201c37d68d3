//! What only the SQLite log can meet: its file held by another, damaged, foreign, newer, read-only, and opened again.

use std::{path::Path, sync::Arc};

use kine_shim::{
    log::{Appended, Endpoint, Log, LogFault, Options, open},
    model::{Batch, Entry, EntryKind, Head, Position},
};
use rusqlite::Connection;
use uuid::Uuid;

async fn open_file(file: &Path) -> Result<Arc<dyn Log>, LogFault> {
    open(&Endpoint::Sqlite { file: file.to_owned() }, &Options::default()).await
}

async fn unusable(file: &Path) -> String {
    match open_file(file).await {
        Err(LogFault::Unusable(text)) => text,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened"),
    }
}

fn batch(head: Head) -> Batch {
    Batch {
        position: head.position.next(),
        id: Uuid::new_v4(),
        prev_id: head.id,
        first_revision: 2,
        last_revision: 1,
        writer: Uuid::nil(),
        at_ms: 0,
        entries: Vec::new(),
    }
}

#[tokio::test]
async fn a_reopened_file_keeps_everything() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("log.db");
    let first = batch(Head::default());
    let log = open_file(&file).await.expect("open");
    assert_eq!(log.append(&first).await, Ok(Appended::Committed));
    let system = log.read_index(Position(0)).await.expect("read_index").identity.system;
    drop(log);
    let log = open_file(&file).await.expect("open again");
    assert_eq!(log.append(&first).await, Ok(Appended::Committed));
    let read_index = log.read_index(Position(1)).await.expect("read_index");
    assert_eq!(
        (read_index.head, read_index.id_at_applied, read_index.identity.system),
        (first.head(), Some(first.id), system)
    );
}

/// In slices of many pages: the write that waits has its turn between two of them.
#[tokio::test]
async fn the_file_shrinks_while_writes_go_on() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("log.db");
    let log = open_file(&file).await.expect("open");
    let value = bytes::Bytes::from(vec![7; 64 << 10]);
    let entry = |sub: u32| Entry {
        kind: EntryKind::Put,
        revision: 2,
        sub_revision: sub,
        key: format!("{sub}").into(),
        value: value.clone(),
        create_revision: 2,
        version: 1,
        lease: 0,
    };
    let wide = Batch { entries: (0..400).map(|sub| (sub, entry(sub))).collect(), ..batch(Head::default()) };
    assert_eq!(log.append(&wide).await, Ok(Appended::Committed));
    let next = batch(wide.head());
    assert_eq!(log.append(&next).await, Ok(Appended::Committed));
    let full = log.size().await.expect("size").total_bytes;
    let garbage: Vec<_> = (0..400).map(|sub| (Position(1), sub)).collect();
    log.trim(Position(2), &garbage).await.expect("trim");
    let last = batch(next.head());
    let (reclaimed, appended) = tokio::join!(log.reclaim(), log.append(&last));
    assert_eq!((reclaimed, appended), (Ok(()), Ok(Appended::Committed)));
    let size = log.size().await.expect("size");
    assert!(size.total_bytes < full / 20 && size.in_use_bytes == size.total_bytes, "{full} bytes became {size:?}");
    assert!(std::fs::metadata(&file).expect("file").len() < full as u64 / 20);
}

#[tokio::test]
async fn a_second_owner_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("log.db");
    let log = open_file(&file).await.expect("open");
    assert!(unusable(&file).await.contains("in use by another process"));
    assert_eq!(log.append(&batch(Head::default())).await, Ok(Appended::Committed));
}

#[tokio::test]
async fn files_that_are_not_ours_are_named_and_left_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let text = folder.path().join("text");
    std::fs::write(&text, "not a database, ".repeat(1000)).expect("write");
    assert!(unusable(&text).await.contains("damaged or not one"));

    let foreign = folder.path().join("foreign");
    Connection::open(&foreign).expect("open").execute_batch("CREATE TABLE kine (id INTEGER)").expect("create");
    let before = std::fs::read(&foreign).expect("read");
    assert!(unusable(&foreign).await.contains("of another program"));
    assert_eq!(std::fs::read(&foreign).expect("read"), before);

    assert!(unusable(folder.path()).await.contains("cannot be written"));
    assert!(unusable(&text.join("below/a/file")).await.contains("cannot create"));
}

#[tokio::test]
async fn a_newer_format_is_refused_with_both_numbers() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("log.db");
    drop(open_file(&file).await.expect("open"));
    let edit = |sql: &str| Connection::open(&file).expect("open").execute_batch(sql).expect("edit");
    edit("UPDATE meta SET schema_version = 99");
    drop(open_file(&file).await.expect("a later release expanded the schema"));
    edit("UPDATE meta SET reader_format = 3");
    let text = unusable(&file).await;
    assert!(text.contains("newer version") && text.contains("reader format 3") && text.contains("up to 1"), "{text}");
}

#[tokio::test]
async fn damage_is_told_and_never_a_short_answer() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("log.db");
    let log = open_file(&file).await.expect("open");
    let mut head = Head::default();
    for _ in 0..2000 {
        let next = batch(head);
        assert_eq!(log.append(&next).await, Ok(Appended::Committed));
        head = next.head();
    }
    drop(log);
    let mut bytes = std::fs::read(&file).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xa5);
    std::fs::write(&file, bytes).expect("write");
    let outcome = match open_file(&file).await {
        Ok(log) => match log.snapshot().await {
            Ok(mut snapshot) => snapshot.next(1 << 30).await.map(|_| ()),
            Err(fault) => Err(fault),
        },
        Err(fault) => Err(fault),
    };
    assert!(matches!(&outcome, Err(LogFault::Unusable(text)) if text.contains("damaged")), "{outcome:?}");
}
