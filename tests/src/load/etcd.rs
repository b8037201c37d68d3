//! Load on any etcd-compatible server, in the request shapes of kube-apiserver (so that kine can answer them too).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use proto::etcdserverpb::{
    Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest, WatchRequest,
    compare::{CompareTarget, TargetUnion},
    kv_client::KvClient,
    request_op::Request,
    watch_client::WatchClient,
    watch_request::RequestUnion,
};
use tonic::transport::{Channel, Endpoint};

use super::{Measured, measured, press};

/// What to press, and how hard.
#[derive(Clone)]
pub struct Plan {
    /// The first is written to and read from; the second, if any, is watched for "other server" events.
    pub endpoints: Vec<String>,
    /// Server processes whose CPU is counted.
    pub pids: Vec<u32>,
    pub clients: Vec<usize>,
    pub seconds: f64,
    /// Keys laid down for pages and counts.
    pub keys: usize,
    pub value_bytes: usize,
    pub works: Vec<String>,
    /// Between laying down the keys and reading them: whoever took more writes before has more to write out.
    pub rest: Duration,
}

pub(super) type Kv = KvClient<Channel>;

/// Prints a row for each kind of work in the plan.
pub async fn run(plan: Plan) -> Result<()> {
    let seed: u32 = rand::random();
    println!("keys below /load/{seed:08x}/");
    println!("{}", Measured::head());
    let duration = Duration::from_secs_f64(plan.seconds);
    let wanted = |work: &str| plan.works.is_empty() || plan.works.iter().any(|w| w == work);
    let first = plan.endpoints.first().context("no endpoint")?;
    if wanted("put") {
        for &clients in &plan.clients {
            println!("{}", puts(&plan, seed, clients, duration).await?.row());
        }
    }
    let prefix = format!("/load/{seed:08x}/pages/");
    if ["get", "page", "count"].iter().any(|w| wanted(w)) {
        fill(&plan, &prefix).await?;
        tokio::time::sleep(plan.rest).await;
    }
    if wanted("get") {
        for &clients in &plan.clients {
            println!("{}", gets(&plan, &prefix, clients, duration).await?.row());
        }
    }
    if wanted("page") {
        println!("{}", pages(&plan, &prefix, duration).await?.row());
    }
    if wanted("count") {
        println!("{}", counts(&plan, &prefix, duration).await?.row());
    }
    if wanted("event") {
        println!("{}", events(first, first, "event same server", seed, duration).await?.row());
        if let Some(other) = plan.endpoints.get(1) {
            println!("{}", events(first, other, "event other server", seed, duration).await?.row());
        }
    }
    Ok(())
}

pub(super) async fn connect(endpoint: &str) -> Result<Kv> {
    let channel = Endpoint::from_shared(endpoint.to_owned())?.connect().await?;
    Ok(KvClient::new(channel).max_decoding_message_size(usize::MAX))
}

/// One connection for every sixteen clients, as a fleet of API servers would have.
pub(super) async fn connections(endpoint: &str, clients: usize) -> Result<Vec<Kv>> {
    let mut connections = Vec::new();
    for _ in 0..clients.div_ceil(16) {
        connections.push(connect(endpoint).await?);
    }
    Ok(connections)
}

/// Creates a key that must not exist: kube-apiserver's create.
async fn create(kv: &mut Kv, key: String, value: Bytes) -> Result<()> {
    let key = Bytes::from(key);
    let compare = Compare {
        target: CompareTarget::Mod as i32,
        key: key.clone(),
        target_union: Some(TargetUnion::ModRevision(0)),
        ..Default::default()
    };
    let put = PutRequest { key, value, ..Default::default() };
    let success = RequestOp { request: Some(Request::RequestPut(put)) };
    let txn = TxnRequest { compare: vec![compare], success: vec![success], failure: vec![] };
    if !kv.txn(txn).await?.into_inner().succeeded {
        bail!("the key exists already");
    }
    Ok(())
}

async fn puts(plan: &Plan, seed: u32, clients: usize, duration: Duration) -> Result<Measured> {
    let kvs = connections(&plan.endpoints[0], clients).await?;
    let value = Bytes::from(vec![b'v'; plan.value_bytes]);
    press("put", clients, duration, &plan.pids, move |client, sequence| {
        let (mut kv, value) = (kvs[client % kvs.len()].clone(), value.clone());
        async move { create(&mut kv, format!("/load/{seed:08x}/put/{clients}/{client}/{sequence}"), value).await }
    })
    .await
}

fn page_key(prefix: &str, number: usize) -> String {
    format!("{prefix}{number:08}")
}

