//! The fault runner: shims as real processes on a throw-away PostgreSQL, concurrent clients and watchers, and faults at
//! random times; afterwards everything that was seen is checked. In goes a seed, out comes a report. A seed gives the
//! same requests and faults again, at nearly the same times: real processes do not repeat themselves exactly. What must
//! repeat exactly is simulated in the shim's own tests.

mod checker;
mod clients;
mod failover;
mod history;
mod menu;
mod proxy;
mod watchers;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use proto::etcdserverpb::{
    CompactionRequest, HashKvRequest, RangeRequest, kv_client::KvClient, maintenance_client::MaintenanceClient,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::{
    checker::check,
    failover::{Standby, fail_over},
    history::{History, Violations},
    menu::{Fault, MENU},
    proxy::{Proxy, Rule},
};
use self::{
    clients::{Client, PREFIX, connect, put},
    history::{Operation, Outcome, Session},
    menu::World,
    watchers::Watcher,
};
use crate::{
    postgres::Postgres,
    process::{Process, eventually, free_port, own_program},
};

/// From the end of the last fault until every shim must serve.
const RECOVERED_WITHIN: Duration = Duration::from_secs(30);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Between faults.
const QUIET_MS: std::ops::Range<u64> = 300..2500;
const COMPACT_EVERY: Duration = Duration::from_secs(2);
/// Kept for readers of old revisions and for watchers that were away.
const REVISIONS_KEPT: i64 = 300;

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// How long faults may begin.
    pub lasts: Duration,
    pub shims: usize,
    pub clients: usize,
    pub menu: Vec<Fault>,
}

pub struct Report {
    /// As they are printed.
    pub faults: Vec<String>,
    pub answered: usize,
    pub unknown: usize,
    pub revisions: i64,
    /// From the end of the last fault until every shim served.
    pub recovered: Duration,
    pub violations: Violations,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { faults, answered, unknown, revisions, recovered, violations } = self;
        write!(
            f,
            "{answered} answers, {unknown} unknown, {revisions} revisions, recovered in {:.1} s, {} violations, {}",
            recovered.as_secs_f64(),
            violations.len(),
            faults.join(", ")
        )
    }
}

/// One round on a fresh database of the server.
pub async fn round(postgres: &mut Postgres, plan: &Plan) -> Result<Report> {
    play(postgres, plan, async |world| disturb(world, plan).await, check).await
}

/// A round in which `disturb` says what happens and `check` whether what was seen may be.
async fn play(
    postgres: &mut Postgres,
    plan: &Plan,
    disturb: impl AsyncFnOnce(&mut World<'_>) -> Result<Vec<String>>,
    check: fn(&History) -> Violations,
) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let url = postgres.database().await?;
    let database = url.rsplit('/').next().unwrap_or_default().to_owned();
    let Shims { processes, proxies, urls } = start(postgres.port(), &database, plan.shims, &folder).await?;
    let mut world = World { postgres, database, shims: processes, proxies };
    let base = ready(&urls).await.with_context(|| outputs(&world.shims))?;
    let (began, stop) = (Instant::now(), CancellationToken::new());
    let (told, last) = watch::channel(None);
    let heard: Arc<AtomicI64> = Arc::new(AtomicI64::new(base));
    let compacted = Arc::new(AtomicI64::new(0));
    let watchers = watching(watchers_of(&urls, base, began, &last, &heard));
    let clients = asking(plan.clients, |number| Client {
        number,
        urls: urls.clone(),
        seed: plan.seed,
        began,
        stop: stop.clone(),
        base,
        compacted: compacted.clone(),
    });
    let compacting = tokio::spawn(compact(urls.clone(), heard.clone(), compacted.clone(), stop.clone()));

    let faults = disturb(&mut world).await?;
    let healed = Instant::now();
    ready(&urls).await.with_context(|| format!("no recovery after {faults:?}\n{}", outputs(&world.shims)))?;
    let recovered = healed.elapsed();
    stop.cancel();
    compacting.await?;
    let operations: Vec<Operation> = flat(clients).await?;
    let last = finish(&urls, began).await?;
    told.send_replace(Some(last.1));
    let sessions: Vec<Session> =
        flat(watchers).await.with_context(|| format!("{faults:?}\n{}", outputs(&world.shims)))?;
    for shim in &mut world.shims {
        shim.check_alive()?;
    }
    let (answered, unknown) = counts(&operations);
    let compacted = compacted.load(Ordering::Relaxed);
    let operations = operations.into_iter().chain([last.0]).collect();
    let mut violations = check(&History { base, last: last.1, compacted, operations, sessions });
    violations.extend(hashes(&urls, last.1).await?);
    if !violations.is_empty() {
        let kept = folder.keep();
        violations.insert(format!("the logs of the shims are kept in {}", kept.display()));
    }
    Ok(Report { faults, answered, unknown, revisions: last.1 - base, recovered, violations })
}

/// Shims, each behind a proxy that leads to a database, and where clients reach them.
struct Shims {
    processes: Vec<Process>,
    proxies: Vec<Proxy>,
    urls: Vec<String>,
}

async fn start(port: u16, database: &str, count: usize, folder: &TempDir) -> Result<Shims> {
    let (mut processes, mut proxies, mut urls) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let proxy = Proxy::start(port).await?;
        let listen = format!("http://127.0.0.1:{}", free_port()?);
        let endpoint = format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", proxy.port());
        let args = vec![
            format!("--endpoint={endpoint}"),
            format!("--listen-client-urls={listen}"),
            format!("--advertise-client-urls={listen}"),
            "--watch-progress-notify-interval=1s".to_owned(),
        ];
        let log = folder.path().join(format!("shim-{number}.log"));
        processes.push(Process::start("kine-shim", &own_program("kine-shim")?, args, log)?);
        proxies.push(proxy);
        urls.push(listen);
    }
    Ok(Shims { processes, proxies, urls })
}

