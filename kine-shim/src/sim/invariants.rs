//! The numbered invariants of ARCHITECTURE.md, each shown once in the smallest setting; [`super::tests`] looks for the
//! rest at random.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    clients::range_of,
    database::{Database, Faults, SimLog},
    model::Lineage,
};
use crate::{
    model::{
        Compare, CompareResult, CompareTarget, Error, Fault, Key, KeyRange, KeyValue, Op, Put, Range, Reply, Revision,
        Txn, TxnOp,
    },
    settings::ShimConfig,
    shim::{Consistency, Shim},
    state::State,
    watch::{Filters, WatchMessage, WatchRequest, WatchStream},
};

struct Setting {
    database: Arc<Database>,
    logs: Vec<Arc<SimLog>>,
    shims: Vec<Shim>,
}

async fn setting(shims: usize) -> Setting {
    let mut setting = Setting { database: Database::new(1, None), logs: Vec::new(), shims: Vec::new() };
    for seed in 1..=shims {
        let log = setting.database.connect();
        setting.shims.push(start(log.clone(), seed as u64).await);
        setting.logs.push(log);
    }
    setting
}

async fn start(log: Arc<SimLog>, seed: u64) -> Shim {
    // Pages of a few batches, trims of a few rows.
    let config = ShimConfig { seed: Some(seed), page_bytes: 2_000, trim_rows: 10, ..ShimConfig::default() };
    Shim::start(log, config).await.expect("a sound database")
}

/// Writes a key over and over, and compacts now and then.
async fn churn(shim: Shim, rounds: usize) {
    for n in 0..rounds {
        let (revision, _) = shim.write(put(format!("k{}", n % 3), &n.to_string())).await.expect("a write");
        if n % 5 == 4 {
            shim.write(Op::Compact { revision }).await.expect("a compaction");
        }
    }
}

fn reloads(shim: &Shim) -> u64 {
    shim.counters().reloads.load(std::sync::atomic::Ordering::Relaxed)
}

fn put(key: impl AsRef<[u8]>, value: &str) -> Op {
    let (key, value) = (Key::copy_from_slice(key.as_ref()), Key::copy_from_slice(value.as_bytes()));
    Op::Put(Put::of(key, value))
}

async fn write(shim: &Shim, op: Op) -> Revision {
    shim.write(op).await.expect("a write").0
}

/// A create of a key: fails if it is there.
fn create(key: &str, value: &str) -> Op {
    let key_range = range_of(Some(&Key::copy_from_slice(key.as_bytes())));
    let compare = Compare { range: key_range, result: CompareResult::Equal, target: CompareTarget::Version(0) };
    let Op::Put(put) = put(key, value) else { unreachable!("it is a put") };
    Op::Txn(Txn { compare: vec![compare], success: vec![TxnOp::Put(put)], failure: vec![] })
}

fn list(state: &State) -> Vec<KeyValue> {
    state.range(&Range::of(KeyRange::everything())).expect("the newest revision").kvs
}

async fn read(shim: &Shim) -> State {
    shim.read(Consistency::Linearizable).await.expect("a read")
}

async fn watch(shim: &Shim, range: KeyRange, start: Option<Revision>) -> WatchStream {
    let stream = shim.watch_stream();
    let request = WatchRequest { id: None, range, start, filters: Filters::default(), progress_notify: false };
    stream.control().create(request).await;
    stream
}

