//! Many leases on any etcd-compatible server: granted, listed, kept alive over a few streams, left alone, and at last
//! expired, with the keys of some of them watched so that each is seen to go exactly once.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::StreamExt;
use proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, PutRequest, WatchCreateRequest, WatchRequest,
    WatchResponse, lease_client::LeaseClient, watch_client::WatchClient, watch_request::RequestUnion,
};
use tokio::sync::Semaphore;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use super::{
    Measured, cpu_of,
    etcd::{connections, prefix_end},
    measured_with_cpu, press, resident_bytes,
};

#[derive(Clone)]
pub struct Plan {
    /// The first is granted on and watched; keep-alives go to all in turn.
    pub endpoints: Vec<String>,
    pub pids: Vec<u32>,
    pub leases: usize,
    /// Seconds; must be long enough for all to be granted.
    pub ttl: i64,
    pub clients: usize,
    /// Of keep-alives, and how many each sends ahead of the answers.
    pub streams: usize,
    pub ahead: usize,
    /// Every n-th lease has a key.
    pub key_every: usize,
    pub seconds: f64,
}

type Lease = LeaseClient<Channel>;

/// Prints a row for each thing that is done to the leases.
pub async fn run(plan: Plan) -> Result<()> {
    let first = plan.endpoints.first().context("no endpoint")?;
    let mut lease = lease_client(first).await?;
    let prefix = format!("/load/{:08x}/leased/", rand::random::<u32>());
    let mut gone = watch(first, &prefix).await?;
    let empty = resident_bytes(&plan.pids);
    println!("{}", Measured::head());
    let (row, ids) = grant(&plan).await?;
    println!("{}", row.row());
    let keys = put_keys(&plan, &prefix, &ids).await?;
    let full = resident_bytes(&plan.pids);
    println!("{}", list(&plan, &mut lease, &ids).await?.row());
    println!("{}", keep_alive(&plan, &ids).await?.row());
    let cpu = cpu_of(&plan.pids);
    tokio::time::sleep(Duration::from_secs_f64(plan.seconds)).await;
    let idle = cpu_of(&plan.pids).saturating_sub(cpu).as_secs_f64() / plan.seconds;
    println!("{}", keep_alive(&plan, &ids).await?.row());
    expire(&plan, &mut lease, &mut gone, &keys).await?;
    println!(
        "resident MB: {:.1} before, {:.1} with {} leases and {} keys, {:.1} after; {:.2} % of a core to keep them",
        empty as f64 / 1e6,
        full as f64 / 1e6,
        ids.len(),
        keys.len(),
        resident_bytes(&plan.pids) as f64 / 1e6,
        idle * 100.0
    );
    Ok(())
}

async fn lease_client(endpoint: &str) -> Result<Lease> {
    let channel = Endpoint::from_shared(endpoint.to_owned())?.connect().await?;
    Ok(LeaseClient::new(channel).max_decoding_message_size(usize::MAX))
}

/// Grants them all, each client its share.
async fn grant(plan: &Plan) -> Result<(Measured, Vec<i64>)> {
    let mut clients = Vec::new();
    for _ in 0..plan.clients.div_ceil(16) {
        clients.push(lease_client(&plan.endpoints[0]).await?);
    }
    let (cpu, begun) = (cpu_of(&plan.pids), Instant::now());
    let granting = (0..plan.leases).map(|at| {
        let (mut client, ttl) = (clients[at % clients.len()].clone(), plan.ttl);
        async move {
            let sent = Instant::now();
            let granted = client.lease_grant(LeaseGrantRequest { ttl, id: 0 }).await?.into_inner();
            anyhow::Ok((granted.id, sent.elapsed()))
        }
    });
    let granted: Vec<_> = futures::stream::iter(granting).buffer_unordered(plan.clients).collect().await;
    let (mut ids, mut latencies) = (Vec::new(), Vec::new());
    for granted in granted {
        let (id, latency) = granted?;
        ids.push(id);
        latencies.push(latency);
    }
    let cpu = cpu_of(&plan.pids).saturating_sub(cpu);
    Ok((measured_with_cpu("lease grant", plan.clients, latencies, begun.elapsed(), cpu), ids))
}

/// One key for every n-th lease; returns them.
async fn put_keys(plan: &Plan, prefix: &str, ids: &[i64]) -> Result<HashSet<Bytes>> {
    let kvs = connections(&plan.endpoints[0], plan.clients).await?;
    let putting = ids.iter().step_by(plan.key_every.max(1)).enumerate().map(|(at, id)| {
        let (mut kv, key, lease) = (kvs[at % kvs.len()].clone(), Bytes::from(format!("{prefix}{id:016x}")), *id);
        async move {
            kv.put(PutRequest { key: key.clone(), lease, ..Default::default() }).await?;
            anyhow::Ok(key)
        }
    });
    let put: Vec<_> = futures::stream::iter(putting).buffer_unordered(plan.clients).collect().await;
    put.into_iter().collect()
}

