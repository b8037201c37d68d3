//! Many writers and watchers over two shims on one PostgreSQL: lists followed by watches see every change exactly once,
//! in order, whichever shim they ask. (kine loses events here.)

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use proto::{
    etcdserverpb::{
        Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest, WatchRequest,
        compare::{CompareTarget, TargetUnion},
        kv_client::KvClient,
        request_op::Request,
        watch_client::WatchClient,
        watch_request::RequestUnion,
    },
    mvccpb::{Event, KeyValue, event::EventType},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tests::{
    cluster::{Cluster, Spec},
    postgres,
};
use tonic::transport::Channel;

const WRITERS: usize = 16;
const WATCHERS: usize = 12;
const KEYS_PER_WRITER: u32 = 20;
const WRITES_PER_WRITER: usize = 250;
/// The h2 crate counts small frames that still arrive on a stream its user dropped, and after some hundred gives the
/// connection up: what drops a watch again and again takes turns between connections.
const LATE_CONNECTIONS: usize = 24;
const PREFIX: &str = "/events/";
const PREFIX_END: &str = "/events0";
const LAST: &str = "/events/~last";

/// What a watcher pieced together: its list's revision, the keys then, and every event after it.
struct Account {
    revision: i64,
    listed: BTreeMap<Bytes, KeyValue>,
    events: Vec<Event>,
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_watches_see_every_change_once_and_in_order() -> Result<()> {
    let case = "lists_and_watches_see_every_change_once_and_in_order";
    let Some(postgres) = postgres::shared(case) else { return Ok(()) };
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("SEED={seed}");
    let endpoint = Some(postgres.database().await?);
    let cluster = Cluster::start(Spec { endpoint, shims: 2, frontends: 0 }).await?;
    let channels = [cluster.channel(0).await?, cluster.channel(1).await?];

    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..WRITERS).map(|n| tokio::spawn(write(channels[n % 2].clone(), n, seed ^ n as u64))).collect();
    let watchers: Vec<_> =
        (0..WATCHERS).map(|n| tokio::spawn(watch(channels[n % 2].clone(), n as u64 * 100))).collect();
    let mut fresh = Vec::new();
    for _ in 0..LATE_CONNECTIONS {
        fresh.push(cluster.channel(1).await?);
    }
    let late = tokio::spawn(list_then_watch_again_and_again(fresh, done.clone()));

    let mut acknowledged = BTreeMap::new();
    for writer in writers {
        for (revision, key) in writer.await?? {
            let before = acknowledged.insert(revision, key.clone());
            ensure!(before.is_none(), "revision {revision} was given to {before:?} and to {key:?}");
        }
    }
    done.store(true, Ordering::Relaxed);
    let put = PutRequest { key: LAST.into(), ..Default::default() };
    KvClient::new(channels[0].clone()).put(put).await?;

    for watcher in watchers {
        let account = tokio::time::timeout(Duration::from_secs(30), watcher).await.context("a watch stalled")???;
        check(&account, &acknowledged)?;
    }
    println!("{} changes, {} late lists with watches", acknowledged.len(), late.await??);
    Ok(())
}

async fn range(kv: &mut KvClient<Channel>) -> Result<(i64, Vec<KeyValue>)> {
    let request = RangeRequest { key: PREFIX.into(), range_end: PREFIX_END.into(), ..Default::default() };
    let reply = kv.range(request).await?.into_inner();
    Ok((reply.header.context("no header")?.revision, reply.kvs))
}

/// Puts, deletes and compare-and-swaps on keys of its own: (revision, key) of every change that was acknowledged.
async fn write(channel: Channel, writer: usize, seed: u64) -> Result<Vec<(i64, Bytes)>> {
    let (mut kv, mut random) = (KvClient::new(channel), StdRng::seed_from_u64(seed));
    let mut changes = Vec::new();
    for number in 0..WRITES_PER_WRITER {
        let key = Bytes::from(format!("{PREFIX}{writer:02}/{}", random.random_range(0..KEYS_PER_WRITER)));
        let value = Bytes::from(format!("{writer}-{number}"));
        let put = PutRequest { key: key.clone(), value, ..Default::default() };
        let (header, changed) = match random.random_range(0..4) {
            0 => {
                let request = DeleteRangeRequest { key: key.clone(), ..Default::default() };
                let reply = kv.delete_range(request).await?.into_inner();
                (reply.header, reply.deleted > 0)
            }
            1 => {
                let absent = Compare {
                    target: CompareTarget::Mod as i32,
                    key: key.clone(),
                    target_union: Some(TargetUnion::ModRevision(0)),
                    ..Default::default()
                };
                let success = vec![RequestOp { request: Some(Request::RequestPut(put)) }];
                let reply = kv.txn(TxnRequest { compare: vec![absent], success, failure: vec![] }).await?.into_inner();
                (reply.header, reply.succeeded)
            }
            _ => (kv.put(put).await?.into_inner().header, true),
        };
        if changed {
            changes.push((header.context("no header")?.revision, key));
        }
    }
    Ok(changes)
}

/// A list, then a watch from the revision after it, until the last key.
async fn watch(channel: Channel, delay_ms: u64) -> Result<Account> {
    // Watchers begin at different moments of the load; the moment itself decides nothing.
    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    let (revision, kvs) = range(&mut KvClient::new(channel.clone())).await?;
    let listed = kvs.into_iter().map(|kv| (kv.key.clone(), kv)).collect();
    let create = WatchCreateRequest {
        key: PREFIX.into(),
        range_end: PREFIX_END.into(),
        start_revision: revision + 1,
        prev_kv: true,
        ..Default::default()
    };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let requests = futures::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    let mut stream = WatchClient::new(channel).watch(requests).await?.into_inner();
    let mut events = Vec::new();
    loop {
        let response = stream.message().await?.context("the watch ended")?;
        ensure!(!response.canceled, "cancelled: {}", response.cancel_reason);
        for event in response.events {
            if event.kv.as_ref().is_some_and(|kv| kv.key == LAST) {
                return Ok(Account { revision, listed, events });
            }
            events.push(event);
        }
    }
}

/// What the account holds must be exactly what the writers were told, from its list's revision on, with every previous
/// value.
fn check(account: &Account, acknowledged: &BTreeMap<i64, Bytes>) -> Result<()> {
    let revisions =
        |events: &[Event]| -> Vec<i64> { events.iter().flat_map(|e| &e.kv).map(|kv| kv.mod_revision).collect() };
    let expected: Vec<i64> = acknowledged.range(account.revision + 1..).map(|(revision, _)| *revision).collect();
    let seen = revisions(&account.events);
    ensure!(seen == expected, "after revision {}: saw {seen:?}, acknowledged {expected:?}", account.revision);
    let mut state = account.listed.clone();
    for event in &account.events {
        let kv = event.kv.as_ref().context("an event without key")?;
        ensure!(acknowledged[&kv.mod_revision] == kv.key, "{kv:?} is not what was written at its revision");
        let before = if event.r#type == EventType::Delete as i32 {
            state.remove(&kv.key)
        } else {
            state.insert(kv.key.clone(), kv.clone())
        };
        ensure!(before == event.prev_kv, "{kv:?}: previous {:?}, but {before:?} was there", event.prev_kv);
    }
    Ok(())
}

