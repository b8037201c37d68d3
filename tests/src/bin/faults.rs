//! Rounds of faults under load, checked: see `tests::faults`. One command: `cargo run -p tests --bin faults`, after a
//! `cargo build`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use tests::{
    faults::{MENU, Plan, Standby, fail_over, round},
    postgres::{Disk, Postgres},
};

#[derive(Parser)]
#[command(about = "Shims on a throw-away PostgreSQL under clients and faults; every history is checked")]
struct Arguments {
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// Of the first round; the next one has the next
    #[arg(long)]
    seed: Option<u64>,
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    #[arg(long, default_value_t = 3)]
    shims: usize,
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Rounds of one failover each, in turn to a standby in step and to one behind, instead of the other faults
    #[arg(long)]
    failovers: bool,
    /// Only faults whose name, as it is printed, contains this
    #[arg(long, default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut postgres = Postgres::start(Disk::NoFsync)?.context("PostgreSQL is not installed")?;
    let first = arguments.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let menu: Vec<_> = MENU.iter().copied().filter(|fault| format!("{fault:?}").contains(&arguments.only)).collect();
    let (mut bad, mut answered, mut faults) = (Vec::new(), 0, 0);
    for seed in first..first + arguments.rounds {
        let lasts = Duration::from_secs_f64(arguments.seconds);
        let plan = Plan { seed, lasts, shims: arguments.shims, clients: arguments.clients, menu: menu.clone() };
        let played = match (arguments.failovers, seed % 2) {
            (false, _) => round(&mut postgres, &plan).await,
            (true, 0) => fail_over(Standby::InStep, &plan).await.and_then(|report| report.context("no PostgreSQL")),
            (true, _) => fail_over(Standby::Behind, &plan).await.and_then(|report| report.context("no PostgreSQL")),
        };
        match played {
            Ok(report) => {
                println!("seed {seed}: {report}");
                answered += report.answered;
                faults += report.faults.len();
                report.violations.iter().take(20).for_each(|violation| println!("  {violation}"));
                bad.extend((!report.violations.is_empty()).then_some(seed));
            }
            Err(error) => {
                println!("seed {seed}: {error:#}");
                bad.push(seed);
            }
        }
    }
    println!("{} rounds, {faults} faults, {answered} answers, {} bad: {bad:?}", arguments.rounds, bad.len());
    if bad.is_empty() { Ok(()) } else { bail!("seeds {bad:?}") }
}