async fn fill(plan: &Plan, prefix: &str) -> Result<()> {
    let kvs = connections(&plan.endpoints[0], 64).await?;
    let value = Bytes::from(vec![b'v'; plan.value_bytes]);
    let tasks: Vec<_> = (0..64)
        .map(|client| {
            let (mut kv, value, prefix, keys) =
                (kvs[client % kvs.len()].clone(), value.clone(), prefix.to_owned(), plan.keys);
            tokio::spawn(async move {
                for number in (client..keys).step_by(64) {
                    create(&mut kv, page_key(&prefix, number), value.clone()).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn gets(plan: &Plan, prefix: &str, clients: usize, duration: Duration) -> Result<Measured> {
    let kvs = connections(&plan.endpoints[0], clients).await?;
    let (prefix, keys) = (prefix.to_owned(), plan.keys);
    press("get", clients, duration, &plan.pids, move |client, sequence| {
        let mut kv = kvs[client % kvs.len()].clone();
        // A stride that is coprime to any decimal count visits keys without a pattern.
        let key = page_key(&prefix, (client * 7919 + sequence as usize * 104_729) % keys);
        async move {
            let reply = kv.range(RangeRequest { key: key.into(), limit: 1, ..Default::default() }).await?.into_inner();
            if reply.kvs.len() != 1 { bail!("a key is missing") } else { Ok(()) }
        }
    })
    .await
}

/// The end of the keys that begin with `prefix`, which must not end in 0xff.
pub(super) fn prefix_end(prefix: &str) -> Bytes {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

/// Pages of 500, each where the one before ended and all of a pass at its first page's revision, as a paged LIST.
async fn pages(plan: &Plan, prefix: &str, duration: Duration) -> Result<Measured> {
    let mut kv = connect(&plan.endpoints[0]).await?;
    let end = prefix_end(prefix);
    let (mut start, mut revision): (Bytes, i64) = (prefix.to_owned().into(), 0);
    let (mut latencies, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < duration {
        let request =
            RangeRequest { key: start.clone(), range_end: end.clone(), limit: 500, revision, ..Default::default() };
        let sent = Instant::now();
        let reply = kv.range(request).await?.into_inner();
        latencies.push(sent.elapsed());
        match reply.kvs.last() {
            Some(last) if reply.more => {
                let mut next = last.key.to_vec();
                next.push(0);
                start = next.into();
                revision = reply.header.map_or(0, |h| if revision == 0 { h.revision } else { revision });
            }
            _ => (start, revision) = (prefix.to_owned().into(), 0),
        }
    }
    Ok(measured("page of 500", 1, latencies, begun.elapsed()))
}

async fn counts(plan: &Plan, prefix: &str, duration: Duration) -> Result<Measured> {
    let kvs = connections(&plan.endpoints[0], 1).await?;
    let (prefix, keys) = (prefix.to_owned(), plan.keys as i64);
    press(&format!("count of {keys}"), 1, duration, &plan.pids, move |_, _| {
        let (mut kv, prefix) = (kvs[0].clone(), prefix.clone());
        async move {
            let end = prefix_end(&prefix);
            let request = RangeRequest { key: prefix.into(), range_end: end, count_only: true, ..Default::default() };
            let count = kv.range(request).await?.into_inner().count;
            if count != keys { bail!("counted {count}") } else { Ok(()) }
        }
    })
    .await
}

/// From sending a write at one server to its event's arrival from another.
async fn events(writer: &str, watcher: &str, name: &str, seed: u32, duration: Duration) -> Result<Measured> {
    let prefix = format!("/load/{seed:08x}/{}/", name.replace(' ', "-"));
    let mut kv = connect(writer).await?;
    let channel = Endpoint::from_shared(watcher.to_owned())?.connect().await?;
    let create_request =
        WatchCreateRequest { key: prefix.clone().into(), range_end: prefix_end(&prefix), ..Default::default() };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create_request)) };
    // The stream must stay open on our side: some servers end a watch whose requests have ended.
    let requests = futures::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    let mut stream = WatchClient::new(channel).watch(requests).await?.into_inner();
    while !stream.message().await?.context("the watch ended")?.created {}
    let (mut latencies, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < duration {
        let sent = Instant::now();
        create(&mut kv, format!("{prefix}{:08}", latencies.len()), Bytes::from_static(b"x")).await?;
        while stream.message().await?.context("the watch ended")?.events.is_empty() {}
        latencies.push(sent.elapsed());
    }
    Ok(measured(name, 1, latencies, begun.elapsed()))
}