/// Short lists and watches while the load runs: the first event of each must be the first change after its list.
async fn list_then_watch_again_and_again(channels: Vec<Channel>, done: Arc<AtomicBool>) -> Result<usize> {
    let mut rounds = 0;
    while !done.load(Ordering::Relaxed) {
        let channel = &channels[rounds % channels.len()];
        let mut kv = KvClient::new(channel.clone());
        let (revision, kvs) = range(&mut kv).await?;
        ensure!(kvs.iter().all(|kv| kv.mod_revision <= revision), "a key newer than the list's revision {revision}");
        if kvs.iter().any(|kv| kv.key == LAST) {
            break;
        }
        let create = WatchCreateRequest {
            key: PREFIX.into(),
            range_end: PREFIX_END.into(),
            start_revision: revision + 1,
            ..Default::default()
        };
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let requests = futures::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
        let mut stream = WatchClient::new(channel.clone()).watch(requests).await?.into_inner();
        let first = loop {
            let response = stream.message().await?.context("the watch ended")?;
            if let Some(first) = response.events.into_iter().next() {
                break first.kv.context("an event without key")?.mod_revision;
            }
        };
        // Nothing else writes: revisions have no gaps, so the first event is the very next one.
        ensure!(first == revision + 1, "list at {revision}, first event {first}");
        rounds += 1;
    }
    Ok(rounds)
}