async fn list(plan: &Plan, lease: &mut Lease, ids: &[i64]) -> Result<Measured> {
    let (lease, known) = (lease.clone(), ids.len());
    press("lease list", 1, Duration::from_secs(1), &plan.pids, move |_, _| {
        let mut lease = lease.clone();
        async move {
            let listed = lease.lease_leases(LeaseLeasesRequest {}).await?.into_inner().leases.len();
            ensure!(listed >= known, "{listed} of {known} listed");
            Ok(())
        }
    })
    .await
}

/// Every lease once.
async fn keep_alive(plan: &Plan, ids: &[i64]) -> Result<Measured> {
    let (cpu, begun) = (cpu_of(&plan.pids), Instant::now());
    let mut streams = Vec::new();
    for at in 0..plan.streams {
        let client = lease_client(&plan.endpoints[at % plan.endpoints.len()]).await?;
        let share: Vec<i64> = ids.iter().skip(at).step_by(plan.streams).copied().collect();
        streams.push(tokio::spawn(keep_alive_stream(client, share, plan.ahead, plan.ttl)));
    }
    let mut latencies = Vec::new();
    for stream in streams {
        latencies.extend(stream.await??);
    }
    let cpu = cpu_of(&plan.pids).saturating_sub(cpu);
    Ok(measured_with_cpu("lease keep-alive", plan.streams, latencies, begun.elapsed(), cpu))
}

/// Answers come in the order of the requests.
async fn keep_alive_stream(mut client: Lease, ids: Vec<i64>, ahead: usize, ttl: i64) -> Result<Vec<Duration>> {
    let (requests, queue) = tokio::sync::mpsc::channel(ahead);
    let room = Arc::new(Semaphore::new(ahead));
    let (sender, expected, permits) = (requests.clone(), ids.clone(), room.clone());
    let (sent, mut times) = tokio::sync::mpsc::unbounded_channel();
    let sending = tokio::spawn(async move {
        for id in ids {
            permits.acquire().await?.forget();
            sent.send(Instant::now())?;
            sender.send(LeaseKeepAliveRequest { id }).await?;
        }
        anyhow::Ok(())
    });
    let queue = tokio_stream::wrappers::ReceiverStream::new(queue);
    let mut answers = client.lease_keep_alive(queue).await?.into_inner();
    let mut latencies = Vec::new();
    for id in expected {
        let answer = answers.message().await?.context("the stream ended")?;
        room.add_permits(1);
        ensure!(answer.id == id && answer.ttl == ttl, "lease {id}: answered {}, TTL {}", answer.id, answer.ttl);
        latencies.push(times.recv().await.context("not sent")?.elapsed());
    }
    sending.await??;
    drop(requests);
    Ok(latencies)
}

async fn watch(endpoint: &str, prefix: &str) -> Result<Streaming<WatchResponse>> {
    let create_request = WatchCreateRequest {
        key: prefix.to_owned().into(),
        range_end: prefix_end(prefix),
        filters: vec![0],
        ..Default::default()
    };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create_request)) };
    let requests = tokio_stream::once(request).chain(tokio_stream::pending());
    let channel = Endpoint::from_shared(endpoint.to_owned())?.connect().await?;
    let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
    let mut stream = client.watch(requests).await?.into_inner();
    ensure!(stream.message().await?.context("the watch ended")?.created, "not created");
    Ok(stream)
}

/// Waits until none is listed and every key was seen to go, exactly once.
async fn expire(
    plan: &Plan,
    lease: &mut Lease,
    gone: &mut Streaming<WatchResponse>,
    keys: &HashSet<Bytes>,
) -> Result<()> {
    let (cpu, begun) = (cpu_of(&plan.pids), Instant::now());
    let patience = Duration::from_secs(3 * u64::try_from(plan.ttl)? + 120);
    let mut seen = HashSet::new();
    let mut first = None;
    while seen.len() < keys.len() {
        let message = tokio::time::timeout(patience, gone.message()).await.context("keys of leases stay")?;
        for event in message?.context("the watch ended")?.events {
            first.get_or_insert(begun.elapsed());
            let key = event.kv.context("an event without a key")?.key;
            ensure!(keys.contains(&key) && seen.insert(key.clone()), "{key:?} went twice");
        }
    }
    loop {
        let left = lease.lease_leases(LeaseLeasesRequest {}).await?.into_inner().leases.len();
        if left == 0 {
            break;
        }
        ensure!(begun.elapsed() < patience, "{left} leases stay");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let cpu = cpu_of(&plan.pids).saturating_sub(cpu);
    println!(
        "TTL {} s: the first key went {:.1} s after the last keep-alives, all leases within {:.1} s; {:.1} us of CPU a lease",
        plan.ttl,
        first.unwrap_or_default().as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / plan.leases as f64
    );
    Ok(())
}
