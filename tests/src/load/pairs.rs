//! Control planes as test benches start them: how soon a pair of `etcd` and `kube-apiserver` is ready, alone and with
//! others that start in the same moment, what it costs at rest, and how soon it is gone.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::future::try_join_all;

use super::{cpu_of, resident_bytes};
use crate::bench::Pair;

pub struct Plan {
    /// Folders with the two programs; a row each for every number of pairs.
    pub benches: Vec<PathBuf>,
    pub at_once: Vec<usize>,
    /// Of rest, in which the idle CPU is measured.
    pub seconds: f64,
    /// Where the pairs keep their data; `{}` becomes the number of the pair. `None` is each pair's own folder.
    pub endpoint: Option<String>,
}

/// Writes at the start are still being tidied up for a moment.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
const GONE_WITHIN: Duration = Duration::from_secs(180);

pub async fn run(plan: Plan) -> Result<()> {
    println!(
        "{:<28} {:>7} {:>12} {:>11} {:>12} {:>13} {:>8}",
        "bench", "at once", "ready s", "CPU s each", "MB each", "idle ms/s", "stop s"
    );
    for bench in &plan.benches {
        for &count in &plan.at_once {
            println!("{}", row(&plan, bench, count).await.with_context(|| bench.display().to_string())?);
        }
    }
    Ok(())
}

async fn row(plan: &Plan, bench: &std::path::Path, count: usize) -> Result<String> {
    let flags = |number: usize| -> Vec<String> {
        plan.endpoint.iter().map(|url| format!("--endpoint={}", url.replace("{}", &number.to_string()))).collect()
    };
    let begun = Instant::now();
    let mut pairs = (0..count).map(|number| Pair::start(bench, &flags(number))).collect::<Result<Vec<_>>>()?;
    try_join_all(pairs.iter_mut().map(Pair::ready)).await?;
    let ready = begun.elapsed();
    let pids: Vec<u32> = pairs.iter().flat_map(Pair::pids).collect();
    let started_with = cpu_of(&pids);
    tokio::time::sleep(SETTLED_AFTER).await;
    let (before, since) = (cpu_of(&pids), Instant::now());
    tokio::time::sleep(Duration::from_secs_f64(plan.seconds)).await;
    let idle = cpu_of(&pids).saturating_sub(before).as_secs_f64() / since.elapsed().as_secs_f64();
    let resident = resident_bytes(&pids);
    let stopping = Instant::now();
    for pair in &pairs {
        pair.apiserver.signal_to_stop()?;
        pair.etcd.signal_to_stop()?;
    }
    for pair in &mut pairs {
        pair.apiserver.wait(GONE_WITHIN)?;
        pair.etcd.wait(GONE_WITHIN)?;
    }
    let stopped = stopping.elapsed();
    let each = count.max(1) as f64;
    Ok(format!(
        "{:<28} {:>7} {:>12.3} {:>11.3} {:>12.1} {:>13.2} {:>8.3}",
        bench.display(),
        count,
        ready.as_secs_f64(),
        started_with.as_secs_f64() / each,
        resident as f64 / 1e6 / each,
        idle * 1e3 / each,
        stopped.as_secs_f64(),
    ))
}
