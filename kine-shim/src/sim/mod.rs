//! Simulation of several shims over one database that fails in every way we know: a seed decides what everybody does
//! and what goes wrong, time is virtual, one thread runs it all, and the same seed runs the same way again. The checker
//! then holds what clients saw against what the database knows (see `check`).
//!
//! `SIM_SEED=n` runs one seed, `SIM_SEEDS=n` that many, `SIM_TRACE=1` prints what happened.

mod check;
mod clients;
mod database;
mod history;
mod invariants;
mod links;
mod model;
mod tests;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};

use crate::{
    settings::{BrokenRule, ShimConfig, WallClock},
    shim::Shim,
};
use clients::{Client, Shims, Watcher, final_list};
pub(crate) use database::Database;
use database::{BrokenLog, Faults, SimLog};
use history::History;
use links::{Link, LostAnswer, Running};

/// What a run looks like; drawn from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    seed: u64,
    shims: usize,
    clients: usize,
    watchers: usize,
    calls: usize,
    faults: Faults,
    crashes: usize,
    stalls: usize,
    failovers: usize,
    /// Of the database, which comes back as it was.
    restarts: usize,
    /// The shims reach each other directly.
    is_linked: bool,
    lost_answers: LostAnswer,
    broken_rule: Option<BrokenRule>,
    broken_log: Option<BrokenLog>,
}

impl Scenario {
    fn draw(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut often = |p: f64, max: u32| if rng.random_bool(p) { rng.random_range(1..max) } else { 0 };
        let faults = Faults {
            not_sent: often(0.5, 500),
            request_lost: often(0.5, 600),
            reply_lost: often(0.6, 600),
            too_late: often(0.5, 500),
            slow: often(0.5, 500),
            misrouted: often(0.4, 800),
        };
        Self {
            seed,
            shims: rng.random_range(1..4),
            clients: rng.random_range(2..7),
            watchers: rng.random_range(1..5),
            calls: rng.random_range(10..40),
            faults,
            crashes: if rng.random_bool(0.3) { rng.random_range(1..3) } else { 0 },
            stalls: if rng.random_bool(0.3) { rng.random_range(1..3) } else { 0 },
            failovers: if rng.random_bool(0.3) { rng.random_range(1..3) } else { 0 },
            restarts: if rng.random_bool(0.3) { rng.random_range(1..4) } else { 0 },
            is_linked: rng.random_bool(0.6),
            lost_answers: LostAnswer::Unknown,
            broken_rule: None,
            broken_log: None,
        }
    }

    /// Runs to the end; what was broken, if anything, and the trace of all that happened.
    fn run(&self) -> (Result<(), String>, Vec<String>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let Ok(runtime) = runtime else { return (Err("no runtime".into()), Vec::new()) };
        runtime.block_on(async {
            match tokio::time::timeout(Duration::from_secs(300), Cluster::start(self).play(self)).await {
                Ok(verdict) => verdict,
                Err(_) => (Err("it did not come to rest within five minutes".into()), Vec::new()),
            }
        })
    }
}

struct Cluster {
    database: Arc<Database>,
    history: Arc<History>,
    shims: Shims,
    logs: Vec<Arc<SimLog>>,
    links: Vec<Running>,
    started: Instant,
    rng: StdRng,
    restarts: u64,
}

impl Cluster {
    fn start(scenario: &Scenario) -> Self {
        let database = Database::new(scenario.seed, scenario.broken_log);
        let logs = (0..scenario.shims).map(|_| database.connect()).collect();
        Self {
            database,
            history: Arc::new(History::new()),
            shims: Arc::new(Mutex::new(vec![None; scenario.shims])),
            logs,
            links: Vec::new(),
            started: Instant::now(),
            rng: StdRng::seed_from_u64(!scenario.seed),
            restarts: 0,
        }
    }