/// One watcher of everything stays at each server, one wanders, others want one key.
fn watchers_of(
    urls: &[String],
    base: i64,
    began: Instant,
    last: &watch::Receiver<Option<i64>>,
    heard: &Arc<AtomicI64>,
) -> Vec<Watcher> {
    let watcher = |name: String, urls: &[String], below: &str, wants_previous: bool| Watcher {
        name,
        urls: urls.to_vec(),
        below: below.to_owned(),
        wants_previous,
        base,
        began,
        last: last.clone(),
        heard: None,
    };
    let mut all: Vec<Watcher> = urls
        .iter()
        .enumerate()
        .map(|(number, url)| watcher(format!("watcher of server {number}"), std::slice::from_ref(url), "", number == 0))
        .collect();
    all.push(watcher("watcher of key 3".into(), urls, "3", true));
    all.push(watcher("watcher of no key".into(), urls, "none", false));
    all.push(Watcher { heard: Some(heard.clone()), ..watcher("wandering watcher".into(), urls, "", true) });
    all
}

fn watching(watchers: Vec<Watcher>) -> JoinSet<Result<Vec<Session>>> {
    watchers.into_iter().map(|watcher| watcher.run(RECOVERED_WITHIN)).collect()
}

fn asking(count: usize, client: impl Fn(usize) -> Client) -> JoinSet<Result<Vec<Operation>>> {
    (0..count).map(|number| client(number).run()).collect()
}

async fn disturb(world: &mut World<'_>, plan: &Plan) -> Result<Vec<String>> {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let (until, mut faults) = (Instant::now() + plan.lasts, Vec::new());
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(QUIET_MS))).await;
        if Instant::now() > until || plan.menu.is_empty() {
            return Ok(faults);
        }
        let fault = plan.menu[rng.random_range(0..plan.menu.len())];
        faults.push(format!("{fault:?}"));
        fault.happen(world, &mut rng).await.with_context(|| format!("{fault:?}"))?;
    }
}

/// Every server answers a linearizable read; the highest revision that one told.
async fn ready(urls: &[String]) -> Result<i64> {
    let mut highest = 0;
    for url in urls {
        let revision = eventually("an answer of every shim", RECOVERED_WITHIN, || async {
            let request = RangeRequest { key: PREFIX.into(), ..Default::default() };
            let mut kv = KvClient::new(connect(url)?);
            let answer = tokio::time::timeout(ANSWER_WITHIN, kv.range(request)).await??.into_inner();
            Ok(answer.header.context("no header")?.revision)
        })
        .await?;
        highest = highest.max(revision);
    }
    Ok(highest)
}

/// The last write, which every watcher waits for.
async fn finish(urls: &[String], began: Instant) -> Result<(Operation, i64)> {
    let mut kv = KvClient::new(connect(&urls[0])?);
    let (key, value) = (format!("{PREFIX}end"), "end".to_owned());
    let asked = began.elapsed();
    let response = tokio::time::timeout(ANSWER_WITHIN, kv.put(put(&key, &value))).await??.into_inner();
    let revision = response.header.context("no header")?.revision;
    let answer = history::Answer { revision, applied: true, found: Default::default() };
    let (answered, outcome) = (began.elapsed(), Outcome::Answered(answer));
    Ok((Operation { asked, answered, ask: history::Ask::Put { key, value }, outcome }, revision))
}

/// Never beyond what the wandering watcher has heard: somebody must know all of the history.
async fn compact(urls: Vec<String>, heard: Arc<AtomicI64>, compacted: Arc<AtomicI64>, stop: CancellationToken) {
    let mut turn = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(COMPACT_EVERY) => turn += 1,
        }
        let revision = heard.load(Ordering::Relaxed) - REVISIONS_KEPT;
        if revision <= compacted.load(Ordering::Relaxed) {
            continue;
        }
        // Whether it is answered or not, it may happen.
        compacted.store(revision, Ordering::Relaxed);
        let Ok(channel) = connect(&urls[turn % urls.len()]) else { return };
        let request = CompactionRequest { revision, physical: false };
        let _ = tokio::time::timeout(ANSWER_WITHIN, KvClient::new(channel).compact(request)).await;
    }
}

async fn flat<T: 'static>(mut tasks: JoinSet<Result<Vec<T>>>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(of_one) = tasks.join_next().await {
        all.extend(of_one??);
    }
    Ok(all)
}

fn counts(operations: &[Operation]) -> (usize, usize) {
    let answered = operations.iter().filter(|operation| matches!(operation.outcome, Outcome::Answered(_))).count();
    let unknown = operations.iter().filter(|operation| matches!(operation.outcome, Outcome::Unknown)).count();
    (answered, unknown)
}

/// All servers have the same bytes.
async fn hashes(urls: &[String], revision: i64) -> Result<Violations> {
    let mut found = BTreeSet::new();
    for url in urls {
        let mut maintenance = MaintenanceClient::new(connect(url)?);
        let answer = maintenance.hash_kv(HashKvRequest { revision }).await?.into_inner();
        found.insert((answer.hash, answer.compact_revision));
    }
    ensure!(!found.is_empty(), "no server");
    Ok(if found.len() == 1 { Violations::new() } else { [format!("servers differ: {found:?}")].into() })
}

/// The ends of the logs.
fn outputs(shims: &[Process]) -> String {
    let ends = shims.iter().map(|shim| {
        let output = shim.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    });
    ends.collect::<Vec<_>>().join("\n--\n")
}
