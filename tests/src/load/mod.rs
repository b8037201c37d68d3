//! The load tool's parts: what is measured ([`Measured`]), and what it can press: [`etcd`]-compatible servers, also
//! with many [`watchers`], [`leases`] or [`idle`] connections, [`kube`] API servers, what [`access`] takes of their
//! time, [`pairs`] of both at their start and end, and the frontend [`beside`] a kube-apiserver.

pub mod access;
pub mod beside;
pub mod etcd;
pub mod idle;
pub mod kube;
pub mod leases;
pub mod pairs;
pub mod watchers;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;

/// Latencies of one kind of work, with what the servers' processes burnt meanwhile.
pub struct Measured {
    pub work: String,
    pub clients: usize,
    latencies: Vec<Duration>,
    elapsed: Duration,
    server_cpu: Duration,
    errors: usize,
}

impl Measured {
    /// The table's head, to be printed once.
    pub fn head() -> String {
        format!(
            "{:<26} {:>7} {:>9} {:>11} {:>10} {:>10} {:>13} {:>7}",
            "work", "clients", "count", "per second", "p50 ms", "p99 ms", "cpu us per op", "errors"
        )
    }

    pub fn row(&self) -> String {
        let count = self.latencies.len();
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        format!(
            "{:<26} {:>7} {:>9} {:>11.1} {:>10.3} {:>10.3} {:>13.1} {:>7}",
            self.work,
            self.clients,
            count,
            self.per_second(),
            ms(self.quantile(0.50)),
            ms(self.quantile(0.99)),
            self.server_cpu_us(),
            self.errors,
        )
    }

    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub fn server_cpu_us(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.latencies.len().max(1) as f64
    }

    pub fn p99_ms(&self) -> f64 {
        self.quantile(0.99).as_secs_f64() * 1e3
    }

    fn quantile(&self, q: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * q) as usize).copied().unwrap_or_default()
    }
}

/// Presses with `clients` tasks for `duration`; each call of `work` gets (client, sequence number) and is one
/// operation.
pub async fn press<W, F>(name: &str, clients: usize, duration: Duration, pids: &[u32], work: W) -> Result<Measured>
where
    W: Fn(usize, u64) -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (cpu_before, start) = (cpu_of(pids), Instant::now());
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let work = work.clone();
            tokio::spawn(async move {
                let (mut latencies, mut errors, mut sequence) = (Vec::new(), 0, 0);
                while start.elapsed() < duration {
                    let begun = Instant::now();
                    match work(client, sequence).await {
                        Ok(()) => latencies.push(begun.elapsed()),
                        Err(error) => {
                            if errors == 0 {
                                eprintln!("client {client}: {error:#}");
                            }
                            errors += 1;
                        }
                    }
                    sequence += 1;
                }
                (latencies, errors)
            })
        })
        .collect();
    let (mut latencies, mut errors) = (Vec::new(), 0);
    for task in tasks {
        let (of_client, failed) = task.await?;
        latencies.extend(of_client);
        errors += failed;
    }
    let elapsed = start.elapsed();
    latencies.sort_unstable();
    let server_cpu = cpu_of(pids).saturating_sub(cpu_before);
    Ok(Measured { work: name.to_owned(), clients, latencies, elapsed, server_cpu, errors })
}

/// From latencies that were gathered some other way (such as write to event).
pub fn measured(work: &str, clients: usize, latencies: Vec<Duration>, elapsed: Duration) -> Measured {
    measured_with_cpu(work, clients, latencies, elapsed, Duration::ZERO)
}

/// The same with what the servers burnt meanwhile.
pub fn measured_with_cpu(
    work: &str,
    clients: usize,
    mut latencies: Vec<Duration>,
    elapsed: Duration,
    server_cpu: Duration,
) -> Measured {
    latencies.sort_unstable();
    Measured { work: work.to_owned(), clients, latencies, elapsed, server_cpu, errors: 0 }
}

/// Resident memory of processes, from /proc; zero where that does not exist.
fn resident_bytes(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        // Pages are of 4 KiB on every Linux this runs on.
        Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
    };
    pids.iter().filter_map(of).sum()
}

/// User and system time of processes with all that they started, from /proc; zero where that does not exist. A server
/// such as PostgreSQL has a process for each connection.
fn cpu_of(pids: &[u32]) -> Duration {
    let running: BTreeMap<u32, Stat> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::of(pid)?)))
        .collect();
    let is_ours = |mut pid: u32| {
        while !pids.contains(&pid) {
            match running.get(&pid) {
                Some(stat) if stat.parent != 0 => pid = stat.parent,
                _ => return false,
            }
        }
        true
    };
    let ticks: u64 = running.iter().filter(|(pid, _)| is_ours(**pid)).map(|(_, stat)| stat.ticks).sum();
    // A clock tick is 10 ms on every Linux that Rust supports (USER_HZ = 100).
    Duration::from_millis(ticks * 10)
}

/// Of one process.
struct Stat {
    parent: u32,
    /// Its own, and those of its children that have ended.
    ticks: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Self { parent: fields.get(1)?.parse().ok()?, ticks })
    }
}
