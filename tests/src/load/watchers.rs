//! Many watchers on few or many prefixes of any etcd-compatible server. Each writer writes into a prefix of its own and
//! waits until all of the prefix's watchers have seen it, so that what is measured is delivery and not a queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use proto::etcdserverpb::{
    PutRequest, WatchCreateRequest, WatchRequest, watch_client::WatchClient, watch_request::RequestUnion,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use super::{
    Measured, cpu_of,
    etcd::{connect, prefix_end},
    measured_with_cpu, resident_bytes,
};

#[derive(Clone)]
pub struct Plan {
    /// Written to and watched.
    pub endpoint: String,
    pub pids: Vec<u32>,
    pub watchers: usize,
    pub prefixes: usize,
    /// gRPC streams that share the watchers, and connections that share the streams.
    pub streams: usize,
    pub connections: usize,
    pub writers: usize,
    pub value_bytes: usize,
    pub prev_kv: bool,
    pub seconds: f64,
}

/// An event that is not there by then is lost.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

struct Prefix {
    name: String,
    watchers: usize,
    /// Of the write under way: when it was sent (nanoseconds after the start), and how many watchers have not seen it
    /// yet.
    sent: AtomicU64,
    missing: AtomicUsize,
    seen: Notify,
}

/// Prints a row: an operation is an event delivered.
pub async fn run(plan: Plan) -> Result<()> {
    ensure!(plan.watchers > 0 && plan.prefixes > 0 && plan.streams > 0 && plan.connections > 0, "nothing to do");
    let seed: u32 = rand::random();
    let of_prefix = |at: usize| (plan.watchers + plan.prefixes - 1 - at) / plan.prefixes;
    let prefixes: Arc<Vec<Prefix>> = Arc::new(
        (0..plan.prefixes)
            .map(|at| Prefix {
                name: format!("/load/{seed:08x}/watched/{at:06}/"),
                watchers: of_prefix(at),
                sent: AtomicU64::new(0),
                missing: AtomicUsize::new(0),
                seen: Notify::new(),
            })
            .collect(),
    );
    let empty = resident_bytes(&plan.pids);
    let start = Instant::now();
    let streams = open(&plan, &prefixes).await?;
    let opened = start.elapsed();
    let watched = resident_bytes(&plan.pids);
    let stop = CancellationToken::new();
    let receivers: Vec<_> = streams
        .into_iter()
        .map(|(stream, of)| tokio::spawn(receive(stream, of, prefixes.clone(), start, stop.clone())))
        .collect();
    let (cpu_before, begun) = (cpu_of(&plan.pids), Instant::now());
    let writers: Vec<_> = (0..plan.writers.clamp(1, plan.prefixes))
        .map(|writer| tokio::spawn(write(plan.clone(), writer, prefixes.clone(), start)))
        .collect();
    for writer in writers {
        writer.await??;
    }
    let (elapsed, cpu) = (begun.elapsed(), cpu_of(&plan.pids).saturating_sub(cpu_before));
    let busy = resident_bytes(&plan.pids);
    stop.cancel();
    let mut latencies = Vec::new();
    for receiver in receivers {
        latencies.extend(receiver.await??);
    }
    println!("{}", Measured::head());
    let work = format!("{} watchers, {} prefixes", plan.watchers, plan.prefixes);
    println!("{}", measured_with_cpu(&work, plan.writers, latencies, elapsed, cpu).row());
    println!(
        "{} streams on {} connections opened in {:.1} s; resident MB: {:.1} before, {:.1} with watchers, {:.1} after the writes",
        plan.streams,
        plan.connections,
        opened.as_secs_f64(),
        empty as f64 / 1e6,
        watched as f64 / 1e6,
        busy as f64 / 1e6
    );
    Ok(())
}

/// Opens every stream and its watchers: watcher `n` is on prefix `n % prefixes`; a stream's ids count up from 0.
async fn open(plan: &Plan, prefixes: &[Prefix]) -> Result<Vec<(Receiver, Vec<usize>)>> {
    let mut channels = Vec::new();
    for _ in 0..plan.connections {
        channels.push(Endpoint::from_shared(plan.endpoint.clone())?.connect().await?);
    }
    let opening = (0..plan.streams).map(|at| {
        let of: Vec<usize> = (at..plan.watchers).step_by(plan.streams).map(|n| n % prefixes.len()).collect();
        open_stream(channels[at % channels.len()].clone(), plan, of, prefixes)
    });
    futures::stream::iter(opening).buffered(64).try_collect().await
}

type Receiver = Streaming<proto::etcdserverpb::WatchResponse>;

async fn open_stream(
    channel: Channel,
    plan: &Plan,
    of: Vec<usize>,
    prefixes: &[Prefix],
) -> Result<(Receiver, Vec<usize>)> {
    let create = |at: &usize| {
        let prefix = &prefixes[*at].name;
        let create = WatchCreateRequest {
            key: prefix.clone().into(),
            range_end: prefix_end(prefix),
            prev_kv: plan.prev_kv,
            ..Default::default()
        };
        WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }
    };
    let requests: Vec<_> = of.iter().map(create).collect();
    let requests = tokio_stream::iter(requests).chain(tokio_stream::pending());
    let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
    let mut stream = client.watch(requests).await?.into_inner();
    for _ in &of {
        let response = stream.message().await?.context("the watch ended")?;
        ensure!(response.created && !response.canceled, "not created: {}", response.cancel_reason);
    }
    Ok((stream, of))
}

/// Returns what it has measured so far once it is told to stop.
async fn receive(
    mut stream: Receiver,
    of: Vec<usize>,
    prefixes: Arc<Vec<Prefix>>,
    start: Instant,
    stop: CancellationToken,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while let Some(message) = stop.run_until_cancelled(stream.message()).await {
        let response = message?.context("the watch ended")?;
        let watcher = usize::try_from(response.watch_id).context("an id of no watcher")?;
        let prefix = &prefixes[*of.get(watcher).context("an id of no watcher")?];
        let now = start.elapsed();
        for _ in &response.events {
            latencies.push(now.saturating_sub(Duration::from_nanos(prefix.sent.load(Ordering::Relaxed))));
            if prefix.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
                prefix.seen.notify_one();
            }
        }
    }
    Ok(latencies)
}

/// Writes into each of its prefixes in turn.
async fn write(plan: Plan, writer: usize, prefixes: Arc<Vec<Prefix>>, start: Instant) -> Result<()> {
    let mut kv = connect(&plan.endpoint).await?;
    let value = Bytes::from(vec![b'v'; plan.value_bytes]);
    let duration = Duration::from_secs_f64(plan.seconds);
    let begun = Instant::now();
    let own = (writer..prefixes.len()).step_by(plan.writers);
    for (sequence, at) in own.cycle().enumerate() {
        if begun.elapsed() >= duration {
            break;
        }
        let prefix = &prefixes[at];
        prefix.missing.store(prefix.watchers, Ordering::Release);
        prefix.sent.store(start.elapsed().as_nanos() as u64, Ordering::Release);
        let key = format!("{}{:04}", prefix.name, sequence % 1000).into();
        kv.put(PutRequest { key, value: value.clone(), ..Default::default() }).await?;
        if prefix.watchers > 0 {
            let seen = tokio::time::timeout(ARRIVES_WITHIN, prefix.seen.notified()).await;
            seen.with_context(|| format!("{} watchers saw nothing", prefix.missing.load(Ordering::Acquire)))?;
        }
    }
    Ok(())
}
