//! The watch cache: nothing lost, nothing twice, nothing out of order.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use frontend::store::{
    CacheEvent, CacheLimits, CreateOutcome, DeleteOutcome, EventKind, Scope, Snapshot, Store, StoreConfig, StoreError,
    UpdateOutcome, WatchEnd,
};
use proto::etcdserverpb::{CompactionRequest, kv_client::KvClient};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use crate::{
    proxy::Proxy,
    server::{Server, eventually},
};

const LIMIT: Duration = Duration::from_secs(10);

fn things(store: &Store) -> Scope {
    Scope::resource(&format!("{}/things", store.prefix()))
}

async fn create(store: &Store, name: &str) -> i64 {
    match store.create(&format!("{}/things/{name}", store.prefix()), name.to_owned(), None).await.unwrap() {
        CreateOutcome::Created { revision } => revision,
        CreateOutcome::Exists => panic!("{name} exists"),
    }
}

/// What a watcher believes is there; every event must follow from it.
struct Model {
    keys: BTreeMap<String, i64>,
    revision: i64,
}

impl Model {
    fn of(snapshot: &Snapshot) -> Model {
        let keys = snapshot.iter().map(|entry| (entry.key().to_string(), entry.mod_revision())).collect();
        Model { keys, revision: snapshot.revision() }
    }

    fn apply(&mut self, event: &CacheEvent) {
        assert!(event.revision() > self.revision, "{event:?} after revision {}", self.revision);
        self.revision = event.revision();
        let key = event.entry().key().to_string();
        let known = match event.kind() {
            EventKind::Deleted => self.keys.remove(&key),
            EventKind::Created | EventKind::Updated => self.keys.insert(key, event.revision()),
        };
        assert_eq!(event.prev().map(|prev| prev.mod_revision()), known, "{event:?}");
        assert_eq!(event.kind() == EventKind::Created, known.is_none(), "{event:?}");
        assert_eq!(event.entry().mod_revision(), event.revision());
    }
}

async fn write_at_random(store: Store, seed: u64, writes: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    for step in 0..writes {
        let key = format!("{}/things/ns{}/{}", store.prefix(), random.random_range(0..3), random.random_range(0..20));
        let value = format!("{seed}-{step}");
        match store.get(&key).await.unwrap() {
            None => drop(store.create(&key, value, None).await.unwrap()),
            Some(current) if random.random_bool(0.4) => {
                let _: DeleteOutcome = store.delete(&key, current.mod_revision).await.unwrap();
            }
            Some(current) => {
                let _: UpdateOutcome = store.update(&key, current.mod_revision, value, None).await.unwrap();
            }
        }
    }
}