    async fn start_shim(&mut self, scenario: &Scenario, at: usize) {
        self.restarts += 1;
        let started = self.started;
        let config = ShimConfig {
            seed: Some(scenario.seed.wrapping_mul(1_000).wrapping_add(self.restarts)),
            wall_clock: WallClock::new(move || i64::try_from(started.elapsed().as_millis()).unwrap_or(0)),
            broken: scenario.broken_rule,
            // Batches of few operations, so that many are on their way at once.
            ahead_min: 1,
            // A load of many pages, a trim of many pieces.
            page_bytes: 200,
            trim_rows: 2,
            // Watchers that are slow for a moment fall behind what is remembered.
            watch_revisions: 12,
            progress_interval: Duration::from_secs(2),
            ..ShimConfig::default()
        };
        // A new process has a new connection.
        self.logs[at] = self.database.connect();
        let shim = loop {
            match Shim::start(self.logs[at].clone(), config.clone()).await {
                Ok(shim) => break shim,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        };
        self.shims.lock()[at] = Some(shim);
        self.link(scenario, at);
    }

    /// Connects a shim that has just started with the others, both ways.
    fn link(&mut self, scenario: &Scenario, at: usize) {
        self.links.retain(|(from, to, _)| *from != at && *to != at);
        if !scenario.is_linked {
            return;
        }
        let shims = self.shims.lock();
        let living: Vec<(usize, &Shim)> =
            shims.iter().enumerate().filter_map(|(at, shim)| Some((at, shim.as_ref()?))).collect();
        let Some(own) = living.iter().find(|(slot, _)| *slot == at) else { return };
        let seed = scenario.seed.wrapping_mul(31).wrapping_add(self.restarts << 8);
        for other in living.iter().filter(|(slot, _)| *slot != at) {
            self.links.push(Link::start(seed, *own, *other, scenario.lost_answers));
            self.links.push(Link::start(seed, *other, *own, scenario.lost_answers));
        }
    }

    async fn play(mut self, scenario: &Scenario) -> (Result<(), String>, Vec<String>) {
        for at in 0..scenario.shims {
            self.start_shim(scenario, at).await;
        }
        self.database.set_faults(scenario.faults);
        let (over, is_over) = tokio::sync::watch::channel(None);
        let clients: Vec<_> = (0..scenario.clients)
            .map(|id| Client::new(id, scenario.seed, self.shims.clone(), self.history.clone()).run(scenario.calls))
            .map(tokio::spawn)
            .collect();
        let watchers: Vec<_> = (0..scenario.watchers)
            .map(|id| Watcher::new(id, scenario.seed, self.shims.clone(), self.history.clone(), is_over.clone()).run())
            .map(tokio::spawn)
            .collect();
        self.torment(scenario).await;
        for client in clients {
            if client.await.is_err() {
                return (Err("a client panicked".into()), Vec::new());
            }
        }
        self.database.set_faults(Faults::default());
        // A connection that breaks would leave the last writes in doubt.
        self.links.clear();
        let verdict = self.converge().await;
        let Ok(last) = verdict else { return (verdict.map(drop), Vec::new()) };
        let _ = over.send(Some(last));
        for watcher in watchers {
            if watcher.await.is_err() {
                return (Err("a watcher panicked".into()), Vec::new());
            }
        }
        let (done, sessions) = self.history.take();
        if std::env::var("SIM_TRACE").is_ok() {
            self.database.take_trace().iter().for_each(|line| eprintln!("{line}"));
            done.iter().for_each(|done| eprintln!("{done:?}"));
        }
        let verdict = check::check(&self.database, &done, &sessions);
        done.iter().for_each(|done| self.database.trace(done));
        sessions.iter().for_each(|session| self.database.trace(session));
        let shims: Vec<Shim> = self.shims.lock().iter().flatten().cloned().collect();
        for shim in shims {
            shim.stop().await;
        }
        (verdict, self.database.take_trace())
    }

    /// Crashes of shims and of the database, stalls and failovers, in an order and at times that the seed draws.
    async fn torment(&mut self, scenario: &Scenario) {
        let mut plan: Vec<u8> = Vec::new();
        plan.extend(std::iter::repeat_n(0, scenario.crashes));
        plan.extend(std::iter::repeat_n(1, scenario.stalls));
        plan.extend(std::iter::repeat_n(2, scenario.failovers));
        plan.extend(std::iter::repeat_n(3, scenario.restarts));
        while !plan.is_empty() {
            sleep(Duration::from_millis(self.rng.random_range(1..400))).await;
            let at = self.rng.random_range(0..scenario.shims);
            match plan.swap_remove(self.rng.random_range(0..plan.len())) {
                0 => {
                    let shim = self.shims.lock()[at].take();
                    if let Some(shim) = shim {
                        shim.crash().await;
                    }
                    sleep(Duration::from_millis(self.rng.random_range(0..500))).await;
                    self.start_shim(scenario, at).await;
                }
                1 => {
                    let time = Duration::from_millis(self.rng.random_range(100..5_000));
                    self.logs[at].stall(time);
                }
                2 => {
                    let lag = self.rng.random_range(0..5);
                    let recovery = Duration::from_millis(self.rng.random_range(0..1_500));
                    self.database.fail_over(lag, recovery).await;
                }
                _ => {
                    let recovery = Duration::from_millis(self.rng.random_range(0..1_500));
                    self.database.crash(recovery).await;
                }
            }
        }
    }

    /// All shims agree in the end. Returns the last revision.
    async fn converge(&self) -> Result<i64, String> {
        let shims: Vec<Shim> = self.shims.lock().iter().flatten().cloned().collect();
        let mut last = 0;
        // Leases run out, and whatever was still on its way arrives.
        sleep(Duration::from_secs(30)).await;
        for (at, shim) in shims.iter().enumerate() {
            // Whatever happened, every shim writes again.
            shim.write(clients::last_write(at))
                .await
                .map_err(|error| format!("shim {at} no longer writes: {error}"))?;
        }
        let mut lists = Vec::new();
        for shim in &shims {
            let (revision, kvs) = final_list(shim).await.map_err(|refusal| refusal.to_string())?;
            last = last.max(revision);
            lists.push((revision, kvs));
        }
        if lists.iter().any(|list| *list != lists[0]) {
            return Err(format!("invariant 1: shims differ in the end: {lists:?}"));
        }
        Ok(last)
    }
}
