//! Rows a second that one handle appends to a throw-away PostgreSQL with fsync on, by rows a batch:
//! `cargo run --release -p kine-shim --example append_speed`.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, stream::FuturesOrdered};
use kine_shim::{
    log::{Appended, Log, Options, open},
    model::{Batch, Entry, EntryKind, Head},
};
use tests::postgres::{Disk, Postgres};
use uuid::Uuid;

const LASTS: Duration = Duration::from_secs(3);
const DEPTH: usize = 4;

fn batch(head: Head, rows: usize, value: &Bytes) -> Batch {
    let row = |sub: usize| Entry {
        kind: EntryKind::Put,
        revision: head.position.0 as i64,
        sub_revision: 0,
        key: Bytes::from(format!("/registry/things/namespace/{:08}-{sub:04}", head.position.0)),
        value: value.clone(),
        create_revision: 1,
        version: 1,
        lease: 0,
    };
    Batch {
        position: head.position.next(),
        id: Uuid::new_v4(),
        prev_id: head.id,
        first_revision: 1,
        last_revision: rows as i64,
        writer: Uuid::nil(),
        at_ms: 0,
        entries: (0..rows).map(|sub| (sub as u32, row(sub))).collect(),
    }
}

async fn run(log: &Arc<dyn Log>, head: &mut Head, rows: usize, depth: usize, value: &Bytes) -> (f64, Duration) {
    let started = Instant::now();
    let (mut running, mut sent, mut done) = (FuturesOrdered::new(), VecDeque::new(), Vec::new());
    while started.elapsed() < LASTS || !running.is_empty() {
        while running.len() < depth && started.elapsed() < LASTS {
            let next = batch(*head, rows, value);
            *head = next.head();
            let log = log.clone();
            running.push_back(async move { log.append(&next).await });
            sent.push_back(Instant::now());
        }
        assert_eq!(running.next().await, Some(Ok(Appended::Committed)));
        done.push(sent.pop_front().expect("sent").elapsed());
    }
    done.sort();
    ((done.len() * rows) as f64 / started.elapsed().as_secs_f64(), done[done.len() / 2])
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let Some(server) = Postgres::start(Disk::Fsync).expect("start") else {
        return tests::skipped("rows_per_second", "no PostgreSQL");
    };
    let url = server.database().await.expect("database");
    let log = open(&url.parse().expect("url"), &Options::default()).await.expect("open");
    let value = Bytes::from((0..1024u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect::<Vec<_>>());
    let mut head = Head::default();
    for depth in [1, DEPTH] {
        for rows in [1, 16, 64, 256] {
            let (rate, p50) = run(&log, &mut head, rows, depth, &value).await;
            println!("depth {depth}, {rows:>3} rows a batch: {rate:>7.0} rows/s, p50 {:?}", p50);
        }
    }
}