/// Revisions of the events that come until nothing more does.
async fn revisions(stream: &mut WatchStream) -> Vec<Revision> {
    let mut seen = Vec::new();
    while let Ok(Some(message)) = timeout(Duration::from_secs(1), stream.next()).await {
        if let WatchMessage::Events { revisions, .. } = message {
            seen.extend(revisions.iter().map(|events| events.revision));
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn invariant_1_state_changes_only_by_committed_entries_whoever_wrote_them() {
    let Setting { database, logs, shims } = setting(2).await;
    for n in 0..20 {
        write(&shims[n % 2], put(format!("k{}", n % 3), &n.to_string())).await;
    }
    // A write that is on its way is not in the state.
    let before = read(&shims[0]).await.revision();
    logs[0].stall(Duration::from_secs(3));
    let shim = shims[0].clone();
    let pending = tokio::spawn(async move { write(&shim, put("k9", "late")).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(shims[0].snapshot().revision(), before);
    assert_eq!(pending.await.expect("no panic"), before + 1);
    // Who loads the log and who lived through it have the same state.
    let third = start(database.connect(), 9).await;
    let states = [read(&shims[0]).await, read(&shims[1]).await, read(&third).await];
    assert!(states.iter().all(|state| state.head() == states[0].head() && list(state) == list(&states[0])));
}

#[tokio::test(start_paused = true)]
async fn invariant_2_positions_and_revisions_are_contiguous() {
    let Setting { database, shims, .. } = setting(3).await;
    let first = write(&shims[0], put("k", "first")).await;
    let writers = (0..60).map(|n| {
        let shim = shims[n % 3].clone();
        // Refusals take neither a position nor a revision.
        tokio::spawn(async move { shim.write(create(&format!("k{}", n % 20), "x")).await.is_ok() })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert!(writer.await.expect("no panic"));
    }
    let lineage = Lineage::replay(&database.truth().1, None).expect("a contiguous chain");
    assert_eq!(lineage.revision, first + 20);
    assert_eq!(read(&shims[1]).await.revision(), first + 20);
}

#[tokio::test(start_paused = true)]
async fn invariant_3_no_refusal_overtakes_the_currency_of_what_it_was_judged_on() {
    let Setting { logs, shims, .. } = setting(2).await;
    write(&shims[0], put("k", "1")).await;
    read(&shims[1]).await;
    // The second shim hears of nothing for a while; meanwhile the first one deletes the key.
    logs[1].stall(Duration::from_secs(2));
    let range = range_of(Some(&Key::from_static(b"k")));
    write(&shims[0], Op::DeleteRange(crate::model::DeleteRange { range, prev_kv: false })).await;
    let (_, reply) = shims[1].write(create("k", "2")).await.expect("a create");
    assert!(matches!(reply, Reply::Txn(reply) if reply.succeeded), "refused because of a key that was gone");
}

#[tokio::test(start_paused = true)]
async fn invariant_4_one_queue_carries_creation_events_and_progress() {
    let Setting { shims, .. } = setting(1).await;
    let shim = &shims[0];
    let first = write(shim, put("k", "1")).await;
    let mut stream = watch(shim, KeyRange::everything(), Some(first)).await;
    let second = write(shim, put("k", "2")).await;
    stream.control().request_progress();
    let mut known = None;
    let mut seen = Vec::new();
    loop {
        match stream.next().await.expect("a message") {
            WatchMessage::Created { header_revision, .. } => {
                assert!(known.replace(header_revision).is_none() && header_revision >= first);
            }
            WatchMessage::Events { revisions, .. } => seen.extend(revisions.iter().map(|events| events.revision)),
            WatchMessage::Progress { revision, .. } => {
                assert!(known.is_some() && revision >= second);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, [first, second]);
}

#[tokio::test(start_paused = true)]
async fn invariant_5_unknown_outcomes_are_resolved_by_the_same_batch() {
    let Setting { database, shims, .. } = setting(1).await;
    for faults in [
        Faults { reply_lost: 10_000, ..Faults::default() },
        Faults { request_lost: 10_000, ..Faults::default() },
        Faults { too_late: 10_000, ..Faults::default() },
        Faults { not_sent: 10_000, ..Faults::default() },
    ] {
        database.set_faults(faults);
        let shim = shims[0].clone();
        let value = format!("{faults:?}");
        let op = put("k", &value);
        let pending = tokio::spawn(async move { shim.write(op).await });
        tokio::time::sleep(Duration::from_millis(700)).await;
        database.set_faults(Faults::default());
        let (revision, _) = pending.await.expect("no panic").expect("an acknowledged write");
        let lineage = Lineage::replay(&database.truth().1, None).expect("a contiguous chain");
        assert_eq!(lineage.values[&value], [revision]);
    }
    // While the database says for sure that it wrote nothing, so does the shim.
    database.set_faults(Faults { not_sent: 10_000, ..Faults::default() });
    let refused = shims[0].write(put("k", "never")).await;
    assert!(matches!(refused, Err(Error::Fault(Fault::NotApplied(_)))), "{refused:?}");
    database.set_faults(Faults::default());
    write(&shims[0], put("k", "last")).await;
    let lineage = Lineage::replay(&database.truth().1, None).expect("a contiguous chain");
    assert!(!lineage.values.contains_key("never"));
}

#[tokio::test(start_paused = true)]
async fn invariant_6_no_revision_is_used_twice_even_after_a_failover_that_lost_some() {
    let Setting { database, shims, .. } = setting(2).await;
    let mut last = 0;
    for n in 0..10 {
        last = write(&shims[0], put("k", &n.to_string())).await;
    }
    let mut stream = watch(&shims[1], KeyRange::everything(), Some(last + 1)).await;
    assert!(matches!(stream.next().await, Some(WatchMessage::Created { .. })));
    database.fail_over(3, Duration::from_millis(200)).await;
    let next = write(&shims[1], put("k", "after")).await;
    assert!(next > last + 1_000_000, "{next} after {last}");
    assert!(read(&shims[0]).await.revision() >= next);
    // Who resumes at a lost revision relists instead of missing something.
    let canceled = timeout(Duration::from_secs(5), stream.next()).await;
    assert!(
        matches!(canceled, Ok(Some(WatchMessage::Canceled { compacted: Some(at), .. })) if at > last),
        "{canceled:?}"
    );
    let (lost, chain) = database.truth();
    let (lost, chain) = (Lineage::replay(&lost[0].1, None), Lineage::replay(&chain, None));
    let (lost, chain) = (lost.expect("a chain"), chain.expect("a chain"));
    assert!(chain.events.iter().all(|event| event.0 > lost.revision || lost.events.contains(event)));
}

/// Nothing jumps, and who watches goes on watching, when all that anybody has seen is there.
#[tokio::test(start_paused = true)]
async fn a_failover_that_loses_nothing_goes_on_where_it_was() {
    let Setting { database, shims, .. } = setting(3).await;
    for n in 0..10 {
        write(&shims[n % 3], put("k", &n.to_string())).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let last = read(&shims[0]).await.revision();
    let mut stream = watch(&shims[1], KeyRange::everything(), Some(last + 1)).await;
    assert!(matches!(stream.next().await, Some(WatchMessage::Created { .. })));
    for n in 1..4 {
        database.fail_over(0, Duration::from_millis(200)).await;
        assert_eq!(write(&shims[2], put("k", "after")).await, last + n);
        assert_eq!(read(&shims[0]).await.revision(), last + n);
        assert_eq!(revisions(&mut stream).await, [last + n], "the watch goes on");
    }
    assert!(shims.iter().all(|shim| shim.snapshot().incarnation() == 0));
    // One that is gone may have told its clients of more than anybody knows.
    shims[0].crash().await;
    database.fail_over(0, Duration::from_millis(200)).await;
    let jumped = write(&shims[1], put("k", "jumped")).await;
    assert!(jumped > last + 1_000_000);
    // One that has just started knows nothing of what was seen before.
    shims[1].crash().await;
    shims[2].crash().await;
    database.fail_over(0, Duration::from_millis(200)).await;
    let fresh = start(database.connect(), 8).await;
    assert!(write(&fresh, put("k", "again")).await > jumped + 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn invariant_7_keys_are_bytes() {
    let Setting { database, shims, .. } = setting(1).await;
    // No encoding knows all of these, and no collation has them in this order.
    let keys: [&[u8]; 8] = [b"\0", b"A", b"Z", b"a", b"a\0", b"\xc3\x28", "\u{e9}".as_bytes(), b"\xff\xfe\x00"];
    for key in keys.iter().rev() {
        write(&shims[0], put(key, "x")).await;
    }
    for shim in [shims[0].clone(), start(database.connect(), 9).await] {
        let found: Vec<Key> = list(&read(&shim).await).into_iter().map(|kv| kv.key).collect();
        assert_eq!(found, keys);
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_8_watchers_that_do_not_read_hold_nobody_up_and_miss_nothing() {
    let Setting { shims, .. } = setting(1).await;
    let shim = &shims[0];
    let mut streams = Vec::new();
    for n in 0..10_000 {
        let range = if n % 2 == 0 { KeyRange::everything() } else { range_of(Some(&Key::from_static(b"k"))) };
        streams.push(watch(shim, range, None).await);
    }
    let began = Instant::now();
    let mut written = Vec::new();
    for n in 0..200 {
        written.push(write(shim, put("k", &n.to_string())).await);
    }
    // Virtual time: what the database takes, and nothing for ten thousand readers.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for stream in streams.iter_mut().take(2) {
        assert_eq!(revisions(stream).await, written);
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_8_the_mailbox_is_bounded() {
    let Setting { logs, shims, .. } = setting(1).await;
    logs[0].stall(Duration::from_secs(60));
    let writers: Vec<_> = (0..20_000)
        .map(|n| {
            let shim = shims[0].clone();
            tokio::spawn(async move { shim.write(put("k", &n.to_string())).await })
        })
        .collect();
    let mut overloaded = 0;
    for writer in writers {
        match writer.await.expect("no panic") {
            Err(Error::Fault(Fault::Overloaded)) => overloaded += 1,
            Err(Error::Fault(Fault::OutcomeUnknown(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(overloaded > 10_000, "{overloaded}");
}

/// While a shim loads the log, or stands still for a while, others write and compact all the time.
#[tokio::test(start_paused = true)]
async fn nothing_is_trimmed_that_a_living_shim_is_still_to_read() {
    let Setting { database, logs, shims } = setting(2).await;
    for n in 0..200 {
        write(&shims[0], put(format!("many{n}"), "x")).await;
    }
    let churning = tokio::spawn(churn(shims[0].clone(), 3_000));
    tokio::time::sleep(Duration::from_secs(1)).await;
    logs[1].stall(Duration::from_secs(7));
    // Many pages from far away.
    let far = database.connect();
    far.move_away(Duration::from_millis(20));
    let third = start(far, 9).await;
    assert_eq!(reloads(&third), 0, "its first load was enough");
    churning.await.expect("no panic");
    let states = [read(&shims[0]).await, read(&shims[1]).await, read(&third).await];
    assert!(states.iter().all(|state| list(state) == list(&states[0])));
    assert_eq!([&shims[0], &shims[1], &third].map(reloads), [0; 3]);
    // But whoever is silent is not waited for: a killed one would keep everything for ever.
    third.crash().await;
    let revision = write(&shims[0], put("k", "last")).await;
    write(&shims[0], Op::Compact { revision }).await;
    timeout(Duration::from_secs(30), shims[0].compact_physical()).await.expect("in time").expect("trimmed");
}

/// A compare that fails is answered from far away too, whoever writes meanwhile.
#[tokio::test(start_paused = true)]
async fn who_only_compares_is_answered_beside_a_busy_writer() {
    let Setting { database, shims, .. } = setting(1).await;
    write(&shims[0], put("there", "x")).await;
    let far = database.connect();
    far.move_away(Duration::from_millis(60));
    let far = Shim::start(far, ShimConfig { seed: Some(9), ..ShimConfig::default() }).await.expect("a sound database");
    let churning = tokio::spawn(churn(shims[0].clone(), 1_500));
    let began = Instant::now();
    for _ in 0..5 {
        let (_, reply) = far.write(create("there", "again")).await.expect("an answer");
        assert!(matches!(reply, Reply::Txn(reply) if !reply.succeeded));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!churning.is_finished());
}

/// What waits is bounded in bytes too, and what nobody waits for any more is not written when the database comes back.
#[tokio::test(start_paused = true)]
async fn invariant_8_the_mailbox_is_bounded_in_bytes_and_the_abandoned_are_dropped() {
    let Setting { database, logs, .. } = setting(1).await;
    let config = ShimConfig { seed: Some(9), mailbox_bytes: 10 << 20, ..ShimConfig::default() };
    let log = database.connect();
    let shim = Shim::start(log.clone(), config).await.expect("a sound database");
    drop(logs);
    log.stall(Duration::from_secs(60));
    let value = "v".repeat(1 << 20);
    let mut writers = Vec::new();
    for n in 0..50 {
        let (shim, op) = (shim.clone(), put(format!("big{n}"), &value));
        writers.push(tokio::spawn(async move { shim.write(op).await }));
    }
    let mut overloaded = 0;
    for writer in writers {
        match writer.await.expect("no panic") {
            Err(Error::Fault(Fault::Overloaded)) => overloaded += 1,
            Err(Error::Fault(Fault::OutcomeUnknown(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((40..45).contains(&overloaded), "{overloaded}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let written = list(&read(&shim).await).iter().filter(|kv| kv.key.starts_with(b"big")).count();
    assert!(written <= 4, "only what was on its way: {written}");
    write(&shim, put("k", &value)).await;
}