/// Lists, follows for a while, begins anew; ends when the writers are done and all was seen.
async fn follow(store: Store, scope: Scope, done: Arc<AtomicBool>, seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let mut events = 0;
    loop {
        let (snapshot, mut watch) = store.cache().list_then_watch(&scope).unwrap();
        let mut model = Model::of(&snapshot);
        for _ in 0..random.random_range(1..200) {
            let finished = done.load(Ordering::SeqCst);
            if finished {
                let now = store.current_revision().await.unwrap();
                store.cache().wait_for(now, LIMIT).await.unwrap();
            }
            let next = tokio::time::timeout(Duration::from_millis(20), watch.next(random.random_range(1..50))).await;
            for event in next.map_or_else(|_| Vec::new(), Result::unwrap) {
                model.apply(&event);
                events += 1;
            }
            if let Some(caught_up) = watch.caught_up() {
                assert!(caught_up >= model.revision);
                if finished {
                    let page = store.list(scope.key_prefix(), 0).await.unwrap();
                    let truth = page.items.iter().map(|item| (item.key.to_string(), item.mod_revision)).collect();
                    assert_eq!(model.keys, truth);
                    return events;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_and_no_event_lost_twice_or_out_of_order() {
    let Some(server) = Server::start() else { return };
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let store = server.store().await;
    let config = StoreConfig { prefix: store.prefix().to_owned(), ..StoreConfig::new(server.endpoints.clone()) };
    let other = server.store_with(config).await;
    let all = things(&store);
    let one = Scope::namespace(&format!("{}/things", store.prefix()), "ns1");
    let done = Arc::new(AtomicBool::new(false));
    let followers: Vec<_> = (0..8u64)
        .map(|n| {
            let store = if n % 2 == 0 { store.clone() } else { other.clone() };
            let scope = if n < 4 { all.clone() } else { one.clone() };
            tokio::spawn(follow(store, scope, done.clone(), seed.wrapping_add(n)))
        })
        .collect();
    let writers: Vec<_> =
        (0..16u64).map(|n| tokio::spawn(write_at_random(store.clone(), seed.wrapping_add(100 + n), 60))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for follower in followers {
        assert!(follower.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_watches_are_resumed_without_a_seam() {
    let Some(server) = Server::start() else { return };
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let direct = server.store().await;
    let proxies = [Proxy::start(&server.endpoints[0]).await, Proxy::start(&server.endpoints[0]).await];
    let servers = proxies.iter().map(Proxy::url).collect();
    let config = StoreConfig { prefix: direct.prefix().to_owned(), ..StoreConfig::new(servers) };
    let proxied = server.store_with(config).await;
    let done = Arc::new(AtomicBool::new(false));
    let followers: Vec<_> = (0..4u64)
        .map(|n| tokio::spawn(follow(proxied.clone(), things(&direct), done.clone(), seed.wrapping_add(n))))
        .collect();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..8u64 {
        writers.spawn(write_at_random(direct.clone(), seed.wrapping_add(100 + n), 60));
    }
    let mut random = StdRng::seed_from_u64(seed);
    while !writers.is_empty() {
        let proxy = &proxies[random.random_range(0..2)];
        proxy.sever();
        let pause = Duration::from_millis(random.random_range(1..60));
        // Writing goes on meanwhile; how long a break lasts is part of the case.
        let _ = tokio::time::timeout(pause, writers.join_next()).await;
        proxy.mend();
    }
    done.store(true, Ordering::SeqCst);
    for follower in followers {
        assert!(follower.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn replies_and_events_may_be_large() {
    let Some(server) = Server::start() else { return };
    let direct = server.store().await;
    let proxy = Proxy::start(&server.endpoints[0]).await;
    let config = StoreConfig { prefix: direct.prefix().to_owned(), ..StoreConfig::new(vec![proxy.url()]) };
    let store = server.store_with(config).await;
    let (_, mut watch) = store.cache().list_then_watch(&things(&store)).unwrap();
    // What was written during a break arrives at once: far more than the 4 MiB that clients accept by default.
    proxy.sever();
    for n in 0..8 {
        let key = format!("{}/things/{n}", direct.prefix());
        direct.create(&key, vec![b'x'; 1 << 20], None).await.unwrap();
    }
    proxy.mend();
    let mut seen = 0;
    while seen < 8 {
        seen += tokio::time::timeout(LIMIT, watch.next(100)).await.unwrap().unwrap().len();
    }
    let page = direct.list(things(&store).key_prefix(), 0).await.unwrap();
    assert_eq!(page.items.iter().map(|item| item.value.len()).sum::<usize>(), 8 << 20);
    let fresh = server.store_with(StoreConfig { prefix: direct.prefix().to_owned(), ..server.config() }).await;
    assert_eq!(fresh.cache().snapshot(&things(&store)).unwrap().len(), 8);
}

#[tokio::test]
async fn a_watch_from_the_past_gets_all_that_followed() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let mut revisions = Vec::new();
    for n in 0..20 {
        revisions.push(create(&store, &format!("{n:02}")).await);
    }
    store.cache().wait_for(revisions[19], LIMIT).await.unwrap();
    for start in [0, 7, 19] {
        let mut watch = store.cache().watch(&things(&store), revisions[start]).unwrap();
        let mut seen = Vec::new();
        while let Ok(events) = watch.take(3)
            && !events.is_empty()
        {
            seen.extend(events.iter().map(|event| event.revision()));
        }
        assert_eq!(seen, revisions[start + 1..]);
        assert!(watch.caught_up().unwrap() >= revisions[19]);
    }
    // From a revision to come: nothing up to there.
    let mut future = store.cache().watch(&things(&store), revisions[19] + 1).unwrap();
    create(&store, "skipped").await;
    let wanted = create(&store, "wanted").await;
    assert_eq!(future.next(10).await.unwrap()[0].revision(), wanted);
}

#[tokio::test]
async fn a_fresh_read_waits_for_the_fence_and_no_longer() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let elsewhere = server.store().await;
    for n in 0..10 {
        let name = format!("{n}");
        let written = create(&store, &name).await;
        // Changes outside the cache's prefix bring no event: only progress tells.
        create(&elsewhere, &name).await;
        let now = store.current_revision().await.unwrap();
        assert!(now > written);
        store.cache().wait_for(now, LIMIT).await.unwrap();
        assert!(store.cache().revision() >= now);
        let key = format!("{}/things/{name}", store.prefix());
        assert_eq!(store.cache().get(&key).unwrap().unwrap().mod_revision(), written);
    }
    let future = store.cache().revision() + 1_000_000;
    let refused = store.cache().wait_for(future, Duration::from_millis(300)).await;
    assert!(matches!(refused, Err(StoreError::FutureRevision { requested, .. }) if requested == future));
}

#[tokio::test]
async fn many_share_a_fence_that_was_not_sent_before_them() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let written = create(&store, &format!("{n}")).await;
                assert!(store.current_revision().await.unwrap() >= written);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn compact(endpoint: &str, revision: i64) {
    let channel = tonic::transport::Endpoint::new(endpoint.to_owned()).unwrap().connect_lazy();
    KvClient::new(channel).compact(CompactionRequest { revision, physical: false }).await.unwrap();
}

#[tokio::test]
async fn what_was_compacted_meanwhile_is_read_again() {
    let Some(server) = Server::start() else { return };
    let direct = server.store().await;
    let proxy = Proxy::start(&server.endpoints[0]).await;
    let config = StoreConfig { prefix: direct.prefix().to_owned(), ..StoreConfig::new(vec![proxy.url()]) };
    let store = server.store_with(config).await;
    let (scope, kept) = (things(&store), create(&direct, "kept").await);
    let gone = create(&direct, "gone").await;
    store.cache().wait_for(gone, LIMIT).await.unwrap();
    let (_, mut watch) = store.cache().list_then_watch(&scope).unwrap();
    let kept_entry = store.cache().get(&format!("{}/things/kept", store.prefix())).unwrap().unwrap();

    proxy.sever();
    direct.delete(&format!("{}/things/gone", direct.prefix()), gone).await.unwrap();
    let new = create(&direct, "new").await;
    compact(&server.endpoints[0], new).await;
    proxy.mend();

    assert_eq!(tokio::time::timeout(LIMIT, watch.next(1)).await.unwrap().unwrap_err(), WatchEnd::Reset);
    eventually("the cache is current", async || store.cache().wait_for(new, LIMIT).await.is_ok()).await;
    let snapshot = store.cache().snapshot(&scope).unwrap();
    let names: Vec<_> = snapshot.iter().map(|entry| (entry.name().to_owned(), entry.mod_revision())).collect();
    assert_eq!(names, [("kept".to_owned(), kept), ("new".to_owned(), new)]);
    assert!(Arc::ptr_eq(&kept_entry, snapshot.get(&format!("{}/things/kept", store.prefix())).unwrap()));
    assert!(matches!(store.cache().watch(&scope, gone), Err(WatchEnd::Expired { requested, .. }) if requested == gone));
    let later = create(&direct, "later").await;
    let mut watch = store.cache().watch(&scope, snapshot.revision()).unwrap();
    assert_eq!(watch.next(10).await.unwrap()[0].revision(), later);
}

#[tokio::test]
async fn a_watcher_that_falls_behind_is_told_and_costs_nobody() {
    let Some(server) = Server::start() else { return };
    let cache = CacheLimits { events_min: 1, events_max: 10, ..CacheLimits::default() };
    let store = server.store_with(StoreConfig { cache, ..server.config() }).await;
    let (_, mut slow) = store.cache().list_then_watch(&things(&store)).unwrap();
    let (_, mut idle) =
        store.cache().list_then_watch(&Scope::namespace(&format!("{}/things", store.prefix()), "quiet")).unwrap();
    let first = create(&store, "first").await;
    let mut last = 0;
    for n in 0..30 {
        last = create(&store, &format!("{n}")).await;
    }
    store.cache().wait_for(last, LIMIT).await.unwrap();
    assert_eq!(slow.take(100).unwrap_err(), WatchEnd::TooSlow);
    assert!(matches!(store.cache().watch(&things(&store), first), Err(WatchEnd::Expired { .. })));
    // Whom no event concerned has missed none.
    assert!(idle.caught_up().unwrap() >= last);
    let wanted = create(&store, "quiet/a").await;
    assert_eq!(idle.next(1).await.unwrap()[0].revision(), wanted);
}

#[tokio::test]
async fn snapshots_page_and_count() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let mut last = 0;
    for n in 0..30 {
        last = create(&store, &format!("ns{}/{n:02}", n % 3)).await;
    }
    store.cache().wait_for(last, LIMIT).await.unwrap();
    let prefix = format!("{}/things", store.prefix());
    let snapshot = store.cache().snapshot(&Scope::namespace(&prefix, "ns1")).unwrap();
    assert_eq!((snapshot.len(), snapshot.revision() >= last), (10, true));
    let page: Vec<_> = snapshot.iter().take(4).cloned().collect();
    assert_eq!(snapshot.count_after(page[3].key()), 6);
    let rest = snapshot.iter_from(&format!("{}\0", page[3].key())).count();
    assert_eq!(rest, 6);
    assert_eq!((page[0].name(), page[0].namespace()), ("01", "ns1"));
    let empty = store.cache().snapshot(&Scope::resource(&format!("{}/nothing", store.prefix()))).unwrap();
    assert!(empty.is_empty());
}
